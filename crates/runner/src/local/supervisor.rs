//! The task that owns an instance: starts its processes, replaces those that die, and ends it.

use std::collections::HashMap;
use std::io;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::control::Control;
use super::network::Door;
use super::scratch::{Place, Watch};
use super::worker::{Then, Worker, ends};
use super::{Shared, plan, records};
use crate::cgroup::Group;
use crate::init::orders::{Network, Order, Report};
use crate::process::{
    Attach, Attention, Ended, Exit, Gone, Held, Listener, Note, Phase, ProcessEvent, ProcessKey, attach,
};
use crate::protocol::{self, TypedField};
use crate::runner::InstanceSpec;
use crate::walls::launch;

/// How long a process that closed its socket may take to exit by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// What others tell the supervisor.
#[derive(Debug)]
pub(super) enum Signal {
    /// The reader of a process has news.
    Note(u64, Note),
    /// A process is to read its socket.
    Attention(u64, Attention),
    /// Somebody wants a process ended, for a reason.
    Kill(u64, String),
    /// This many bytes of disk are in use, which are too many.
    Full(u64),
    /// The instance is to stop.
    Stop,
}

pub(super) struct Supervisor {
    pub shared: Arc<Shared>,
    pub spec: Arc<InstanceSpec>,
    pub listener: Arc<dyn Listener>,
    pub signals: mpsc::UnboundedSender<Signal>,
    pub slot: u32,
    pub ordered: Instant,
    pub serials: u64,
    pub control: Option<Control>,
    pub launcher: Option<Child>,
    pub first: Option<i32>,
    pub group: Option<Group>,
    pub scratch: Option<Watch>,
    /// The files of answers that the server has open.
    pub held: Arc<Held>,
    pub folder: String,
    pub network: Option<Network>,
    pub door: Option<Door>,
    pub built: bool,
    pub workers: Vec<Worker>,
    pub respawn: Vec<(Instant, u32)>,
    pub quick_deaths: HashMap<u32, u32>,
    pub seen_out_of_memory: u64,
    pub out_of_memory: bool,
    pub stop_until: Option<Instant>,
    pub ending: Option<String>,
}

impl Supervisor {
    pub(super) fn new(
        shared: Arc<Shared>,
        spec: Arc<InstanceSpec>,
        listener: Arc<dyn Listener>,
        signals: mpsc::UnboundedSender<Signal>,
        slot: u32,
    ) -> Self {
        Self {
            shared,
            spec,
            listener,
            signals,
            slot,
            ordered: Instant::now(),
            serials: 0,
            control: None,
            launcher: None,
            first: None,
            group: None,
            scratch: None,
            held: Arc::default(),
            folder: String::new(),
            network: None,
            door: None,
            built: false,
            workers: Vec::new(),
            respawn: Vec::new(),
            quick_deaths: HashMap::new(),
            seen_out_of_memory: 0,
            out_of_memory: false,
            stop_until: None,
            ending: None,
        }
    }

