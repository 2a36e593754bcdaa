//! Runs a confined program to its end: its lines as they come, its time, its cancellation.

use std::{fs, io, process::ExitStatus, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Child,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::confined::{Confined, has_namespaces, spawn};

/// Longer lines are cut; the rest of them is dropped.
const LONGEST_LINE: usize = 4 << 10;
/// Lines kept for the message, counted from the end.
const LINES_KEPT: usize = 400;
/// How long output may be read after the program ended, should something still hold its pipe.
const AFTER_THE_END: Duration = Duration::from_secs(2);

/// The variable by which a program's processes are known to be its own.
const MARK: &str = "MODELYARD_RUN";
const SWEEPS: usize = 10;

/// How a program ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    Done(Done),
    /// It was ended because its time was up.
    TimedOut,
    /// It was ended because somebody said so.
    Cancelled,
}

/// What is left of a program that ended by itself.
#[derive(Debug)]
pub(crate) struct Done {
    pub status: ExitStatus,
    /// What it wrote to its output, up to the limit.
    pub output: Vec<u8>,
    /// The last lines it wrote to its error output.
    pub errors: Vec<String>,
    /// Whether one of its processes was ended for want of memory.
    pub out_of_memory: bool,
}

/// Limits of one run.
pub(crate) struct Run<'a> {
    pub time: Duration,
    pub cancel: &'a CancellationToken,
    /// Bytes of output that are kept.
    pub most_output: u64,
    /// Gets each line of the error output as it comes.
    pub log: &'a (dyn Fn(&str) + Send + Sync),
}

/// Runs the program. Whatever the end, and also when the future is dropped, its whole process group is ended.
pub(crate) async fn run(mut confined: Confined, run: &Run<'_>) -> io::Result<Ended> {
    let mark = uuid::Uuid::new_v4().to_string();
    confined.env.push((MARK.into(), mark.clone().into()));
    let mut child = spawn(&confined).await?;
    let mut group = Group { id: child.id(), mark };
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?.take(run.most_output);
    let errors = child.stderr.take().ok_or_else(|| io::Error::other("no pipe"))?;
    let mut kept = Vec::new();
    let mut bytes = Vec::new();
    let mut whole = false;
    let ended = {
        let reading = async { tokio::join!(read_all(output, &mut bytes), read_lines(errors, run.log, &mut kept)) };
        tokio::pin!(reading);
        let time = tokio::time::sleep(run.time);
        tokio::pin!(time);
        let ended = loop {
            tokio::select! {
                status = child.wait() => break Some(status?),
                _ = &mut reading, if !whole => whole = true,
                () = run.cancel.cancelled() => break None,
                () = &mut time => break None,
            }
        };
        group.end();
        if !whole {
            // Until nobody holds the pipes any more: the processes of a namespace end a moment after its first one.
            let _ = timeout(AFTER_THE_END, &mut reading).await;
        }
        ended
    };
    match ended {
        Some(status) => Ok(Ended::Done(Done { status, output: bytes, errors: kept, out_of_memory: false })),
        None => {
            reap(&mut child).await;
            Ok(if run.cancel.is_cancelled() { Ended::Cancelled } else { Ended::TimedOut })
        }
    }
}

async fn reap(child: &mut Child) {
    if let Err(error) = child.wait().await {
        tracing::warn!(%error, "a confined program could not be waited for");
    }
}

async fn read_all(mut from: impl AsyncRead + Unpin, to: &mut Vec<u8>) {
    let _ = from.read_to_end(to).await;
}

async fn read_lines(from: impl AsyncRead + Unpin, log: &(dyn Fn(&str) + Send + Sync), kept: &mut Vec<String>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(true) = read_line(&mut from, &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text = super::doctor::without_credentials(text.trim_end());
        log(&text);
        if kept.len() == LINES_KEPT {
            kept.remove(0);
        }
        kept.push(text);
        line.clear();
    }
}

/// Reads one line into `line`, of which only the start is kept; false at the end.
async fn read_line(from: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let bytes = from.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        line.extend(&part[..part.len().min(LONGEST_LINE.saturating_sub(line.len()))]);
        let used = end.map_or(bytes.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// A process group that is ended once, at the latest when this is dropped, and with it what left it.
struct Group {
    id: Option<u32>,
    mark: String,
}

impl Group {
    fn end(&mut self) {
        let Some(id) = self.id.take().and_then(|id| i32::try_from(id).ok()) else { return };
        // SAFETY: a plain system call. The id is that of our child, which leads its group; it was not waited for, or only
        // just now, and ids are not given again so soon.
        unsafe { libc::kill(-id, libc::SIGKILL) };
        if !has_namespaces() {
            end_marked(&self.mark);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends the processes that have the mark in their environment, where no PID namespace does it. One that wiped its
/// environment stays.
fn end_marked(mark: &str) {
    let mark = format!("{MARK}={mark}");
    let marked = |id: &i32| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    // Again while there are any: some may just be making others.
    for _ in 0..SWEEPS {
        let names = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let found: Vec<i32> = names.filter_map(|name| name.parse().ok()).filter(marked).collect();
        if found.is_empty() {
            return;
        }
        for id in found {
            // SAFETY: a plain system call on a process that has our mark.
            unsafe { libc::kill(id, libc::SIGKILL) };
        }
    }
}
