//! The first start: key, organization, project, administrator and its token, so that a kill at any line heals at the next start.
//!
//! The token is written under a temporary name first, then one transaction makes everything that belongs to it, then
//! the file gets its name. A start that finds the transaction done finishes with the file; one that does not begins anew.

use std::fs;

use modelyard_store::{
    AuditEvent, Organization, Project, Refusal, Store, StoreError, Token, Tx, User, audit, catalogue, installation,
    organizations, projects, tokens, users,
};
use modelyard_types::audit::AuditAction;
use modelyard_types::labels::Labels;
use modelyard_types::names::ResourceName;
use modelyard_types::{AuditEventId, OrganizationId, ProjectId, Timestamp, TokenId, UserId};
use sha2::{Digest, Sha256};

use crate::data_folder::{self, DataFolder, Keys};
use crate::{Result, StartError};

/// The address of the first administrator.
pub const ADMINISTRATOR: &str = "admin@modelyard.local";
/// The name of the first organization and the first project.
pub const DEFAULT: &str = "default";

/// What a start finds or makes.
pub struct Installed {
    /// Whether this was the first start.
    pub first: bool,
    /// The keys that belong to the installation.
    pub keys: Keys,
}

/// Makes sure that the installation exists and that the key belongs to it.
pub async fn ensure(folder: &DataFolder, store: &Store) -> Result<Installed> {
    if let Some(known) = installation::get(store).await.map_err(failed)? {
        return join(folder, store, &known.key_check).await;
    }
    let keys = folder.keys(false)?;
    let token = write_token(folder)?;
    let made = make(store, &keys, &token).await;
    if let Err(StoreError::Taken(_)) = made {
        // Another server of the installation was quicker.
        let known = installation::get(store).await.map_err(failed)?;
        let check = known.map(|known| known.key_check).unwrap_or_default();
        return join(folder, store, &check).await;
    }
    made.map_err(failed)?;
    publish_token(folder)?;
    Ok(Installed { first: true, keys })
}

/// Notes which key is in use now, once nothing needs an older one.
pub async fn note_key(store: &Store, keys: &Keys) -> Result<()> {
    let known = installation::get(store).await.map_err(failed)?;
    if known.is_none_or(|known| known.key_check == keys.check_value()) {
        return Ok(());
    }
    let noted = async {
        let mut tx = store.begin().await?;
        installation::set_key_check(&mut tx, &keys.check_value()).await?;
        tx.commit().await
    };
    noted.await.map_err(failed)
}

/// Finds the installation there: one of the keys has to be its own, and a token file may wait for its name.
async fn join(folder: &DataFolder, store: &Store, key_check: &str) -> Result<Installed> {
    let keys = folder.keys(true)?;
    if !keys.include(key_check) {
        return Err(StartError(format!(
            "The key file in {} is not the one of the installation in the database. Put the right one back from a \
             backup, or copy it from another server of the installation.",
            folder.path().display()
        )));
    }
    finish_token(folder, store).await?;
    Ok(Installed { first: false, keys })
}

/// Gives the token file its name when its transaction was done, and removes it when it was not.
async fn finish_token(folder: &DataFolder, store: &Store) -> Result<()> {
    let Ok(text) = fs::read_to_string(data_folder::temporary(&folder.admin_token())) else {
        return Ok(());
    };
    let known = tokens::get_by_hash(store, &hash(text.trim())).await.map_err(failed)?;
    if known.is_some() {
        return publish_token(folder);
    }
    data_folder::remove(&folder.admin_token()).map_err(unwritten(folder))
}

fn write_token(folder: &DataFolder) -> Result<String> {
    let token = hex::encode(rand::random::<[u8; 20]>());
    let line = format!("{token}\n");
    data_folder::write_private(&folder.admin_token(), &line).map_err(unwritten(folder))?;
    Ok(token)
}

fn publish_token(folder: &DataFolder) -> Result<()> {
    data_folder::publish(&folder.admin_token()).map_err(unwritten(folder))
}