    /// The instance's whole life.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Signal>) -> Ended {
        if let Err(e) = self.begin().await {
            self.end(format!("The instance could not be started: {e}"));
        }
        while !self.is_over() {
            let deadline = self.next_deadline();
            tokio::select! {
                report = next_report(&mut self.control) => match report {
                    Some(report) => self.report(report),
                    None => self.broke_away(),
                },
                Some(signal) = inbox.recv() => self.signal(signal),
                () = tokio::time::sleep_until(deadline.into()) => self.deadlines(),
            }
        }
        self.finish(inbox).await
    }

    fn is_over(&self) -> bool {
        let stopped = self.stop_until.is_some_and(|until| self.workers.is_empty() || Instant::now() >= until);
        self.ending.is_some() || stopped
    }

    async fn begin(&mut self) -> io::Result<()> {
        let (shared, spec, slot) = (self.shared.clone(), self.spec.clone(), self.slot);
        let (prepared, launched) = self
            .shared
            .spawner
            .run(move || {
                let prepared = plan::prepare(&shared, &spec, slot)?;
                Ok((prepared, launch(&shared.settings.launcher, &spec.instance.to_string())))
            })
            .await?;
        self.group = prepared.group;
        self.folder.clone_from(&prepared.plan.folder);
        self.network.clone_from(&prepared.plan.network);
        let (child, control) = launched?;
        self.launcher = Some(child);
        let mut control = Control::new(control)?;
        control.send(&Order::Build(Box::new(prepared.plan)), Vec::new())?;
        self.control = Some(control);
        // Told at once: the workers start as soon as the walls stand, without another word.
        (0..self.spec.processes).try_for_each(|process| self.spawn(process))
    }

    pub(super) fn spawn(&mut self, process: u32) -> io::Result<()> {
        let Some(control) = &mut self.control else { return Ok(()) };
        self.serials += 1;
        let serial = self.serials;
        let (ours, theirs) = ends()?;
        control.send(&Order::Spawn(plan::spawn(&self.shared, &self.spec, serial, process)?), theirs)?;
        self.workers.push(Worker::new(serial, process, ours, self.spec.init_limit));
        if self.built {
            self.listen(serial)?;
        }
        Ok(())
    }

    fn listen(&mut self, serial: u64) -> io::Result<()> {
        let (signals, spec, folder) = (self.signals.clone(), self.spec.clone(), self.folder.clone());
        let Some(worker) = self.worker(serial) else { return Ok(()) };
        let Some(ends) = worker.ends.take() else { return Ok(()) };
        let start = protocol::start(&plan::start(&spec, &folder, worker.process))
            .ok_or_else(|| io::Error::other("the context of the constructor cannot be sent"))?;
        let process = worker.process;
        let (notes, attention) = (signals.clone(), signals.clone());
        let wish = Attach {
            key: self.key(process),
            maxima: self.spec.maxima,
            files: self.spec.load.output_fields.iter().any(TypedField::is_file).then(|| self.held.clone()),
            ordered: self.ordered,
            listener: self.listener.clone(),
            note: Box::new(move |note| drop(notes.send(Signal::Note(serial, note)))),
            signal: Box::new(move |why| drop(attention.send(Signal::Attention(serial, why)))),
            end: Box::new(move |why| drop(signals.send(Signal::Kill(serial, why.to_owned())))),
        };
        let (link, gone) = attach(wish, ends, start)?;
        if let Some(worker) = self.worker(serial) {
            (worker.link, worker.gone) = (Some(link), Some(gone));
        }
        Ok(())
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::Forked { pid } => {
                self.first = Some(pid);
                if let Some(mut launcher) = self.launcher.take() {
                    // It has done its work, and would be shown as a dead process for as long as the instance lives.
                    tokio::task::spawn_blocking(move || launcher.wait());
                }
                let records = self.shared.settings.records();
                if let Err(e) = records::write(&records, &self.spec.name(), pid, self.group.as_ref()) {
                    tracing::warn!(instance = %self.spec.instance, "an instance is not recorded: {e}");
                }
            }
            Report::Listening => {
                if let Err(e) = self.open_door() {
                    self.end(format!("The instance could not be started: {e}"));
                }
            }
            Report::Built { .. } => self.built(),
            Report::Failed { reason } => self.end(format!("The instance could not be started: {reason}")),
            Report::NotStarted { serial, reason } => {
                if let Some(worker) = self.worker(serial) {
                    worker.not_started = Some(format!("The process could not be started: {reason}"));
                }
            }
            Report::Exited { serial, status, signal } => {
                let exit = status.map(Exit::Status).or(signal.map(Exit::Signal));
                self.exited(serial, exit);
            }
            Report::Probed(_) => {}
        }
    }

    fn open_door(&mut self) -> io::Result<()> {
        let (Some(control), Some(network)) = (&mut self.control, &self.network) else { return Ok(()) };
        self.door = Some(Door::open(network, control.take_fds(), self.shared.settings.guests.clone())?);
        Ok(())
    }

    fn built(&mut self) {
        self.built = true;
        let (folder, limit) = (self.shared.scratch_of(&self.spec), self.spec.limits.scratch_bytes);
        let place = Place { folder, limit, group: self.group.clone(), held: self.held.clone() };
        self.scratch = Some(Watch::begin(place, self.signals.clone()));
        let took = self.ordered.elapsed();
        for (serial, process) in self.workers.iter().map(|worker| (worker.serial, worker.process)).collect::<Vec<_>>() {
            self.listener.event(self.key(process), ProcessEvent::Phase { phase: Phase::Sandbox, took });
            if let Err(e) = self.listen(serial) {
                self.end(format!("The instance could not be started: {e}"));
            }
        }
    }

    /// A process is dead: its reader tells it, after all that the process had sent.
    fn exited(&mut self, serial: u64, exit: Option<Exit>) {
        let out_of_memory = self.ran_out_of_memory(exit);
        let expected = self.stop_until.is_some();
        let memory = self.spec.limits.memory_bytes >> 20;
        let Some(worker) = self.worker(serial) else { return };
        let reason = worker.why.take().or(worker.not_started.take()).unwrap_or_else(|| match exit {
            _ if out_of_memory => format!("The process used more memory than the {memory} MB of its instance type"),
            Some(Exit::Status(0)) if expected => "The process stopped".into(),
            Some(exit) => format!("The process {exit}"),
            None => "The process ended".into(),
        });
        worker.reason = Some(reason.clone());
        worker.deadline = None;
        if let Some(gone) = worker.gone.take() {
            let _ = gone.send(Gone { reason, out_of_memory, exit, expected });
        }
    }

    /// True when the kernel ended a process of the instance for want of memory since the last time.
    pub(super) fn ran_out_of_memory(&mut self, exit: Option<Exit>) -> bool {
        let count = self.group.as_ref().map_or(0, Group::out_of_memory);
        let more = count > self.seen_out_of_memory;
        self.seen_out_of_memory = count;
        more && matches!(exit, None | Some(Exit::Signal(libc::SIGKILL)))
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Note(serial, Note::Ready) => {
                if let Some(worker) = self.worker(serial) {
                    (worker.ready_at, worker.deadline) = (Some(Instant::now()), None);
                }
            }
            Signal::Note(serial, Note::Fatal(fatal)) => {
                if let Some(worker) = self.worker(serial) {
                    let why = fatal.message.clone();
                    worker.fatal = Some(fatal);
                    worker.deadline = Some((Instant::now() + FAREWELL, Then::Kill(why)));
                }
            }
            Signal::Note(serial, Note::Closed) => {
                let why = "The worker process closed its connection".to_owned();
                if let Some(worker) = self.worker(serial).filter(|worker| worker.why.is_none()) {
                    worker.deadline = Some((Instant::now() + FAREWELL, Then::Kill(why)));
                }
            }
            Signal::Note(serial, Note::Broken) => self.kill(serial, crate::process::BROKE),
            Signal::Note(serial, Note::Done) => self.done(serial),
            Signal::Attention(serial, Attention::Cancel) => self.interrupt(serial),
            Signal::Attention(serial, Attention::Recall) => self.recall(serial),
            Signal::Kill(serial, why) => self.kill(serial, &why),
            Signal::Full(used) => self.full(used),
            Signal::Stop => self.stop(),
        }
    }

    /// Too much disk is in use: nothing short of the instance's end frees it for sure.
    fn full(&mut self, used: u64) {
        let (used, limit) = (used >> 20, self.spec.limits.scratch_bytes >> 20);
        self.end(format!(
            "The instance used {used} MB of scratch space, more than the {limit} MB of its instance type"
        ));
    }

    pub(super) fn end(&mut self, reason: String) {
        self.ending.get_or_insert(reason);
    }

    /// The first process of the instance is gone, and with it everything.
    fn broke_away(&mut self) {
        self.control = None;
        let memory = self.spec.limits.memory_bytes >> 20;
        let reason = if !self.built {
            "The instance could not be started: its first process ended".into()
        } else if self.ran_out_of_memory(None) {
            self.out_of_memory = true;
            format!("The instance used more memory than the {memory} MB of its instance type")
        } else {
            "The instance was ended from outside".into()
        };
        self.end(reason);
    }

    pub(super) fn worker(&mut self, serial: u64) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|worker| worker.serial == serial)
    }

    fn key(&self, process: u32) -> ProcessKey {
        ProcessKey { instance: self.spec.instance, epoch: self.spec.epoch, process }
    }
}

/// The next report, `None` at the end; without a socket there will never be one.
async fn next_report(control: &mut Option<Control>) -> Option<Report> {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}
