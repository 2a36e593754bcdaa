//! A runner with its own folder, and ears for all it tells.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use modelyard_runner::local::{LocalRunner, LocalSettings};
use modelyard_runner::process::{Ended, Gone, Listener, Process, ProcessEvent, ProcessKey};
use modelyard_runner::protocol::Maxima;
use modelyard_runner::runner::{InstanceLimits, InstanceSpec, Load, Runner};
use modelyard_runner::walls::NetworkMode;
use modelyard_types::ids::InstanceId;
use modelyard_types::language::Language;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a listener heard.
#[derive(Debug)]
pub enum Heard {
    Event(ProcessKey, ProcessEvent),
    Ended(InstanceId, Ended),
}

struct Ears(Mutex<Sender<Heard>>);

impl Listener for Ears {
    fn event(&self, from: ProcessKey, event: ProcessEvent) {
        let _ = self.0.lock().unwrap().send(Heard::Event(from, event));
    }
    fn ended(&self, instance: InstanceId, _: u64, ended: Ended) {
        let _ = self.0.lock().unwrap().send(Heard::Ended(instance, ended));
    }
}

/// A runner in a folder of its own.
pub struct Bench {
    pub runner: LocalRunner,
    pub folder: TempDir,
    pub installation: String,
}

impl Drop for Bench {
    /// After a test that failed; the others left nothing.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let cgroups = modelyard_runner::cgroup::Cgroups::find(&self.installation);
            cgroups.clear();
            cgroups.remove();
        }
    }
}

/// An instance of a bench.
pub struct Instance {
    pub spec: Arc<InstanceSpec>,
    heard: Receiver<Heard>,
    /// What was logged so far.
    pub log: String,
}

/// The settings of a bench; a number makes them its own on this host.
pub fn settings(folder: &Path) -> LocalSettings {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (number, pid) = (COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
    LocalSettings {
        launcher: env!("CARGO_BIN_EXE_runner-init").into(),
        uid_base: 700_000 + (pid % 10_000) * 64 + number * 8,
        required_level: 1,
        egress: Some(NetworkMode::All),
        ..LocalSettings::new(folder.join("runner"), worker(), format!("test-{pid}-{number}"))
    }
}

/// The worker package of this tree, readable by everybody.
fn worker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../worker").canonicalize().unwrap()
}

/// An interpreter and its real prefix.
pub fn python() -> (PathBuf, PathBuf) {
    static FOUND: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    let ask = |program: &str| {
        let text = "import os, sys; print(os.path.realpath(sys.executable)); print(os.path.realpath(sys.base_prefix))";
        let output = Command::new(program).args(["-c", text]).output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8(output.stdout).ok()?;
        let (program, prefix) = text.trim().split_once('\n')?;
        Some((program.into(), prefix.into()))
    };
    FOUND.get_or_init(|| ask("python3").or_else(|| ask("/usr/bin/python3")).expect("a Python 3 is there")).clone()
}

impl Bench {
    pub fn open() -> Self {
        Self::with(|_| ())
    }

    /// Whether a wall stands around instances.
    pub fn uses(&self, wall: &str) -> bool {
        self.runner.walls().list.iter().any(|one| one.name == wall && one.used)
    }

