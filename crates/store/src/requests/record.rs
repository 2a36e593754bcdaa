//! Writing requests in groups.

use std::borrow::Borrow;
use std::collections::HashMap;

use modelyard_types::RequestId;

use crate::bulk::Bulk;
use crate::error::Result;
use crate::requests::{Request, RequestData};
use crate::sql::sql;
use crate::tx::Tx;
use crate::value::{self, Type, Value};

const COLUMNS: &str = sql!(Request::COLUMNS, ", ", RequestData::COLUMNS);

const TYPES: &[Type] =
    &value::joined::<{ Request::TYPES.len() + RequestData::TYPES.len() }>(Request::TYPES, RequestData::TYPES);

const INSERT: Bulk = Bulk { table: "requests", columns: COLUMNS, types: TYPES, suffix: "" };

/// A row that is not final is replaced by its own server, unless it has been given to a later process since. That somebody
/// asked another server to cancel it stays until its own has heard.
const RECORD: Bulk = Bulk {
    table: "requests",
    columns: COLUMNS,
    types: TYPES,
    suffix: "ON CONFLICT (id) DO UPDATE SET
        revision_id = excluded.revision_id,
        status = CASE WHEN requests.status = 2 AND excluded.status < 2 THEN 2 ELSE excluded.status END, started_at = excluded.started_at,
        completed_at = excluded.completed_at, error_message = excluded.error_message,
        output_plain = excluded.output_plain, input_size = excluded.input_size, output_size = excluded.output_size,
        expires_at = excluded.expires_at, epoch = excluded.epoch, retries = excluded.retries,
        request_data = excluded.request_data, request_key = excluded.request_key,
        result = excluded.result, result_key = excluded.result_key,
        updates = excluded.updates, updates_key = excluded.updates_key
        WHERE requests.status < 3 AND requests.server_id = excluded.server_id AND requests.life = excluded.life
            AND requests.epoch <= excluded.epoch",
};

/// Adds new requests; refused as a whole when one exists.
pub async fn insert_many<R: Borrow<(Request, RequestData)> + Sync>(tx: &mut Tx, requests: &[R]) -> Result<u64> {
    INSERT.insert(tx, requests.len(), requests.iter().map(Borrow::borrow).flat_map(values_of)).await
}

/// Writes requests as they stand, new ones or ones that were written as not final before.
///
/// A final row is never changed, nor one of another server, life or later epoch: such requests are left out of the
/// number of rows written. Of a request that is in the group twice, the last one counts.
pub async fn record_many<R: Borrow<(Request, RequestData)> + Sync>(tx: &mut Tx, requests: &[R]) -> Result<u64> {
    let rows = || requests.iter().map(Borrow::borrow);
    if !have_twins(rows().map(|(request, _)| request.id)) {
        return RECORD.insert(tx, requests.len(), rows().flat_map(values_of)).await;
    }
    let last: HashMap<_, _> = rows().enumerate().map(|(at, (request, _))| (request.id, at)).collect();
    let once = rows().enumerate().filter(|(at, (request, _))| last.get(&request.id) == Some(at));
    RECORD.insert(tx, last.len(), once.flat_map(|(_, row)| values_of(row))).await
}

/// Whether an id is among them twice: not often, and found out for less than what telling them apart takes.
fn have_twins(ids: impl Iterator<Item = RequestId>) -> bool {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.windows(2).any(|pair| pair[0] == pair[1])
}

fn values_of((request, data): &(Request, RequestData)) -> impl Iterator<Item = Value> + use<> {
    request.values().into_iter().chain(data.values())
}

pub(super) fn built_texts(postgres: bool) -> Vec<(String, String)> {
    let text = |bulk: &Bulk| match postgres {
        true => bulk.text_for_pg(),
        false => bulk.text_for_lite(5),
    };
    vec![("requests::insert_many".into(), text(&INSERT)), ("requests::record_many".into(), text(&RECORD))]
}
