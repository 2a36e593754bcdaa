//! The columns of the table: a level, and who runs the server. Each is run by this test binary, started again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use modelyard_runner::cgroup::{Cgroups, Group, Limits};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Names the column, in the environment of a run.
const COLUMN: &str = "MODELYARD_TEST_COLUMN";
/// Names the folder with programs for a run.
const PROGRAMS: &str = "MODELYARD_TEST_PROGRAMS";
/// The ordinary user.
const USER: u32 = 54_321;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    Three,
    TwoAsRoot,
    TwoAsUser,
    OneAsRoot,
    OneAsUser,
}

impl Column {
    pub const ALL: [Self; 5] = [Self::Three, Self::TwoAsRoot, Self::TwoAsUser, Self::OneAsRoot, Self::OneAsUser];

    /// What stands over it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Three => "level 3",
            Self::TwoAsRoot => "level 2, server is root",
            Self::TwoAsUser => "level 2, server is an ordinary user",
            Self::OneAsRoot => "level 1, server is root",
            Self::OneAsUser => "level 1, server is an ordinary user",
        }
    }

    pub fn level(self) -> u8 {
        match self {
            Self::Three => 3,
            Self::TwoAsRoot | Self::TwoAsUser => 2,
            Self::OneAsRoot | Self::OneAsUser => 1,
        }
    }

    fn is_root(self) -> bool {
        matches!(self, Self::Three | Self::TwoAsRoot | Self::OneAsRoot)
    }

    /// The column this process was started for.
    pub fn asked_for() -> Option<Self> {
        let asked = std::env::var(COLUMN).ok()?;
        Self::ALL.into_iter().find(|column| format!("{column:?}") == asked)
    }

    /// A folder that holds `id`, set to the user id of root.
    pub fn programs() -> PathBuf {
        std::env::var_os(PROGRAMS).unwrap().into()
    }

    /// What each attack saw; nothing where this host cannot run the column: being root is what it takes.
    pub fn run(self) -> Option<BTreeMap<String, String>> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let outer = Outer::make(self);
        let join: Vec<_> = outer.group.join_files();
        let born = outer.group.birth_folder().map(|folder| folder.join("cgroup.procs"));
        let join: Vec<PathBuf> = join.into_iter().chain(born).collect();
        let place = folder.path().join("disk");
        fs::create_dir(&place).unwrap();
        let root = self.is_root();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "table::each_attack_ends_as_the_documentation_says", "--nocapture"])
            .env(COLUMN, format!("{self:?}"))
            .env(PROGRAMS, programs(folder.path()))
            .env("TMPDIR", &place)
            .current_dir("/");
        let enter = move || {
            join.iter().try_for_each(|file| fs::write(file, "0"))?;
            small_disk(&place, (!root).then_some(USER))?;
            if root { Ok(()) } else { become_user() }
        };
        // SAFETY: the child of a test allocates between fork and exec; at worst it hangs, and the test with it.
        unsafe { command.pre_exec(enter) };
        let output = command.output().unwrap();
        drop(outer);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{self:?}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
        let answers = said.lines().find_map(|line| line.strip_prefix("answers: ")).expect("the run tells its answers");
        Some(serde_json::from_str(answers).unwrap())
    }
}

fn programs(folder: &Path) -> PathBuf {
    let programs = folder.join("programs");
    fs::create_dir(&programs).unwrap();
    fs::copy("/usr/bin/id", programs.join("id")).unwrap();
    fs::set_permissions(&programs, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(programs.join("id"), fs::Permissions::from_mode(0o4755)).unwrap();
    programs
}

/// A disk in memory that is soon full.
fn small_disk(at: &Path, owner: Option<u32>) -> io::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    mount(Some("disk"), at, Some("tmpfs"), MsFlags::empty(), Some("size=512m,mode=755"))?;
    // The folders above it are for their owner alone, and an ordinary user has to pass.
    if let Some(parent) = at.parent() {
        fs::set_permissions(parent, fs::Permissions::from_mode(0o755))?;
    }
    chown(at, owner, owner)
}

fn become_user() -> io::Result<()> {
    nix::unistd::setgroups(&[])?;
    nix::unistd::setresgid(USER.into(), USER.into(), USER.into())?;
    Ok(nix::unistd::setresuid(USER.into(), USER.into(), USER.into())?)
}

/// A cgroup around a run.
struct Outer {
    cgroups: Cgroups,
    group: Group,
}

impl Outer {
    fn make(column: Column) -> Self {
        let cgroups = Cgroups::find(&format!("outer-{}-{column:?}", std::process::id()));
        let limits = Limits { memory_bytes: Some(2 << 30), processes: Some(1000), ..Limits::default() };
        let group = cgroups.make("run", &limits).unwrap();
        Self { cgroups, group }
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        self.group.kill();
        // Groups that a run left inside of its own go first.
        for folder in self.group.folders() {
            for inner in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(inner.path());
            }
        }
        self.group.remove();
        self.cgroups.remove();
    }
}
