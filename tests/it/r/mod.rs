//! Code in R. These tests need R 4 with its package jsonlite: `apt-get install r-base-core r-cran-jsonlite`.

mod builds;
mod refusals;
mod repository;
mod requests;
mod values;

use crate::kit::package::packed;
use crate::kit::*;

/// The R of this host, as an environment.
async fn r(server: &TestServer) -> String {
    let project = server.at("/projects/default");
    let listed = project.get("/environments?environment_type=base").await.fine();
    let names = (0..listed.len()).map(|at| listed[at]["name"].as_str().unwrap().to_owned());
    names
        .into_iter()
        .find(|name| name.starts_with("r4-"))
        .expect("the tests of R need R: apt-get install r-base-core r-cran-jsonlite")
}

/// A deployment with a version `v1` that runs this code in R.
async fn running(server: &TestServer, input: &str, output: &str, code: &str) -> At {
    let deployment = server.project("demo").await.deployment("d", input, output).await;
    deployment.version("v1", json!({ "environment": r(server).await })).await;
    deployment.at("/versions/v1").package(packed(&[("deployment.R", code)])).await;
    deployment
}
