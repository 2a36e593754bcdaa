//! For tests that are not in Rust: serves a store of each provider until its standard input ends. It prints one line of JSON:
//! the settings of a platform that reaches them, and what buckets are told of each.

use std::io::{Write, stdout};

use modelyard_testkit::stores::Stand;
use serde_json::{Map, Value, json};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let stands = [Stand::s3().await, Stand::gcs().await, Stand::azure().await];
    let settings = stands.iter().flat_map(Stand::settings);
    let settings: Map<String, Value> =
        settings.map(|(name, value)| (format!("MODELYARD_{name}"), value.into())).collect();
    let stores: Map<String, Value> = stands.iter().map(|stand| (stand.provider().to_owned(), told(stand))).collect();
    let line = json!({ "settings": settings, "stores": stores });
    let mut output = stdout();
    writeln!(output, "{line}")?;
    output.flush()?;
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    drop(stands);
    Ok(())
}

fn told(stand: &Stand) -> Value {
    json!({
        "url": stand.url(),
        "credentials": stand.credentials(),
        "bad_credentials": stand.bad_credentials(),
        "secrets": stand.secrets(),
        "configuration": stand.configuration(""),
    })
}
