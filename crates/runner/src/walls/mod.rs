//! The walls around user code: what the host offers, what is used of it, and how strong the whole is.
//!
//! Levels are named minimum sets. 3: a user of its own, PID and mount namespaces, cgroups for memory and processes. 2: PID
//! and mount namespaces, not root, resource limits. 1: a plain process that is not root. 0: nothing that may run user code.

mod offer;
pub(crate) mod root;

use std::io;
use std::path::Path;

pub(crate) use offer::launch;
pub(crate) use root::{Host, Inside, can_be_shown};

use crate::cgroup::{Cgroups, Controller};
use crate::init::orders::Offered;

/// One wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wall {
    /// Its name.
    pub name: &'static str,
    /// The host offers it.
    pub offered: bool,
    /// It stands around instances.
    pub used: bool,
    /// Why not, or how.
    pub detail: String,
}

/// What the walls are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Means {
    /// The server is root.
    pub root: bool,
    /// Each instance is a user of its own.
    pub own_ids: bool,
    /// PID, mount, IPC and UTS namespaces.
    pub namespaces: bool,
    /// They are made inside a user namespace.
    pub user_namespace: bool,
    /// A fresh `/proc`.
    pub proc: bool,
    /// Overlays.
    pub overlay: bool,
    /// Cgroups for memory.
    pub memory: bool,
    /// Cgroups for the number of processes.
    pub pids: bool,
}

/// All walls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walls {
    /// One by one.
    pub list: Vec<Wall>,
    /// The level they reach.
    pub level: u8,
    pub(crate) means: Means,
}

/// Tries what the host offers, in a process of its own, and chooses the best level not above `at_most`.
pub fn probe(launcher: &Path, scratch: &Path, uid: u32, cgroups: &Cgroups, at_most: u8) -> io::Result<Walls> {
    let offered = offer::ask(launcher, scratch, uid)?;
    Ok(Walls::from(&offered, nix::unistd::geteuid().is_root(), cgroups, at_most))
}

impl Walls {
    pub(crate) fn from(offered: &Offered, root: bool, cgroups: &Cgroups, at_most: u8) -> Self {
        let kinds = [&offered.pid_namespace, &offered.mount_namespace, &offered.ipc_and_uts_namespaces];
        // Root in a user namespace would still be root to the host's files.
        let reachable = offered.namespaces_as_root.is_none() || !root;
        let namespaces = at_most >= 2 && reachable && kinds.iter().all(|kind| kind.is_none());
        let means = Means {
            root,
            own_ids: offered.own_ids.is_none(),
            namespaces,
            user_namespace: namespaces && offered.namespaces_as_root.is_some(),
            proc: namespaces && offered.fresh_proc.is_none(),
            overlay: namespaces && offered.overlay.is_none(),
            memory: at_most >= 3 && cgroups.has(Controller::Memory),
            pids: at_most >= 3 && cgroups.has(Controller::Pids),
        };
        Self { list: list(offered, cgroups, means, at_most), level: means.level(), means }
    }

    /// The sentence that refuses to run user code below a level.
    #[must_use]
    pub fn refusal(&self, required: u8) -> String {
        if self.level == 0 {
            return "User code is not run: the server is root and cannot become another user".into();
        }
        let missing = self.list.iter().filter(|wall| !wall.offered && !wall.detail.contains(UNUSED));
        let missing: Vec<String> = missing.map(|wall| format!("{} ({})", wall.name, wall.detail)).collect();
        format!(
            "User code is not run: this host offers walls of level {} and level {required} is configured. Missing: {}. \
             `--unsafe-run` runs it all the same",
            self.level,
            missing.join(", "),
        )
    }
}

impl Means {
    fn level(self) -> u8 {
        match self {
            Self { root: true, own_ids: false, .. } => 0,
            Self { own_ids: true, namespaces: true, memory: true, pids: true, .. } => 3,
            Self { namespaces: true, .. } => 2,
            _ => 1,
        }
    }
}

/// What stands in the detail of walls that come later.
const UNUSED: &str = "not used yet";

fn list(offered: &Offered, cgroups: &Cgroups, means: Means, at_most: u8) -> Vec<Wall> {
    let wall = |name, refused: &Option<String>, used: bool| {
        let detail = match refused {
            Some(why) => why.clone(),
            None if used => String::new(),
            None => format!("offered; not used at level {at_most}"),
        };
        Wall { name, offered: refused.is_none(), used, detail }
    };
    let later = |name, refused: &Option<String>| Wall {
        name,
        offered: refused.is_none(),
        used: false,
        detail: refused.as_ref().map_or_else(|| UNUSED.to_owned(), |why| format!("{why}; {UNUSED}")),
    };
    let group = |name, of: Controller, used: bool| {
        let refused = (!cgroups.has(of)).then(|| "no cgroup of it is writable".to_owned());
        wall(name, &refused, used)
    };
    let mut user = wall("user namespace", &offered.user_namespace, means.user_namespace);
    if user.offered && !user.used && means.namespaces {
        user.detail = "not needed: the server is root".into();
    }
    vec![
        wall("own user id", &offered.own_ids, means.own_ids),
        user,
        wall("PID namespace", &offered.pid_namespace, means.namespaces),
        wall("mount namespace", &offered.mount_namespace, means.namespaces),
        wall("IPC and UTS namespaces", &offered.ipc_and_uts_namespaces, means.namespaces),
        wall("fresh /proc", &offered.fresh_proc, means.proc),
        wall("overlay", &offered.overlay, means.overlay),
        group("cgroup memory", Controller::Memory, means.memory),
        group("cgroup pids", Controller::Pids, means.pids),
        group("cgroup cpu", Controller::Cpu, means.memory && cgroups.has(Controller::Cpu)),
        wall("resource limits", &None, true),
        wall("no_new_privs", &None, true),
        later("network namespace", &offered.network_namespace),
        later("Landlock", &offered.landlock),
        later("seccomp", &offered.seccomp),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Option<String> {
        Some("Operation not permitted".into())
    }

    #[test]
    fn an_ordinary_user_reaches_level_2() {
        let offered = Offered { own_ids: refused(), namespaces_as_root: refused(), ..Offered::default() };
        let walls = Walls::from(&offered, false, &Cgroups::default(), 3);
        assert_eq!((walls.level, walls.means.user_namespace), (2, true));
        assert!(walls.refusal(3).contains("own user id (Operation not permitted)"), "{}", walls.refusal(3));
    }

    #[test]
    fn root_without_namespaces_is_level_1_and_root_alone_is_none() {
        let offered = Offered { namespaces_as_root: refused(), ..Offered::default() };
        assert_eq!(Walls::from(&offered, true, &Cgroups::default(), 3).level, 1);
        let offered = Offered { own_ids: refused(), ..Offered::default() };
        assert_eq!(Walls::from(&offered, true, &Cgroups::default(), 3).level, 0);
    }
}