async fn make(store: &Store, keys: &Keys, token: &str) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let mut tx = store.begin().await?;
    let made = installation::Installation { key_check: keys.check_value(), created_at: now };
    installation::insert(&mut tx, &made).await?;
    // Past this line nobody else makes an installation; a name that is taken is a fault.
    make_contents(&mut tx, token, now).await.taken("the database holds things of no installation").map_err(fault)?;
    tx.commit().await
}

fn fault(error: StoreError) -> StoreError {
    StoreError::Internal(error.to_string())
}

async fn make_contents(tx: &mut Tx, token: &str, now: Timestamp) -> Result<(), StoreError> {
    let organization = Organization {
        id: OrganizationId::new(),
        name: name(DEFAULT),
        subscription: "free".into(),
        subscription_start_date: None,
        subscription_end_date: None,
        status: "active".into(),
        two_factor_forced: false,
        created_at: now,
    };
    let project = Project {
        id: ProjectId::new(),
        organization_id: organization.id,
        name: name(DEFAULT),
        advanced_permissions: false,
        credits: None,
        suspended: false,
        suspended_reason: None,
        cors_origins: Vec::new(),
        labels: Labels::default(),
        egress: None,
        created_at: now,
        updated_at: now,
    };
    organizations::insert(tx, &organization).await?;
    projects::insert(tx, &project).await?;
    make_administrator(tx, token, now).await?;
    let place = (Some(organization.id), None);
    note(tx, place, "organization", format!("Created organization {DEFAULT}"), now).await?;
    let place = (Some(organization.id), Some(project.id));
    note(tx, place, "project", format!("Created project {DEFAULT}"), now).await?;
    catalogue::touch(tx, None).await?;
    catalogue::touch(tx, Some(project.id)).await.map(drop)
}

async fn make_administrator(tx: &mut Tx, token: &str, now: Timestamp) -> Result<(), StoreError> {
    let user = User {
        id: UserId::new(),
        email: ADMINISTRATOR.into(),
        name: "Administrator".into(),
        surname: String::new(),
        password_hash: None,
        is_admin: true,
        active: true,
        created_at: now,
    };
    let token = Token {
        id: TokenId::new(),
        user_id: user.id,
        hash: hash(token),
        label: "made at the first start".into(),
        created_at: now,
        expires_at: None,
    };
    users::insert(tx, &user).await?;
    tokens::insert(tx, &token).await
}

type Place = (Option<OrganizationId>, Option<ProjectId>);

async fn note(tx: &mut Tx, place: Place, kind: &str, event: String, now: Timestamp) -> Result<(), StoreError> {
    let (organization_id, project_id) = place;
    let event = AuditEvent {
        id: AuditEventId::new(),
        project_id,
        organization_id,
        deployment_id: None,
        action: AuditAction::Create,
        user_email: ADMINISTRATOR.into(),
        event,
        object_type: kind.into(),
        object_name: DEFAULT.into(),
        created_at: now,
    };
    audit::insert(tx, &event).await
}

