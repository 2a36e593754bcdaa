//! Values on their way into and out of the database, the same for both kinds.

use bytes::Bytes;
use modelyard_types::environments::EnvironmentBuildDependency;
use modelyard_types::fields::{Field, PayloadType};
use modelyard_types::instance_type_groups::Member;
use modelyard_types::labels::Labels;
use modelyard_types::names::{ResourceName, VersionName};
use modelyard_types::{Timestamp, ids};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, ValueRef as _};
use uuid::Uuid;

use crate::error::{Result, StoreError};

/// The kinds of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `INTEGER` / `BIGINT`
    Int,
    /// `REAL` / `DOUBLE PRECISION`
    Float,
    /// `INTEGER` / `BOOLEAN`
    Flag,
    /// `TEXT`
    Text,
    /// `BLOB` / `BYTEA`
    Bytes,
    /// `BLOB` / `UUID`
    Id,
    /// `TEXT` / `JSONB`
    Json,
}

/// Two lists of kinds as one, for rows that are read and written as one.
pub(crate) const fn joined<const N: usize>(first: &[Type], second: &[Type]) -> [Type; N] {
    let mut types = [Type::Int; N];
    let mut at = 0;
    while at < N {
        types[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    types
}

/// A value for a placeholder.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is named as its `Type`")]
pub enum Value {
    Null(Type),
    Int(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    Bytes(Bytes),
    Id(Uuid),
    Json(String),
}

/// What can be handed to a placeholder.
pub trait Bind {
    /// The kind of column it goes into.
    const TYPE: Type;
    /// The value to bind.
    fn value(&self) -> Value;
}

/// What can be read from a column.
pub trait Column: Bind + Sized {
    /// Reads the column at a position, which is not null.
    fn read(row: &Row, at: usize) -> Result<Self>;
}

/// What can be read from a whole row.
pub trait Record: Sized {
    /// Reads columns from position `at` on, and moves it behind them.
    fn read(row: &Row, at: &mut usize) -> Result<Self>;
}

/// Reads the column at a position and moves on.
pub(crate) fn next<C: Nullable>(row: &Row, at: &mut usize) -> Result<C> {
    let value = C::read_nullable(row, *at);
    *at += 1;
    value
}

/// A column that says itself what null means.
pub trait Nullable: Sized {
    /// Reads the column at a position, which may be null.
    fn read_nullable(row: &Row, at: usize) -> Result<Self>;
}

impl<C: Column> Nullable for C {
    fn read_nullable(row: &Row, at: usize) -> Result<Self> {
        C::read(row, at)
    }
}

impl<C: Column> Nullable for Option<C> {
    fn read_nullable(row: &Row, at: usize) -> Result<Self> {
        if row.is_null(at)? {
            return Ok(None);
        }
        C::read(row, at).map(Some)
    }
}

/// Values for placeholders, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::value::Bind::value(&$value)),*] };
}
pub(crate) use values;

impl<B: Bind> Bind for Option<B> {
    const TYPE: Type = B::TYPE;
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null(B::TYPE), Bind::value)
    }
}

impl<B: Bind + ?Sized> Bind for &B {
    const TYPE: Type = B::TYPE;
    fn value(&self) -> Value {
        (*self).value()
    }
}

macro_rules! records {
    ($($name:ident)+) => {
        impl<$($name: Nullable),+> Record for ($($name,)+) {
            fn read(row: &Row, at: &mut usize) -> Result<Self> {
                Ok(($(next::<$name>(row, at)?,)+))
            }
        }
    };
}
records!(A);
records!(A B);
records!(A B C);
records!(A B C D);
records!(A B C D E);
records!(A B C D E F);

/// A row of either database.
pub enum Row {
    /// Of SQLite.
    Lite(SqliteRow),
    /// Of PostgreSQL.
    Pg(PgRow),
}

macro_rules! on_row {
    ($self:ident, $row:ident => $body:expr) => {
        match $self {
            Row::Lite($row) => $body,
            Row::Pg($row) => $body,
        }
    };
}

impl Row {
    fn is_null(&self, at: usize) -> Result<bool> {
        on_row!(self, row => Ok(row.try_get_raw(at)?.is_null()))
    }

    fn json<T: DeserializeOwned>(&self, at: usize) -> Result<T> {
        match self {
            Row::Lite(row) => {
                serde_json::from_str(row.try_get_unchecked(at)?).map_err(|cause| StoreError::unreadable(at, cause))
            }
            Row::Pg(row) => Ok(row.try_get_unchecked::<sqlx::types::Json<T>, _>(at)?.0),
        }
    }
}

