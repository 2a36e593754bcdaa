//! What lines a search wants: a small tree over labels and texts.

use regex::Regex;
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::logs::lines::{Level, LogLabels, LogLine};
use crate::value::{Bind, Type, Value};

/// A label that lines can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(&'static str, Type);

impl Label {
    /// The label of a name.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "level" {
            return Some(Label("level", Type::Int));
        }
        let at = LogLabels::FIELDS.iter().position(|field| *field == name)?;
        Some(Label(LogLabels::FIELDS[at], LogLabels::TYPES[at]))
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        LogLabels::FIELDS.iter().copied().chain(["level"])
    }

    fn text_of(self, line: &LogLine) -> String {
        if self.0 == "level" {
            return line.level.as_str().to_owned();
        }
        let pairs = line.labels.pairs();
        let found = pairs.into_iter().find(|(name, _)| *name == self.0);
        found.map_or_else(String::new, |(_, text)| text)
    }

    /// A text as a value of the label's column; nothing when no line can have it.
    fn value_of(self, text: &str) -> Option<Value> {
        match self.1 {
            Type::Int => {
                [Level::Info, Level::Error].into_iter().find(|level| level.as_str() == text).map(|level| level.value())
            }
            Type::Id => Uuid::parse_str(text).ok().map(Value::Id),
            _ => Some(Value::Text(text.to_owned())),
        }
    }
}

/// A test of a label. A label that is not set counts as an empty text.
#[derive(Clone, Debug)]
pub enum LabelTest {
    /// `=`
    Is(String),
    /// `!=`
    IsNot(String),
    /// `=~`: the whole text matches.
    Matches(Regex),
    /// `!~`: the whole text does not match.
    MatchesNot(Regex),
}

/// A test of a line's text.
#[derive(Clone, Debug)]
pub enum LineTest {
    /// `|=`
    Contains(String),
    /// `!=`
    ContainsNot(String),
    /// `|~`: some part matches.
    Matches(Regex),
    /// `!~`: no part matches.
    MatchesNot(Regex),
}

/// Which lines pass.
#[derive(Clone, Debug)]
pub enum Filter {
    /// Those that pass all; with none given, every line.
    And(Vec<Filter>),
    /// Those that pass one at least.
    Or(Vec<Filter>),
    /// Those whose label passes a test.
    Label(Label, LabelTest),
    /// Those whose text passes a test.
    Line(LineTest),
}

impl Default for Filter {
    fn default() -> Self {
        Filter::And(Vec::new())
    }
}

/// The largest compiled pattern, in bytes.
const MOST_PATTERN: usize = 1 << 20;

fn pattern(text: &str) -> Result<Regex> {
    regex::RegexBuilder::new(text)
        .size_limit(MOST_PATTERN)
        .build()
        .map_err(|_| StoreError::Invalid(format!("`{text}` is not a regular expression")))
}

impl LabelTest {
    /// `=~`; refuses what is not a regular expression.
    pub fn matches(text: &str) -> Result<Self> {
        whole(text).map(LabelTest::Matches)
    }

    /// `!~`; refuses what is not a regular expression.
    pub fn matches_not(text: &str) -> Result<Self> {
        whole(text).map(LabelTest::MatchesNot)
    }
}

/// A pattern for a whole text, as labels have it.
fn whole(text: &str) -> Result<Regex> {
    pattern(text)?;
    pattern(&format!("^(?:{text})$"))
}

impl LineTest {
    /// `|~`; refuses what is not a regular expression.
    pub fn matches(text: &str) -> Result<Self> {
        pattern(text).map(LineTest::Matches)
    }

    /// `!~`; refuses what is not a regular expression.
    pub fn matches_not(text: &str) -> Result<Self> {
        pattern(text).map(LineTest::MatchesNot)
    }
}

impl Filter {
    /// Whether a line passes.
    pub fn passes(&self, line: &LogLine) -> bool {
        match self {
            Filter::And(parts) => parts.iter().all(|part| part.passes(line)),
            Filter::Or(parts) => parts.iter().any(|part| part.passes(line)),
            Filter::Label(label, test) => match test {
                LabelTest::Is(text) => label.text_of(line) == *text,
                LabelTest::IsNot(text) => label.text_of(line) != *text,
                LabelTest::Matches(pattern) => pattern.is_match(&label.text_of(line)),
                LabelTest::MatchesNot(pattern) => !pattern.is_match(&label.text_of(line)),
            },
            Filter::Line(test) => match test {
                LineTest::Contains(text) => line.text.contains(text),
                LineTest::ContainsNot(text) => !line.text.contains(text),
                LineTest::Matches(pattern) => pattern.is_match(&line.text),
                LineTest::MatchesNot(pattern) => !pattern.is_match(&line.text),
            },
        }
    }
}

