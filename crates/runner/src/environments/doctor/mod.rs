//! Turns what uv prints when it fails into one sentence for the person who wrote the requirements: which line is at
//! fault, and what to do.
//!
//! - [`solution`]: no set of versions meets the requirements.
//! - [`index`]: the index, or the way to it.
//! - [`room`]: disk and memory.

mod index;
pub(super) mod names;
mod room;
mod solution;

use std::path::Path;

pub(super) use room::{full, lacked};

use super::{requirements::Requirements, run::Done};

/// The longest message, in characters.
const LONGEST: usize = 1024;

/// Whose failure it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub requirements: &'a Requirements,
    /// The minor version of the environment's Python.
    pub python: &'a str,
    /// The minor versions that this server offers.
    pub offered: &'a [String],
    /// The folder that builds fill.
    pub folder: &'a Path,
    /// Bytes of memory that a step of a build may take.
    pub memory: u64,
}

/// uv's complaint, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Complaint {
    head: String,
    /// Why, and why that; each with its lines.
    causes: Vec<Vec<String>>,
    hints: Vec<String>,
}

/// A failure in plain words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explained {
    /// The sentence.
    pub message: String,
    /// What a look into the index could add to it.
    pub look: Option<Look>,
}

/// What to look for in the index.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The versions next to the one that does not exist: `six==99`.
    Nearest {
        /// The requirement.
        wanted: String,
    },
    /// The newest version for this Python.
    ForThisPython {
        /// The package.
        package: String,
    },
    /// Other Pythons that this version has wheels for.
    Wheels {
        /// The package with its version.
        wanted: String,
    },
}

impl Explained {
    fn plain(message: String) -> Self {
        Self { message, look: None }
    }
}

/// Explains what a program left that failed.
pub(super) fn explain(done: &Done, case: &Case<'_>) -> Explained {
    let mut explained = match room::explain(done, case) {
        Some(sentence) => Explained::plain(sentence),
        None => explain_complaint(&take_apart(&done.errors), &done.errors, case),
    };
    explained.message = shorten(&explained.message);
    explained
}

fn explain_complaint(complaint: &Complaint, lines: &[String], case: &Case<'_>) -> Explained {
    if complaint.head.starts_with("No solution found") {
        let because = complaint.causes.first().map(|lines| lines.join(" ")).unwrap_or_default();
        return solution::explain(&because, &complaint.hints, case);
    }
    if let Some(sentence) = index::explain(complaint, case) {
        return Explained::plain(sentence);
    }
    if complaint.head.starts_with("Couldn't parse requirement") {
        return Explained::plain(not_a_requirement(complaint, case.requirements));
    }
    if complaint.head.contains("build ") {
        return failed_build(complaint, case);
    }
    Explained::plain(plain(complaint, lines))
}

/// One line of the length that is allowed, without credentials.
pub(super) fn shorten(sentence: &str) -> String {
    let sentence = without_credentials(&sentence.split_whitespace().collect::<Vec<_>>().join(" "));
    let sentence: String = sentence.chars().filter(|letter| !letter.is_control()).collect();
    match sentence.char_indices().nth(LONGEST) {
        None => sentence,
        Some(_) => sentence.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

/// The text without user names, passwords and queries in its addresses.
pub(super) fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = address.find(|c: char| c.is_whitespace() || "`'\"()<>".contains(c)).unwrap_or(address.len());
        let (whole, after) = address.split_at(end);
        let (whole, query) = whole.split_once('?').map_or((whole, None), |(it, query)| (it, Some(query)));
        let host_end = whole.find('/').unwrap_or(whole.len());
        let user_end = whole[..host_end].rfind('@').map_or(0, |at| at + 1);
        clean.push_str(&whole[user_end..]);
        clean.push_str(if query.is_some_and(|query| query.contains('=')) { "?…" } else { "" });
        rest = after;
    }
    clean.push_str(rest);
    clean
}

