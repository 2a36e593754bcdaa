//! The folders that system packages lie in; their names stand in [`crate::environments::shelf`].

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::environments::{
    confined::check,
    shelf::{Shelf, make_folder, names, remove_file, remove_folder, write_whole},
};

/// What is known about a complete layer of system packages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::environments) struct SystemRecord {
    /// Bytes of all files.
    pub size: u64,
}

/// The link from an environment to its system packages.
pub(in crate::environments) fn system_link(environment: &Path) -> PathBuf {
    environment.with_extension("system")
}

/// The name of the lock of system packages.
pub(in crate::environments) fn system_lock(key: &str) -> String {
    format!("system-{key}")
}

impl Shelf {
    /// The folder of system packages.
    pub fn system(&self, key: &str) -> PathBuf {
        self.root().join("systems").join(key)
    }

    fn system_record_path(&self, key: &str) -> PathBuf {
        self.root().join("systems").join(format!("{key}.json"))
    }

    /// The record of complete system packages.
    pub fn system_record(&self, key: &str) -> Option<SystemRecord> {
        let bytes = fs::read(self.system_record_path(key)).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|_| self.system(key).is_dir())
    }

    /// Notes that system packages were used just now.
    pub fn touch_system(&self, key: &str) -> io::Result<()> {
        File::open(self.system_record_path(key))?.set_modified(SystemTime::now())
    }

    /// A fresh folder to install system packages in.
    pub fn new_system_work(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.system_work(name);
        remove_folder(&path)?;
        make_folder(&path, 0o700)?;
        Ok(path)
    }

    /// Removes it.
    pub fn remove_system_work(&self, name: &str) -> io::Result<()> {
        remove_folder(&self.system_work(name))
    }

    fn system_work(&self, name: &str) -> PathBuf {
        self.root().join("systems").join(format!("{name}.work"))
    }

    /// Moves system packages to their place and declares them complete. Their lock must be held.
    pub fn keep_system(&self, key: &str, layer: &Path, record: &SystemRecord) -> io::Result<()> {
        remove_folder(&self.system(key))?;
        fs::rename(layer, self.system(key))?;
        let folder = File::open(self.system(key))?;
        // SAFETY: the descriptor is open for as long as `folder` lives.
        check(unsafe { libc::syncfs(folder.as_raw_fd()) })?;
        write_whole(&self.system_record_path(key), &serde_json::to_vec(record)?)
    }

    /// Makes an environment lead to its system packages.
    pub fn link_system(&self, environment: &str, key: &str) -> io::Result<()> {
        let link = system_link(&self.environment(environment));
        remove_file(&link)?;
        std::os::unix::fs::symlink(self.system(key), link)
    }

    /// Removes system packages that no environment leads to, and that were last asked for longer ago than `rest`.
    pub fn remove_unused_systems(&self, rest: Duration) -> io::Result<()> {
        let mut used = Vec::new();
        for name in names(&self.root().join("shared/environments"))? {
            let record = name.strip_suffix(".json").and_then(|key| self.record(key));
            used.extend(record.and_then(|record| record.system));
        }
        for name in names(&self.root().join("systems"))? {
            let Some(key) = name.strip_suffix(".json").filter(|key| !used.iter().any(|used| used == key)) else {
                continue;
            };
            let last_used = fs::metadata(self.system_record_path(key))?.modified()?;
            if last_used.elapsed().is_ok_and(|age| age > rest)
                && let Some(_lock) = self.try_lock(&system_lock(key))?
            {
                tracing::info!(key, "removing system packages that no environment has");
                remove_file(&self.system_record_path(key))?;
                remove_folder(&self.system(key))?;
            }
        }
        Ok(())
    }

    /// Removes what was half installed, unless another process is at work on it.
    pub(in crate::environments) fn remove_half_systems(&self) -> io::Result<()> {
        for name in names(&self.root().join("systems"))? {
            if let Some(half) = name.strip_suffix(".work")
                && let Some(_lock) = self.try_lock(half)?
            {
                self.remove_system_work(half)?;
            } else if !name.contains('.')
                && self.system_record(&name).is_none()
                && let Some(_lock) = self.try_lock(&system_lock(&name))?
            {
                remove_folder(&self.system(&name))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests {
    use super::*;
    use crate::environments::{BuildUser, shelf::Record};

    #[test]
    fn system_packages_go_after_the_last_environment_that_has_them() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(home.path(), BuildUser::default()).unwrap();
        for key in ["used", "unused", "young"] {
            let work = shelf.new_system_work(key).unwrap();
            fs::create_dir(work.join("layer")).unwrap();
            shelf.keep_system(key, &work.join("layer"), &SystemRecord { size: 1 }).unwrap();
            shelf.remove_system_work(key).unwrap();
            let age = if key == "young" { 10 } else { 1000 };
            let record = File::open(shelf.system_record_path(key)).unwrap();
            record.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        let environment = shelf.new_environment("environment").unwrap();
        shelf.link_system("environment", "used").unwrap();
        let base_prefix = PathBuf::from("/usr");
        let (python, system) = ("3.11".into(), Some("used".into()));
        let record = Record { python, base_prefix, size: 2, imports: None, system };
        shelf.complete("environment", &record).unwrap();
        assert_eq!(fs::read_link(system_link(&environment)).unwrap(), shelf.system("used"));

        shelf.remove_unused_systems(Duration::from_secs(100)).unwrap();
        let left = || ["used", "unused", "young"].map(|key| shelf.system_record(key).is_some());
        assert_eq!(left(), [true, false, true]);
        shelf.remove_environment("environment").unwrap();
        shelf.remove_unused_systems(Duration::from_secs(100)).unwrap();
        assert_eq!(left(), [false, false, true]);
        assert!(!shelf.system("used").exists() && !system_link(&environment).exists());
    }

    #[test]
    fn half_installed_system_packages_are_cleared_away() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(home.path(), BuildUser::default()).unwrap();
        shelf.new_system_work("name").unwrap();
        fs::create_dir(shelf.system("half")).unwrap();
        let shelf = Shelf::open(home.path(), BuildUser::default()).unwrap();
        assert_eq!(names(&shelf.root().join("systems")).unwrap(), Vec::<String>::new());
    }
}
