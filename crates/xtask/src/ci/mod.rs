//! Everything that CI runs, cheap steps first. It stops at the first step that fails and says which; the last lines are
//! the summaries of the tests, as their runners print them, and one line that adds them up.

mod counts;
mod licences;
mod outcome;
mod steps;

use std::time::Instant;

use counts::Counts;

type Step = (&'static str, fn(&mut Counts) -> Result<(), String>);

const STEPS: [Step; 8] = [
    ("tools", steps::tools),
    ("formats", steps::formats),
    ("licences", licences::check),
    ("lints", steps::lints),
    ("contract", steps::contract),
    ("tests", steps::tests),
    ("worker", steps::worker),
    ("clients", steps::clients),
];

/// Runs all steps.
pub fn run() -> Result<(), String> {
    let mut counts = Counts::default();
    let mut failure = None;
    for (name, step) in STEPS {
        println!("\n=== {name}");
        let begun = Instant::now();
        let done = step(&mut counts);
        println!(
            "=== {name}: {} after {:.0} s",
            if done.is_ok() { "done" } else { "FAILED" },
            begun.elapsed().as_secs_f64()
        );
        if let Err(reason) = done {
            failure = Some(format!("ci stopped at `{name}`: {reason}"));
            break;
        }
    }
    println!();
    if let Some(reason) = &failure {
        println!("{reason}\n");
    }
    println!("{counts}");
    match failure {
        Some(_) => std::process::exit(1),
        None => Ok(()),
    }
}
