//! Ids: one type a noun, all UUIDv7, so that they sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        #[expect(clippy::new_without_default, reason = "a fresh id is not a neutral value")]
        impl $name {
            /// Later in order than every id that is made.
            pub const GREATEST: Self = Self(Uuid::max());

            /// Makes a fresh id, later in order than all made before in this process.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The time the id carries, to the millisecond; the epoch for a foreign kind of UUID.
            pub fn made_at(&self) -> Timestamp {
                let millis = self.0.get_timestamp().map_or(0, |at| {
                    let (seconds, nanos) = at.to_unix();
                    i64::try_from(seconds).unwrap_or(0) * 1_000 + i64::from(nanos) / 1_000_000
                });
                Timestamp(millis * 1_000)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

ids! {
    /// An organization.
    OrganizationId,
    /// A project.
    ProjectId,
    /// A person or program that signs in.
    UserId,
    /// A credential of a user.
    TokenId,
    /// A deployment.
    DeploymentId,
    /// A deployment version.
    VersionId,
    /// A revision of a version's code; also the id of its build, as older clients know it.
    RevisionId,
    /// An environment.
    EnvironmentId,
    /// A tag of an environment.
    TagId,
    /// A revision of an environment tag.
    EnvironmentRevisionId,
    /// A build of an environment revision.
    EnvironmentBuildId,
    /// A request.
    RequestId,
    /// A message in the outbox.
    OutboxId,
    /// A running instance of a version.
    InstanceId,
    /// Something that happened to an instance.
    InstanceEventId,
    /// A kind of instance.
    InstanceTypeId,
    /// A group of kinds of instances.
    InstanceTypeGroupId,
    /// An environment variable.
    VariableId,
    /// An audit event.
    AuditEventId,
    /// A bucket.
    BucketId,
    /// A place for files that knows nothing of what it is for.
    ContainerId,
    /// A file as it was written once; overwritten it is another.
    FileId,
    /// A blob.
    BlobId,
    /// An address that was signed.
    TicketId,
    /// A log line.
    LogId,
    /// A server of the installation.
    ServerId,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let ids: Vec<_> = (0..100).map(|_| RequestId::new()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn ids_survive_text() {
        let id = ProjectId::new();
        assert_eq!(id.to_string().parse::<ProjectId>().unwrap(), id);
    }

    #[test]
    fn an_id_knows_when_it_was_made() {
        let before = Timestamp::now();
        let made = RequestId::new().made_at();
        assert!(made.0 + 1_000 >= before.0 && made.0 <= Timestamp::now().0);
    }
}
