//! Blobs: sent in forms, fetched by id, listed in both directions, updated, deleted, and gone after their time.

use reqwest::Method;
use reqwest::multipart::{Form, Part};

use crate::kit::*;

const NOBODY: &str = "/blobs/01890000-0000-7000-8000-000000000000";

/// Sends a form with a file.
async fn send(at: &At, method: Method, path: &str, name: &str, content: &str, ttl: Option<&str>) -> Reply {
    let form = Form::new().part("file", Part::text(content.to_owned()).file_name(name.to_owned()));
    let request = at.request(method, path).multipart(form);
    at.send(ttl.iter().fold(request, |request, ttl| request.header("blob-ttl", *ttl))).await
}

async fn made(at: &At, content: &str) -> String {
    send(at, Method::POST, "/blobs", "x.txt", content, None).await.fine().str("id")
}

fn place(id: &str) -> String {
    format!("/blobs/{id}")
}

fn header(reply: &Reply, name: &str) -> String {
    reply.headers[name].to_str().unwrap().to_owned()
}

both! {
    async fn a_blob_goes_round(server) {
        let project = server.project("demo").await;
        assert_eq!(project.get("/blobs").await.fine().len(), 0);
        let blob = send(&project, Method::POST, "/blobs", "my photo ü.png", "hello", Some("3600")).await;
        assert_eq!(blob.status, 201, "{blob}");
        assert_snapshot!(blob.only(&["created_by", "filename", "size", "ttl"]), @r#"{"created_by":"admin@modelyard.local","filename":"my photo ü.png","size":5,"ttl":3600}"#);
        assert!(blob.str("creation_date").ends_with("+00:00"), "{blob}");

        let fetched = project.get(&place(&blob.str("id"))).await.fine();
        assert_eq!(fetched.text(), "hello");
        assert_eq!(header(&fetched, "content-length"), "5");
        assert_eq!(header(&fetched, "content-disposition"), "attachment; filename=\"my_photo__.png\"; filename*=UTF-8''my%20photo%20%C3%BC%2Epng");
        let part = project.send(project.request(Method::GET, &place(&blob.str("id"))).header("range", "bytes=1-2")).await;
        assert_eq!((part.status, part.text(), header(&part, "content-range")), (206, "el".into(), "bytes 1-2/5".into()));
        assert_eq!(project.get("/blobs").await.fine().json(), &json!([blob.json()]));

        assert_eq!(project.delete(&place(&blob.str("id"))).await.to_string(), "204");
        for gone in [project.get(&place(&blob.str("id"))).await, project.delete(&place(&blob.str("id"))).await, project.get("/blobs/x").await] {
            assert_snapshot!(gone, @r#"404 {"error":"Blob was not found"}"#);
        }
        until("its bytes are removed", async || server.objects("files").is_empty()).await;
    }

    async fn a_blob_gets_new_content_under_its_id(server) {
        let project = server.project("demo").await;
        let (first, second) = (made(&project, "old").await, made(&project, "other").await);
        let old = project.get("/blobs").await.fine();
        let updated = send(&project, Method::PUT, &place(&first), "new.bin", "newer", Some("60")).await.fine();
        assert_snapshot!(updated.only(&["filename", "size", "ttl", "created_by"]), @r#"{"filename":"new.bin","size":5,"ttl":60,"created_by":"admin@modelyard.local"}"#);
        assert_eq!(updated.str("id"), first);
        assert_eq!(updated.str("creation_date"), old[1]["creation_date"].as_str().unwrap());
        assert!(updated["last_updated"].as_str() >= old[1]["last_updated"].as_str());
        assert_eq!(project.get(&place(&first)).await.fine().text(), "newer");
        assert_eq!(project.get("/blobs").await.fine().each("id"), json!([second, first]).to_string());
        assert_snapshot!(send(&project, Method::PUT, NOBODY, "x", "x", None).await, @r#"404 {"error":"Blob was not found"}"#);
        until("the old bytes are removed", async || server.objects("files").len() == 2).await;
    }

    async fn blobs_are_listed_in_both_directions(server) {
        let project = server.project("demo").await;
        let mut ids = Vec::new();
        for content in ["a", "b", "c", "d"] {
            ids.push(made(&project, content).await);
            // Lists are to the millisecond, as times are shown.
            let last = project.get("/blobs").await.fine()[0]["creation_date"].clone();
            until("the next millisecond", async || {
                let id = made(&project, "later").await;
                let later = project.get("/blobs").await.fine()[0]["creation_date"] != last;
                project.delete(&place(&id)).await.fine();
                later
            }).await;
        }
        let listed = async |query: &[(&str, &str)]| {
            let found = project.find("/blobs", query).await.fine();
            let at = |id: &Value| ids.iter().position(|it| it == id.as_str().unwrap()).unwrap().to_string();
            found.json().as_array().unwrap().iter().map(|it| at(&it["id"])).collect::<Vec<_>>().join(" ")
        };
        let dates = project.find("/blobs", &[("range", "4")]).await.fine();
        let second = dates[1]["creation_date"].as_str().unwrap();
        assert_eq!(listed(&[]).await, "3 2 1 0");
        assert_eq!(listed(&[("range", "-2")]).await, "3 2");
        assert_eq!(listed(&[("range", "3")]).await, "0 1 2");
        assert_eq!(listed(&[("range", "2"), ("creation_date", second)]).await, "1 2");
        assert_eq!(listed(&[("range", "-50"), ("creation_date", second)]).await, "1 0");
        assert_eq!(listed(&[("range", "9"), ("creation_date", "2020-05-18 11:26:57")]).await, "0 1 2 3");
        assert_eq!(listed(&[("creation_date", "1950-05-18")]).await, "");
        assert_eq!(listed(&[("range", "5"), ("creation_date", "9999-01-01")]).await, "");
    }

    async fn what_makes_no_sense_is_refused(server) {
        let project = server.project("demo").await;
        let found = async |name: &str, value: &str| project.find("/blobs", &[(name, value)]).await.to_string();
        assert_snapshot!(found("range", "0").await, @r#"400 {"error":"range must not be 0: it says how many blobs to list, and in which direction"}"#);
        assert_snapshot!(found("range", "-1001").await, @r#"400 {"error":"range must be between -1000 and 1000"}"#);
        assert_snapshot!(found("creation_date", "soon").await, @r#"400 {"error":"creation_date must be an ISO 8601 date or time, but got 'soon'"}"#);
        for ttl in ["0", "-1", "1.5", "day", "99999999999999999999"] {
            let told = send(&project, Method::POST, "/blobs", "x", "x", Some(ttl)).await;
            assert_eq!((told.status, told.error()), (400, "The header blob-ttl must be a whole number of seconds from 1 to 3144960000"), "{ttl}");
        }
        assert_snapshot!(project.send(project.request(Method::POST, "/blobs")).await, @r#"400 {"error":"Give the content of the blob as the file of the form"}"#);
        assert_snapshot!(project.post("/blobs", json!({})).await, @r#"400 {"error":"The body must be a form of the type multipart/form-data, with its boundary"}"#);
        let form = Form::new().part("file", Part::text("a")).part("file", Part::text("b"));
        assert_snapshot!(project.send(project.request(Method::POST, "/blobs").multipart(form)).await, @r#"400 {"error":"The form has two files; only one is taken"}"#);
        let form = Form::new().text("other", "b");
        assert_snapshot!(project.send(project.request(Method::POST, "/blobs").multipart(form)).await, @r#"400 {"error":"The field 'other' is not known here"}"#);
        assert_eq!(project.get("/blobs").await.fine().len(), 0);
        assert!(server.objects("files").is_empty(), "nothing of what is refused stays");
    }

    async fn a_blob_belongs_to_its_project_and_goes_with_it(server) {
        let (one, other) = (server.project("one").await, server.project("other").await);
        let id = made(&one, "x").await;
        let kept = made(&other, "y").await;
        assert_eq!(other.get(&place(&id)).await.status, 404);
        assert_eq!(other.delete(&place(&id)).await.status, 404);
        assert_eq!(send(&other, Method::PUT, &place(&id), "x", "x", None).await.status, 404);
        assert_eq!(server.objects("files").len(), 2);
        one.delete("").await.fine();
        assert_eq!(one.get(&place(&id)).await.status, 404);
        until("its bytes are removed", async || server.objects("files").len() == 1).await;
        assert_eq!(other.get(&place(&kept)).await.fine().text(), "y");
    }

    async fn a_blob_is_gone_when_its_time_is_over(server) {
        let project = server.project("demo").await;
        let id = send(&project, Method::POST, "/blobs", "x", "x", Some("1")).await.fine().str("id");
        let kept = made(&project, "y").await;
        until("it is over", async || project.get(&place(&id)).await.status == 404).await;
        assert_eq!(project.get("/blobs").await.fine().each("id"), json!([kept]).to_string());
        assert_eq!(send(&project, Method::PUT, &place(&id), "x", "x", None).await.status, 404);
    }

    async fn names_and_sizes_of_all_kinds_go_round(server) {
        let project = server.project("demo").await;
        let long = "n".repeat(600);
        for (name, shown) in [("a/b.txt", "a/b.txt"), (long.as_str(), &long[..512]), ("q\"uo te", "q\"uo te")] {
            let blob = send(&project, Method::POST, "/blobs", name, "", None).await.fine();
            assert_eq!((blob.str("filename").as_str(), &blob["size"], &blob["ttl"]), (shown, &json!(0), &json!(86400)));
            let fetched = project.get(&place(&blob.str("id"))).await.fine();
            assert_eq!(fetched.text(), "");
            let told = header(&fetched, "content-disposition");
            let plain = told.split('"').nth(1).unwrap();
            assert!(!plain.contains(['/', ' ', '"']), "{told}");
        }
        let nameless = Form::new().part("file", Part::bytes(vec![7; 3_000_000]).mime_str("x/y").unwrap());
        let blob = project.send(project.request(Method::POST, "/blobs").multipart(nameless)).await.fine();
        assert_eq!(blob.str("filename"), "blob");
        let fetched = project.get(&place(&blob.str("id"))).await.fine();
        assert!(fetched.bytes == vec![7; 3_000_000]);
        assert_eq!(header(&fetched, "content-type"), "x/y");
    }
}
