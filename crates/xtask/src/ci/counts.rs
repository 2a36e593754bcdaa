//! Counts tests by the summaries that their runners print: nextest, cargo test, Python's unittest, and our own.

use std::fmt;

/// Summaries as they were printed, and their sums.
#[derive(Debug, Default, PartialEq)]
pub struct Counts {
    passed: u64,
    failed: u64,
    summaries: Vec<String>,
    /// Tests that unittest has run, until it tells how they went.
    ran: Option<u64>,
}

impl Counts {
    /// Takes a line of output into account when it is a summary.
    pub fn line(&mut self, line: &str) {
        let plain = without_colours(line);
        let text = plain.trim();
        // Nextest shows what failed tests printed, summaries of their own included, behind an indent.
        if plain.starts_with(' ') && !text.starts_with("Summary [") {
            return;
        }
        let found = if text.starts_with("Summary [") || text.starts_with("test result: ") {
            Some((before(text, " passed"), before(text, " failed") + before(text, " timed out")))
        } else if let Some(rest) = text.strip_prefix("Ran ").filter(|rest| rest.contains(" test")) {
            self.ran = rest.split(' ').next().and_then(|number| number.parse().ok());
            self.summaries.push(text.to_owned());
            None
        } else if text == "OK" || text.starts_with("OK (") || text.starts_with("FAILED (") {
            self.ran.take().map(|ran| {
                let failed = after(text, "failures=") + after(text, "errors=");
                let skipped = after(text, "skipped=") + after(text, "expected failures=");
                (ran.saturating_sub(failed + skipped), failed)
            })
        } else {
            own(text)
        };
        if let Some((passed, failed)) = found {
            self.passed += passed;
            self.failed += failed;
            self.summaries.push(text.to_owned());
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for summary in &self.summaries {
            writeln!(f, "{summary}")?;
        }
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `12 passed, 0 failed` on a line of its own.
fn own(text: &str) -> Option<(u64, u64)> {
    let (passed, failed) = text.split_once(" passed, ")?;
    Some((passed.parse().ok()?, failed.strip_suffix(" failed")?.parse().ok()?))
}

/// The number that stands before a word; 0 when there is none.
fn before(text: &str, word: &str) -> u64 {
    let number = text.split_once(word).and_then(|(start, _)| start.rsplit([' ', '.']).next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The number that stands after a word; 0 when there is none.
fn after(text: &str, word: &str) -> u64 {
    let rest = text.split_once(word).map_or("", |(_, rest)| rest);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().unwrap_or(0)
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((text, colour)) = rest.split_once('\x1b') {
        plain += text;
        rest = colour.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(lines: &[&str]) -> (u64, u64) {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.line(line));
        (counts.passed, counts.failed)
    }

    #[test]
    fn reads_the_summaries_of_all_runners() {
        assert_eq!(sums(&["     Summary [   1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 3 skipped"]), (11, 1));
        assert_eq!(sums(&["\x1b[32;1m     Summary\x1b[0m [ 1.2s] 2 tests run: 2 passed, 0 skipped"]), (2, 0));
        assert_eq!(sums(&["     Summary [ 9.9s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped"]), (1, 2));
        assert_eq!(sums(&["test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"]), (7, 0));
        assert_eq!(sums(&["test result: FAILED. 7 passed; 2 failed; 0 ignored"]), (7, 2));
        assert_eq!(sums(&["Ran 9 tests in 0.5s", "", "OK (skipped=2)"]), (7, 0));
        assert_eq!(sums(&["Ran 9 tests in 0.5s", "FAILED (failures=1, errors=2)"]), (6, 3));
        assert_eq!(sums(&["Ran 1 test in 0.5s", "OK"]), (1, 0));
        assert_eq!(sums(&["3 passed, 1 failed"]), (3, 1));
    }

    #[test]
    fn other_lines_do_not_count() {
        assert_eq!(
            sums(&["OK", "test a ... ok", "it passed, 3 failed", "Ran into trouble", "FAILED (failures=1)"]),
            (0, 0)
        );
    }

    #[test]
    fn ends_with_the_sum() {
        let mut counts = Counts::default();
        counts.line("Ran 2 tests in 0.5s");
        counts.line("OK");
        counts.line("  Summary [ 1s] 3 tests run: 3 passed, 0 skipped");
        assert_eq!(
            counts.to_string(),
            "Ran 2 tests in 0.5s\nOK\nSummary [ 1s] 3 tests run: 3 passed, 0 skipped\n5 passed, 0 failed"
        );
    }
}
