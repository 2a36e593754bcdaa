//! Log lines of a project, in the two forms that clients ask for them.

use axum::extract::State;
use modelyard_control::logs_query::{self, Window};
use modelyard_store::logs::{Filter, LineId, LogLine, LogQuery};
use modelyard_types::logs::{LogList, Logs, LogsCreate};
use modelyard_types::permissions::can;
use modelyard_types::{ProjectId, Timestamp};
use serde_json::{Map, Value};
use utoipa_axum::routes;

use crate::App;
use crate::access::InProject;
use crate::error::{Refusal, Result, invalid};
use crate::json::{Json, OptionalJson};
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

/// The most lines of one `logs_list`.
const MAX_LIMIT: i64 = 5000;
/// The most lines of one `projects_log_list`.
const MAX_OLD_LIMIT: i64 = 500;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(logs_list), logs_list);
    all.add(routes!(projects_log_list), projects_log_list);
}

/// Which lines to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Tests of labels and texts, such as ``| deployment_name=`a` and level=`error` |= `timeout` ``.
    #[param(value_type = Option<String>)]
    query: Filter,
    /// Where to begin, this moment included: ISO 8601 or nanoseconds. Together with `end`, or neither.
    #[param(value_type = Option<String>)]
    start: Window,
    /// Where to end, this moment excluded; before `start`, the newest lines come first.
    #[param(value_type = Option<String>)]
    #[expect(dead_code, reason = "stands in the window of start")]
    end: (),
    /// How many lines: 1000, up to 5000.
    #[param(value_type = Option<i64>)]
    limit: i64,
}

impl FromQuery for Wanted {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let (start, end) = (values.text("start"), values.text("end"));
        Ok(Self {
            query: logs_query::parse(&values.text("query").unwrap_or_default())?,
            start: logs_query::window(start.as_deref(), end.as_deref(), Timestamp::now())?,
            end: (),
            limit: values.int("limit", 1..=MAX_LIMIT)?.unwrap_or(1000),
        })
    }
}

async fn search(app: &App, project: ProjectId, window: Window, limit: i64, filter: Filter) -> Result<Vec<LogLine>> {
    let query = LogQuery {
        from_ns: window.from_ns,
        until_ns: window.until_ns,
        backwards: window.backwards,
        limit: usize::try_from(limit).unwrap_or(0),
        filter,
    };
    // Who asks after a request wants to see its lines.
    app.control().log_sink().barrier().await;
    let page = app.control().logs().search(project, &query).await?;
    if page.lines.is_empty() && page.stopped_at.is_some() {
        return Err(invalid(
            "The search looked at very many lines without finding one: name a deployment, or a shorter time",
        ));
    }
    Ok(page.lines)
}

/// The labels of a line, in the types that clients read.
fn labels(line: &LogLine) -> Map<String, Value> {
    let mut labels = Map::new();
    for (name, text) in line.labels.pairs() {
        let value = match name {
            "process_id" => text.parse::<i64>().map_or(Value::String(text), Value::from),
            "system" => Value::Bool(text == "true"),
            _ => Value::String(text),
        };
        labels.insert(name.to_owned(), value);
    }
    // Older clients know a revision by its build, which is the same.
    if let Some(revision) = labels.get("deployment_version_revision_id").cloned() {
        labels.insert("build_id".to_owned(), revision);
    }
    labels.insert("level".to_owned(), Value::from(line.level.as_str()));
    labels
}

fn written(line: &LogLine) -> String {
    Timestamp(line.at_ns / 1_000).request_text()
}

/// List log lines of a project.
#[utoipa::path(get, path = "/projects/{project_name}/logs", tag = "Logs", params(Wanted),
    responses((status = 200, body = Vec<LogList>)))]
async fn logs_list(
    State(app): State<App>,
    on: InProject<can::ProjectsLogs>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<LogList>>> {
    let lines = search(&app, on.project.id, wanted.start, wanted.limit, wanted.query).await?;
    let shown = lines.into_iter().map(|line| LogList {
        timestamp: line.at_ns,
        timestamp_str: written(&line),
        metadata: labels(&line),
        log: line.text,
    });
    Ok(Json(shown.collect()))
}

/// List log lines of a project, as clients up to 4.9 do.
#[utoipa::path(post, path = "/projects/{project_name}/logs", tag = "Logs", request_body = Option<LogsCreate>,
    responses((status = 200, body = Vec<Logs>)))]
async fn projects_log_list(
    State(app): State<App>,
    on: InProject<can::ProjectsLogs>,
    OptionalJson(body): OptionalJson<LogsCreate>,
) -> Result<Json<Vec<Logs>>> {
    let body = body.unwrap_or_default();
    let limit = body.limit.unwrap_or(50);
    if !(1..=MAX_OLD_LIMIT).contains(&limit) {
        return Err(invalid(format!("limit must be between 1 and {MAX_OLD_LIMIT}, and is {limit}")));
    }
    let window = logs_query::range(&body, line_of(&body, on.project.id)?, Timestamp::now())?;
    let lines = search(&app, on.project.id, window, limit, logs_query::filters(&body)?).await?;
    let shown = lines.into_iter().map(|line| Logs {
        id: line.id().to_string(),
        date: written(&line),
        labels: labels(&line),
        log: line.text,
    });
    Ok(Json(shown.collect()))
}

/// The time of the line that a body names.
fn line_of(body: &LogsCreate, project: ProjectId) -> Result<Option<i64>> {
    let Some(id) = &body.id else {
        return Ok(None);
    };
    let id: LineId = id.parse()?;
    if !id.is_of(project) {
        return Err(invalid("id is not the id of a log line of this project"));
    }
    Ok(Some(id.at_ns))
}
