//! Batch requests of a version whose instances do not start.

use std::time::Duration;

use modelyard_store::*;
use modelyard_types::Timestamp;
use modelyard_types::ids::VersionId;
use modelyard_types::requests::RequestStatus;
use modelyard_types::versions::RetentionMode;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use crate::both::{Place, both};
use crate::request_queue::{VERSION, claim, get, insert, life, waiting};

const NOW: Timestamp = Timestamp(5);

async fn step(store: &Store, before: Timestamp, limit: i64) -> (usize, requests::Ended) {
    let mut tx = store.begin().await.unwrap();
    let ended = requests::end_waiting(&mut tx, VERSION, before, NOW, "It does not start", limit).await.unwrap();
    tx.commit().await.unwrap();
    ended
}

/// A time that comes after all ids made so far.
fn later() -> Timestamp {
    Timestamp::now().plus(Duration::from_millis(2))
}

#[tokio::test]
async fn what_waits_ends_in_steps_in_the_order_of_the_queue() {
    for (store, _place) in both().await {
        let rows = [waiting(VERSION, 1), waiting(VERSION, 1), waiting(VERSION, 0), waiting(VERSION, 1)];
        insert(&store, &rows).await;
        let statuses = async || {
            let mut found = Vec::new();
            for (request, _) in &rows {
                found.push(get(&store, request.id).await.unwrap().status);
            }
            found
        };
        let before = later();
        use RequestStatus::{Failed, Pending};
        let (count, ended) = step(&store, before, 2).await;
        assert_eq!((count, ended.ids.len()), (2, 2));
        assert_eq!(statuses().await, [Failed, Pending, Failed, Pending]);
        assert_eq!(step(&store, before, 3).await.0, 2);
        assert_eq!(statuses().await, [Failed; 4]);
        assert_eq!(step(&store, before, 3).await.0, 0);

        let after = get(&store, rows[0].0.id).await.unwrap();
        assert_eq!((after.error_message.as_deref(), after.completed_at), (Some("It does not start"), Some(NOW)));
        assert_eq!((after.life, after.epoch, after.started_at), (0, 0, None));
        let told = outbox::list_after(&store, Uuid::nil(), 10).await.unwrap();
        assert_eq!(told.iter().map(|it| it.status).collect::<Vec<_>>(), [Failed; 4]);
    }
}

#[tokio::test]
async fn only_what_waited_by_then_and_nobody_has_ends() {
    for (store, _place) in both().await {
        let first = waiting(VERSION, 0);
        insert(&store, &[first, waiting(VersionId::new(), 0), waiting(VERSION, 1)]).await;
        let claimed = claim(&store, life(1), 1).await.remove(0);
        let before = later();
        // Ids tell milliseconds.
        while Timestamp::now() <= before.plus(Duration::from_millis(1)) {
            tokio::task::yield_now().await;
        }
        let late = waiting(VERSION, 0);
        insert(&store, std::slice::from_ref(&late)).await;

        assert_eq!(step(&store, before, 10).await.0, 1);
        assert_eq!(get(&store, claimed.id).await, Some(claimed));
        assert_eq!(get(&store, late.0.id).await, Some(late.0));
        let mut left = requests::waiting(&store).await.unwrap();
        left.sort_by_key(|(version, ..)| *version != VERSION);
        assert_eq!(left.iter().map(|(_, count, _)| *count).collect::<Vec<_>>(), [1, 1]);
    }
}

#[tokio::test]
async fn data_goes_as_retention_says() {
    for (store, _place) in both().await {
        let modes = [RetentionMode::Full, RetentionMode::Metadata, RetentionMode::None];
        let rows = modes.map(|retention_mode| {
            let (request, data) = waiting(VERSION, 1);
            let key = format!("{retention_mode:?}");
            (Request { retention_mode, ..request }, RequestData { request_key: Some(key), ..data })
        });
        insert(&store, &rows).await;
        let (count, mut ended) = step(&store, later(), 10).await;
        ended.objects.sort();
        assert_eq!((count, ended.objects), (3, vec!["Metadata".to_owned(), "None".to_owned()]));
        let mut kept = Vec::new();
        for (request, _) in &rows {
            kept.push(requests::get_data(&store, request.id).await.unwrap().map(|data| data.request_data.is_some()));
        }
        assert_eq!(kept, [Some(true), Some(false), None]);
        assert_eq!(outbox::list_after(&store, Uuid::nil(), 10).await.unwrap().len(), 3);
    }
}

/// Whether PostgreSQL has just counted the rows or knows nothing of them, and whatever else waits.
#[tokio::test]
async fn a_versions_rows_are_found_by_the_index_of_the_queue() {
    let place = Place::pg();
    let store = place.open().await;
    let mut on = sqlx::PgConnection::connect(&place.address()).await.unwrap();
    let (_, text) = statements(true).into_iter().find(|(name, _)| name.ends_with("given_up::WAITING_PG")).unwrap();
    let (version, id) = (VERSION.0, Uuid::from_u128(u128::MAX));
    let values = [("$1", format!("'{version}'::uuid")), ("$2", format!("'{id}'::uuid")), ("$3", "1000".to_owned())];
    let text = values.iter().fold(text, |text, (mark, value)| text.replace(mark, value));
    for (of_version, of_others) in [(10, 3_000), (3_000, 10), (3_000, 3_000)] {
        let rows: Vec<_> = (0..of_version).map(|_| waiting(VERSION, 1)).collect();
        insert(&store, &rows).await;
        let other = VersionId::new();
        let rows: Vec<_> = (0..of_others).map(|_| waiting(other, 1)).collect();
        insert(&store, &rows).await;
        for analyze in [false, true] {
            if analyze {
                sqlx::query("ANALYZE requests").execute(&mut on).await.unwrap();
            }
            let explain = AssertSqlSafe(format!("EXPLAIN {text}"));
            let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut on).await.unwrap();
            let plan = plan.join("\n");
            assert!(plan.contains("Index Scan using requests_queue"), "{plan}");
            assert!(!plan.contains("Sort"), "{plan}");
        }
    }
    on.close().await.unwrap();
}
