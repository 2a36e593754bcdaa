//! Files of requests that lie at a provider.

use super::stand::{Beside, Stand};
use crate::kit::*;

pub const CODE: &str = r#"
    class Deployment:
        def request(self, data):
            text = open(data["photo"]).read()
            open("upper.txt", "w").write(text.upper())
            return {"upper": {"file": "upper.txt", "bucket": "files", "bucket_file": "out/ü " + text + ".txt"}}
"#;

/// Copies that the server keeps.
pub fn copies(server: &TestServer) -> usize {
    std::fs::read_dir(server.data().join("file-cache/entries")).unwrap().count()
}

pub async fn files_of_requests_come_from_a_provider_and_go_there(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    let deployment = server.at("/projects/demo").running("d", "photo:file", "upper:file", CODE).await;
    stand.store(&bucket, "in/1 ü.txt", "hello").await;
    let photo = json!({ "photo": "ubiops-file://files/in/1 ü.txt" });
    for _ in 0..3 {
        let answer = deployment.ask(photo.clone()).await;
        assert_eq!(answer.outcome(), r#"completed {"upper":"ubiops-file://files/out/ü hello.txt"}"#);
    }
    assert_eq!(bucket.fetch(&bucket.download_url("out/ü hello.txt").await).await.fine().text(), "HELLO");
    assert_eq!(copies(&server), 1);
    let told = deployment.ask(json!({ "photo": "ubiops-file://files/missing" })).await;
    assert_eq!(
        told.to_string(),
        r#"400 {"error":"The file ubiops-file://files/missing of the input field 'photo' was not found"}"#
    );
    // A copy is no reason to give a file that its provider has no more.
    bucket.delete(&bucket.file("in/1 ü.txt")).await.fine();
    assert_eq!(deployment.ask(photo.clone()).await.status, 400);

    drop(stand);
    let told = deployment.ask(photo).await;
    assert!(told.status == 503 && told.error().contains(" cannot be reached: "), "{told}");
}

pub async fn a_file_is_fetched_again_when_it_was_replaced(stand: Stand, server: TestServer) {
    let bucket = stand.bucket(&server).await;
    let deployment = server.at("/projects/demo").running("d", "photo:file", "upper:file", CODE).await;
    for (at, text) in ["one", "two", "three"].into_iter().enumerate() {
        stand.store(&bucket, "in", text).await;
        let answer = deployment.ask(json!({ "photo": "ubiops-file://files/in" })).await;
        assert_eq!(answer.outcome(), format!(r#"completed {{"upper":"ubiops-file://files/out/ü {text}.txt"}}"#));
        assert_eq!(copies(&server), at + 1);
    }
}
