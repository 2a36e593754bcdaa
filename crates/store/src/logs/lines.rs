//! A log line and its labels.

use std::fmt;
use std::str::FromStr;

use modelyard_types::ids::{DeploymentId, EnvironmentBuildId, InstanceId, ProjectId, RequestId, RevisionId, VersionId};
use uuid::Uuid;

use crate::error::{Result, StoreError};
use crate::sql::{row, sql};
use crate::value::{self, Bind, Column, Record, Row, Type, Value};

/// How grave a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// As things go.
    #[default]
    Info,
    /// Something failed.
    Error,
}

impl Level {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Error => "error",
        }
    }
}

impl Bind for Level {
    const TYPE: Type = Type::Int;
    fn value(&self) -> Value {
        Value::Int(match self {
            Level::Info => 0,
            Level::Error => 1,
        })
    }
}

impl Column for Level {
    fn read(row: &Row, at: usize) -> Result<Self> {
        match i64::read(row, at)? {
            0 => Ok(Level::Info),
            1 => Ok(Level::Error),
            other => Err(StoreError::unreadable(at, format_args!("{other} is not a level"))),
        }
    }
}

row! {
    /// What a line belongs to (the labels of semantics 6.2); most of it is unset in any one line.
    #[derive(Default)]
    #[expect(missing_docs, reason = "the contract's words")]
    pub struct LogLabels {
        pub deployment_id: Option<DeploymentId>,
        pub deployment_name: Option<String>,
        pub deployment_version_id: Option<VersionId>,
        pub deployment_version: Option<String>,
        pub deployment_version_revision_id: Option<RevisionId>,
        pub instance_id: Option<InstanceId>,
        pub process_id: Option<String>,
        pub environment_name: Option<String>,
        pub environment_build_id: Option<EnvironmentBuildId>,
        pub environment_tag: Option<String>,
        pub pipeline_id: Option<Uuid>,
        pub pipeline_name: Option<String>,
        pub pipeline_version_id: Option<Uuid>,
        pub pipeline_version: Option<String>,
        pub pipeline_object_id: Option<Uuid>,
        pub pipeline_object_name: Option<String>,
        pub deployment_request_id: Option<RequestId>,
        pub pipeline_request_id: Option<Uuid>,
        pub webhook_name: Option<String>,
        pub system: Option<String>,
    }
}

impl LogLabels {
    /// The labels that are set, by name.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let names = Self::FIELDS.iter().copied();
        names.zip(self.values()).filter_map(|(name, value)| Some((name, text_of(value)?))).collect()
    }
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        Value::Id(id) => Some(id.to_string()),
        _ => None,
    }
}

row! {
    /// The columns before the labels.
    pub struct Head {
        /// The project it belongs to.
        pub project_id: ProjectId,
        /// When it was written.
        pub at: i64,
        /// How grave it is.
        pub level: Level,
        /// The line.
        pub line: String,
    }
}

pub(crate) const COLUMNS: &str = sql!(Head::COLUMNS, ", ", LogLabels::COLUMNS);

pub(crate) const TYPES: &[Type] =
    &value::joined::<{ Head::TYPES.len() + LogLabels::TYPES.len() }>(Head::TYPES, LogLabels::TYPES);

/// A log line.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// When it was written, in nanoseconds since 1970.
    pub at_ns: i64,
    /// How grave it is.
    pub level: Level,
    /// The line.
    pub text: String,
    /// What it belongs to.
    pub labels: LogLabels,
}

impl LogLine {
    /// The name that older clients know it by.
    pub fn id(&self) -> LineId {
        LineId { at_ns: self.at_ns, project: tail_of(self.project_id) }
    }

    /// Adds its values to those of a statement; NUL, which not every database can keep, is left out.
    pub(super) fn write(&self, at: i64, values: &mut Vec<Value>) {
        let line = match self.text.contains('\0') {
            true => self.text.replace('\0', ""),
            false => self.text.clone(),
        };
        let head = Head { project_id: self.project_id, at, level: self.level, line };
        values.extend(head.values());
        values.extend(self.labels.values());
    }
}

impl Record for LogLine {
    fn read(row: &Row, at: &mut usize) -> Result<Self> {
        let head = Head::read(row, at)?;
        let labels = LogLabels::read(row, at)?;
        Ok(Self { project_id: head.project_id, at_ns: head.at, level: head.level, text: head.line, labels })
    }
}

/// The id of a line, 24 hexadecimal characters: its time, and the end of its project's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineId {
    /// The line's time.
    pub at_ns: i64,
    project: u32,
}

impl LineId {
    /// Whether the line can be one of a project.
    pub fn is_of(&self, project: ProjectId) -> bool {
        self.project == tail_of(project)
    }
}

fn tail_of(project: ProjectId) -> u32 {
    (project.0.as_u128() & u128::from(u32::MAX)) as u32
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:08x}", self.at_ns, self.project)
    }
}

impl FromStr for LineId {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || StoreError::Invalid("The id of a log line has 24 hexadecimal characters".into());
        if text.len() != 24 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        Ok(Self {
            at_ns: i64::from_str_radix(&text[..16], 16).map_err(|_| refuse())?,
            project: u32::from_str_radix(&text[16..], 16).map_err(|_| refuse())?,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_line() {
        let line = LogLine {
            project_id: ProjectId::new(),
            at_ns: 1_700_000_000_123_456_789,
            level: Level::Info,
            text: String::new(),
            labels: LogLabels::default(),
        };
        let text = line.id().to_string();
        assert_eq!(text.len(), 24);
        let id: LineId = text.parse().unwrap();
        assert_eq!(id, line.id());
        assert!(id.is_of(line.project_id));
        for bad in ["", "xyz", &text[1..], "zzzzzzzzzzzzzzzzzzzzzzzz", "ffffffffffffffff00000000"] {
            assert!(bad.parse::<LineId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_set_labels_are_shown() {
        let labels = LogLabels { deployment_name: Some("iris".into()), ..LogLabels::default() };
        assert_eq!(labels.pairs(), [("deployment_name", "iris".to_owned())]);
    }
}
