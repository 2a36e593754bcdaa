//! The attacks, and how each of them ends.

use super::column::Column;

/// How an attack ends at a level.
#[derive(Debug, Clone, Copy)]
pub enum Cell {
    /// A wall stops it, and this is what user code sees of that.
    Stopped { by: &'static str, sees: &'static str },
    /// Nothing stops it, and it is not tried.
    Open,
}

use Cell::Open;

/// An attack.
pub struct Attack {
    /// What it does, for people.
    pub name: &'static str,
    /// The function in `attacks.py`.
    pub code: &'static str,
    /// How it ends in each column.
    pub cells: [Cell; Column::ALL.len()],
}

const fn stopped(by: &'static str, sees: &'static str) -> Cell {
    Cell::Stopped { by, sees }
}

const DENIED: &str = "Permission denied";
const REFUSED: &str = "Operation not permitted";
const ABSENT: &str = "No such file or directory";

const MOUNTS: Cell = stopped("mount namespace", ABSENT);
const LANDLOCK: Cell = stopped("Landlock", DENIED);
const USER: Cell = stopped("own user id", DENIED);
const SECCOMP: Cell = stopped("seccomp", REFUSED);
const RIGHTS: Cell = stopped("no capabilities", REFUSED);

/// An attack that needs a system call, and no rights.
const fn calls(name: &'static str, code: &'static str) -> Attack {
    Attack { name, code, cells: [SECCOMP, SECCOMP, SECCOMP, Open, Open] }
}

/// An attack that needs a system call and rights.
const fn privileged(name: &'static str, code: &'static str) -> Attack {
    Attack { name, code, cells: [SECCOMP, SECCOMP, SECCOMP, RIGHTS, RIGHTS] }
}

/// An attack that meets the same limit everywhere.
const fn limited(name: &'static str, code: &'static str, by: &'static str, sees: &'static str) -> Attack {
    Attack { name, code, cells: [stopped(by, sees); 5] }
}

const fn attack(name: &'static str, code: &'static str, cells: [Cell; 5]) -> Attack {
    Attack { name, code, cells }
}

const FULL: &str = "The instance used more scratch space than its instance type has";