macro_rules! columns {
    ($($type:ty: $kind:ident, $self:ident => $write:expr, $read:expr;)+) => {$(
        impl Bind for $type {
            const TYPE: Type = Type::$kind;
            fn value(&$self) -> Value {
                Value::$kind($write)
            }
        }
        impl Column for $type {
            fn read(row: &Row, at: usize) -> Result<Self> {
                let raw = on_row!(row, row => row.try_get_unchecked(at)?);
                let read: fn(_) -> Option<Self> = $read;
                read(raw).ok_or_else(|| StoreError::unreadable(at, "not a known value"))
            }
        }
    )+};
}

columns! {
    i64: Int, self => *self, |raw: i64| Some(raw);
    f64: Float, self => *self, |raw: f64| Some(raw);
    bool: Flag, self => *self, |raw: bool| Some(raw);
    String: Text, self => self.clone(), |raw: String| Some(raw);
    Bytes: Bytes, self => self.clone(), |raw: Vec<u8>| Some(raw.into());
    [u8; 32]: Bytes, self => Bytes::copy_from_slice(self), |raw: Vec<u8>| raw.try_into().ok();
    Uuid: Id, self => *self, |raw: Uuid| Some(raw);
    Timestamp: Int, self => self.0, |raw: i64| Some(Timestamp(raw));
    ResourceName: Text, self => self.as_str().to_owned(), |raw: String| raw.try_into().ok();
    VersionName: Text, self => self.as_str().to_owned(), |raw: String| raw.try_into().ok();
    PayloadType: Text, self => self.as_str().to_owned(), |raw: String| match raw.as_str() {
        "structured" => Some(PayloadType::Structured),
        "plain" => Some(PayloadType::Plain),
        _ => None,
    };
}

impl Bind for str {
    const TYPE: Type = Type::Text;
    fn value(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

/// Enums kept as the contract's words.
macro_rules! words {
    ($($type:path),+ $(,)?) => {$(
        impl Bind for $type {
            const TYPE: Type = Type::Text;
            fn value(&self) -> Value {
                Value::Text(self.as_str().to_owned())
            }
        }
        impl Column for $type {
            fn read(row: &Row, at: usize) -> Result<Self> {
                let word = String::read(row, at)?;
                <$type>::parse(&word)
                    .ok_or_else(|| StoreError::unreadable(at, format_args!("'{word}' is not a known word")))
            }
        }
    )+};
}
words! {
    modelyard_types::versions::ScalingStrategy,
    modelyard_types::versions::VersionStatus,
    modelyard_types::revisions::BuildStatus,
    modelyard_types::audit::AuditAction,
    modelyard_types::instances::InstanceStatus,
    modelyard_types::network::Egress,
    modelyard_types::buckets::Provider,
}

macro_rules! id_columns {
    ($($name:ident),+ $(,)?) => {$(
        impl Bind for ids::$name {
            const TYPE: Type = Type::Id;
            fn value(&self) -> Value {
                Value::Id(self.0)
            }
        }
        impl Column for ids::$name {
            fn read(row: &Row, at: usize) -> Result<Self> {
                Uuid::read(row, at).map(Self)
            }
        }
    )+};
}
id_columns! {
    OrganizationId, ProjectId, UserId, TokenId, DeploymentId, VersionId, RevisionId, EnvironmentId, TagId,
    EnvironmentRevisionId, EnvironmentBuildId, RequestId, OutboxId, InstanceId, InstanceEventId, InstanceTypeGroupId,
    AuditEventId, ServerId, VariableId, BucketId, ContainerId, FileId, TicketId,
}

macro_rules! json_columns {
    ($($type:ty),+ $(,)?) => {$(
        impl Bind for $type {
            const TYPE: Type = Type::Json;
            fn value(&self) -> Value {
                json(self)
            }
        }
        impl Column for $type {
            fn read(row: &Row, at: usize) -> Result<Self> {
                row.json(at)
            }
        }
    )+};
}
json_columns!(
    Labels, serde_json::Map<String, serde_json::Value>, Vec<Field>, Vec<Member>, Vec<String>, Vec<serde_json::Value>, Vec<EnvironmentBuildDependency>);

fn json(value: &impl Serialize) -> Value {
    Value::Json(serde_json::to_string(value).expect("names, texts and JSON values always have a JSON form"))
}
