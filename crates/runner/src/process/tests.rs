//! A process whose other end is played by the test.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use modelyard_types::ids::InstanceId;

use super::*;
use crate::protocol::{CallError, ErrorKind, FIRST_CREDIT, FromWorker, Hello, ReadyMessage, from_worker, kind};

struct Ears(Mutex<Sender<ProcessEvent>>);

impl Listener for Ears {
    fn event(&self, _: ProcessKey, event: ProcessEvent) {
        let _ = self.0.lock().unwrap().send(event);
    }
    fn ended(&self, _: InstanceId, _: u64, _: Ended) {}
}

/// The worker's side, and what the server heard.
pub(super) struct Scene {
    pub(super) worker: StdStream,
    stdout: std::fs::File,
    gone: Option<oneshot::Sender<Gone>>,
    heard: Receiver<ProcessEvent>,
    pub(super) notes: Receiver<Note>,
    pub(super) ended: Receiver<()>,
    key: ProcessKey,
}

impl Scene {
    fn new() -> Self {
        Self::with_files(true)
    }

    /// A process whose answers may have files, or may not.
    pub(super) fn with_files(output_files: bool) -> Self {
        let (ours, worker) = StdStream::pair().unwrap();
        let pipe = || nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK).unwrap();
        let ((stdout, out), (stderr, _)) = (pipe(), pipe());
        let (events, heard) = channel();
        let (note, notes) = channel();
        let (end, ended) = channel();
        let key = ProcessKey { instance: InstanceId::new(), epoch: 1, process: 0 };
        let end = Mutex::new(end);
        let wish = Attach {
            key,
            maxima: Maxima::default(),
            files: output_files.then(Arc::default),
            ordered: Instant::now(),
            listener: Arc::new(Ears(Mutex::new(events))),
            note: Box::new(move |n| drop(note.send(n))),
            signal: Box::new(|_| ()),
            end: Box::new(move |_| end.lock().unwrap().send(()).unwrap_or_default()),
        };
        let ends = Ends { socket: ours, stdout, stderr };
        let (_, gone) = attach(wish, ends, vec![0, 0, 0, 1, kind::START]).unwrap();
        Self { worker, stdout: out.into(), gone: Some(gone), heard, notes, ended, key }
    }

    fn hello(&self) -> FromWorker {
        FromWorker::Hello(Hello {
            protocol: 1,
            instance: self.key.instance.to_string(),
            epoch: 1,
            process: 0,
            python: Some("3".into()),
            r: None,
        })
    }

    pub(super) fn say(&mut self, frames: &[FromWorker]) {
        let mut bytes = Vec::new();
        for frame in frames {
            from_worker(frame, &mut bytes).unwrap();
        }
        self.worker.write_all(&bytes).unwrap();
    }

    pub(super) fn hear(&self) -> ProcessEvent {
        self.heard.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    pub(super) fn ready(&mut self) -> Arc<Process> {
        let hello = self.hello();
        self.say(&[hello, FromWorker::Ready(ReadyMessage { has_request: true, has_requests: false })]);
        assert!(matches!(self.hear(), ProcessEvent::Phase { phase: Phase::Ready, .. }));
        let mut start = [0; 5];
        self.worker.read_exact(&mut start).unwrap();
        match self.hear() {
            ProcessEvent::Ready { process, has_request: true, has_requests: false } => process,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the process as a supervisor does, and gives the last event.
    pub(super) fn end(&mut self) -> Gone {
        let gone = Gone { reason: "over".into(), out_of_memory: false, exit: None, expected: false };
        self.gone.take().unwrap().send(gone).unwrap();
        loop {
            if let ProcessEvent::Gone(gone) = self.hear() {
                return gone;
            }
        }
    }
}

pub(super) fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_out_and_its_answer_comes_back() {
    let mut scene = Scene::new();
    let process = scene.ready();
    process.call(7, 1, &body("{}"), &body("hi"), vec![]).unwrap();
    let mut frame = [0; 18 + 4];
    scene.worker.read_exact(&mut frame).unwrap();
    assert_eq!(&frame[..5], [0, 0, 0, 18, kind::CALL]);
    assert_eq!(&frame[14..], [0, 0, 0, 2, b'{', b'}', b'h', b'i']);

    scene.say(&[FromWorker::Started(7), FromWorker::Update(7, body("u")), FromWorker::Result(7, body("1"))]);

    assert!(matches!(scene.hear(), ProcessEvent::Started(7)));
    assert!(matches!(scene.hear(), ProcessEvent::Update(7, text) if text == "u"));
    assert!(matches!(scene.hear(), ProcessEvent::Result(7, answer, _) if answer == "1"));
    assert_eq!(scene.end().reason, "over");
    assert!(matches!(scene.notes.recv().unwrap(), Note::Ready));
    assert!(matches!(scene.notes.recv_timeout(Duration::from_secs(20)).unwrap(), Note::Done));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_never_waits_and_nothing_is_lost_or_mixed_up() {
    let mut scene = Scene::new();
    let process = scene.ready();
    let large = Bytes::from(vec![b'x'; 3 << 20]);
    for call in 1..=40 {
        process.call(call, 0, &body("{}"), &large, vec![]).unwrap();
    }
    process.cancel(40);
    for call in 1..=40u64 {
        let mut head = [0; 20];
        scene.worker.read_exact(&mut head).unwrap();
        assert_eq!(u64::from_be_bytes(head[5..13].try_into().unwrap()), call);
        let mut rest = vec![0; large.len()];
        scene.worker.read_exact(&mut rest).unwrap();
        assert!(rest == large);
    }
    let mut cancel = [0; 13];
    scene.worker.read_exact(&mut cancel).unwrap();
    assert_eq!(cancel, protocol::cancel(40));
    scene.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_had_sent_counts_although_it_is_gone() {
    let mut scene = Scene::new();
    let process = scene.ready();
    process.call(1, 0, &body(""), &body(""), vec![]).unwrap();
    scene.stdout.write_all(b"from C").unwrap();
    let answer = Bytes::from(vec![b'1'; 100_000]);
    scene.say(&[FromWorker::Started(1), FromWorker::Result(1, answer.clone())]);
    let gone = Gone { reason: "over".into(), out_of_memory: false, exit: None, expected: false };
    scene.gone.take().unwrap().send(gone).unwrap();
    let (mut answered, mut logged) = (false, false);
    loop {
        match scene.hear() {
            ProcessEvent::Result(1, body, _) => answered = body == answer,
            ProcessEvent::Log { text, .. } => logged = text == "from C",
            ProcessEvent::Gone(_) => break,
            _ => {}
        }
    }
    assert!(answered && logged);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_behind_the_worker_belongs_to_the_call_in_work() {
    let mut scene = Scene::new();
    let process = scene.ready();
    for call in 1..=2 {
        process.call(call, 0, &body(""), &body(""), vec![]).unwrap();
    }
    scene.stdout.write_all(b"before\n").unwrap();
    assert!(matches!(scene.hear(), ProcessEvent::Log { call: None, text, .. } if text == "before"));
    for call in 1..=2 {
        scene.say(&[FromWorker::Started(call)]);
        assert!(matches!(scene.hear(), ProcessEvent::Started(_)));
        scene.stdout.write_all(b"line\nrest").unwrap();
        scene.say(&[FromWorker::Result(call, body("1"))]);
        let mut text = String::new();
        loop {
            match scene.hear() {
                ProcessEvent::Log { call: Some(of), text: more, .. } if of == call => text += &more,
                ProcessEvent::Result(..) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(text.replace('\n', ""), "linerest");
    }
    scene.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_protocol_does_not_allow_ends_the_process() {
    let error = |kind| CallError { kind, message: "m".into(), public_error_message: None };
    let log = |call| FromWorker::Log { call, level: Level::Info, text: "x".into() };
    let cases: Vec<Vec<FromWorker>> = vec![
        vec![FromWorker::Result(1, body("1"))],
        vec![FromWorker::Started(2)],
        vec![FromWorker::Started(9)],
        vec![FromWorker::Started(1), FromWorker::Result(2, body("1"))],
        vec![FromWorker::Error(1, error(ErrorKind::Exception))],
        vec![FromWorker::Error(2, error(ErrorKind::Cancelled))],
        vec![FromWorker::Started(1), FromWorker::Result(1, body("1")), FromWorker::Result(1, body("1"))],
        vec![FromWorker::Ready(ReadyMessage { has_request: true, has_requests: true })],
        vec![log(9)],
        [vec![FromWorker::Started(1)], vec![FromWorker::Update(1, body("u")); FIRST_CREDIT as usize + 1]].concat(),
    ];
    for frames in cases {
        let mut scene = Scene::new();
        let process = scene.ready();
        for call in 1..=2 {
            process.call(call, 0, &body(""), &body(""), vec![]).unwrap();
        }
        scene.say(&frames);
        let broke = loop {
            match scene.notes.recv_timeout(Duration::from_secs(20)).unwrap() {
                Note::Ready => {}
                note => break note,
            }
        };
        assert!(matches!(broke, Note::Broken), "{frames:?}");
        assert_eq!(scene.end().reason, BROKE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_a_false_name_end_the_process() {
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0; 5], &[0, 0, 0, 3, 1, b'{', b'}']] {
        let mut scene = Scene::new();
        scene.worker.write_all(bytes).unwrap();
        assert!(matches!(scene.notes.recv_timeout(Duration::from_secs(20)).unwrap(), Note::Broken));
        assert_eq!(scene.end().reason, BROKE);
    }
    let mut scene = Scene::new();
    let FromWorker::Hello(hello) = scene.hello() else { unreachable!() };
    scene.say(&[FromWorker::Hello(Hello { process: 1, ..hello })]);
    assert!(matches!(scene.notes.recv_timeout(Duration::from_secs(20)).unwrap(), Note::Broken));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_never_reads_is_ended_at_last() {
    let mut scene = Scene::new();
    let process = scene.ready();
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let mut call = 0;
    while scene.ended.try_recv().is_err() {
        call += 1;
        process.call(call, 0, &body(""), &large, vec![]).unwrap();
        assert!(call < 100_000);
    }
    scene.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_output_than_is_kept_is_dropped_with_a_word() {
    let mut scene = Scene::new();
    let process = scene.ready();
    process.call(1, 0, &body(""), &body(""), vec![]).unwrap();
    scene.say(&[FromWorker::Started(1)]);
    let line = FromWorker::Log { call: 1, level: Level::Info, text: "x".repeat(60_000) };
    for _ in 0..(2 * KEPT / 60_000) {
        scene.say(std::slice::from_ref(&line));
    }
    scene.say(&[FromWorker::Result(1, body("1"))]);
    let (mut kept, mut last) = (0, String::new());
    loop {
        match scene.hear() {
            ProcessEvent::Log { text, .. } => (kept, last) = (kept + text.len(), text),
            ProcessEvent::Result(..) => break,
            _ => {}
        }
    }
    assert!(kept < KEPT + 100 && kept > KEPT - 60_000);
    assert!(last.contains("dropped"), "{last}");
    scene.end();
}
