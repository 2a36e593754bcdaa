//! Buckets: made, shown, changed and deleted; the one that every project has.

use crate::kit::*;

const WEEK: i64 = 604_800;

fn names(list: &Reply) -> String {
    list.each("name")
}

both! {
    async fn every_project_has_a_default_bucket_that_stays(server) {
        let project = server.project("demo").await;
        let listed = project.get("/buckets").await.fine();
        assert_snapshot!(names(&listed), @r#"["default"]"#);
        let bucket = project.get("/buckets/default").await.fine();
        assert_snapshot!(bucket.only(&["name", "project", "provider", "credentials", "configuration", "description", "labels", "ttl", "size"]), @r#"{"name":"default","project":"demo","provider":"ubiops","credentials":{},"configuration":{},"description":"","labels":{},"ttl":null,"size":null}"#);
        assert_snapshot!(project.delete("/buckets/default").await, @r#"400 {"error":"The default bucket of a project cannot be deleted"}"#);
        assert_snapshot!(server.get("/projects/default/buckets").await.fine().each("name"), @r#"["default"]"#);
        assert_eq!(project.get("/resources").await.fine()["buckets"], 1);
    }

    async fn buckets_are_created_shown_changed_and_deleted(server) {
        let project = server.project("demo").await;
        let made = project.post("/buckets", json!({ "name": "b-1", "description": "mine", "labels": { "type": "x" } })).await;
        assert_eq!(made.status, 201, "{made}");
        assert_snapshot!(made.only(&["name", "provider", "description", "labels", "ttl"]), @r#"{"name":"b-1","provider":"ubiops","description":"mine","labels":{"type":"x"},"ttl":604800}"#);
        let kept = json!({ "name": "kept", "provider": "ubiops", "ttl": null, "credentials": {}, "configuration": {} });
        assert_eq!(project.post("/buckets", kept).await.fine()["ttl"], Value::Null);
        assert_snapshot!(names(&project.get("/buckets").await.fine()), @r#"["b-1","default","kept"]"#);
        assert_snapshot!(names(&project.find("/buckets", &[("labels", "type:y,type:x")]).await.fine()), @r#"["b-1"]"#);

        let changed = project.patch("/buckets/b-1", json!({ "description": null, "ttl": WEEK * 3, "labels": { "a": "b" } })).await.fine();
        assert_snapshot!(changed.only(&["name", "description", "labels", "ttl", "size"]), @r#"{"name":"b-1","description":"","labels":{"a":"b"},"ttl":1814400,"size":null}"#);
        assert_eq!(project.get("/buckets/b-1").await.fine().json(), changed.json());
        assert_eq!(project.patch("/buckets/b-1", json!({ "ttl": null })).await.fine()["ttl"], Value::Null);
        assert_eq!(project.patch("/buckets/b-1", json!({})).await.fine()["ttl"], Value::Null);

        assert_eq!(project.delete("/buckets/b-1").await.to_string(), "204");
        for gone in [project.get("/buckets/b-1").await, project.delete("/buckets/b-1").await, project.patch("/buckets/b-1", json!({})).await, project.get("/buckets/b-1/files").await] {
            assert_snapshot!(gone, @r#"404 {"error":"Bucket was not found"}"#);
        }
        assert_eq!(project.post("/buckets", json!({ "name": "b-1" })).await.status, 201, "the name is free again");
        let audit = project.get("/audit").await.fine();
        assert_snapshot!(audit.each("event").replace("\",\"", "\"\n\""), @r#"
        ["Created bucket b-1"
        "Deleted bucket b-1"
        "Updated bucket b-1: ttl from '1814400' to 'null'"
        "Updated bucket b-1: description from 'mine' to '', labels from '{\"type\":\"x\"}' to '{\"a\":\"b\"}', ttl from '604800' to '1814400'"
        "Created bucket kept"
        "Created bucket b-1"
        "Created project demo"]
        "#);
    }

    async fn buckets_that_make_no_sense_are_refused(server) {
        let project = server.project("demo").await;
        let told = async |body: Value| project.post("/buckets", body).await.to_string();
        assert_snapshot!(told(json!({})).await, @r#"400 {"error":"The field 'name' is missing"}"#);
        assert_snapshot!(told(json!({ "name": "default" })).await, @r#"409 {"error":"bucket 'default' already exists"}"#);
        assert_snapshot!(told(json!({ "name": "B" })).await, @r#"400 {"error":"name: The name 'B' is not valid: use lower-case letters, digits and dashes, beginning with a letter"}"#);
        assert_snapshot!(told(json!({ "name": "b", "ttl": 5 })).await, @r#"400 {"error":"ttl must be a multiple of 604800 (a week in seconds), or null to keep files, and is 5"}"#);
        assert_snapshot!(told(json!({ "name": "b", "provider": "ftp" })).await, @r#"400 {"error":"The field 'provider' must be one of ubiops, amazon_s3, google_cloud_storage, azure_blob_storage, but got 'ftp'"}"#);
        assert_snapshot!(told(json!({ "name": "b", "credentials": { "access_key": "x" } })).await, @r#"400 {"error":"credentials: 'access_key' has no meaning for a bucket that is kept here; leave it out"}"#);
        assert_snapshot!(told(json!({ "name": "b", "configuration": { "prefix": "x" } })).await, @r#"400 {"error":"configuration: 'prefix' has no meaning for a bucket that is kept here; leave it out"}"#);
        assert_snapshot!(project.patch("/buckets/default", json!({ "name": "x" })).await, @r#"400 {"error":"The field 'name' is not known here"}"#);
        assert_snapshot!(names(&project.get("/buckets").await.fine()), @r#"["default"]"#);
    }

    async fn a_deleted_project_takes_its_files_with_it(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let url = bucket.store("a.txt", "hello").await;
        assert_eq!(server.objects("files").len(), 1);
        server.delete("/projects/demo").await.fine();
        assert_snapshot!(bucket.fetch(&url).await, @r#"404 {"error":"File was not found"}"#);
        until("its bytes are removed", async || server.objects("files").is_empty()).await;
    }
}
