//! The catalogue: what the hot path reads. One immutable snapshot a project, one of tokens, each rebuilt singly from SQL
//! after a write that touches it.
//!
//! Changes are numbered by the database in the order of their commits. A write answers when its number is in the
//! catalogue of the server that answers; every server reads the number once a second besides. A server that cannot read
//! it for ten seconds knows that it may be wrong, and refuses.

mod instance_tokens;
mod snapshot;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use modelyard_store::catalogue::{self as rows, TokenEntry};
use modelyard_store::{Store, organizations};
use modelyard_types::{Error, OrganizationId, ProjectId, Result, Timestamp, VersionId};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::access::Actor;
use crate::lanes::Lanes;

pub(crate) use instance_tokens::InstanceTokens;
pub use snapshot::{BucketSnapshot, Code, DeploymentSnapshot, Offer, ProjectSnapshot, VersionSnapshot};

/// How long a server may go on without having read the number of the last change.
const STALE: Duration = Duration::from_secs(10);

/// How long one look for changes may take: a database that hangs must not hang the looks after it.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// Those of the instances that run here.
    pub(crate) instance_tokens: InstanceTokens,
    /// The number of the last change that is in here.
    seen: AtomicI64,
    /// When the number was last read, in milliseconds after `opened`: no clock that somebody sets.
    read_at: AtomicU64,
    opened: Instant,
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
            instance_tokens: InstanceTokens::default(),
            seen: AtomicI64::new(0),
            read_at: AtomicU64::new(0),
            opened: Instant::now(),
            refreshing: Mutex::new(()),
        };
        let number = rows::number(&catalogue.store).await?;
        catalogue.load_shared().await?;
        let projects = rows::projects_index(&catalogue.store).await?;
        catalogue.load_projects(projects.into_iter().map(|entry| entry.id).collect()).await?;
        catalogue.note_read(number, Instant::now());
        Ok(catalogue)
    }

    /// Who shows this token, if it is good. Only its hash is compared.
    pub fn actor(&self, token: &str) -> Option<Arc<Actor>> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let tokens = self.tokens.load();
        let Some(signed) = tokens.get(&hash) else { return self.instance_tokens.find(&hash) };
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

    /// The project of an id.
    pub(crate) fn project_of(&self, id: ProjectId) -> Option<Arc<ProjectSnapshot>> {
        self.projects.load().values().find(|project| project.id == id).cloned()
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
        let read_at = Duration::from_millis(self.read_at.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(read_at) < STALE
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
        match tokio::time::timeout(PATIENCE, self.read_changes()).await {
            Ok(taken) => taken,
            Err(late) => Err(Error::internal("looking for changes in the database", late)),
        }
    }

    async fn read_changes(&self) -> Result<()> {
        let asked_at = Instant::now();
        let changes = rows::changes_since(&self.store, self.seen.load(Ordering::Acquire)).await?;
        if changes.shared {
            self.load_shared().await?;
        }
        if !changes.projects.is_empty() {
            self.load_projects(changes.projects).await?;
        }
        self.note_read(changes.number, asked_at);
        Ok(())
    }

    fn note_read(&self, number: i64, asked_at: Instant) {
        self.seen.store(number, Ordering::Release);
        let after = asked_at.saturating_duration_since(self.opened).as_millis();
        self.read_at.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    async fn load_shared(&self) -> Result<()> {
        let tokens = rows::tokens(&self.store).await?;
        self.tokens.store(Arc::new(tokens.into_iter().filter(|token| token.active).map(signed).collect()));
        let organizations = organizations::list(&self.store).await?;
        self.organizations.store(Arc::new(organizations.into_iter().map(|it| (it.name.to_string(), it.id)).collect()));
        Ok(())
    }

    /// Rebuilds some projects, and shows them all at once: one may have taken the name of another. Closes the lanes of
    /// versions that are gone.
    async fn load_projects(&self, ids: Vec<ProjectId>) -> Result<()> {
        let mut loaded = Vec::with_capacity(ids.len());
        for id in &ids {
            loaded.extend(self.read_project(*id).await?);
        }
        let ids: HashSet<ProjectId> = ids.into_iter().collect();
        let old = self.projects.load_full();
        let mut projects = Projects::clone(&old);
        projects.retain(|_, project| !ids.contains(&project.id));
        projects.extend(loaded.iter().map(|project| (project.name.clone(), project.clone())));
        self.projects.store(Arc::new(projects));
        let known: HashSet<VersionId> = loaded.iter().flat_map(|project| project.version_ids()).collect();
        let before = old.values().filter(|project| ids.contains(&project.id));
        for gone in before.flat_map(|project| project.version_ids()).filter(|version| !known.contains(version)) {
            self.lanes.close(gone, "The deployment version was deleted");
        }
        Ok(())
    }

    async fn read_project(&self, id: ProjectId) -> Result<Option<Arc<ProjectSnapshot>>> {
        let Some(state) = rows::project(&self.store, id).await? else { return Ok(None) };
        let organization = organizations::get(&self.store, state.project.organization_id).await?;
        let organization = organization.map(|it| it.name.to_string()).unwrap_or_default();
        Ok(Some(Arc::new(ProjectSnapshot::of(state, organization, &self.lanes))))
    }
}

fn signed(entry: TokenEntry) -> ([u8; 32], Signed) {
    let actor = Actor { user: entry.user_id, email: entry.email, is_admin: entry.is_admin, token: entry.id };
    (entry.hash, Signed { actor: Arc::new(actor), expires: entry.expires_at })
}

#[cfg(test)]
mod tests;
