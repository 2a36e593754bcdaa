//! The catalogue: what the hot path reads. One immutable snapshot a project, one of tokens, each rebuilt singly from SQL
//! after a write that touches it.
//!
//! Changes are numbered by the database in the order of their commits. A write answers when its number is in the
//! catalogue of the server that answers; every server reads the number once a second besides. A server that cannot read
//! it for ten seconds knows that it may be wrong, and refuses.

mod snapshot;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use modelyard_store::catalogue::{self as rows, TokenEntry};
use modelyard_store::{Store, organizations};
use modelyard_types::{OrganizationId, ProjectId, Result, Timestamp, VersionId};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::access::Actor;
use crate::lanes::Lanes;

pub use snapshot::{Code, DeploymentSnapshot, ProjectSnapshot, VersionSnapshot};

/// How long a server may go on without having read the number of the last change.
const STALE: Duration = Duration::from_secs(10);

struct Signed {
    actor: Arc<Actor>,
    expires: Option<Timestamp>,
}

/// A version with all it stands in.
pub(crate) type Place = (Arc<ProjectSnapshot>, Arc<DeploymentSnapshot>, Arc<VersionSnapshot>);

type Projects = HashMap<String, Arc<ProjectSnapshot>>;
type Tokens = HashMap<[u8; 32], Signed>;

/// What this server knows, without asking the database.
pub struct Catalogue {
    store: Store,
    lanes: Arc<Lanes>,
    projects: ArcSwap<Projects>,
    tokens: ArcSwap<Tokens>,
    organizations: ArcSwap<HashMap<String, OrganizationId>>,
    /// The number of the last change that is in here.
    seen: AtomicI64,
    /// When the number was last read, in microseconds.
    read_at: AtomicI64,
    refreshing: Mutex<()>,
}

impl Catalogue {
    /// Reads everything.
    pub(crate) async fn open(store: Store, lanes: Arc<Lanes>) -> Result<Self> {
        let catalogue = Self {
            store,
            lanes,
            projects: ArcSwap::default(),
            tokens: ArcSwap::default(),
            organizations: ArcSwap::default(),
            seen: AtomicI64::new(0),
            read_at: AtomicI64::new(0),
            refreshing: Mutex::new(()),
        };
        let number = rows::number(&catalogue.store).await?;
        catalogue.load_shared().await?;
        for entry in rows::projects_index(&catalogue.store).await? {
            catalogue.load_project(entry.id).await?;
        }
        catalogue.note_read(number);
        Ok(catalogue)
    }

    /// Who shows this token, if it is good. Only its hash is compared.
    pub fn actor(&self, token: &str) -> Option<Arc<Actor>> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let tokens = self.tokens.load();
        let signed = tokens.get(&hash)?;
        if signed.expires.is_some_and(|at| at <= Timestamp::now()) {
            return None;
        }
        Some(signed.actor.clone())
    }

    /// The project of a name.
    pub fn project(&self, name: &str) -> Option<Arc<ProjectSnapshot>> {
        self.projects.load().get(name).cloned()
    }

    /// The organization of a name.
    pub fn organization(&self, name: &str) -> Option<OrganizationId> {
        self.organizations.load().get(name).copied()
    }

    /// All projects, in no order.
    pub fn projects(&self) -> Vec<Arc<ProjectSnapshot>> {
        self.projects.load().values().cloned().collect()
    }

    /// The version of an id, wherever it is.
    pub(crate) fn version(&self, id: VersionId) -> Option<Place> {
        self.projects.load().values().find_map(|project| {
            let (deployment, version) = project.version(id)?;
            Some((project.clone(), deployment, version))
        })
    }

    /// Whether what is in here can be trusted: the database was heard of lately.
    pub fn is_fresh(&self) -> bool {
        Timestamp::now().since(Timestamp(self.read_at.load(Ordering::Relaxed))) < STALE
    }

    /// Waits until the change of this number is in here.
    pub(crate) async fn reach(&self, number: i64) -> Result<()> {
        if self.seen.load(Ordering::Acquire) >= number {
            return Ok(());
        }
        let _one_at_a_time = self.refreshing.lock().await;
        if self.seen.load(Ordering::Acquire) >= number {
            return Ok(());
        }
        self.take_changes().await
    }

    /// Looks for changes, whoever made them.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let _one_at_a_time = self.refreshing.lock().await;
        self.take_changes().await
    }

    async fn take_changes(&self) -> Result<()> {
        let changes = rows::changes_since(&self.store, self.seen.load(Ordering::Acquire)).await?;
        if changes.shared {
            self.load_shared().await?;
        }
        for project in changes.projects {
            self.load_project(project).await?;
        }
        self.note_read(changes.number);
        Ok(())
    }

    fn note_read(&self, number: i64) {
        self.seen.store(number, Ordering::Release);
        self.read_at.store(Timestamp::now().0, Ordering::Relaxed);
    }

    async fn load_shared(&self) -> Result<()> {
        let tokens = rows::tokens(&self.store).await?;
        self.tokens.store(Arc::new(tokens.into_iter().filter(|token| token.active).map(signed).collect()));
        let organizations = organizations::list(&self.store).await?;
        self.organizations.store(Arc::new(organizations.into_iter().map(|it| (it.name.to_string(), it.id)).collect()));
        Ok(())
    }

    /// Rebuilds one project; closes the lanes of versions that are gone.
    async fn load_project(&self, id: ProjectId) -> Result<()> {
        let snapshot = match rows::project(&self.store, id).await? {
            Some(state) => {
                let organization = organizations::get(&self.store, state.project.organization_id).await?;
                let organization = organization.map(|it| it.name.to_string()).unwrap_or_default();
                Some(Arc::new(ProjectSnapshot::of(state, organization, &self.lanes)))
            }
            None => None,
        };
        let old = self.projects.load_full();
        let before = old.values().find(|project| project.id == id).cloned();
        let mut projects = Projects::clone(&old);
        if let Some(before) = &before {
            projects.remove(&before.name);
        }
        if let Some(after) = &snapshot {
            projects.insert(after.name.clone(), after.clone());
        }
        self.projects.store(Arc::new(projects));
        for version in before.iter().flat_map(|before| before.version_ids()) {
            if snapshot.as_ref().is_none_or(|after| after.version(version).is_none()) {
                self.lanes.close(version, "The deployment version was deleted");
            }
        }
        Ok(())
    }
}

fn signed(entry: TokenEntry) -> ([u8; 32], Signed) {
    let actor = Actor { user: entry.user_id, email: entry.email, is_admin: entry.is_admin, token: entry.id };
    (entry.hash, Signed { actor: Arc::new(actor), expires: entry.expires_at })
}
