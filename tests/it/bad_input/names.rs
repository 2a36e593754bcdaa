//! Names that are no names.

use super::Scene;
use crate::kit::*;

const RULE: &str = "use lower-case letters, digits and dashes, beginning with a letter";

both! {
    async fn bad_names_are_refused(server) {
        let scene = Scene::set(server).await;
        let long = "a".repeat(65);
        let bad = ["A", "a b", "a/b", "a_b", "a.b", "-a", "1a", "ä", "имя", "名前", "a\u{0000}", "a\n", "a\u{202e}b", "а", "../a"];
        let project = scene.server.at("/projects/demo");
        let creations = [
            (scene.server.at("/organizations"), json!({})),
            (scene.server.at("/projects"), json!({ "organization_name": "default" })),
            (project.at("/deployments"), json!({ "input_type": "plain", "output_type": "plain" })),
        ];
        for (place, body) in &creations {
            let create = async |name: &str| {
                let mut body = body.clone();
                body["name"] = json!(name);
                place.post("", body).await
            };
            for name in bad {
                let refused = create(name).await;
                assert_eq!(refused.status, 400, "{name:?}: {refused}");
                assert!(refused.error().ends_with(RULE), "{name:?}: {refused}");
            }
            assert!(create(&long).await.error().ends_with("The name must have at most 64 characters"));
            assert!(create("").await.error().ends_with("The name must not be empty"));
        }
        for name in bad.iter().filter(|name| !["a_b", "a.b"].contains(name)) {
            let refused = scene.deployment.post("/versions", json!({ "version": name })).await;
            assert_eq!(refused.status, 400, "{name:?}: {refused}");
        }
        for name in ["", "a b", "-a", "ä", "a.b", &long] {
            let fields = json!([{ "name": name, "data_type": "int" }]);
            let body = json!({ "name": "e", "input_type": "structured", "output_type": "plain", "input_fields": fields });
            let refused = project.post("/deployments", body).await;
            assert_eq!(refused.status, 400, "{name:?}: {refused}");
        }
        scene.is_undisturbed("bad names").await;
        // The longest good ones are taken.
        let longest = "a".repeat(64);
        project.deployment(&longest, "plain", "plain").await.version(&longest, json!({})).await;
    }

    async fn names_in_addresses_are_only_looked_for(server) {
        let scene = Scene::set(server).await;
        for name in ["A", "a%2Fb", "a%20b", "%00", "%ff", "..%2f..", "%E2%80%AE", "a'%3B--", &"a".repeat(5000)] {
            let refused = scene.server.get(&format!("/projects/{name}")).await;
            assert_eq!((refused.status, refused.error()), (404, "Project was not found"), "{name}");
            let refused = scene.server.get(&format!("/projects/demo/deployments/{name}")).await;
            assert_eq!((refused.status, refused.error()), (404, "Deployment was not found"), "{name}");
        }
        scene.is_undisturbed("odd addresses").await;
    }
}
