//! Log lines, in the two forms that clients ask for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The body of `projects_log_list`; may be missing altogether.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogsCreate {
    /// Labels that lines must carry, by name; booleans and numbers count as their text.
    #[schema(value_type = Option<Object>)]
    pub filters: Option<BTreeMap<String, serde_json::Value>>,
    /// How many seconds to look at, before (negative) or after `date` or `id`; −21600.
    pub date_range: Option<i64>,
    /// Where to begin; now when neither this nor `id` is given.
    pub date: Option<String>,
    /// The line to begin at, itself included: 24 hexadecimal characters.
    pub id: Option<String>,
    /// How many lines at the most: 50, up to 500.
    pub limit: Option<i64>,
}

/// A log line for `logs_list`.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LogList {
    /// When it was written, in nanoseconds since 1970; no two lines of a project share one.
    pub timestamp: i64,
    /// The same as text.
    pub timestamp_str: String,
    /// The line.
    pub log: String,
    /// Its labels, those that are set.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// A log line for `projects_log_list`: its labels lie flat beside it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Logs {
    /// The line's id.
    pub id: String,
    /// The line.
    pub log: String,
    /// When it was written.
    pub date: String,
    /// Its labels, those that are set.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub labels: serde_json::Map<String, serde_json::Value>,
}
