//! Dynamic batching: single requests that wait at the same time share one call of `requests`.

use crate::kit::*;

/// A deployment whose only instance has one process and puts requests together as the labels say.
async fn batching(server: &TestServer, labels: Value, settings: Value, code: &str) -> At {
    let deployment = server.project("demo").await.deployment("d", "x:int", "y:int, together:int").await;
    let mut all = json!({ "labels": labels, "maximum_instances": 1 });
    all.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap());
    deployment.version("v1", all).await.code(code).await;
    deployment
}

/// Labels of a group of three that waits long enough for the slowest machine.
fn three() -> Value {
    json!({ "modelyard-batch-size": "3", "modelyard-batch-wait-ms": "1000" })
}

/// Asks three at the same time until they met in one call, which shows in their answers.
async fn asked_together(deployment: &At, third: &str, met: impl Fn(&[Reply; 3]) -> bool) -> [Reply; 3] {
    let mut answers = None;
    let third = format!("/requests{third}");
    until("three requests meet in one call", async || {
        let (a, b, c) = tokio::join!(
            deployment.ask(json!({ "x": 1 })),
            deployment.ask(json!({ "x": 2 })),
            deployment.post(&third, json!({ "x": 13 })),
        );
        let together = [a, b, c];
        let enough = met(&together);
        answers = Some(together);
        enough
    })
    .await;
    answers.unwrap()
}

const DOUBLES: &str = "
    class Deployment:
        def requests(self, data):
            return [{'y': item['x'] * 2, 'together': len(data)} for item in data]
";

/// Fails when 13 is among them, and remembers how many it was ever called with.
const FEARS_13: &str = "
    class Deployment:
        most = 0
        def requests(self, data):
            self.most = max(self.most, len(data))
            if any(item['x'] == 13 for item in data):
                raise ValueError('thirteen')
            return [{'y': item['x'], 'together': self.most} for item in data]
";

