//! Set-up in one line: projects, deployments, versions, and code that runs.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::package::packed;
use super::{At, Reply, until};

/// `x:int, y:string` as fields; `plain` has none.
fn fields(text: &str) -> Option<Value> {
    let field = |pair: &str| {
        let (name, data_type) = pair.trim().split_once(':').unwrap();
        json!({ "name": name, "data_type": data_type })
    };
    (text != "plain").then(|| text.split(',').map(field).collect())
}

impl At {
    /// Creates a project in the organization `default`.
    pub async fn project(&self, name: &str) -> At {
        self.post("/projects", json!({ "name": name, "organization_name": "default" })).await.fine();
        self.at(&format!("/projects/{name}"))
    }

    /// Creates a deployment; fields are written `x:int, y:string`, or `plain`.
    pub async fn deployment(&self, name: &str, input: &str, output: &str) -> At {
        let kind = |text: &str| if text == "plain" { "plain" } else { "structured" };
        let mut body = json!({ "name": name, "input_type": kind(input), "output_type": kind(output) });
        for (key, text) in [("input_fields", input), ("output_fields", output)] {
            if let Some(fields) = fields(text) {
                body[key] = fields;
            }
        }
        self.post("/deployments", body).await.fine();
        self.at(&format!("/deployments/{name}"))
    }

    /// Creates a version of a deployment.
    pub async fn version(&self, name: &str, settings: Value) -> At {
        let mut body = json!({ "version": name });
        body.as_object_mut().unwrap().extend(settings.as_object().cloned().unwrap_or_default());
        self.post("/versions", body).await.fine();
        self.at(&format!("/versions/{name}"))
    }

    /// Uploads a package to a version.
    pub async fn upload(&self, zip: Vec<u8>) -> Reply {
        self.try_upload(zip).await.expect("the server answers")
    }

    /// Uploads a package to a server that may go away.
    pub async fn try_upload(&self, zip: Vec<u8>) -> Option<Reply> {
        let part = Part::bytes(zip).file_name("package.zip");
        Self::try_send(self.request(Method::POST, "/revisions").multipart(Form::new().part("file", part))).await
    }

    /// A revision of this version, once it works or failed.
    pub async fn built(&self, revision: &str) -> Reply {
        let path = format!("/revisions/{revision}");
        until("the revision is built", async || {
            let status = self.get(&path).await.fine().str("status");
            status == "success" || status == "failed"
        })
        .await;
        self.get(&path).await
    }

    /// Uploads a package and waits until it works.
    pub async fn package(&self, zip: Vec<u8>) -> String {
        let revision = self.upload(zip).await.fine().str("revision");
        let built = self.built(&revision).await;
        assert_eq!(built["status"], "success", "{built}");
        revision
    }

    /// Uploads a `deployment.py` and waits until it works.
    pub async fn code(&self, code: &str) -> String {
        self.package(packed(&[("deployment.py", code)])).await
    }

    /// Creates a deployment with a version `v1` that runs this code.
    pub async fn running(&self, name: &str, input: &str, output: &str, code: &str) -> At {
        let deployment = self.deployment(name, input, output).await;
        deployment.version("v1", json!({})).await.code(code).await;
        deployment
    }

    /// A direct request to a deployment or a version.
    pub async fn ask(&self, data: Value) -> Reply {
        self.post("/requests", data).await
    }
}
