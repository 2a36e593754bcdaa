//! The steps to a new layer.

use std::{ffi::OsString, fs, io, os::unix::fs::PermissionsExt, path::Path};

use super::{
    Asking, BUILDER, Layer, host,
    host::{APT_GET, APT_HELPER},
    kept,
    shelf::{SystemRecord, system_lock},
    told::{self, Case},
    wanted,
};
use crate::{
    environments::{BuildError, Log, build::hold, confined::Confined, digest, run::Done, shelf::Shelf},
    init::install::{ARGUMENT, Installing},
    ubiops_yaml::Lined,
};

/// No key and no list of sources is larger.
const MOST_FETCHED: u64 = 1 << 20;
/// Keeps services of packages from starting.
const POLICY: &str = "usr/sbin/policy-rc.d";
const ENVIRONMENT: [(&str, &str); 8] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("LC_ALL", "C.UTF-8"),
    ("HOME", "/root"),
    ("TMPDIR", "/tmp"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("NEEDRESTART_SUSPEND", "1"),
];
/// How the server reaches the web; the same for packages.
const PROXIES: [&str; 6] = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
const OPTIONS: [&str; 14] = [
    "-q",
    "-y",
    "--no-install-recommends",
    "-o",
    "Dpkg::Use-Pty=0",
    "-o",
    "Acquire::Retries=2",
    "-o",
    "APT::Keep-Downloaded-Packages=true",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "--allow-downgrades",
];

/// A layer on its way.
pub(super) struct Making<'a> {
    pub asking: &'a Asking<'a>,
    /// A folder that nobody but root may enter.
    pub work: &'a Path,
}

