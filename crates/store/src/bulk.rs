//! Inserting and changing many rows by one statement: the one place where the two databases want different texts.

use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

use crate::db::{self, unbindable};
use crate::error::{Result, StoreError};
use crate::tx::{On, Tx};
use crate::value::{Record, Type, Value};

/// A table to insert into, and how.
pub(crate) struct Bulk {
    /// `requests`
    pub table: &'static str,
    /// `id, status`
    pub columns: &'static str,
    /// The kinds of the columns.
    pub types: &'static [Type],
    /// What follows the values: ``, or `ON CONFLICT …`.
    pub suffix: &'static str,
}

/// Rows by statement on SQLite. A few fixed sizes, so that the prepared statements are found again.
const SIZES: [usize; 4] = [100, 20, 5, 1];
/// Placeholders that SQLite takes.
const MOST_MARKS: usize = 32_766;

impl Bulk {
    /// Inserts so many rows, given as their values one after another; tells how many were written. The values are
    /// taken as they are bound, since a group of requests has tens of thousands of them.
    pub(crate) async fn insert(
        &self,
        tx: &mut Tx,
        rows: usize,
        values: impl Iterator<Item = Value> + Send,
    ) -> Result<u64> {
        if rows == 0 {
            return Ok(0);
        }
        match &mut tx.on {
            On::Pg(tx) => {
                let arguments = arrays(self.types, rows, values)?;
                db::pg_run(&mut **tx, self.text_for_pg().into(), arguments).await
            }
            On::Lite(tx) => {
                let width = self.types.len();
                let (mut values, mut left, mut written) = (values, rows, 0);
                while left > 0 {
                    let rows = size_for(left, width);
                    let arguments = db::for_lite(rows * width, values.by_ref().take(rows * width))?;
                    written += db::lite_run_with(&mut **tx, self.text_for_lite(rows).into(), arguments).await?;
                    left -= rows;
                }
                Ok(written)
            }
        }
    }

    /// `INSERT … VALUES (?, ?), (?, ?)`: bare marks, since SQLite looks numbered ones up by their names.
    pub(crate) fn text_for_lite(&self, rows: usize) -> String {
        let marks = vec!["?"; self.types.len()].join(",");
        let rows = vec![format!("({marks})"); rows].join(",");
        let Self { table, columns, suffix, .. } = self;
        format!("INSERT INTO {table} ({columns}) VALUES {rows} {suffix}")
    }

    /// `INSERT … SELECT … FROM UNNEST($1, $2)`: a list for each column.
    pub(crate) fn text_for_pg(&self) -> String {
        let Self { table, columns, suffix, .. } = self;
        let lists = lists(self.types);
        format!("INSERT INTO {table} ({columns}) SELECT * FROM UNNEST({lists}) {suffix}")
    }
}

/// A table whose rows are changed, each by values of its own, which the text knows as `v.<name>`.
pub(crate) struct BulkUpdate {
    /// `requests`
    pub table: &'static str,
    /// The names of the values.
    pub names: &'static [&'static str],
    /// Their kinds.
    pub types: &'static [Type],
    /// `status = v.status`
    pub set: &'static str,
    /// The column that finds a row, of the same name among the values: `id`.
    pub key: &'static str,
    /// What else has to hold of the row, whose columns are named with their table: `requests.status = 0`
    pub guard: &'static str,
    /// `requests.id`
    pub returning: &'static str,
}

impl BulkUpdate {
    /// Changes rows, given as the values of each one after another; gives what the rows that were changed return.
    pub(crate) async fn update<R: Record>(&self, tx: &mut Tx, values: Vec<Value>) -> Result<Vec<R>> {
        debug_assert_eq!(values.len() % self.names.len(), 0);
        let mut changed = Vec::new();
        if values.is_empty() {
            return Ok(changed);
        }
        let rows = match &mut tx.on {
            On::Pg(tx) => {
                let arguments = arrays(self.types, values.len() / self.names.len(), values.into_iter())?;
                db::pg_rows_of(&mut **tx, self.text_for_pg().into(), arguments).await?
            }
            On::Lite(tx) => {
                let width = self.names.len();
                let (mut values, mut found) = (values.into_iter(), Vec::new());
                while values.len() > 0 {
                    let rows = size_for(values.len() / width, width);
                    let some: Vec<_> = values.by_ref().take(rows * width).collect();
                    found.extend(db::lite_rows(&mut **tx, self.text_for_lite(rows).into(), some).await?);
                }
                found
            }
        };
        for row in rows {
            changed.push(R::read(&row, &mut 0)?);
        }
        Ok(changed)
    }

