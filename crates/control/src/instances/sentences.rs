//! What is said of instances in their events.

use std::time::Duration;

use modelyard_runner::process::Phase;
use modelyard_scheduler::{ATTEMPTS, StopReason, delay_after};
use modelyard_types::instances::InstanceStatus;

/// The longest reason that an event repeats, in characters; the logs have all of it.
const MAX_REASON: usize = 500;

/// Why an instance is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The scheduler says so.
    Planned(StopReason),
    /// Somebody of this address asked for it.
    Asked(String),
    /// Its server stops.
    ServerStops,
}

impl Why {
    /// One word, for figures.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Why::Planned(StopReason::Idle) => "idle",
            Why::Planned(StopReason::AboveMaximum) => "above_maximum",
            Why::Planned(StopReason::Outdated) => "outdated",
            Why::Planned(StopReason::MakeRoom) => "make_room",
            Why::Planned(StopReason::Unavailable) => "unavailable",
            Why::Asked(_) => "asked",
            Why::ServerStops => "server_stops",
        }
    }
}

/// Why it stops.
pub(crate) fn stopping(why: &Why) -> String {
    let reason = match why {
        Why::Planned(StopReason::Idle) => "it had nothing to do for longer than the maximum_idle_time of its version",
        Why::Planned(StopReason::AboveMaximum) => "its version has more instances than its maximum_instances",
        Why::Planned(StopReason::Outdated) => "it was made from older code or settings, and is replaced",
        Why::Planned(StopReason::MakeRoom) => "it had nothing to do, and another version needs its memory",
        Why::Planned(StopReason::Unavailable) => "its version is gone or may not run",
        Why::Asked(by) => return format!("Stopping, because {by} asked for it"),
        Why::ServerStops => "the server stops",
    };
    format!("Stopping, because {reason}")
}

/// It is to be, of this kind; those that come first in its group found no room.
pub(crate) fn created(instance_type: &str, passed: &[String]) -> String {
    let created = format!("Instance created, with instance type {instance_type}");
    if passed.is_empty() {
        return created;
    }
    format!("{created}, because there was no room for {}", passed.join(", "))
}

/// Its status changed.
pub(crate) fn status(to: InstanceStatus) -> String {
    format!("Instance status changed to {}", to.as_str())
}

/// It was handed to the runner.
pub(crate) fn scheduled(took: Duration) -> String {
    format!("Scheduled in {}", millis(took))
}

/// A phase of its start is done.
pub(crate) fn phase(phase: Phase, took: Duration) -> String {
    let what = match phase {
        Phase::Sandbox => "Sandbox made in",
        Phase::Interpreter => "Interpreter started in",
        Phase::Import => "Import of the code done in",
        Phase::Init => "Init of the deployment done in",
        Phase::Ready => "Ready after",
    };
    format!("{what} {}", millis(took))
}

/// One of several processes takes requests.
pub(crate) fn process_ready(number: u32, took: Duration) -> String {
    format!("Process {number} ready after {}", millis(took))
}

/// A process took the place of one that ended.
pub(crate) fn process_replaced(number: u32) -> String {
    format!("Process {number} ready again")
}

/// A process ended.
pub(crate) fn process_ended(number: u32, reason: &str) -> String {
    format!("Process {number} ended and is replaced: {}", shortened(reason))
}

/// So many processes ended that no more of it is told.
pub(crate) fn enough() -> String {
    "Its processes end again and again; from now on only the logs tell of it".to_owned()
}

/// A start failed, so many in a row.
pub(crate) fn failed(reason: &str, failures: u32) -> String {
    let (reason, pause) = (shortened(reason), delay_after(failures).as_secs());
    let next = if failures < ATTEMPTS {
        format!("attempt {failures} of {ATTEMPTS}; the next follows after {pause} s")
    } else {
        format!("attempt {failures}; what waits is refused, and a later request is tried after {pause} s")
    };
    format!("The instance did not start: {reason} ({next})")
}

/// It is no more.
pub(crate) fn ended(reason: &str, expected: bool) -> String {
    if expected { "Instance stopped".to_owned() } else { format!("Instance ended: {}", shortened(reason)) }
}

fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

/// The first line of a reason, which user code may have made, without its full stop.
fn shortened(reason: &str) -> String {
    let line = reason.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason is known").trim();
    let line: String = line.chars().filter(|character| !character.is_control()).take(MAX_REASON).collect();
    line.strip_suffix('.').map(str::to_owned).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_start_says_what_comes_next() {
        insta::assert_snapshot!(failed("No module named 'x'.\nat line 1", 1), @"The instance did not start: No module named 'x' (attempt 1 of 3; the next follows after 1 s)");
        insta::assert_snapshot!(failed("a\0b", 3), @"The instance did not start: ab (attempt 3; what waits is refused, and a later request is tried after 30 s)");
    }

    #[test]
    fn an_instance_that_is_not_of_the_first_kind_says_why() {
        assert_eq!(created("256mb", &[]), "Instance created, with instance type 256mb");
        assert_eq!(
            created("256mb", &["1024mb".into(), "512mb".into()]),
            "Instance created, with instance type 256mb, because there was no room for 1024mb, 512mb"
        );
    }

    #[test]
    fn reasons_are_one_line_of_bounded_length() {
        assert_eq!(ended(&"x".repeat(9_000), false).len(), "Instance ended: ".len() + MAX_REASON);
        assert_eq!(ended("\n\n", false), "Instance ended: no reason is known");
        assert_eq!(ended("whatever", true), "Instance stopped");
    }
}
