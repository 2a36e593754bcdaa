//! Deploying a package and asking it, over the public interface.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::http::Request;
use super::super::load::Aim;
use super::super::python::Package;
use super::super::work::Work;
use super::super::{Result, interrupt};
use super::archive;
use super::server::Server;

const DEPLOYMENTS: &str = "/v2.1/projects/default/deployments";
const JSON: &str = "application/json";

/// How long an environment may take to be built.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// How many instances a version keeps without requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// None; an idle one is stopped after the shortest time the contract allows.
    None,
    /// One, and never more: the floor has one Python loop, too.
    One,
}

/// A deployment that can be asked.
#[derive(Debug)]
pub struct Deployed {
    work: Work,
    path: String,
}

impl Server {
    /// Deploys `package` with full retention, waits until it is available and checks one answer.
    pub fn deploy(&self, package: &Package, instances: Instances) -> Result<Deployed> {
        self.deploy_as(&format!("bench-{}", package.work.name()), package, instances, json!({}))
    }

    /// The same under a name, with labels on its version.
    pub fn deploy_as(&self, name: &str, package: &Package, instances: Instances, labels: Value) -> Result<Deployed> {
        let work = package.work;
        eprintln!("deploying {name}");
        let deployed = self.create(name, package, instances, labels).map_err(|e| self.with_log(&e))?;
        let answer = self.ask(&deployed).map_err(|e| self.with_log(&e))?;
        if answer["result"] != work.output() {
            return Err(format!("{} answers {answer} instead of {}", work.name(), work.output()));
        }
        self.must_be_recorded(&deployed, &answer)?;
        Ok(deployed)
    }

    fn create(&self, name: &str, package: &Package, instances: Instances, labels: Value) -> Result<Deployed> {
        let work = package.work;
        self.post(
            DEPLOYMENTS,
            &json!({
                "name": name,
                "input_type": "structured",
                "output_type": "structured",
                "input_fields": work.input_fields(),
                "output_fields": work.output_fields(),
            }),
        )?;
        let versions = format!("{DEPLOYMENTS}/{name}/versions");
        self.post(
            &versions,
            &json!({
                "version": "v1",
                "labels": labels,
                "environment": self.environment,
                "minimum_instances": i32::from(instances == Instances::One),
                "maximum_instances": 1,
                "maximum_idle_time": if instances == Instances::One { 300 } else { 10 },
                "request_retention_mode": "full",
            }),
        )?;
        let version = format!("{versions}/v1");
        let revision = self.upload(&version, package)?;
        self.until_available(&version, &revision)?;
        Ok(Deployed { work, path: format!("{DEPLOYMENTS}/{name}/requests") })
    }

    fn upload(&self, version: &str, package: &Package) -> Result<String> {
        let (path, form) = (format!("{version}/revisions"), archive::form(&package.folder)?);
        let kind = archive::content_type();
        let upload =
            Request { method: "POST", path: &path, token: Some(&self.token), content_type: &kind, body: &form };
        let answer = upload.send(self.address, CALL_LIMIT)?.json("the upload")?;
        let revision = answer["revision"].as_str().map(|r| format!("{path}/{r}"));
        revision.ok_or_else(|| format!("the upload was answered without a revision: {answer}"))
    }

    fn until_available(&self, version: &str, revision: &str) -> Result<()> {
        let from = Instant::now();
        loop {
            interrupt::check()?;
            match self.get(version)?["status"].as_str() {
                Some("available") => return Ok(()),
                Some("failed") => return Err(format!("the package failed: {}", self.get(revision)?["error_message"])),
                _ if from.elapsed() > BUILD_LIMIT => {
                    return Err(format!("the version is not available after {} s", BUILD_LIMIT.as_secs()));
                }
                _ => sleep(Duration::from_millis(100)),
            }
        }
    }

    /// What is measured is a platform that keeps its requests: the first one must be found again.
    fn must_be_recorded(&self, deployed: &Deployed, answer: &Value) -> Result<()> {
        let id = answer["id"].as_str().unwrap_or_default();
        let kept = self.get(&format!("{}/{id}", deployed.path))?;
        if kept["result"] == answer["result"] && kept["status"] == "completed" {
            return Ok(());
        }
        Err(format!("a request was not recorded with full retention: {kept}"))
    }

    /// Sends one direct request and returns its whole answer, which must be a success.
    pub fn ask(&self, deployed: &Deployed) -> Result<Value> {
        let answer = self.post(&deployed.path, &deployed.work.input())?;
        if answer["success"] == true { Ok(answer) } else { Err(format!("a request failed: {answer}")) }
    }

    /// What the load generator sends.
    pub fn aim(&self, deployed: &Deployed) -> Result<Aim> {
        let body = encode(&deployed.work.input())?;
        let request = self.request("POST", &deployed.path, &body).encode(self.address);
        Ok(Aim { address: self.address, request, proof: r#""success":true"#.into() })
    }

    fn request<'a>(&'a self, method: &'a str, path: &'a str, body: &'a [u8]) -> Request<'a> {
        Request { method, path, token: Some(&self.token), content_type: JSON, body }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let body = encode(body)?;
        self.request("POST", path, &body).send(self.address, CALL_LIMIT)?.json(&format!("POST {path}"))
    }

    fn get(&self, path: &str) -> Result<Value> {
        self.request("GET", path, b"").send(self.address, CALL_LIMIT)?.json(&format!("GET {path}"))
    }
}

fn encode(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| e.to_string())
}
