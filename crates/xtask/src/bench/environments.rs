//! `env-cold`, `env-warm`: from the upload of a `requirements.txt` to an environment that can be used, beside plain
//! `uv venv && uv pip install`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use modelyard_runner::uv::{Host, Index, IndexSettings, locate_or_fetch};
use tempfile::TempDir;

use super::build::Binaries;
use super::child::output;
use super::machine::Machine;
use super::ours::Server;
use super::report::{Report, TimeRow};
use super::work::Work;
use super::{Options, Result, interrupt};

/// What ours does as well, because environments are read-only afterwards.
const COMPILE: &str = "--compile-bytecode";
/// How long an installation may take.
const LIMIT: Duration = Duration::from_secs(600);

/// The packages of a model, nothing of them in any cache.
pub fn cold(options: &Options, binaries: &Binaries) -> Result<Report> {
    let mut report = Report::new("env-cold", Machine::look(binaries.profile));
    let floor = Floor::find(options, binaries)?;
    let mut plain = row("scikit-learn, nothing in a cache");
    let mut compiled = row("the same; the floor compiles, too");
    for round in 1..=options.rounds(3) {
        eprintln!("environments without caches, round {round}");
        let place = Place::new(binaries)?;
        plain.floor_ms.push(floor.install(&place, "first", &requirements(), &[])?);
        compiled.floor_ms.push(floor.install(&Place::new(binaries)?, "first", &requirements(), &[COMPILE])?);
        if !options.floor_only {
            let server = ready(options, binaries)?;
            let took = ours(&server, &place, "first", &requirements())?;
            plain.ours_ms.push(took);
            compiled.ours_ms.push(took);
        }
    }
    report.times.extend([plain, compiled]);
    Ok(report)
}

/// The same packages once more, and with one more package, where the caches hold them.
pub fn warm(options: &Options, binaries: &Binaries) -> Result<Report> {
    let mut report = Report::new("env-warm", Machine::look(binaries.profile));
    let floor = Floor::find(options, binaries)?;
    let place = Place::new(binaries)?;
    floor.install(&place, "first", &requirements(), &[])?;
    let server = match options.floor_only {
        true => None,
        false => Some(ready(options, binaries)?),
    };
    if let Some(server) = &server {
        ours(server, &place, "first", &requirements())?;
    }
    let mut same = row("the same requirements again");
    let mut other = row("one more package, all in caches");
    let mut compiled = row("the same; the floor compiles, too");
    for round in 1..=options.rounds(3).min(9) {
        eprintln!("environments from caches, round {round}");
        let more = format!("{}six==1.{}.0\n", requirements(), 8 + round);
        // Both have seen the package before; the environment is new all the same.
        let small = format!("six==1.{}.0\n", 8 + round);
        floor.install(&place, &format!("small{round}"), &small, &[])?;
        same.floor_ms.push(floor.install(&place, &format!("same{round}"), &requirements(), &[])?);
        other.floor_ms.push(floor.install(&place, &format!("more{round}"), &more, &[])?);
        compiled.floor_ms.push(floor.install(&place, &format!("compiled{round}"), &more, &[COMPILE])?);
        if let Some(server) = &server {
            ours(server, &place, &format!("small{round}"), &small)?;
            same.ours_ms.push(ours(server, &place, &format!("same{round}"), &requirements())?);
            let took = ours(server, &place, &format!("more{round}"), &more)?;
            other.ours_ms.push(took);
            compiled.ours_ms.push(took);
        }
    }
    report.times.extend([same, other, compiled]);
    Ok(report)
}

fn row(what: &str) -> TimeRow {
    TimeRow { what: what.into(), floor_ms: vec![], ours_ms: vec![], failures: vec![] }
}

fn requirements() -> String {
    format!("{}\n", Work::Iris.requirements().unwrap_or_default().trim_end())
}

/// A server that has fetched its tools.
fn ready(options: &Options, binaries: &Binaries) -> Result<Server> {
    let server = Server::start_new(options, binaries)?;
    ours(&server, &Place::new(binaries)?, "tools", "six==1.17.0\n")?;
    Ok(server)
}

/// Milliseconds until an environment of ours can be used.
fn ours(server: &Server, place: &Place, name: &str, requirements: &str) -> Result<f64> {
    interrupt::check()?;
    let folder = place.0.path().join(format!("upload-{name}"));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("requirements.txt"), requirements))
        .map_err(said)?;
    let from = Instant::now();
    server.make_environment(name, &folder)?;
    Ok(from.elapsed().as_secs_f64() * 1e3)
}

/// A folder for environments of the floor and what is uploaded to us, gone when it is dropped.
struct Place(TempDir);

impl Place {
    fn new(binaries: &Binaries) -> Result<Self> {
        tempfile::Builder::new().prefix("env-").tempdir_in(&binaries.home).map(Self).map_err(said)
    }
}

/// uv, as somebody would use it by hand.
struct Floor {
    uv: PathBuf,
    index: Index,
    python: PathBuf,
}

impl Floor {
    /// The uv that servers use here, and the index that they ask.
    fn find(options: &Options, binaries: &Binaries) -> Result<Self> {
        let index = Index::resolve(&IndexSettings::default(), &Host::current(Vec::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(said)?;
        let (tools, pythons) = (binaries.home.join("tools"), [options.python.clone()]);
        let uv = runtime.block_on(locate_or_fetch(&tools, &index, &pythons)).map_err(said)?;
        Ok(Self { uv: uv.path, index, python: options.python.clone() })
    }

    /// `uv venv` and `uv pip install`, with the cache of the place; how many milliseconds it took.
    fn install(&self, place: &Place, name: &str, requirements: &str, options: &[&str]) -> Result<f64> {
        interrupt::check()?;
        let (folder, list) = (place.0.path().join(name), place.0.path().join(format!("{name}.txt")));
        fs::write(&list, requirements).map_err(said)?;
        let from = Instant::now();
        output("uv venv", self.uv(place, &["venv"])?.arg("--python").arg(&self.python).arg(&folder), LIMIT)?;
        let mut install = self.uv(place, &["pip", "install", "--quiet", "-r"])?;
        install.arg(&list).arg("--python").arg(folder.join("bin/python")).args(self.index.arguments()).args(options);
        output("uv pip install", &mut install, LIMIT)?;
        Ok(from.elapsed().as_secs_f64() * 1e3)
    }

    fn uv(&self, place: &Place, command: &[&str]) -> Result<Command> {
        let place: &Path = place.0.path();
        let mut uv = Command::new(&self.uv);
        uv.args(command).envs(self.index.variables()).env("UV_CACHE_DIR", place.join("cache"));
        if let Some(text) = self.index.configuration() {
            let path = place.join("uv.toml");
            fs::write(&path, text).map_err(said)?;
            uv.arg("--config-file").arg(path);
        }
        Ok(uv)
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
