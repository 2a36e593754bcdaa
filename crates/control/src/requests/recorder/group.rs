//! A group of records on its way to the database: written until it is written.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use modelyard_objects::Objects;
use modelyard_store::leftovers::{self, Leftover};
use modelyard_store::requests::{Ending, Release, Start};
use modelyard_store::{Store, idempotency, requests};
use modelyard_types::{Error, RequestId, Result};

use super::{KeyEnd, Permit, Record, Row};
use crate::loops::caught;

/// Data, results and updates above this are objects, not rows.
pub(in crate::requests) const MAX_INLINE: usize = 64 << 10;

/// A record without its permit, its large data stored.
enum Item {
    Row(Box<Row>),
    Forget(RequestId, Option<KeyEnd>),
    Start(Start),
    End(Box<Ending>),
    Release(Release),
}

/// Writes a group; says whether objects are left to be removed.
pub(super) async fn write(store: &Store, objects: &Objects, records: Vec<Record>) -> bool {
    let over = over(&records);
    let mut items = Vec::with_capacity(records.len());
    let mut permits: Vec<Permit> = Vec::with_capacity(records.len());
    for record in records {
        let (item, permit) = match record {
            Record::Put(mut row, permit) => {
                let (id, data) = (row.0.id, &mut row.1);
                if [&data.request_data, &data.result, &data.updates].into_iter().any(is_large) {
                    spill(objects, id, &mut data.request_data, &mut data.request_key).await;
                    spill(objects, id, &mut data.result, &mut data.result_key).await;
                    spill(objects, id, &mut data.updates, &mut data.updates_key).await;
                }
                (Item::Row(row), permit)
            }
            Record::Forget(id, key, permit) => (Item::Forget(id, key), permit),
            // Its end is in the group, and says when it began.
            Record::Start(start) if over.contains(&(start.id, start.epoch)) => continue,
            Record::Start(start) => (Item::Start(start), None),
            Record::End(mut ending, permit) => {
                let id = ending.id;
                spill(objects, id, &mut ending.result, &mut ending.result_key).await;
                spill(objects, id, &mut ending.updates, &mut ending.updates_key).await;
                (Item::End(ending), permit)
            }
            Record::Release(release, permit) => (Item::Release(release), permit),
        };
        items.push(item);
        permits.extend(permit);
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
            Item::Forget(..) => {}
        }
    }
    requests::record_many(&mut tx, &rows).await?;
    requests::start_many(&mut tx, &starts).await?;
    requests::release_many(&mut tx, &releases).await?;
    objects.extend(requests::end_many(&mut tx, &endings).await?.objects);
    for item in items {
        // After the rows: an earlier record of the same request may be in this group.
        let Item::Forget(id, key) = item else { continue };
        objects.extend(requests::delete(&mut tx, *id).await?.objects);
        if let Some(key) = key {
            idempotency::set_status(&mut tx, key.project, key.key_hash, key.status).await?;
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

fn is_large(data: &Option<Bytes>) -> bool {
    data.as_ref().is_some_and(|bytes| bytes.len() > MAX_INLINE)
}

/// Moves large data from the row of a request to an object. If its row never comes to be, cleaning removes it.
pub(in crate::requests) async fn spill(
    objects: &Objects,
    owner: RequestId,
    data: &mut Option<Bytes>,
    key: &mut Option<String>,
) {
    let Some(bytes) = data.take_if(|bytes| bytes.len() > MAX_INLINE) else {
        return;
    };
    let mut pause = Duration::from_millis(50);
    loop {
        match objects.put(owner.0, bytes.clone()).await {
            Ok(stored) => {
                *key = Some(stored);
                return;
            }
            Err(cause) => tracing::error!(%cause, "request data could not be stored; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
