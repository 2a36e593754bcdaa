//! Bodies that are not what they should be.

use super::Scene;
use crate::kit::*;

const JSON: &str = "application/json";

both! {
    async fn bad_payloads_are_refused(server) {
        let scene = Scene::set(server).await;
        let deep = format!("{{\"x\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let cases = [
            ("no JSON", "{\"x\": 1", "The body is not valid JSON: "),
            ("nothing", "", "The body is not valid JSON: "),
            ("two values", "{\"x\": 1} {}", "The body is not valid JSON: "),
            ("NaN", "{\"x\": NaN}", "The body is not valid JSON: "),
            ("Infinity", "{\"x\": -Infinity}", "The body is not valid JSON: "),
            ("no dictionary", "7", "The request data must be a dictionary of fields"),
            ("null", "null", "The request data must be a dictionary of fields"),
            ("an empty list", "[]", "The list of requests must not be empty"),
            ("too deep", &deep, "The body is nested deeper than "),
            ("a wrong type", "{\"x\": \"one\"}", "The input field 'x' must be of type int, but got a string"),
            ("a fraction", "{\"x\": 1.0}", "The input field 'x' must be of type int, but got a double"),
            ("an unknown field", "{\"x\": 1, \"y\": 2}", "The input field 'y' does not exist in this deployment"),
            ("a missing field", "{}", "The input field 'x' is missing"),
            ("a field twice", "{\"x\": 1, \"x\": 2}", "The input field 'x' is given twice"),
            ("a bad item", "[{\"x\": 1}, {}]", "Item 1: The input field 'x' is missing"),
        ];
        for (what, body, sentence) in cases {
            let refused = scene.deployment.post_raw("/requests", JSON, body.to_owned()).await;
            assert_eq!(refused.status, 400, "{what}: {refused}");
            assert!(refused.error().starts_with(sentence), "{what}: {refused}");
            scene.is_undisturbed(what).await;
        }
        let many = json!(vec![json!({ "x": 1 }); 251]);
        assert_snapshot!(scene.deployment.ask(many).await, @r#"400 {"error":"The list must hold at most 250 items, and has 251"}"#);
        let bytes = scene.deployment.post_raw("/requests", JSON, b"{\"x\": \xff}".to_vec()).await;
        assert_eq!(bytes.status, 400, "{bytes}");
        scene.is_undisturbed("a long list, and bytes that are no text").await;
    }

    async fn bodies_above_the_limit_are_refused(server) {
        let scene = Scene::set(server).await;
        let large = format!("{{\"x\": {}1}}", " ".repeat(10_000_001));
        let refused = scene.deployment.post_raw("/requests", JSON, large.clone()).await;
        assert_snapshot!(refused, @r#"413 {"error":"Request Entity Too Large"}"#);
        assert_eq!(scene.server.post_raw("/projects", JSON, large).await.status, 413);
        scene.is_undisturbed("large bodies").await;
    }

    async fn bad_queries_are_refused(server) {
        let scene = Scene::set(server).await;
        for (query, sentence) in [
            ("timeout=9", "timeout must be between 10 and 3600"),
            ("timeout=3601", "timeout must be between 10 and 3600"),
            ("timeout=soon", "timeout must be a whole number, but got 'soon'"),
            ("timeout=-1", "timeout must be between 10 and 3600"),
            ("priority=2", "priority must be between 0 and 1"),
        ] {
            let refused = scene.deployment.post(&format!("/requests?{query}"), json!({ "x": 1 })).await;
            assert_eq!((refused.status, refused.error()), (400, sentence), "{query}");
        }
        for (query, sentence) in [
            ("limit=0", "limit must be between 1 and 1000"),
            ("limit=1001", "limit must be between 1 and 1000"),
            ("offset=-1", "offset must be between 0 and 2147483647"),
            ("start_date=soon", "start_date must be an ISO 8601 date or time, but got 'soon'"),
            ("status=odd", "status must be one of pending, processing, completed, failed, cancelled, cancelled_pending, but got 'odd'"),
        ] {
            let refused = scene.deployment.get(&format!("/requests?{query}")).await;
            assert_eq!((refused.status, refused.error()), (400, sentence), "{query}");
        }
        scene.is_undisturbed("bad queries").await;
    }

    async fn bad_bodies_of_operations_are_refused(server) {
        let scene = Scene::set(server).await;
        let cases = [
            ("no JSON", "{", "The body is not valid JSON: "),
            ("a list", "[]", "The body must be a JSON object"),
            ("a number", "7", "The body must be a JSON object"),
            ("a missing field", "{\"organization_name\": \"default\"}", "The field 'name' is missing"),
            ("an unknown field", "{\"name\": \"a\", \"organization_name\": \"default\", \"x\": 1}", "The field 'x' is not known here"),
            ("a wrong type", "{\"name\": 7, \"organization_name\": \"default\"}", "The field 'name' must be a string, but got the number 7"),
            ("labels that are no labels", "{\"name\": \"a\", \"organization_name\": \"default\", \"labels\": [1]}", ""),
            ("a field twice", "{\"name\": \"a\", \"name\": \"b\", \"organization_name\": \"default\"}", "The field 'name' is given twice"),
        ];
        for (what, body, sentence) in cases {
            let refused = scene.server.post_raw("/projects", JSON, body).await;
            assert_eq!(refused.status, 400, "{what}: {refused}");
            assert!(refused.error().starts_with(sentence), "{what}: {refused}");
            scene.is_undisturbed(what).await;
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(scene.server.post_raw("/projects", JSON, deep).await.status, 400);
        scene.is_undisturbed("a deep body").await;
    }
}
