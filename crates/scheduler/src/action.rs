//! What a plan answers.

use modelyard_types::{InstanceId, VersionId};

/// One thing to do, or to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start one instance of the version's present generation.
    Start {
        /// Which version.
        version: VersionId,
        /// Which of its choices the instance takes: its place among them.
        choice: usize,
    },
    /// Stop an instance. One that works on requests finishes them first.
    Stop {
        /// Which instance.
        instance: InstanceId,
        /// Why.
        reason: StopReason,
    },
    /// The version needs an instance, and there is no room. Its requests go on waiting; show the sentence.
    CannotPlace {
        /// Which version.
        version: VersionId,
        /// What is missing.
        why: String,
    },
    /// The version has several choices and wants an instance that this plan does not start. Tell the next plan since when that
    /// has been said without a break: the choices after the first are tried in time.
    Waits {
        /// Which version.
        version: VersionId,
    },
    /// The version's instances do not start: refuse what waits for it now.
    GiveUp {
        /// Which version.
        version: VersionId,
    },
}

/// Why an instance is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It had nothing to do for longer than the version allows.
    Idle,
    /// The version has more than its maximum.
    AboveMaximum,
    /// It was made from an older revision or older settings.
    Outdated,
    /// It had nothing to do, and another version needs its room.
    MakeRoom,
    /// The version is gone or may not run.
    Unavailable,
}
