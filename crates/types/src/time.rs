//! Points in time, as the database keeps them and as the wire shows them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

/// Microseconds since 1970 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The present, by the system's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// This time and `by` more.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This time less `by`.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long it is since `earlier`; nothing when that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// ISO 8601 with microseconds and `Z`, the form of objects.
    pub fn object_text(self) -> String {
        self.text("%Y-%m-%dT%H:%M:%S%.6fZ")
    }

    /// ISO 8601 with milliseconds and `+00:00`, the form of requests, logs and audit events.
    pub fn request_text(self) -> String {
        self.text("%Y-%m-%dT%H:%M:%S%.3f+00:00")
    }

    fn text(self, form: &str) -> String {
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        at.to_zoned(TimeZone::UTC).strftime(form).to_string()
    }

    /// Reads an ISO 8601 date or date and time; without a zone it is UTC. Nothing for other text.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().replace(' ', "+");
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Some(Self(at.as_microsecond()));
        }
        // A blank before the time is as good as a `T`; in a query a blank stands for a `+`, too.
        let civil = text.replacen('+', "T", usize::from(!text.contains('T')));
        if let Ok(at) = civil.parse::<jiff::Timestamp>() {
            return Some(Self(at.as_microsecond()));
        }
        let at = civil.parse::<jiff::civil::DateTime>().ok()?;
        Some(Self(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond()))
    }
}

/// A time in the form of objects; serializes as [`Timestamp::object_text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct ObjectTime(pub Timestamp);

impl Serialize for ObjectTime {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.object_text())
    }
}

/// A time in the form of requests; serializes as [`Timestamp::request_text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct RequestTime(pub Timestamp);

impl Serialize for RequestTime {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.request_text())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn shows_objects_and_requests_in_their_forms() {
        let at = Timestamp(1_700_000_000_123_456);
        assert_eq!(at.object_text(), "2023-11-14T22:13:20.123456Z");
        assert_eq!(at.request_text(), "2023-11-14T22:13:20.123+00:00");
    }

    #[test]
    fn reads_what_clients_send() {
        let want = Timestamp(1_700_000_000_000_000);
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:20+00:00",
            "2023-11-14T22:13:20 00:00",
            "2023-11-14 22:13:20",
            "2023-11-14T22:13:20",
            "2023-11-14T23:13:20+01:00",
        ] {
            assert_eq!(Timestamp::parse(text), Some(want), "{text}");
        }
        assert_eq!(Timestamp::parse("2023-11-14").unwrap().object_text(), "2023-11-14T00:00:00.000000Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
