//! A group of records on its way to the database: written until it is written.

use std::collections::HashSet;
use std::time::Duration;

use modelyard_store::leftovers::{self, Leftover};
use modelyard_store::requests::{Ending, Release, Start};
use modelyard_store::{Store, idempotency, requests};
use modelyard_types::{Error, RequestId, Result};

use super::{KeyEnd, Record, Row};
use crate::loops::caught;
use crate::requests::room::Permit;

/// A record without its permit.
enum Item {
    Row(Box<Row>),
    Forget(RequestId, Option<KeyEnd>),
    Start(Start),
    CallOff(RequestId),
    End(Box<Ending>),
    Release(Release),
}

/// Writes a group; says whether objects are left to be removed.
pub(super) async fn write(store: &Store, records: Vec<Record>) -> bool {
    let over = over(&records);
    let mut items = Vec::with_capacity(records.len());
    let mut permits = Vec::with_capacity(records.len());
    for record in records {
        let (item, permit) = match record {
            Record::Put(row, permit) => (Item::Row(row), permit),
            Record::Forget(id, key, permit) => (Item::Forget(id, key), permit),
            // Its end is in the group, and says when it began.
            Record::Start(start) if over.contains(&(start.id, start.epoch)) => continue,
            Record::Start(start) => (Item::Start(start), Permit::default()),
            Record::CallOff(id) => (Item::CallOff(id), Permit::default()),
            Record::End(ending, permit) => (Item::End(ending), permit),
            Record::Release(release, permit) => (Item::Release(release), permit),
        };
        items.push(item);
        permits.push(permit);
    }
    let left = write_items(store, &items).await;
    drop(permits);
    left
}

/// The batch requests of a group that end or go back in it, and their claims.
fn over(records: &[Record]) -> HashSet<(RequestId, i64)> {
    let over = |record: &Record| match record {
        Record::End(ending, _) => Some((ending.id, ending.epoch)),
        Record::Release(release, _) => Some((release.id, release.epoch)),
        _ => None,
    };
    records.iter().filter_map(over).collect()
}

/// Writes until it is written. When the database refuses the group for what is in it, each item goes by itself.
async fn write_items(store: &Store, items: &[Item]) -> bool {
    let mut pause = Duration::from_millis(50);
    loop {
        // A panic counts as a failure: the group must not be lost, nor those who wait for it.
        let cause = match caught(commit(store, items)).await {
            Ok(left) => return left,
            Err(cause) => cause,
        };
        if !matches!(cause, Error::Internal(_)) {
            tracing::error!(%cause, records = items.len(), "the database refuses some requests");
            return one_by_one(store, items).await;
        }
        tracing::error!(%cause, records = items.len(), "requests could not be written; trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn one_by_one(store: &Store, items: &[Item]) -> bool {
    if let [item] = items {
        tracing::error!(request = %item.id(), "this request is not written down");
        return false;
    }
    let mut left = false;
    for item in items {
        left |= Box::pin(write_items(store, std::slice::from_ref(item))).await;
    }
    left
}

impl Item {
    fn id(&self) -> RequestId {
        match self {
            Item::Row(row) => row.0.id,
            Item::Forget(id, _) => *id,
            Item::Start(start) => start.id,
            Item::CallOff(id) => *id,
            Item::End(ending) => ending.id,
            Item::Release(release) => release.id,
        }
    }
}

/// Writes a group in one transaction; says whether objects are left to be removed.
async fn commit(store: &Store, items: &[Item]) -> Result<bool> {
    if items.is_empty() {
        return Ok(false);
    }
    let (mut rows, mut starts, mut endings, mut releases) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut tx = store.begin().await?;
    let mut objects = Vec::new();
    for item in items {
        match item {
            Item::Row(row) => rows.push(row.as_ref()),
            Item::Start(start) => starts.push(*start),
            Item::End(ending) => endings.push(ending.as_ref()),
            Item::Release(release) => releases.push(*release),
            Item::CallOff(_) | Item::Forget(..) => {}
        }
    }
    requests::record_many(&mut tx, &rows).await?;
    requests::start_many(&mut tx, &starts).await?;
    for item in items {
        // After the starts: what was called off had begun before.
        if let Item::CallOff(id) = item {
            requests::ask_to_cancel(&mut tx, *id).await?;
        }
    }
    requests::release_many(&mut tx, &releases).await?;
    objects.extend(requests::end_many(&mut tx, &endings).await?.objects);
    for item in items {
        // After the rows: an earlier record of the same request may be in this group.
        let Item::Forget(id, key) = item else { continue };
        objects.extend(requests::delete(&mut tx, *id).await?.objects);
        match key.map(|key| (key, key.status)) {
            Some((key, Some(status))) => idempotency::set_status(&mut tx, key.project, key.key_hash, status).await?,
            Some((key, None)) => idempotency::delete(&mut tx, key.project, key.key_hash).await?,
            None => {}
        }
    }
    let left = !objects.is_empty();
    for object in objects {
        leftovers::note(&mut tx, Leftover::Object(object)).await?;
    }
    fail::fail_point!("recorder-before-commit");
    tx.commit().await?;
    fail::fail_point!("recorder-after-commit");
    Ok(left)
}
