//! Starts the programs that handle what users send: uv with the builds it runs, and the look at a package's code.
//!
//! A source package runs its own code when it is built, so these programs must not be us:
//! - They get a mount namespace in which home folders, temporary folders, `/run` and our data are empty, but for the
//!   paths they are given (see [`super::view`]). That is also what makes a Python below `/root` usable by another user:
//!   the folder of mode 0700 is covered, and the interpreter appears in the cover at its own path.
//! - They get a PID namespace, whose end ends all of them, however they detached themselves.
//! - When the server is root, they get a user id of their own. They can never get another one (`no_new_privs`).
//!
//! An ordinary user makes these namespaces inside of a user namespace. Where the host forbids them, root still changes
//! the user id, and Landlock keeps files: a program reaches the host's programs and libraries and the paths it is given. Without
//! Landlock too, an ordinary user's builds run as that user with nothing hidden; a warning says so. [`spawn`] is the only door.

use std::{
    ffi::{CStr, CString, OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{OnceLock, mpsc},
};

use landlock::RulesetCreated;
use nix::sys::resource::{Resource, setrlimit};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

use super::view::View;
use crate::{
    init::{calls::Filters, reach},
    walls::Host,
};

/// The user that confined programs run as when the server is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildUser {
    /// User id; never 0.
    pub uid: u32,
    /// Group id; never 0.
    pub gid: u32,
}

impl Default for BuildUser {
    /// An id that no distribution gives to anybody.
    fn default() -> Self {
        Self { uid: 60_900, gid: 60_900 }
    }
}

/// A path that a confined program needs.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub path: PathBuf,
    pub writable: bool,
}

/// A program to start, and all that it may know and reach.
#[derive(Debug, Clone)]
pub(crate) struct Confined {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    pub folder: PathBuf,
    pub sees: Vec<Seen>,
    /// Folders of ours to cover, beside those that are always covered.
    pub hides: Vec<PathBuf>,
    pub user: BuildUser,
    /// Seconds of processor time and bytes of memory for each of its processes.
    pub cpu_seconds: Option<u64>,
    pub memory_bytes: Option<u64>,
    /// Bytes of memory of its own for each of its processes, without files it maps and room it only reserves.
    pub data_bytes: Option<u64>,
    /// Files of cgroups that it joins, by writing `0`.
    pub joins: Vec<PathBuf>,
    /// It has no network, not even a loopback that is up; where the host lets us make namespaces of networks.
    pub offline: bool,
    /// The folder of the system packages that it sees over the host's programs and configuration.
    pub layer: Option<PathBuf>,
    /// It is our own program, which puts up its walls itself: it stays who we are and sees what we see.
    pub own_walls: bool,
}

impl Confined {
    /// A program with nothing.
    pub(crate) fn of(program: PathBuf, user: BuildUser) -> Self {
        Self {
            program,
            args: Vec::new(),
            env: Vec::new(),
            folder: PathBuf::from("/"),
            sees: Vec::new(),
            hides: Vec::new(),
            user,
            cpu_seconds: None,
            memory_bytes: None,
            data_bytes: None,
            joins: Vec::new(),
            offline: false,
            layer: None,
            own_walls: false,
        }
    }
}

/// Whether confined programs get a user of their own, because we are root.
pub(crate) fn changes_user() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this host lets us make namespaces; tried once.
pub(super) fn has_namespaces() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let works = try_namespaces(false);
        if !works && reach::version() < 1 {
            tracing::warn!("this host has neither namespaces nor Landlock, so builds can see what their user can see");
        }
        works
    })
}

/// Whether this host lets us make namespaces of networks, too; tried once.
fn has_network_namespaces() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| has_namespaces() && try_namespaces(true))
}

