//! Environments: those that are there, those that requirements make, and those that users make.

mod bad_input;
mod base;
mod builds;
mod changes;
mod checks;
mod custom;
mod files;
mod system;
mod variables;

use reqwest::Method;
use reqwest::multipart::{Form, Part};

use crate::kit::web::Web;
use crate::kit::*;

/// Tells the version of `six` it runs with.
const SIX: &str = "
    import six

    class Deployment:
        def request(self, data):
            return six.__version__
";

/// The newest Python on offer.
async fn python(project: &At) -> String {
    let listed = project.get("/environments?environment_type=base").await.fine();
    let names = (0..listed.len()).map(|at| listed[at]["name"].as_str().unwrap().to_owned());
    names.max_by_key(|name| name.rsplit('-').next().unwrap().parse::<u32>().unwrap()).unwrap()
}

/// Creates an environment on top of the newest Python.
async fn environment(project: &At, name: &str) -> At {
    let base = python(project).await;
    project.post("/environments", json!({ "name": name, "base_environment": base })).await.fine();
    project.at(&format!("/environments/{name}"))
}

/// Uploads a file to an environment.
async fn upload(environment: &At, name: &str, bytes: impl Into<Vec<u8>>) -> Reply {
    let part = Part::bytes(bytes.into()).file_name(name.to_owned());
    send(environment, Form::new().part("file", part)).await
}

/// Posts a form to an environment.
async fn send(environment: &At, form: Form) -> Reply {
    environment.send(environment.request(Method::POST, "/revisions").multipart(form)).await
}

/// Uploads requirements and waits until they are built or failed; gives the build.
async fn built(environment: &At, requirements: &str) -> Reply {
    let uploaded = upload(environment, "requirements.txt", requirements).await.fine();
    ended(environment, &uploaded).await
}

/// The build that an upload queued, once it has ended.
async fn ended(environment: &At, uploaded: &Reply) -> Reply {
    let build = environment.at(&format!("/revisions/{}/builds/{}", uploaded.str("revision"), uploaded.str("build")));
    until("the build ends", async || {
        let status = build.get("").await.fine().str("status");
        status != "queued" && status != "building"
    })
    .await;
    build.get("").await
}

/// An environment with this version of `six`.
async fn with_six(project: &At, name: &str, version: &str) -> At {
    let environment = environment(project, name).await;
    let build = built(&environment, &format!("six=={version}\n")).await;
    assert_eq!(build["status"], "success", "{build}");
    environment
}

/// A version `v1` that runs in an environment and tells its version of `six`.
async fn telling_six(project: &At, deployment: &str, environment: &str) -> At {
    let deployment = project.deployment(deployment, "plain", "plain").await;
    let version = deployment.version("v1", json!({ "environment": environment })).await;
    version.code(SIX).await;
    version
}

/// A source package that keeps what this expression is where it is built, and a requirement of it.
async fn source_package(seen: &str) -> (Web, String) {
    let backend = "
        import os, zipfile

        def build_wheel(folder, config_settings=None, metadata_directory=None):
            name = 'probe-1.0-py3-none-any.whl'
            with zipfile.ZipFile(os.path.join(folder, name), 'w') as wheel:
                wheel.writestr('probe.py', 'seen = ' + repr(SEEN))
                wheel.writestr('probe-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: probe\\nVersion: 1.0\\n')
                wheel.writestr('probe-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
                wheel.writestr('probe-1.0.dist-info/RECORD', 'probe.py,,\\n')
            return name
    "
    .replace("SEEN", seen);
    let project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n[project]\nname = 'probe'\nversion = '1.0'\n";
    let zip = package::packed(&[("pyproject.toml", project), ("backend.py", &backend)]);
    let web = Web::serve(vec![("/probe-1.0.zip".to_owned(), zip)]).await;
    let requirement = format!("probe @ {}/probe-1.0.zip\n", web.address);
    (web, requirement)
}
