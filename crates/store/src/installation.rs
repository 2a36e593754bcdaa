//! The installation: made once, at the first start.

use modelyard_types::Timestamp;

use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// What is known of the installation as a whole.
    pub struct Installation {
        /// Proof that a key file belongs to this database; made by who holds the key.
        pub key_check: String,
        /// When it was made.
        pub created_at: Timestamp,
    }
}

statements! {
    GET = "SELECT ", Installation::COLUMNS, " FROM installation";
    INSERT = "INSERT INTO installation (", Installation::COLUMNS, ", one_row) VALUES (", Installation::MARKS, ", 1)";
    SET_KEY_CHECK = "UPDATE installation SET key_check = $1";
}

/// The installation, unless this is the first start.
pub async fn get(on: impl Source<'_>) -> Result<Option<Installation>> {
    on.first(GET, values![]).await
}

/// Notes that the installation was made; refused as taken when it was made before.
pub async fn insert(tx: &mut Tx, installation: &Installation) -> Result<()> {
    tx.run(INSERT, installation.values()).await.map(drop)
}

/// Notes that another key file belongs to this database.
pub async fn set_key_check(tx: &mut Tx, key_check: &str) -> Result<()> {
    tx.run(SET_KEY_CHECK, values![key_check]).await.map(drop)
}
