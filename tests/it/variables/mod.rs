//! Environment variables: how they are kept, what instances see of them, and what nobody sees.

mod hidden;
mod instances;
mod levels;
mod refusals;

use crate::kit::*;

/// Answers with the environment variable of a name, or with a dash.
const TELL: &str = "
    import os

    class Deployment:
        def request(self, data):
            return os.environ.get(data, '-')
";

/// A project with a deployment `d` and its version `v1`.
struct Scene {
    project: At,
    deployment: At,
    version: At,
}

impl Scene {
    async fn set(server: &TestServer) -> Self {
        let project = server.project("demo").await;
        let deployment = project.deployment("d", "plain", "plain").await;
        let version = deployment.version("v1", json!({})).await;
        Self { project, deployment, version }
    }

    async fn telling(server: &TestServer) -> Self {
        let scene = Self::set(server).await;
        scene.version.code(TELL).await;
        scene
    }

    /// The three levels, the highest first.
    fn levels(&self) -> [&At; 3] {
        [&self.project, &self.deployment, &self.version]
    }

    /// What an instance has under a name.
    async fn told(&self, name: &str) -> String {
        self.version.ask(json!(name)).await.fine().str("result")
    }
}

/// Creates a variable.
async fn create(at: &At, name: &str, value: &str, secret: bool) -> Reply {
    at.post("/environment-variables", json!({ "name": name, "value": value, "secret": secret })).await
}
