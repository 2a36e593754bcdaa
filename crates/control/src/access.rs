//! Who may do what: one function, used by every route.

use modelyard_types::{BucketId, DeploymentId, OrganizationId, ProjectId, TokenId, UserId};

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user behind the token.
    pub user: UserId,
    /// The user's address, as audit events and requests show it.
    pub email: String,
    /// Whether the user administers the installation.
    pub is_admin: bool,
    /// The token that was shown.
    pub token: TokenId,
}

/// What a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The installation itself: organizations and the like.
    Installation,
    /// An organization.
    Organization(OrganizationId),
    /// A project.
    Project(ProjectId),
    /// A deployment of a project.
    Deployment(ProjectId, DeploymentId),
    /// A bucket of a project.
    Bucket(ProjectId, BucketId),
}

/// Whether `actor` may do what `permission` names to what `scope` names.
///
/// The administrator may do everything. Nobody else has a role yet, so nobody else may do anything.
pub fn allows(actor: &Actor, scope: Scope, permission: &'static str) -> bool {
    let _ = (scope, permission);
    actor.is_admin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_administrator_may_do_anything() {
        let admin = Actor { user: UserId::new(), email: "a@b.c".into(), is_admin: true, token: TokenId::new() };
        let other = Actor { is_admin: false, ..admin.clone() };
        assert!(allows(&admin, Scope::Project(ProjectId::new()), "projects.get"));
        assert!(!allows(&other, Scope::Project(ProjectId::new()), "projects.get"));
    }
}
