//! Files larger than there is memory or room for.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::{Body, Method};

use crate::kit::*;

const MIB: u64 = 1 << 20;

/// So many MiB of zeros, made as they are sent; in chunks, without a length.
fn zeros(mib: usize) -> Body {
    let piece = Bytes::from_static(&[0; 1 << 20]);
    Body::wrap_stream(stream::iter((0..mib).map(move |_| Ok::<_, std::io::Error>(piece.clone()))))
}

/// The bytes of a signed address, counted and forgotten.
async fn count(url: &str) -> u64 {
    let mut bytes = reqwest::get(url).await.unwrap().error_for_status().unwrap().bytes_stream();
    let mut size = 0;
    while let Some(piece) = bytes.next().await {
        size += piece.unwrap().len() as u64;
    }
    size
}

both! {
    async fn files_go_through_without_memory_that_grows_with_them(server) {
        const SIZE: usize = 300;
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        assert_eq!(count(&bucket.store("warm", zeros(8)).await).await, 8 * MIB);
        let before = server.memory();
        server.forget_peak();

        let url = bucket.store("large", zeros(SIZE)).await;
        let sent = server.peak();
        assert_eq!(count(&url).await, SIZE as u64 * MIB);
        let fetched = server.peak();
        let form = reqwest::multipart::Form::new().part("file", reqwest::multipart::Part::stream(zeros(SIZE)).file_name("large"));
        let blob = project.send(project.request(Method::POST, "/blobs").multipart(form)).await.fine();
        assert_eq!(blob["size"], SIZE as u64 * MIB);
        for (what, peak) in [("sending", sent), ("fetching", fetched), ("sending a blob", server.peak())] {
            assert!(peak < before + 64 * MIB, "{what}: {} MiB grew to {}", before / MIB, peak / MIB);
        }
    }

    async fn a_full_disk_refuses_what_does_not_fit_and_nothing_else(server) {
        let mut server = server;
        server.restart_on_small_disk(8).await;
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let url = bucket.store("small", zeros(2)).await;

        let full = "507 {\"error\":\"The server has no room left for files; nothing was stored\"}";
        for body in [zeros(32), Body::from(vec![0; 32 << 20])] {
            let refused = bucket.put(&bucket.upload_url("large").await, body).await;
            assert_eq!(refused.to_string(), full);
        }
        let form = reqwest::multipart::Form::new().part("file", reqwest::multipart::Part::stream(zeros(32)).file_name("large"));
        assert_eq!(project.send(project.request(Method::POST, "/blobs").multipart(form)).await.to_string(), full);
        until("nothing of them stays", async || server.staged_on_small_disk().is_empty()).await;
        assert_eq!(bucket.get(&bucket.file("large")).await.status, 404);

        assert_eq!(count(&url).await, 2 * MIB);
        assert_eq!(count(&bucket.store("fits", zeros(5)).await).await, 5 * MIB, "the room is free again");
        bucket.delete(&bucket.file("fits")).await.fine();
        until("what is deleted makes room", async || bucket.put(&bucket.upload_url("next").await, zeros(5)).await.status == 200).await;
    }
}
