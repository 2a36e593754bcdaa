//! The task that listens to one worker process, and tells the listener inline.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::arrivals::Arrivals;
use super::output::{Budget, Pipe};
use super::{Gone, Listener, Note, Phase, Process, ProcessEvent};
use crate::protocol::{Broken, Decoder, FromWorker, Hello, Level, MOST_FILES, Maxima, VERSION, WorkerPhase};

/// Reads between two pauses for others.
const READS: u32 = 64;

/// What is said of a process that sent what it must not.
pub(crate) const BROKE: &str = "The worker process broke the protocol";

/// How far a process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Starting,
    Ready,
    Over,
}

pub(super) struct Reader {
    process: Arc<Process>,
    arrivals: Arrivals,
    pipes: [Pipe; 2],
    decoder: Decoder,
    listener: Arc<dyn Listener>,
    note: Box<dyn Fn(Note) + Send>,
    ordered: Instant,
    stage: Stage,
    open: bool,
    broken: bool,
    of_call: Budget,
    of_none: Budget,
    /// Output that may belong to a call whose `started` is still in the socket.
    early: Option<(Level, String)>,
    /// The files of the answer to the call in work.
    files: Vec<Arc<File>>,
}

impl Reader {
    pub fn new(
        process: Arc<Process>,
        arrivals: Arrivals,
        pipes: [Pipe; 2],
        maxima: Maxima,
        listener: Arc<dyn Listener>,
        note: Box<dyn Fn(Note) + Send>,
        ordered: Instant,
    ) -> Self {
        Self {
            process,
            arrivals,
            pipes,
            decoder: Decoder::new(maxima),
            listener,
            note,
            ordered,
            stage: Stage::New,
            open: true,
            broken: false,
            of_call: Budget::default(),
            of_none: Budget::default(),
            early: None,
            files: Vec::new(),
        }
    }

    /// Listens until it is known how the process ended and all it sent is read.
    pub async fn run(mut self, mut exit: oneshot::Receiver<Gone>) {
        let mut reads = 0;
        let gone = loop {
            reads += 1;
            if reads % READS == 0 {
                tokio::task::yield_now().await;
            }
            let [out, err] = &mut self.pipes;
            // Pipes first: what was written before an answer is told before it.
            tokio::select! {
                biased;
                gone = &mut exit => break gone.ok(),
                text = out.read(), if !out.closed => {
                    let level = out.level;
                    self.output(level, text);
                }
                text = err.read(), if !err.closed => {
                    let level = err.level;
                    self.output(level, text);
                }
                read = self.arrivals.read(&mut self.decoder), if self.open => match read {
                    Ok(n) if n > 0 => {
                        self.process.outgoing.hold();
                        self.frames();
                        self.process.outgoing.release();
                    }
                    _ => self.close(Note::Closed),
                },
            }
        };
        self.finish(gone);
    }

    /// The process is gone: what it had sent still counts.
    fn finish(mut self, gone: Option<Gone>) {
        // More than a socket holds; what a surviving child goes on sending is not waited for.
        for _ in 0..READS {
            if !self.open || !self.arrivals.read_now(&mut self.decoder) {
                break;
            }
            self.frames();
        }
        self.drain_pipes();
        self.process.outgoing.close();
        let mut gone = gone.unwrap_or_else(|| Gone {
            reason: "The platform lost sight of the process".into(),
            out_of_memory: false,
            exit: None,
            expected: false,
        });
        if self.broken {
            gone.reason = BROKE.into();
            gone.expected = false;
        }
        self.tell(ProcessEvent::Gone(gone));
        (self.note)(Note::Done);
    }

    fn frames(&mut self) {
        if let Err(Broken(what)) = self.whole_frames() {
            let key = self.process.key;
            tracing::warn!(instance = %key.instance, process = key.process, "worker broke the protocol: {what}");
            self.broken = true;
            self.close(Note::Broken);
        }
    }

    fn whole_frames(&mut self) -> Result<(), Broken> {
        while let Some(frame) = self.decoder.next()? {
            if !matches!(frame, FromWorker::OutputFile(..)) {
                self.arrivals.expect_none()?;
            }
            self.frame(frame)?;
        }
        self.arrivals.settle(self.decoder.in_the_middle())
    }

    fn frame(&mut self, frame: FromWorker) -> Result<(), Broken> {
        match (self.stage, frame) {
            (Stage::New, FromWorker::Hello(hello)) => self.hello(&hello),
            (Stage::New, _) => Err(Broken::new("the first frame is not `hello`")),
            (Stage::Starting, FromWorker::Phase(done)) => {
                let phase = match done.phase {
                    WorkerPhase::Interpreter => Phase::Interpreter,
                    WorkerPhase::Import => Phase::Import,
                    WorkerPhase::Init => Phase::Init,
                };
                self.tell(ProcessEvent::Phase { phase, took: Duration::from_micros(done.micros) });
                Ok(())
            }
            (Stage::Starting, FromWorker::Ready(ready)) => {
                self.stage = Stage::Ready;
                self.of_none = Budget::default();
                self.tell(ProcessEvent::Phase { phase: Phase::Ready, took: self.ordered.elapsed() });
                let process = self.process.clone();
                let (has_request, has_requests) = (ready.has_request, ready.has_requests);
                self.tell(ProcessEvent::Ready { process, has_request, has_requests });
                (self.note)(Note::Ready);
                Ok(())
            }
            (Stage::Starting, FromWorker::Fatal(fatal)) => {
                self.stage = Stage::Over;
                self.drain_pipes();
                self.tell(ProcessEvent::Fatal(fatal.clone()));
                (self.note)(Note::Fatal(fatal));
                Ok(())
            }
            (_, FromWorker::Log { call, level, text }) => self.log(call, level, text),
            (Stage::Ready, frame) => self.of_a_call(frame),
            (Stage::Starting, FromWorker::Stopped) => Ok(()),
            (_, frame) => Err(Broken::new(format!("{frame:?} does not belong here"))),
        }
    }

