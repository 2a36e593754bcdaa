//! Signed addresses: for one thing, for a while, and nobody makes them but the server.

use crate::kit::*;

both! {
    async fn an_address_is_good_for_what_it_was_signed_for(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let upload = bucket.upload_url("x").await;
        bucket.put(&upload, "1").await.fine();
        let download = bucket.download_url("x").await;
        assert_snapshot!(bucket.put(&download, "2").await, @r#"403 {"error":"This address is for reading, not for writing"}"#);
        assert_snapshot!(bucket.fetch(&upload).await, @r#"403 {"error":"This address is for writing, not for reading"}"#);
        let other = reqwest::Client::new().delete(&download).send().await.unwrap();
        assert_eq!(other.status(), 405);
        assert_eq!(bucket.fetch(&download).await.fine().text(), "1");
        let head = reqwest::Client::new().head(&download).send().await.unwrap();
        assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "1"));
    }

    async fn forged_addresses_are_refused(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let url = bucket.store("x", "1").await;
        let (start, ticket) = url.split_at(url.find("/files/").unwrap() + 7);
        for at in [0, 1, 2, 30, 60, 90, ticket.len() - 1] {
            let mut forged = ticket.to_owned().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            for told in [bucket.fetch(&format!("{start}{forged}")).await, bucket.put(&format!("{start}{forged}"), "2").await] {
                assert_snapshot!(told, @r#"403 {"error":"This address was not signed by this installation, or was changed"}"#);
            }
        }
        for rubbish in ["x", "%00", "a%2f..%2fb", &ticket[..40], &"A".repeat(5000)] {
            assert_eq!(bucket.fetch(&format!("{start}{rubbish}")).await.status, 403, "{rubbish}");
        }
        assert_eq!(bucket.fetch(&format!("{start}{ticket}/more")).await.status, 404);
        assert_eq!(bucket.fetch(&url).await.fine().text(), "1");
    }

    async fn an_upload_is_repeated_and_not_replaced(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let url = bucket.upload_url("x").await;
        bucket.put(&url, "1").await.fine();
        // The client did not get the answer, and tries again.
        bucket.put(&url, "1").await.fine();
        assert_snapshot!(bucket.put(&url, "2").await, @r#"403 {"error":"This address was used already, for other content; ask for a new one"}"#);
        assert_eq!(bucket.fetch(&bucket.download_url("x").await).await.fine().text(), "1");
        // Neither does a repeat bring back what was replaced or deleted since.
        bucket.store("x", "3").await;
        bucket.put(&url, "1").await.fine();
        assert_eq!(bucket.fetch(&bucket.download_url("x").await).await.fine().text(), "3");
        until("only the present bytes are there", async || server.objects("files").len() == 1).await;
    }

    async fn an_address_of_what_is_gone_finds_nothing(server) {
        let project = server.project("demo").await;
        project.post("/buckets", json!({ "name": "b" })).await.fine();
        let bucket = project.at("/buckets/b");
        let (download, upload) = (bucket.store("x", "1").await, bucket.upload_url("y").await);
        bucket.delete("").await.fine();
        project.post("/buckets", json!({ "name": "b" })).await.fine();
        assert_snapshot!(bucket.fetch(&download).await, @r#"404 {"error":"File was not found"}"#);
        assert_snapshot!(bucket.put(&upload, "2").await, @r#"404 {"error":"Bucket was not found"}"#);
        assert_eq!(bucket.get("/files").await.fine()["files"], json!([]));
    }

    async fn addresses_begin_as_the_operator_says_and_outlive_a_restart(server) {
        let mut server = server;
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let url = bucket.store("x", "1").await;
        let proxied = bucket.request(reqwest::Method::GET, "/files/x/download").header("host", "files.example:81").header("x-forwarded-proto", "https");
        let proxied = bucket.send(proxied).await.fine().str("url");
        assert!(proxied.starts_with("https://files.example:81/files/"), "{proxied}");

        server.restart(&[("PUBLIC_URL", "https://modelyard.example/api/")]).await;
        let bucket = server.at("/projects/demo/buckets/default");
        let told = bucket.download_url("x").await;
        assert!(told.starts_with("https://modelyard.example/api/files/"), "{told}");
        let (_, ticket) = url.split_once("/files/").unwrap();
        let url = format!("{}/files/{ticket}", server.address().trim_end_matches("/v2.1"));
        assert_eq!(bucket.fetch(&url).await.fine().text(), "1");
    }

    async fn addresses_outlive_the_change_of_a_key_while_the_old_one_is_known(server) {
        let mut server = server;
        let bucket = server.at("/projects/default/buckets/default");
        let url = bucket.store("x", "1").await;
        let path = server.data().join("key");
        let old = std::fs::read_to_string(&path).unwrap();
        let new = "5".repeat(64);
        // The address that a server signed, as the next one on another port has it.
        let moved = |server: &TestServer, url: &str| {
            let (_, ticket) = url.split_once("/files/").unwrap();
            format!("{}/files/{ticket}", server.address().trim_end_matches("/v2.1"))
        };
        assert!(server.stop().success());
        std::fs::write(&path, format!("{new}\n{old}")).unwrap();
        server.start_again(&[]).await;
        let bucket = server.at("/projects/default/buckets/default");
        assert_eq!(bucket.fetch(&moved(&server, &url)).await.fine().text(), "1");
        let newer = bucket.download_url("x").await;

        assert!(server.stop().success());
        std::fs::write(&path, format!("{new}\n")).unwrap();
        server.start_again(&[]).await;
        let bucket = server.at("/projects/default/buckets/default");
        assert_eq!(bucket.fetch(&moved(&server, &newer)).await.fine().text(), "1");
        assert_eq!(bucket.fetch(&moved(&server, &url)).await.status, 403);
    }
}
