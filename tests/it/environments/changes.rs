//! Environments under versions: own requirements on top, switches, and new builds that reach what runs.

use super::*;

/// Tells what it runs with, from two packages.
const BOTH: &str = "
    import iniconfig, six
    from importlib.metadata import version

    class Deployment:
        def request(self, data):
            return six.__version__ + ' ' + version('iniconfig')
";

async fn answers(version: &At, wanted: &str) {
    until(&format!("it answers {wanted}"), async || version.ask(json!("x")).await["result"] == wanted).await;
}

both! {
    async fn a_new_build_reaches_what_runs(server) {
        let project = server.project("demo").await;
        let environment = with_six(&project, "e", "1.16.0").await;
        let version = telling_six(&project, "d", "e").await;
        answers(&version, "1.16.0").await;
        built(&environment, "six==999.0").await;
        answers(&version, "1.16.0").await;
        assert_eq!(built(&environment, "six==1.17.0").await["status"], "success");
        answers(&version, "1.17.0").await;
        assert_eq!(version.get("/revisions").await.len(), 1, "the code is the same");
    }

    async fn own_requirements_stand_on_those_of_the_environment(server) {
        let project = server.project("demo").await;
        let environment = with_six(&project, "e", "1.16.0").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "environment": "e" })).await;
        let zip = package::packed(&[("deployment.py", BOTH), ("requirements.txt", "iniconfig==2.0.0")]);
        version.package(zip).await;
        answers(&version, "1.16.0 2.0.0").await;
        let implicit = project.get(&format!("/environments/{}", version.get("").await.str("environment"))).await;
        assert_snapshot!(implicit.only(&["base_environment", "implicit", "hidden", "status"]), @r#"{"base_environment":"e","implicit":true,"hidden":true,"status":"available"}"#);
        assert_eq!(environment.get("/usage").await.each("version"), r#"["v1"]"#);
        assert_eq!(environment.delete("").await.status, 409);
        let refused = project.delete(&format!("/environments/{}", implicit.str("name"))).await;
        assert!(refused.error().contains("was made for the requirements of a version"), "{refused}");

        // A new build of the environment is built under the same code, and what cannot be built changes nothing.
        assert_eq!(built(&environment, "six==1.17.0").await["status"], "success");
        answers(&version, "1.17.0 2.0.0").await;
        assert_eq!(built(&environment, "iniconfig==1.1.1\nsix==1.16.0").await["status"], "success");
        let revision = version.get("").await.str("active_revision");
        until("it was tried", async || version.get(&format!("/revisions/{revision}")).await["status"] == "failed").await;
        answers(&version, "1.17.0 2.0.0").await;
        assert_eq!(version.get("").await["status"], "available");

        // Without its own requirements the code runs right in the environment.
        version.package(package::packed(&[("deployment.py", SIX)])).await;
        answers(&version, "1.16.0").await;
        assert_eq!(version.get("").await["environment"], "e");
    }

    async fn a_version_switches_to_what_is_available(server) {
        let project = server.project("demo").await;
        with_six(&project, "one", "1.16.0").await;
        let two = with_six(&project, "two", "1.17.0").await;
        environment(&project, "empty").await;
        let version = telling_six(&project, "d", "one").await;
        answers(&version, "1.16.0").await;
        let refused = version.patch("", json!({ "environment": "empty" })).await;
        assert_snapshot!(refused, @r#"400 {"error":"Environment 'empty' is not available: it needs a file that was built with success first"}"#);
        let refused = version.patch("", json!({ "environment": "none" })).await;
        assert!(refused.error().starts_with("Environment 'none' was not found; there are python3-"), "{refused}");
        assert!(refused.error().ends_with("empty, one, two"), "{refused}");

        version.patch("", json!({ "environment": "two" })).await.fine();
        answers(&version, "1.17.0").await;
        assert_eq!(version.get("").await["environment"], "two");
        project.delete("/environments/one").await.fine();
        assert_eq!(two.delete("").await.status, 409);
        let base = python(&project).await;
        version.patch("", json!({ "environment": base })).await.fine();
        until("nothing runs in it", async || two.delete("").await.status == 204).await;
    }

    async fn an_environment_that_still_serves_is_not_deleted(server) {
        let project = server.project("demo").await;
        let one = with_six(&project, "one", "1.16.0").await;
        let version = telling_six(&project, "d", "one").await;
        let other = environment(&project, "other").await;
        assert_eq!(built(&other, "iniconfig==2.0.0").await["status"], "success");
        // The code cannot run there, but that shows only when it runs; broken code keeps the old one serving.
        version.patch("", json!({ "environment": "other" })).await.fine();
        until("it is on the other one", async || {
            let status = one.delete("").await.status;
            assert!(status == 409 || status == 204, "{status}");
            status == 204
        })
        .await;
        assert_eq!(other.delete("").await.status, 409);
    }
}
