//! Room is taken by weight, in two shares, and comes back.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const MIB: usize = 1 << 20;

async fn now(room: &Room, body: usize) -> Result<Permit> {
    room.permit_within(body, Duration::ZERO).await
}

/// Permits for such bodies until there is no room.
async fn fill(room: &Room, body: usize) -> Vec<Permit> {
    let mut held = Vec::new();
    while let Ok(permit) = now(room, body).await {
        held.push(permit);
    }
    held
}

#[tokio::test]
async fn large_bodies_take_more_room_and_leave_that_of_small_ones() {
    let room = Room::new(1 << 30);
    let large = fill(&room, 10 * MIB).await;
    assert_eq!(large.len(), 31);
    let small = fill(&room, 0).await;
    assert_eq!(small.len(), 16_384);
    let refused = now(&room, 10 * MIB).await.unwrap_err().to_string();
    assert!(refused.ends_with("(`request_memory`); try again soon"), "{refused}");
    drop(large);
    assert!(now(&room, 0).await.is_err());
    // One that is larger than all there is passes alone.
    let alone = now(&room, usize::MAX).await.unwrap();
    assert!(now(&room, 10 * MIB).await.is_err());
    drop((small, alone));
    assert!(room.is_free());
}

#[tokio::test]
async fn what_a_shorter_body_does_not_need_comes_back() {
    let room = Room::new(1 << 30);
    let mut permits = fill(&room, 10 * MIB).await;
    permits.iter_mut().for_each(|permit| permit.shrink(10 * MIB, MIB));
    let more = fill(&room, MIB).await;
    assert_eq!(permits.len() + more.len(), (640 << 10) / (2048 + 16));
    // Nor is more given back than was taken.
    let mut cut = Room::new(1 << 20).permit(usize::MAX).await.unwrap();
    cut.shrink(usize::MAX, 0);
    drop((permits, more));
    assert!(room.is_free());
}

#[tokio::test]
async fn large_results_that_wait_to_be_written_hold_back_new_requests() {
    let room = Room::new(1 << 30);
    let mut permit = now(&room, 0).await.unwrap();
    room.heavier(&mut permit, MAX_INLINE);
    room.heavier(&mut permit, 600 * MIB);
    drop(now(&room, 0).await.unwrap());
    room.heavier(&mut permit, 400 * MIB);
    assert!(now(&room, 0).await.is_err());
    assert!(now(&room, MIB).await.is_err());
    room.heavier(&mut permit, 400 * MIB);
    drop(permit);
    assert!(room.is_free());
}

#[tokio::test]
async fn a_result_has_its_room_until_nobody_holds_a_piece_of_it() {
    let room = Room::new(1 << 30);
    let small = room.held(Bytes::from(vec![0; MAX_INLINE]));
    assert!(room.is_free());
    let result = room.held(Bytes::from(vec![0; 600 * MIB]));
    assert!(now(&room, 100 * MIB).await.is_err());
    let (mut rest, copy) = (result.clone(), result.clone());
    drop((result, rest.split_to(1), copy));
    assert!(now(&room, 100 * MIB).await.is_err());
    drop((rest, small));
    assert!(room.is_free());
}

#[tokio::test]
async fn requests_that_nobody_waits_for_have_half_of_the_room() {
    let room = Room::new(1 << 30);
    let spare = || {
        let spare = room.spare();
        (spare.count, spare.small_bytes, spare.large_bytes)
    };
    assert_eq!(spare(), (4096, 32 * MIB, 160 * MIB));
    let taken = room.rest_for(100 * MIB);
    assert_eq!(spare(), (4096, 32 * MIB, 60 * MIB - 8 * 1024));
    let small = room.rest_for(MAX_INLINE);
    assert_eq!(spare().0, 4096 - 5);
    let rest = room.rest_for(usize::MAX);
    assert_eq!(spare().2, 0);
    let updates = room.for_updates(128 << 10).unwrap();
    assert!(room.for_updates(1).is_none());
    drop((taken, small, rest, updates));
    assert!(room.is_free());
}
