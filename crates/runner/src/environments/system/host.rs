//! What the host must have so that system packages can be installed over it, and what of it an installer sees.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    init::orders::Step,
    ubiops_yaml::Apt,
    walls::root::{PROGRAMS, seen},
};

/// The host's own installer.
pub(super) const APT_GET: &str = "/usr/bin/apt-get";
/// The program that fetches for it.
pub(super) const APT_HELPER: &str = "/usr/lib/apt/apt-helper";
const OS_RELEASE: &str = "/etc/os-release";

/// State of packages that are installed on the host already, which the scripts of others count on. Nothing in it is secret.
pub(super) const STATES: [&str; 12] = [
    "dictionaries-common",
    "emacsen-common",
    "ghostscript",
    "pam",
    "python",
    "sgml-base",
    "systemd",
    "tex-common",
    "texmf",
    "ucf",
    "vim",
    "xml-core",
];

/// Whether and how system packages are installed.
#[derive(Debug, Clone)]
pub struct SystemPackages {
    /// The operator allows it.
    pub enabled: bool,
    /// What this host lacks for it; nothing when it has all.
    pub missing: Option<String>,
    /// A program whose `main` begins with [`crate::run_init_if_asked`].
    pub launcher: PathBuf,
}

impl SystemPackages {
    /// None at all, whoever asks.
    #[must_use]
    pub fn never() -> Self {
        Self { enabled: false, missing: None, launcher: PathBuf::new() }
    }

    /// Refuses where they are not installed; the sentence is for the user.
    pub fn check(&self, wanted: &[Apt]) -> Result<(), String> {
        let Some(first) = wanted.first() else { return Ok(()) };
        let names = || super::wanted::packages(wanted).join(", ");
        let refused = |why: &str| {
            format!(
                "ubiops.yaml line {}: this server does not install system packages (apt): {why}; remove apt, or ask the \
                 operator for the packages {}",
                first.line,
                names()
            )
        };
        if !self.enabled {
            return Err(refused("its setting build_apt is off"));
        }
        if let Some(missing) = &self.missing {
            return Err(refused(missing));
        }
        if !(Path::new(APT_GET).exists() && Path::new(APT_HELPER).exists()) {
            return Err(refused("its host has no apt-get"));
        }
        Ok(())
    }
}

/// The distribution whose packages the host takes.
pub(super) fn distribution() -> io::Result<String> {
    let about = fs::read_to_string(OS_RELEASE)?;
    let wanted = ["ID=", "VERSION_ID=", "VERSION_CODENAME="];
    let lines = about.lines().filter(|line| wanted.iter().any(|begin| line.starts_with(begin)));
    Ok(format!("{} {}", std::env::consts::ARCH, lines.collect::<Vec<_>>().join(" ")))
}

/// The root that an installer sees: the host's programs with the folder `work` over them, and of the rest little.
pub(super) fn steps(work: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let over = |at: &str| Step::Overlay {
        at: at.to_owned(),
        lower: at.to_owned(),
        view: String::new(),
        upper: format!("{work}/upper{at}"),
        work: format!("{work}/aside{at}"),
    };
    for at in PROGRAMS.into_iter().filter(|at| *at != "/nix/store") {
        match seen(at) {
            Some(Step::Bind { .. }) => {
                steps.push(over(at));
                steps.extend(mounted_below(at).into_iter().map(|at| Step::Bind { from: at.clone(), at, write: false }));
            }
            other => steps.extend(other),
        }
    }
    let own = |at: &str| Step::Bind { at: at.to_owned(), from: format!("{work}{at}"), write: true };
    steps.extend(["/etc", "/var", "/opt", "/tmp", "/root"].map(own));
    steps.push(over("/var/lib/dpkg"));
    steps.push(Step::Memory { at: "/run".into(), mode: 0o755, bytes: 64 << 20 });
    steps.push(Step::Folder { at: "/run/lock".into(), mode: 0o1777 });
    for at in ["/home", "/mnt", "/media", "/srv", "/boot"] {
        steps.push(Step::Folder { at: at.into(), mode: 0o755 });
    }
    steps.push(Step::Proc { at: "/proc".into() });
    steps.push(Step::Memory { at: "/dev/shm".into(), mode: 0o1777, bytes: 64 << 20 });
    for name in ["null", "zero", "full", "random", "urandom"] {
        let at = format!("/dev/{name}");
        steps.push(Step::Device { from: at.clone(), at });
    }
    for (name, to) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        steps.push(Step::Link { at: format!("/dev/{name}"), to: format!("/proc/self/{to}") });
    }
    steps
}

/// What is mounted below a folder: an overlay does not show it by itself.
pub(crate) fn mounted_below(folder: &str) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = table.lines().filter_map(|line| line.split(' ').nth(4));
    let below = places.filter(|place| place.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
    // Odd letters stand there in another form; such places are left out.
    below.filter(|place| !place.contains('\\')).map(str::to_owned).collect()
}
