//! The rules of organizations.

use modelyard_store::{Organization, Refusal, organizations};
use modelyard_types::audit::AuditAction;
use modelyard_types::organizations::{OrganizationCreate, OrganizationUpdate};
use modelyard_types::{Error, Kind, OrganizationId, Patch, Result, Timestamp};

use crate::Control;
use crate::access::Actor;
use crate::audit::{self, Changes, Place};

/// The subscription of an organization for which none is named.
const FREE: &str = "free";

impl Control {
    /// Creates an organization.
    pub async fn create_organization(&self, by: &Actor, new: OrganizationCreate) -> Result<Organization> {
        if new.voucher.is_some() {
            return Err(Error::invalid("voucher: vouchers are not offered"));
        }
        refuse_second_factor(new.two_factor_authentication_forced)?;
        let organization = Organization {
            id: OrganizationId::new(),
            name: new.name,
            subscription: new.subscription.filter(|name| !name.is_empty()).unwrap_or_else(|| FREE.to_owned()),
            subscription_start_date: None,
            subscription_end_date: new
                .subscription_end_date
                .map(|date| checked_date("subscription_end_date", date))
                .transpose()?,
            status: "active".into(),
            two_factor_forced: false,
            created_at: Timestamp::now(),
        };
        let mut tx = self.store().begin().await?;
        let taken = format!("organization '{}' already exists", organization.name);
        organizations::insert(&mut tx, &organization).await.taken(taken)?;
        let event = format!("Created organization {}", organization.name);
        let place = Place::organization(organization.id);
        audit::record(&mut tx, by, place, AuditAction::Create, ("organization", organization.name.as_str()), event)
            .await?;
        self.commit(tx, None).await?;
        Ok(organization)
    }

    /// Changes an organization.
    pub async fn update_organization(
        &self,
        by: &Actor,
        id: OrganizationId,
        change: OrganizationUpdate,
    ) -> Result<Organization> {
        refuse_second_factor(change.two_factor_authentication_forced.value().copied())?;
        let mut tx = self.store().begin().await?;
        let old = organizations::get(&mut tx, id).await?.ok_or(Error::NotFound(Kind::Organization))?;
        let mut new = old.clone();
        new.name = change.name.or(new.name);
        new.subscription = change.subscription.or(new.subscription);
        new.subscription_start_date =
            dated("subscription_start_date", change.subscription_start_date, new.subscription_start_date)?;
        new.subscription_end_date =
            dated("subscription_end_date", change.subscription_end_date, new.subscription_end_date)?;

        let mut changes = Changes::default();
        changes.note("name", &old.name, &new.name);
        changes.note("subscription", &old.subscription, &new.subscription);
        changes.note_json("subscription_start_date", &old.subscription_start_date, &new.subscription_start_date);
        changes.note_json("subscription_end_date", &old.subscription_end_date, &new.subscription_end_date);
        if changes.is_empty() {
            return Ok(old);
        }
        let taken = format!("organization '{}' already exists", new.name);
        organizations::update(&mut tx, &new).await.taken(taken)?;
        let event = changes.sentence(&format!("organization {}", old.name));
        let place = Place::organization(id);
        audit::record(&mut tx, by, place, AuditAction::Update, ("organization", new.name.as_str()), event).await?;
        self.commit_organization(tx, id).await?;
        Ok(new)
    }
}

fn refuse_second_factor(asked: Option<bool>) -> Result<()> {
    match asked {
        Some(true) => Err(Error::invalid("two_factor_authentication_forced: second factors are not offered yet")),
        _ => Ok(()),
    }
}

fn dated(what: &str, patch: Patch<String>, current: Option<String>) -> Result<Option<String>> {
    match patch {
        Patch::Keep => Ok(current),
        Patch::Clear => Ok(None),
        Patch::Set(date) => checked_date(what, date).map(Some),
    }
}

fn checked_date(what: &str, date: String) -> Result<String> {
    let whole = date.len() == 10 && Timestamp::parse(&date).is_some();
    if whole { Ok(date) } else { Err(Error::Invalid(format!("{what} must be a date of the form YYYY-MM-DD"))) }
}
