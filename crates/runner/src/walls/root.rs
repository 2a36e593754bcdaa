//! The root an instance sees: the host's programs and libraries, the interpreter, its environment, its package, and of the
//! rest nothing.

mod system;

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::init::orders::{Ids, Reach, Step};

/// Folders that hold programs and libraries; on most hosts all but the first are links into it.
pub(crate) const PROGRAMS: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"];

/// What programs read of the host's configuration. Nothing in it is secret.
const CONFIGURATION: [&str; 19] = [
    "R",
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "gai.conf",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "pki",
    "protocols",
    "services",
    "ssl",
    "timezone",
];

/// Whom to ask for names.
const RESOLVER: &str = "/etc/resolv.conf";

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Where the package lies.
pub(crate) const PACKAGE: &str = "/deployment";
/// Where the worker's own files go.
pub(crate) const HOME: &str = "/home/deployment";

/// What of the host every instance sees; looked at once.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    steps: Vec<Step>,
}

/// What one instance sees beside that.
#[derive(Debug, Clone)]
pub(crate) struct Inside<'a> {
    /// Its scratch folder, with `tmp`, `home`, `view`, `upper`, `work` and `copy` in it.
    pub scratch: &'a str,
    /// Its package.
    pub package: &'a str,
    /// Folders seen at their own place.
    pub readable: &'a [PathBuf],
    /// A view of its own processes can be had.
    pub proc: bool,
    /// The package can be overlaid; else it is copied.
    pub overlay: bool,
    /// Who the workers are.
    pub ids: Ids,
    /// Bytes of shared memory.
    pub shared_bytes: u64,
    /// Its configuration of the resolver; the host's when absent.
    pub resolver: Option<&'a str>,
    /// The folder of the system packages that it sees over the host's programs and configuration.
    pub system: Option<&'a Path>,
}

impl Host {
    /// Looks at the host.
    pub(crate) fn look() -> Self {
        let mut steps = Vec::new();
        for at in PROGRAMS {
            steps.extend(seen(at));
        }
        for name in CONFIGURATION {
            steps.extend(seen(&format!("/etc/{name}")));
        }
        steps.push(Step::Folder { at: "/dev".into(), mode: 0o755 });
        for name in DEVICES {
            let at = format!("/dev/{name}");
            steps.push(Step::Device { from: at.clone(), at });
        }
        for (name, to) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
            steps.push(Step::Link { at: format!("/dev/{name}"), to: format!("/proc/self/{to}") });
        }
        steps.extend(seen("/sys/devices/system/cpu"));
        steps.push(Step::Folder { at: "/run".into(), mode: 0o755 });
        steps.push(Step::Link { at: "/var/tmp".into(), to: "/tmp".into() });
        Self { steps }
    }

    /// What workers can reach of the host where an instance has no root of its own: the same files.
    pub(crate) fn reach(&self, scratch: &str, readable: &[PathBuf]) -> Reach {
        let mut reach = self.programs();
        for step in self::readable(readable) {
            if let Step::Bind { from, .. } = step {
                reach.read.push(from);
            }
        }
        reach.write.extend(["tmp", "home", "copy"].map(|name| format!("{scratch}/{name}")));
        reach
    }

    /// What every program can reach there: the host's programs and what they need of it.
    pub(crate) fn programs(&self) -> Reach {
        let mut reach = Reach::default();
        for step in &self.steps {
            match step {
                Step::Bind { from, .. } => reach.read.push(from.clone()),
                Step::Device { from, .. } => reach.devices.push(from.clone()),
                _ => {}
            }
        }
        // Names of users are no secret, and other processes' files in `/proc` are kept by their own rules.
        reach.read.extend(["/etc/passwd", "/etc/group", "/proc", RESOLVER].map(str::to_owned));
        reach.write.push("/dev/shm".to_owned());
        reach
    }

    /// The steps to an instance's root.
    pub(crate) fn steps(&self, inside: &Inside<'_>) -> Vec<Step> {
        let mut steps = match inside.system {
            Some(layer) => system::over(&self.steps, layer),
            None => self.steps.clone(),
        };
        let scratch = |name: &str| format!("{}/{name}", inside.scratch);
        steps.extend(names(inside.ids));
        match inside.resolver {
            Some(text) => steps.push(Step::File { at: RESOLVER.into(), text: text.into() }),
            None => steps.extend(seen(RESOLVER)),
        }
        if inside.proc {
            steps.push(Step::Proc { at: "/proc".into() });
        }
        steps.push(Step::Memory { at: "/dev/shm".into(), mode: 0o1777, bytes: inside.shared_bytes });
        steps.push(Step::Bind { at: "/tmp".into(), from: scratch("tmp"), write: true });
        steps.push(Step::Bind { at: HOME.into(), from: scratch("home"), write: true });
        let (at, lower) = (PACKAGE.to_owned(), inside.package.to_owned());
        if inside.overlay {
            steps.push(Step::Overlay {
                at,
                lower,
                view: scratch("view"),
                upper: scratch("upper"),
                work: scratch("work"),
            });
        } else {
            steps.push(Step::Copy { from: lower, to: scratch("copy") });
            steps.push(Step::Bind { at, from: scratch("copy"), write: true });
        }
        steps.extend(readable(inside.readable));
        steps
    }
}

