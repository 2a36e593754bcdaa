//! Which of a version's choices for a new instance are tried now.

use std::time::Duration;

use modelyard_types::Timestamp;

use crate::load::VersionLoad;
use crate::room::Size;

/// The choices that are tried now.
pub(crate) struct Open {
    /// Each with its place among all, the first choice first.
    pub(crate) choices: Vec<(usize, Size)>,
    /// How long the version must have waited for the next one to be tried, too, if there is one.
    pub(crate) next_after: Option<Duration>,
}

impl Open {
    /// The first choice, and of the others those before which the version has waited for long enough. What is larger than the
    /// whole host is passed over at once, unless there is nothing else.
    pub(crate) fn of(version: &VersionLoad, host: Size, now: Timestamp) -> Self {
        let waited = version.waits_since.map_or(Duration::ZERO, |since| now.since(since));
        let all = || version.choices.iter().enumerate().map(|(place, choice)| (place, Size::of_new(choice)));
        let mut choices = Vec::new();
        let mut due = Duration::ZERO;
        for (place, size) in all().filter(|(_, size)| host.holds(*size)) {
            if waited < due {
                return Self { choices, next_after: Some(due) };
            }
            choices.push((place, size));
            due = due.saturating_add(version.choices[place].patience);
        }
        if choices.is_empty() {
            choices.extend(all().next());
        }
        Self { choices, next_after: None }
    }

    /// The one that needs the least.
    pub(crate) fn least(&self) -> Size {
        let sizes = self.choices.iter().map(|(_, size)| *size);
        sizes.min_by_key(|size| (size.memory, size.accelerators)).unwrap_or_default()
    }
}
