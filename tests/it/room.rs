//! Bodies take room in memory before they are read, so that memory does not grow with what clients send.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::batch::{collected, ids};
use crate::kit::*;

const MB: usize = 1_000_000;

const MEASURES: &str = "
    class Deployment:
        def request(self, data):
            return str(len(data))
";

/// A server whose requests may have the least memory.
async fn narrow(server: &mut TestServer) {
    server.stop();
    server.start_again(&[("REQUEST_MEMORY", "128 MiB")]).await;
}

both! {
    async fn many_large_calls_at_once_are_all_accepted_and_run_in_bounded_memory(server) {
        let mut server = server;
        narrow(&mut server).await;
        let deployment = server.project("demo").await.running("d", "plain", "plain", MEASURES).await;
        deployment.ask(json!("0")).await.fine();
        let before = server.memory();
        let body = bytes::Bytes::from(vec![b'x'; 25 * MB]);
        let call = async || {
            let mut last = None;
            // Who finds no room for long is told so, and comes again.
            until("it is accepted", async || {
                let reply = deployment.post_raw("/requests/batch", "text/plain", body.clone()).await;
                assert!(reply.status == 200 || reply.status == 503, "{reply}");
                last.insert(reply).status == 200
            })
            .await;
            ids(&last.unwrap()).remove(0)
        };
        let made = futures_util::future::join_all((0..24).map(|_| call())).await;
        for id in &made {
            let path = format!("/requests/{id}");
            until("it ends", async || deployment.get(&path).await["status"] == "completed").await;
            assert_eq!(deployment.get(&path).await.fine().json()["result"], (25 * MB).to_string());
        }
        let grown = server.peak().saturating_sub(before) >> 20;
        assert!(grown < 320, "600 MB that came and went took {grown} MiB");
    }

    async fn small_requests_pass_large_ones_on_slow_lines(server) {
        let mut server = server;
        narrow(&mut server).await;
        let deployment = server.project("demo").await.running("d", "plain", "plain", MEASURES).await;
        let address = server.origin().strip_prefix("http://").unwrap().to_owned();
        // It takes all the room of large bodies, and never sends its own.
        let mut slow = TcpStream::connect(&address).await.unwrap();
        let path = deployment.address().strip_prefix(server.origin()).unwrap();
        let head = format!(
            "POST {path}/requests/batch HTTP/1.1\r\nhost: x\r\nauthorization: Token {}\r\ncontent-length: {}\r\n\r\n",
            server.token(),
            50 * MB,
        );
        slow.write_all(head.as_bytes()).await.unwrap();
        let taken = "modelyard_request_memory_free_bytes{share=\"large\"} 0\n";
        until("the room is taken", async || server.root().get("/metrics").await.text().contains(taken)).await;
        let large = "x".repeat(200_000);
        let waiting = tokio::task::spawn({
            let (at, large) = (deployment.clone(), large.clone());
            async move { at.post_raw("/requests", "text/plain", large).await }
        });
        for _ in 0..3 {
            let small = deployment.post_raw("/requests", "text/plain", "x").await;
            assert_eq!(small["result"], "1");
        }
        // More than are claimed at once; the others come from their rows.
        let many = ids(&deployment.post("/requests/batch", json!(vec!["x"; 250])).await);
        let more = ids(&deployment.post("/requests/batch", json!(vec!["xx"; 250])).await);
        collected(&deployment, &many).await;
        collected(&deployment, &more).await;
        assert!(!waiting.is_finished());
        drop(slow);
        assert_eq!(waiting.await.unwrap()["result"], "200000");
        // Bodies of unknown length count as the largest until they are there.
        let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(large.clone()), Ok(large)]);
        let streamed = reqwest::Body::wrap_stream(pieces);
        assert_eq!(deployment.post_raw("/requests", "text/plain", streamed).await["result"], "400000");
    }
}