/// What the workers of an instance with a root of its own can reach at most: the mounts say the rest.
pub(crate) fn reach_inside(proc: bool) -> Reach {
    let own = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    Reach {
        read: own(&["/"]),
        // Of a `/proc` of its own some files are written to, such as the names of threads.
        devices: own(if proc { &["/dev", "/proc"] } else { &["/dev"] }),
        write: own(&["/tmp", HOME, PACKAGE, "/dev/shm"]),
    }
}

/// A place of the host as instances see it: a link into the programs as a link, all else as it is. Nothing where nothing is.
pub(crate) fn seen(at: &str) -> Option<Step> {
    let real = fs::canonicalize(at).ok()?;
    let link = fs::read_link(at).ok().filter(|_| real.starts_with("/usr"));
    Some(match link {
        Some(to) => Step::Link { at: at.into(), to: to.to_str()?.into() },
        None => Step::Bind { at: at.into(), from: real.to_str()?.into(), write: false },
    })
}

/// Who is who inside.
fn names(ids: Ids) -> [Step; 2] {
    let Ids { uid, gid } = ids;
    let users = format!(
        "root:x:0:0:root:/:/usr/sbin/nologin\ndeployment:x:{uid}:{gid}:deployment:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
    );
    let groups = format!("root:x:0:\ndeployment:x:{gid}:\nnogroup:x:65534:\n");
    [Step::File { at: "/etc/passwd".into(), text: users }, Step::File { at: "/etc/group".into(), text: groups }]
}

/// Folders at their own place, and where a link leads on the way, at that place too. Outer ones come first.
fn readable(folders: &[PathBuf]) -> Vec<Step> {
    let mut places: Vec<(PathBuf, PathBuf)> = Vec::new();
    for folder in folders {
        let Ok(real) = fs::canonicalize(folder) else { continue };
        for at in [folder.clone(), real.clone()] {
            let known = PROGRAMS.iter().any(|program| at.starts_with(program) && !is_link(program));
            if !known && !places.iter().any(|(place, _)| *place == at) {
                places.push((at, real.clone()));
            }
        }
    }
    places.sort_by_key(|(at, _)| at.components().count());
    let text = |path: PathBuf| path.into_os_string().into_string().ok();
    let step = |(at, from)| Some(Step::Bind { at: text(at)?, from: text(from)?, write: false });
    places.into_iter().filter_map(step).collect()
}

fn is_link(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// True for a path that can be shown at its own place: absolute, without `..`, and not so high that it holds everything.
pub(crate) fn can_be_shown(path: &Path) -> bool {
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let reserved = ["/", "/proc", "/dev", "/sys", "/etc", "/tmp", "/var", "/home", "/root", HOME, PACKAGE];
    path.is_absolute() && plain && path.to_str().is_some() && !reserved.iter().any(|high| path == Path::new(high))
}
