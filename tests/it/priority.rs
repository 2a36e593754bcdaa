//! Direct before batch, then priority, then age: also when more waits than a server holds in memory.

use modelyard_store::requests;

use crate::batch::{collected, ids};
use crate::kit::*;

/// Answers with the number of the call; one call waits until it is called off.
const COUNTS: &str = "
    import time
    class Deployment:
        def __init__(self):
            self.calls = 0
        def request(self, data):
            while data == 'hold': time.sleep(0.05)
            self.calls += 1
            return str(self.calls)
";

both! {
    async fn urgent_requests_pass_hundreds_that_wait(server) {
        let deployment = server.project("demo").await.running("d", "plain", "plain", COUNTS).await;
        deployment.at("/versions/v1").patch("", json!({"maximum_instances": 1})).await.fine();
        let held = ids(&deployment.post("/requests/batch", json!(["hold"])).await);
        let status = format!("/requests/{}?metadata_only=true", held[0]);
        until("it runs", async || deployment.get(&status).await["status"] == "processing").await;
        let mut plain = Vec::new();
        for _ in 0..3 {
            plain.extend(ids(&deployment.post("/requests/batch", json!(vec!["x"; 250])).await));
        }
        let urgent = ids(&deployment.post("/requests/batch?priority=0", json!(["x", "x", "x"])).await);
        let store = server.store().await;
        let outside = async || requests::waiting(&store).await.unwrap();
        until("they are in memory", async || outside().await.iter().all(|(_, _, urgent)| *urgent == 0)).await;
        assert!(outside().await[0].1 > 200, "the others wait in their rows");
        store.close().await;
        deployment.post("/requests/cancel", json!(held)).await.fine();
        let found = collected(&deployment, &urgent).await;
        assert_snapshot!(found.each("result"), @r#"["1","2","3"]"#);
        let found = collected(&deployment, &plain[..3]).await;
        assert_snapshot!(found.each("result"), @r#"["4","5","6"]"#);
    }
}
