//! Audit events: each change leaves one.

use crate::kit::*;

both! {
    async fn each_change_leaves_an_event(server) {
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({})).await;
        version.code(package::ECHO).await;
        deployment.patch("", json!({ "description": "new" })).await.fine();
        version.patch("", json!({ "maximum_instances": 2 })).await.fine();
        project.patch("", json!({ "labels": { "a": "1" } })).await.fine();
        deployment.delete("/versions/v1").await.fine();
        let events = project.get("/audit").await;
        assert_snapshot!(events.each("action"), @r#"["delete","update","update","update","update","create","create","create"]"#);
        assert_snapshot!(events.each("event").replace("\",\"", "\"\n\""), @r#"
["Deleted version v1 of deployment d"
"Updated project demo: labels from '{}' to '{\"a\":\"1\"}'"
"Updated version v1 of deployment d: maximum_instances from '5' to '2'"
"Updated deployment d: description from '' to 'new'"
"Uploaded a file for version v1 of deployment d"
"Created version v1 for deployment d"
"Created deployment d"
"Created project demo"]
"#);
        assert_snapshot!(events.each("object_type"), @r#"["deployment_version","project","deployment_version","deployment","deployment_version","deployment_version","deployment","project"]"#);
        assert_snapshot!(events.each("object_name"), @r#"["","demo","","d","","","d","demo"]"#);
        assert_eq!(events[0]["user"], "admin@modelyard.local");
        assert_eq!(deployment.get("/audit").await.len(), events.len() - 2);
    }

    async fn changes_that_change_nothing_and_refusals_leave_none(server) {
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        let before = project.get("/audit").await.len();
        deployment.patch("", json!({ "description": "" })).await.fine();
        deployment.patch("", json!({})).await.fine();
        project.post("/deployments", json!({ "name": "d", "input_type": "plain", "output_type": "plain" })).await;
        project.post("/deployments", json!({ "name": "D" })).await;
        assert_eq!(project.get("/audit").await.len(), before);
    }

    async fn lists_are_filtered_and_paged(server) {
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        deployment.patch("", json!({ "description": "new" })).await.fine();
        project.deployment("e", "plain", "plain").await;
        assert_snapshot!(project.get("/audit?action=create").await.each("object_name"), @r#"["e","d","demo"]"#);
        assert_snapshot!(project.get("/audit?limit=1&offset=1").await.each("action"), @r#"["update"]"#);
        assert_snapshot!(project.get("/audit?action=odd").await, @r#"400 {"error":"action must be one of create, update, delete, info, but got 'odd'"}"#);
    }
}