impl Making<'_> {
    /// Makes it, or finds it, when the same packages were installed before.
    pub async fn make(&self) -> Result<Layer, BuildError> {
        let work = self.work.to_path_buf();
        blocking(move || lay_out(&work)).await?;
        let sources = self.add_origins().await?;
        let asking = self.asking;
        let (folder, memory) = (asking.shelf.root(), asking.steps.limits.memory);
        let case = Case { wanted: asking.wanted, sources: &sources, folder, memory };
        let done = self.apt(&["update"], true).await?;
        self.succeeded(&done, &case)?;
        told::unreachable(&done, &case).map_err(BuildError::Failed)?;
        let names = wanted::packages(self.asking.wanted);
        let install = |how| [&["install", how, "--"], names.as_slice()].concat();
        self.succeeded(&self.apt(&install("--download-only"), true).await?, &case)?;

        let key = self.key().await?;
        let _lock = hold(self.asking.shelf, self.asking.steps, &system_lock(&key)).await?;
        if let Some(record) = self.asking.shelf.system_record(&key) {
            (self.asking.log)("The system packages were installed before");
            self.asking.shelf.touch_system(&key)?;
            return Ok(self.asking.kept(key, &record));
        }
        self.succeeded(&self.apt(&install("--no-download"), false).await?, &case)?;
        let record = self.keep(&key).await?;
        Ok(self.asking.kept(key, &record))
    }

    /// Puts keys and sources where `apt-get` looks for them; gives the text of all sources.
    async fn add_origins(&self) -> Result<Vec<Lined>, BuildError> {
        let apt = self.work.join("etc/apt");
        let mut sources = Vec::new();
        let mut number = 0;
        for asked in self.asking.wanted {
            for (origins, is_key) in [(&asked.keys, true), (&asked.sources, false)] {
                let mut all: Vec<(Vec<u8>, usize)> =
                    origins.items.iter().map(|item| (item.text.clone().into_bytes(), item.line)).collect();
                for url in &origins.urls {
                    all.push((self.fetch(url).await?, url.line));
                }
                for (bytes, line) in all {
                    number += 1;
                    let name = if is_key {
                        let ending = told::kind_of_key(&bytes, line).map_err(BuildError::Failed)?;
                        format!("trusted.gpg.d/ubiops-yaml-{number}.{ending}")
                    } else {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        let ending = if text.contains("Types:") { "sources" } else { "list" };
                        sources.push(Lined { text, line });
                        format!("sources.list.d/ubiops-yaml-{number}.{ending}")
                    };
                    let file = apt.join(name);
                    blocking(move || {
                        fs::create_dir_all(file.parent().unwrap_or(&file))?;
                        fs::write(&file, [&bytes[..], b"\n"].concat())?;
                        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))
                    })
                    .await?;
                }
            }
        }
        Ok(sources)
    }

    /// The bytes at an address.
    async fn fetch(&self, url: &Lined) -> Result<Vec<u8>, BuildError> {
        const PLACE: &str = "tmp/fetched";
        let place = self.work.join(PLACE);
        let done = self.run(APT_HELPER, &["download-file", &url.text, &format!("/{PLACE}")], true).await?;
        if !done.status.success() {
            return Err(BuildError::Failed(told::not_fetched(&done, url)));
        }
        let line = url.line;
        let read = blocking(move || {
            let about = fs::symlink_metadata(&place)?;
            let bytes = if about.is_file() && about.len() <= MOST_FETCHED { Some(fs::read(&place)?) } else { None };
            fs::remove_file(&place)?;
            Ok(bytes)
        });
        let too_large = || BuildError::Failed(format!("ubiops.yaml line {line}: what is at this address is too large"));
        read.await?.ok_or_else(too_large)
    }

    async fn apt(&self, args: &[&str], network: bool) -> Result<Done, BuildError> {
        self.run(APT_GET, &[&OPTIONS, args].concat(), network).await
    }

    async fn run(&self, program: &str, args: &[&str], network: bool) -> Result<Done, BuildError> {
        let work = self.work.to_str().ok_or_else(|| io::Error::other("the path of the data folder is not UTF-8"))?;
        let installing = Installing {
            root: format!("{work}/root-of-all"),
            steps: host::steps(work),
            network,
            command: [program].iter().chain(args).map(|word| (*word).to_owned()).collect(),
        };
        let file = self.work.join("installing.json");
        fs::write(&file, serde_json::to_vec(&installing).map_err(io::Error::other)?)?;
        let aside = self.work.join("aside");
        blocking(move || renew_aside(&aside)).await?;
        let mut env: Vec<(OsString, OsString)> =
            ENVIRONMENT.iter().map(|(name, value)| (name.into(), value.into())).collect();
        if network {
            env.extend(PROXIES.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?))));
        }
        let confined = Confined {
            args: vec![ARGUMENT.into(), file.into()],
            env,
            folder: self.work.to_path_buf(),
            own_walls: true,
            ..Confined::of(self.asking.settings.launcher.clone(), self.asking.steps.user)
        };
        // What is asked at a terminal that is not there.
        let quiet = |line: &str| {
            if !line.starts_with("debconf: ") {
                (self.asking.log)(line);
            }
        };
        let log: Log<'_> = &quiet;
        self.asking.steps.run_counted(confined, vec![self.work.to_path_buf()], None, log).await
    }

    fn succeeded(&self, done: &Done, case: &Case<'_>) -> Result<(), BuildError> {
        match done.status.success() {
            true => Ok(()),
            false => Err(BuildError::Failed(told::explain(done, case))),
        }
    }

    /// The key of what was chosen.
    async fn key(&self) -> Result<String, BuildError> {
        let archives = self.work.join("var/cache/apt/archives");
        let mut chosen = blocking(move || {
            let mut chosen = Vec::new();
            for entry in fs::read_dir(archives)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.ends_with(".deb") {
                    chosen.push(format!("{name} {}", kept::hash_of(&entry.path())?));
                }
            }
            Ok(chosen)
        })
        .await?;
        chosen.sort();
        if chosen.is_empty() {
            (self.asking.log)("The host has all of these system packages already");
        }
        Ok(digest(&[BUILDER, self.asking.scope, &host::distribution()?, &format!("{chosen:?}")]))
    }

    /// Makes a layer of what was installed.
    async fn keep(&self, key: &str) -> Result<SystemRecord, BuildError> {
        let work = self.work.to_path_buf();
        let size = blocking(move || collect(&work)).await?;
        if let Some(sentence) = self.asking.steps.limits.too_large(size) {
            return Err(BuildError::Failed(sentence));
        }
        let (layer, record) = (self.work.join("layer"), SystemRecord { size });
        let its = record.clone();
        self.asking.shelf.blocking(key, move |shelf: &Shelf, key| shelf.keep_system(key, &layer, &its)).await?;
        Ok(record)
    }
}

