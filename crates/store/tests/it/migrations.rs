//! Migrations: once, in order, never over a newer database.

use modelyard_store::{Store, StoreError};
use sqlx::Connection as _;

use crate::both::places;

async fn run(address: &str, statement: &'static str) {
    if modelyard_store::is_postgres(address) {
        let mut on = sqlx::PgConnection::connect(address).await.unwrap();
        sqlx::query(statement).execute(&mut on).await.unwrap();
    } else {
        let mut on = sqlx::SqliteConnection::connect(address).await.unwrap();
        sqlx::query(statement).execute(&mut on).await.unwrap();
    }
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    for place in places() {
        place.open().await.close().await;
        place.open().await.close().await;
    }
}

#[tokio::test]
async fn several_servers_can_start_at_once() {
    for place in places() {
        let address = place.address();
        let (one, two, three) = tokio::join!(Store::open(&address), Store::open(&address), Store::open(&address));
        for store in [one, two, three] {
            store.unwrap().close().await;
        }
    }
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    for place in places() {
        place.open().await.close().await;
        run(
            &place.address(),
            "INSERT INTO migrations (part, number, name, checksum, applied_at)
            SELECT part, 9999, 'store/9999_future.sql', checksum, 0 FROM migrations WHERE number = 1",
        )
        .await;

        let refused = Store::open(&place.address()).await.err().unwrap();

        assert!(matches!(&refused, StoreError::Invalid(why) if why.contains("newer version")), "{refused}");
    }
}

#[tokio::test]
async fn a_database_of_other_migrations_is_refused() {
    for place in places() {
        place.open().await.close().await;
        let other = match modelyard_store::is_postgres(&place.address()) {
            true => "UPDATE migrations SET checksum = decode(repeat('00', 32), 'hex')",
            false => "UPDATE migrations SET checksum = zeroblob(32)",
        };
        run(&place.address(), other).await;

        let refused = Store::open(&place.address()).await.err().unwrap();

        assert!(matches!(&refused, StoreError::Invalid(why) if why.contains("different version")), "{refused}");
    }
}

#[tokio::test]
async fn what_is_not_a_database_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("modelyard.db");
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();

    let refused = Store::open(path.to_str().unwrap()).await.err().unwrap();

    assert!(refused.to_string().contains("modelyard.db"), "{refused}");
}
