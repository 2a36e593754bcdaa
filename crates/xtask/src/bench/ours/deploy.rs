//! Deploying a package and asking it, over the public interface.

use std::path::Path;
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
const ENVIRONMENTS: &str = "/v2.1/projects/default/environments";
const JSON: &str = "application/json";

/// How long an environment may take to be built.
const BUILD_LIMIT: Duration = Duration::from_secs(600);
/// How often it is asked whether something is available.
const POLL: Duration = Duration::from_millis(10);
/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Requests that a version lets wait: the most there may be.
const QUEUE: usize = 1_000_000;

/// How many instances a version keeps without requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// None; an idle one is stopped after the shortest time the contract allows.
    None,
    /// One, and never more: the floor has one Python loop, too.
    One,
}

/// How a package is to be deployed.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The name of the deployment.
    pub name: &'a str,
    /// Its instances.
    pub instances: Instances,
    /// The labels of its version.
    pub labels: Value,
    /// What is kept of requests: `full` or `metadata`.
    pub retention: &'a str,
}

impl<'a> Wanted<'a> {
    /// With full retention and without labels.
    pub fn new(name: &'a str, instances: Instances) -> Self {
        Self { name, instances, labels: json!({}), retention: "full" }
    }
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
        self.deploy_as(package, &Wanted::new(&format!("bench-{}", package.work.name()), instances))
    }

    /// The same as it is wanted.
    pub fn deploy_as(&self, package: &Package, wanted: &Wanted<'_>) -> Result<Deployed> {
        let deployed = self.make_available(package, wanted)?;
        let answer = self.ask(&deployed).map_err(|e| self.with_log(&e))?;
        // Read as the answer was: numbers with all their digits are not read to the last bit.
        let expected: Value = serde_json::from_slice(&encode(&package.work.output())?).map_err(|e| e.to_string())?;
        if answer["result"] != expected {
            let answer: String = answer.to_string().chars().take(500).collect();
            return Err(format!("{} answers wrongly: {answer}", package.work.name()));
        }
        self.must_be_recorded(&deployed, &answer, wanted.retention)?;
        Ok(deployed)
    }

    /// Deploys a package and waits until it is available, without asking it.
    pub fn make_available(&self, package: &Package, wanted: &Wanted<'_>) -> Result<Deployed> {
        eprintln!("deploying {}", wanted.name);
        self.create(package, wanted).map_err(|e| self.with_log(&e))
    }

    fn create(&self, package: &Package, wanted: &Wanted<'_>) -> Result<Deployed> {
        let Wanted { name, instances, labels, retention } = wanted;
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
                "minimum_instances": i32::from(*instances == Instances::One),
                "maximum_instances": 1,
                "maximum_idle_time": if *instances == Instances::One { 300 } else { 10 },
                "maximum_queue_size": QUEUE,
                "request_retention_mode": retention,
            }),
        )?;
        let version = format!("{versions}/v1");
        let revision = self.upload(&version, &package.folder)?;
        self.until_available(&version, &revision)?;
        Ok(Deployed { work, path: format!("{DEPLOYMENTS}/{name}/requests") })
    }

    /// Makes an environment of the `requirements.txt` in `folder` and waits until it can be used.
    pub fn make_environment(&self, name: &str, folder: &Path) -> Result<()> {
        self.post(ENVIRONMENTS, &json!({ "name": name, "base_environment": self.environment }))?;
        let path = format!("{ENVIRONMENTS}/{name}");
        let revision = self.upload(&path, folder)?;
        self.until_available(&path, &revision).map_err(|e| self.with_log(&e))
    }

    fn upload(&self, of: &str, folder: &Path) -> Result<String> {
        let (path, form) = (format!("{of}/revisions"), archive::form(folder)?);
        let kind = archive::content_type();
        let upload =
            Request { method: "POST", path: &path, token: Some(&self.token), content_type: &kind, body: &form };
        let answer = upload.send(self.address, CALL_LIMIT)?.json("the upload")?;
        let revision = answer["revision"].as_str().map(|r| format!("{path}/{r}"));
        revision.ok_or_else(|| format!("the upload was answered without a revision: {answer}"))
    }

    fn until_available(&self, path: &str, revision: &str) -> Result<()> {
        let from = Instant::now();
        loop {
            interrupt::check()?;
            match self.get(path)?["status"].as_str() {
                Some("available") => return Ok(()),
                Some("failed") => return Err(format!("it failed: {}", self.get(revision)?["error_message"])),
                _ if from.elapsed() > BUILD_LIMIT => {
                    return Err(format!("{path} is not available after {} s", BUILD_LIMIT.as_secs()));
                }
                _ => sleep(POLL),
            }
        }
    }

    /// What is measured is a platform that keeps its requests: the first one must be found again.
    fn must_be_recorded(&self, deployed: &Deployed, answer: &Value, retention: &str) -> Result<()> {
        let id = answer["id"].as_str().unwrap_or_default();
        let kept = self.get(&format!("{}/{id}", deployed.path))?;
        let result = if retention == "full" { &answer["result"] } else { &Value::Null };
        if kept["result"] == *result && kept["status"] == "completed" {
            return Ok(());
        }
        Err(format!("a request was not recorded with retention {retention}: {kept}"))
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

    /// What the load generator sends to create `count` batch requests in one call.
    pub fn batch_aim(&self, deployed: &Deployed, count: usize) -> Result<Aim> {
        let body = encode(&vec![deployed.work.input(); count].into())?;
        let request = self.request("POST", &format!("{}/batch", deployed.path), &body).encode(self.address);
        Ok(Aim { address: self.address, request, proof: r#""status":"pending""#.into() })
    }

    /// Whether requests of a status are there, beyond so many.
    pub fn has_requests(&self, deployed: &Deployed, status: &str, beyond: usize) -> Result<bool> {
        let found = self.get(&format!("{}?status={status}&limit=1&offset={beyond}", deployed.path))?;
        Ok(found.as_array().is_some_and(|list| !list.is_empty()))
    }

    /// The bytes of a request whose updates are read while it runs.
    pub fn stream_request(&self, deployed: &Deployed) -> Result<Vec<u8>> {
        let body = encode(&deployed.work.input())?;
        Ok(self.request("POST", &format!("{}/stream", deployed.path), &body).encode(self.address))
    }

    /// Creates a deployment with a version that nothing was uploaded for.
    pub fn create_empty(&self, name: &str) -> Result<()> {
        let fields = Work::Echo.input_fields();
        let new = json!({ "name": name, "input_type": "structured", "output_type": "plain", "input_fields": fields });
        self.post(DEPLOYMENTS, &new)?;
        self.post(&format!("{DEPLOYMENTS}/{name}/versions"), &json!({ "version": "v1" })).map(drop)
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
