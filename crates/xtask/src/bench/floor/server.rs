//! The floor's server, which runs in its own process: `xtask bench floor PYTHON LOOP PACKAGE [stream]`.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::super::Result;

struct Trip {
    body: Bytes,
    answer: oneshot::Sender<Bytes>,
}

type Waiting = Arc<Mutex<VecDeque<oneshot::Sender<Bytes>>>>;

/// Starts the Python loop, prints `listening ADDRESS` and serves until it is ended.
pub fn serve(arguments: &[String]) -> Result<()> {
    if let [python, script, package, kind] = arguments
        && kind == "stream"
    {
        return super::stream::serve(python, script, package);
    }
    let [python, script, package] = arguments else {
        return Err("the floor wants PYTHON LOOP PACKAGE; it is started by the benchmarks".into());
    };
    let (ours, theirs) = StdUnixStream::pair().map_err(|e| format!("no socket: {e}"))?;
    let mut python = Command::new(python)
        .args([script, package])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(|e| format!("{python} cannot be started: {e}"))?;
    // A thread of its own: the caller may itself be inside a runtime.
    let served = std::thread::spawn(move || -> std::io::Result<()> {
        ours.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(listen(ours))
    });
    let result = served.join().map_err(|_| "the floor panicked".to_string())?;
    let ended = python.wait();
    result.map_err(|e| format!("the floor stopped: {e} (its Python loop: {ended:?})"))
}

async fn listen(worker: StdUnixStream) -> std::io::Result<()> {
    let (mut from_worker, to_worker) = UnixStream::from_std(worker)?.into_split();
    // The loop says by an empty frame that the package is loaded.
    from_worker.read_u32().await?;
    let (trips, queue) = mpsc::unbounded_channel();
    let waiting = Waiting::default();
    tokio::spawn(write_frames(to_worker, queue, waiting.clone()));
    let mut reader = tokio::spawn(read_frames(from_worker, waiting));

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // Without it answers would still be right, only later.
        let _ = stream.set_nodelay(true);
    });
    let app = Router::new().route("/", post(hand_over)).with_state(trips);
    tokio::select! {
        served = axum::serve(listener, app) => served,
        read = &mut reader => read?,
    }
}

async fn hand_over(State(trips): State<mpsc::UnboundedSender<Trip>>, body: Bytes) -> Response {
    let (answer, answered) = oneshot::channel();
    if trips.send(Trip { body, answer }).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match answered.await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Writes what is queued, all of it in one write.
async fn write_frames(
    mut worker: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Trip>,
    waiting: Waiting,
) -> std::io::Result<()> {
    let (mut trips, mut bytes) = (Vec::with_capacity(64), Vec::with_capacity(64 * 1024));
    while queue.recv_many(&mut trips, 64).await > 0 {
        bytes.clear();
        line_up(&mut trips, &mut bytes, &waiting);
        worker.write_all(&bytes).await?;
    }
    Ok(())
}

fn line_up(trips: &mut Vec<Trip>, bytes: &mut Vec<u8>, waiting: &Waiting) {
    let mut senders = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    for trip in trips.drain(..) {
        // axum takes no body above 2 MiB, so its length always fits.
        bytes.extend_from_slice(&(trip.body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&trip.body);
        senders.push_back(trip.answer);
    }
}

/// Hands each frame to the one who has waited longest: the loop answers in order.
async fn read_frames(mut worker: OwnedReadHalf, waiting: Waiting) -> std::io::Result<()> {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    while worker.read_buf(&mut buffer).await? > 0 {
        while let Some(frame) = cut_frame(&mut buffer) {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some(answer) = next {
                // The client may have gone meanwhile.
                let _ = answer.send(frame);
            }
        }
        buffer.reserve(16 * 1024);
    }
    Err(std::io::Error::other("the Python loop ended"))
}

fn cut_frame(buffer: &mut BytesMut) -> Option<Bytes> {
    let length = u32::from_be_bytes(buffer.get(..4)?.try_into().ok()?) as usize;
    if buffer.len() < 4 + length {
        return None;
    }
    buffer.advance(4);
    Some(buffer.split_to(length).freeze())
}
