//! The lane's sense of time, which tests turn by hand.

use std::time::Instant;

/// Where a lane reads the time.
#[derive(Clone, Debug, Default)]
pub(crate) enum Clock {
    /// The system's monotonic clock.
    #[default]
    System,
    /// A clock that stands still until a test turns it.
    #[cfg(test)]
    Manual(Instant, std::sync::Arc<std::sync::atomic::AtomicU64>),
}

impl Clock {
    /// The present.
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            #[cfg(test)]
            Self::Manual(start, millis) => {
                *start + std::time::Duration::from_millis(millis.load(std::sync::atomic::Ordering::SeqCst))
            }
        }
    }
}
