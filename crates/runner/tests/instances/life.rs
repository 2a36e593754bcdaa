//! How instances live: start, answer, lose a process, stop.

use std::time::Duration;

use bytes::Bytes;
use modelyard_runner::packed::{pack, unpack};
use modelyard_runner::process::{Exit, Phase, ProcessEvent};
use modelyard_runner::protocol::PACKED;
use modelyard_runner::runner::Runner;
use serde_json::json;

use crate::harness::{Bench, Heard, hand, until};

/// Whether a child of this process is dead and was not waited for.
fn has_dead_children() -> bool {
    let dead = format!(") Z {} ", std::process::id());
    let stat = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| stat(entry).contains(&dead))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_starts_answers_and_stops() {
    let bench = Bench::open();
    let code = "class Deployment:
    def __init__(self, base_directory, context):
        self.context = context
        open(base_directory + '/deployment.py').read()
    def request(self, data):
        print('working')
        return [data, self.context['process_id'], self.context['project']]
    def stop(self):
        print('goodbye', flush=True)
";
    let mut instance = bench.start(bench.spec(code)).await;
    let process = instance.ready();
    assert_eq!(instance.ask(&process, 1, "hello"), Ok(json!(["hello", 0, "p"])));
    assert!(instance.log.contains("working"), "{}", instance.log);
    until("no process is dead and not waited for", || !has_dead_children());

    bench.runner.stop(instance.spec.instance, 1).await;

    let ended = instance.ended();
    assert!(ended.expected, "{ended:?}");
    assert!(instance.log.contains("goodbye"), "{}", instance.log);
    assert_eq!(bench.runner.list().await, []);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phases_of_a_start_are_told_in_order() {
    let bench = Bench::open();
    let mut instance = bench.start(bench.spec("class Deployment:\n    def request(self, data): return 1\n")).await;
    let mut phases = Vec::new();
    instance.wait(|_, event| match event {
        ProcessEvent::Phase { phase, .. } => {
            phases.push(phase);
            None
        }
        ProcessEvent::Ready { .. } => Some(()),
        _ => None,
    });
    assert_eq!(phases, [Phase::Sandbox, Phase::Interpreter, Phase::Import, Phase::Init, Phase::Ready]);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_is_replaced_at_its_place() {
    let bench = Bench::open();
    let (mut instance, process) = bench.request("import os\nif data == 'die': os._exit(3)\nreturn data").await;
    hand(&process, 1, "die");
    hand(&process, 2, "never started");
    let (mut started, mut gone) = (Vec::new(), None);
    let replaced = instance.wait(|from, event| match event {
        ProcessEvent::Started(call) => {
            started.push(call);
            None
        }
        ProcessEvent::Gone(how) => {
            gone = Some(how);
            None
        }
        ProcessEvent::Ready { process, .. } => Some((from, process)),
        _ => None,
    });
    let gone = gone.unwrap();
    assert_eq!((gone.exit, gone.expected, gone.out_of_memory), (Some(Exit::Status(3)), false, false));
    assert_eq!(gone.reason, "The process exited with status 3");
    assert_eq!(started, [1]);
    assert_eq!(replaced.0, process.key());
    assert_eq!(instance.ask(&replaced.1, 1, "again"), Ok(json!("again")));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_cannot_become_ready_ends_its_instance() {
    let bench = Bench::open();
    let mut instance = bench.start(bench.spec("import no_such_module\n")).await;
    let mut heard = Vec::new();
    let ended = loop {
        match instance.hear() {
            Heard::Event(_, ProcessEvent::Fatal(_)) => heard.push("fatal"),
            Heard::Event(_, ProcessEvent::Gone(_)) => heard.push("gone"),
            Heard::Event(..) => {}
            Heard::Ended(_, ended) => break ended,
        }
    };
    assert_eq!(heard, ["fatal", "gone"]);
    assert!(!ended.expected && !ended.reason.is_empty());
    assert!(instance.log.contains("no_such_module"), "{}", instance.log);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constructor_that_never_ends_is_ended_at_the_limit() {
    let bench = Bench::open();
    let code = "import time\nclass Deployment:\n    def __init__(self): time.sleep(1000)\n";
    let mut spec = bench.spec(code);
    spec.init_limit = Duration::from_secs(1);
    let mut instance = bench.start(spec).await;
    assert_eq!(instance.gone().reason, "The deployment did not become ready within 1 s");
    assert_eq!(instance.ended().reason, "The deployment did not become ready within 1 s");
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interpreter_that_is_not_there_ends_the_instance_with_a_sentence() {
    let bench = Bench::open();
    let mut spec = bench.spec("");
    spec.program = "/usr/bin/no-such-python".into();
    let mut instance = bench.start(spec).await;
    let ended = instance.ended();
    assert!(ended.reason.contains("/usr/bin/no-such-python could not be started: No such file"), "{ended:?}");
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_instance_live_and_die_apart() {
    let bench = Bench::open();
    let code = "class Deployment:
    def __init__(self, context): self.number = context['process_id']
    def request(self, data): return self.number
";
    let mut spec = bench.spec(code);
    spec.processes = 2;
    let mut instance = bench.start(spec).await;
    let (one, other) = (instance.ready(), instance.ready());
    assert_ne!(one.key().process, other.key().process);
    one.kill("The test ended it");
    let (from, gone) = instance.wait(|from, event| match event {
        ProcessEvent::Gone(gone) => Some((from, gone)),
        _ => None,
    });
    assert_eq!((from, gone.reason.as_str()), (one.key(), "The test ended it"));
    let number = other.key().process;
    assert_eq!(instance.ask(&other, 1, ""), Ok(json!(number)));
    let again = instance.ready();
    assert_eq!(again.key(), one.key());
    assert_eq!(instance.ask(&again, 1, ""), Ok(json!(1 - number)));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_and_stopping_twice_is_once() {
    let bench = Bench::open();
    let mut instance = bench.start(bench.spec("class Deployment:\n    def request(self, data): return 1\n")).await;
    let second = bench.start((*instance.spec).clone()).await;
    instance.ready();
    assert_eq!(bench.runner.list().await, [(instance.spec.instance, 1)]);
    tokio::join!(bench.runner.stop(instance.spec.instance, 1), bench.runner.stop(instance.spec.instance, 1));
    bench.runner.stop(instance.spec.instance, 1).await;
    instance.ended();
    drop(second);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_can_be_stopped_before_it_stands() {
    let bench = Bench::open();
    for _ in 0..10 {
        let mut instance = bench.start(bench.spec("class Deployment:\n    def request(self, data): return 1\n")).await;
        bench.runner.stop(instance.spec.instance, 1).await;
        assert!(instance.ended().expected);
    }
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_work_can_be_cancelled() {
    let bench = Bench::open();
    let (mut instance, process) =
        bench.request("import time\nwhile data == 'long': time.sleep(0.05)\nreturn data").await;
    hand(&process, 1, "long");
    hand(&process, 2, "also cancelled");
    hand(&process, 3, "next");
    instance.started(1);
    process.cancel(2);
    process.cancel(1);
    let mut ends = Vec::new();
    instance.wait(|_, event| match event {
        ProcessEvent::Error(call, error) => {
            ends.push((call, format!("{:?}", error.kind)));
            None
        }
        ProcessEvent::Result(3, ..) => Some(()),
        _ => None,
    });
    ends.sort();
    assert_eq!(ends, [(1, "Cancelled".into()), (2, "Cancelled".into())]);
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_has_not_started_is_given_back_at_once() {
    let bench = Bench::open();
    let (mut instance, process) =
        bench.request("import time\nwhile data == 'long': time.sleep(0.05)\nreturn data").await;
    hand(&process, 1, "long");
    instance.started(1);
    // More than the socket holds: the frame that asks for it waits behind it.
    hand(&process, 2, &"x".repeat(5 << 20));
    hand(&process, 3, "next");
    for call in [1, 2, 3] {
        process.recall(call);
    }
    let mut ends = Vec::new();
    instance.wait(|_, event| match event {
        ProcessEvent::Error(call, error) => {
            ends.push((call, format!("{:?}", error.kind)));
            (ends.len() == 2).then_some(())
        }
        ProcessEvent::Result(..) => panic!("the running call is not to end"),
        _ => None,
    });
    ends.sort();
    assert_eq!(ends, [(2, "Cancelled".into()), (3, "Cancelled".into())]);
    process.cancel(1);
    instance.wait(|_, event| matches!(event, ProcessEvent::Error(1, _)).then_some(()));
    hand(&process, 4, "more");
    instance.wait(|_, event| matches!(event, ProcessEvent::Result(4, ..)).then_some(()));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_go_both_ways_packed() {
    let bench = Bench::open();
    let (mut instance, process) = bench.request("import json\nreturn {'y': json.loads(data)}").await;
    let text = format!("[{}]", (0..5000).map(|n| format!("{n}.5")).collect::<Vec<_>>().join(","));
    let body = format!(r#"{{"x":{text}}}"#);
    let packed = pack(body.as_bytes()).unwrap();
    process.call(1, PACKED, &Bytes::from_static(b"{}"), &packed.into(), vec![]).unwrap();
    let answer = instance.wait(|_, event| match event {
        ProcessEvent::Packed(1, body, _) => Some(body.clone()),
        _ => None,
    });
    assert!(unpack(&answer, 1 << 20).unwrap() == format!(r#"{{"y":{body}}}"#).into_bytes());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_missed_the_signal_is_signalled_again() {
    let bench = Bench::open();
    let (mut instance, process) = bench
        .request(
            "import signal, time\nheard = signal.signal(signal.SIGUSR1, signal.SIG_IGN)\nprint('deaf', flush=True)\n\
             time.sleep(1)\nsignal.signal(signal.SIGUSR1, heard)\nwhile True: time.sleep(0.05)",
        )
        .await;
    hand(&process, 1, "");
    instance.wait(|_, event| matches!(event, ProcessEvent::Log { text, .. } if text == "deaf").then_some(()));
    process.cancel(1);
    let kind = instance.wait(|_, event| match event {
        ProcessEvent::Error(1, error) => Some(format!("{:?}", error.kind)),
        _ => None,
    });
    assert_eq!(kind, "Cancelled");
    bench.close().await;
}
