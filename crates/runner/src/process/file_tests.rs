//! Files on their way to a process and from it, whose other end is played by the test.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::time::Duration;

use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::tests::{Scene, body};
use super::*;
use crate::protocol::{CallError, ErrorKind, FILE_NAME, FromWorker, MOST_FILES, from_worker, kind};
use crate::rights;

fn file(text: &str) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(text.as_bytes(), 0).unwrap();
    file
}

fn text_of(file: &File) -> String {
    let mut text = vec![0; 100];
    let size = file.read_at(&mut text, 0).unwrap();
    String::from_utf8(text[..size].to_vec()).unwrap()
}

/// What the worker reads: frames as kind and payload, and the descriptors that came up to the end of each.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    files: Vec<File>,
}

impl Inbox {
    fn next(&mut self, worker: &StdStream) -> (u8, Vec<u8>, usize) {
        loop {
            if let Some(head) = self.bytes.first_chunk::<4>() {
                let end = 4 + u32::from_be_bytes(*head) as usize;
                if self.bytes.len() >= end {
                    let frame: Vec<u8> = self.bytes.drain(..end).skip(4).collect();
                    return (frame[0], frame[1..].to_vec(), self.files.len());
                }
            }
            poll(&mut [PollFd::new(worker.as_fd(), PollFlags::POLLIN)], 20_000u16).unwrap();
            let mut room = bytes::BufMut::limit(&mut self.bytes, 1 << 20);
            let received = rights::receive(worker.as_fd(), &mut room).unwrap();
            assert!(received.bytes > 0 && !received.lost);
            self.files.extend(received.descriptors.into_iter().map(File::from));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_out_in_order_right_before_their_call() {
    let mut scene = Scene::with_files(false);
    let process = scene.ready();
    // More than the socket takes, so that all that follows waits.
    let large = Bytes::from(vec![b'x'; 3 << 20]);
    process.call(1, 0, &body(""), &large, vec![]).unwrap();
    for call in 2..=3 {
        let files = (0..3).map(|at| CallFile { name: format!("n{at}"), file: file(&format!("{call}/{at}")).into() });
        process.call(call, 0, &body(""), &body("{}"), files.collect()).unwrap();
    }
    let mut inbox = Inbox::default();
    assert_eq!(inbox.next(&scene.worker).0, kind::CALL);
    for call in 2..=3u64 {
        for at in 0..3u32 {
            let (kind, payload, came) = inbox.next(&scene.worker);
            assert_eq!(kind, kind::INPUT_FILE);
            assert_eq!(payload, [&call.to_be_bytes()[..], &at.to_be_bytes(), format!("n{at}").as_bytes()].concat());
            let number = usize::try_from((call - 2) * 3 + u64::from(at)).unwrap();
            assert!(came > number);
            assert_eq!(text_of(&inbox.files[number]), format!("{call}/{at}"));
        }
        let (kind, payload, _) = inbox.next(&scene.worker);
        assert_eq!((kind, &payload[..8]), (kind::CALL, &call.to_be_bytes()[..]));
    }
    scene.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_files_as_a_call_may_have_get_through_and_no_more() {
    let mut scene = Scene::with_files(false);
    let process = scene.ready();
    let source = file("shared");
    let files = |count| {
        let one = || CallFile { name: "n".repeat(FILE_NAME), file: source.try_clone().unwrap().into() };
        (0..count).map(|_| one()).collect::<Vec<_>>()
    };
    assert_eq!(process.call(1, 0, &body(""), &body(""), files(MOST_FILES + 1)), Err(TooLarge::Files));
    let long = CallFile { name: "n".repeat(FILE_NAME + 1), file: source.try_clone().unwrap().into() };
    assert_eq!(process.call(1, 0, &body(""), &body(""), vec![long]), Err(TooLarge::Name));
    process.call(1, 0, &body(""), &body(""), files(MOST_FILES)).unwrap();
    let mut inbox = Inbox::default();
    for _ in 0..MOST_FILES {
        assert_eq!(inbox.next(&scene.worker).0, kind::INPUT_FILE);
    }
    assert_eq!(inbox.next(&scene.worker).0, kind::CALL);
    assert_eq!(inbox.files.len(), MOST_FILES);
    scene.end();
}

/// Waits until no descriptor of this process but the test's own leads to a file.
fn closed_elsewhere(file: &File, what: &str) {
    let begun = Instant::now();
    while open_times(file) > 1 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

/// How many descriptors of this process lead to a file.
fn open_times(file: &File) -> usize {
    let wanted = file.metadata().unwrap();
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let found = all.filter_map(|entry| std::fs::metadata(entry.path()).ok());
    found.filter(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino())).count()
}

impl Scene {
    /// Sends bytes with descriptors at the first of them.
    fn say_with(&self, bytes: &[u8], files: &[RawFd]) {
        let rights = [ControlMessage::ScmRights(files)];
        let rights = if files.is_empty() { &rights[..0] } else { &rights[..] };
        let sent = sendmsg::<()>(self.worker.as_raw_fd(), &[IoSlice::new(bytes)], rights, MsgFlags::empty(), None);
        assert_eq!(sent, Ok(bytes.len()));
    }

    fn say_file(&self, call: u64, index: u32, file: &impl AsRawFd) {
        self.say_with(&bytes_of(&FromWorker::OutputFile(call, index)), &[file.as_raw_fd()]);
    }

    /// A process that is in work with call 1, and has another one.
    fn in_work(output_files: bool) -> (Self, Arc<Process>) {
        let mut scene = Self::with_files(output_files);
        let process = scene.ready();
        for call in 1..=2 {
            process.call(call, 0, &body(""), &body(""), vec![]).unwrap();
        }
        scene.say(&[FromWorker::Started(1)]);
        assert!(matches!(scene.hear(), ProcessEvent::Started(1)));
        (scene, process)
    }

    fn files_of_the_result(&self) -> Vec<Arc<File>> {
        match self.hear() {
            ProcessEvent::Result(_, _, files) => files,
            other => panic!("{other:?}"),
        }
    }
}

fn bytes_of(frame: &FromWorker) -> Vec<u8> {
    let mut bytes = Vec::new();
    from_worker(frame, &mut bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_an_answer_come_with_it() {
    let (mut scene, _process) = Scene::in_work(true);
    for (index, text) in (0..).zip(["a", "b", "c"]) {
        scene.say_file(1, index, &file(text));
    }
    scene.say(&[FromWorker::Result(1, body("1")), FromWorker::Started(2)]);
    let texts: Vec<String> = scene.files_of_the_result().iter().map(|file| text_of(file)).collect();
    assert_eq!(texts, ["a", "b", "c"]);
    assert!(matches!(scene.hear(), ProcessEvent::Started(2)));
    // The next answer counts anew, and its frame may come in pieces.
    let frame = bytes_of(&FromWorker::OutputFile(2, 0));
    for at in 0..frame.len() {
        let own = file("own");
        let files = [own.as_raw_fd()];
        scene.say_with(&frame[at..=at], if at == 0 { &files } else { &[] });
    }
    scene.say(&[FromWorker::Result(2, body("1"))]);
    assert_eq!(text_of(&scene.files_of_the_result()[0]), "own");
    scene.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_have_a_thousand_files() {
    let (mut scene, _process) = Scene::in_work(true);
    let source = file("shared");
    for index in 0..u32::try_from(MOST_FILES).unwrap() {
        scene.say_file(1, index, &source);
    }
    scene.say(&[FromWorker::Result(1, body("1"))]);
    assert_eq!(scene.files_of_the_result().len(), MOST_FILES);
    closed_elsewhere(&source, "the answer");
    scene.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_closed_when_their_call_fails() {
    let (mut scene, _process) = Scene::in_work(true);
    let source = file("lost");
    scene.say_file(1, 0, &source);
    let error = CallError { kind: ErrorKind::Output, message: "m".into(), public_error_message: None };
    scene.say(&[FromWorker::Error(1, error), FromWorker::Started(2), FromWorker::Result(2, body("1"))]);
    assert!(matches!(scene.hear(), ProcessEvent::Error(1, _)));
    assert!(matches!(scene.hear(), ProcessEvent::Started(2)));
    assert!(scene.files_of_the_result().is_empty());
    closed_elsewhere(&source, "the answer");
    scene.end();
}

/// The process is ended for what it sends, and nothing of it stays open here.
fn breaks(what: &str, output_files: bool, source: &File, say: impl FnOnce(&Scene)) {
    let (mut scene, _process) = Scene::in_work(output_files);
    say(&scene);
    let broke = loop {
        match scene.notes.recv_timeout(Duration::from_secs(20)) {
            Ok(Note::Ready) => {}
            other => break other,
        }
    };
    assert!(matches!(broke, Ok(Note::Broken)), "{what}: {broke:?}");
    assert_eq!(scene.end().reason, BROKE, "{what}");
    drop(scene);
    closed_elsewhere(source, what);
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_that_do_not_belong_end_the_process() {
    let source = file("hostile");
    let own = source.as_raw_fd();
    let started = bytes_of(&FromWorker::Started(1));
    let log = bytes_of(&FromWorker::Log { call: 1, level: Level::Info, text: "x".into() });
    let result = bytes_of(&FromWorker::Result(1, body("1")));
    let first = bytes_of(&FromWorker::OutputFile(1, 0));
    let broken = |what, say: &dyn Fn(&Scene)| breaks(what, true, &source, say);

    broken("a file frame without a descriptor", &|scene| scene.say_with(&first, &[]));
    broken("a descriptor with a log line", &|scene| scene.say_with(&log, &[own]));
    broken("a descriptor with a result", &|scene| scene.say_with(&result, &[own]));
    broken("a descriptor with half a frame that is no file", &|scene| {
        scene.say_with(&log[..7], &[own]);
        scene.say_with(&log[7..], &[]);
    });
    broken("a descriptor within a large frame", &|scene| {
        let large = bytes_of(&FromWorker::Result(1, Bytes::from(vec![b'1'; 200_000])));
        scene.say_with(&large[..100_000], &[]);
        scene.say_with(&large[100_000..150_000], &[own]);
        scene.say_with(&large[150_000..], &[]);
    });
    broken("two descriptors with one frame", &|scene| scene.say_with(&first, &[own, own]));
    broken("more descriptors than there is room for", &|scene| scene.say_with(&first, &[own; 253]));
    broken("a descriptor for each half of a frame", &|scene| {
        scene.say_with(&first[..9], &[own]);
        scene.say_with(&first[9..], &[own]);
    });
    broken("a file twice", &|scene| (0..2).for_each(|_| scene.say_file(1, 0, &source)));
    broken("a file that is not the next", &|scene| scene.say_file(1, 1, &source));
    broken("a file of a call that waits", &|scene| scene.say_file(2, 0, &source));
    broken("a file of no call", &|scene| scene.say_file(7, 0, &source));
    broken("a file of a call that has ended", &|scene| {
        scene.say_with(&result, &[]);
        scene.say_file(1, 0, &source);
    });
    broken("a file before it has started again", &|scene| scene.say_with(&[&started[..], &first].concat(), &[own]));
    broken("too many files", &|scene| {
        for index in 0..=u32::try_from(MOST_FILES).unwrap() {
            scene.say_file(1, index, &source);
        }
    });
    breaks("files of a version without any", false, &source, |scene| scene.say_file(1, 0, &source));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_ordinary_files_that_can_be_read_are_taken() {
    let none = file("unused");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let write_only = File::create(&path).unwrap();
    let by_name = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&path).unwrap();
    let (pipe, _) = nix::unistd::pipe().unwrap();
    let (socket, _) = StdStream::pair().unwrap();
    let broken = |what: &str, file: &dyn AsRawFd| {
        let file = file.as_raw_fd();
        breaks(what, true, &none, |scene| scene.say_with(&bytes_of(&FromWorker::OutputFile(1, 0)), &[file]));
    };
    broken("a pipe", &pipe);
    broken("a socket", &socket);
    broken("a folder", &File::open(folder.path()).unwrap());
    broken("a device", &File::open("/dev/null").unwrap());
    broken("a view of the kernel", &File::open("/proc/self/status").unwrap());
    broken("a file open for writing only", &write_only);
    broken("a file not open at all", &by_name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_never_reads_is_given_no_files_without_end() {
    let mut scene = Scene::with_files(false);
    let process = scene.ready();
    let source = file("endless");
    let mut call = 0;
    while scene.ended.try_recv().is_err() {
        call += 1;
        let file = CallFile { name: "n".into(), file: source.try_clone().unwrap().into() };
        process.call(call, 0, &body(""), &body(""), vec![file]).unwrap();
        assert!(call < 100_000);
    }
    scene.end();
    drop((scene, process));
    closed_elsewhere(&source, "what waited");
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_with_whatever_nothing_stays_open() {
    let source = file("random");
    let own = [source.as_raw_fd(); 4];
    let log = FromWorker::Log { call: 1, level: Level::Info, text: "x".into() };
    let result = |call| FromWorker::Result(call, body("1"));
    let (mut dice, mut broken) = (Dice(7), 0);
    for _ in 0..300 {
        let (mut scene, _process) = Scene::in_work(true);
        let mut index = 0;
        for _ in 0..dice.below(8) {
            let (frame, mut with) = match dice.below(10) {
                0 => (log.clone(), 0),
                1 => (result(1), 0),
                2 => (FromWorker::OutputFile(1 + dice.below(3) as u64, dice.below(3) as u32), 1),
                _ => {
                    index += 1;
                    (FromWorker::OutputFile(1, index - 1), 1)
                }
            };
            if dice.below(15) == 0 {
                with = dice.below(own.len());
            }
            let bytes = bytes_of(&frame);
            let cut = if dice.below(3) == 0 { 1 + dice.below(bytes.len()) } else { bytes.len() };
            scene.say_with(&bytes[..cut], &own[..with]);
            if cut < bytes.len() {
                scene.say_with(&bytes[cut..], &[]);
            }
        }
        // Half a frame at the end, with what belongs to it.
        scene.say_with(&bytes_of(&FromWorker::OutputFile(1, index))[..5], &own[..dice.below(2)]);
        if scene.end().reason == BROKE {
            broken += 1;
        }
        drop(scene);
        closed_elsewhere(&source, "something of it");
    }
    assert!((50..300).contains(&broken), "{broken}");
}
