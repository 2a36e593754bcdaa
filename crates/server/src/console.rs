//! What is said on standard output. Nobody may be listening any more, which is no reason to end.

use std::fmt::Display;
use std::io::{Write, stdout};

/// Says a line.
pub fn line(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// Says a part of a line, and shows it at once.
pub(crate) fn part(text: impl Display) {
    let mut out = stdout();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}
