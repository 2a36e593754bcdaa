//! Points at which a test lets the server die, as `kill -9` would: only in builds with the feature `failpoints`.

use std::io::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};

use nix::sys::signal::{Signal, raise};

/// Where to die, as `point:times`: the process ends when it comes there for that time. Without the prefix of settings, because it
/// is none.
const VARIABLE: &str = "CRASH_AT";

/// What is said at the point, before the end: a test sees by it that the point was reached.
const LAST_WORDS: &str = "the server dies at";

/// Sets the point that the environment names, if it names one.
pub fn arm() {
    let Some(told) = std::env::var(VARIABLE).ok() else { return };
    let Some((point, times)) = told.split_once(':') else { return };
    let left = AtomicI64::new(times.parse().unwrap_or(1));
    let name = point.to_owned();
    let set = fail::cfg_callback(point, move || {
        if left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Nothing that could be done about a failure is left to do.
            let _ = writeln!(std::io::stderr(), "{LAST_WORDS} {name}");
            let _ = raise(Signal::SIGKILL);
        }
    });
    if let Err(problem) = set {
        tracing::error!(problem, "the crash point could not be set");
    }
}
