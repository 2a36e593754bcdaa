//! The database: all SQL of the platform, a file per noun, the same texts on SQLite and PostgreSQL.
//!
//! Reads take a [`Source`]: `&store` for the latest committed state, `&mut tx` within a transaction. Writes take
//! `&mut Tx`. Between [`Store::begin`] and [`Tx::commit`] only that transaction's own statements are awaited.

mod bulk;
mod db;
mod error;
mod migrate;
mod sql;
mod tx;
mod value;

pub mod audit;
pub mod buckets;
pub mod catalogue;
pub mod deployments;
pub mod environments;
pub mod files;
pub mod idempotency;
pub mod installation;
pub mod instance_type_groups;
pub mod instances;
pub mod leftovers;
pub mod logs;
pub mod organizations;
pub mod outbox;
pub mod projects;
pub mod requests;
pub mod revisions;
pub mod servers;
pub mod tokens;
pub mod users;
pub mod variables;
pub mod versions;

use std::panic::Location;
use std::sync::Arc;

pub use audit::AuditEvent;
pub use buckets::Bucket;
pub use db::{Reading, Source, Sql, is_postgres};
pub use deployments::Deployment;
pub use environments::{Environment, EnvironmentBuild, EnvironmentRevision, Tag};
pub use error::{Refusal, Result, StoreError};
pub use files::File;
pub use instance_type_groups::InstanceTypeGroup;
pub use instances::{Instance, InstanceEvent};
pub use logs::LogStore;
pub use organizations::Organization;
pub use projects::Project;
pub use requests::{Request, RequestData};
pub use revisions::Revision;
pub use servers::Life;
pub use tokens::Token;
pub use tx::Tx;
pub use users::User;
pub use value::{Bind, Column, Nullable, Record, Row, Type, Value};
pub use variables::Variable;
pub use versions::Version;

use db::{Db, Durability};

const MIGRATIONS: &[migrate::Migration] = migrate::migrations![
    "store/0001_initial.sql",
    "store/0002_instances.sql",
    "store/0003_requests.sql",
    "store/0004_open_requests.sql",
    "store/0005_key_versions.sql",
    "store/0006_instance_type_groups.sql",
    "store/0007_environment_files.sql",
    "store/0008_variables.sql",
    "store/0009_project_network.sql",
    "store/0010_files.sql",
];

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Arc<Db>,
}

impl Store {
    /// Opens a database and migrates it: a `postgres://` URL, or the path of a SQLite file, made when missing.
    pub async fn open(place: &str) -> Result<Self> {
        let db = Db::open(place, Durability::Full).await?;
        migrate::migrate(&db, "store", MIGRATIONS).await?;
        Ok(Self { db: Arc::new(db) })
    }

    /// Begins a transaction that writes. On SQLite there is one at a time, and this waits for its turn.
    #[track_caller]
    pub fn begin(&self) -> impl Future<Output = Result<Tx>> + Send + '_ {
        Tx::begin(&self.db, Location::caller())
    }

    /// Begins a transaction that only reads, so that several reads see one state.
    #[track_caller]
    pub fn snapshot(&self) -> impl Future<Output = Result<Tx>> + Send + '_ {
        Tx::snapshot(&self.db, Location::caller())
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.db.is_postgres()
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

impl<'a> Source<'a> for &'a Store {
    fn rows(self, text: impl Into<Sql>, values: Vec<Value>) -> Reading<'a, Vec<Row>> {
        self.db.as_ref().rows(text, values)
    }
}

/// All statements by name, for the test that prepares each on both databases.
#[doc(hidden)]
pub fn statements(postgres: bool) -> Vec<(String, String)> {
    let fixed = [
        migrate::STATEMENTS,
        audit::STATEMENTS,
        buckets::STATEMENTS,
        catalogue::STATEMENTS,
        deployments::STATEMENTS,
        environments::STATEMENTS,
        environments::tags::STATEMENTS,
        environments::revisions::STATEMENTS,
        environments::builds::STATEMENTS,
        environments::outdated::STATEMENTS,
        files::STATEMENTS,
        files::expiry::STATEMENTS,
        files::listing::STATEMENTS,
        files::uploads::STATEMENTS,
        idempotency::STATEMENTS,
        installation::STATEMENTS,
        instance_type_groups::STATEMENTS,
        instances::STATEMENTS,
        leftovers::STATEMENTS,
        logs::STATEMENTS,
        organizations::STATEMENTS,
        outbox::STATEMENTS,
        projects::STATEMENTS,
        requests::STATEMENTS,
        requests::ends::STATEMENTS,
        requests::given_up::STATEMENTS,
        requests::orphans::STATEMENTS,
        requests::queue::STATEMENTS,
        requests::sweep::STATEMENTS,
        revisions::STATEMENTS,
        servers::STATEMENTS,
        tokens::STATEMENTS,
        users::STATEMENTS,
        variables::STATEMENTS,
        versions::STATEMENTS,
    ];
    let fixed = fixed.concat().into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
    // Of a statement with two texts, only the one for this database counts.
    let other = if postgres { "_LITE" } else { "_PG" };
    fixed
        .chain(outbox::built_texts(postgres))
        .chain(instances::built_texts(postgres))
        .chain(requests::built_texts(postgres))
        .chain(logs::built_texts(postgres))
        .chain(versions::built_texts())
        .filter(|(name, _)| !name.ends_with(other))
        .collect()
}
