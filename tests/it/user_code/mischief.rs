//! Code that means harm or does not know better: a reason for its own request, nothing for its neighbours.

use super::failures::{after, obedient};
use crate::kit::*;

/// Finds the socket to the server and writes something into it.
const FORGE: &str = "
    import json, os, stat, struct

    def socket():
        for name in os.listdir('/proc/self/fd'):
            try:
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    return int(name)
            except OSError:
                pass

    def frame(kind, payload):
        return struct.pack('>IB', len(payload) + 1, kind) + payload
";

both! {
    async fn a_gigabyte_of_output_is_cut_and_not_kept(server) {
        let deployment = obedient(&server).await;
        let outcome = after(&deployment, "
            line = 'x' * 1023
            for _ in range(1024 * 1024):
                print(line)
            result = 'done'
        ").await;
        assert_snapshot!(outcome, @r#"completed "done""#);
        let query = [("query", "|= `The rest of the output was dropped`")];
        assert_snapshot!(server.at("/projects/demo").find("/logs", &query).await.each("log"), @r#"["The rest of the output was dropped: more than 10 MiB of it."]"#);
    }

    async fn forks_end_with_the_limit_or_with_their_instance(server) {
        let deployment = obedient(&server).await;
        let outcome = after(&deployment, "
            made = 0
            try:
                while made < 5000:
                    if os.fork() == 0:
                        time.sleep(600)
                    made += 1
            except OSError as e:
                result = 'no more'
        ").await;
        // Whichever limit they meet first: so many processes need about as much memory as there is.
        let limits = ["completed \"no more\"", "failed: The process used more memory than the 2048 MB of its instance type"];
        assert!(limits.contains(&outcome.as_str()), "{outcome}");
        deployment.delete("").await.fine();
        until("all are gone", async || server.processes().is_empty()).await;
    }

    async fn daemons_do_not_outlive_their_instance(server) {
        let deployment = obedient(&server).await;
        assert_snapshot!(after(&deployment, "
            for _ in range(3):
                subprocess.Popen(['sleep', '600'], start_new_session=True)
            result = 'started'
        ").await, @r#"completed "started""#);
        deployment.delete("").await.fine();
        until("all are gone", async || server.processes().is_empty()).await;
    }

    async fn memory_without_end_ends_the_process_alone(server) {
        let project = server.project("demo").await;
        let neighbour = project.running("n", "plain", "plain", package::ECHO).await;
        neighbour.ask(json!("x")).await.fine();
        let code = "
            class Deployment:
                def request(self, data):
                    if data == 'ping':
                        return 'pong'
                    kept = []
                    while True:
                        kept.append(bytearray(16 << 20))
        ";
        let deployment = project.deployment("d", "plain", "plain").await;
        deployment.version("v1", json!({ "instance_type": "256mb" })).await.code(code).await;
        let outcome = deployment.ask(json!("all of it")).await.outcome();
        // Either the kernel ends the process, or Python learns first that there is no more.
        assert!(
            [
                "failed: The process used more memory than the 256 MB of its instance type",
                "failed: An exception occurred in the request. See the logs for details.",
            ]
            .contains(&outcome.as_str()),
            "{outcome}"
        );
        assert_snapshot!(deployment.ask(json!("ping")).await.outcome(), @r#"completed "pong""#);
        assert_snapshot!(neighbour.ask(json!("x")).await.outcome(), @r#"completed "x""#);
    }

    async fn nonsense_on_the_socket_ends_the_process(server) {
        let deployment = obedient(&server).await;
        let outcome = after(&deployment, &format!("{FORGE}
    os.write(socket(), b'GET / HTTP/1.1\\r\\n\\r\\n')
    time.sleep(600)
        ")).await;
        assert_snapshot!(outcome, @"failed: The worker process broke the protocol");
        let outcome = after(&deployment, &format!("{FORGE}
    os.write(socket(), frame(0x07, struct.pack('>QB', 999999, 0) + b'\"forged\"'))
    time.sleep(600)
        ")).await;
        assert_snapshot!(outcome, @"failed: The worker process broke the protocol");
        let outcome = after(&deployment, &format!("{FORGE}
    os.close(socket())
    time.sleep(600)
        ")).await;
        assert!(outcome.starts_with("failed: "), "{outcome}");
    }

    async fn code_can_neither_change_its_package_nor_see_the_servers_files(server) {
        let deployment = obedient(&server).await;
        // An instance may write into its folder, which is its own; the next instance begins with the package again.
        let outcome = after(&deployment, "
            import shutil
            shutil.rmtree(os.getcwd(), ignore_errors=True)
            result = os.listdir('.')
        ").await;
        assert_snapshot!(outcome, @"completed []");
        assert_snapshot!(after(&deployment, "os._exit(1)").await, @"failed: The process exited with status 1");
        assert_snapshot!(after(&deployment, "result = os.path.exists('deployment.py')").await, @"completed true");
        let data = server.data();
        let outcome = after(&deployment, &format!("
            seen = set()
            for path, folders, files in os.walk({data:?}):
                seen |= {{os.path.relpath(os.path.join(path, name), {data:?}).split('/')[0] for name in files}}
            result = sorted(seen)
        ")).await;
        // Of the data folder only the worker package is shown.
        assert_snapshot!(outcome, @r#"completed ["worker"]"#);
        assert_snapshot!(after(&deployment, "result = os.getuid() != 0 and os.getpid() < 100").await, @"completed true");
    }

    async fn scratch_is_private_to_an_instance(server) {
        let project = server.project("demo").await;
        let code = "
            import os
            class Deployment:
                def request(self, data):
                    if data == 'write':
                        open('/tmp/secret', 'w').write('mine')
                    return os.path.exists('/tmp/secret')
        ";
        let writer = project.running("w", "plain", "plain", code).await;
        let reader = project.running("r", "plain", "plain", code).await;
        assert_snapshot!(writer.ask(json!("write")).await.outcome(), @"completed true");
        assert_snapshot!(reader.ask(json!("read")).await.outcome(), @"completed false");
        assert!(!std::path::Path::new("/tmp/secret").exists());
    }
}
