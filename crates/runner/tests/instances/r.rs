//! Instances that run code in R: the same walls stand around them, and a relay answers while R is at work.

use std::fs;

use bytes::Bytes;
use modelyard_runner::interpreters::r::{Choice, find};
use modelyard_runner::process::{Exit, ProcessEvent};
use modelyard_runner::runner::{InstanceSpec, Runner};
use modelyard_types::language::Language;
use serde_json::{Value, json};

use crate::harness::{Bench, Instance, hand, processes_with, until};

/// An instance whose `request` is this expression in R, of `input_data`.
async fn spec(bench: &Bench, expression: &str) -> InstanceSpec {
    spec_of(bench, &format!("request <- function(input_data, base_directory, context) {{\n{expression}\n}}\n")).await
}

/// An instance of this code in R.
pub async fn spec_of(bench: &Bench, code: &str) -> InstanceSpec {
    let r = find(&Choice::OnPath, &bench.folder.path().join("r.json")).await;
    let r = r.expect("the tests of R need R: apt-get install r-base-core r-cran-jsonlite");
    let mut spec = bench.spec("");
    fs::write(spec.package.join("deployment.R"), code).unwrap();
    (spec.language, spec.program, spec.readable) = (Language::R, r.path, vec![r.base_prefix]);
    spec
}

const SEEN: &str = r#"
    status <- readLines('/proc/self/status')
    of <- function(name) sub('.*:\\s*', '', grep(paste0('^', name, ':'), status, value = TRUE))
    works <- function(run) isTRUE(tryCatch({ run; TRUE }, error = function(e) FALSE, warning = function(w) FALSE))
    list(
        uid = as.integer(strsplit(of('Uid'), '\\s+')[[1]][1]), privileges = of('NoNewPrivs'), filters = of('Seccomp'),
        secret = works(readLines(file.path(input_data, 'secret'))), shadow = works(readLines('/etc/shadow')),
        r = works(writeLines('x', file.path(R.home(), 'x'))), package = works(writeLines('x', 'x')),
        temporary = works(writeLines('x', tempfile())),
        sockets = any(grepl('socket', Sys.readlink(list.files('/proc/self/fd', full.names = TRUE)))),
        pipes = list.files(tempdir(), '^.worker'), token = Sys.getenv('OF_THE_USER'), ours = names(Sys.getenv())[grepl('^CARGO', names(Sys.getenv()))],
        mounted = system('mount -t tmpfs none /tmp 2>/dev/null') == 0L, namespace = system('unshare -m true 2>/dev/null') == 0L
    )
"#;

async fn looks_around(bench: Bench) {
    fs::write(bench.folder.path().join("secret"), "x").unwrap();
    let level = bench.runner.walls().level;
    let mut instance = bench.start(spec(&bench, SEEN).await).await;
    let process = instance.ready();
    let seen = instance.ask(&process, 1, bench.folder.path().to_str().unwrap()).unwrap();
    let is = |name: &str, wanted: Value| assert_eq!(seen[name], wanted, "{name} at level {level}: {seen}");
    assert_ne!(seen["uid"], 0);
    is("privileges", json!("1"));
    is("sockets", json!(false));
    is("pipes", json!([]));
    is("token", json!("yes"));
    is("ours", json!([]));
    is("shadow", json!(false));
    is("r", json!(false));
    is("mounted", json!(false));
    is("package", json!(true));
    is("temporary", json!(true));
    if level >= 2 {
        is("secret", json!(false));
        is("filters", json!("2"));
        is("namespace", json!(false));
    }
    assert!(!instance.spec.package.join("x").exists());
    bench.runner.stop(instance.spec.instance, 1).await;
    assert_eq!(processes_with(&instance.spec.instance.to_string()), Vec::<i32>::new());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_walls_of_this_host_stand_around_r() {
    looks_around(Bench::open()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_level_2_stand_around_r() {
    looks_around(Bench::with(|settings| settings.at_most = 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_level_1_stand_around_r() {
    looks_around(Bench::with(|settings| (settings.at_most, settings.unsafe_run) = (1, true))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_memory_ends_the_process_with_the_figure() {
    let bench = Bench::open();
    let mut instance = bench.start(spec(&bench, "x <- list(); repeat x[[length(x) + 1]] <- rep(1, 2^20)").await).await;
    let process = instance.ready();
    let told = instance.ask(&process, 1, "x").unwrap_err();
    if bench.uses("cgroup memory") {
        assert_eq!(told, "The process used more memory than the 256 MB of its instance type");
    }
    // Another one takes its place.
    instance.ready();
    bench.close().await;
}

/// Waits for the end of these calls, and gives how each ended.
fn ends(instance: &mut Instance, calls: &[u64]) -> Vec<(u64, Result<String, String>)> {
    calls
        .iter()
        .map(|_| {
            instance.wait(|_, event| match event {
                ProcessEvent::Result(call, body, _) => Some((call, Ok(String::from_utf8(body.to_vec()).unwrap()))),
                ProcessEvent::Error(call, error) => Some((call, Err(error.message))),
                _ => None,
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_given_back_and_cancelled_while_r_is_at_work() {
    let bench = Bench::open();
    let mut instance = bench.start(spec(&bench, "if (input_data == 'wait') Sys.sleep(600); input_data").await).await;
    let process = instance.ready();
    hand(&process, 1, "wait");
    for call in 2..=4 {
        hand(&process, call, "x");
    }
    instance.started(1);
    process.recall(2);
    process.cancel(3);
    let cancelled = Err("The request was cancelled".to_owned());
    let mut both = ends(&mut instance, &[2, 3]);
    both.sort();
    assert_eq!(both, [(2, cancelled.clone()), (3, cancelled.clone())]);
    process.cancel(1);
    assert_eq!(ends(&mut instance, &[1, 4]), [(1, cancelled), (4, Ok("\"x\"".to_owned()))]);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_ends_as_r_did() {
    let bench = Bench::open();
    let code = "if (input_data == 'quit') quit(save = 'no', status = 3)\nif (input_data == 'kill') tools::pskill(Sys.getpid(), 11L)\nsystem(input_data); 1";
    let mut instance = bench.start(spec(&bench, code).await).await;
    for (word, exit) in [("quit", Exit::Status(3)), ("kill", Exit::Signal(11))] {
        let process = instance.ready();
        hand(&process, 1, word);
        assert_eq!(instance.gone().exit, Some(exit));
    }
    let process = instance.ready();
    let mark = format!("mark-{}", instance.spec.instance);
    hand(&process, 1, &format!("sh -c 'sleep 1000; true' {mark} &"));
    until("the child runs", || !processes_with(&mark).is_empty());
    bench.runner.stop(instance.spec.instance, 1).await;
    assert_eq!(processes_with(&mark), Vec::<i32>::new());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_go_through_the_relay_both_ways() {
    let bench = Bench::open();
    let mut instance = bench.start(spec(&bench, "input_data").await).await;
    let process = instance.ready();
    let large = "ü".repeat(4 << 20);
    process.call(1, 1, &Bytes::from("{}"), &Bytes::from(large.clone()), vec![]).unwrap();
    assert_eq!(ends(&mut instance, &[1]), [(1, Ok(format!("\"{large}\"")))]);
    bench.close().await;
}
