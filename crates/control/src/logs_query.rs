//! What clients write to choose log lines: the query of `logs_list`, the filters of `projects_log_list`, and the window of time.
//!
//! The query is a small part of LogQL (semantics 6.2): stages that all must pass. A stage is a line filter, such as
//! ``|= `text` ``, or a pipe with tests of labels joined by `and` and `or`, of which `and` binds tighter.

use modelyard_store::logs::{Filter, Label, LabelTest, LineTest};
use modelyard_types::logs::LogsCreate;
use modelyard_types::{Error, Result, Timestamp};

mod scanner;

use scanner::Scanner;

/// The longest query, in bytes.
const MAX_QUERY: usize = 16 << 10;
/// The most tests in a query.
const MAX_TESTS: usize = 200;

/// Reads a query; refuses one we do not understand with a sentence that shows the place.
pub fn parse(query: &str) -> Result<Filter> {
    if query.len() > MAX_QUERY {
        return Err(Error::Invalid(format!("query must have at most {MAX_QUERY} characters")));
    }
    let mut scanner = Scanner::new(query);
    let (mut stages, mut tests) = (Vec::new(), 0);
    while !scanner.is_at_end() {
        let stage = stage(&mut scanner, stages.is_empty())?;
        tests += size(&stage);
        if tests > MAX_TESTS {
            return Err(Error::Invalid(format!("query must hold at most {MAX_TESTS} tests")));
        }
        stages.push(stage);
    }
    Ok(Filter::And(stages))
}

fn size(filter: &Filter) -> usize {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().map(size).sum(),
        Filter::Label(..) | Filter::Line(_) => 1,
    }
}

fn stage(scanner: &mut Scanner<'_>, is_first: bool) -> Result<Filter> {
    let filter = if scanner.take("|=") {
        LineTest::Contains(scanner.quoted()?)
    } else if scanner.take("|~") {
        LineTest::matches(&scanner.quoted()?)?
    } else if scanner.take("!=") {
        LineTest::ContainsNot(scanner.quoted()?)
    } else if scanner.take("!~") {
        LineTest::matches_not(&scanner.quoted()?)?
    } else if scanner.take("|") || is_first {
        return either(scanner);
    } else {
        return Err(scanner.refuse("expected '|', '|=', '!=', '|~' or '!~'"));
    };
    Ok(Filter::Line(filter))
}

/// Tests joined by `or`.
fn either(scanner: &mut Scanner<'_>) -> Result<Filter> {
    let mut parts = vec![all(scanner)?];
    while scanner.take_word("or") {
        parts.push(all(scanner)?);
    }
    Ok(one_or(parts, Filter::Or))
}

/// Tests joined by `and`.
fn all(scanner: &mut Scanner<'_>) -> Result<Filter> {
    let mut parts = vec![test(scanner)?];
    while scanner.take_word("and") || scanner.take(",") {
        parts.push(test(scanner)?);
    }
    Ok(one_or(parts, Filter::And))
}

