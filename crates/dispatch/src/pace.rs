//! Whether a version is quick enough to hand calls ahead: is the median of its recent run times within the limit?
//!
//! The median of a window exceeds a limit exactly when more than half of its samples do, so one bit a sample is enough. Until
//! [`ENOUGH`] calls have ended nothing is known, and a version that is not known counts as slow.

use std::time::Duration;

/// How many samples the window holds; odd, so that there is one median.
const WINDOW: u32 = 31;
/// How many samples it takes to judge.
const ENOUGH: u32 = 8;

/// The recent run times of a version, against its limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    slow: u32,
    seen: u32,
}

impl Pace {
    /// Counts a call that ran for `took`.
    pub(crate) fn note(&mut self, took: Duration, limit: Duration) {
        let mask = (1 << WINDOW) - 1;
        self.slow = (self.slow << 1 | u32::from(took > limit)) & mask;
        self.seen = (self.seen + 1).min(WINDOW);
    }

    /// Whether calls may be handed ahead.
    pub(crate) fn is_quick(&self) -> bool {
        self.seen >= ENOUGH && self.slow.count_ones() * 2 < self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(5);
    const QUICK: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_millis(9);

    fn pace(samples: &[Duration]) -> Pace {
        let mut pace = Pace::default();
        for took in samples {
            pace.note(*took, LIMIT);
        }
        pace
    }

    #[test]
    fn a_version_is_not_quick_before_it_is_known() {
        assert!(!pace(&[QUICK; 7]).is_quick());
        assert!(pace(&[QUICK; 8]).is_quick());
    }

    #[test]
    fn a_few_slow_calls_do_not_make_a_version_slow() {
        assert!(pace(&[QUICK, QUICK, SLOW, QUICK, SLOW, QUICK, QUICK, SLOW]).is_quick());
        assert!(!pace(&[QUICK, SLOW, SLOW, QUICK, SLOW, QUICK, SLOW, SLOW]).is_quick());
    }

    #[test]
    fn what_lies_before_the_window_is_forgotten() {
        let mut samples = vec![SLOW; 100];
        samples.extend([QUICK; 15]);
        assert!(!pace(&samples).is_quick());
        samples.push(QUICK);
        assert!(pace(&samples).is_quick());
    }
}
