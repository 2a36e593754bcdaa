//! Users: who signs in.

use modelyard_types::Timestamp;
use modelyard_types::ids::UserId;

use crate::db::Source;
use crate::error::Result;
use crate::sql::{row, statements};
use crate::tx::Tx;
use crate::value::values;

row! {
    /// A user.
    pub struct User {
        /// Its id.
        pub id: UserId,
        /// The address it signs in with, unique in the installation.
        pub email: String,
        /// First name; may be empty.
        pub name: String,
        /// Family name; may be empty.
        pub surname: String,
        /// The hash of its password, when it has one.
        pub password_hash: Option<String>,
        /// Whether it may do everything.
        pub is_admin: bool,
        /// Whether it may sign in.
        pub active: bool,
        /// When it was made.
        pub created_at: Timestamp,
    }
}

statements! {
    INSERT = "INSERT INTO users (", User::COLUMNS, ") VALUES (", User::MARKS, ")";
    GET = "SELECT ", User::COLUMNS, " FROM users WHERE id = $1";
    BY_EMAIL = "SELECT ", User::COLUMNS, " FROM users WHERE email = $1";
    LIST = "SELECT ", User::COLUMNS, " FROM users ORDER BY email";
    UPDATE = "UPDATE users SET ", User::ASSIGNMENTS, " WHERE id = $1";
    DELETE = "DELETE FROM users WHERE id = $1";
}

/// Adds a user; refused when the address is taken.
pub async fn insert(tx: &mut Tx, user: &User) -> Result<()> {
    tx.run(INSERT, user.values()).await.map(drop)
}

/// The user of an id.
pub async fn get(on: impl Source<'_>, id: UserId) -> Result<Option<User>> {
    on.first(GET, values![id]).await
}

/// The user of an address.
pub async fn get_by_email(on: impl Source<'_>, email: &str) -> Result<Option<User>> {
    on.first(BY_EMAIL, values![email]).await
}

/// All users by address.
pub async fn list(on: impl Source<'_>) -> Result<Vec<User>> {
    on.all(LIST, values![]).await
}

/// Writes all fields of a user; false when it is gone.
pub async fn update(tx: &mut Tx, user: &User) -> Result<bool> {
    Ok(tx.run(UPDATE, user.values()).await? == 1)
}

/// Removes a user with its tokens; false when it is gone.
pub async fn delete(tx: &mut Tx, id: UserId) -> Result<bool> {
    Ok(tx.run(DELETE, values![id]).await? == 1)
}