fn try_namespaces(offline: bool) -> bool {
    let (Ok(view), Ok(namespaces)) = (View::plan(&[], &[], None), Namespaces::plan(offline)) else { return false };
    let mut trial = std::process::Command::new("/bin/true");
    // SAFETY: the closure only makes system calls on values that were made before the fork.
    unsafe { trial.pre_exec(move || namespaces.enter().and_then(|()| view.enter())) };
    trial.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The namespaces of a program. An ordinary user may make them only inside of a user namespace.
struct Namespaces {
    flags: libc::c_int,
    /// What to write where, so that the user is itself in its user namespace.
    maps: Vec<(&'static CStr, String)>,
}

impl Namespaces {
    fn plan(offline: bool) -> io::Result<Self> {
        let network = if offline { libc::CLONE_NEWNET } else { 0 };
        let flags = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | network;
        if changes_user() {
            return Ok(Self { flags, maps: Vec::new() });
        }
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let maps = vec![
            (c"/proc/self/setgroups", "deny".to_owned()),
            (c"/proc/self/uid_map", format!("{uid} {uid} 1")),
            (c"/proc/self/gid_map", format!("{gid} {gid} 1")),
        ];
        Ok(Self { flags: flags | libc::CLONE_NEWUSER, maps })
    }

    /// Runs in the child. The PID namespace holds only for the processes it makes from now on.
    unsafe fn enter(&self) -> io::Result<()> {
        // SAFETY (of all calls below): plain system calls; strings end in NUL or come with their length.
        unsafe {
            check(libc::unshare(self.flags))?;
            for (path, text) in &self.maps {
                let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                check(file)?;
                let written = libc::write(file, text.as_ptr().cast(), text.len());
                check(if written < 0 { -1 } else { 0 })?;
                libc::close(file);
            }
        }
        Ok(())
    }
}

/// Starts a program in its confinement, with its output in pipes and in a process group of its own.
pub(crate) async fn spawn(confined: &Confined) -> io::Result<Child> {
    spawn_in(confined, has_namespaces()).await
}

/// The same, with namespaces or without.
pub(super) async fn spawn_in(confined: &Confined, namespaces: bool) -> io::Result<Child> {
    if changes_user() && (confined.user.uid == 0 || confined.user.gid == 0) {
        return Err(io::Error::other("the build user is root"));
    }
    let walls = Walls::plan(confined, namespaces)?;
    let mut command = std::process::Command::new(&confined.program);
    command
        .args(&confined.args)
        .env_clear()
        .envs(confined.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // SAFETY: between fork and exec, `enter` only makes system calls on values that were made before the fork.
    unsafe { command.pre_exec(move || walls.enter()) };
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    on_long_lived_thread(move || command.spawn()).await
}

/// Runs `start` on a thread that lives as long as the process.
///
/// The signal that ends a child with its parent follows the thread that made it, and a runtime's threads come and go.
async fn on_long_lived_thread(start: impl FnOnce() -> io::Result<Child> + Send + 'static) -> io::Result<Child> {
    type Task = Box<dyn FnOnce() + Send>;
    static THREAD: OnceLock<mpsc::Sender<Task>> = OnceLock::new();
    let tasks = THREAD.get_or_init(|| {
        let (sender, tasks) = mpsc::channel::<Task>();
        let _ =
            std::thread::Builder::new().name("confined".to_owned()).spawn(move || tasks.iter().for_each(|task| task()));
        sender
    });
    let runtime = Handle::current();
    let (answer, answered) = oneshot::channel();
    let task = move || {
        let _runtime = runtime.enter();
        let _ = answer.send(start());
    };
    tasks.send(Box::new(task)).map_err(|_| io::Error::other("the thread that starts programs is gone"))?;
    answered.await.map_err(|_| io::Error::other("the thread that starts programs is gone"))?
}

/// Everything the child needs to confine itself, made before the fork.
struct Walls {
    folder: CString,
    user: Option<BuildUser>,
    view: Option<(Namespaces, View)>,
    limits: Vec<(Resource, u64)>,
    joins: Vec<CString>,
    /// Landlock's, where no view hides anything.
    rules: Option<RulesetCreated>,
    filters: Option<Filters>,
}

impl Walls {
    fn plan(confined: &Confined, namespaces: bool) -> io::Result<Self> {
        let own = confined.own_walls;
        let user = (changes_user() && !own).then_some(confined.user);
        let offline = confined.offline && has_network_namespaces();
        let plan = || {
            let view = View::plan(&confined.sees, &confined.hides, confined.layer.as_deref())?;
            Ok::<_, io::Error>((Namespaces::plan(offline)?, view))
        };
        let view = if namespaces && !own { Some(plan()?) } else { None };
        let ruled = view.is_none() && !own && reach::version() >= 1;
        let rules = ruled.then(|| rules(&confined.sees)).transpose()?;
        if user.is_some() && view.is_none() {
            reachable(&confined.sees)?;
        }
        let mut limits = vec![(Resource::RLIMIT_CORE, 0)];
        limits.extend(confined.cpu_seconds.map(|seconds| (Resource::RLIMIT_CPU, seconds)));
        limits.extend(confined.memory_bytes.map(|bytes| (Resource::RLIMIT_AS, bytes)));
        limits.extend(confined.data_bytes.map(|bytes| (Resource::RLIMIT_DATA, bytes)));
        // The limit counts all processes of the user; only one who runs nothing else can be held to it.
        limits.extend(user.map(|_| (Resource::RLIMIT_NPROC, 4096)));
        let joins = confined.joins.iter().map(|file| c_string(file)).collect::<io::Result<_>>()?;
        // Without them on processors that they are not written for.
        let filters = filters().clone().filter(|_| !own);
        Ok(Self { folder: c_string(&confined.folder)?, user, view, limits, joins, rules, filters })
    }

    /// Runs in the child, before the program.
    fn enter(&self) -> io::Result<()> {
        // SAFETY (of all calls below): plain system calls; strings end in NUL and outlive the calls.
        unsafe {
            libc::umask(0o022);
            self.joins.iter().try_for_each(|file| join(file))?;
            if let Some((namespaces, view)) = &self.view {
                namespaces.enter()?;
                fork_into_namespace()?;
                view.enter()?;
            }
            check(libc::chdir(self.folder.as_ptr()))?;
            for &(resource, value) in &self.limits {
                setrlimit(resource, value, value)?;
            }
            if let Some(user) = self.user {
                check(libc::setgroups(0, std::ptr::null()))?;
                check(libc::setresgid(user.gid, user.gid, user.gid))?;
                check(libc::setresuid(user.uid, user.uid, user.uid))?;
            }
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            // Last, because a change of the user clears it.
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        }
        let refused = |_| io::Error::from_raw_os_error(libc::EPERM);
        self.rules.as_ref().map_or(Ok(()), reach::take).map_err(refused)?;
        match &self.filters {
            Some(filters) => filters.take().map_err(|_| io::Error::from_raw_os_error(libc::EPERM)),
            None => Ok(()),
        }
    }
}

/// The files of a program that has no view of its own.
fn rules(sees: &[Seen]) -> io::Result<RulesetCreated> {
    let mut reach = Host::look().programs();
    for Seen { path, writable } in sees {
        let path = path.to_str().ok_or_else(|| io::Error::other("a path is not UTF-8"))?.to_owned();
        if *writable { reach.write.push(path) } else { reach.read.push(path) }
    }
    reach::rules(&reach).map_err(io::Error::other)
}

/// The filters of system calls, built once.
fn filters() -> &'static Option<Filters> {
    static BUILT: OnceLock<Option<Filters>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = Filters::build();
        built.inspect_err(|reason| tracing::warn!("builds may make any system call: {reason}")).ok()
    })
}

