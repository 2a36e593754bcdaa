//! Servers and their lives. What a life that is over left unfinished is found by its number.

use modelyard_types::Timestamp;
use modelyard_types::ids::ServerId;

use crate::db::Source;
use crate::error::Result;
use crate::sql::statements;
use crate::tx::Tx;
use crate::value::values;

/// A life of a server: from one start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The server.
    pub server: ServerId,
    /// Counts its starts, from 1.
    pub number: i64,
}

statements! {
    START = "INSERT INTO servers (id, life, started_at, heartbeat_at) VALUES ($1, 1, $2, $2)
        ON CONFLICT (id) DO UPDATE SET life = servers.life + 1, started_at = excluded.started_at,
            heartbeat_at = excluded.heartbeat_at
        RETURNING life";
    BEAT = "UPDATE servers SET heartbeat_at = $3 WHERE id = $1 AND life = $2";
}

/// Begins a new life of a server.
pub async fn start(tx: &mut Tx, server: ServerId, now: Timestamp) -> Result<Life> {
    let (number,) = tx.one(START, values![server, now]).await?;
    Ok(Life { server, number })
}

/// Shows that a server lives; false when another life has begun.
pub async fn beat(tx: &mut Tx, life: Life, now: Timestamp) -> Result<bool> {
    let beaten = tx.run(BEAT, values![life.server, life.number, now]).await?;
    Ok(beaten == 1)
}