both! {
    async fn each_caller_gets_its_own_result_of_one_call(server) {
        let deployment = batching(&server, three(), json!({}), DOUBLES).await;
        let answers = asked_together(&deployment, "", |all| all[0]["result"]["together"] == 3).await;
        let outcomes = answers.each_ref().map(Reply::outcome);
        assert_snapshot!(
            outcomes.join(", "),
            @r#"completed {"y":2,"together":3}, completed {"y":4,"together":3}, completed {"y":26,"together":3}"#
        );
        for answer in &answers {
            let kept = deployment.get(&format!("/requests/{}", answer.str("id"))).await;
            assert_eq!(kept["result"], answer["result"]);
        }
        assert_snapshot!(deployment.ask(json!({ "x": 5 })).await.outcome(), @r#"completed {"y":10,"together":1}"#);
        assert_snapshot!(
            deployment.ask(json!([{ "x": 5 }, { "x": 6 }])).await.outcome(),
            @r#"completed [{"y":10,"together":2},{"y":12,"together":2}]"#
        );
    }

    async fn without_labels_or_without_the_method_requests_are_called_alone(server) {
        let deployment = batching(&server, json!({}), json!({}), DOUBLES).await;
        let (a, b) = tokio::join!(deployment.ask(json!({ "x": 1 })), deployment.ask(json!({ "x": 2 })));
        assert_eq!((&a["result"]["together"], &b["result"]["together"]), (&json!(1), &json!(1)));
        let version = deployment.at("/versions/v1");
        version.patch("", json!({ "labels": three() })).await.fine();
        asked_together(&deployment, "", |all| all[0]["result"]["together"] == 3).await;
        version.code("
            class Deployment:
                def request(self, data):
                    return {'y': data['x'], 'together': 0}
        ").await;
        until("the new code answers", async || deployment.ask(json!({ "x": 1 })).await["result"]["together"] == 0).await;
        version.patch("", json!({ "labels": {} })).await.fine();
        assert_snapshot!(deployment.ask(json!({ "x": 1 })).await.outcome(), @r#"completed {"y":1,"together":0}"#);
    }

    async fn one_bad_item_fails_alone(server) {
        let deployment = batching(&server, three(), json!({}), FEARS_13).await;
        let answers = asked_together(&deployment, "", |all| all[0]["result"]["together"] == 3).await;
        let outcomes = answers.each_ref().map(Reply::outcome);
        assert_snapshot!(
            outcomes.join(", "),
            @r#"completed {"y":1,"together":3}, completed {"y":2,"together":3}, failed: An exception occurred in the request. See the logs for details."#
        );
    }

    async fn an_item_that_does_not_fit_the_output_fails_alone(server) {
        let code = "
            class Deployment:
                most = 0
                def requests(self, data):
                    self.most = max(self.most, len(data))
                    return [{'y': 'many' if item['x'] == 13 else item['x'], 'together': self.most} for item in data]
        ";
        let deployment = batching(&server, three(), json!({}), code).await;
        let answers = asked_together(&deployment, "", |all| all[0]["result"]["together"] == 3).await;
        assert_snapshot!(answers[1].outcome(), @r#"completed {"y":2,"together":3}"#);
        assert_snapshot!(answers[2].outcome(), @"failed: The output field 'y' must be of type int, not str");
    }

    async fn a_wrong_number_of_results_is_a_failure_of_the_call(server) {
        let code = "
            class Deployment:
                def request(self, data):
                    return {'y': data['x'], 'together': 1}
                def requests(self, data):
                    return [{'y': 0, 'together': 0}]
        ";
        let deployment = batching(&server, three(), json!({}), code).await;
        let (a, b) = tokio::join!(deployment.ask(json!({ "x": 1 })), deployment.ask(json!({ "x": 2 })));
        assert_snapshot!(a.outcome(), @r#"completed {"y":1,"together":1}"#);
        assert_snapshot!(b.outcome(), @r#"completed {"y":2,"together":1}"#);
        let mut labels = three();
        labels["modelyard-batch-rerun"] = json!(false);
        deployment.at("/versions/v1").patch("", json!({ "labels": labels })).await.fine();
        let answers = asked_together(&deployment, "", |all| all.iter().all(|answer| answer["status"] == "failed")).await;
        assert_snapshot!(
            answers[0].outcome(),
            @"failed: The requests method was called with 3 requests at once and must return a list of 3 results, but returned a list of 1"
        );
    }

    async fn without_a_rerun_all_fail_with_the_call(server) {
        let mut labels = three();
        labels["modelyard-batch-rerun"] = json!("false");
        let deployment = batching(&server, labels, json!({}), FEARS_13).await;
        let answers = asked_together(&deployment, "", |all| all.iter().all(|answer| answer["status"] == "failed")).await;
        assert_snapshot!(answers[0].outcome(), @"failed: An exception occurred in the request. See the logs for details.");
        assert_snapshot!(deployment.ask(json!({ "x": 1 })).await.outcome(), @r#"completed {"y":1,"together":3}"#);
    }

    async fn a_member_whose_time_is_over_leaves_the_others_alone(server) {
        let code = "
            import time
            class Deployment:
                def requests(self, data):
                    if len(data) == 3:
                        time.sleep(12)
                    return [{'y': item['x'], 'together': len(data)} for item in data]
        ";
        let deployment = batching(&server, three(), json!({}), code).await;
        let timed_out = |all: &[Reply; 3]| all[2]["status"] == "failed";
        let answers = asked_together(&deployment, "?timeout=10", timed_out).await;
        let outcomes = answers.each_ref().map(Reply::outcome);
        assert_snapshot!(
            outcomes.join(", "),
            @r#"completed {"y":1,"together":3}, completed {"y":2,"together":3}, failed: Request timed out"#
        );
    }

    async fn a_process_that_ends_ends_all_members(server) {
        let code = "
            import os, signal
            class Deployment:
                def requests(self, data):
                    if len(data) == 3:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return [{'y': item['x'], 'together': len(data)} for item in data]
        ";
        let deployment = batching(&server, three(), json!({}), code).await;
        let answers = asked_together(&deployment, "", |all| all.iter().all(|answer| answer["status"] == "failed")).await;
        let told = answers[0].outcome();
        assert!(told.contains("signal 9") && answers.iter().all(|answer| answer.outcome() == told), "{told}");

        deployment.at("/versions/v1").patch("", json!({ "restart_request_interruption": true })).await.fine();
        let retried = async |answer: &Reply| {
            let kept = deployment.get(&format!("/requests/{}", answer.str("id"))).await;
            kept["retries"] == 1 && kept["result"]["together"] == 1
        };
        let mut all = false;
        until("three met, and ran again alone", async || {
            let answers = asked_together(&deployment, "", |_| true).await;
            all = true;
            for answer in &answers {
                all &= retried(answer).await;
            }
            all
        })
        .await;
    }

    async fn log_lines_of_a_call_stand_under_its_first_request(server) {
        let code = "
            class Deployment:
                def requests(self, data, context):
                    print(len(data), 'in', context['id'])
                    return [{'y': item['x'], 'together': len(data)} for item in data]
        ";
        let deployment = batching(&server, three(), json!({}), code).await;
        let answers = asked_together(&deployment, "", |all| all[0]["result"]["together"] == 3).await;
        let ids = answers.each_ref().map(|answer| answer.str("id"));
        let mut lines = Vec::new();
        until("the line is kept", async || {
            lines.clear();
            for id in &ids {
                let query = format!("| deployment_request_id=`{id}`");
                let found = server.at("/projects/demo").find("/logs", &[("query", &query)]).await.fine();
                lines.extend(found.json().as_array().unwrap().iter().map(|line| (id.clone(), line["log"].clone())));
            }
            lines.len() == 1
        })
        .await;
        let (id, line) = &lines[0];
        assert_eq!(*line, format!("3 in {id}"));
    }

    async fn labels_that_cannot_be_meant_are_refused(server) {
        let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
        let create = async |labels: Value| deployment.post("/versions", json!({ "version": "v1", "labels": labels })).await;
        assert_snapshot!(
            create(json!({ "modelyard-batch-size": "251" })).await,
            @r#"400 {"error":"Label 'modelyard-batch-size' must be a whole number between 2 and 250, and is '251'"}"#
        );
        assert_snapshot!(
            create(json!({ "modelyard-batch-wait-ms": 5 })).await,
            @r#"400 {"error":"Label 'modelyard-batch-wait-ms' needs the label 'modelyard-batch-size' beside it"}"#
        );
        create(json!({ "modelyard-batch-size": 16 })).await.fine();
        let update = async |labels: Value| deployment.at("/versions/v1").patch("", json!({ "labels": labels })).await;
        assert_snapshot!(
            update(json!({ "modelyard-batch-size": 16, "modelyard-batch-wait-ms": "1.5" })).await,
            @r#"400 {"error":"Label 'modelyard-batch-wait-ms' must be a whole number between 0 and 1000, and is '1.5'"}"#
        );
        assert_snapshot!(
            update(json!({ "modelyard-batch-size": 16, "modelyard-batch-rerun": "sometimes" })).await,
            @r#"400 {"error":"Label 'modelyard-batch-rerun' must be 'true' or 'false', and is 'sometimes'"}"#
        );
        let kept = update(json!({ "modelyard-batch-size": 16, "modelyard-batch-rerun": false })).await;
        assert_snapshot!(kept.only(&["labels"]), @r#"{"labels":{"modelyard-batch-rerun":"false","modelyard-batch-size":"16"}}"#);
    }
}
