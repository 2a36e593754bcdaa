//! Finding the places where groups may be made, and ending what an earlier life left there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::group::{self, Group, Limits};
use super::{Controller, Place};

/// The cgroups of an installation.
#[derive(Debug, Clone, Default)]
pub struct Cgroups {
    places: Vec<Place>,
}

impl Cgroups {
    /// Looks at the host and makes the installation's parent groups where that is allowed. Never fails: what cannot be had is
    /// not offered.
    #[must_use]
    pub fn find(installation: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::among(candidates(&mounts, &own), installation)
    }

    pub(super) fn among(candidates: Vec<Place>, installation: &str) -> Self {
        let name = format!("modelyard-{installation}");
        let mut found = Self::default();
        for candidate in candidates {
            let place = match candidate {
                Place::V1(controller, folder) if !found.has(controller) => make_v1(controller, &folder, &name),
                Place::V2(_, folder) if found.places.iter().all(|place| matches!(place, Place::V1(..))) => {
                    make_v2(&folder, &name)
                }
                _ => None,
            };
            found.places.extend(place);
        }
        found
    }

    /// True when limits of this kind can be set.
    #[must_use]
    pub fn has(&self, controller: Controller) -> bool {
        self.places.iter().any(|place| match place {
            Place::V1(of, _) => *of == controller,
            Place::V2(of, _) => of.contains(&controller),
        })
    }

    /// Makes a group with limits.
    pub fn make(&self, name: &str, limits: &Limits) -> io::Result<Group> {
        let cpu = limits.cpu.or(limits.cpu_share).is_some();
        let wanted = |place: &&Place| cpu || !matches!(place, Place::V1(Controller::Cpu, _));
        let group = Group::new(self.places.iter().filter(wanted).map(|place| in_place(place, name)).collect());
        match group.make(limits) {
            Ok(()) => Ok(group),
            Err(e) => {
                group.remove();
                Err(e)
            }
        }
    }

    /// Ends every process in our groups and removes the groups.
    pub fn clear(&self) {
        for place in &self.places {
            for entry in fs::read_dir(place.folder()).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let group = Group::new(vec![in_place(place, &entry.file_name().to_string_lossy())]);
                    group.kill();
                    group.remove();
                }
            }
        }
    }

    /// The installation's parent groups.
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        self.places.iter().map(|place| place.folder().clone()).collect()
    }

    /// The same for parent groups of an earlier life that may have been elsewhere, and removes them.
    pub fn clear_earlier(&self, folders: &[PathBuf]) {
        let ours = self.folders();
        let earlier = folders.iter().filter(|folder| !ours.contains(folder));
        let earlier = Self { places: earlier.map(|folder| Place::V2(Vec::new(), folder.clone())).collect() };
        earlier.clear();
        earlier.remove();
    }

    /// Removes the installation's parent groups, when nothing is left in them.
    pub fn remove(&self) {
        for place in &self.places {
            let _ = fs::remove_dir(place.folder());
        }
    }
}

fn in_place(place: &Place, name: &str) -> Place {
    match place {
        Place::V1(of, folder) => Place::V1(*of, folder.join(name)),
        Place::V2(of, folder) => Place::V2(of.clone(), folder.join(name)),
    }
}

/// The folders of the trees: the server's own group where that can be seen, and after it the top of the mount.
pub(super) fn candidates(mounts: &str, own: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (left, right): (Vec<_>, Vec<_>) = (left.split(' ').collect(), right.split(' ').collect());
        let (Some(top), Some(kind), Some(options)) = (left.get(4), right.first(), right.get(2)) else { continue };
        match *kind {
            "cgroup2" => found.extend(folders(top, own, "").map(|folder| Place::V2(Vec::new(), folder))),
            "cgroup" => {
                for one in Controller::ALL.into_iter().filter(|one| options.split(',').any(|has| has == one.name())) {
                    found.extend(folders(top, own, one.name()).map(|folder| Place::V1(one, folder)));
                }
            }
            _ => {}
        }
    }
    found
}

fn folders(top: &str, own: &str, controller: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        names.split(',').any(|name| name == controller).then_some(path)
    });
    let below = path.map(|path| path.trim_start_matches('/')).filter(|path| !path.is_empty());
    let own = below.map(|path| Path::new(top).join(path)).filter(|folder| folder.is_dir());
    own.into_iter().chain([PathBuf::from(top)])
}

fn make_v1(controller: Controller, folder: &Path, name: &str) -> Option<Place> {
    let ours = folder.join(name);
    group::folder(&ours).ok()?;
    let place = Place::V1(controller, ours);
    let trial = Group::new(vec![in_place(&place, "trial")]);
    let limits = Limits { memory_bytes: Some(1 << 30), processes: Some(100), ..Limits::default() };
    let works = trial.make(&limits).is_ok();
    trial.remove();
    if !works {
        let _ = fs::remove_dir(place.folder());
    }
    works.then_some(place)
}

/// In version 2 a group with processes of its own cannot hand controllers on, so the server steps aside first.
fn make_v2(folder: &Path, name: &str) -> Option<Place> {
    let offered = fs::read_to_string(folder.join("cgroup.controllers")).ok()?;
    let offered: Vec<Controller> =
        Controller::ALL.into_iter().filter(|one| offered.split_whitespace().any(|has| has == one.name())).collect();
    if offered.is_empty() {
        return None;
    }
    let ours = folder.join(name);
    group::folder(&ours).ok()?;
    let enabled_in =
        |folder: &Path| -> Vec<Controller> { offered.iter().copied().filter(|one| enable(folder, *one)).collect() };
    let mut enabled = enabled_in(folder);
    let aside = folder.join(format!("{name}-server"));
    if enabled.is_empty() && group::folder(&aside).is_ok() && fs::write(aside.join("cgroup.procs"), "0").is_ok() {
        enabled = enabled_in(folder);
    }
    if enabled.is_empty() && aside.is_dir() {
        let _ = fs::write(folder.join("cgroup.procs"), "0");
        let _ = fs::remove_dir(&aside);
    }
    enabled.retain(|one| enable(&ours, *one));
    if enabled.is_empty() {
        let _ = fs::remove_dir(&ours);
        return None;
    }
    Some(Place::V2(enabled, ours))
}

fn enable(folder: &Path, controller: Controller) -> bool {
    fs::write(folder.join("cgroup.subtree_control"), format!("+{}", controller.name())).is_ok()
}
