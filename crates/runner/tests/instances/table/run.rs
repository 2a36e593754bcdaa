//! One column: a bench at its level, a neighbour, and an instance that attacks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use modelyard_runner::runner::{InstanceSpec, Runner};
use modelyard_runner::walls::NetworkMode;
use serde_json::{Value, json};

use super::attacks::{ATTACKS, BY_FILES, Cell};
use super::column::Column;
use super::files;
use crate::harness::{Bench, Heard, hand};

/// Runs the attacks that something stops, and tells what they saw on the last line.
pub fn column(column: Column) {
    let seen = tokio::runtime::Runtime::new().unwrap().block_on(attack(column));
    println!("\nanswers: {}", serde_json::to_string(&seen).unwrap());
}

async fn attack(column: Column) -> BTreeMap<String, String> {
    let bench = Bench::with(|settings| {
        settings.at_most = column.level();
        // Attacks through the network have tests of their own. Level 3 demands that it is not the host's.
        settings.egress = Some(if column.level() == 3 { NetworkMode::None } else { NetworkMode::All });
    });
    assert_eq!(bench.runner.walls().level, column.level(), "{:?}", bench.runner.walls());
    // As a server's folders are: passed through, not listed.
    fs::set_permissions(bench.folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let environment = environment(&bench);
    let mut spec = spec(&bench);
    spec.readable.extend([environment.clone(), Column::programs()]);
    let mut neighbour = bench.start(spec.clone()).await;
    let beside = neighbour.ready();
    let secret = bench.folder.path().join("runner/scratch").join(neighbour.spec.name()).join("tmp/secret");
    let mut on = json!({
        "attack": "be_neighbour",
        "neighbour_socket": format!("neighbour-{}", neighbour.spec.instance),
        "neighbour_scratch": secret,
        "server": std::process::id(),
        "database": private(&bench),
        "host_file": open_to_all(&bench),
        "environment": environment,
        "set_user_id": Column::programs().join("id"),
    });
    assert_eq!(neighbour.ask(&beside, 1, &on.to_string()), Ok(json!("came through: None")));

    let mut seen = BTreeMap::new();
    for (call, attack) in (2..).zip(&ATTACKS) {
        if matches!(attack.cells[column as usize], Cell::Open) {
            continue;
        }
        on["attack"] = attack.code.into();
        spec.instance = modelyard_types::ids::InstanceId::new();
        seen.insert(attack.code.to_owned(), one(&bench, spec.clone(), &on).await);
        assert_eq!(neighbour.ask(&beside, call, &on_nothing(&on)), Ok(json!("not passed on")), "{}", attack.name);
    }
    for attack in BY_FILES.iter().filter(|attack| !matches!(attack.cells[column as usize], Cell::Open)) {
        spec.instance = modelyard_types::ids::InstanceId::new();
        seen.insert(attack.code.to_owned(), files::one(&bench, spec.clone(), attack.code, &on["database"]).await);
    }
    bench.runner.shut_down().await;
    seen
}

/// What an attack sees, in an instance of its own.
async fn one(bench: &Bench, spec: InstanceSpec, on: &Value) -> String {
    let mut instance = bench.start(spec).await;
    let process = instance.ready();
    hand(&process, 1, &on.to_string());
    let answer = loop {
        use modelyard_runner::process::ProcessEvent::{Gone, Result};
        match instance.hear() {
            Heard::Event(_, Result(1, body, _)) => {
                break serde_json::from_slice::<Value>(&body).unwrap().as_str().unwrap_or_default().to_owned();
            }
            Heard::Event(_, Gone(gone)) => break gone.reason,
            Heard::Ended(_, ended) => break ended.reason,
            Heard::Event(..) => {}
        }
    };
    bench.runner.stop(instance.spec.instance, instance.spec.epoch).await;
    // The number of megabytes depends on the moment of the look.
    if answer.starts_with("The instance used") && answer.contains("of scratch space") {
        return "The instance used more scratch space than its instance type has".into();
    }
    answer
}

fn on_nothing(on: &Value) -> String {
    let mut on = on.clone();
    on["attack"] = "own_environment".into();
    on.to_string()
}

fn spec(bench: &Bench) -> InstanceSpec {
    let mut spec = bench.spec(include_str!("attacks.py"));
    // An interpreter that every user may run.
    (spec.program, spec.readable) = ("/usr/bin/python3".into(), vec![]);
    spec.limits.scratch_bytes = 64 << 20;
    spec.limits.file_bytes = 32 << 20;
    spec
}

/// A file that the server alone may read.
fn private(bench: &Bench) -> std::path::PathBuf {
    let path = bench.folder.path().join("database");
    fs::write(&path, "rows").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A file that everybody may read.
fn open_to_all(bench: &Bench) -> std::path::PathBuf {
    let path = bench.folder.path().join("notes");
    fs::write(&path, "notes").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

/// A folder as environments are kept in.
fn environment(bench: &Bench) -> std::path::PathBuf {
    let path = bench.folder.path().join("environment");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("module.py"), "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