    pub fn with(change: impl FnOnce(&mut LocalSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        change(&mut settings);
        let installation = settings.installation.clone();
        let bench = Self { runner: LocalRunner::open(settings).unwrap(), folder, installation };
        if !bench.has_namespaces() {
            // Another user finds its way through our folders only where they let it.
            fs::set_permissions(bench.folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        }
        bench
    }

    /// Whether instances have a root and processes of their own.
    pub fn has_namespaces(&self) -> bool {
        self.runner.walls().list.iter().any(|wall| wall.name == "mount namespace" && wall.used)
    }

    /// A package with this main file, as an unpacked one lies on disk.
    pub fn package(&self, code: &str) -> PathBuf {
        let package = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        fs::write(package.join("deployment.py"), code).unwrap();
        fs::create_dir(package.join("data")).unwrap();
        fs::write(package.join("data/file"), "original").unwrap();
        fs::set_permissions(&package, fs::Permissions::from_mode(0o755)).unwrap();
        package
    }

    pub fn spec(&self, code: &str) -> InstanceSpec {
        let (python, readable) = if self.has_namespaces() {
            let (python, prefix) = python();
            (python, vec![prefix])
        } else {
            // One that every user may run, wherever home folders are closed.
            ("/usr/bin/python3".into(), vec![])
        };
        InstanceSpec {
            instance: InstanceId::new(),
            epoch: 1,
            processes: 1,
            language: Language::Python,
            program: python,
            readable,
            system: None,
            package: self.package(code),
            env: vec![("OF_THE_USER".into(), "yes".into())],
            load: Load {
                main_file: "deployment".into(),
                context: context(),
                input_type: "plain".into(),
                output_type: "plain".into(),
                output_fields: vec![],
                input_files: vec![],
            },
            limits: InstanceLimits { memory_bytes: 256 << 20, processes: 64, ..InstanceLimits::default() },
            egress: None,
            maxima: Maxima::default(),
            init_limit: PATIENCE,
            stop_grace: Duration::from_secs(10),
        }
    }

    pub async fn start(&self, spec: InstanceSpec) -> Instance {
        let (events, heard) = channel();
        let spec = Arc::new(spec);
        self.runner.start(spec.clone(), Arc::new(Ears(Mutex::new(events)))).await.unwrap();
        Instance { spec, heard, log: String::new() }
    }

    /// An instance of one process that runs this body of `request`, ready.
    pub async fn request(&self, body: &str) -> (Instance, Arc<Process>) {
        let body = body.replace('\n', "\n        ");
        let code = format!("class Deployment:\n    def request(self, data):\n        {body}\n");
        let mut instance = self.start(self.spec(&code)).await;
        let process = instance.ready();
        (instance, process)
    }

    /// Stops everything; nothing may be left.
    pub async fn close(self) {
        self.runner.shut_down().await;
        assert_eq!(self.left_over(), Vec::<String>::new());
    }

    /// What this bench has on the host: cgroups and folders.
    pub fn left_over(&self) -> Vec<String> {
        let mut left = cgroups_of(&self.installation);
        for folder in ["scratch", "records"] {
            let entries = fs::read_dir(self.folder.path().join("runner").join(folder)).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path().display().to_string()));
        }
        left
    }
}

fn context() -> Map<String, Value> {
    let Value::Object(context) = json!({"project": "p", "environment_variables": {}}) else { unreachable!() };
    context
}

/// The cgroup folders of an installation, wherever they are.
pub fn cgroups_of(installation: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy() == format!("modelyard-{installation}") {
                    found.push(entry.path().display().to_string());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

/// The processes of this host whose command line holds a text.
pub fn processes_with(text: &str) -> Vec<i32> {
    let lives = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(text) {
            found.push(pid);
        }
    }
    found.retain(lives);
    found
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < patience, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Instance {
    pub fn hear(&mut self) -> Heard {
        let heard = self.heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("silence; log: {}", self.log));
        if let Heard::Event(_, ProcessEvent::Log { text, .. }) = &heard {
            self.log.push_str(text);
            self.log.push('\n');
        }
        heard
    }

    /// The next event that the picker picks; others are passed over.
    pub fn wait<T>(&mut self, mut pick: impl FnMut(ProcessKey, ProcessEvent) -> Option<T>) -> T {
        loop {
            match self.hear() {
                Heard::Event(from, event) => {
                    if let Some(picked) = pick(from, event) {
                        return picked;
                    }
                }
                Heard::Ended(_, ended) => panic!("the instance ended: {ended:?}; log: {}", self.log),
            }
        }
    }

    pub fn ready(&mut self) -> Arc<Process> {
        self.wait(|_, event| match event {
            ProcessEvent::Ready { process, .. } => Some(process),
            _ => None,
        })
    }

    pub fn gone(&mut self) -> Gone {
        self.wait(|_, event| match event {
            ProcessEvent::Gone(gone) => Some(gone),
            _ => None,
        })
    }

    pub fn started(&mut self, call: u64) {
        self.wait(|_, event| matches!(event, ProcessEvent::Started(of) if of == call).then_some(()));
    }

    /// Calls, and waits for the answer: JSON, or the message of the error.
    pub fn ask(&mut self, process: &Process, call: u64, data: &str) -> Result<Value, String> {
        hand(process, call, data);
        self.wait(|_, event| match event {
            ProcessEvent::Result(of, body, _) if of == call => Some(Ok(serde_json::from_slice(&body).unwrap())),
            ProcessEvent::Error(of, error) if of == call => Some(Err(error.message)),
            ProcessEvent::Gone(gone) => Some(Err(gone.reason)),
            _ => None,
        })
    }

    pub fn ended(&mut self) -> Ended {
        loop {
            if let Heard::Ended(instance, ended) = self.hear() {
                assert_eq!(instance, self.spec.instance);
                return ended;
            }
        }
    }
}

/// Hands over a call whose body is a text.
pub fn hand(process: &Process, call: u64, data: &str) {
    let context = json!({"id": "r", "request_mode": "express", "user_id": "u"}).to_string();
    process.call(call, 1, &Bytes::from(context), &Bytes::from(data.to_owned()), vec![]).unwrap();
}
