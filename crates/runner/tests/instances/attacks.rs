//! User code that means harm, or does it all the same. Its neighbours do not notice.

use std::fs;

use modelyard_runner::process::{Exit, KEPT, ProcessEvent};
use modelyard_runner::runner::Runner;
use serde_json::json;

use crate::harness::{Bench, hand, processes_with, until};

/// Finds the worker's socket, as hostile code would.
const SOCKET: &str = "import os, stat
def is_socket(fd):
    try: return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError: return False
socket = next(fd for fd in map(int, os.listdir('/proc/self/fd')) if is_socket(fd))";

#[tokio::test(flavor = "multi_thread")]
async fn forking_without_end_meets_a_limit_and_ends_with_the_process() {
    let bench = Bench::open();
    let (mut neighbour, other) = bench.request("return data").await;
    let code = "import os, time
while data == 'fork':
    try: os.fork()
    except OSError as e: time.sleep(0.01); print('met a limit')
return data";
    let (mut instance, process) = bench.request(code).await;
    hand(&process, 1, "fork");
    instance.started(1);
    // The copies of the worker hold its socket too, and may say anything on it.
    let mut limited = false;
    while !limited {
        match instance.hear() {
            crate::harness::Heard::Event(_, ProcessEvent::Log { .. }) => limited = true,
            crate::harness::Heard::Event(_, ProcessEvent::Gone(_)) => break,
            _ => {}
        }
    }
    assert_eq!(neighbour.ask(&other, 1, "still here"), Ok(json!("still here")));
    process.kill("The test ended it");
    let id = instance.spec.instance.to_string();
    let again = instance.ready();
    // The first process of the instance and the new worker; at level 1 the same.
    until("only the new worker is left", || processes_with(&id).len() == 2);
    assert_eq!(instance.ask(&again, 1, "fine"), Ok(json!("fine")));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn allocating_without_end_ends_the_process_only() {
    let bench = Bench::open();
    let (mut neighbour, other) = bench.request("return data").await;
    let (mut instance, process) =
        bench.request("kept = []\nwhile data == 'more': kept.append(bytearray(b'x' * (8 << 20)))\nreturn data").await;
    let answer = instance.ask(&process, 1, "more");
    if bench.uses("cgroup memory") {
        assert_eq!(answer.unwrap_err(), "The process used more memory than the 256 MB of its instance type");
        let again = instance.ready();
        assert_eq!(instance.ask(&again, 1, "fine"), Ok(json!("fine")));
    } else {
        assert!(answer.is_err());
    }
    assert_eq!(neighbour.ask(&other, 1, "still here"), Ok(json!("still here")));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_told_apart_from_other_ends() {
    let bench = Bench::open();
    let (mut instance, process) = bench.request("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)").await;
    hand(&process, 1, "");
    let gone = instance.gone();
    assert_eq!((gone.out_of_memory, gone.exit), (false, Some(Exit::Signal(9))));
    assert_eq!(gone.reason, "The process was ended by signal 9 (SIGKILL)");
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_of_output_is_read_and_mostly_dropped() {
    let bench = Bench::open();
    let code = "import os
for _ in range(16384): os.write(1, b'x' * 65535 + b'\\n')
for _ in range(20000): print('y' * 1000)
return data";
    let (mut instance, process) = bench.request(code).await;
    assert_eq!(instance.ask(&process, 1, "done"), Ok(json!("done")));
    assert!(instance.log.len() < KEPT + 1000, "{}", instance.log.len());
    assert!(instance.log.contains("dropped"));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_socket_ends_the_process_and_a_new_one_answers() {
    let bench = Bench::open();
    let (mut instance, process) =
        bench.request(&format!("{SOCKET}\nif data == 'garbage': os.write(socket, b'\\xff' * 1000)\nreturn data")).await;
    assert_eq!(instance.ask(&process, 1, "garbage").unwrap_err(), "The worker process broke the protocol");
    let again = instance.ready();
    assert_eq!(instance.ask(&again, 1, "fine"), Ok(json!("fine")));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_socket_ends_the_process() {
    let bench = Bench::open();
    let (mut instance, process) =
        bench.request(&format!("{SOCKET}\nos.close(socket)\nimport time; time.sleep(1000)")).await;
    assert_eq!(instance.ask(&process, 1, "").unwrap_err(), "The worker process closed its connection");
    instance.ready();
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_its_own_folder_hurts_nobody_else() {
    let bench = Bench::open();
    let code = "import os, shutil
if data == 'delete':
    shutil.rmtree(os.getcwd(), ignore_errors=True)
    shutil.rmtree('/deployment', ignore_errors=True)
return os.path.exists('deployment.py')";
    let (mut instance, process) = bench.request(code).await;
    assert_eq!(instance.ask(&process, 1, "delete"), Ok(json!(false)));
    assert!(instance.spec.package.join("deployment.py").exists());
    bench.runner.stop(instance.spec.instance, 1).await;

    let mut spec = (*instance.spec).clone();
    spec.epoch = 2;
    let mut again = bench.start(spec).await;
    let process = again.ready();
    assert_eq!(again.ask(&process, 1, ""), Ok(json!(true)));
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ignores_everything_is_ended_after_the_grace() {
    let bench = Bench::open();
    let code = "import signal, time
class Deployment:
    def request(self, data):
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, signal.SIG_IGN)
        while True: time.sleep(1000)
";
    let mut spec = bench.spec(code);
    spec.stop_grace = std::time::Duration::from_millis(200);
    let mut instance = bench.start(spec).await;
    let process = instance.ready();
    hand(&process, 1, "");
    instance.started(1);
    bench.runner.stop(instance.spec.instance, 1).await;
    assert!(instance.gone().reason.contains("did not stop within"));
    assert!(instance.ended().expected);
    assert!(processes_with(&instance.spec.instance.to_string()).is_empty());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_started_ends_with_it() {
    let bench = Bench::open();
    let code = "import subprocess, sys
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', data], start_new_session=True)
subprocess.run(['/bin/sh', '-c', 'setsid sleep 1000 & exit'])
return data";
    let (mut instance, process) = bench.request(code).await;
    let mark = format!("mark-{}", instance.spec.instance);
    instance.ask(&process, 1, &mark).unwrap();
    until("the child runs", || processes_with(&mark).len() == 1);
    process.kill("The test ended it");
    instance.ready();
    until("the child is gone", || processes_with(&mark).is_empty());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_meet_a_limit() {
    let bench = Bench::open();
    let code = "class Deployment:
    def request(self, data):
        try:
            with open('large', 'wb') as file:
                file.truncate(3 << 20)
        except OSError as e: return e.strerror
";
    let mut spec = bench.spec(code);
    spec.limits.file_bytes = 1 << 20;
    let mut instance = bench.start(spec).await;
    let process = instance.ready();
    assert_eq!(instance.ask(&process, 1, ""), Ok(json!("File too large")));
    assert!(!fs::exists(instance.spec.package.join("large")).unwrap());
    bench.close().await;
}
