//! Tells a version that there is no room for its instances: once, not with each look of the scaler.

use std::collections::HashMap;
use std::time::Duration;

use modelyard_store::logs::{Level, LogLine};
use modelyard_types::{Timestamp, VersionId};

use crate::Inner;
use crate::running::labels;

/// After so long without a word a shortage of room is a new one.
const QUIET: Duration = Duration::from_secs(60);

/// The versions that found no room lately, and when that was the last time.
#[derive(Default)]
pub(crate) struct Unplaced(HashMap<VersionId, Timestamp>);

impl Unplaced {
    /// A version finds no room now; its log and the server's are told if that is news.
    pub(super) fn tell(&mut self, control: &Inner, version: VersionId, why: &str, now: Timestamp) {
        if !self.is_news(version, now) {
            return;
        }
        tracing::warn!(%version, why, "an instance finds no room");
        let Some((project, deployment, version)) = control.catalogue.version(version) else { return };
        let Some(code) = &version.code else { return };
        control.log_sink.push(LogLine {
            project_id: project.id,
            at_ns: now.0 * 1_000,
            level: Level::Error,
            text: format!("There is no room for an instance. {why}"),
            labels: labels(&deployment, &version, code),
        });
    }

    fn is_news(&mut self, version: VersionId, now: Timestamp) -> bool {
        self.0.retain(|_, last| now.since(*last) <= QUIET);
        self.0.insert(version, now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_news_once_until_it_has_been_over_for_a_while() {
        let (mut unplaced, version, start) = (Unplaced::default(), VersionId::new(), Timestamp::now());
        let mut at = |seconds| unplaced.is_news(version, start.plus(Duration::from_secs(seconds)));
        assert!(at(0));
        assert!((1..300).all(|second| !at(second)), "it goes on");
        assert!(!at(359), "it comes again soon");
        assert!(at(420));
        assert!(unplaced.is_news(VersionId::new(), start), "another version has its own");
    }
}
