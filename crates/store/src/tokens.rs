//! Tokens: kept by their SHA-256, never as they are.

use modelyard_types::Timestamp;
use modelyard_types::ids::{TokenId, UserId};

use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A credential of a user.
    pub struct Token {
        /// Its id.
        pub id: TokenId,
        /// Whose it is.
        pub user_id: UserId,
        /// The SHA-256 of the token.
        pub hash: [u8; 32],
        /// What it is for.
        pub label: String,
        /// When it was made.
        pub created_at: Timestamp,
        /// When it stops to work; never when absent.
        pub expires_at: Option<Timestamp>,
    }
}

statements! {
    INSERT = "INSERT INTO tokens (", Token::COLUMNS, ") VALUES (", Token::MARKS, ")";
    BY_HASH = "SELECT ", Token::COLUMNS, " FROM tokens WHERE hash = $1";
    OF_USER = "SELECT ", Token::COLUMNS, " FROM tokens WHERE user_id = $1 ORDER BY id";
    DELETE = "DELETE FROM tokens WHERE id = $1";
}

/// Adds a token.
pub async fn insert(tx: &mut Tx, token: &Token) -> Result<()> {
    tx.run(INSERT, token.values()).await.map(drop)
}

/// The token of a hash.
pub async fn get_by_hash(on: impl Source<'_>, hash: &[u8; 32]) -> Result<Option<Token>> {
    on.first(BY_HASH, values![hash]).await
}

/// The tokens of a user, the oldest first.
pub async fn list(on: impl Source<'_>, user: UserId) -> Result<Vec<Token>> {
    on.all(OF_USER, values![user]).await
}

/// Removes a token; false when it is gone.
pub async fn delete(tx: &mut Tx, id: TokenId) -> Result<bool> {
    Ok(tx.run(DELETE, values![id]).await? == 1)
}
