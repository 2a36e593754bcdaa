//! Which versions a change of variables concerns: those that see another value, and no others.

use std::collections::HashMap;

use modelyard_store::{Tx, Variable, Version, variables};
use modelyard_types::Result;
use uuid::Uuid;

use super::owner::{Of, Owner};
use crate::secrets::Keyring;
use crate::versions::renew_instances;

/// All variables of some names in a project.
pub(super) struct View {
    names: Vec<String>,
    rows: HashMap<(Uuid, String), Variable>,
}

impl View {
    /// Reads those of these names; nothing for an environment, whose variables no instance has.
    pub(super) async fn of(tx: &mut Tx, owner: &Owner, names: Vec<String>) -> Result<Self> {
        let mut view = Self { names: Vec::new(), rows: HashMap::new() };
        if matches!(owner.of, Of::Environment(..)) {
            return Ok(view);
        }
        for name in names {
            let rows = variables::named(&mut *tx, owner.project.id, &name).await?;
            view.rows.extend(rows.into_iter().map(|row| ((row.owner_id, row.name.clone()), row)));
            view.names.push(name);
        }
        Ok(view)
    }

    /// Has the instances of versions replaced that see something else now.
    pub(super) async fn renew_concerned(&self, tx: &mut Tx, owner: &Owner, keys: &Keyring) -> Result<()> {
        let after = Self::of(tx, owner, self.names.clone()).await?;
        let mut concerned = owner.versions(tx).await?;
        concerned.retain(|version| {
            self.names.iter().any(|name| differ(self.seen(version, name), after.seen(version, name), keys))
        });
        renew_instances(tx, concerned).await
    }

    /// What a version has under a name.
    fn seen(&self, version: &Version, name: &str) -> Option<&Variable> {
        let levels = [version.id.0, version.deployment_id.0, version.project_id.0];
        levels.into_iter().find_map(|owner| self.rows.get(&(owner, name.to_owned())))
    }
}

/// Whether an instance would notice: by another value, or by log lines in which it is hidden now.
fn differ(before: Option<&Variable>, after: Option<&Variable>, keys: &Keyring) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return before.is_some() != after.is_some() };
    if before.is_secret() != after.is_secret() {
        return true;
    }
    if (&before.value, &before.sealed) == (&after.value, &after.sealed) && before.id == after.id {
        return false;
    }
    match (keys.plain(before), keys.plain(after)) {
        (Ok(before), Ok(after)) => before != after,
        _ => true,
    }
}
