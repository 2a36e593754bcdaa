//! Shows steps with the time they took.

use std::fmt::Display;
use std::io::{Write, stdout};
use std::time::Instant;

/// Does a step between its name and its time.
pub(super) async fn step<T, E: Display>(what: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    print!("  {what:.<44} ");
    let _ = stdout().flush();
    let begun = Instant::now();
    let done = work.await;
    match &done {
        Ok(_) => println!("{:>7.3} s", begun.elapsed().as_secs_f64()),
        Err(_) => println!("failed"),
    }
    done
}

/// Shows a line of a log between a step and its time.
pub(super) fn line(text: &str) {
    print!("\n    | {text}");
    let _ = stdout().flush();
}

/// Ends lines of a log.
pub(super) fn end_of_lines() {
    print!("\n  {:.<44} ", "built");
    let _ = stdout().flush();
}
