//! Groups of kinds of instances: the ones every project has, those that users make, and the versions that use them.

use crate::kit::*;

const ALL: &str = "256mb, 512mb, 1024mb, 2048mb, 4096mb, 8192mb, 12288mb, 16384mb";

/// Creates a group with these kinds.
pub async fn group(project: &At, name: &str, kinds: Value) -> Reply {
    project.post("/instance-type-groups", json!({ "name": name, "instance_types": kinds })).await.fine()
}

/// The kinds of a group: names, priorities and timeouts.
fn kinds(group: &Value) -> String {
    let one = |it: &Value| format!("{} {} {}", it["name"].as_str().unwrap(), it["priority"], it["schedule_timeout"]);
    group["instance_types"].as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(", ")
}

fn names(page: &Reply) -> Vec<String> {
    let results = page["results"].as_array().unwrap_or_else(|| panic!("no page: {page}"));
    results.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// What a version shows of its kind.
fn shown(version: &Value) -> String {
    let field = |name: &str| version[name].to_string();
    format!("{} {} {}", field("instance_type"), field("memory_allocation"), field("instance_type_group_name"))
}

both! {
    async fn every_project_has_a_group_for_each_kind(server) {
        let project = server.project("demo").await;
        let listed = project.get("/instance-type-groups").await.fine();
        assert_eq!(names(&listed), [
            "256 MB + 0.0625 vCPU", "512 MB + 0.125 vCPU", "1024 MB + 0.25 vCPU", "2048 MB + 0.5 vCPU",
            "4096 MB + 1 vCPU", "8192 MB + 2 vCPU", "12288 MB + 3 vCPU", "16384 MB + 4 vCPU",
        ]);
        let first = &listed["results"][0];
        assert_eq!(kinds(first), "256mb 0 3600");
        assert_eq!(project.get(&format!("/instance-type-groups/{}", first["id"].as_str().unwrap())).await.fine().json(), first);
        let types = project.get("/instance-types").await.fine();
        let mut member = first["instance_types"][0].clone();
        for own in ["priority", "schedule_timeout"] {
            member.as_object_mut().unwrap().remove(own);
        }
        assert_eq!(member, types["results"][0]);
        assert_eq!(first["time_created"], project.get("").await["creation_date"]);
        let other = server.project("other").await.get("/instance-type-groups").await.fine();
        assert_eq!(names(&other), names(&listed));
    }

    async fn groups_are_created_shown_changed_and_deleted(server) {
        let project = server.project("demo").await;
        let ids = project.get("/instance-types").await.fine();
        let large = json!({ "id": ids["results"][2]["id"], "priority": 0, "schedule_timeout": 60 });
        let made = project.post("/instance-type-groups", json!({ "name": "mine", "instance_types": [{ "name": "256mb", "priority": 1 }, large] })).await;
        assert_eq!((made.status, kinds(made.json()).as_str()), (201, "1024mb 0 60, 256mb 1 3600"));
        assert_eq!(made["name"], "mine");
        let path = format!("/instance-type-groups/{}", made.str("id"));
        assert_eq!(project.get(&path).await.fine().json(), made.json());

        let changed = project.patch(&path, json!({ "name": "ours" })).await.fine();
        assert_eq!((changed["name"].clone(), kinds(changed.json()).as_str()), (json!("ours"), "1024mb 0 60, 256mb 1 3600"));
        let changed = project.patch(&path, json!({ "name": null, "instance_types": [{ "name": "512mb" }] })).await.fine();
        assert_eq!((changed["name"].clone(), kinds(changed.json()).as_str()), (json!("ours"), "512mb 0 3600"));
        assert_eq!(project.get(&path).await.fine().json(), changed.json());
        assert_eq!(project.patch(&path, json!({})).await.fine().json(), changed.json());

        assert_eq!(project.delete(&path).await.to_string(), "204");
        for gone in [project.get(&path).await, project.delete(&path).await, project.patch(&path, json!({})).await, project.get(&format!("{path}/usage")).await] {
            assert_snapshot!(gone, @r#"404 {"error":"Instance type group was not found"}"#);
        }
        let audit = project.get("/audit").await.fine();
        assert_snapshot!(audit.each("event").replace("\",\"", "\"\n\""), @r#"
["Deleted instance type group ours"
"Updated instance type group ours: instance_types from '[{\"instance_type\":\"1024mb\",\"priority\":0,\"schedule_timeout\":60},{\"instance_type\":\"256mb\",\"priority\":1,\"schedule_timeout\":3600}]' to '[{\"instance_type\":\"512mb\",\"priority\":0,\"schedule_timeout\":3600}]'"
"Updated instance type group mine: name from 'mine' to 'ours'"
"Created instance type group mine"
"Created project demo"]
"#);
        assert_snapshot!(audit.each("object_type"), @r#"["instance_type_group","instance_type_group","instance_type_group","instance_type_group","project"]"#);
        assert_snapshot!(audit.each("object_name"), @r#"["","","","mine","demo"]"#);
    }

    async fn a_group_without_a_name_is_named_by_its_kinds(server) {
        let project = server.project("demo").await;
        let made = project.post("/instance-type-groups", json!({ "instance_types": [{ "name": "512mb" }, { "name": "256mb" }] })).await.fine();
        assert_eq!(made["name"], "512 MB + 0.125 vCPU, 256 MB + 0.0625 vCPU");
    }

    async fn groups_that_make_no_sense_are_refused(server) {
        let project = server.project("demo").await;
        let kept = server.kept().await;
        let one = json!([{ "name": "256mb" }]);
        let long = "a".repeat(257);
        let unknown = |what: &str| format!("instance_types: no instance type has the {what}; there are {ALL}");
        for (body, sentence) in [
            (json!({ "name": "a" }), "The field 'instance_types' is missing".to_owned()),
            (json!({ "name": "a", "instance_types": [] }), "instance_types: a group needs at least one instance type".to_owned()),
            (json!({ "name": "a", "instance_types": null }), "The field 'instance_types' must be a list, but got null".to_owned()),
            (json!({ "name": "a", "instance_types": [{}] }), "instance_types: each instance type needs an id or a name".to_owned()),
            (json!({ "name": "a", "instance_types": [{ "name": "huge" }] }), unknown("name 'huge'")),
            (json!({ "name": "a", "instance_types": [{ "id": "" }] }), unknown("id ''")),
            (json!({ "name": "a", "instance_types": [{ "name": "256mb" }, { "name": "256mb" }] }), "instance_types: instance type 256mb is given twice".to_owned()),
            (json!({ "name": "a", "instance_types": [{ "name": "256mb", "priority": -1 }] }), "instance_types: priority must be between 0 and 1000, and is -1".to_owned()),
            (json!({ "name": "a", "instance_types": [{ "name": "256mb", "schedule_timeout": 86_401 }] }), "instance_types: schedule_timeout must be between 0 and 86400, and is 86401".to_owned()),
            (json!({ "name": "a", "instance_types": [{ "name": "256mb", "priority": 1.5 }] }), "The field 'instance_types[0].priority' must be a whole number, but got the number 1.5".to_owned()),
            (json!({ "name": "a", "instance_types": [{ "name": "256mb", "cpu": 1 }] }), "The field 'instance_types[0].cpu' is not known here".to_owned()),
            (json!({ "name": "a", "instance_types": "256mb" }), "The field 'instance_types' must be a list, but got the string '256mb'".to_owned()),
            (json!({ "name": "", "instance_types": one }), "name: The name must not be empty".to_owned()),
            (json!({ "name": long, "instance_types": one }), "name: The name must have at most 256 characters".to_owned()),
            (json!({ "name": "a\u{0}", "instance_types": one }), "name: The name must be one line of text, without control characters".to_owned()),
            (json!({ "name": "a", "instance_types": one, "project": "b" }), "The field 'project' is not known here".to_owned()),
        ] {
            let refused = project.post("/instance-type-groups", body.clone()).await;
            assert_eq!((refused.status, refused.error()), (400, sentence.as_str()), "{body}");
        }
        assert_eq!(server.kept().await, kept);
        let made = group(&project, &"ä".repeat(256), one).await;
        let path = format!("/instance-type-groups/{}", made.str("id"));
        assert_snapshot!(project.patch(&path, json!({ "instance_types": [] })).await, @r#"400 {"error":"instance_types: a group needs at least one instance type"}"#);
        assert_eq!(project.get(&path).await.fine().json(), made.json());
    }

    async fn the_groups_that_every_project_has_stay_as_they_are(server) {
        let project = server.project("demo").await;
        let listed = project.get("/instance-type-groups").await.fine();
        let path = format!("/instance-type-groups/{}", listed["results"][0]["id"].as_str().unwrap());
        for refused in [project.patch(&path, json!({ "name": "mine" })).await, project.delete(&path).await] {
            assert_snapshot!(refused, @r#"400 {"error":"Instance type group '256 MB + 0.0625 vCPU' is one that every project has: it can be neither changed nor deleted; create one of your own"}"#);
        }
        assert_eq!(project.get("/instance-type-groups").await.fine().json(), listed.json());
    }

    async fn what_is_elsewhere_is_not_found(server) {
        let (project, other) = (server.project("demo").await, server.project("other").await);
        let made = group(&project, "mine", json!([{ "name": "256mb" }])).await;
        let path = format!("/instance-type-groups/{}", made.str("id"));
        let at = |path: &str| (other.at(path), other.at(&format!("{path}/usage")));
        for (one, usage) in [at(&path), at("/instance-type-groups/x"), at("/instance-type-groups/01890000-0000-7000-8000-000000000000")] {
            for answer in [one.get("").await, one.patch("", json!({ "name": "b" })).await, one.delete("").await, usage.get("").await] {
                assert_snapshot!(answer, @r#"404 {"error":"Instance type group was not found"}"#);
            }
        }
        assert_eq!(names(&other.get("/instance-type-groups").await).len(), 8);
        let deployment = other.deployment("d", "plain", "plain").await;
        let version = json!({ "version": "v1", "instance_type_group_id": made["id"] });
        let refused = deployment.post("/versions", version).await;
        assert_eq!((refused.status, refused.error()), (400, format!("Instance type group '{}' was not found; list those of the project, or give an instance_type", made.str("id")).as_str()));
        assert_eq!(project.get(&path).await.fine().json(), made.json());
    }

    async fn lists_are_cut_into_pages(server) {
        let project = server.project("demo").await;
        for name in ["a", "b", "a"] {
            group(&project, name, json!([{ "name": "256mb" }])).await;
        }
        let all = names(&project.get("/instance-type-groups").await.fine());
        assert_eq!(all[8..], ["a", "b", "a"]);
        let page = async |cursor: &Value| {
            let cursor = cursor.as_str().unwrap_or_default().to_owned();
            project.find("/instance-type-groups", &[("limit", "4"), ("cursor", &cursor)]).await.fine()
        };
        let first = page(&Value::Null).await;
        let second = page(&first["next"]).await;
        let third = page(&second["next"]).await;
        assert_eq!([names(&first), names(&second), names(&third)].concat(), all);
        assert_eq!((&first["previous"], &third["next"]), (&Value::Null, &Value::Null));
        assert_eq!(names(&page(&third["previous"]).await), names(&second));
        assert_eq!(names(&page(&second["previous"]).await), names(&first));
        for query in ["cursor=nonsense", "limit=0"] {
            assert_eq!(project.get(&format!("/instance-type-groups?{query}")).await.status, 400, "{query}");
        }
    }

    async fn a_version_shows_its_kind_and_its_group(server) {
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        let mine = group(&project, "mine", json!([{ "name": "1024mb" }, { "name": "256mb" }])).await;
        group(&project, "mine", json!([{ "name": "512mb" }])).await;
        let create = async |name: &str, settings: Value| {
            let mut body = json!({ "version": name });
            body.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap());
            deployment.post("/versions", body).await
        };
        for (settings, expected) in [
            (json!({}), r#""2048mb" 2048 "2048 MB + 0.5 vCPU""#),
            (json!({ "instance_type": "512mb" }), r#""512mb" 512 "512 MB + 0.125 vCPU""#),
            (json!({ "memory_allocation": 4096 }), r#""4096mb" 4096 "4096 MB + 1 vCPU""#),
            (json!({ "instance_type_group_name": "4096 MB + 1 vCPU" }), r#""4096mb" 4096 "4096 MB + 1 vCPU""#),
            (json!({ "instance_type_group_id": mine["id"] }), r#""1024mb" 1024 "mine""#),
            (json!({ "instance_type_group_name": "mine" }), r#""1024mb" 1024 "mine""#),
            (json!({ "instance_type": "1024mb", "instance_type_group_id": mine["id"], "instance_type_group_name": "mine" }), r#""1024mb" 1024 "mine""#),
        ] {
            let made = create("v", settings.clone()).await;
            assert_eq!((made.status, shown(made.json()).as_str()), (201, expected), "{settings}");
            let one = deployment.get("/versions/v").await.fine();
            let listed = deployment.get("/versions").await.fine();
            for field in ["instance_type", "instance_type_group_id", "instance_type_group_name"] {
                assert_eq!((&one[field], &listed[0][field]), (&made[field], &made[field]), "{settings}: {field}");
            }
            let path = format!("/instance-type-groups/{}", made.str("instance_type_group_id"));
            assert_eq!(project.get(&path).await.fine()["name"], made["instance_type_group_name"]);
            deployment.delete("/versions/v").await.fine();
        }
        let told = async |settings: Value| { let refused = create("v", settings).await; format!("{} {}", refused.status, refused.error()) };
        assert_snapshot!(told(json!({ "instance_type_group_name": "gpus" })).await, @"400 Instance type group 'gpus' was not found; list those of the project, or give an instance_type");
        assert_snapshot!(told(json!({ "instance_type_group_id": "" })).await, @"400 Instance type group '' was not found; list those of the project, or give an instance_type");
        assert_snapshot!(told(json!({ "instance_type_group_name": "mine", "instance_type": "256mb" })).await, @"400 instance_type '256mb' is not the first one of instance type group 'mine', which is '1024mb'; give one of the two");
        assert_snapshot!(told(json!({ "instance_type_group_id": mine["id"], "instance_type_group_name": "ours" })).await, @"400 the instance type group of instance_type_group_id is 'mine', and not 'ours'; give one of the two");
        assert_snapshot!(deployment.get("/versions").await, @"200 []");
    }

    async fn a_version_can_be_given_another_group(server) {
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({ "instance_type": "512mb" })).await;
        let mine = group(&project, "mine", json!([{ "name": "1024mb" }, { "name": "256mb" }])).await;
        let change = async |change: Value| shown(version.patch("", change).await.fine().json());
        assert_eq!(change(json!({ "instance_type_group_name": "mine" })).await, r#""1024mb" 1024 "mine""#);
        assert_eq!(change(json!({ "instance_type_group_name": null, "instance_type_group_id": null, "instance_type": null })).await, r#""1024mb" 1024 "mine""#);
        assert_eq!(change(json!({ "description": "new" })).await, r#""1024mb" 1024 "mine""#);
        assert_eq!(change(json!({ "instance_type": "1024mb" })).await, r#""1024mb" 1024 "1024 MB + 0.25 vCPU""#);
        assert_eq!(change(json!({ "instance_type_group_id": mine["id"] })).await, r#""1024mb" 1024 "mine""#);
        let audit = deployment.get("/audit").await.fine();
        assert_snapshot!(audit[0]["event"], @r#""Updated version v1 of deployment d: instance_type_group from '1024 MB + 0.25 vCPU' to 'mine'""#);
        // What the group becomes shows in the version.
        let path = format!("/instance-type-groups/{}", mine.str("id"));
        project.patch(&path, json!({ "name": "ours", "instance_types": [{ "name": "256mb" }] })).await.fine();
        assert_eq!(shown(version.get("").await.fine().json()), r#""256mb" 256 "ours""#);
        assert_eq!(shown(&deployment.get("/versions").await.fine()[0]), r#""256mb" 256 "ours""#);
    }

    async fn usage_names_the_versions_and_a_group_in_use_stays(server) {
        let project = server.project("demo").await;
        let mine = group(&project, "mine", json!([{ "name": "256mb" }])).await;
        let path = format!("/instance-type-groups/{}", mine.str("id"));
        let (d, e) = (project.deployment("d", "plain", "plain").await, project.deployment("e", "plain", "plain").await);
        d.version("v1", json!({ "instance_type_group_name": "mine" })).await;
        d.version("v2", json!({ "instance_type": "256mb" })).await;
        let last = e.version("v3", json!({ "instance_type_group_id": mine["id"] })).await;
        let used = async |path: &str| {
            let page = project.get(path).await.fine();
            let one = |it: &Value| format!("{} {} {}", it["deployment"], it["version"], it["instance_type_group_name"]);
            page["results"].as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(used(&format!("{path}/usage")).await, r#""d" "v1" "mine", "e" "v3" "mine""#);
        let page = project.get(&format!("{path}/usage?limit=1")).await.fine();
        assert_eq!((page["results"].as_array().unwrap().len(), page["results"][0]["instance_type_group_id"].clone()), (1, mine["id"].clone()));
        assert_eq!(used(&format!("{path}/usage?limit=1&cursor={}", page.str("next"))).await, r#""e" "v3" "mine""#);
        let listed = project.get("/instance-type-groups").await.fine();
        let of = |place: usize| format!("/instance-type-groups/{}/usage", listed["results"][place]["id"].as_str().unwrap());
        assert_eq!((used(&of(0)).await.as_str(), used(&of(1)).await.as_str()), (r#""d" "v2" "256 MB + 0.0625 vCPU""#, ""));

        assert_snapshot!(project.delete(&path).await, @r#"409 {"error":"instance type group 'mine' is in use by version v1 of deployment d, version v3 of deployment e"}"#);
        for name in ["v4", "v5", "v6", "v7"] {
            d.version(name, json!({ "instance_type_group_name": "mine" })).await;
        }
        assert!(project.delete(&path).await.error().ends_with(", version v6 of deployment d, 1 more"));
        last.patch("", json!({ "instance_type": "256mb" })).await.fine();
        project.delete("/deployments/d").await.fine();
        assert_eq!(project.delete(&path).await.to_string(), "204");
        // A project goes with its groups.
        e.version("v8", json!({ "instance_type_group_id": group(&project, "mine", json!([{ "name": "256mb" }])).await["id"] })).await;
        project.delete("").await.fine();
        assert_eq!(server.kept().await.rows("instance_type_groups"), 0);
    }
}
