//! Updates are read by who leads, kept for others, and cost bounded memory.

use super::*;

fn text(number: usize) -> Bytes {
    Bytes::from(format!("update {number}"))
}

#[tokio::test]
async fn the_leading_reader_holds_back_credits_and_gives_them_when_it_leaves() {
    let (room, updates) = (Room::new(1 << 30), Arc::new(Updates::new(false, true)));
    assert!(!updates.push(text(0), &room));
    assert!(!updates.push(text(1), &room));
    let mut reader = Reader::new(updates.clone(), true);
    assert_eq!(reader.next().await, Some(text(0)));
    assert_eq!(reader.leave(), 1);
    assert!(updates.push(text(2), &room));
    assert_eq!(updates.lock().items.len(), 0, "nobody reads, nothing is kept");
    assert_eq!(updates.end(), None);
    assert_eq!(reader.next().await, None);
}

#[tokio::test]
async fn what_is_kept_is_read_by_many_and_from_the_beginning() {
    let (room, updates) = (Room::new(1 << 30), Arc::new(Updates::new(true, false)));
    for number in 0..3 {
        assert!(updates.push(text(number), &room));
    }
    let mut readers = [Reader::new(updates.clone(), false), Reader::new(updates.clone(), false)];
    for reader in &mut readers {
        assert_eq!(reader.next().await, Some(text(0)));
    }
    let kept = updates.end().expect("it is kept");
    assert_eq!(from_json(&kept), ["update 0", "update 1", "update 2"]);
    let [first, _] = &mut readers;
    assert_eq!((first.next().await, first.next().await, first.next().await), (Some(text(1)), Some(text(2)), None));
    assert!(!updates.push(text(3), &room), "it is over");
}

#[tokio::test]
async fn more_than_may_be_kept_is_not_kept_at_all_but_read() {
    let (room, updates) = (Room::new(1 << 30), Arc::new(Updates::new(true, false)));
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    for _ in 0..20 {
        updates.push(large.clone(), &room);
    }
    let log = updates.lock();
    assert!(!log.keeps && log.items.is_empty() && log.room.is_empty());
    drop(log);
    assert_eq!(updates.end(), None);
}

#[tokio::test]
async fn followers_hear_what_is_not_kept_and_cost_bounded_room() {
    let (room, updates) = (Room::new(1 << 30), Arc::new(Updates::new(false, false)));
    updates.push(text(0), &room);
    let mut reader = Reader::new(updates.clone(), false);
    updates.push(text(1), &room);
    updates.push(Bytes::from(vec![b'x'; 1 << 20]), &room);
    assert_eq!(reader.next().await, Some(text(1)));
    assert_eq!(reader.next().await.map(|text| text.len()), Some(1 << 20));
    for _ in 0..8 {
        updates.push(Bytes::from(vec![b'y'; 1 << 20]), &room);
    }
    let held = |updates: &Updates| {
        let log = updates.lock();
        (log.items.len(), log.room.len())
    };
    assert_eq!(held(&updates), (1, RING / STEP));
    assert_eq!(reader.next().await.map(|text| text[0]), Some(b'y'));
    drop(reader);
    assert_eq!(held(&updates), (0, 0));
    assert!(room.is_free());
}