/// A filter's condition in SQL.
pub(super) struct Condition {
    pub text: String,
    /// Whether the condition says all that the filter says; else lines have to be looked at once more.
    pub exact: bool,
}

/// Labels with an index of their own.
const INDEXED: [&str; 3] = ["deployment_request_id", "deployment_version_id", "environment_build_id"];

/// Whether every passing line has one given value of an indexed label.
pub(super) fn is_narrow(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().any(is_narrow),
        Filter::Label(label, LabelTest::Is(text)) => INDEXED.contains(&label.0) && !text.is_empty(),
        Filter::Or(_) | Filter::Label(..) | Filter::Line(_) => false,
    }
}

/// Writes a filter as a condition that every passing line meets. Values are added to those of the statement.
pub(super) fn condition(filter: &Filter, postgres: bool, values: &mut Vec<Value>) -> Condition {
    match filter {
        Filter::And(parts) => joined(parts, " AND ", "1 = 1", postgres, values),
        Filter::Or(parts) => joined(parts, " OR ", "1 = 0", postgres, values),
        Filter::Label(label, test) => label_condition(*label, test, values),
        Filter::Line(test) => line_condition(test, postgres, values),
    }
}

fn joined(parts: &[Filter], word: &str, empty: &str, postgres: bool, values: &mut Vec<Value>) -> Condition {
    let parts: Vec<_> = parts.iter().map(|part| condition(part, postgres, values)).collect();
    let texts: Vec<_> = parts.iter().map(|part| part.text.as_str()).collect();
    let text = match texts.is_empty() {
        true => empty.to_owned(),
        false => format!("({})", texts.join(word)),
    };
    let exact = parts.iter().all(|part| part.exact);
    Condition { text, exact }
}

fn label_condition(label: Label, test: &LabelTest, values: &mut Vec<Value>) -> Condition {
    let name = label.0;
    let mut marked = |value| {
        values.push(value);
        values.len()
    };
    let (text, exact) = match test {
        LabelTest::Is(text) if text.is_empty() => (format!("{name} IS NULL"), true),
        LabelTest::IsNot(text) if text.is_empty() => (format!("{name} IS NOT NULL"), true),
        LabelTest::Is(text) => match label.value_of(text) {
            Some(value) => (format!("{name} = ${}", marked(value)), true),
            None => ("1 = 0".to_owned(), true),
        },
        LabelTest::IsNot(text) => match label.value_of(text) {
            Some(value) => {
                let mark = marked(value);
                (format!("({name} IS NULL OR {name} <> ${mark})"), true)
            }
            None => ("1 = 1".to_owned(), true),
        },
        LabelTest::Matches(pattern) if is_any(pattern) => (format!("{name} IS NOT NULL"), true),
        LabelTest::MatchesNot(pattern) if is_any(pattern) => (format!("{name} IS NULL"), true),
        LabelTest::Matches(_) | LabelTest::MatchesNot(_) => ("1 = 1".to_owned(), false),
    };
    Condition { text, exact }
}

/// Whether a pattern only asks for a text that is not empty, as the stock waiter does.
fn is_any(pattern: &Regex) -> bool {
    matches!(pattern.as_str(), "^(?:.+)$")
}

fn line_condition(test: &LineTest, postgres: bool, values: &mut Vec<Value>) -> Condition {
    let place = if postgres { "strpos" } else { "instr" };
    let mut at = |text: &String| {
        values.push(Value::Text(text.replace('\0', "")));
        format!("{place}(line, ${})", values.len())
    };
    let (text, exact) = match test {
        LineTest::Contains(text) => (format!("{} > 0", at(text)), true),
        LineTest::ContainsNot(text) => (format!("{} = 0", at(text)), true),
        LineTest::Matches(_) | LineTest::MatchesNot(_) => ("1 = 1".to_owned(), false),
    };
    Condition { text, exact }
}
