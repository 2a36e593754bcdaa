//! Searching lines: what SQL can say in SQL, the rest on pages of lines, within bounds.

use modelyard_types::ids::ProjectId;

use crate::db::{Db, Source};
use crate::error::Result;
use crate::logs::filter::{Filter, Label, LabelTest, LineTest, condition, is_narrow};
use crate::logs::lines::{self, LogLine};
use crate::value::{Value, values};

/// What to search for.
///
/// Lines of a request, a version or a build are found by their ids without looking at others; names of deployments and
/// versions are not indexed, so who knows the id adds it to the filter.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// Written at this time or later.
    pub from_ns: i64,
    /// Written before this time.
    pub until_ns: i64,
    /// The newest first instead of the oldest.
    pub backwards: bool,
    /// How many lines to give.
    pub limit: usize,
    /// Which lines.
    pub filter: Filter,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct LogPage {
    /// The lines, in the order asked for.
    pub lines: Vec<LogLine>,
    /// Set when the search ended before it had seen everything or found enough: go on from this time.
    pub stopped_at: Option<i64>,
}

/// Lines fetched in one step when they have to be looked at.
const STEP: usize = 2_000;
/// Lines looked at in one search, at the most.
const MOST_LOOKED_AT: usize = 200_000;

pub(super) async fn search(db: &Db, project: ProjectId, query: &LogQuery) -> Result<LogPage> {
    let mut page = LogPage::default();
    let (mut from, mut until) = (query.from_ns, query.until_ns);
    let mut looked_at = 0;
    while page.lines.len() < query.limit && from < until {
        let wanted = query.limit - page.lines.len();
        let (step, exact) = fetch(db, project, query, (from, until), wanted).await?;
        let Some(end) = step.last().map(|line| line.at_ns) else {
            break;
        };
        looked_at += step.len();
        let asked = if exact { wanted } else { STEP };
        let ended = step.len() < asked;
        let passing = step.into_iter().filter(|line| exact || query.filter.passes(line));
        page.lines.extend(passing.take(wanted));
        if ended {
            break;
        }
        match query.backwards {
            true => until = end,
            false => from = end.saturating_add(1),
        }
        if looked_at >= MOST_LOOKED_AT && page.lines.len() < query.limit {
            page.stopped_at = Some(if query.backwards { until } else { from });
            break;
        }
    }
    Ok(page)
}

/// Lines that may pass, and whether they surely do.
async fn fetch(
    db: &Db,
    project: ProjectId,
    query: &LogQuery,
    (from, until): (i64, i64),
    wanted: usize,
) -> Result<(Vec<LogLine>, bool)> {
    let mut values = values![project, from, until, 0_i64];
    let (text, exact) = text(&query.filter, query.backwards, db.is_postgres(), &mut values);
    let limit = if exact { wanted } else { STEP };
    values[3] = Value::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    Ok((db.all(text, values).await?, exact))
}

fn text(filter: &Filter, backwards: bool, postgres: bool, values: &mut Vec<Value>) -> (String, bool) {
    let condition = condition(filter, postgres, values);
    // SQLite does not know that a request has fewer lines than a project; the plus keeps it from the project's index.
    let project = if is_narrow(filter) && !postgres { "+project_id" } else { "project_id" };
    let text = format!(
        "SELECT {} FROM log_lines WHERE {project} = $1 AND at >= $2 AND at < $3 AND {}
        ORDER BY at {} LIMIT $4",
        lines::COLUMNS,
        condition.text,
        if backwards { "DESC" } else { "ASC" }
    );
    (text, condition.exact)
}

pub(super) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let mut parts = vec![Filter::Line(LineTest::Contains("a".into())), Filter::Line(LineTest::ContainsNot("a".into()))];
    let mut texts = Vec::new();
    let mut add = |name: &str, filter: &Filter, backwards| {
        let (text, _) = text(filter, backwards, postgres, &mut values![0_i64, 0_i64, 0_i64, 0_i64]);
        texts.push((format!("logs::search {name}"), text));
    };
    for label in Label::names().filter_map(Label::parse) {
        for text in ["", "info", "00000000-0000-0000-0000-000000000000"] {
            parts.push(Filter::Label(label, LabelTest::Is(text.into())));
            parts.push(Filter::Label(label, LabelTest::IsNot(text.into())));
        }
    }
    for part in &parts {
        let is = matches!(part, Filter::Label(_, LabelTest::Is(text)) if text.len() == 36);
        if is && is_narrow(part) {
            add(&format!("{part:?}"), part, true);
        }
    }
    add("anything", &Filter::Or(parts), false);
    texts
}
