//! Shows steps with the time they took.

use std::fmt::Display;
use std::time::Instant;

use crate::console;

/// Does a step between its name and its time.
pub(super) async fn step<T, E: Display>(what: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    console::part(format_args!("  {what:.<44} "));
    let begun = Instant::now();
    let done = work.await;
    match &done {
        Ok(_) => console::line(format_args!("{:>7.3} s", begun.elapsed().as_secs_f64())),
        Err(_) => console::line("failed"),
    }
    done
}

/// Shows a line of a log between a step and its time.
pub(super) fn line(text: &str) {
    console::part(format_args!("\n    | {text}"));
}

/// Ends lines of a log.
pub(super) fn end_of_lines() {
    console::part(format_args!("\n  {:.<44} ", "built"));
}
