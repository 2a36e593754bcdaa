//! Uploads in parts.

use crate::kit::*;

both! {
    async fn parts_sent_in_any_order_become_one_file(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        bucket.store("big", "old").await;
        let upload = bucket.begin_upload("big").await;
        let pieces: Vec<Vec<u8>> = (0..4_u8).map(|at| vec![at; 700_000 + usize::from(at)]).collect();
        let mut named = vec![Value::Null; 4];
        for at in [2, 0, 3, 1] {
            named[at] = bucket.send_part("big", &upload, at + 1, pieces[at].clone()).await;
        }
        // A part that is sent again takes the place of the first; one that is not named is dropped.
        named[3] = bucket.send_part("big", &upload, 4, "last").await;
        bucket.send_part("big", &upload, 9, "dropped").await;
        assert_eq!(bucket.get(&bucket.file("big")).await.fine()["size"], 3, "nothing shows before it is complete");

        let done = bucket.complete_upload("big", &upload, json!(named)).await;
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
        let upload = bucket.begin_upload("x").await;
        let (one, two) = (bucket.send_part("x", &upload, 1, "1").await, bucket.send_part("x", &upload, 2, "2").await);
        let told = async |parts: Value| bucket.complete_upload("x", &upload, parts).await.to_string();
        assert_snapshot!(told(json!([])).await, @r#"400 {"error":"parts: at least one part is needed"}"#);
        assert_snapshot!(told(json!([two, one])).await, @r#"400 {"error":"The parts must be named in the order of their numbers, each once"}"#);
        assert_snapshot!(told(json!([one, one])).await, @r#"400 {"error":"The parts must be named in the order of their numbers, each once"}"#);
        assert_snapshot!(told(json!([one, { "ETag": "\"x\"", "PartNumber": 2 }])).await, @r#"400 {"error":"Part 2 has another ETag than the one given: it was changed since"}"#);
        assert_snapshot!(told(json!([one, { "ETag": "\"x\"", "PartNumber": 3 }])).await, @r#"400 {"error":"Part 3 was not uploaded"}"#);
        assert_snapshot!(told(json!([{ "BlockId": "eA==" }])).await, @r#"400 {"error":"Parts of this bucket are named by ETag and PartNumber, not by BlockId"}"#);
        for bad in [json!([{ "ETag": "x" }]), json!([{ "ETag": "x", "PartNumber": 0 }]), json!([{}]), json!("x"), json!([{ "ETag": "x", "PartNumber": 10_001 }])] {
            assert_eq!(bucket.complete_upload("x", &upload, bad.clone()).await.status, 400, "{bad}");
        }
        for (name, upload) in [("y", upload.as_str()), ("x", "no-id"), ("x", ""), ("x", &upload.replace('-', "x"))] {
            let told = bucket.complete_upload(name, upload, json!([one])).await;
            assert_snapshot!(told, @r#"404 {"error":"Upload was not found"}"#);
        }
        assert_snapshot!(bucket.part_url("y", &upload, "1").await, @r#"404 {"error":"Upload was not found"}"#);
        assert_snapshot!(bucket.part_url("x", &upload, "0").await, @r#"400 {"error":"part_number must be between 1 and 10000"}"#);
        assert_snapshot!(bucket.part_url("x", &upload, "").await, @r#"400 {"error":"part_number is required with upload_id"}"#);
        assert_snapshot!(bucket.part_url("x", "", "1").await, @r#"400 {"error":"upload_id is required with part_number"}"#);

        // All that was refused has changed nothing.
        let late = bucket.part_url("x", &upload, "1").await.fine().str("url");
        bucket.complete_upload("x", &upload, json!([one, two])).await.fine();
        assert_eq!(bucket.fetch(&bucket.download_url("x").await).await.fine().text(), "12");
        assert_snapshot!(bucket.complete_upload("x", &upload, json!([one, two])).await, @r#"404 {"error":"Upload was not found"}"#);
        assert_snapshot!(bucket.put(&late, "late").await, @r#"404 {"error":"Upload was not found"}"#);
    }

    async fn numbers_may_be_texts_and_etags_without_quotes(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let upload = bucket.begin_upload("x").await;
        let named = bucket.send_part("x", &upload, 1, "1").await;
        let named = json!({ "ETag": named["ETag"].as_str().unwrap().trim_matches('"'), "PartNumber": "1" });
        bucket.complete_upload("x", &upload, json!([named])).await.fine();
        assert_eq!(bucket.fetch(&bucket.download_url("x").await).await.fine().text(), "1");
    }

    async fn an_open_upload_goes_with_its_bucket(server) {
        let project = server.project("demo").await;
        project.post("/buckets", json!({ "name": "b" })).await.fine();
        let bucket = project.at("/buckets/b");
        let upload = bucket.begin_upload("x").await;
        bucket.send_part("x", &upload, 1, "1").await;
        let late = bucket.part_url("x", &upload, "2").await.fine().str("url");
        bucket.delete("").await.fine();
        until("its bytes are removed", async || server.objects("files").is_empty()).await;
        assert_snapshot!(bucket.put(&late, "late").await, @r#"404 {"error":"Bucket was not found"}"#);
    }
}
