//! What is wrong with a file is told within seconds, whatever other builds are doing.

use super::builds::{endless, running};
use super::*;

both! {
    async fn a_typo_fails_while_the_build_of_another_hangs(server) {
        let mut server = server;
        server.restart(&[("BUILDS_AT_ONCE", "1")]).await;
        let project = server.project("demo").await;
        let (_listener, requirements) = endless();
        let hanging = environment(&project, "hanging").await;
        let build = running(&server, &hanging, &requirements).await;
        let environment = environment(&project, "e").await;

        let failed = built(&environment, "# wanted\nmodelyard-no-such-package-0\n").await;

        assert_snapshot!(failed.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"requirements.txt line 2: the package modelyard-no-such-package-0 was not found in the package index; check its name"}"#);
        assert_eq!(build.get("").await["status"], "building");
        assert_eq!(environment.get("").await["status"], "failed");
        let version = project.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        let zip = package::packed(&[("deployment.py", SIX), ("requirements.txt", "six==999.0\n")]);
        let revision = version.built(&version.upload(zip).await.fine().str("revision")).await;
        assert_snapshot!(revision.only(&["status", "error_message"]), @r#"{"status":"failed","error_message":"requirements.txt line 1: six==999.0 does not exist; the newest that can be had is 1.17.0"}"#);
        assert_eq!(build.get("").await["status"], "building");

        // One that can be built waits for its turn all the same.
        let uploaded = upload(&environment, "requirements.txt", "six==1.16.0\n").await.fine();
        hanging.delete("").await.fine();
        assert_eq!(ended(&environment, &uploaded).await["status"], "success");
    }

    async fn a_ubiops_yaml_that_is_not_understood_fails_with_its_line(server) {
        let project = server.project("demo").await;
        let environment = environment(&project, "e").await;
        for (yaml, told) in [
            ("environment_variables:\n\t- A=1\n", "ubiops.yaml line 2: the line has a tab, which YAML does not take; use spaces"),
            ("environment_variables:\n  - PATH=/x\n", "ubiops.yaml line 2: the variable PATH is set by the platform and cannot be set here; remove it"),
            ("apt:\n  packages: []\n", "ubiops.yaml line 1: apt has no packages; list at least one below packages:, or remove apt"),
        ] {
            let zip = package::packed(&[("ubiops.yaml", yaml)]);
            let uploaded = upload(&environment, "e.zip", zip).await.fine();
            let build = ended(&environment, &uploaded).await;
            assert_eq!((build.str("status").as_str(), build.str("error_message").as_str()), ("failed", told));
        }
    }
}
