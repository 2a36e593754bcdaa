//! Who may call what: the guards that handlers take as their second argument.
//!
//! A guard reads the token and the path, finds the actor and what the path names in the catalogue, and asks
//! [`modelyard_control::access::allows`]. What a caller may not even see was not found; what it may see but not
//! touch is forbidden. A handler without a guard cannot be registered: see [`crate::routing`].

mod guards;
mod project;
pub(crate) mod token;

use std::sync::Arc;

use axum::http::request::Parts;
use modelyard_control::access::{Actor, Scope, allows};
use modelyard_types::{Error, Result};

pub use guards::{ByBody, InInstallation, InOrganization, Public, SignedIn, Visible};
pub use project::{InProject, OnBucket, OnDeployment, OnVersion, VisibleInProject};

use crate::App;

/// What a guard demands, as the document shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The permission; none for what is open to everyone or to everyone who is signed in.
    pub permission: Option<&'static str>,
    /// What the permission is asked for: `public`, `user`, `installation`, `organization`, `project`, `deployment`,
    /// `bucket`.
    pub scope: &'static str,
}

/// A handler's argument that decides who may call it.
pub trait Guard: sealed::Sealed {
    /// What it demands.
    const DEMAND: Demand;
}

mod sealed {
    /// Only the guards of this module count as such.
    pub trait Sealed {}
}
use sealed::Sealed;

/// The signed-in caller. Nobody is let in while this server does not know what was revoked.
fn actor(app: &App, parts: &Parts) -> Result<Arc<Actor>> {
    require_fresh(app)?;
    let token = token::of(&parts.headers)?;
    app.control().catalogue().actor(token).ok_or_else(token::unknown)
}

fn require_fresh(app: &App) -> Result<()> {
    if app.control().catalogue().is_fresh() {
        return Ok(());
    }
    Err(Error::Unavailable("The server has lost touch with its database; try again soon".into()))
}

/// Lets the actor pass, or refuses: with `unseen` when the actor may not see what `scope` names, as if it were not there.
fn require(actor: &Actor, scope: Scope, permission: &'static str, sees: &'static str, unseen: Error) -> Result<()> {
    if allows(actor, scope, permission) {
        return Ok(());
    }
    Err(if allows(actor, scope, sees) { Error::Forbidden } else { unseen })
}