    /// `UPDATE … FROM (SELECT column1 AS id, … FROM (VALUES (?, ?), (?, ?))) AS v WHERE … RETURNING …`
    pub(crate) fn text_for_lite(&self, rows: usize) -> String {
        let names: Vec<_> =
            self.names.iter().enumerate().map(|(at, name)| format!("column{} AS {name}", at + 1)).collect();
        let marks = vec!["?"; self.names.len()].join(",");
        let rows = vec![format!("({marks})"); rows].join(",");
        let from = format!("(SELECT {} FROM (VALUES {rows}))", names.join(", "));
        // A plus keeps SQLite from using the guard to find rows: it would rather look through an index than seek keys.
        let table = format!("{}.", self.table);
        self.text(&from, "AS v", &self.guard.replace(&table, &format!("+{table}")))
    }

    /// `UPDATE … FROM UNNEST($1, $2) AS v (id, …) WHERE … RETURNING …`
    pub(crate) fn text_for_pg(&self) -> String {
        self.text(&format!("UNNEST({})", lists(self.types)), &format!("AS v ({})", self.names.join(", ")), self.guard)
    }

    fn text(&self, from: &str, called: &str, guard: &str) -> String {
        let Self { table, set, key, returning, .. } = self;
        format!(
            "UPDATE {table} SET {set} FROM {from} {called} WHERE {table}.{key} = v.{key} AND {guard} RETURNING {returning}"
        )
    }
}

fn size_for(rows: usize, width: usize) -> usize {
    let most = rows.min(MOST_MARKS / width);
    SIZES.into_iter().find(|size| *size <= most).unwrap_or(1)
}

/// `$1::uuid[], $2::bigint[]`
fn lists(types: &[Type]) -> String {
    let list = |(at, kind): (usize, &Type)| format!("${}::{}[]", at + 1, pg_name(*kind));
    types.iter().enumerate().map(list).collect::<Vec<_>>().join(", ")
}

/// Values of rows one after another as a list for each column.
fn arrays(types: &[Type], rows: usize, values: impl Iterator<Item = Value>) -> Result<PgArguments> {
    let mut lists: Vec<_> = types.iter().map(|kind| List::of(*kind, rows)).collect();
    for (at, value) in values.enumerate() {
        lists[at % types.len()].push(value)?;
    }
    let mut arguments = PgArguments::default();
    for list in lists {
        list.add_to(&mut arguments)?;
    }
    Ok(arguments)
}

fn pg_name(kind: Type) -> &'static str {
    match kind {
        Type::Int => "bigint",
        Type::Float => "double precision",
        Type::Flag => "boolean",
        Type::Text => "text",
        Type::Bytes => "bytea",
        Type::Id => "uuid",
        Type::Json => "jsonb",
    }
}

/// A column's values.
enum List {
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Id(Vec<Option<Uuid>>),
}

impl List {
    fn of(kind: Type, rows: usize) -> Self {
        match kind {
            Type::Int => List::Int(Vec::with_capacity(rows)),
            Type::Float => List::Float(Vec::with_capacity(rows)),
            Type::Flag => List::Flag(Vec::with_capacity(rows)),
            Type::Text | Type::Json => List::Text(Vec::with_capacity(rows)),
            Type::Bytes => List::Bytes(Vec::with_capacity(rows)),
            Type::Id => List::Id(Vec::with_capacity(rows)),
        }
    }

    fn push(&mut self, value: Value) -> Result<()> {
        match (self, value) {
            (List::Int(list), Value::Int(number)) => list.push(Some(number)),
            (List::Int(list), Value::Null(_)) => list.push(None),
            (List::Float(list), Value::Float(number)) => list.push(Some(number)),
            (List::Float(list), Value::Null(_)) => list.push(None),
            (List::Flag(list), Value::Flag(flag)) => list.push(Some(flag)),
            (List::Flag(list), Value::Null(_)) => list.push(None),
            (List::Text(list), Value::Text(text)) => {
                db::check_text(&text)?;
                list.push(Some(text));
            }
            (List::Text(list), Value::Null(_)) => list.push(None),
            (List::Bytes(list), Value::Bytes(bytes)) => list.push(Some(bytes.into())),
            (List::Bytes(list), Value::Null(_)) => list.push(None),
            (List::Id(list), Value::Id(id)) => list.push(Some(id)),
            (List::Id(list), Value::Null(_)) => list.push(None),
            (_, value) => {
                return Err(StoreError::Internal(format!("a value is not of its column's kind: {value:?}")));
            }
        }
        Ok(())
    }

    fn add_to(self, arguments: &mut PgArguments) -> Result<()> {
        match self {
            List::Int(list) => arguments.add(list),
            List::Float(list) => arguments.add(list),
            List::Flag(list) => arguments.add(list),
            List::Text(list) => arguments.add(list),
            List::Bytes(list) => arguments.add(list),
            List::Id(list) => arguments.add(list),
        }
        .map_err(unbindable)
    }
}
