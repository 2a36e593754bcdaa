//! Fields of requests that are files: what code gets to read, and what becomes of what it writes.

use crate::kit::*;

/// Reads a file and writes two: one by its path, one to a place of its choice.
const TWO: &str = r#"
    import os, pathlib
    class Deployment:
        def request(self, data):
            text = open(data["photo"]).read()
            with open("upper.txt", "w") as out:
                out.write(text.upper())
            pathlib.Path("/tmp/twice.txt").write_text(text * 2)
            return {
                "name": os.path.basename(data["photo"]),
                "upper": "upper.txt",
                "twice": {"file": "/tmp/twice.txt", "bucket": "results", "bucket_file": "deep/twice.txt"},
            }
"#;

async fn two(project: &At) -> At {
    project.post("/buckets", json!({ "name": "results" })).await.fine();
    project.running("d", "photo:file", "name:string,upper:file,twice:file", TWO).await
}

/// The content of a file by its address.
async fn content(project: &At, uri: &Value) -> String {
    let uri = uri.as_str().unwrap_or_else(|| panic!("no address: {uri}"));
    let (bucket, file) = uri.strip_prefix("ubiops-file://").unwrap().split_once('/').unwrap();
    let bucket = project.at(&format!("/buckets/{bucket}"));
    bucket.fetch(&bucket.download_url(file).await).await.fine().text()
}

