//! What a bucket is told of its provider: tried before it counts.

use super::stand::{Beside, Stand};
use crate::kit::*;

/// What a bucket that is created, or changed, like this is told.
async fn refusals(stand: &Stand, mut ask: impl AsyncFnMut(Value) -> Reply) {
    for credentials in stand.bad_credentials() {
        let told = ask(json!({ "credentials": credentials })).await;
        assert_eq!(told.status, 400, "{told}");
        let sentence = told.error();
        assert!(
            sentence.starts_with("The bucket cannot be used: The provider refused ") && sentence.contains("403"),
            "{told}"
        );
        assert!(!stand.secrets().iter().any(|secret| told.text().contains(secret)), "{told}");
    }
    let missing = ask(json!({ "configuration": stand.configuration_of("missing", "p") })).await;
    assert_eq!(
        missing.to_string(),
        r#"400 {"error":"The bucket cannot be used: There is no bucket or container 'missing' at the provider"}"#
    );
    let mut other = stand.configuration("p");
    other["colour"] = json!("red");
    for (body, what) in [
        (json!({ "credentials": {} }), " is needed"),
        (json!({ "credentials": { "token": "x" } }), "credentials has the field 'token'; those of this provider are: "),
        (json!({ "configuration": {} }), "configuration: "),
        (json!({ "configuration": other }), "configuration has the field 'colour'; those of this provider are: "),
        (json!({ "configuration": stand.configuration("../x") }), "the prefix is empty or ends with '/'"),
        (json!({ "configuration": stand.configuration("/x") }), "the prefix is empty or ends with '/'"),
        (json!({ "credentials": [] }), "credentials"),
    ] {
        let told = ask(body.clone()).await;
        assert!(told.status == 400 && told.error().contains(what.trim_start_matches("the ")), "{body}: {told}");
    }
}

pub async fn what_does_not_work_is_not_created(stand: Stand, server: TestServer) {
    let project = server.project("demo").await;
    refusals(&stand, async |fields| {
        let mut body = stand.body("files", "p");
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        project.post("/buckets", body).await
    })
    .await;
    let mut bare = stand.body("files", "p");
    bare.as_object_mut().unwrap().remove("credentials");
    assert_eq!(project.post("/buckets", bare).await.status, 400);
    assert_eq!(project.get("/buckets").await.fine().each("name"), r#"["default"]"#);
    assert_eq!(project.get("/audit").await.fine().each("event"), r#"["Created project demo"]"#);

    let made = project.post("/buckets", stand.body("files", "p")).await;
    assert_eq!((made.status, &made["credentials"], &made["ttl"]), (201, &json!({}), &Value::Null));
    assert_eq!(made["configuration"], stand.configuration("p/"));
    assert_eq!(project.get("/buckets/files").await.fine()["configuration"], made["configuration"]);
    assert_eq!(
        project.post("/buckets", stand.body("files", "p")).await.to_string(),
        r#"409 {"error":"bucket 'files' already exists"}"#
    );
    for prefix in ["", "q/"] {
        let name = if prefix.is_empty() { "whole" } else { "q" };
        let made = project.post("/buckets", stand.body(name, prefix)).await.fine();
        assert_eq!(made["configuration"]["prefix"], prefix);
    }
}

pub async fn an_update_that_does_not_work_changes_nothing(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    stand.store(&bucket, "f", "x").await;
    let before = bucket.get("").await.fine();
    refusals(&stand, async |mut fields| {
        fields["description"] = json!("new");
        bucket.patch("", fields).await
    })
    .await;
    assert_eq!(bucket.get("").await.fine().json(), before.json());
    assert_eq!(bucket.get(&bucket.file("f")).await.fine()["size"], 1);
    let audit = server.get("/projects/demo/audit").await.fine();
    assert_eq!(audit.each("event"), r#"["Created bucket files","Created project demo"]"#);
}

pub async fn credentials_and_configuration_change_alone(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    stand.store(&bucket, "f", "x").await;
    let before = bucket.get("").await.fine();

    let moved = bucket.patch("", json!({ "configuration": stand.configuration("other") })).await.fine();
    assert_eq!(moved["configuration"], stand.configuration("other/"));
    assert_eq!(bucket.get("/files").await.fine()["files"], json!([]));
    assert_eq!(bucket.get(&bucket.file("f")).await.status, 404);

    bucket.patch("", json!({ "configuration": stand.configuration("some/prefix of files/") })).await.fine();
    assert_eq!(bucket.get(&bucket.file("f")).await.fine()["size"], 1);
    let mut other = stand.credentials();
    // The same credentials, written otherwise.
    match &stand {
        Stand::S3(_) => other["access_key"] = stand.credentials()["access_key"].clone(),
        Stand::Gcs(_) => {
            other["json_key_file"] = serde_json::from_str(other["json_key_file"].as_str().unwrap()).unwrap()
        }
        Stand::Azure(_) => {
            other["connection_string"] = json!(format!("{} ;", other["connection_string"].as_str().unwrap()))
        }
    }
    let changed = bucket.patch("", json!({ "credentials": other })).await.fine();
    assert_eq!((&changed["configuration"], &changed["credentials"]), (&before["configuration"], &json!({})));
    assert_eq!(bucket.get(&bucket.file("f")).await.fine()["size"], 1);
    let same =
        bucket.patch("", json!({ "credentials": null, "configuration": null, "labels": { "a": "b" } })).await.fine();
    assert_eq!(same["configuration"], before["configuration"]);
    assert_eq!(bucket.get(&bucket.file("f")).await.fine()["size"], 1);
    let events = server.get("/projects/demo/audit?action=update").await.fine().each("event");
    assert!(events.contains("Updated bucket files: configuration from "), "{events}");
    assert_eq!(events.contains("Updated bucket files: credentials\""), !matches!(stand, Stand::S3(_)), "{events}");
}

pub async fn a_provider_that_is_gone_is_no_failure_of_ours(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    stand.store(&bucket, "f", "x").await;
    let (body, credentials) = (stand.body("more", "p"), json!({ "credentials": stand.credentials() }));
    drop(stand);
    let refused = server.post("/projects/demo/buckets", body).await;
    assert_eq!(refused.status, 400, "{refused}");
    assert!(
        refused.error().starts_with("The bucket cannot be used: 127.0.0.1:")
            && refused.error().contains(" cannot be reached: "),
        "{refused}"
    );
    assert_eq!(bucket.patch("", credentials).await.status, 400);
    for told in [
        bucket.get("/files").await,
        bucket.get(&bucket.file("f")).await,
        bucket.get(&format!("{}/download", bucket.file("f"))).await,
        bucket.delete(&bucket.file("f")).await,
    ] {
        assert!(told.status == 503 && told.error().contains(" cannot be reached: "), "{told}");
    }
    bucket.patch("", json!({ "description": "gone" })).await.fine();
    server.delete("/projects/demo/buckets/files").await.fine();
}
