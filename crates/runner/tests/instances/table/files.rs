//! One attack by files: what user code hands back, and what it is given.

use std::fs::File;

use modelyard_runner::process::CallFile;
use modelyard_runner::runner::{InstanceSpec, Runner};
use serde_json::{Value, json};

use crate::files::{answer, field, hand, with_files};
use crate::harness::Bench;

/// What an attack sees, in an instance of its own.
pub async fn one(bench: &Bench, spec: InstanceSpec, attack: &str, database: &Value) -> String {
    let mut spec = with_files(spec);
    spec.package = bench.package(include_str!("files.py"));
    spec.load.output_fields.push(field("said", "string"));
    let given = File::open(spec.package.join("data/file")).unwrap();
    let given = CallFile { name: "../../../../data/file".into(), file: given.into() };
    let mut instance = bench.start(spec).await;
    let process = instance.ready();
    let body = json!({ "attack": attack, "in": "ubiops-file://b/file", "database": database });
    hand(&process, 1, &body, vec![given]);
    let answered = answer(&mut instance, 1);
    bench.runner.stop(instance.spec.instance, instance.spec.epoch).await;
    match answered {
        Ok((body, files)) if files.is_empty() => body["said"].as_str().unwrap_or_default().to_owned(),
        Ok((_, files)) => format!("came through: {files:?}"),
        // The sentence begins with the field and the path.
        Err(why) => {
            let told = why.rsplit_once("which ").map_or(why.as_str(), |(_, told)| told);
            told.trim_start_matches("cannot be read: ").to_owned()
        }
    }
}
