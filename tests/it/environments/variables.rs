//! The variables of `ubiops.yaml`: at run time below all others, at build time for the code of source packages.

use super::*;

/// Answers with the environment variables of these names, as its environment and its context have them.
const TELL: &str = "
    import os

    class Deployment:
        def __init__(self, context):
            self.context = context['environment_variables']

        def request(self, data):
            told = [os.environ.get(name, '-') for name in data.split()]
            assert told == [self.context.get(name, '-') for name in data.split()]
            return ' '.join(told)
";

/// The text of a `ubiops.yaml` with these variables.
fn yaml(variables: &[&str]) -> String {
    let lines: String = variables.iter().map(|line| format!("  - {line}\n")).collect();
    format!("environment_variables:\n{lines}")
}

/// Uploads a `ubiops.yaml` and more files to an environment and waits until it is built or failed; gives the build.
async fn with_yaml(environment: &At, variables: &[&str], more: &[(&str, &str)]) -> Reply {
    let yaml = yaml(variables);
    let files = [&[("ubiops.yaml", yaml.as_str())], more].concat();
    let uploaded = upload(environment, "e.zip", package::packed(&files)).await.fine();
    ended(environment, &uploaded).await
}

/// The same, and all goes well.
async fn well(environment: &At, variables: &[&str], more: &[(&str, &str)]) {
    let build = with_yaml(environment, variables, more).await;
    assert_eq!(build["status"], "success", "{build}");
}

/// A deployment `d` with a version `v1` that runs in an environment.
async fn telling(project: &At, environment: &str) -> (At, At) {
    let deployment = project.deployment("d", "plain", "plain").await;
    let version = deployment.version("v1", json!({ "environment": environment })).await;
    version.code(TELL).await;
    (deployment, version)
}

async fn becomes(version: &At, names: &str, wanted: &str) {
    until(&format!("{names} are {wanted}"), async || version.ask(json!(names)).await["result"] == wanted).await;
}

async fn set(at: &At, name: &str, value: &str) {
    at.post("/environment-variables", json!({ "name": name, "value": value, "secret": false })).await.fine();
}