/// Lets this process join a cgroup. Runs between fork and exec.
unsafe fn join(file: &CStr) -> io::Result<()> {
    // SAFETY (of all calls below): plain system calls; the string ends in NUL, and the text comes with its length.
    unsafe {
        let file = libc::open(file.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(file)?;
        let written = libc::write(file, c"0".as_ptr().cast(), 1);
        let joined = check(if written < 0 { -1 } else { 0 });
        libc::close(file);
        joined
    }
}

/// Goes on as the first process of the new PID namespace; the process that called waits for it and ends as it ended.
unsafe fn fork_into_namespace() -> io::Result<()> {
    // SAFETY: this process has one thread, so a fork is whole; the parent makes only system calls and never returns.
    unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        let first = libc::fork();
        check(first)?;
        if first == 0 {
            return Ok(());
        }
        // The pipes must close when the program's own ends do.
        if libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) < 0 {
            for descriptor in 0..4096 {
                libc::close(descriptor);
            }
        }
        let mut status = 0;
        while libc::waitpid(first, &mut status, 0) < 0 {
            if *libc::__errno_location() != libc::EINTR {
                libc::_exit(127);
            }
        }
        if libc::WIFSIGNALED(status) {
            libc::_exit(128 + libc::WTERMSIG(status));
        }
        libc::_exit(libc::WEXITSTATUS(status))
    }
}

/// Says which path the build user cannot reach, when nothing can be mounted to make it reachable.
fn reachable(sees: &[Seen]) -> io::Result<()> {
    for seen in sees {
        if let Some(closed) = super::view::closed_ancestor(&seen.path) {
            return Err(io::Error::other(format!(
                "{} lies below {}, which the build user may not enter. Move it to a place that is open to all users, \
                 or run the server as an ordinary user",
                seen.path.display(),
                closed.display()
            )));
        }
    }
    Ok(())
}

pub(super) fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(super) fn c_string(path: &Path) -> io::Result<CString> {
    let bytes: &OsStr = path.as_os_str();
    CString::new(bytes.as_bytes()).map_err(|_| io::Error::other("a path holds a NUL byte"))
}
