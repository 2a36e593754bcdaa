//! Files of buckets: sent and fetched by signed addresses, listed, replaced and deleted.

mod broken;
mod fields;
mod listing;
mod multipart;
mod signed;

use crate::kit::*;

both! {
    async fn a_file_goes_round(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let asked = bucket.send(bucket.request(reqwest::Method::POST, &bucket.file("a/b c.txt"))).await.fine();
        assert_eq!(asked["provider"], "ubiops");
        assert!(asked.str("url").starts_with(&server.address().replace("/v2.1", "/files/")), "{asked}");

        let sent = bucket.put(&asked.str("url"), "hello").await;
        assert_eq!(sent.to_string(), "200");
        let etag = sent.headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(etag, "\"2cf24dba5fb0a30e26e83b2ac5b9e29e\"");

        let shown = bucket.get(&bucket.file("a/b c.txt")).await.fine();
        assert_snapshot!(shown.only(&["file", "size"]), @r#"{"file":"a/b c.txt","size":5}"#);
        let made = shown.str("time_created");
        assert!(made.ends_with('Z') && made.len() == 27, "{made}");

        let fetched = bucket.fetch(&bucket.download_url("a/b c.txt").await).await.fine();
        assert_eq!(fetched.bytes, b"hello");
        let header = |name: &str| fetched.headers[name].to_str().unwrap().to_owned();
        assert_eq!((header("etag"), header("content-length"), header("accept-ranges")), (etag, "5".into(), "bytes".into()));
        assert_eq!(header("content-type"), "text/plain");
        assert_eq!(header("content-disposition"), "attachment; filename=\"b_c.txt\"; filename*=UTF-8''b%20c%2Etxt");
        assert_eq!((header("x-content-type-options"), header("content-security-policy")), ("nosniff".into(), "sandbox".into()));

        assert_eq!(bucket.delete(&bucket.file("a/b c.txt")).await.to_string(), "204");
        for gone in [bucket.get(&bucket.file("a/b c.txt")).await, bucket.delete(&bucket.file("a/b c.txt")).await, bucket.get("/files/a%2Fb%20c.txt/download").await] {
            assert_snapshot!(gone, @r#"404 {"error":"File was not found"}"#);
        }
        until("its bytes are removed", async || server.objects("files").is_empty()).await;
    }

    async fn names_may_hold_nearly_everything(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let names = ["ü漢🦀 b.txt", "a%2Fb", "%2e%2e/x", "a+b&c=d?e#f", "c:\\d", "\"quoted\" 'x'", "...", &"n".repeat(1024)];
        for name in names {
            let url = bucket.store(name, name.to_owned()).await;
            assert_eq!(bucket.fetch(&url).await.fine().text(), name);
            assert_eq!(bucket.get(&bucket.file(name)).await.fine()["file"], name);
        }
        let listed = bucket.find("/files", &[("limit", "1000")]).await.fine();
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        let listed: Vec<_> = listed["files"].as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap()).collect();
        assert_eq!(listed, sorted);

        let url = bucket.store("/slash/first", "x").await;
        assert_eq!(bucket.get(&bucket.file("slash/first")).await.fine()["file"], "slash/first");
        assert_eq!(bucket.fetch(&url).await.fine().text(), "x");
    }

    async fn names_that_could_lead_elsewhere_are_refused(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        bucket.store("a", "x").await;
        for name in ["../a", "b/../a", "./a", "a/.", "..\\a", "a//b", "//a", "a/", "a\0b", "a\nb", &"x".repeat(1025), &"x".repeat(10_000)] {
            for path in ["", "/download", "/start-multipart-upload"] {
                let method = if path == "/download" { reqwest::Method::GET } else { reqwest::Method::POST };
                let told = bucket.send(bucket.request(method, &format!("{}{path}", bucket.file(name)))).await;
                assert_eq!(told.status, 400, "{name:?} {told}");
                assert!(told.error().starts_with("The file name is"), "{told}");
            }
        }
        for raw in ["%2e%2e", "..%2fa", "%2e%2e%2fa", "%2e%2e%5ca", "%00", "b%2f%2e%2e%2fa"] {
            let told = bucket.raw_get(&format!("/files/{raw}")).await;
            assert!(told.starts_with("HTTP/1.1 400"), "{raw}: {told}");
        }
        assert_eq!(bucket.get("/files").await.fine()["files"].as_array().unwrap().len(), 1);
    }

    async fn empty_and_large_files_go_round(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let url = bucket.store("empty", "").await;
        let fetched = bucket.fetch(&url).await.fine();
        assert_eq!((fetched.bytes.len(), fetched.headers["content-length"].to_str().unwrap()), (0, "0"));
        // As the stock clients send an empty file: in chunks, without a length.
        let chunked = reqwest::Body::wrap_stream(futures_util::stream::empty::<Result<Vec<u8>, std::io::Error>>());
        bucket.put(&bucket.upload_url("chunked").await, chunked).await.fine();
        assert_eq!(bucket.get(&bucket.file("chunked")).await.fine()["size"], 0);

        let large: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let url = bucket.store("large.bin", large.clone()).await;
        assert!(bucket.fetch(&url).await.fine().bytes == large);
        let part = bucket.fetch_with(&url, &[("range", "bytes=1048575-9000000")]).await;
        assert_eq!((part.status, part.headers["content-range"].to_str().unwrap()), (206, "bytes 1048575-9000000/20000000"));
        assert!(part.bytes == large[1_048_575..=9_000_000]);
        let beyond = bucket.fetch_with(&url, &[("range", "bytes=20000000-")]).await;
        assert_eq!((beyond.status, beyond.headers["content-range"].to_str().unwrap()), (416, "bytes */20000000"));
        let known = beyond.headers["etag"].to_str().unwrap();
        assert_eq!(bucket.fetch_with(&url, &[("if-none-match", known)]).await.to_string(), "304");
    }

    async fn content_types_are_kept_or_guessed(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let request = reqwest::Client::new().put(bucket.upload_url("a.html").await).header("content-type", "x/y; z=1").body("x");
        request.send().await.unwrap().error_for_status().unwrap();
        let kind = async |name: &str| bucket.fetch(&bucket.download_url(name).await).await.fine().headers["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind("a.html").await, "x/y; z=1");
        bucket.store("b.png", "x").await;
        assert_eq!(kind("b.png").await, "image/png");
        bucket.store("c", "x").await;
        assert_eq!(kind("c").await, "application/octet-stream");
    }

    async fn a_new_file_replaces_the_old_one_whole(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let old = vec![b'a'; 30_000_000];
        let url = bucket.store("x", old.clone()).await;
        let mut reading = reqwest::get(&url).await.unwrap();
        assert_eq!(reading.chunk().await.unwrap().unwrap()[0], b'a');

        bucket.store("x", "new").await;
        assert_eq!(bucket.fetch(&url).await.fine().text(), "new");
        let mut rest = 0;
        while let Some(chunk) = reading.chunk().await.unwrap() {
            assert!(chunk.iter().all(|byte| *byte == b'a'));
            rest += chunk.len();
        }
        assert!(rest > 20_000_000, "who reads the old file reads it to its end");
        until("the old bytes are removed", async || server.objects("files").len() == 1).await;
    }

    async fn two_who_write_a_name_at_once_both_succeed_and_one_of_them_stays(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let uploads = (0..8_u8).map(|who| {
            let bucket = bucket.clone();
            async move { bucket.store("x", vec![who; 300_000]).await }
        });
        futures_util::future::join_all(uploads).await;
        let fetched = bucket.fetch(&bucket.download_url("x").await).await.fine();
        assert!(fetched.bytes.len() == 300_000 && fetched.bytes.iter().all(|byte| *byte == fetched.bytes[0]));
        until("the bytes of the others are removed", async || server.objects("files").len() == 1).await;
    }
}
