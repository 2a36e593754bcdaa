//! The commands of a build: lock, make, install, compile.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    BuildError, Limits, Log,
    confined::{BuildUser, Confined, Seen},
    run::{Done, Ended, Run, run},
};
use crate::{
    interpreters::Interpreter,
    uv::{Index, Uv},
};

/// The longest lock that is taken from uv.
const MOST_LOCK: u64 = 16 << 20;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What all steps of one build share.
#[derive(Clone)]
pub(super) struct Steps<'a> {
    pub uv: &'a Uv,
    pub index: &'a Index,
    /// Index options of the requirements themselves.
    pub options: &'a [String],
    pub interpreter: &'a Interpreter,
    /// Variables for the steps that run code of packages.
    pub given: &'a [(String, String)],
    /// The folder of the system packages, for the same steps.
    pub layer: Option<PathBuf>,
    pub user: BuildUser,
    /// The folder of all environments and caches, of which a step sees only what it needs.
    pub root: &'a Path,
    pub deadline: Instant,
    pub time_limit: Duration,
    pub limits: &'a Limits,
    pub cancel: &'a CancellationToken,
}

/// Where a step works and what it may write to beside.
pub(super) struct Place<'a> {
    pub work: &'a Path,
    pub cache: Option<&'a Path>,
    pub writes: &'a [&'a Path],
    /// An environment that is only read.
    pub reads: Option<&'a Path>,
    /// The environment that is filled.
    pub fills: Option<&'a Path>,
    /// The cache in which source packages are built: what it grows by counts.
    pub builds_in: Option<&'a Path>,
}

/// How packages get into an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Install {
    /// Wheels only, linked from the cache: no code of a package runs.
    Wheels,
    /// Source packages are built, which runs their code; files are copied, so that no later build can change them.
    Sources {
        /// Whether the lock has a hash for each package.
        hashes: bool,
    },
}

