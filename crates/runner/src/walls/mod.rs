//! The walls around user code: what the host offers, what is used of it, and how strong the whole is.
//!
//! Levels are named minimum sets (docs/decisions/0015 and 0018). 3: a user of its own, PID and mount namespaces, a network of its
//! own, cgroups for memory and processes, Landlock, seccomp. 2: kept from the server's files and processes, by a user of its own, namespaces or
//! Landlock, and seccomp and resource limits. 1: a plain process that is not root. 0: nothing that may run user code.

mod network;
mod offer;
pub(crate) mod root;

use std::io;
use std::path::Path;

pub(crate) use network::Offers;
pub use network::{NetworkMode, Reach};
pub(crate) use offer::launch;
pub(crate) use root::{Host, Inside, can_be_shown};

use crate::cgroup::{Cgroups, Controller};
use crate::init::orders::Offered;
use crate::init::reach;

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
    /// Landlock keeps files.
    pub landlock: bool,
    /// Landlock keeps signals and abstract sockets in, too.
    pub scopes: bool,
    /// Filters of system calls.
    pub seccomp: bool,
}

/// All walls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walls {
    /// One by one.
    pub list: Vec<Wall>,
    /// The level they reach.
    pub level: u8,
    pub(crate) means: Means,
    pub(crate) network: Offers,
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
        let namespaces = at_most >= 3 && reachable && kinds.iter().all(|kind| kind.is_none());
        let means = Means {
            root,
            own_ids: offered.own_ids.is_none(),
            namespaces,
            user_namespace: namespaces && offered.namespaces_as_root.is_some(),
            proc: namespaces && offered.fresh_proc.is_none(),
            overlay: namespaces && offered.overlay.is_none(),
            memory: at_most >= 3 && cgroups.has(Controller::Memory),
            pids: at_most >= 3 && cgroups.has(Controller::Pids),
            landlock: at_most >= 2 && offered.landlock.is_none(),
            scopes: at_most >= 2 && offered.landlock.is_none() && offered.landlock_version >= reach::SCOPES,
            seccomp: at_most >= 2 && offered.seccomp.is_none(),
        };
        let network = Offers { namespace: offered.network_namespace.clone(), rules: offered.links.clone() };
        Self { list: list(offered, cgroups, means, at_most), level: means.level(), means, network }
    }

    /// With what stands between instances and the network. Those that share the host's are at level 2 at best.
    pub(crate) fn with_network(mut self, reach: &Reach) -> Self {
        self.list.extend(reach.walls());
        if !reach.is_apart() {
            self.level = self.level.min(2);
        }
        self
    }

    /// What this host lacks to install system packages, and to show them to instances; nothing when it has all.
    #[must_use]
    pub fn missing_for_system_packages(&self) -> Option<String> {
        let Means { root, namespaces, overlay, .. } = self.means;
        if !root {
            return Some("it does not run as root".to_owned());
        }
        let lacks = |name: &str| {
            let wall = self.list.iter().find(|wall| wall.name == name)?;
            Some(format!("it lacks the wall {name} ({})", wall.detail))
        };
        match (namespaces, overlay) {
            (true, true) => None,
            (true, false) => lacks("overlay"),
            (false, _) => lacks("mount namespace"),
        }
    }

    /// The sentence that refuses to run user code below a level.
    #[must_use]
    pub fn refusal(&self, required: u8) -> String {
        if self.level == 0 {
            return "User code is not run: the server is root and cannot become another user".into();
        }
        let missing = self.list.iter().filter(|wall| !wall.offered || wall.name == network::NAMESPACE && !wall.used);
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
        let files = self.landlock || self.namespaces;
        let processes = self.own_ids || self.namespaces || self.scopes;
        match self {
            Self { root: true, own_ids: false, .. } => 0,
            Self {
                own_ids: true, namespaces: true, memory: true, pids: true, landlock: true, seccomp: true, ..
            } => 3,
            Self { seccomp: true, .. } if files && processes => 2,
            _ => 1,
        }
    }
}

