//! Uploads in parts.

use reqwest::Method;

use crate::kit::*;

/// Begins an upload.
async fn begun(bucket: &At, name: &str) -> String {
    let path = format!("{}/start-multipart-upload", bucket.file(name));
    let begun = bucket.send(bucket.request(Method::POST, &path)).await;
    assert_eq!((begun.status, &begun["provider"]), (201, &json!("ubiops")), "{begun}");
    begun.str("upload_id")
}

/// Asks for the address of a part.
async fn part_url(bucket: &At, name: &str, upload: &str, number: &str) -> Reply {
    let path = format!("{}?upload_id={upload}&part_number={number}", bucket.file(name));
    bucket.send(bucket.request(Method::POST, &path)).await
}

/// Sends a part and gives how it is named.
async fn part(bucket: &At, name: &str, upload: &str, number: usize, bytes: impl Into<reqwest::Body>) -> Value {
    let url = part_url(bucket, name, upload, &number.to_string()).await.fine().str("url");
    let sent = bucket.put(&url, bytes).await.fine();
    json!({ "ETag": sent.headers["etag"].to_str().unwrap(), "PartNumber": number })
}

async fn complete(bucket: &At, name: &str, upload: &str, parts: Value) -> Reply {
    let path = format!("{}/complete-multipart-upload", bucket.file(name));
    bucket.post(&path, json!({ "upload_id": upload, "parts": parts })).await
}

both! {
    async fn parts_sent_in_any_order_become_one_file(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        bucket.store("big", "old").await;
        let upload = begun(&bucket, "big").await;
        let pieces: Vec<Vec<u8>> = (0..4_u8).map(|at| vec![at; 700_000 + usize::from(at)]).collect();
        let mut named = vec![Value::Null; 4];
        for at in [2, 0, 3, 1] {
            named[at] = part(&bucket, "big", &upload, at + 1, pieces[at].clone()).await;
        }
        // A part that is sent again takes the place of the first; one that is not named is dropped.
        named[3] = part(&bucket, "big", &upload, 4, "last").await;
        part(&bucket, "big", &upload, 9, "dropped").await;
        assert_eq!(bucket.get(&bucket.file("big")).await.fine()["size"], 3, "nothing shows before it is complete");

        let done = complete(&bucket, "big", &upload, json!(named)).await;
        assert_eq!(done.status, 201, "{done}");
        let whole = [pieces[0].as_slice(), &pieces[1], &pieces[2], b"last"].concat();
        let url = bucket.download_url("big").await;
        assert!(bucket.fetch(&url).await.fine().bytes == whole);
        let range = bucket.fetch_with(&url, &[("range", "bytes=699990-1400010")]).await;
        assert!(range.status == 206 && range.bytes == whole[699_990..=1_400_010]);
        until("what is not needed is removed", async || server.objects("files").len() == 4).await;

        assert_eq!(bucket.delete(&bucket.file("big")).await.to_string(), "204");
        until("all parts are removed", async || server.objects("files").is_empty()).await;
    }

    async fn uploads_that_do_not_fit_are_refused(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let upload = begun(&bucket, "x").await;
        let (one, two) = (part(&bucket, "x", &upload, 1, "1").await, part(&bucket, "x", &upload, 2, "2").await);
        let told = async |parts: Value| complete(&bucket, "x", &upload, parts).await.to_string();
        assert_snapshot!(told(json!([])).await, @r#"400 {"error":"parts: at least one part is needed"}"#);
        assert_snapshot!(told(json!([two, one])).await, @r#"400 {"error":"The parts must be named in the order of their numbers, each once"}"#);
        assert_snapshot!(told(json!([one, one])).await, @r#"400 {"error":"The parts must be named in the order of their numbers, each once"}"#);
        assert_snapshot!(told(json!([one, { "ETag": "\"x\"", "PartNumber": 2 }])).await, @r#"400 {"error":"Part 2 has another ETag than the one given: it was changed since"}"#);
        assert_snapshot!(told(json!([one, { "ETag": "\"x\"", "PartNumber": 3 }])).await, @r#"400 {"error":"Part 3 was not uploaded"}"#);
        assert_snapshot!(told(json!([{ "BlockId": "eA==" }])).await, @r#"400 {"error":"Parts of this bucket are named by ETag and PartNumber, not by BlockId"}"#);
        for bad in [json!([{ "ETag": "x" }]), json!([{ "ETag": "x", "PartNumber": 0 }]), json!([{}]), json!("x"), json!([{ "ETag": "x", "PartNumber": 10_001 }])] {
            assert_eq!(complete(&bucket, "x", &upload, bad.clone()).await.status, 400, "{bad}");
        }
        for (name, upload) in [("y", upload.as_str()), ("x", "no-id"), ("x", ""), ("x", &upload.replace('-', "x"))] {
            let told = complete(&bucket, name, upload, json!([one])).await;
            assert_snapshot!(told, @r#"404 {"error":"Upload was not found"}"#);
        }
        assert_snapshot!(part_url(&bucket, "y", &upload, "1").await, @r#"404 {"error":"Upload was not found"}"#);
        assert_snapshot!(part_url(&bucket, "x", &upload, "0").await, @r#"400 {"error":"part_number must be between 1 and 10000"}"#);
        assert_snapshot!(part_url(&bucket, "x", &upload, "").await, @r#"400 {"error":"part_number is required with upload_id"}"#);
        assert_snapshot!(part_url(&bucket, "x", "", "1").await, @r#"400 {"error":"upload_id is required with part_number"}"#);

        // All that was refused has changed nothing.
        let late = part_url(&bucket, "x", &upload, "1").await.fine().str("url");
        complete(&bucket, "x", &upload, json!([one, two])).await.fine();
        assert_eq!(bucket.fetch(&bucket.download_url("x").await).await.fine().text(), "12");
        assert_snapshot!(complete(&bucket, "x", &upload, json!([one, two])).await, @r#"404 {"error":"Upload was not found"}"#);
        assert_snapshot!(bucket.put(&late, "late").await, @r#"404 {"error":"Upload was not found"}"#);
    }

    async fn numbers_may_be_texts_and_etags_without_quotes(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let upload = begun(&bucket, "x").await;
        let named = part(&bucket, "x", &upload, 1, "1").await;
        let named = json!({ "ETag": named["ETag"].as_str().unwrap().trim_matches('"'), "PartNumber": "1" });
        complete(&bucket, "x", &upload, json!([named])).await.fine();
        assert_eq!(bucket.fetch(&bucket.download_url("x").await).await.fine().text(), "1");
    }

    async fn an_open_upload_goes_with_its_bucket(server) {
        let project = server.project("demo").await;
        project.post("/buckets", json!({ "name": "b" })).await.fine();
        let bucket = project.at("/buckets/b");
        let upload = begun(&bucket, "x").await;
        part(&bucket, "x", &upload, 1, "1").await;
        let late = part_url(&bucket, "x", &upload, "2").await.fine().str("url");
        bucket.delete("").await.fine();
        until("its bytes are removed", async || server.objects("files").is_empty()).await;
        assert_snapshot!(bucket.put(&late, "late").await, @r#"404 {"error":"Bucket was not found"}"#);
    }
}
