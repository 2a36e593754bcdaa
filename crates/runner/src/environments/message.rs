//! Turns what uv prints when it fails into one sentence for the person who wrote the requirements.

use super::requirements::Requirements;

/// The longest message, in characters.
const LONGEST: usize = 1024;
/// Words by which uv says that it reached nobody.
const UNREACHABLE: [&str; 6] = [
    "error sending request",
    "client error (Connect)",
    "dns error",
    "tcp connect error",
    "operation timed out",
    "Network connectivity is disabled",
];

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
    /// The package whose wanted version does not exist, when that is what is wrong.
    pub no_such_version: Option<String>,
}

/// Explains the lines that uv printed.
pub(super) fn explain(lines: &[String], requirements: &Requirements) -> Explained {
    let complaint = take_apart(lines);
    let mut no_such_version = None;
    let message = if let Some(sentence) = unreachable(&complaint) {
        sentence
    } else if complaint.head.starts_with("No solution found") {
        let because = complaint.causes.first().map(|lines| lines.join(" ")).unwrap_or_default();
        let (sentence, missing) = no_solution(&because, &complaint.hints, requirements);
        no_such_version = missing;
        sentence
    } else if complaint.head.starts_with("Couldn't parse requirement") {
        not_a_requirement(&complaint, requirements)
    } else if complaint.head.contains("build ") {
        failed_build(&complaint)
    } else {
        plain(&complaint, lines)
    };
    Explained { message: shorten(&message), no_such_version }
}

/// Cuts a sentence to the length that is allowed.
pub(super) fn shorten(sentence: &str) -> String {
    let sentence = without_credentials(sentence.trim());
    match sentence.char_indices().nth(LONGEST) {
        None => sentence,
        Some(_) => sentence.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

/// The text without user names and passwords in its addresses.
pub(super) fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        clean.push_str(before);
        let host_end = address.find(['/', ' ', '`', '\'', '"', '?', ')']).unwrap_or(address.len());
        let user_end = address[..host_end].rfind('@').map_or(0, |at| at + 1);
        rest = &address[user_end..];
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

fn unreachable(complaint: &Complaint) -> Option<String> {
    let texts = || [&complaint.head].into_iter().chain(complaint.causes.iter().flatten());
    let refused = texts().find(|text| text.contains("HTTP status"));
    if let Some(refused) = refused {
        return Some(format!("The package index answered with an error: {refused}"));
    }
    texts().find(|text| UNREACHABLE.iter().any(|words| text.contains(words)))?;
    let why = complaint.causes.last().and_then(|lines| lines.first()).unwrap_or(&complaint.head);
    let address = texts().find_map(|text| text.split_once("Failed to fetch: ")).map(|(_, url)| url.trim_matches('`'));
    let direct = complaint.head.contains(" @ ");
    Some(match address {
        Some(address) if direct => format!("The address {address} could not be reached: {why}"),
        Some(address) => format!("The package index could not be reached at {address}: {why}"),
        None => format!("The package index could not be reached: {why}"),
    })
}

/// Explains why the requirements cannot be met, and names the package whose version does not exist.
fn no_solution(because: &str, hints: &[String], requirements: &Requirements) -> (String, Option<String>) {
    let place = |package: &str| match requirements.line_of(package) {
        Some(line) => format!("requirements.txt line {line}: "),
        None => String::new(),
    };
    let Some(reason) = because.strip_prefix("Because ") else {
        return (format!("The requirements cannot be met: {because}"), None);
    };
    let (first, rest) = reason.split_once(" and ").unwrap_or((reason, ""));
    if let Some(wanted) = first.strip_prefix("there is no version of ") {
        let package = package_of(wanted);
        return (format!("{}{wanted} does not exist", place(package)), Some(package.to_owned()));
    }
    if let Some(package) = first.strip_suffix(" was not found in the package registry") {
        return (format!("{}the package {package} was not found in the package index", place(package)), None);
    }
    let available = first.strip_prefix("only ").and_then(|rest| rest.strip_suffix(" is available"));
    if let (Some(available), Some(wanted)) = (available, rest.strip_prefix("you require ")) {
        let wanted = wanted.split(", we can").next().unwrap_or(wanted);
        let package = package_of(wanted);
        return (format!("{}{wanted} does not exist, only {available} is available", place(package)), None);
    }
    let reason = reason
        .replace(", we can conclude that your requirements are unsatisfiable.", "")
        .replace(", we can conclude that ", ", so ")
        .replace(". And because ", "; and ");
    let hint = hints.iter().find(|hint| hint.starts_with("You require")).map(|hint| format!(". {hint}"));
    (format!("The requirements cannot be met: {}{}", reason.trim_end_matches('.'), hint.unwrap_or_default()), None)
}

/// The name at the start of a requirement.
fn package_of(requirement: &str) -> &str {
    requirement.split(['=', '<', '>', '~', '!', '[', ' ', ';']).next().unwrap_or(requirement)
}

fn not_a_requirement(complaint: &Complaint, requirements: &Requirements) -> String {
    let position = complaint.head.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let line = requirements.text.chars().take(position).filter(|c| *c == '\n').count();
    let text = requirements.text.lines().nth(line).unwrap_or_default().trim();
    let why = complaint.causes.first().and_then(|lines| lines.first()).map(String::as_str).unwrap_or("unknown reason");
    format!("requirements.txt line {}: '{text}' is not a requirement: {why}", line + 1)
}

fn failed_build(complaint: &Complaint) -> String {
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
    format!("The package {what} could not be built from its source: {}{hint}", line.unwrap_or("no reason was given"))
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
#[path = "message_tests.rs"]
mod tests;