both! {
    async fn they_hold_at_run_time_below_all_others(server) {
        let project = server.project("demo").await;
        let environment = environment(&project, "e").await;
        well(&environment, &["COLOUR=file", "PLACE=${COLOUR}/${TASTE}${NOBODY}", "WHERE=${UBIOPS_VERSION}"], &[]).await;
        let (deployment, version) = telling(&project, "e").await;
        assert_eq!(version.ask(json!("COLOUR PLACE WHERE")).await["result"], "file file/ v1");
        set(&project, "TASTE", "sweet").await;
        becomes(&version, "COLOUR PLACE", "file file/sweet").await;
        for (at, value) in [(&project, "red"), (&deployment, "green"), (&version, "${TASTE}")] {
            set(at, "COLOUR", value).await;
            becomes(&version, "COLOUR PLACE", &format!("{value} {value}/sweet")).await;
        }
        for at in [&version, &deployment, &project] {
            at.delete("/environment-variables/COLOUR").await.fine();
        }
        becomes(&version, "COLOUR PLACE", "file file/sweet").await;
        // A new build with other variables reaches what runs, though nothing else is installed.
        well(&environment, &["COLOUR=new"], &[]).await;
        becomes(&version, "COLOUR PLACE", "new -").await;
    }

    async fn those_of_a_package_win_over_those_of_the_environment_it_stands_on(server) {
        let project = server.project("demo").await;
        let environment = environment(&project, "e").await;
        well(&environment, &["A=below", "B=${A}!"], &[]).await;
        let (_, version) = telling(&project, "e").await;
        assert_eq!(version.ask(json!("A B C")).await["result"], "below below! -");
        let own = yaml(&["A=own", "C=${B}${D}"]);
        let zip = package::packed(&[("deployment.py", TELL), ("ubiops.yaml", &own)]);
        version.package(zip).await;
        becomes(&version, "A B C", "own own! own!").await;
        let implicit = version.get("").await.str("environment");
        assert!(implicit.starts_with("implicit-"), "{implicit}");
        well(&environment, &["B=2", "D=3"], &[]).await;
        becomes(&version, "A B C", "own 2 23").await;

        // Together they would never end; what works serves on, and so it does until one of them is changed.
        well(&environment, &["B=${C}"], &[]).await;
        let revision = version.get("").await.str("active_revision");
        until("it was tried", async || version.get(&format!("/revisions/{revision}")).await["status"] == "failed").await;
        let told = version.get(&format!("/revisions/{revision}")).await.str("error_message");
        assert_eq!(told, "ubiops.yaml: the variable B refers to itself, or too deeply; write its value out");
        assert_eq!(version.ask(json!("A B C")).await["result"], "own 2 23");
        version.package(package::packed(&[("deployment.py", TELL)])).await;
        becomes(&version, "A B C", "-  -").await;
    }

    async fn a_build_sees_them_and_is_not_used_for_others(server) {
        let project = server.project("demo").await;
        let (_web, requirements) = source_package("os.environ.get('MODE', '-')").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        let code = "
            import os, probe

            class Deployment:
                def request(self, data):
                    return probe.seen + ' ' + os.environ.get('MODE', '-')
        ";
        set(&project, "SECRET", "of the project").await;
        for (name, mode, wanted) in [
            ("one", "MODE=1", "1 1"),
            ("two", "MODE=2", "2 2"),
            ("three", "MODE=${SECRET}", "hunter2 of the project"),
            ("four", "OTHER=1", "- -"),
        ] {
            let environment = environment(&project, name).await;
            if name == "three" {
                let secret = json!({ "name": "SECRET", "value": "hunter2", "secret": true });
                environment.post("/secrets", secret).await.fine();
            }
            well(&environment, &[mode], &[("requirements.txt", &requirements)]).await;
            let version = deployment.version(name, json!({ "environment": name })).await;
            version.code(code).await;
            assert_eq!(version.ask(json!("")).await["result"], wanted, "{name}");
        }
    }

    async fn what_no_build_of_a_package_sees_is_shared(server) {
        let project = server.project("demo").await;
        let six = [("requirements.txt", "six==1.16.0\n")];
        well(&environment(&project, "one").await, &["MODE=1"], &six).await;
        well(&environment(&project, "two").await, &["MODE=${PLACE}"], &six).await;
        let query = [("query", "| environment_name=`two`")];
        until("the log is written", async || {
            project.find("/logs", &query).await.fine().each("log").contains("The environment was there already")
        })
        .await;
        let told = project.find("/logs", &query).await.each("log");
        assert!(told.contains("ubiops.yaml: no variable PLACE is known to the build, so ${PLACE} stands for nothing in it"), "{told}");
    }

    async fn what_is_built_from_source_is_shared_within_an_organization(server) {
        let (_web, requirements) = source_package("os.environ.get('MODE', '-')").await;
        server.post("/organizations", json!({ "name": "acme", "subscription": "free" })).await.fine();
        server.post("/projects", json!({ "name": "theirs", "organization_name": "acme" })).await.fine();
        let theirs = server.at("/projects/theirs");
        for (project, end) in [
            (server.project("one").await, "The environment is built"),
            (server.project("two").await, "The environment was there already"),
            (theirs, "The environment is built"),
        ] {
            let environment = environment(&project, "e").await;
            let uploaded = upload(&environment, "requirements.txt", requirements.clone()).await.fine();
            assert_eq!(ended(&environment, &uploaded).await["status"], "success");
            let query = [("query", "| environment_name=`e`")];
            let told = async || project.find("/logs", &query).await.fine().each("log");
            until("the log is written", async || told().await.contains("The environment ")).await;
            assert!(told().await.contains(end), "{}", told().await);
        }
    }
}
