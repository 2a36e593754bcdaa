//! The steps of the demo, as any client would take them.

use std::fs;
use std::time::Duration;

use modelyard_types::Timestamp;
use serde_json::{Value, json};

use super::client::Client;
use super::progress::{end_of_lines, line, step};
use super::{Step, archive};
use crate::{DEFAULT, Running, console};

const VERSION: &str = "/deployments/iris/versions/v1";
const REQUESTS: &str = "/deployments/iris/requests";
/// How often the build is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Deploys the model and asks it about a flower.
pub(super) async fn all(running: &Running) -> Step<()> {
    let client = &Client::new(format!("http://{}/v2.1/projects/{DEFAULT}", running.address), token(running)?)?;
    step("create a deployment and a version", create(client)).await?;
    let revision = step("upload the model", upload(client)).await?;
    step("build its environment", build(client, &revision)).await?;
    let answer = step("ask it about a flower (starts an instance)", client.post(REQUESTS, &flower())).await?;
    check(&answer)?;
    let again = step("ask again", client.post(REQUESTS, &flower())).await?;
    check(&again)?;
    console::line(format_args!("\n  asked     {}\n  answered  {}", flower(), again["result"]));
    Ok(())
}

/// Commands for a server that goes on.
pub(super) fn what_to_try(running: &Running) -> String {
    let base = format!("http://{}", running.address);
    let token = running.admin_token().display().to_string();
    format!(
        r#"Try it yourself, with curl:

  curl -s {base}/v2.1/projects/{DEFAULT}{REQUESTS} \
    -H "Authorization: Token $(cat {token})" -H 'Content-Type: application/json' \
    -d '{flower}'

or with the UbiOps client for Python (pip install ubiops==4.12.0):

  import ubiops
  token = open("{token}").read().strip()
  client = ubiops.ApiClient(ubiops.Configuration(host="{base}/v2.1", api_key={{"Authorization": "Token " + token}}))
  print(ubiops.CoreApi(client).deployment_requests_create("{DEFAULT}", "iris", {flower}).result)

All operations: {base}/docs"#,
        flower = flower(),
    )
}

fn token(running: &Running) -> Step<String> {
    let path = running.admin_token();
    let text = fs::read_to_string(&path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn flower() -> Value {
    json!({ "sepal_length": 5.9, "sepal_width": 3.0, "petal_length": 5.1, "petal_width": 1.8 })
}

async fn create(client: &Client) -> Step<()> {
    let number = |name: &str| json!({ "name": name, "data_type": "double" });
    let inputs: Vec<_> =
        ["sepal_length", "sepal_width", "petal_length", "petal_width"].into_iter().map(number).collect();
    let deployment = json!({
        "name": "iris",
        "description": "Tells iris species apart",
        "input_type": "structured",
        "output_type": "structured",
        "input_fields": inputs,
        "output_fields": [{ "name": "species", "data_type": "string" }, number("probability")],
    });
    client.post("/deployments", &deployment).await?;
    client.post("/deployments/iris/versions", &json!({ "version": "v1" })).await.map(drop)
}

async fn upload(client: &Client) -> Step<String> {
    let answer = client.upload(&format!("{VERSION}/revisions"), "iris.zip", archive::model()?).await?;
    answer["revision"].as_str().map(str::to_owned).ok_or_else(|| format!("the server named no revision: {answer}"))
}

/// Waits for the build, and shows its log as it grows.
async fn build(client: &Client, revision: &str) -> Step<()> {
    let mut since = Timestamp::now().0.saturating_sub(60_000_000).saturating_mul(1_000);
    let mut shown = false;
    loop {
        let state = client.get(&format!("{VERSION}/revisions/{revision}")).await?;
        shown |= show_new_lines(client, &mut since).await?;
        match state["status"].as_str() {
            Some("success") => break,
            Some("failed") => {
                return Err(format!("the build failed: {}", state["error_message"].as_str().unwrap_or("?")));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
    if shown {
        end_of_lines();
    }
    Ok(())
}

async fn show_new_lines(client: &Client, since: &mut i64) -> Step<bool> {
    let now = Timestamp::now().0.saturating_mul(1_000);
    let lines = client.get(&format!("/logs?start={since}&end={now}&limit=1000")).await?;
    let lines = lines.as_array().map(Vec::as_slice).unwrap_or_default();
    for entry in lines {
        line(entry["log"].as_str().unwrap_or_default());
        *since = entry["timestamp"].as_i64().unwrap_or(*since).max(*since) + 1;
    }
    Ok(!lines.is_empty())
}

fn check(answer: &Value) -> Step<()> {
    match answer["status"].as_str() {
        Some("completed") => Ok(()),
        _ => Err(format!("the request failed: {}", answer["error_message"].as_str().unwrap_or("no reason was given"))),
    }
}