    fn hello(&mut self, hello: &Hello) -> Result<(), Broken> {
        let key = self.process.key;
        if hello.protocol != VERSION {
            return Err(Broken::new(format!("the worker speaks protocol {}", hello.protocol)));
        }
        if hello.instance != key.instance.to_string() || hello.epoch != key.epoch || hello.process != key.process {
            return Err(Broken::new("the worker says it is another one"));
        }
        self.stage = Stage::Starting;
        Ok(())
    }

    fn of_a_call(&mut self, frame: FromWorker) -> Result<(), Broken> {
        match frame {
            FromWorker::Started(call) => {
                self.process.ledger().started(call)?;
                self.of_call = Budget::default();
                self.tell(ProcessEvent::Started(call));
                self.keep_early(Some(call));
            }
            FromWorker::Update(call, text) => {
                self.process.ledger().update(call)?;
                self.tell(ProcessEvent::Update(call, text));
            }
            FromWorker::OutputFile(call, index) => self.file(call, index)?,
            FromWorker::Result(call, body) => self.result(call, |files| ProcessEvent::Result(call, body, files))?,
            FromWorker::Packed(call, body) => self.result(call, |files| ProcessEvent::Packed(call, body, files))?,
            FromWorker::Error(call, error) => {
                self.drain_used_pipes();
                self.process.ledger().error(call, error.kind)?;
                if self.process.ledger().in_work().is_none() {
                    self.files.clear();
                }
                self.of_none = Budget::default();
                self.tell(ProcessEvent::Error(call, error));
            }
            FromWorker::Stopped => self.stage = Stage::Over,
            frame => return Err(Broken::new(format!("{frame:?} does not belong here"))),
        }
        Ok(())
    }

    fn file(&mut self, call: u64, index: u32) -> Result<(), Broken> {
        let file = self.arrivals.take()?;
        self.process.ledger().file(call)?;
        if index as usize != self.files.len() || self.files.len() >= MOST_FILES {
            return Err(Broken::new(format!("file {index} of call {call}, which has {} of them", self.files.len())));
        }
        self.files.push(file);
        Ok(())
    }

    fn result(&mut self, call: u64, result: impl FnOnce(Vec<Arc<File>>) -> ProcessEvent) -> Result<(), Broken> {
        self.drain_used_pipes();
        self.process.ledger().result(call)?;
        self.of_none = Budget::default();
        let files = std::mem::take(&mut self.files);
        self.tell(result(files));
        Ok(())
    }

    fn log(&mut self, call: u64, level: Level, text: String) -> Result<(), Broken> {
        let call = (call != 0).then_some(call);
        if let Some(call) = call {
            self.process.ledger().log(call)?;
        }
        self.keep(call, level, text);
        Ok(())
    }

    /// Output out of a pipe: it belongs to the call in work. Where one may just have begun, the socket is asked first.
    fn output(&mut self, level: Level, text: Option<String>) {
        let Some(text) = text else { return };
        let (in_work, idle) = {
            let ledger = self.process.ledger();
            (ledger.in_work(), ledger.is_empty())
        };
        if in_work.is_some() || idle || self.early.is_some() {
            return self.keep(in_work, level, text);
        }
        self.early = Some((level, text));
        if self.open && self.arrivals.read_now(&mut self.decoder) {
            self.frames();
        }
        self.keep_early(None);
    }

    fn keep_early(&mut self, call: Option<u64>) {
        if let Some((level, text)) = self.early.take() {
            self.keep(call, level, text);
        }
    }

    fn keep(&mut self, call: Option<u64>, level: Level, text: String) {
        let budget = if call.is_some() { &mut self.of_call } else { &mut self.of_none };
        if let Some(text) = budget.keep(text) {
            self.tell(ProcessEvent::Log { call, level, text });
        }
    }

    fn drain_used_pipes(&mut self) {
        if self.pipes.iter().any(|pipe| pipe.used) {
            self.drain_pipes();
        }
    }

    fn drain_pipes(&mut self) {
        for at in 0..self.pipes.len() {
            let (level, text) = (self.pipes[at].level, self.pipes[at].drain());
            self.output(level, text);
        }
    }

    fn close(&mut self, why: Note) {
        self.open = false;
        (self.note)(why);
    }

    fn tell(&self, event: ProcessEvent) {
        self.listener.event(self.process.key, event);
    }
}