impl Steps<'_> {
    /// Finds the versions that `requirements.txt` in the place stands for, with their hashes.
    pub async fn lock(&self, place: &Place<'_>, log: Log<'_>, more: &[&str]) -> Result<Done, BuildError> {
        let mut args = self.uv_args(&["pip", "compile", "requirements.txt", "--generate-hashes"], place);
        args.extend(["--no-header", "--no-annotate", "--python"].map(OsString::from));
        args.push(self.interpreter.path.clone().into());
        args.extend(more.iter().map(OsString::from));
        self.add_index(&mut args);
        self.run(self.given(self.confined(self.uv.path.clone(), args, place)), place, log).await
    }

    /// Makes an empty environment.
    pub async fn make(&self, environment: &Path, place: &Place<'_>, log: Log<'_>) -> Result<Done, BuildError> {
        let mut args = self.uv_args(&["venv", "--no-project"], place);
        args.push("--python".into());
        args.push(self.interpreter.path.clone().into());
        args.push(environment.into());
        self.run(self.confined(self.uv.path.clone(), args, place), place, log).await
    }

    /// Installs what `lock.txt` in the place names.
    pub async fn install(
        &self,
        environment: &Path,
        how: Install,
        place: &Place<'_>,
        log: Log<'_>,
    ) -> Result<Done, BuildError> {
        let mut args = self.uv_args(&["pip", "sync", "lock.txt"], place);
        args.push("--python".into());
        args.push(environment.join("bin/python").into());
        let options: &[&str] = match how {
            Install::Wheels => &["--require-hashes", "--no-build", "--link-mode", "hardlink"],
            Install::Sources { hashes: true } => &["--require-hashes", "--link-mode", "copy"],
            Install::Sources { hashes: false } => &["--link-mode", "copy"],
        };
        args.extend(options.iter().map(OsString::from));
        self.add_index(&mut args);
        let confined = self.confined(self.uv.path.clone(), args, place);
        // What is installed from wheels is shared with everybody: nothing of this build's own may have a hand in it.
        let confined = if how == Install::Wheels { confined } else { self.given(confined) };
        self.run(confined, place, log).await
    }

    /// Compiles the installed modules, because the environment is read-only later and each start would do it again.
    ///
    /// The base interpreter does it without site packages, so that no `.pth` file of a package runs. A module that
    /// cannot be compiled is left alone, and so are the tests that large packages carry: they are half of the work.
    pub async fn compile(&self, environment: &Path, place: &Place<'_>) -> Result<(), BuildError> {
        let mut args: Vec<OsString> =
            ["-I", "-S", "-m", "compileall", "-q", "-j", "0", "-x", "site-packages/.*/tests/"]
                .map(OsString::from)
                .to_vec();
        args.push(environment.join("lib").into());
        let confined = self.confined(self.interpreter.path.clone(), args, place);
        self.run(Confined { offline: true, ..confined }, place, &|_| {}).await.map(drop)
    }

    /// Runs code in the Python of the environment that the place reads, without network.
    pub async fn python(
        &self,
        options: &[&str],
        code_and_args: &[&str],
        place: &Place<'_>,
        log: Log<'_>,
    ) -> Result<Done, BuildError> {
        let python = place.reads.map(|environment| environment.join("bin/python"));
        let python = python.ok_or_else(|| io::Error::other("no environment to run in"))?;
        let args = ["-I", "-B"].iter().chain(options).chain(&["-c"]).chain(code_and_args).map(OsString::from).collect();
        let layer = self.layer.clone();
        self.run(Confined { offline: true, layer, ..self.confined(python, args, place) }, place, log).await
    }

    /// Runs a command of the shell's that runs code of packages.
    pub async fn run_shell(&self, args: Vec<OsString>, place: &Place<'_>, log: Log<'_>) -> Result<Done, BuildError> {
        self.run(self.given(self.confined("/bin/sh".into(), args, place)), place, log).await
    }

    fn uv_args(&self, command: &[&str], place: &Place<'_>) -> Vec<OsString> {
        let mut args: Vec<OsString> = command.iter().map(OsString::from).collect();
        match self.index.config {
            Some(_) => args.extend(["--config-file".into(), place.work.join("uv.toml").into()]),
            None => args.push("--no-config".into()),
        }
        args
    }

    fn add_index(&self, args: &mut Vec<OsString>) {
        args.extend(self.index.args.iter().chain(self.options).map(OsString::from));
    }

    fn confined(&self, program: PathBuf, args: Vec<OsString>, place: &Place<'_>) -> Confined {
        let mut sees = Vec::new();
        let mut see = |path: &Path, writable| sees.push(Seen { path: path.to_path_buf(), writable });
        see(&self.uv.path, false);
        see(&self.interpreter.path, false);
        see(&self.interpreter.base_prefix, false);
        self.index.files.iter().map(PathBuf::as_path).chain(place.reads).for_each(|path| see(path, false));
        place.writes.iter().copied().chain(place.cache).chain([place.work]).for_each(|path| see(path, true));
        Confined {
            args,
            env: self.env(place),
            folder: place.work.to_path_buf(),
            sees,
            hides: vec![self.root.to_path_buf()],
            ..Confined::of(program, self.user)
        }
    }

    /// With the variables of this build, over which ours win, and its system packages.
    fn given(&self, mut confined: Confined) -> Confined {
        confined.layer = self.layer.clone();
        let given = self.given.iter().map(|(name, value)| (name.into(), value.into()));
        confined.env.splice(..0, given);
        confined
    }

    fn env(&self, place: &Place<'_>) -> Vec<(OsString, OsString)> {
        let mut env: Vec<(OsString, OsString)> =
            self.index.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut set = |name: &str, value: OsString| env.push((name.into(), value));
        set("PATH", PATH.into());
        set("LANG", "C.UTF-8".into());
        set("HOME", place.work.join("home").into());
        set("TMPDIR", place.work.join("tmp").into());
        set("UV_NO_PROGRESS", "1".into());
        set("NO_COLOR", "1".into());
        set("UV_PYTHON_DOWNLOADS", "never".into());
        match place.cache {
            Some(cache) => set("UV_CACHE_DIR", cache.into()),
            None => set("UV_NO_CACHE", "1".into()),
        }
        env
    }

    async fn run(&self, confined: Confined, place: &Place<'_>, log: Log<'_>) -> Result<Done, BuildError> {
        let folders = place.fills.into_iter().chain([place.work]).map(Path::to_path_buf).collect();
        self.run_counted(confined, folders, place.builds_in, log).await
    }

    /// Runs a program within the limits of the build, to whose size these folders count, and what a cache grows by.
    pub async fn run_counted(
        &self,
        mut confined: Confined,
        folders: Vec<PathBuf>,
        cache: Option<&Path>,
        log: Log<'_>,
    ) -> Result<Done, BuildError> {
        let held = self.limits.hold();
        confined.joins = held.joins();
        if !held.is_group() {
            confined.data_bytes = Some(self.limits.memory);
        }
        let time = self.deadline.saturating_duration_since(Instant::now());
        let cancel = self.cancel.child_token();
        let limits = Run { time, cancel: &cancel, most_output: MOST_LOCK, log };
        let program = confined.program.clone();
        let running = run(confined, &limits);
        tokio::pin!(running);
        let ended = tokio::select! {
            ended = &mut running => ended,
            sentence = self.limits.outgrown(&folders, cache) => {
                cancel.cancel();
                // Its processes have ended when this has.
                let _ = running.await;
                return Err(BuildError::Failed(sentence));
            }
        };
        match ended {
            Ok(Ended::Done(done)) => Ok(Done { out_of_memory: held.out_of_memory(), ..done }),
            Ok(Ended::TimedOut) => Err(BuildError::TimedOut(self.time_limit)),
            Ok(Ended::Cancelled) => Err(BuildError::Cancelled),
            Err(error) => Err(BuildError::Io(io::Error::new(
                error.kind(),
                format!("{} cannot be run: {error}", program.display()),
            ))),
        }
    }
}
