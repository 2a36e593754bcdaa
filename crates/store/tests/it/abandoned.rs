//! Callers that go away in the middle of a transaction leave nothing behind and block nobody.

use modelyard_store::*;
use modelyard_types::ids::OrganizationId;

use crate::both::{self, both};

async fn write(store: &Store, number: u64) -> OrganizationId {
    let row = both::organization(&format!("o{number}"));
    let mut tx = store.begin().await.unwrap();
    organizations::insert(&mut tx, &row).await.unwrap();
    catalogue::touch(&mut tx, None).await.unwrap();
    tx.commit().await.unwrap();
    row.id
}

#[tokio::test]
async fn abandoned_transactions_leave_nothing_and_block_nobody() {
    for (store, _place) in both().await {
        let mut committed = Vec::new();
        for number in 0..150_u64 {
            // Polled a few times and dropped, so that each point of waiting is where some caller goes away.
            let work = write(&store, number);
            tokio::select! {
                biased;
                id = work => committed.push(id),
                () = yields(number % 50) => {}
            }
        }
        let last = write(&store, 1_000).await;

        let rows = organizations::list(&store).await.unwrap();
        assert_eq!(catalogue::number(&store).await.unwrap(), rows.len() as i64, "a row and its change go together");
        for id in committed.into_iter().chain([last]) {
            assert!(rows.iter().any(|row| row.id == id));
        }
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(store.snapshot().await.unwrap());
        }
        for mut reader in readers {
            assert_eq!(organizations::list(&mut reader).await.unwrap().len(), rows.len());
        }
    }
}

async fn yields(times: u64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}
