//! Pages of lists in which live requests stand among stored ones.

use modelyard_store::requests as stored;

use super::*;

/// Stores copies of a request, which another server has.
async fn store_copies(world: &World, of: &modelyard_store::Request, count: usize) {
    let other = modelyard_types::ServerId::new();
    let copy = |_| modelyard_store::Request { id: RequestId::new(), server_id: other, ..of.clone() };
    let rows: Vec<_> = (0..count).map(copy).map(|row| (row, modelyard_store::RequestData::default())).collect();
    let mut tx = world.control.store().begin().await.unwrap();
    stored::insert_many(&mut tx, &rows).await.unwrap();
    tx.commit().await.unwrap();
}

/// Live requests, every other one in the database as well, and rows of another server between them. Two more have ended
/// and wait among the live ones for their data to be stored: the database does not know of their ends.
async fn mixed(world: &World, place: &Place) -> Vec<JoinHandle<Result<Answer>>> {
    let mut answers = Vec::new();
    let large: &str = format!(r#"{{"x":1{}}}"#, " ".repeat(100_000)).leak();
    world.break_objects();
    for round in 0..8 {
        let ends = round == 2 || round == 4;
        answers.push(send(world, place, if ends { large } else { r#"{"x":1}"# }));
        let live = || world.control.0.live.filter(|_| true);
        until(|| live().len() == round + 1).await;
        let newest = live().into_iter().max_by_key(|live| live.id).unwrap();
        if round % 2 == 0 {
            newest.record_unended();
        }
        store_copies(world, &newest.row().0, 1 + round % 3 * 3).await;
        if ends {
            newest.fail("It broke".into());
        }
    }
    answers
}

#[tokio::test]
async fn pages_show_each_request_once_wherever_it_stands() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let answers = mixed(&world, &place).await;
    for oldest_first in [false, true] {
        let page = async |offset, limit| {
            let filter = RequestFilter {
                version: Some(place.2.id),
                statuses: vec![RequestStatus::Pending],
                oldest_first,
                offset,
                limit,
                ..RequestFilter::default()
            };
            let found = world.control.list_requests(&place.0, &filter).await.unwrap();
            found.into_iter().map(|view| view.request.id).collect::<Vec<_>>()
        };
        let all = page(0, 1_000).await;
        let before = |pair: &[RequestId]| if oldest_first { pair[0] < pair[1] } else { pair[0] > pair[1] };
        assert!(all.len() == 6 + 29 && all.windows(2).all(before), "{all:?}");
        for offset in 0..=all.len() + 2 {
            for limit in [1, 4, 50] {
                let expected: Vec<_> = all.iter().skip(offset).take(limit).copied().collect();
                assert_eq!(page(offset as i64, limit as i64).await, expected, "offset {offset}, limit {limit}");
            }
        }
    }
    answers.iter().for_each(JoinHandle::abort);
}
