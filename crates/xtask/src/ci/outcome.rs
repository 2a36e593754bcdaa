//! Runs a program, shows what it prints as it comes, and keeps the lines that count its tests.

use std::io::{BufRead, BufReader, pipe};
use std::process::{Command, Stdio};

use super::counts::Counts;
use crate::place::shown;

/// Runs a program whose output holds summaries of tests.
pub fn watch(mut command: Command, counts: &mut Counts) -> Result<(), String> {
    let name = shown(&command);
    println!("$ {name}");
    let failed = |e: std::io::Error| format!("`{name}` cannot be run: {e}");
    let (reader, writer) = pipe().map_err(failed)?;
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer).stdin(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    // The command holds our ends of the pipe.
    drop(command);
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.map_err(failed)?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts.line(&line);
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("`{name}` failed: {status}")) }
}
