//! Finds the Pythons of this host that environments can be made from, and its [R](r).
//!
//! Each is asked itself (`-I`, so that nothing of the host's settings or the current folder runs), because a name on
//! `PATH` may be a shim, a link or the Python of a virtual environment: what counts is the installation behind it.

mod cache;
mod places;
pub mod r;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

pub use cache::find_cached;
use modelyard_types::language::{InterpreterKey, Language};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt, process::Command, sync::Semaphore, task::JoinSet, time::timeout};

/// How long one Python may take to introduce itself.
const PROBE_TIME: Duration = Duration::from_secs(10);
const PROBES_AT_ONCE: usize = 4;
const OLDEST: (u32, u32) = (3, 8);
/// Longer answers than this are no answers.
const MOST_OUTPUT: u64 = 64 << 10;

/// An installed Python or R.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interpreter {
    /// What it runs.
    pub language: Language,
    /// Its full version: `3.11.7`.
    pub version: String,
    /// The part of the version that packages care for: `3.11`.
    pub minor: String,
    /// The executable itself, with all links and shims resolved.
    pub path: PathBuf,
    /// The folder of the installation, resolved too.
    pub base_prefix: PathBuf,
    /// What packages are built for, as `sysconfig` names it, with the C library: `linux-x86_64-glibc`; R's own name for it.
    pub platform: String,
}

impl Interpreter {
    /// What environments remember of it: `3.11` of a Python, `r4.2` of an R.
    pub fn key(&self) -> String {
        InterpreterKey { language: self.language, minor: &self.minor }.to_string()
    }

    /// The version as numbers, for comparisons.
    fn order(&self) -> Vec<u32> {
        self.version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    }
}

/// Prints what the installation behind an interpreter is; nothing when uv could not make environments from it.
const PROBE: &str = r#"
import json, os, platform, sys, sysconfig
if sys.version_info < (3, 10):
    import distutils.command.install  # uv reads the install scheme from it; some distributions leave it out
import venv
executable = getattr(sys, "_base_executable", None) or sys.executable
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": list(sys.version_info[:3]),
    "release": sys.version_info[3] == "final",
    "executable": os.path.realpath(executable),
    "base_prefix": os.path.realpath(sys.base_prefix),
    "platform": sysconfig.get_platform() + "-" + (platform.libc_ver()[0] or "other"),
}))
"#;

#[derive(Deserialize)]
struct Answer {
    implementation: String,
    version: (u32, u32, u32),
    release: bool,
    executable: PathBuf,
    base_prefix: PathBuf,
    platform: String,
}

/// Finds the Pythons of this host, newest first, each installation once.
pub async fn find() -> Vec<Interpreter> {
    find_among(places::candidates(&places::Host::current())).await
}

/// Asks each of `candidates` and keeps those that environments can be made from.
pub async fn find_among(candidates: Vec<PathBuf>) -> Vec<Interpreter> {
    newest_first(probe_all(candidates).await.into_iter().flatten().collect())
}

/// Asks each of `candidates`, some at a time; the answers come in their order.
async fn probe_all(candidates: Vec<PathBuf>) -> Vec<Option<Interpreter>> {
    let turn = Arc::new(Semaphore::new(PROBES_AT_ONCE));
    let mut probes = JoinSet::new();
    for (at, candidate) in candidates.into_iter().enumerate() {
        let turn = Arc::clone(&turn);
        probes.spawn(async move {
            // The semaphore is never closed.
            let Ok(_turn) = turn.acquire().await else { return (at, None) };
            (at, probe(&candidate).await)
        });
    }
    let mut answers = probes.join_all().await;
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Each installation once, the newest first.
fn newest_first(mut found: Vec<Interpreter>) -> Vec<Interpreter> {
    found.sort_by_key(|python| (std::cmp::Reverse(python.order()), python.base_prefix.clone(), python.path.clone()));
    found.dedup_by(|a, b| a.base_prefix == b.base_prefix && a.version == b.version);
    found
}

/// Asks one executable what it is; `None` when it is no Python we can use.
pub async fn probe(executable: &Path) -> Option<Interpreter> {
    let answer = match timeout(PROBE_TIME, ask(executable)).await {
        Ok(answer) => answer?,
        Err(_) => {
            tracing::warn!(executable = %executable.display(), "a Python did not introduce itself in time");
            return None;
        }
    };
    let (major, minor, patch) = answer.version;
    if answer.implementation != "cpython" || !answer.release || (major, minor) < OLDEST {
        return None;
    }
    Some(Interpreter {
        language: Language::Python,
        version: format!("{major}.{minor}.{patch}"),
        minor: format!("{major}.{minor}"),
        path: answer.executable,
        base_prefix: answer.base_prefix,
        platform: answer.platform,
    })
}

async fn ask(executable: &Path) -> Option<Answer> {
    serde_json::from_slice(&said_by(executable, &["-I", "-c", PROBE]).await?).ok()
}

/// What a program prints when it succeeds.
async fn said_by(executable: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let mut child = Command::new(executable)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut output = Vec::new();
    child.stdout.take()?.take(MOST_OUTPUT).read_to_end(&mut output).await.ok()?;
    child.wait().await.ok()?.success().then_some(output)
}