/// Finds uv's complaint among its lines, in the form of newer releases (`error:`, `cause:`) and of older ones (a tree).
fn take_apart(lines: &[String]) -> Complaint {
    let mut complaint = Complaint::default();
    for line in lines {
        let text = line.trim_start_matches([' ', '│', '├', '╰', '─', '▶']);
        let branch = line.contains('▶') && line.trim_start().starts_with(['├', '╰']);
        let head = line.strip_prefix("error: ").or_else(|| line.trim_start().strip_prefix("× "));
        if complaint.head.is_empty() {
            complaint.head = head.unwrap_or_default().trim_end_matches(':').to_owned();
        } else if let Some(hint) = text.strip_prefix("hint: ") {
            complaint.hints.push(hint.to_owned());
        } else if let Some(cause) = text.strip_prefix("cause: ").or_else(|| text.strip_prefix("Caused by: ")) {
            complaint.causes.push(vec![cause.to_owned()]);
        } else if branch {
            complaint.causes.push(vec![text.to_owned()]);
        } else if let Some(cause) = complaint.causes.last_mut().filter(|_| !text.is_empty() && line.starts_with(' ')) {
            cause.push(text.to_owned());
        }
    }
    complaint
}

fn not_a_requirement(complaint: &Complaint, requirements: &Requirements) -> String {
    let position = complaint.head.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let line = requirements.text.chars().take(position).filter(|c| *c == '\n').count();
    let text = requirements.text.lines().nth(line).unwrap_or_default().trim();
    let why = complaint.causes.first().and_then(|lines| lines.first()).map(String::as_str).unwrap_or("unknown reason");
    format!("requirements.txt line {}: '{text}' is not a requirement: {why}", line + 1)
}

/// The name at the start of a requirement.
fn package_of(requirement: &str) -> &str {
    requirement.split(['=', '<', '>', '~', '!', '[', ' ', ';', '{', '@']).next().unwrap_or(requirement)
}

fn failed_build(complaint: &Complaint, case: &Case<'_>) -> Explained {
    let what = complaint.head.split('`').nth(1).unwrap_or(&complaint.head);
    let output: Vec<&str> = complaint
        .causes
        .iter()
        .flatten()
        .map(String::as_str)
        .skip_while(|line| !matches!(*line, "[stderr]" | "[stdout]" | "--- stderr"))
        .filter(|line| !matches!(*line, "[stderr]" | "[stdout]" | "--- stderr"))
        .collect();
    let names_an_error = |line: &&&str| {
        let word = line.split(':').next().unwrap_or_default();
        let name = word.rsplit('.').next().unwrap_or_default();
        line.contains(": ")
            && (name.ends_with("Error") || name.ends_with("Exception") || matches!(name, "error" | "fatal"))
    };
    let cause = complaint.causes.last().and_then(|lines| lines.first()).map(String::as_str);
    let line = output.iter().rev().find(names_an_error).or(output.first()).copied().or(cause);
    let hint = complaint.hints.iter().find(|hint| !hint.starts_with("Build failures usually"));
    let hint = hint.map(|hint| format!(". {hint}")).unwrap_or_default();
    let place = case.requirements.line_of(package_of(what));
    let place = place.map_or_else(|| "The package ".to_owned(), |line| format!("requirements.txt line {line}: "));
    let reason = line.unwrap_or("no reason was given");
    let needs =
        complaint.causes.iter().flatten().find_map(|text| text.strip_prefix("No solution found when resolving: "));
    let reason = needs.map_or_else(
        || reason.to_owned(),
        |needs| format!("the package index does not have {}, which its build needs", needs.replace('`', "")),
    );
    let message = format!("{place}{what} could not be built from its source: {reason}{hint}");
    Explained { message, look: what.contains("==").then(|| Look::Wheels { wanted: what.to_owned() }) }
}

fn plain(complaint: &Complaint, lines: &[String]) -> String {
    if complaint.head.is_empty() {
        let last = lines.iter().rev().find(|line| !line.trim().is_empty());
        return last.map_or("uv failed without a word".to_owned(), |line| format!("uv failed: {}", line.trim()));
    }
    let causes = complaint.causes.iter().filter_map(|lines| lines.first());
    [&complaint.head].into_iter().chain(causes).map(String::as_str).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that fails here says where")]
mod tests;
