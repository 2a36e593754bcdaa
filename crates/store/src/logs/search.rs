//! Searching lines: what SQL can say in SQL, the rest on pages of lines, within bounds.

use modelyard_types::ids::ProjectId;

use crate::db::{Db, Source};
use crate::error::Result;
use crate::logs::filter::{Filter, Label, LabelTest, LineTest, condition};
use crate::logs::lines::{self, LogLine};
use crate::value::{Value, values};

/// What to search for.
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
    let condition = condition(&query.filter, db.is_postgres(), &mut values);
    let limit = if condition.exact { wanted } else { STEP };
    values[3] = Value::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    let lines = db.all(text(&condition.text, query.backwards), values).await?;
    Ok((lines, condition.exact))
}

fn text(condition: &str, backwards: bool) -> String {
    let direction = if backwards { "DESC" } else { "ASC" };
    format!(
        "SELECT {} FROM log_lines WHERE project_id = $1 AND at >= $2 AND at < $3 AND {condition}
        ORDER BY at {direction} LIMIT $4",
        lines::COLUMNS
    )
}

pub(super) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let mut parts = vec![Filter::Line(LineTest::Contains("a".into())), Filter::Line(LineTest::ContainsNot("a".into()))];
    for label in Label::names().filter_map(Label::parse) {
        for text in ["", "info", "00000000-0000-0000-0000-000000000000"] {
            parts.push(Filter::Label(label, LabelTest::Is(text.into())));
            parts.push(Filter::Label(label, LabelTest::IsNot(text.into())));
        }
    }
    let condition = condition(&Filter::Or(parts), postgres, &mut values![0_i64, 0_i64, 0_i64, 0_i64]);
    vec![
        ("logs::search".into(), text(&condition.text, false)),
        ("logs::search backwards".into(), text(&condition.text, true)),
    ]
}
