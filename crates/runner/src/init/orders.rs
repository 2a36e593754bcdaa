//! What the server tells the first process of an instance, and what that one reports.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// From the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Try what the host offers, report it, and exit.
    Probe(ProbeOrder),
    /// Put up the walls. Always the first order of an instance.
    Build(Box<Plan>),
    /// Start a worker. Three descriptors come with it: the worker's socket, its output and its error output.
    Spawn(Spawn),
    /// Tell a worker that a cancel frame is in its socket.
    Interrupt {
        /// The number it was spawned with.
        serial: u64,
    },
    /// Tell a worker that a frame is in its socket that is not about the call in work.
    Recall {
        /// The number it was spawned with.
        serial: u64,
    },
    /// End a worker and what it started.
    Kill {
        /// The number it was spawned with.
        serial: u64,
    },
}

/// To the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// What the host offers.
    Probed(Box<Offered>),
    /// The first process of the instance is another than the one the server started.
    Forked { pid: i32 },
    /// The network of the instance is there. Its sockets come with it, in the order of [`Network`].
    Listening,
    /// The walls stand.
    Built { micros: u64 },
    /// The walls do not stand, and the instance is over.
    Failed { reason: String },
    /// A worker could not be started. Its `Exited` follows.
    NotStarted { serial: u64, reason: String },
    /// A worker ended.
    Exited { serial: u64, status: Option<i32>, signal: Option<i32> },
}

/// What to try.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProbeOrder {
    /// A folder of our own, for mounts.
    pub scratch: String,
    /// A user id to change to.
    pub uid: u32,
}

/// What was tried: nothing where it worked, else why not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offered {
    pub own_ids: Option<String>,
    pub namespaces_as_root: Option<String>,
    pub user_namespace: Option<String>,
    pub pid_namespace: Option<String>,
    pub mount_namespace: Option<String>,
    pub ipc_and_uts_namespaces: Option<String>,
    pub network_namespace: Option<String>,
    pub links: Option<String>,
    pub fresh_proc: Option<String>,
    pub overlay: Option<String>,
    pub landlock: Option<String>,
    /// Which version of Landlock there is.
    pub landlock_version: i32,
    pub seccomp: Option<String>,
}

/// The user and group of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids {
    pub uid: u32,
    pub gid: u32,
}

/// The walls of an instance, and what its workers find between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Namespaces are made inside a user namespace, since the server is an ordinary user.
    pub user_namespace: bool,
    /// PID, mount, IPC and UTS namespaces, and a root of its own at this folder.
    pub root: Option<String>,
    /// How the root is filled, in order.
    pub steps: Vec<Step>,
    /// Who the workers are; as the server when absent.
    pub ids: Option<Ids>,
    /// A network of its own; the host's when absent.
    pub network: Option<Network>,
    /// Files into which a process writes `0` to join a cgroup.
    pub join: Vec<String>,
    /// A cgroup folder of version 2 to be born into.
    pub born_in: Option<String>,
    /// Resource limits: number of the resource and value.
    pub limits: Vec<(u32, u64)>,
    /// What workers can reach at most, by Landlock.
    pub reach: Option<Reach>,
    /// Workers may not make all system calls.
    pub seccomp: bool,
    /// The environment variables of the workers, all of them.
    pub env: Vec<(String, String)>,
    /// The folder workers start in, as they see it.
    pub folder: String,
}

/// Files that workers can reach; paths as they see them. What does not exist is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// Read and run.
    pub read: Vec<String>,
    /// Read and written, but nothing made.
    pub devices: Vec<String>,
    /// Everything.
    pub write: Vec<String>,
}

/// The network of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// The way out; without one there is none.
    pub link: Option<Link>,
    /// Where the server is to be found: the server gets a TCP socket that listens there.
    pub platform: Option<SocketAddr>,
    /// Where names are resolved: the server gets a UDP socket, and a TCP socket that listens.
    pub names: Option<SocketAddr>,
}

/// A link between the host and an instance. Both addresses are a network of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The name of the host's end.
    pub name: String,
    /// The address of the host's end.
    pub host: Ipv4Addr,
    /// The address of the instance.
    pub inside: Ipv4Addr,
}

/// A step in filling a root. `at` is a path as the workers see it, `from` one as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// An empty folder.
    Folder { at: String, mode: u32 },
    /// A small file.
    File { at: String, text: String },
    /// A symbolic link.
    Link { at: String, to: String },
    /// A folder or file of the host.
    Bind { at: String, from: String, write: bool },
    /// A device of the host.
    Device { at: String, from: String },
    /// A folder in memory.
    Memory { at: String, mode: u32, bytes: u64 },
    /// A view of the instance's own processes.
    Proc { at: String },
    /// A folder whose changes land elsewhere. `view` is an empty folder of the server, for a view of `lower` as the workers' own.
    Overlay { at: String, lower: String, view: String, upper: String, work: String },
    /// Folders of the server over each other, the uppermost first; read-only.
    Layers { at: String, lowers: Vec<String> },
    /// A copy of a folder, belonging to the workers. Both are paths of the server.
    Copy { from: String, to: String },
}

/// A worker to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spawn {
    /// Never used twice in an instance.
    pub serial: u64,
    /// The program and its arguments; `--spawned` and the monotonic clock in microseconds are added. Its socket is
    /// descriptor 3.
    pub command: Vec<String>,
    /// The program cannot read a socket: a relay does for it, and passes on what concerns it by pipes whose names are added as
    /// `--from` and `--to`.
    pub relayed: bool,
}