fn list(offered: &Offered, cgroups: &Cgroups, means: Means, at_most: u8) -> Vec<Wall> {
    let wall = |name, refused: &Option<String>, used: bool| {
        let detail = match refused {
            Some(why) => why.clone(),
            None if used => String::new(),
            None => format!("offered; not used at level {at_most}"),
        };
        Wall { name, offered: refused.is_none(), used, detail }
    };
    let group = |name, of: Controller, used: bool| {
        let refused = (!cgroups.has(of)).then(|| "no cgroup of it is writable".to_owned());
        wall(name, &refused, used)
    };
    let mut user = wall("user namespace", &offered.user_namespace, means.user_namespace);
    if user.offered && !user.used && means.namespaces {
        user.detail = "not needed: the server is root".into();
    }
    let mut landlock = wall("Landlock", &offered.landlock, means.landlock);
    if means.landlock && !means.scopes {
        let version = offered.landlock_version;
        landlock.detail = format!("version {version}, which keeps files but no signals and abstract sockets");
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
        landlock,
        wall("seccomp", &offered.seccomp, means.seccomp),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Option<String> {
        Some("Operation not permitted".into())
    }

    /// A kernel that has all there is.
    fn everything() -> Offered {
        Offered { landlock_version: 7, ..Offered::default() }
    }

    #[test]
    fn an_ordinary_user_reaches_level_2() {
        let offered = Offered { own_ids: refused(), namespaces_as_root: refused(), ..everything() };
        let walls = Walls::from(&offered, false, &Cgroups::default(), 3);
        assert_eq!((walls.level, walls.means.user_namespace), (2, true));
        assert!(walls.refusal(3).contains("own user id (Operation not permitted)"), "{}", walls.refusal(3));
    }

    #[test]
    fn level_3_demands_a_network_of_its_own() {
        let network = |mode| Reach::decide(Some(mode), Offers::default());
        let best = || Walls { level: 3, ..Walls::from(&everything(), true, &Cgroups::default(), 3) };
        assert_eq!(best().with_network(&network(NetworkMode::Filtered)).level, 3);
        assert_eq!(best().with_network(&network(NetworkMode::None)).level, 3);
        let shared = best().with_network(&network(NetworkMode::All));
        assert_eq!(shared.level, 2);
        assert!(shared.refusal(3).contains("network namespace (offered; not used with instance_egress all)"));
        let offers = Offers { rules: Some("the program nft is not installed".into()), ..Offers::default() };
        let refused = best().with_network(&Reach::decide(None, offers));
        assert_eq!(refused.level, 2);
        assert!(refused.refusal(3).contains("the program nft is not installed"), "{}", refused.refusal(3));
    }

    #[test]
    fn root_without_namespaces_is_level_2_and_root_alone_is_none() {
        let offered = Offered { namespaces_as_root: refused(), ..everything() };
        assert_eq!(Walls::from(&offered, true, &Cgroups::default(), 3).level, 2);
        let offered = Offered { own_ids: refused(), ..everything() };
        assert_eq!(Walls::from(&offered, true, &Cgroups::default(), 3).level, 0);
    }

    #[test]
    fn level_2_keeps_files_and_processes_apart_and_filters_calls() {
        let level = |offered: &Offered| Walls::from(offered, false, &Cgroups::default(), 3).level;
        let plain = Offered {
            own_ids: refused(),
            namespaces_as_root: refused(),
            user_namespace: refused(),
            pid_namespace: refused(),
            ..everything()
        };
        assert_eq!(level(&plain), 2, "Landlock does both");
        assert_eq!(level(&Offered { landlock_version: 5, ..plain.clone() }), 1, "it does not keep signals in");
        assert_eq!(level(&Offered { landlock: refused(), ..plain.clone() }), 1);
        assert_eq!(level(&Offered { seccomp: refused(), ..plain.clone() }), 1);
        assert_eq!(level(&Offered { pid_namespace: None, landlock: refused(), ..plain }), 2, "namespaces do both");
    }
}
