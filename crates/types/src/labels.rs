//! Labels: what users write on objects to find them again, and the filter over them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};

/// String keys and values on an object. A boolean or number sent as a value becomes text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let raw = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
        let mut labels = BTreeMap::new();
        for (key, value) in raw {
            let text = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Bool(flag) => flag.to_string(),
                serde_json::Value::Number(number) => number.to_string(),
                _ => {
                    return Err(D::Error::custom(format!("the value of label '{key}' must be a string")));
                }
            };
            check_part("key", &key).map_err(D::Error::custom)?;
            check_part("value", &text).map_err(D::Error::custom)?;
            labels.insert(key, text);
        }
        if labels.len() > MAX_LABELS {
            return Err(D::Error::custom(format!("an object has at most {MAX_LABELS} labels")));
        }
        Ok(Self(labels))
    }
}

/// The most labels on one object.
pub const MAX_LABELS: usize = 64;
/// The longest key or value of a label, in characters.
pub const MAX_LABEL: usize = 256;

fn check_part(what: &str, text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_LABEL {
        return Err(format!("a label's {what} has at most {MAX_LABEL} characters"));
    }
    if what == "key" && text.is_empty() {
        return Err("a label's key must not be empty".into());
    }
    if text.contains([',', ':']) {
        return Err(format!("a label's {what} must not contain ',' or ':': '{text}'"));
    }
    Ok(())
}

/// The query `labels=key:value,key2:value2`: an object matches when at least one pair does (semantics 0.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelFilter(Vec<(String, String)>);

impl LabelFilter {
    /// Reads the query value; refuses pairs without a colon.
    pub fn parse(text: Option<&str>) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in text.unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once(':') else {
                return Err(Error::invalid(format!(
                    "labels: '{pair}' is not of the form key:value; separate several by commas"
                )));
            };
            pairs.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        Ok(Self(pairs))
    }

    /// Whether an object with these labels passes; an empty filter lets all pass.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.is_empty() || self.0.iter().any(|(key, value)| labels.0.get(key) == Some(value))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn one_matching_pair_is_enough() {
        let labels = Labels(BTreeMap::from([("team".into(), "red".into())]));
        assert!(LabelFilter::parse(Some("team:blue,team:red")).unwrap().matches(&labels));
        assert!(!LabelFilter::parse(Some("team:blue")).unwrap().matches(&labels));
        assert!(LabelFilter::parse(None).unwrap().matches(&labels));
        assert!(LabelFilter::parse(Some("team")).is_err());
    }

    #[test]
    fn booleans_become_text() {
        let labels: Labels = serde_json::from_str(r#"{"a":true,"b":"x"}"#).unwrap();
        assert_eq!(labels.0["a"], "true");
        assert!(serde_json::from_str::<Labels>(r#"{"a":{}}"#).is_err());
    }
}
