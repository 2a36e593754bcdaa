//! Guards of the installation and its organizations, and those that need no permission.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use modelyard_control::access::{Actor, Scope, allows};
use modelyard_store::{Organization, organizations};
use modelyard_types::permissions::{Permission, can};
use modelyard_types::{Error, Kind};

use super::{Demand, Guard, Sealed, actor, require, require_fresh};
use crate::App;
use crate::error::{Refusal, Result, not_found};
use crate::path::value_of;

/// Open to everyone, signed in or not.
pub struct Public(());

/// Open to everyone who is signed in.
pub struct SignedIn {
    /// Who is calling.
    pub actor: Arc<Actor>,
}

/// For those who have `P` on the installation.
pub struct InInstallation<P> {
    /// Who is calling.
    pub actor: Arc<Actor>,
    permission: PhantomData<P>,
}

/// For those who have `P` on something that the body names; the actor comes out only against a check of it.
pub struct ByBody<P> {
    actor: Arc<Actor>,
    permission: PhantomData<P>,
}

/// For those who have `P` on the organization in the path.
pub struct InOrganization<P> {
    /// Who is calling.
    pub actor: Arc<Actor>,
    /// The organization.
    pub organization: Organization,
    permission: PhantomData<P>,
}

/// For lists across the installation: lets everyone who is signed in pass, and shows each what it may see.
pub struct Visible<P> {
    /// Who is calling.
    pub actor: Arc<Actor>,
    permission: PhantomData<P>,
}

impl<P: Permission> Visible<P> {
    /// Whether the caller may see what `scope` names.
    pub fn sees(&self, scope: Scope) -> bool {
        allows(&self.actor, scope, P::NAME)
    }
}

impl<P: Permission> ByBody<P> {
    /// The actor, if it may do this to `organization`; otherwise the organization was not found, or is not its to use.
    pub fn in_organization(self, organization: &Organization) -> Result<Arc<Actor>> {
        let scope = Scope::Organization(organization.id);
        let unseen = Error::NotFound(Kind::Organization);
        require(&self.actor, scope, P::NAME, <can::OrganizationsGet as Permission>::NAME, unseen)?;
        Ok(self.actor)
    }
}

macro_rules! demands {
    ($($guard:ty $(where $p:ident)?: $permission:expr, $scope:literal;)*) => {$(
        impl $(<$p: Permission>)? Sealed for $guard {}
        impl $(<$p: Permission>)? Guard for $guard {
            const DEMAND: Demand = Demand { permission: $permission, scope: $scope };
        }
    )*};
}
pub(super) use demands;

demands! {
    Public: None, "public";
    SignedIn: None, "user";
    InInstallation<P> where P: Some(P::NAME), "installation";
    ByBody<P> where P: Some(P::NAME), "organization";
    InOrganization<P> where P: Some(P::NAME), "organization";
    Visible<P> where P: Some(P::NAME), "installation";
}

impl FromRequestParts<App> for Public {
    type Rejection = Refusal;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self> {
        Ok(Self(require_fresh(app)?))
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Ok(Self { actor: actor(app, parts)? })
    }
}

impl<P: Permission> FromRequestParts<App> for InInstallation<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let actor = actor(app, parts)?;
        if !allows(&actor, Scope::Installation, P::NAME) {
            return Err(Refusal(Error::Forbidden));
        }
        Ok(Self { actor, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<App> for ByBody<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Ok(Self { actor: actor(app, parts)?, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<App> for Visible<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Ok(Self { actor: actor(app, parts)?, permission: PhantomData })
    }
}

impl<P: Permission> FromRequestParts<App> for InOrganization<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let actor = actor(app, parts)?;
        let unseen = || Error::NotFound(Kind::Organization);
        let name = value_of(parts.uri.path(), "organizations").ok_or_else(unseen)?;
        let found = organizations::get_by_name(app.control().store(), &name).await?;
        let organization = found.ok_or_else(|| not_found(Kind::Organization))?;
        let scope = Scope::Organization(organization.id);
        require(&actor, scope, P::NAME, <can::OrganizationsGet as Permission>::NAME, unseen())?;
        Ok(Self { actor, organization, permission: PhantomData })
    }
}
