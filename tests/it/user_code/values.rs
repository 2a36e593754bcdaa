//! What goes in and what may come out.

use crate::kit::*;

both! {
    async fn plain_input_arrives_as_text(server) {
        let code = "class Deployment:\n    def request(self, data):\n        return [type(data).__name__, data]\n";
        let deployment = server.project("demo").await.running("d", "plain", "plain", code).await;
        let text = async |kind: &str, body: &'static str| deployment.post_raw("/requests", kind, body).await.outcome();
        assert_snapshot!(text("text/plain", "as it is").await, @r#"completed ["str","as it is"]"#);
        assert_snapshot!(text("text/plain", "").await, @r#"completed ["str",""]"#);
        assert_snapshot!(text("application/json", "\"unwrapped\"").await, @r#"completed ["str","unwrapped"]"#);
        assert_snapshot!(text("application/json", "{\"as\": \"text\"}").await, @r#"completed ["str","{\"as\": \"text\"}"]"#);
        assert_snapshot!(text("application/json", "[\"a\", \"b\"]").await, @r#"completed [["str","a"],["str","b"]]"#);
        assert_snapshot!(deployment.ask(json!([1])).await, @r#"400 {"error":"A list for plain input must hold strings only"}"#);
    }

    async fn plain_output_may_be_any_json(server) {
        let code = "class Deployment:\n    def request(self, data):\n        return eval(data)\n";
        let deployment = server.project("demo").await.running("d", "plain", "plain", code).await;
        for (made, wanted) in [
            ("'text'", json!("text")),
            ("{'a': [1, 2.5, None, True]}", json!({ "a": [1, 2.5, null, true] })),
            ("None", Value::Null),
            ("'\\u00e4\\ud83d\\ude00'.encode('utf-16', 'surrogatepass').decode('utf-16')", json!("ä😀")),
            ("10 ** 30", serde_json::from_str("1000000000000000000000000000000").unwrap()),
        ] {
            let answer = deployment.ask(json!(made)).await;
            assert_eq!((&answer["status"], &answer["result"]), (&json!("completed"), &wanted), "{made}: {answer}");
        }
    }

    async fn each_type_of_field_takes_what_fits_it(server) {
        let fields = "i:int, s:string, d:double, b:bool, o:dict, ai:array_int, ad:array_double, as:array_string";
        let code = "class Deployment:\n    def request(self, data):\n        return data\n";
        let deployment = server.project("demo").await.running("d", fields, fields, code).await;
        let good = json!({ "i": 1, "s": "x", "d": 2, "b": true, "o": {}, "ai": [1], "ad": [1.5, 2], "as": ["a"] });
        let answer = deployment.ask(good.clone()).await;
        assert_snapshot!(answer.outcome(), @r#"completed {"i":1,"s":"x","d":2,"b":true,"o":{},"ai":[1],"ad":[1.5,2],"as":["a"]}"#);
        let nothing: Value = good.as_object().unwrap().keys().map(|key| (key.clone(), Value::Null)).collect();
        assert_eq!(deployment.ask(nothing.clone()).await["result"], nothing);
        for (field, bad) in [
            ("i", json!(1.5)), ("i", json!(true)), ("i", json!("1")), ("s", json!(1)), ("d", json!("2")), ("b", json!(1)),
            ("o", json!([])), ("ai", json!([1.5])), ("ai", json!(1)), ("ad", json!(["a"])), ("as", json!([1])),
        ] {
            let mut body = good.clone();
            body[field] = bad;
            let refused = deployment.ask(body).await;
            assert_eq!(refused.status, 400, "{refused}");
            assert!(refused.error().starts_with(&format!("The input field '{field}' must be of type")), "{refused}");
        }
    }

    async fn results_have_to_fit_their_fields(server) {
        let code = "class Deployment:\n    def request(self, data):\n        return eval(data)\n";
        let deployment = server.project("demo").await.running("d", "plain", "y:int, z:double", code).await;
        let made = async |text: &str| deployment.ask(json!(text)).await.outcome();
        assert_snapshot!(made("{'y': 1, 'z': 2}").await, @r#"completed {"y":1,"z":2}"#);
        assert_snapshot!(made("{'y': None, 'z': 2}").await, @r#"completed {"y":null,"z":2}"#);
        assert_snapshot!(made("{'y': 1, 'z': 2, 'more': 3}").await, @r#"completed {"y":1,"z":2}"#);
        assert_snapshot!(made("{'y': 1}").await, @"failed: The output field 'z' is missing in what the request returned");
        assert_snapshot!(made("{'y': 'one', 'z': 2}").await, @"failed: The output field 'y' must be of type int, not str");
        assert_snapshot!(made("{'y': 1, 'z': float('nan')}").await, @"failed: The output field 'z' holds NaN, which JSON cannot express");
        assert_snapshot!(made("'text'").await, @"failed: The request must return a dictionary with the output fields, but returned str");
        assert_snapshot!(made("None").await, @"failed: The request must return a dictionary with the output fields, but returned null");
        assert_snapshot!(made("{'y': 1, 'z': object()}").await, @"failed: The output field 'z' must be of type double, not object");
        assert_snapshot!(made("{'y': [1], 'z': 1}").await, @"failed: The output field 'y' must be of type int, not list");
    }
}

#[test]
fn values_of_numpy_are_taken_where_they_fit() {
    run(Database::Sqlite, async |server| {
        let code = "
            import numpy as np

            class Deployment:
                def request(self, data):
                    return {
                        'i': np.int64(7), 'd': np.float32(1.5), 'b': np.bool_(True), 's': np.str_('text'),
                        'ai': np.arange(3), 'ad': np.array([0.5, 1.0]), 'o': {'deep': np.array([[1, 2], [3, 4]])},
                    }
        ";
        let deployment = server
            .project("demo")
            .await
            .deployment("d", "plain", "i:int, d:double, b:bool, s:string, ai:array_int, ad:array_double, o:dict")
            .await;
        let version = deployment.version("v1", json!({})).await;
        version.package(package::packed(&[("deployment.py", code), ("requirements.txt", "numpy")])).await;
        assert_snapshot!(
            deployment.ask(json!("x")).await.outcome(),
            @r#"completed {"i":7,"d":1.5,"b":true,"s":"text","ai":[0,1,2],"ad":[0.5,1.0],"o":{"deep":[[1,2],[3,4]]}}"#
        );
    });
}
