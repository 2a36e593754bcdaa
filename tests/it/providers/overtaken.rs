//! Updates of a bucket at a provider that are overtaken while the provider is asked.

use std::sync::Arc;

use modelyard_testkit::stores::Fault;
use tokio::sync::Barrier;
use tokio::time::timeout;

use super::stand::{Beside, Stand};
use crate::kit::*;

/// What an update is told that moves the bucket, if something happens after its provider was asked.
async fn overtaken_by(stand: &Stand, bucket: &At, meanwhile: impl AsyncFnOnce()) -> Reply {
    let Stand::S3(server) = stand else { panic!("only this one can be held") };
    let gate = Arc::new(Barrier::new(2));
    server.fail_next(Fault::Held(gate.clone()));
    let (late, body) = (bucket.clone(), json!({ "configuration": stand.configuration("moved") }));
    let late = tokio::spawn(async move { late.patch("", body).await });
    timeout(PATIENCE, gate.wait()).await.expect("the provider is asked");
    meanwhile().await;
    gate.wait().await;
    late.await.unwrap()
}

async fn an_update_is_not_made_on_what_was_changed_meanwhile(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    let before = bucket.get("").await.fine();

    let told = overtaken_by(&stand, &bucket, async || {
        bucket.patch("", json!({ "description": "first" })).await.fine();
    })
    .await;

    assert_snapshot!(told, @r#"409 {"error":"The bucket was changed by somebody else meanwhile; try again"}"#);
    let shown = bucket.get("").await.fine();
    assert_eq!((&shown["configuration"], &shown["description"]), (&before["configuration"], &json!("first")));
    let events = server.get("/projects/demo/audit?action=update").await.fine();
    assert_snapshot!(events.each("event"), @r#"["Updated bucket files: description from '' to 'first'"]"#);

    let again = bucket.patch("", json!({ "configuration": stand.configuration("moved") })).await.fine();
    assert_eq!((&again["configuration"]["prefix"], &again["description"]), (&json!("moved/"), &json!("first")));

    let told = overtaken_by(&stand, &bucket, async || {
        bucket.patch("", json!({ "configuration": stand.configuration("elsewhere") })).await.fine();
    })
    .await;
    assert_eq!(told.status, 409, "{told}");
    assert_eq!(bucket.get("").await.fine()["configuration"]["prefix"], "elsewhere/");

    // What changes nothing is nobody's hindrance.
    let told = overtaken_by(&stand, &bucket, async || {
        bucket.patch("", json!({ "description": "first" })).await.fine();
    })
    .await;
    assert_eq!(told.fine()["configuration"]["prefix"], "moved/");

    let told = overtaken_by(&stand, &bucket, async || {
        bucket.delete("").await.fine();
    })
    .await;
    assert_snapshot!(told, @r#"404 {"error":"Bucket was not found"}"#);
}

#[test]
fn an_update_is_not_made_on_what_was_changed_meanwhile_sqlite() {
    super::run(Database::Sqlite, Stand::s3, an_update_is_not_made_on_what_was_changed_meanwhile);
}

#[test]
fn an_update_is_not_made_on_what_was_changed_meanwhile_postgres() {
    super::run(Database::Postgres, Stand::s3, an_update_is_not_made_on_what_was_changed_meanwhile);
}