fn one_or(mut parts: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

fn test(scanner: &mut Scanner<'_>) -> Result<Filter> {
    let name = scanner.word().ok_or_else(|| scanner.refuse("expected the name of a label"))?;
    let label = label(name)?;
    let test = if scanner.take("=~") {
        LabelTest::matches(&scanner.quoted()?)?
    } else if scanner.take("!~") {
        LabelTest::matches_not(&scanner.quoted()?)?
    } else if scanner.take("!=") {
        LabelTest::IsNot(scanner.quoted()?)
    } else if scanner.take("==") || scanner.take("=") {
        LabelTest::Is(scanner.quoted()?)
    } else {
        return Err(scanner.refuse("expected '=', '!=', '=~' or '!~' after the label"));
    };
    Ok(Filter::Label(label, test))
}

/// The label of a name; older clients say `build_id` for what is a revision since.
fn label(name: &str) -> Result<Label> {
    let known = if name == "build_id" { "deployment_version_revision_id" } else { name };
    Label::parse(known).ok_or_else(|| {
        let known: Vec<_> = Label::names().collect();
        Error::Invalid(format!("The log label '{name}' is not known; there are {}", known.join(", ")))
    })
}

/// The filters of `projects_log_list`: a line passes when it carries all these labels.
pub fn filters(body: &LogsCreate) -> Result<Filter> {
    let filters = body.filters.iter().flatten().filter(|(_, value)| !value.is_null());
    let has = |name: &str| body.filters.as_ref().is_some_and(|all| all.contains_key(name));
    for (name, parent) in [("deployment_version", "deployment"), ("pipeline_version", "pipeline")] {
        if has(name) && !has(&format!("{parent}_name")) && !has(&format!("{parent}_id")) {
            return Err(Error::Invalid(format!("filters: {name} needs {parent}_name beside it")));
        }
    }
    let mut tests = Vec::new();
    for (name, value) in filters {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Bool(_) | serde_json::Value::Number(_) => value.to_string(),
            _ => return Err(Error::Invalid(format!("filters: the value of {name} must be a string"))),
        };
        // Python's booleans become text with a capital letter.
        let text = if matches!(text.as_str(), "True" | "False") { text.to_lowercase() } else { text };
        tests.push(Filter::Label(label(name)?, LabelTest::Is(text)));
    }
    Ok(Filter::And(tests))
}

/// A window of time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment in it.
    pub from_ns: i64,
    /// The first moment after it.
    pub until_ns: i64,
    /// Whether the newest lines come first.
    pub backwards: bool,
}

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The window of `logs_list`: `start` inclusive, `end` exclusive, both or none. A start after the end looks backwards.
pub fn window(start: Option<&str>, end: Option<&str>, now: Timestamp) -> Result<Window> {
    let (start, end) = match (start, end) {
        (Some(start), Some(end)) => (moment("start", start)?, moment("end", end)?),
        (None, None) => {
            let now = now.0.saturating_mul(1_000);
            // What was written up to this moment is in it.
            return Ok(Window { from_ns: now - DAY, until_ns: now + SECOND, backwards: false });
        }
        _ => return Err(Error::invalid("start and end must be given together, or neither")),
    };
    Ok(if start > end {
        Window { from_ns: end.saturating_add(1), until_ns: start.saturating_add(1), backwards: true }
    } else {
        Window { from_ns: start, until_ns: end, backwards: false }
    })
}

/// An ISO 8601 date or whole nanoseconds since 1970.
fn moment(name: &str, text: &str) -> Result<i64> {
    if let Ok(nanos) = text.trim().parse() {
        return Ok(nanos);
    }
    let at = Timestamp::parse(text).map(|at| at.0.saturating_mul(1_000));
    at.ok_or_else(|| Error::Invalid(format!("{name} must be an ISO 8601 date or nanoseconds, but got '{text}'")))
}

/// The seconds that `projects_log_list` looks at when it is not told.
const DEFAULT_RANGE: i64 = -21_600;
const MAX_RANGE: i64 = 86_400;

/// The window of `projects_log_list`. `line` is the time of the line named by `id`; it is in the window either way.
pub fn range(body: &LogsCreate, line: Option<i64>, now: Timestamp) -> Result<Window> {
    let range = body.date_range.unwrap_or(DEFAULT_RANGE);
    if !(-MAX_RANGE..=MAX_RANGE).contains(&range) {
        return Err(Error::Invalid(format!("date_range must be between -{MAX_RANGE} and {MAX_RANGE}, and is {range}")));
    }
    let begin = match (line, &body.date) {
        (Some(line), _) => line,
        (None, Some(date)) => moment("date", date)?,
        (None, None) => now.0.saturating_mul(1_000),
    };
    let other = begin.saturating_add(range * SECOND);
    Ok(if range > 0 {
        Window { from_ns: begin, until_ns: other.saturating_add(1), backwards: false }
    } else {
        Window { from_ns: other, until_ns: begin.saturating_add(1), backwards: true }
    })
}

#[cfg(test)]
mod tests;
