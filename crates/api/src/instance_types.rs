//! Kinds of instances: a bare list for clients up to 4.4.1, a page for all others.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use modelyard_types::instance_types::{DeploymentInstanceType, InstanceType, InstanceTypeList, InstanceTypePage};
use modelyard_types::permissions::can;
use modelyard_types::release::ClientRelease;
use serde_json::{Value, json};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::access::InProject;
use crate::error::{Refusal, Result, invalid};
use crate::json::Json;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;
use crate::versions::Agent;

/// The first release that reads pages.
const PAGES_SINCE: ClientRelease = ClientRelease::new(4, 6, 0);

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(instance_types_list), instance_types_list);
}

/// Which page to give.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Where the page begins, as another page told it.
    #[param(value_type = Option<String>)]
    cursor: usize,
    /// How many kinds to give: 50, up to 1000.
    #[param(value_type = Option<i64>)]
    limit: usize,
}

impl FromQuery for Page {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let limit = values.int("limit", 1..=1000)?.unwrap_or(50);
        let cursor = match values.text("cursor") {
            Some(text) => read_cursor(&text).ok_or_else(|| invalid("cursor is not one that this list gave"))?,
            None => 0,
        };
        Ok(Self { cursor, limit: usize::try_from(limit).unwrap_or(50) })
    }
}

/// A cursor is opaque to clients: a letter and the place where the page begins.
fn write_cursor(at: usize) -> String {
    format!("p{at}")
}

fn read_cursor(text: &str) -> Option<usize> {
    text.strip_prefix('p')?.parse().ok()
}

/// List the kinds of instances.
#[utoipa::path(get, path = "/projects/{project_name}/instance-types", tag = "Instances", params(Page),
    responses((status = 200, body = InstanceTypePage)))]
async fn instance_types_list(
    State(_app): State<App>,
    _on: InProject<can::InstanceTypesList>,
    agent: Agent,
    Query(page): Query<Page>,
) -> Response {
    match agent.0 {
        Some(release) if release < PAGES_SINCE => {
            Json(InstanceType::all().map(older).collect::<Vec<_>>()).into_response()
        }
        _ => Json(paged(&page)).into_response(),
    }
}

fn paged(page: &Page) -> InstanceTypePage {
    let all: Vec<_> = InstanceType::all().map(newer).collect();
    let begin = page.cursor.min(all.len());
    let end = begin.saturating_add(page.limit).min(all.len());
    InstanceTypePage {
        next: (end < all.len()).then(|| write_cursor(end)),
        previous: (begin > 0).then(|| write_cursor(begin.saturating_sub(page.limit))),
        results: all.into_iter().skip(begin).take(end - begin).collect(),
    }
}

fn older(kind: InstanceType) -> DeploymentInstanceType {
    DeploymentInstanceType {
        id: kind.id(),
        name: kind.name(),
        display_name: kind.display_name(),
        memory_allocation: kind.memory_mb,
        cpu_allocation: kind.memory_mb * 1000 / 4096,
        gpu_allocation: 0,
        storage_allocation: kind.storage_mb(),
        credit_rate: kind.credit_rate(),
        accelerator: false,
        dedicated_node: false,
    }
}

/// A kind as clients from 4.6 read it.
pub(crate) fn newer(kind: InstanceType) -> InstanceTypeList {
    InstanceTypeList {
        id: kind.id(),
        name: kind.name(),
        display_name: kind.display_name(),
        cpu: kind.cpu(),
        memory: kind.memory_mb as f64,
        storage: kind.storage_mb() as f64,
        accelerator: 0.0,
        credit_rate: kind.credit_rate(),
        dedicated_node: false,
        node_pool: node_pool(),
    }
}

/// All instances run on hosts that servers run on.
pub(crate) fn node_pool() -> Value {
    json!({ "id": Uuid::nil(), "name": "local", "cluster": { "id": Uuid::nil(), "name": "local", "type": "local" } })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn cursors_lead_through_all_pages_and_back() {
        let (mut at, mut names) = (Page { cursor: 0, limit: 3 }, Vec::new());
        loop {
            let page = paged(&at);
            names.extend(page.results.iter().map(|kind| kind.name.clone()));
            match page.next {
                Some(next) => at.cursor = read_cursor(&next).unwrap(),
                None => {
                    assert_eq!(page.previous.as_deref(), Some("p3"));
                    break;
                }
            }
        }
        assert_eq!(names, InstanceType::all().map(InstanceType::name).collect::<Vec<_>>());
        assert!(paged(&Page { cursor: 99, limit: 3 }).results.is_empty());
    }
}
