//! How the class is made and which of its methods is called with what.

use crate::kit::*;

/// The outcomes of a single payload and of a list, for a class with this body.
async fn matrix(server: &TestServer, name: &str, body: &str) -> String {
    let code = format!("class Deployment:\n{body}\n");
    let deployment = server.at("/projects/demo").running(name, "x:int", "y:int", &code).await;
    let one = deployment.ask(json!({ "x": 1 })).await.outcome();
    let many = deployment.ask(json!([{ "x": 1 }, { "x": 2 }])).await.outcome();
    format!("{one} | {many}")
}

both! {
    async fn payloads_and_lists_go_to_the_method_that_is_there(server) {
        server.project("demo").await;
        let request = "    def request(self, data):\n        return {'y': data['x'] * 10}";
        let requests = "    def requests(self, data):\n        return [{'y': one['x'] * 100} for one in data]";
        let one_answer = "    def requests(self, data):\n        return {'y': len(data)}";
        assert_snapshot!(matrix(&server, "request", request).await, @r#"completed {"y":10} | completed [{"y":10},{"y":20}]"#);
        assert_snapshot!(matrix(&server, "requests", requests).await, @r#"completed {"y":100} | completed [{"y":100},{"y":200}]"#);
        assert_snapshot!(matrix(&server, "both", &format!("{request}\n{requests}")).await, @r#"completed {"y":10} | completed [{"y":100},{"y":200}]"#);
        assert_snapshot!(matrix(&server, "many-to-one", one_answer).await, @r#"completed {"y":1} | completed {"y":2}"#);
        let awaited = "    async def request(self, data):\n        return {'y': 7}";
        assert_snapshot!(matrix(&server, "awaited", awaited).await, @r#"completed {"y":7} | completed [{"y":7},{"y":7}]"#);
    }

    async fn the_constructor_gets_what_its_signature_names(server) {
        let project = server.project("demo").await;
        let made = async |name: &str, signature: &str, keep: &str| {
            let code = format!(
                "class Deployment:\n    def __init__({signature}):\n        self.kept = {keep}\n    def request(self, data):\n        return self.kept\n"
            );
            project.running(name, "plain", "plain", &code).await.ask(json!("x")).await
        };
        assert_snapshot!(made("none", "self", "'nothing'").await.outcome(), @r#"completed "nothing""#);
        assert_snapshot!(made("folder", "self, base_directory", "type(base_directory).__name__").await.outcome(), @r#"completed "str""#);
        assert_snapshot!(made("all", "self, **others", "sorted(others)").await.outcome(), @r#"completed ["base_directory","context"]"#);
        let context = made("context", "self, context", "context").await;
        let mut context = context["result"].clone();
        for id in ["project_id", "deployment_id", "version_id"] {
            assert!(context[id].take().is_string());
        }
        context["environment_variables"].take();
        assert_snapshot!(context, @r#"{"project":"demo","project_id":null,"deployment":"context","deployment_id":null,"version":"v1","version_id":null,"input_type":"plain","output_type":"plain","input_fields":[],"output_fields":[],"language":"python","environment_variables":null,"process_id":0}"#);
    }

    async fn requests_get_their_context_when_they_ask_for_it(server) {
        let project = server.project("demo").await;
        let code = "
            class Deployment:
                def request(self, data, context):
                    context['streaming_update']('nobody listens')
                    return {key: value for key, value in context.items() if not callable(value)}
        ";
        let deployment = project.running("d", "plain", "plain", code).await;
        let answer = deployment.ask(json!("x")).await;
        let mut context = answer["result"].clone();
        assert_eq!(context["id"].take(), answer["id"]);
        assert!(context["user_id"].take().is_string());
        assert_snapshot!(context, @r#"{"id":null,"request_mode":"express","user_id":null,"pipeline_id":null,"pipeline_version_id":null,"pipeline_object_id":null,"pipeline_request_id":null}"#);
    }

    async fn the_folder_of_the_package_is_where_code_runs(server) {
        let project = server.project("demo").await;
        let code = "
            import os
            import side
            from shelf import deep

            class Deployment:
                def __init__(self, base_directory):
                    assert os.path.samefile(base_directory, os.getcwd())
                def request(self, data):
                    return [side.WHERE, deep.WHERE, open('notes.txt').read()]
        ";
        let zip = package::packed(&[
            ("deployment.py", code),
            ("side.py", "WHERE = 'beside'"),
            ("libraries/shelf/__init__.py", ""),
            ("libraries/shelf/deep.py", "WHERE = 'in libraries'"),
            ("notes.txt", "read"),
        ]);
        let deployment = project.deployment("d", "plain", "plain").await;
        deployment.version("v1", json!({})).await.package(zip).await;
        assert_snapshot!(deployment.ask(json!("x")).await.outcome(), @r#"completed ["beside","in libraries","read\n"]"#);
    }

    async fn stop_is_called_when_an_instance_ends(server) {
        let project = server.project("demo").await;
        let code = "
            class Deployment:
                def request(self, data):
                    return data
                def stop(self):
                    print('goodbye')
        ";
        let deployment = project.running("d", "plain", "plain", code).await;
        deployment.ask(json!("x")).await.fine();
        deployment.at("/versions/v1").patch("", json!({ "maximum_instances": 0 })).await.fine();
        until("it said goodbye", async || project.find("/logs", &[("query", "|= `goodbye`")]).await.len() == 1).await;
    }
}
