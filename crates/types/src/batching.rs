//! Dynamic batching: the labels of a version that say whether single requests are put together into one call.

use std::time::Duration;

use crate::labels::Labels;

/// The label with the most requests of one call.
pub const SIZE: &str = "modelyard-batch-size";
/// The label with the milliseconds that a request waits for others at most.
pub const WAIT: &str = "modelyard-batch-wait-ms";
/// The label that says whether requests of a call that failed are run again one by one.
pub const RERUN: &str = "modelyard-batch-rerun";

/// What all labels of batching begin with.
const PREFIX: &str = "modelyard-batch-";
/// How long a request waits for others if its version does not say.
const DEFAULT_WAIT: u64 = 5;

/// How single requests of a version are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// The most requests of one call.
    pub size: usize,
    /// How long a request waits for others at most.
    pub wait: Duration,
    /// Whether requests of a call that failed are run again one by one.
    pub rerun: bool,
}

impl Batching {
    /// What the labels say; nothing if they do not speak of batching.
    pub fn of(labels: &Labels) -> Result<Option<Self>, String> {
        let mut ours = labels.0.keys().filter(|key| key.starts_with(PREFIX));
        if let Some(unknown) = ours.find(|key| ![SIZE, WAIT, RERUN].contains(&key.as_str())) {
            return Err(format!(
                "Label '{unknown}' is not known; the labels of batching are {SIZE}, {WAIT} and {RERUN}"
            ));
        }
        let value = |key: &str| labels.0.get(key).map(String::as_str);
        let Some(size) = value(SIZE) else {
            let alone = [WAIT, RERUN].into_iter().find(|key| value(key).is_some());
            return match alone {
                Some(key) => Err(format!("Label '{key}' needs the label '{SIZE}' beside it")),
                None => Ok(None),
            };
        };
        let size = number(SIZE, size, 2, 250)?;
        let wait = value(WAIT).map_or(Ok(DEFAULT_WAIT), |wait| number(WAIT, wait, 0, 1000))?;
        let rerun = match value(RERUN) {
            None | Some("true") => true,
            Some("false") => false,
            Some(other) => return Err(format!("Label '{RERUN}' must be 'true' or 'false', and is '{other}'")),
        };
        let size = usize::try_from(size).map_err(|cause| cause.to_string())?;
        Ok(Some(Self { size, wait: Duration::from_millis(wait), rerun }))
    }
}

fn number(key: &str, text: &str, least: u64, most: u64) -> Result<u64, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("Label '{key}' must be a whole number between {least} and {most}, and is '{text}'")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn of(labels: &[(&str, &str)]) -> Result<Option<Batching>, String> {
        Batching::of(&Labels(labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()))
    }

    #[test]
    fn labels_say_how_requests_are_put_together() {
        assert_eq!(of(&[("team", "red"), ("modelyard-batches", "x")]), Ok(None));
        let batching = |size, wait, rerun| Ok(Some(Batching { size, wait: Duration::from_millis(wait), rerun }));
        assert_eq!(of(&[(SIZE, "2")]), batching(2, 5, true));
        assert_eq!(of(&[(SIZE, "250"), (WAIT, "0"), (RERUN, "false")]), batching(250, 0, false));
        assert_eq!(of(&[(SIZE, "64"), (WAIT, "1000"), (RERUN, "true")]), batching(64, 1000, true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for size in ["1", "251", "0", "-2", "+2", "", "2.0", "many", "99999999999999999999"] {
            let told = of(&[(SIZE, size)]).unwrap_err();
            assert_eq!(told, format!("Label '{SIZE}' must be a whole number between 2 and 250, and is '{size}'"));
        }
        assert!(of(&[(SIZE, "2"), (WAIT, "1001")]).unwrap_err().starts_with("Label 'modelyard-batch-wait-ms' must be"));
        assert!(of(&[(SIZE, "2"), (RERUN, "no")]).unwrap_err().ends_with("'true' or 'false', and is 'no'"));
        for key in [WAIT, RERUN] {
            assert_eq!(of(&[(key, "1")]), Err(format!("Label '{key}' needs the label '{SIZE}' beside it")));
        }
        assert!(of(&[("modelyard-batch-sise", "2")]).unwrap_err().starts_with("Label 'modelyard-batch-sise' is not"));
    }
}