fn name(text: &str) -> ResourceName {
    ResourceName::try_from(text).expect("our own names keep the rule")
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn failed(cause: StoreError) -> StartError {
    StartError(format!("The installation cannot be read from the database or made in it: {cause}."))
}

fn unwritten(folder: &DataFolder) -> impl FnOnce(std::io::Error) -> StartError {
    let path = folder.admin_token();
    move |e| StartError(format!("The token file {} cannot be written: {e}.", path.display()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Place {
        base: tempfile::TempDir,
        folder: DataFolder,
        store: Store,
    }

    async fn place() -> Place {
        let base = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(base.path()).unwrap();
        let store = Store::open(&folder.database().display().to_string()).await.unwrap();
        Place { base, folder, store }
    }

    /// The token in the file is one line, private, and signs the administrator in.
    async fn token_works(place: &Place) -> bool {
        let path = place.base.path().join("admin-token");
        let Ok(text) = fs::read_to_string(&path) else { return false };
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let token = text.strip_suffix('\n').unwrap();
        assert!(token.len() == 40 && token.bytes().all(|c| c.is_ascii_hexdigit()), "{text:?}");
        assert!(!data_folder::temporary(&path).exists());
        tokens::get_by_hash(&place.store, &hash(token)).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn the_first_start_makes_what_a_user_needs_and_the_next_one_leaves_it() {
        let place = place().await;

        assert!(ensure(&place.folder, &place.store).await.unwrap().first);
        assert!(token_works(&place).await);
        let token = fs::read_to_string(place.folder.admin_token()).unwrap();
        assert!(!ensure(&place.folder, &place.store).await.unwrap().first);

        assert_eq!(fs::read_to_string(place.folder.admin_token()).unwrap(), token);
        assert_eq!(organizations::list(&place.store).await.unwrap().len(), 1);
        assert!(projects::get_by_name(&place.store, DEFAULT).await.unwrap().is_some());
        assert!(users::get_by_email(&place.store, ADMINISTRATOR).await.unwrap().unwrap().is_admin);
    }

    #[tokio::test]
    async fn a_kill_between_any_two_steps_heals_at_the_next_start() {
        for steps in 0..=4 {
            let place = place().await;
            // A life that ends after some of the steps of `ensure`.
            let key = (steps >= 1).then(|| place.folder.keys(false).unwrap());
            let token = (steps >= 2).then(|| write_token(&place.folder).unwrap());
            if steps >= 3 {
                make(&place.store, &key.unwrap(), &token.unwrap()).await.unwrap();
            }
            if steps >= 4 {
                publish_token(&place.folder).unwrap();
            }

            let first = ensure(&place.folder, &place.store).await.unwrap().first;

            assert_eq!(first, steps < 3, "after {steps} steps");
            assert!(token_works(&place).await, "after {steps} steps");
        }
    }

    #[tokio::test]
    async fn a_half_written_token_is_written_anew() {
        let place = place().await;
        fs::write(data_folder::temporary(&place.folder.admin_token()), "0123").unwrap();
        ensure(&place.folder, &place.store).await.unwrap();
        assert!(token_works(&place).await);
    }

    #[tokio::test]
    async fn a_token_of_no_installation_is_not_published() {
        let place = place().await;
        ensure(&place.folder, &place.store).await.unwrap();
        fs::remove_file(place.folder.admin_token()).unwrap();
        write_token(&place.folder).unwrap();

        ensure(&place.folder, &place.store).await.unwrap();

        assert!(!place.folder.admin_token().exists());
        assert!(!data_folder::temporary(&place.folder.admin_token()).exists());
    }

    #[tokio::test]
    async fn another_key_or_none_is_refused() {
        let place = place().await;
        ensure(&place.folder, &place.store).await.unwrap();
        let path = place.base.path().join("key");

        fs::remove_file(&path).unwrap();
        let missing = ensure(&place.folder, &place.store).await.err().unwrap().to_string();
        assert!(missing.contains("is missing") && missing.contains("backup"), "{missing}");

        place.folder.keys(false).unwrap();
        let other = ensure(&place.folder, &place.store).await.err().unwrap().to_string();
        assert!(other.contains("is not the one of the installation"), "{other}");
    }

    #[tokio::test]
    async fn a_key_can_be_replaced() {
        let place = place().await;
        ensure(&place.folder, &place.store).await.unwrap();
        let path = place.base.path().join("key");
        let (old, new) = (fs::read_to_string(&path).unwrap(), "ab".repeat(32));

        fs::write(&path, format!("{new}\n{old}")).unwrap();
        let keys = ensure(&place.folder, &place.store).await.unwrap().keys;
        note_key(&place.store, &keys).await.unwrap();
        fs::write(&path, new).unwrap();
        ensure(&place.folder, &place.store).await.unwrap();

        fs::write(&path, old).unwrap();
        assert!(ensure(&place.folder, &place.store).await.is_err());
    }
}
