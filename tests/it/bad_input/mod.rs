//! What is refused at once: a sentence, nothing kept, and the same server answers the next request as ever.

mod bodies;
mod names;
mod raw;
mod requests;
mod zips;

use std::cell::RefCell;

use crate::kit::*;

/// A deployment that works, and a version without code beside it.
struct Scene {
    server: TestServer,
    deployment: At,
    empty: At,
    kept: RefCell<Kept>,
    processes: Vec<String>,
}

impl Scene {
    async fn set(server: TestServer) -> Self {
        let project = server.project("demo").await;
        let deployment = project.running("d", "x:int", "x:int", package::ECHO).await;
        deployment.ask(json!({ "x": 1 })).await.fine();
        let empty = deployment.version("empty", json!({})).await;
        // A look back waits until the request is written down.
        deployment.get("/requests").await.fine();
        let kept = RefCell::new(server.kept().await);
        let processes = server.processes();
        Self { server, deployment, empty, kept, processes }
    }

    /// Nothing is kept of what was refused, and the server answers.
    async fn is_undisturbed(&self, what: &str) {
        let kept = self.server.kept().await;
        assert_eq!(kept, *self.kept.borrow(), "{what} left something");
        let answer = self.deployment.ask(json!({ "x": 1 })).await;
        assert_eq!(answer.outcome(), r#"completed {"x":1}"#, "after {what}");
        until("no other process runs", async || self.server.processes() == self.processes).await;
        let path = format!("/requests/{}", answer.str("id"));
        self.deployment.get(&path).await.fine();
        let kept = self.server.kept().await;
        self.kept.replace(kept);
    }
}
