//! Takes log lines from anywhere and writes them in groups. Bounded: what cannot be written in time is counted, and said.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use modelyard_store::LogStore;
use modelyard_store::logs::LogLine;
use modelyard_types::Error;
use tokio::sync::Notify;

use crate::loops::caught;

/// The most bytes of lines that may wait.
const MAX_WAITING: usize = 32 << 20;
/// What a line costs beside its text: its labels, a few of which are texts of their own.
const LINE_COST: usize = size_of::<LogLine>() + 256;
/// How long readers wait for lines on their way to the store.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long lines wait for company.
const LINGER: Duration = Duration::from_millis(25);

#[derive(Default)]
struct Waiting {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: u64,
    taken: u64,
}

/// Where lines go. Cheap to clone.
#[derive(Clone, Default)]
pub struct LogSink {
    waiting: Arc<Mutex<Waiting>>,
    nudge: Arc<Notify>,
    written: Arc<tokio::sync::watch::Sender<u64>>,
}

impl LogSink {
    /// Takes a line. Never waits; a line for which there is no room is counted and dropped.
    pub fn push(&self, line: LogLine) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = line.text.len() + LINE_COST;
        if waiting.bytes + cost > MAX_WAITING {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes += cost;
        waiting.taken += 1;
        waiting.lines.push(line);
        if waiting.lines.len() == 1 {
            self.nudge.notify_one();
        }
    }

    /// Waits until all lines taken so far are written, for readers that want to see their own. When the store is slow they
    /// see what there is.
    pub async fn barrier(&self) {
        let target = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).taken;
        let mut written = self.written.subscribe();
        let _ = tokio::time::timeout(PATIENCE, written.wait_for(|done| *done >= target)).await;
    }

    /// Writes for ever; the one task that does.
    pub(crate) async fn run(&self, store: &LogStore) {
        loop {
            self.write(store).await;
            self.nudge.notified().await;
            tokio::time::sleep(LINGER).await;
        }
    }

    async fn write(&self, store: &LogStore) {
        let (lines, dropped) = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.bytes = 0;
            (std::mem::take(&mut waiting.lines), std::mem::take(&mut waiting.dropped))
        };
        if dropped > 0 {
            tracing::warn!(dropped, "log lines were dropped: they came faster than they can be written");
        }
        if lines.is_empty() {
            return;
        }
        let mut pause = Duration::from_millis(50);
        // A panic counts as a failure: those who wait for these lines must not wait in vain.
        while let Err(cause) = caught(async { Ok(store.append(&lines).await?) }).await {
            if !matches!(cause, Error::Internal(_)) {
                tracing::error!(%cause, lines = lines.len(), "the store refuses log lines; they are dropped");
                break;
            }
            tracing::error!(%cause, lines = lines.len(), "log lines could not be written; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        self.written.send_modify(|done| *done += lines.len() as u64);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use modelyard_store::logs::{Level, LogLabels};
    use modelyard_types::ProjectId;

    use super::*;

    fn line(project: ProjectId, text: String) -> LogLine {
        LogLine { project_id: project, at_ns: 1, level: Level::Info, text, labels: LogLabels::default() }
    }

    #[tokio::test]
    async fn lines_are_bounded_and_the_rest_is_counted() {
        let folder = tempfile::TempDir::new().unwrap();
        let store = LogStore::open(folder.path().join("logs.db").to_str().unwrap()).await.unwrap();
        let (sink, project) = (LogSink::default(), ProjectId::new());
        for _ in 0..40 {
            sink.push(line(project, "x".repeat(1 << 20)));
        }
        {
            let waiting = sink.waiting.lock().unwrap();
            assert_eq!((waiting.lines.len(), waiting.dropped), (31, 9));
            assert!(waiting.bytes <= MAX_WAITING);
        }
        // Those that were there before it began are not forgotten, and a NUL does no harm.
        let writer = sink.clone();
        tokio::spawn(async move { writer.run(&store).await });
        sink.barrier().await;
        sink.push(line(project, "a\0b".into()));
        sink.barrier().await;
        assert_eq!(*sink.written.borrow(), 32);
        let store = LogStore::open(folder.path().join("logs.db").to_str().unwrap()).await.unwrap();
        assert!(store.get(project, 1).await.unwrap().is_some());
    }
}