/// Those that user code tells of itself.
pub const ATTACKS: [Attack; 33] = [
    attack(
        "read `/etc/shadow`",
        "read_shadow",
        [MOUNTS, LANDLOCK, LANDLOCK, USER, stopped("rights of the file", DENIED)],
    ),
    attack("read the database in the data folder", "read_database", [MOUNTS, LANDLOCK, LANDLOCK, USER, Open]),
    attack(
        "read a file of the host that everybody may read",
        "read_host_file",
        [MOUNTS, LANDLOCK, LANDLOCK, Open, Open],
    ),
    attack("read another instance's scratch", "read_scratch", [MOUNTS, LANDLOCK, LANDLOCK, USER, Open]),
    attack(
        "connect to another instance's abstract socket",
        "reach_socket",
        [
            stopped("network namespace", "Connection refused"),
            stopped("Landlock", REFUSED),
            stopped("Landlock", REFUSED),
            Open,
            Open,
        ],
    ),
    attack(
        "change the environment, which others use too",
        "change_environment",
        [stopped("read-only mount", "Read-only file system"), LANDLOCK, LANDLOCK, USER, Open],
    ),
    attack(
        "read the environment variables of process 1",
        "first_environment",
        [
            stopped("PID namespace", DENIED),
            USER,
            stopped("rights of the file", DENIED),
            USER,
            stopped("rights of the file", DENIED),
        ],
    ),
    attack(
        "read the environment variables of the server",
        "server_environment",
        [stopped("PID namespace", ABSENT), USER, LANDLOCK, USER, Open],
    ),
    limited(
        "find the server's environment variables in its own",
        "own_environment",
        "nothing is inherited",
        "not passed on",
    ),
    attack(
        "see the server among the processes",
        "see_processes",
        [stopped("PID namespace", "not there"), Open, Open, Open, Open],
    ),
    attack(
        "send a signal to the server",
        "signal_server",
        [
            stopped("PID namespace", "No such process"),
            stopped("own user id", REFUSED),
            stopped("Landlock", REFUSED),
            stopped("own user id", REFUSED),
            Open,
        ],
    ),
    attack(
        "read the memory of the instance's first process",
        "read_memory",
        [SECCOMP, SECCOMP, SECCOMP, stopped("closed memory", REFUSED), stopped("closed memory", REFUSED)],
    ),
    calls("trace a process", "trace"),
    privileged("open a raw socket", "raw_socket"),
    privileged("open a packet socket", "packet_socket"),
    privileged("mount a file system", "mount"),
    calls("make a user namespace", "user_namespace"),
    privileged("change the root", "change_root"),
    privileged("load a kernel module", "load_module"),
    calls("reach the kernel's keys", "kernel_keys"),
    calls("load a program into the kernel (bpf)", "load_filter"),
    attack(
        "use io_uring",
        "ring",
        [
            stopped("seccomp", "Function not implemented"),
            stopped("seccomp", "Function not implemented"),
            stopped("seccomp", "Function not implemented"),
            Open,
            Open,
        ],
    ),
    calls("handle page faults (userfaultfd)", "page_faults"),
    limited("run a set-user-id program of root", "set_user_id", "no_new_privs", "ran as itself"),
    limited("become root", "become_root", "no capabilities", REFUSED),
    attack(
        "write a setting of the kernel",
        "kernel_setting",
        [stopped("own user id", DENIED), LANDLOCK, LANDLOCK, USER, stopped("rights of the file", DENIED)],
    ),
    limited("make a device", "make_device", "no capabilities", REFUSED),
    attack(
        "fork without end",
        "fork_bomb",
        [
            stopped("cgroup pids", "Resource temporarily unavailable"),
            stopped("resource limit", "Resource temporarily unavailable"),
            stopped("resource limit", "Resource temporarily unavailable"),
            stopped("resource limit", "Resource temporarily unavailable"),
            stopped("resource limit", "Resource temporarily unavailable"),
        ],
    ),
    limited("open files without end", "open_files", "resource limit", "Too many open files"),
    limited("write one large file", "large_file", "resource limit", "File too large"),
    limited("fill the disk with many files", "fill_disk", "scratch limit", FULL),
    attack(
        "fill the disk with deleted files",
        "fill_disk_unseen",
        [stopped("scratch limit", FULL), Open, Open, Open, Open],
    ),
    attack(
        "use more memory than the instance type has",
        "fill_memory",
        [
            stopped("cgroup memory", "The process used more memory than the 256 MB of its instance type"),
            stopped("resource limit", "MemoryError"),
            stopped("resource limit", "MemoryError"),
            stopped("resource limit", "MemoryError"),
            stopped("resource limit", "MemoryError"),
        ],
    ),
];

const ORDINARY: &str = "is no ordinary file";
const BROKEN: &str = "The worker process broke the protocol";

/// Those by files of requests.
pub const BY_FILES: [Attack; 7] = [
    attack("hand back a link to a file of the server", "link", [MOUNTS, LANDLOCK, LANDLOCK, USER, Open]),
    limited("hand back a pipe that nobody writes to", "pipe", "check of the worker", ORDINARY),
    limited("hand back a device that never ends", "device", "check of the worker", ORDINARY),
    limited("hand back a file of the kernel", "kernel_file", "check of the worker", ORDINARY),
    limited("send the server a pipe as a file, past the worker", "forged_pipe", "check of the server", BROKEN),
    limited("send the server files without end", "forged_without_end", "check of the server", BROKEN),
    limited(
        "be given a file whose name leads elsewhere by `..`",
        "given",
        "a folder for each request",
        "a file in that folder",
    ),
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Attack> {
    ATTACKS.iter().chain(&BY_FILES)
}

/// The table as the documentation has it.
pub fn table() -> String {
    let heads: Vec<_> = Column::ALL.iter().map(|column| column.title()).collect();
    let mut text = format!("| attack | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for attack in all() {
        let cells: Vec<_> = attack.cells.iter().map(written).collect();
        text += &format!("| {} | {} |\n", attack.name, cells.join(" | "));
    }
    text
}

fn written(cell: &Cell) -> String {
    match cell {
        Cell::Stopped { by, sees } => format!("{by}: *{sees}*"),
        Cell::Open => "**not stopped**".into(),
    }
}
