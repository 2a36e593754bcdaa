//! HTTP: routes, permissions, bodies, errors, the document. No rules, no SQL.
//!
//! [`router`] is the whole tree: the operations under both prefixes, and beside them `/openapi.json`, `/docs`,
//! `/healthz`, `/readyz` and `/metrics`. A handler stands in the file of its noun and is registered in its `add`.

pub mod access;
mod answer;
mod audit;
mod base;
mod blobs;
mod buckets;
mod builds;
mod deployments;
mod document;
mod drain;
mod environments;
mod error;
mod files;
mod form;
mod instance_type_groups;
mod instance_types;
mod instances;
mod json;
mod logs;
mod metrics;
mod network;
mod organizations;
mod page;
mod path;
mod payload;
mod pieces;
mod projects;
mod query;
mod requests;
mod revisions;
pub mod routing;
mod service;
mod signed;
mod users;
mod variables;
mod versions;
mod walls;
mod words;

use std::sync::Arc;

use axum::Router;
use modelyard_control::Control;

use routing::Operations;

/// What the API is told by the server that runs it.
pub struct Settings {
    /// The largest package that may be uploaded, in bytes.
    pub max_package: u64,
    /// Our own address, as clients reach it; by what they call us when absent. Without a slash at its end.
    pub public_url: Option<String>,
    /// Renders the figures of all other parts for `/metrics`.
    pub render_metrics: Box<dyn Fn() -> String + Send + Sync>,
}

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    control: Control,
    settings: Settings,
}

impl App {
    /// An application on top of `control`.
    pub fn new(control: Control, settings: Settings) -> Self {
        Self(Arc::new(Inner { control, settings }))
    }

    /// The rules.
    pub fn control(&self) -> &Control {
        &self.0.control
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

/// All operations, in the order of the document.
fn operations() -> Operations {
    let mut all = Operations::default();
    service::add(&mut all);
    users::add(&mut all);
    walls::add(&mut all);
    organizations::add(&mut all);
    projects::add(&mut all);
    network::add(&mut all);
    instance_types::add(&mut all);
    instance_type_groups::add(&mut all);
    deployments::add(&mut all);
    versions::add(&mut all);
    revisions::add(&mut all);
    variables::add(&mut all);
    builds::add(&mut all);
    instances::add(&mut all);
    environments::add(&mut all);
    requests::add(&mut all);
    buckets::add(&mut all);
    files::add(&mut all);
    blobs::add(&mut all);
    logs::add(&mut all);
    audit::add(&mut all);
    all
}

/// The whole tree.
pub fn router(app: App) -> Router {
    let operations = operations();
    operations
        .router()
        .merge(service::beside(&operations))
        .merge(signed::beside())
        .fallback(error::unknown_address)
        .method_not_allowed_fallback(error::unknown_method)
        .with_state(app)
}

/// The OpenAPI document.
pub fn document() -> utoipa::openapi::OpenApi {
    document::of(&operations())
}

/// Operation id, method and path (without prefix) of every route, sorted; for the list of what is missing.
pub fn index() -> Vec<(String, &'static str, String)> {
    document::index(&operations())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_an_operation_of_the_contract_or_named_as_our_own() {
        let contract =
            concat!(include_str!("../../../contract/operations.txt"), "\n", include_str!("../../../contract/own.txt"));
        for (id, method, path) in index() {
            let start = format!("{id} {method} {path} ");
            assert!(contract.lines().any(|line| line.starts_with(&start)), "the contract has no {start}");
        }
    }

    #[test]
    fn the_document_tells_who_may_call_what() {
        let document = serde_json::to_value(document()).unwrap();
        let create = &document["paths"]["/projects/{project_name}/deployments"]["post"];
        assert_eq!(create["operationId"], "deployments_create");
        assert_eq!(create["x-permission"], "deployments.create");
        assert_eq!(create["parameters"][0]["name"], "project_name");
        assert_eq!(
            create["responses"]["404"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/Error"
        );
        assert!(create["security"].is_array());
        assert!(document["paths"]["/status"]["get"]["security"].is_null());
    }
}