both! {
    async fn code_reads_a_file_and_writes_two(server) {
        let project = server.project("demo").await;
        let deployment = two(&project).await;
        project.at("/buckets/default").store("in/ü 1.txt", "hello").await;
        let answer = deployment.ask(json!({ "photo": "ubiops-file://default/in/ü 1.txt" })).await;
        assert_eq!(answer["status"], "completed", "{answer}");
        let result = &answer["result"];
        assert_eq!(result["name"], "ü 1.txt");
        let id = answer.str("id");
        assert_eq!(result["upper"], format!("ubiops-file://default/deployment_requests/{id}/output/upper.txt"));
        assert_eq!(result["twice"], "ubiops-file://results/deep/twice.txt");
        assert_eq!(content(&project, &result["upper"]).await, "HELLO");
        assert_eq!(content(&project, &result["twice"]).await, "hellohello");
        let kept = deployment.get(&format!("/requests/{id}")).await.fine();
        assert_eq!((&kept["result"], &kept["request_data"]["photo"]), (result, &json!("ubiops-file://default/in/ü 1.txt")));
    }

    async fn batch_requests_have_files_too(server) {
        let project = server.project("demo").await;
        let deployment = two(&project).await;
        let bucket = project.at("/buckets/default");
        let mut payloads = Vec::new();
        for number in 0..5 {
            bucket.store(&format!("{number}.txt"), format!("n{number}")).await;
            payloads.push(json!({ "photo": format!("ubiops-file://default/{number}.txt") }));
        }
        payloads.push(json!({ "photo": "ubiops-file://default/missing.txt" }));
        let made = deployment.post("/requests/batch", json!(payloads)).await.fine();
        for (number, request) in made.json().as_array().unwrap().iter().enumerate() {
            let path = format!("/requests/{}", request["id"].as_str().unwrap());
            until("it has ended", async || !matches!(deployment.get(&path).await.str("status").as_str(), "pending" | "processing")).await;
            let ended = deployment.get(&path).await.fine();
            if number == 5 {
                assert_snapshot!(ended.outcome(), @"failed: The file ubiops-file://default/missing.txt of the input field 'photo' was not found");
            } else {
                assert_eq!(content(&project, &ended["result"]["upper"]).await, format!("N{number}"));
            }
        }
        assert_snapshot!(deployment.post("/requests/batch", json!([{ "photo": "ubiops-file://nowhere/x" }])).await, @r#"400 {"error":"The file ubiops-file://nowhere/x of the input field 'photo' was not found: there is no bucket 'nowhere'"}"#);
    }

    async fn files_that_are_not_there_are_refused_before_code_runs(server) {
        let project = server.project("demo").await;
        let deployment = two(&project).await;
        let told = async |value: Value| deployment.ask(json!({ "photo": value })).await.to_string();
        assert_snapshot!(told(json!("ubiops-file://default/x.txt")).await, @r#"400 {"error":"The file ubiops-file://default/x.txt of the input field 'photo' was not found"}"#);
        assert_snapshot!(told(json!("ubiops-file://other/x.txt")).await, @r#"400 {"error":"The file ubiops-file://other/x.txt of the input field 'photo' was not found: there is no bucket 'other'"}"#);
        assert_snapshot!(told(json!("/etc/passwd")).await, @r#"400 {"error":"The input field 'photo': '/etc/passwd' is not the address of a file: it must be ubiops-file://<bucket>/<file>"}"#);
        assert_snapshot!(told(json!("ubiops-file://default/../../key")).await, @r#"400 {"error":"The input field 'photo': The file name is not valid: '.' and '..' cannot be parts of it"}"#);
        assert_eq!(deployment.get("/requests").await.fine().len(), 0);
    }

    async fn files_that_do_not_fit_an_instance_are_not_brought(server) {
        let project = server.project("demo").await;
        let code = "class Deployment:\n    def request(self, data):\n        return {'n': len(data['many'])}\n";
        let deployment = project.running("d", "many:array_file", "n:int", code).await;
        let bucket = project.at("/buckets/default");
        for name in ["small", "half", "huge"] {
            bucket.store(name, "x").await;
        }
        let told = async |names: &[&str]| {
            let many: Vec<_> = names.iter().map(|name| format!("ubiops-file://default/{name}")).collect();
            deployment.ask(json!({ "many": many })).await.outcome()
        };
        assert_snapshot!(told(&["small", "half", "half"]).await, @r#"completed {"n":3}"#);
        // An instance of the usual type has 8 GiB.
        server.change("UPDATE files SET size = 21474836480 WHERE name = 'huge'").await;
        assert_snapshot!(told(&["small", "huge"]).await, @"failed: The files of the request do not fit the 8192 MiB of disk that an instance of this type has");
        server.change("UPDATE files SET size = 5368709120 WHERE name = 'half'").await;
        assert_snapshot!(told(&["half", "small", "half"]).await, @"failed: The files of the request do not fit the 8192 MiB of disk that an instance of this type has");
        assert_snapshot!(told(&["small"]).await, @r#"completed {"n":1}"#);
        let many = json!({ "many": vec!["ubiops-file://default/small"; 1001] });
        assert_snapshot!(deployment.ask(many).await, @r#"400 {"error":"A request has at most 1000 files, and this has 1001"}"#);
    }

    async fn a_process_that_dies_with_files_under_way_fails_its_request_alone(server) {
        let project = server.project("demo").await;
        let code = r#"
            import os
            class Deployment:
                def request(self, data):
                    text = open(data["photo"]).read()
                    if text == "die":
                        os._exit(3)
                    open("out.txt", "w").write(text)
                    return {"out": "out.txt"}
        "#;
        let deployment = project.running("d", "photo:file", "out:file", code).await;
        let bucket = project.at("/buckets/default");
        for name in ["die", "live"] {
            bucket.store(name, name).await;
        }
        let photo = |name: &str| json!({ "photo": format!("ubiops-file://default/{name}") });
        for _ in 0..3 {
            let (died, lived) = tokio::join!(deployment.ask(photo("die")), deployment.ask(photo("live")));
            assert!(died.outcome().starts_with("failed: "), "{died}");
            // It waited for another process, and may not have run in the one that died.
            assert_eq!(lived["status"], "completed", "{lived}");
            assert_eq!(content(&project, &lived["result"]["out"]).await, "live");
        }
        until("nothing is left of their uploads", async || server.objects("staging").is_empty()).await;
    }

    async fn lists_of_files_go_both_ways_and_names_that_clash_are_told_apart(server) {
        let project = server.project("demo").await;
        let code = r#"
            import os
            class Deployment:
                def request(self, data):
                    made = []
                    for number, path in enumerate(data["many"]):
                        os.makedirs(f"out{number}", exist_ok=True)
                        with open(f"out{number}/r.txt", "w") as out:
                            out.write(open(path).read() + str(number))
                        made.append(f"out{number}/r.txt")
                    return {"made": made, "one": "out0/r.txt", "none": None, "same": "ubiops-file://default/a"}
        "#;
        let deployment = project.running("d", "many:array_file", "made:array_file,one:file,none:file,same:file", code).await;
        let bucket = project.at("/buckets/default");
        bucket.store("a", "A").await;
        bucket.store("b/a", "B").await;
        let many = json!(["ubiops-file://default/a", "ubiops-file://default/b/a", "ubiops-file://default/a"]);
        let answer = deployment.ask(json!({ "many": many })).await;
        assert_eq!(answer["status"], "completed", "{answer}");
        let result = &answer["result"];
        let folder = format!("ubiops-file://default/deployment_requests/{}/output", answer.str("id"));
        assert_eq!(result["made"], json!([format!("{folder}/made/0-0/r.txt"), format!("{folder}/made/0-1/r.txt"), format!("{folder}/made/0-2/r.txt")]));
        assert_eq!((&result["one"], &result["none"], &result["same"]), (&json!(format!("{folder}/one/r.txt")), &Value::Null, &json!("ubiops-file://default/a")));
        for (at, text) in ["A0", "B1", "A2"].into_iter().enumerate() {
            assert_eq!(content(&project, &result["made"][at]).await, text);
        }
        assert_eq!(deployment.ask(json!({ "many": [] })).await["result"]["made"], json!([]));
    }

    async fn what_is_no_file_fails_the_request(server) {
        let project = server.project("demo").await;
        let code = "class Deployment:\n    def request(self, data):\n        return {'out': eval(data['code'])}\n";
        let deployment = project.running("d", "code:string", "out:file", code).await;
        let told = async |code: &str| deployment.ask(json!({ "code": code })).await.outcome();
        assert_snapshot!(told("'ubiops-file://default/missing'").await, @"failed: The output field 'out': there is no file ubiops-file://default/missing");
        assert_snapshot!(told("'ubiops-file://nowhere/x'").await, @"failed: The output field 'out': there is no bucket 'nowhere'");
        assert_snapshot!(told("{'file': __file__, 'bucket': 'nowhere'}").await, @"failed: The output field 'out': there is no bucket 'nowhere'");
        assert_snapshot!(told("{'file': __file__, 'bucket_file': '../x'}").await, @"failed: The output field 'out': The file name is not valid: '.' and '..' cannot be parts of it");
        for bad in ["'/etc/shadow'", "'/nowhere'", "'/'", "'/dev/null'", "'/proc/self/mem'", "5"] {
            let told = told(bad).await;
            assert!(told.starts_with("failed: ") && told.contains("out"), "{bad}: {told}");
        }
        let token = server.data().join("admin-token");
        let link = told(&format!("__import__('os').symlink({token:?}, 'link') or 'link'")).await;
        assert!(link.starts_with("failed: The output field 'out' names the file 'link', which cannot be read: "), "{link}");
        assert_snapshot!(told("__import__('os').mkfifo('pipe') or 'pipe'").await, @"failed: The output field 'out' names 'pipe', which is no ordinary file");
        assert_eq!(project.get("/buckets/default/files").await.fine()["files"], json!([]));
        assert!(told("__file__").await.starts_with("completed"));
    }

    async fn an_answer_is_not_mixed_with_the_next_one(server) {
        let project = server.project("demo").await;
        let code = r#"
            class Deployment:
                def request(self, data):
                    with open("out.bin", "wb") as out:
                        out.write(bytes([data["x"]]) * 3_000_000)
                    return {"out": "out.bin"}
        "#;
        let deployment = project.running("d", "x:int", "out:file", code).await;
        let asked = (0..6).map(|x| {
            let deployment = deployment.clone();
            async move { deployment.ask(json!({ "x": x })).await }
        });
        for (x, answer) in futures_util::future::join_all(asked).await.into_iter().enumerate() {
            let text = content(&project, &answer["result"]["out"]).await;
            assert!(text.len() == 3_000_000 && text.bytes().all(|byte| usize::from(byte) == x), "{x}: {answer}");
        }
    }

    async fn requests_that_run_together_have_their_own_files(server) {
        let project = server.project("demo").await;
        let code = r#"
            class Deployment:
                def requests(self, data):
                    made = []
                    for number, one in enumerate(data):
                        with open(f"{number}.txt", "w") as out:
                            out.write(open(one["photo"]).read() + f" of {len(data)}")
                        made.append({"out": f"{number}.txt"})
                    return made
        "#;
        let deployment = project.deployment("d", "photo:file", "out:file").await;
        let version = deployment.version("v1", json!({ "labels": { "modelyard-batch-size": "4", "modelyard-batch-wait-ms": "1000" } })).await;
        version.code(code).await;
        let bucket = project.at("/buckets/default");
        for number in 0..4 {
            bucket.store(&format!("{number}"), format!("n{number}")).await;
        }
        let asked = (0..4).map(|number| {
            let deployment = deployment.clone();
            async move { deployment.ask(json!({ "photo": format!("ubiops-file://default/{number}") })).await }
        });
        for (number, answer) in futures_util::future::join_all(asked).await.into_iter().enumerate() {
            let uri = answer["result"]["out"].as_str().unwrap_or_else(|| panic!("{answer}"));
            assert!(uri.contains(&answer.str("id")), "{uri}");
            assert!(content(&project, &answer["result"]["out"]).await.starts_with(&format!("n{number} of ")));
        }
    }

    async fn a_request_is_cancelled_like_others(server) {
        let project = server.project("demo").await;
        let code = "import time\nclass Deployment:\n    def request(self, data):\n        time.sleep(600)\n";
        let deployment = project.running("d", "photo:file", "out:file", code).await;
        project.at("/buckets/default").store("x", "x").await;
        let made = deployment.post("/requests/batch", json!([{ "photo": "ubiops-file://default/x" }])).await.fine();
        let path = format!("/requests/{}", made[0]["id"].as_str().unwrap());
        until("it runs", async || deployment.get(&path).await.str("status") == "processing").await;
        deployment.patch(&path, json!({ "status": "cancelled" })).await.fine();
        until("it is cancelled", async || deployment.get(&path).await.str("status") == "cancelled").await;
    }

    async fn blobs_are_brought_and_made_by_their_ids(server) {
        let project = server.project("demo").await;
        let code = r#"
            import os
            class Deployment:
                def request(self, data):
                    with open("made.txt", "w") as out:
                        out.write(open(data["blob"]).read().upper())
                    return {"name": os.path.basename(data["blob"]), "made": "made.txt"}
        "#;
        let deployment = project.running("d", "blob:blob", "name:string,made:blob", code).await;
        let part = reqwest::multipart::Part::bytes(b"hello".to_vec()).file_name("in 1.txt");
        let form = reqwest::multipart::Form::new().part("file", part);
        let blob = project.send(project.request(reqwest::Method::POST, "/blobs").multipart(form)).await.fine().str("id");
        let answer = deployment.ask(json!({ "blob": blob })).await;
        assert_eq!((&answer["status"], &answer["result"]["name"]), (&json!("completed"), &json!("in 1.txt")), "{answer}");
        let made = answer["result"]["made"].as_str().unwrap();
        assert_eq!(project.get(&format!("/blobs/{made}")).await.fine().text(), "HELLO");
        let listed = project.get("/blobs").await.fine();
        assert_eq!((listed.each("filename"), listed.each("created_by")), (r#"["made.txt","in 1.txt"]"#.into(), r#"["d","admin@modelyard.local"]"#.into()));

        let told = async |value: &str| deployment.ask(json!({ "blob": value })).await.to_string();
        assert_snapshot!(told("x").await, @r#"400 {"error":"The input field 'blob': 'x' is not the id of a blob"}"#);
        assert_snapshot!(told("0198a000-0000-7000-8000-000000000000").await, @r#"400 {"error":"The blob 0198a000-0000-7000-8000-000000000000 of the input field 'blob' was not found"}"#);
    }
}
