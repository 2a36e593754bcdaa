//! Organizations.

use crate::kit::*;

both! {
    async fn create_and_show(server) {
        let made = server.post("/organizations", json!({ "name": "acme", "subscription": "free" })).await;
        assert_eq!(made.status, 201, "{made}");
        let shown = server.get("/organizations/acme").await;
        assert_eq!(shown["id"], made["id"]);
        assert_snapshot!(
            shown.only(&["name", "subscription", "status", "subscription_self_service", "overage_usage"]),
            @r#"{"name":"acme","subscription":"free","status":"active","subscription_self_service":true,"overage_usage":false}"#
        );
        assert_snapshot!(server.get("/organizations").await.each("name"), @r#"["acme","default"]"#);
    }

    async fn create_refuses_a_taken_name(server) {
        let again = server.post("/organizations", json!({ "name": "default" })).await;
        assert_snapshot!(again, @r#"409 {"error":"organization 'default' already exists"}"#);
    }

    async fn create_refuses_what_is_not_offered(server) {
        let voucher = server.post("/organizations", json!({ "name": "acme", "voucher": "x" })).await;
        assert_snapshot!(voucher, @r#"400 {"error":"voucher: vouchers are not offered"}"#);
        let forced = server.post("/organizations", json!({ "name": "acme", "two_factor_authentication_forced": true })).await;
        assert_snapshot!(forced, @r#"400 {"error":"two_factor_authentication_forced: second factors are not offered yet"}"#);
        assert_snapshot!(server.get("/organizations/acme").await, @r#"404 {"error":"Organization was not found"}"#);
    }

    async fn update_changes_only_what_it_names(server) {
        server.post("/organizations", json!({ "name": "acme", "subscription": "free" })).await.fine();
        let renamed = server.patch("/organizations/acme", json!({ "name": "acme-2" })).await;
        assert_snapshot!(renamed.only(&["name", "subscription"]), @r#"{"name":"acme-2","subscription":"free"}"#);
        assert_snapshot!(server.get("/organizations/acme").await, @r#"404 {"error":"Organization was not found"}"#);
        let taken = server.patch("/organizations/acme-2", json!({ "name": "default" })).await;
        assert_snapshot!(taken, @r#"409 {"error":"organization 'default' already exists"}"#);
        let date = server.patch("/organizations/acme-2", json!({ "subscription_end_date": "tomorrow" })).await;
        assert_snapshot!(date, @r#"400 {"error":"subscription_end_date must be a date of the form YYYY-MM-DD"}"#);
    }

    async fn resources_count_all_projects(server) {
        let project = server.project("demo").await;
        project.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        let usage = server.get("/organizations/default/resources").await;
        assert_snapshot!(
            usage.only(&["projects", "users", "deployments", "deployment_versions"]),
            @r#"{"projects":2,"users":1,"deployments":1,"deployment_versions":1}"#
        );
    }

    async fn projects_show_the_new_name_of_their_organization(server) {
        server.post("/organizations", json!({ "name": "acme" })).await.fine();
        server.post("/projects", json!({ "name": "demo", "organization_name": "acme" })).await.fine();
        server.patch("/organizations/acme", json!({ "name": "acme-2" })).await.fine();
        assert_eq!(server.get("/projects/demo").await["organization_name"], "acme-2");
    }
}
