//! Instances: how they are listed, what is told of them, and stopping one.

use crate::kit::*;

/// The instances below a place, the youngest first.
pub async fn listed(at: &At) -> Vec<Value> {
    at.get("/instances").await.fine()["results"].as_array().unwrap().clone()
}

/// The ids of the instances below a place that run, once there are so many.
pub async fn running(at: &At, count: usize) -> Vec<String> {
    until("so many instances run", async || ids(&at.get("/instances?status=running").await).len() == count).await;
    ids(&at.get("/instances?status=running").await)
}

fn ids(page: &Reply) -> Vec<String> {
    let results = page["results"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    results.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// What happened to an instance, without the numbers of milliseconds.
pub async fn story(version: &At, instance: &str) -> String {
    let events = version.get(&format!("/instances/{instance}/events")).await.fine();
    let sentences = events["results"].as_array().unwrap().iter().map(|event| event["description"].as_str().unwrap());
    sentences.map(without_times).collect::<Vec<_>>().join("\n")
}

fn without_times(sentence: &str) -> String {
    let words =
        sentence.split(' ').map(|word| if word.parse::<f64>().is_ok() && word.contains('.') { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

async fn version_of(server: &TestServer, settings: Value) -> At {
    server.project("demo").await.deployment("d", "plain", "plain").await.version("v1", settings).await
}

/// Waits until the events of an instance hold a sentence.
pub async fn told(version: &At, instance: &str, part: &str) {
    until(part, async || story(version, instance).await.contains(part)).await;
}

both! {
    async fn a_cold_start_is_told_step_by_step(server) {
        let version = version_of(&server, json!({ "minimum_instances": 1, "instance_type": "256mb" })).await;
        version.code(package::ECHO).await;
        let instance = running(&version, 1).await.remove(0);
        assert_snapshot!(story(&version, &instance).await, @r"
        Instance created, with instance type 256mb
        Scheduled in N ms
        Instance status changed to initialising
        Sandbox made in N ms
        Interpreter started in N ms
        Import of the code done in N ms
        Init of the deployment done in N ms
        Ready after N ms
        Instance status changed to running
        ");
        let shown = version.get(&format!("/instances/{instance}")).await.fine();
        assert_snapshot!(
            shown.only(&["deployment", "node", "node_pool", "status", "version"]),
            @r#"{"deployment":"d","node":{"ipv4_address":null,"ipv6_address":null},"node_pool":{"id":"00000000-0000-0000-0000-000000000000","name":"local","cluster":{"id":"00000000-0000-0000-0000-000000000000","name":"local","type":"local"}},"status":"running","version":"v1"}"#
        );
        assert_eq!(shown["instance_type"]["name"], "256mb");
        assert_eq!(shown["instance_type"]["display_name"], "256 MB");
        let types = server.at("/projects/demo").get("/instance-types").await.fine();
        assert_eq!(shown["instance_type"]["id"], types["results"][0]["id"]);
        let in_project = server.at("/projects/demo").get(&format!("/instances/{instance}")).await.fine();
        assert_eq!(in_project.json(), shown.json());
    }

    async fn each_process_says_when_it_is_ready(server) {
        let version = version_of(&server, json!({ "minimum_instances": 1, "instance_processes": 2 })).await;
        version.code(package::ECHO).await;
        let instance = running(&version, 1).await.remove(0);
        told(&version, &instance, "Process 0 ready").await;
        told(&version, &instance, "Process 1 ready").await;
        let story = story(&version, &instance).await;
        let mut lines: Vec<_> = story.lines().collect();
        lines.sort_unstable();
        assert_snapshot!(lines.join("\n"), @r"
        Import of the code done in N ms
        Init of the deployment done in N ms
        Instance created, with instance type 2048mb
        Instance status changed to initialising
        Instance status changed to running
        Interpreter started in N ms
        Process 0 ready after N ms
        Process 1 ready after N ms
        Sandbox made in N ms
        Scheduled in N ms
        ");
    }

    async fn lists_are_filtered_and_cut_into_pages(server) {
        let project = server.project("demo").await;
        for (name, instances) in [("d", 2), ("e", 1)] {
            let deployment = project.deployment(name, "plain", "plain").await;
            let settings = json!({ "minimum_instances": instances, "instance_type": "256mb" });
            deployment.version("v1", settings).await.code(package::ECHO).await;
        }
        let all = running(&project, 3).await;
        assert!(all.is_sorted_by(|one, other| one > other), "the youngest first: {all:?}");
        let (d, e) = (project.at("/deployments/d/versions/v1"), project.at("/deployments/e/versions/v1"));
        assert_eq!((running(&d, 2).await.len(), running(&e, 1).await.len()), (2, 1));
        let names: Vec<_> = listed(&project).await.iter().map(|one| one["deployment"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names.iter().filter(|name| *name == "d").count(), 2);
        assert_eq!(listed(&d).await[0].get("deployment"), None);
        assert!(ids(&project.get("/instances?status=pending,initialising").await).is_empty());
        assert_eq!(ids(&project.get("/instances?status=Running,stopping").await), all);

        let first = project.get("/instances?limit=2").await.fine();
        assert_eq!((ids(&first), &first["previous"]), (all[..2].to_vec(), &Value::Null));
        let second = project.find("/instances", &[("limit", "2"), ("cursor", &first.str("next"))]).await.fine();
        assert_eq!((ids(&second), &second["next"]), (all[2..].to_vec(), &Value::Null));
        let back = project.find("/instances", &[("limit", "2"), ("cursor", &second.str("previous"))]).await.fine();
        assert_eq!(ids(&back), ids(&first));
        let events = d.get(&format!("/instances/{}/events?limit=1", ids(&d.get("/instances").await)[0])).await.fine();
        assert_eq!(events["results"].as_array().unwrap().len(), 1);
        assert!(events["next"].is_string(), "{events}");

        for (query, sentence) in [
            ("status=stopped", "status must be one of pending, initialising, running, stopping, but got 'stopped'"),
            ("cursor=nonsense", "cursor is not one that this list gave"),
            ("limit=0", "limit must be between 1 and 1000"),
            ("limit=x", "limit must be a whole number, but got 'x'"),
        ] {
            for at in [&project, &d] {
                let refused = at.get(&format!("/instances?{query}")).await;
                assert_eq!((refused.status, refused.error()), (400, sentence), "{query}");
            }
        }
    }

    async fn what_is_elsewhere_is_not_found(server) {
        let version = version_of(&server, json!({ "minimum_instances": 1 })).await;
        version.code(package::ECHO).await;
        let instance = running(&version, 1).await.remove(0);
        let other = server.project("other").await;
        let elsewhere = other.deployment("d", "plain", "plain").await.version("v1", json!({})).await;
        let sibling = server.at("/projects/demo/deployments/d").version("v2", json!({})).await;
        assert!(listed(&other).await.is_empty() && listed(&sibling).await.is_empty());
        let stop = json!({ "status": "stopped" });
        for at in [&other, &elsewhere, &sibling] {
            assert_snapshot!(at.get(&format!("/instances/{instance}")).await, @r#"404 {"error":"Instance was not found"}"#);
            assert_snapshot!(at.patch(&format!("/instances/{instance}"), stop.clone()).await, @r#"404 {"error":"Instance was not found"}"#);
        }
        assert_snapshot!(sibling.get(&format!("/instances/{instance}/events")).await, @r#"404 {"error":"Instance was not found"}"#);
        for id in ["x", "01890000-0000-7000-8000-000000000000"] {
            assert_snapshot!(version.get(&format!("/instances/{id}")).await, @r#"404 {"error":"Instance was not found"}"#);
            assert_snapshot!(version.get(&format!("/instances/{id}/events")).await, @r#"404 {"error":"Instance was not found"}"#);
            assert_snapshot!(version.patch(&format!("/instances/{id}"), stop.clone()).await, @r#"404 {"error":"Instance was not found"}"#);
        }
        assert_eq!(running(&version, 1).await, [instance]);
    }

    async fn an_instance_can_be_stopped_and_nothing_else(server) {
        let version = version_of(&server, json!({ "minimum_instances": 1 })).await;
        version.code(package::ECHO).await;
        let first = running(&version, 1).await.remove(0);
        let path = format!("/instances/{first}");
        assert_snapshot!(version.patch(&path, json!({ "status": "running" })).await, @r#"400 {"error":"status must be 'stopped', but got 'running': an instance can only be stopped"}"#);
        assert_snapshot!(version.patch(&path, json!({})).await, @r#"400 {"error":"status is required, and must be 'stopped': an instance can only be stopped"}"#);
        assert_snapshot!(version.patch(&path, json!({ "status": "stopped", "force": true })).await, @r#"400 {"error":"The field 'force' is not known here"}"#);
        assert_eq!(running(&version, 1).await, std::slice::from_ref(&first));

        let stopped = version.patch(&path, json!({ "status": "stopped" })).await.fine();
        assert_eq!((stopped.status, &stopped["status"], &stopped["id"]), (200, &json!("stopping"), &json!(first)));
        assert_eq!(stopped["deployment"], "d");
        told(&version, &first, "Instance stopped").await;
        assert_snapshot!(story(&version, &first).await.lines().skip(9).collect::<Vec<_>>().join("\n"), @r"
        Stopping, because admin@modelyard.local asked for it
        Instance status changed to stopping
        Instance stopped
        ");
        assert_snapshot!(version.get(&path).await, @r#"404 {"error":"Instance was not found"}"#);
        assert_snapshot!(version.patch(&path, json!({ "status": "stopped" })).await, @r#"404 {"error":"Instance was not found"}"#);
        let audit = server.at("/projects/demo/deployments/d").get("/audit").await.fine();
        assert_eq!(audit[0]["event"], format!("Stopped instance {first} of version v1 of deployment d"));
        assert_eq!((&audit[0]["object_type"], &audit[0]["action"]), (&json!("instance"), &json!("update")));
        // The minimum is kept by another one.
        let second = running(&version, 1).await.remove(0);
        assert_ne!(second, first);
        let stopped = server.at("/projects/demo").patch(&format!("/instances/{second}"), json!({ "status": "stopped" })).await.fine();
        assert_eq!((&stopped["status"], &stopped["version"]), (&json!("stopping"), &json!("v1")));
        told(&version, &second, "Instance stopped").await;
    }

    async fn what_an_instance_began_is_finished_and_what_waits_goes_elsewhere(server) {
        let code = "
            import os, time
            class Deployment:
                def request(self, data):
                    print('began ' + data, flush=True)
                    time.sleep(1.5)
                    return str(os.getpid())
        ";
        let version = version_of(&server, json!({ "minimum_instances": 1, "maximum_instances": 1 })).await;
        version.code(code).await;
        let instance = running(&version, 1).await.remove(0);
        let ask = |name: &'static str| { let version = version.clone(); tokio::spawn(async move { version.ask(json!(name)).await }) };
        let first = ask("first");
        let project = server.at("/projects/demo");
        until("the first began", async || project.find("/logs", &[("query", "|= `began first`")]).await.len() == 1).await;
        let second = ask("second");
        let path = format!("/instances/{instance}");
        until("the second waits", async || version.get("/requests?status=pending").await.len() == 1).await;
        version.patch(&path, json!({ "status": "stopped" })).await.fine();
        assert_eq!(ids(&version.get("/instances?status=stopping").await), [instance]);
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!((&first["status"], &second["status"]), (&json!("completed"), &json!("completed")));
        let of = async |name: &str| project.find("/logs", &[("query", &format!("|= `began {name}`"))]).await[0]["metadata"]["instance_id"].clone();
        assert_ne!(of("first").await, of("second").await, "another instance ran what waited");
    }

    async fn starts_that_fail_are_told_one_by_one_with_their_reason(server) {
        let code = "class Deployment:\n    def __init__(self):\n        raise ValueError('no model')\n    def request(self, data):\n        return data\n";
        let version = version_of(&server, json!({})).await;
        version.code(code).await;
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @"failed: Failed to initialise the deployment. See the logs for details.");
        let lines = server.at("/projects/demo").find("/logs", &[("query", "|= `no model`"), ("limit", "1000")]).await.fine();
        let mut instances: Vec<_> = lines.json().as_array().unwrap().iter().filter_map(|line| Some(line["metadata"]["instance_id"].as_str()?.to_owned())).collect();
        instances.sort();
        instances.dedup();
        assert_eq!(instances.len(), 3, "three attempts: {lines}");
        let mut last = Vec::new();
        for instance in &instances {
            told(&version, instance, "did not start").await;
            let story = story(&version, instance).await;
            assert!(!story.contains("running"), "{story}");
            assert_eq!(story.matches("did not start").count(), 1, "{story}");
            last.push(story.lines().last().unwrap().to_owned());
        }
        assert_snapshot!(last.join("\n"), @r"
        The instance did not start: Failed to initialise the deployment. See the logs for details (attempt 1 of 3; the next follows after 1 s)
        The instance did not start: Failed to initialise the deployment. See the logs for details (attempt 2 of 3; the next follows after 5 s)
        The instance did not start: Failed to initialise the deployment. See the logs for details (attempt 3; what waits is refused, and a later request is tried after 30 s)
        ");
        assert!(listed(&version).await.is_empty());
        assert_eq!(server.kept().await.rows("instances"), 3, "nobody tries on without a request");
        let figures = server.root().get("/metrics").await.text();
        assert!(figures.contains("modelyard_instance_starts_total 3\n"), "{figures}");
        assert!(figures.contains("modelyard_instance_start_failures_total 3\n"), "{figures}");
    }

    async fn a_start_fails_when_one_of_its_processes_does(server) {
        let code = "
            class Deployment:
                def __init__(self, base_directory, context):
                    if context['process_id'] == 1:
                        raise ValueError('no room')
                def request(self, data):
                    return data
        ";
        let version = version_of(&server, json!({ "minimum_instances": 1, "instance_processes": 2 })).await;
        version.code(code).await;
        let figure = async |line: &str| server.root().get("/metrics").await.text().contains(line);
        until("three have failed", async || figure("modelyard_instance_start_failures_total 3\n").await).await;
        assert!(figure("modelyard_instance_starts_total 3\n").await, "there is time between the attempts");
        assert!(listed(&version).await.is_empty());
    }

    async fn what_a_killed_server_ran_is_ended_by_its_next_life(server) {
        let mut server = server;
        let version = version_of(&server, json!({ "minimum_instances": 1 })).await;
        version.code(package::ECHO).await;
        let lost = running(&version, 1).await.remove(0);
        server.crash();
        server.start_again(&[]).await;
        let version = server.at("/projects/demo/deployments/d/versions/v1");
        let next = running(&version, 1).await.remove(0);
        assert_ne!(next, lost);
        assert_eq!(listed(&version).await.len(), 1);
        assert_eq!(story(&version, &lost).await.lines().last(), Some("Instance ended: its server stopped"));
        assert!(server.stop().success());
        server.start_again(&[]).await;
        let version = server.at("/projects/demo/deployments/d/versions/v1");
        assert_snapshot!(story(&version, &next).await.lines().skip(9).collect::<Vec<_>>().join("\n"), @r"
        Stopping, because the server stops
        Instance status changed to stopping
        Instance stopped
        ");
    }

    async fn a_process_that_dies_is_told_and_replaced(server) {
        let code = "
            import os
            class Deployment:
                def request(self, data):
                    os._exit(7)
        ";
        let version = version_of(&server, json!({ "minimum_instances": 1 })).await;
        version.code(code).await;
        let instance = running(&version, 1).await.remove(0);
        assert_snapshot!(version.ask(json!("x")).await.outcome(), @"failed: The process exited with status 7");
        told(&version, &instance, "ready again").await;
        assert_snapshot!(story(&version, &instance).await.lines().skip(9).collect::<Vec<_>>().join("\n"), @r"
        Process 0 ended and is replaced: The process exited with status 7
        Process 0 ready again
        ");
        assert_eq!(running(&version, 1).await, [instance]);
    }

    async fn new_code_and_limits_say_why_instances_stop(server) {
        let version = version_of(&server, json!({ "minimum_instances": 1 })).await;
        version.code(package::ECHO).await;
        let outdated = running(&version, 1).await.remove(0);
        version.code(package::ECHO).await;
        told(&version, &outdated, "Stopping, because it was made from older code or settings, and is replaced").await;
        told(&version, &outdated, "Instance stopped").await;
        let too_many = running(&version, 1).await.remove(0);
        version.patch("", json!({ "minimum_instances": 0, "maximum_instances": 0 })).await.fine();
        told(&version, &too_many, "Stopping, because its version has more instances than its maximum_instances").await;
        until("the figures show it", async || {
            let figures = server.root().get("/metrics").await.text();
            figures.contains("modelyard_instance_stops_total{reason=\"outdated\"} 1\n")
                && figures.contains("modelyard_instance_stops_total{reason=\"above_maximum\"} 1\n")
                && figures.contains("modelyard_instances{status=\"running\"} 0\n")
        }).await;
    }

    async fn instances_and_events_go_with_their_version_and_project(server) {
        let version = version_of(&server, json!({ "minimum_instances": 1 })).await;
        version.code(package::ECHO).await;
        running(&version, 1).await;
        assert_eq!(server.kept().await.rows("instances"), 1);
        server.at("/projects/demo/deployments/d").delete("/versions/v1").await.fine();
        until("nothing is left of it", async || {
            let kept = server.kept().await;
            (kept.rows("instances"), kept.rows("instance_events"), kept.rows("leftovers")) == (0, 0, 0)
        }).await;
        let again = server.at("/projects/demo/deployments/d").version("v1", json!({ "minimum_instances": 2 })).await;
        again.code(package::ECHO).await;
        running(&again, 2).await;
        server.delete("/projects/demo").await.fine();
        until("nothing is left of the project", async || {
            let kept = server.kept().await;
            (kept.rows("instances"), kept.rows("instance_events"), kept.rows("leftovers")) == (0, 0, 0)
        }).await;
    }
}