/// Makes the folders of the installer's root, and fills them with what it may know of the host.
fn lay_out(work: &Path) -> io::Result<()> {
    for (folder, mode) in [
        ("upper/usr/sbin", 0o755),
        ("upper/var/lib/dpkg", 0o755),
        ("root-of-all", 0o755),
        ("opt", 0o755),
        ("root", 0o700),
        ("tmp", 0o1777),
        ("var/lib/dpkg", 0o755),
        ("var/lib/apt/lists", 0o755),
        ("var/lib/misc", 0o755),
        ("var/cache/apt/archives", 0o755),
        ("var/cache/debconf", 0o755),
        ("var/log/apt", 0o755),
        ("var/mail", 0o2775),
        ("var/spool", 0o755),
        ("var/tmp", 0o1777),
    ] {
        let path = work.join(folder);
        fs::create_dir_all(&path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    for at in crate::walls::root::PROGRAMS {
        fs::create_dir_all(work.join("upper").join(at.trim_start_matches('/')))?;
    }
    for (link, to) in [("var/run", "/run"), ("var/lock", "/run/lock")] {
        std::os::unix::fs::symlink(to, work.join(link))?;
    }
    kept::copy_readable(Path::new("/etc"), &work.join("etc"))?;
    for state in host::STATES {
        kept::copy_readable(&Path::new("/var/lib").join(state), &work.join("var/lib").join(state))?;
    }
    for file in ["lib/apt/extended_states", "cache/debconf/config.dat", "cache/debconf/templates.dat"] {
        kept::copy_readable(&Path::new("/var").join(file), &work.join("var").join(file))?;
    }
    own_files(&work.join("etc"))?;
    let policy = work.join("upper").join(POLICY);
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    fs::set_permissions(policy, fs::Permissions::from_mode(0o755))
}

/// Makes the folders that overlays work in; those of an earlier mount cannot be taken again.
fn renew_aside(aside: &Path) -> io::Result<()> {
    if aside.exists() {
        fs::remove_dir_all(aside)?;
    }
    let all = crate::walls::root::PROGRAMS.into_iter().chain(["/var/lib/dpkg"]);
    all.map(|at| aside.join(at.trim_start_matches('/'))).try_for_each(fs::create_dir_all)
}

/// Files of the configuration that the host's are no good for: passwords, which nobody may read, and the resolver, which
/// mostly is a link to where the installer cannot follow.
fn own_files(etc: &Path) -> io::Result<()> {
    let names = |file: &str| -> io::Result<Vec<String>> {
        let text = fs::read_to_string(etc.join(file))?;
        Ok(text.lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect())
    };
    let lines = |names: Vec<String>, rest: &str| names.iter().map(|name| format!("{name}{rest}\n")).collect::<String>();
    let files = [
        ("shadow", lines(names("passwd")?, ":*:19000:0:99999:7:::"), 0o640),
        ("gshadow", lines(names("group")?, ":*::"), 0o640),
        ("resolv.conf", fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), 0o644),
    ];
    for (name, text, mode) in files {
        let path = etc.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            fs::remove_file(&path)?;
        }
        fs::write(&path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Puts together in `layer` what instances and builds shall see; gives its size.
fn collect(work: &Path) -> io::Result<u64> {
    let layer = work.join("layer");
    fs::create_dir_all(&layer)?;
    fs::remove_file(work.join("upper").join(POLICY))?;
    for at in crate::walls::root::PROGRAMS.map(|at| at.trim_start_matches('/')) {
        move_filled(&work.join("upper").join(at), &layer.join(at))?;
    }
    move_filled(&work.join("opt"), &layer.join("opt"))?;
    kept::keep_changed(&work.join("etc"), Path::new("/etc"), &layer.join("etc"))?;
    kept::keep_changed(&work.join("var/lib"), Path::new("/var/lib"), &layer.join("var/lib"))?;
    kept::tidy(&layer)?;
    crate::environments::shelf::size_of(&layer)
}

/// Moves a folder that has anything in it.
fn move_filled(from: &Path, to: &Path) -> io::Result<()> {
    if fs::read_dir(from)?.next().is_none() {
        return Ok(());
    }
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::rename(from, to)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await?
}
