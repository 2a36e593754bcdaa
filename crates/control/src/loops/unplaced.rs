//! Versions that find no room for their instances. They are told so once, not with each look of the scaler; and it is kept
//! since when they wait, so that other kinds of their group are tried in time. A server that starts anew begins to count anew.

use std::collections::HashMap;
use std::time::Duration;

use modelyard_scheduler::{Action, VersionLoad};
use modelyard_store::logs::{Level, LogLine};
use modelyard_types::{Timestamp, VersionId};

use crate::Inner;
use crate::running::labels;

/// After so long without a word a shortage of room is a new one.
const QUIET: Duration = Duration::from_secs(60);

/// The versions that found no room lately.
#[derive(Default)]
pub(crate) struct Unplaced {
    /// When that was the last time.
    told: HashMap<VersionId, Timestamp>,
    /// Which wait with an instance for which there are several kinds, in which generation, and since when.
    waiting: HashMap<VersionId, (u64, Timestamp)>,
}

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
        self.told.retain(|_, last| now.since(*last) <= QUIET);
        self.told.insert(version, now).is_none()
    }

    /// Since when a version has waited, in its present generation.
    pub(super) fn waits_since(&self, load: &VersionLoad) -> Option<Timestamp> {
        let (generation, since) = self.waiting.get(&load.version)?;
        (*generation == load.generation).then_some(*since)
    }

    /// Keeps which versions wait after this plan: those that did before have waited all the time.
    pub(super) fn note_waiting(&mut self, loads: &[VersionLoad], actions: &[Action], now: Timestamp) {
        let waits = |load: &&VersionLoad| actions.contains(&Action::Waits { version: load.version });
        let noted = |load: &VersionLoad| (load.version, (load.generation, load.waits_since.unwrap_or(now)));
        self.waiting = loads.iter().filter(waits).map(noted).collect();
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

    #[test]
    fn a_version_waits_from_the_first_plan_in_a_row_that_says_so() {
        let (mut unplaced, start) = (Unplaced::default(), Timestamp::now());
        let load = |generation| VersionLoad { generation, ..super::super::scaling::gone(VersionId::GREATEST) };
        let mut look = |generation, waits: bool, second| {
            let (mut load, now) = (load(generation), start.plus(Duration::from_secs(second)));
            load.waits_since = unplaced.waits_since(&load);
            let actions: Vec<_> = waits.then_some(Action::Waits { version: load.version }).into_iter().collect();
            unplaced.note_waiting(std::slice::from_ref(&load), &actions, now);
            load.waits_since.map(|since| since.since(start).as_secs())
        };
        assert_eq!([look(1, true, 0), look(1, true, 1), look(1, true, 9)], [None, Some(0), Some(0)]);
        assert_eq!([look(1, false, 10), look(1, true, 11), look(1, true, 12)], [Some(0), None, Some(11)]);
        assert_eq!([look(2, true, 13), look(2, true, 14)], [None, Some(13)], "new kinds have a time of their own");
    }
}
