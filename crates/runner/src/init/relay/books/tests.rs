//! What the relay does with each frame.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn call(number: u64) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[0; 5], b"{}"].concat()
}

/// Kinds of frames, each with the number of its call if it has one.
fn shown(mut bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*head) as usize);
        let of = number(&frame[1..]).map(|number| format!(" {number}")).unwrap_or_default();
        all.push(format!("{:02x}{}", frame[0], if frame[0] == kind::PHASE { String::new() } else { of }));
        bytes = rest;
    }
    all
}

fn server(books: &mut Books, kind: u8, payload: &[u8]) -> (Vec<String>, Vec<String>) {
    books.server_said(kind, payload).unwrap();
    (shown(&books.for_server().bytes), shown(&books.for_worker()))
}

fn worker(books: &mut Books, kind: u8, call: u64) -> (Vec<String>, Vec<String>) {
    books.worker_said(kind, call.to_be_bytes().to_vec(), Duration::ZERO);
    (shown(&books.for_server().bytes), shown(&books.for_worker()))
}

fn own(text: &[&str]) -> Vec<String> {
    text.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn calls_are_handed_over_one_by_one_and_the_stop_last() {
    let mut books = Books::default();
    assert_eq!(server(&mut books, kind::CALL, &call(1)), (own(&["04 1"]), own(&["41 1"])));
    assert_eq!(server(&mut books, kind::CALL, &call(2)), (own(&[]), own(&[])));
    assert_eq!(server(&mut books, kind::STOP, &[]), (own(&[]), own(&[])));
    assert_eq!(worker(&mut books, kind::STARTED, 1), (own(&[]), own(&[])));
    assert_eq!(worker(&mut books, kind::RESULT, 1), (own(&["07 1", "04 2"]), own(&["41 2"])));
    assert_eq!(worker(&mut books, kind::ERROR, 2), (own(&["08 2"]), own(&["44"])));
    assert_eq!(worker(&mut books, kind::STOPPED, 0).0, own(&["0a 0"]));
}

#[test]
fn calls_that_wait_are_given_back_while_another_is_in_work() {
    let mut books = Books::default();
    for number in 1..=3 {
        server(&mut books, kind::CALL, &call(number));
    }
    assert_eq!(server(&mut books, kind::RECALL, &2u64.to_be_bytes()).0, own(&["08 2"]));
    assert_eq!(server(&mut books, kind::CANCEL, &3u64.to_be_bytes()).0, own(&["08 3"]));
    assert_eq!(server(&mut books, kind::RECALL, &1u64.to_be_bytes()).0, own(&[]));
    assert!(!books.is_to_be_interrupted());
    assert_eq!(worker(&mut books, kind::RESULT, 1).0, own(&["07 1"]));
}

#[test]
fn a_call_is_interrupted_once_and_not_before_it_has_begun() {
    let mut books = Books::default();
    server(&mut books, kind::CALL, &call(1));
    server(&mut books, kind::CANCEL, &1u64.to_be_bytes());
    assert!(!books.is_to_be_interrupted());
    worker(&mut books, kind::STARTED, 1);
    assert!(books.is_to_be_interrupted());
    assert!(!books.is_to_be_interrupted());
    assert_eq!(worker(&mut books, kind::UPDATE, 1).0, own(&[]));
    assert_eq!(worker(&mut books, kind::ERROR, 1).0, own(&["08 1"]));
}

#[test]
fn a_slow_reader_of_updates_slows_the_worker() {
    let mut books = Books::default();
    server(&mut books, kind::CALL, &call(1));
    for _ in 0..FIRST_CREDIT {
        assert_eq!(worker(&mut books, kind::UPDATE, 1).0, own(&["06 1"]));
    }
    assert!(books.listens());
    assert_eq!(worker(&mut books, kind::UPDATE, 1).0, own(&[]));
    assert!(!books.listens());
    let credit = [&1u64.to_be_bytes()[..], &2u32.to_be_bytes()].concat();
    assert_eq!(server(&mut books, kind::CREDIT, &credit).0, own(&["06 1"]));
    assert!(books.listens());
}

fn file() -> OwnedFd {
    tempfile::tempfile().unwrap().into()
}

fn give(books: &mut Books, call: u64, index: u32, file: Option<OwnedFd>) -> Result<(), String> {
    books.server_gave(&[&call.to_be_bytes()[..], &index.to_be_bytes(), b"name"].concat(), file)
}

#[test]
fn a_call_waits_for_its_files_to_be_written() {
    let mut books = Books::default();
    for index in 0..2 {
        give(&mut books, 1, index, Some(file())).unwrap();
    }
    assert_eq!(server(&mut books, kind::CALL, &call(1)), (own(&["04 1"]), own(&[])));
    assert_eq!(books.unplaced(), Some(1));
    let (of, files) = books.take_unplaced().unwrap();
    assert_eq!((of, files.len(), files[0].name.as_str()), (1, 2, "name"));
    assert!(books.take_unplaced().is_none() && books.unplaced().is_some());
    books.placed(Ok(vec![b"/a".to_vec(), b"/b".to_vec()]));
    assert_eq!(shown(&books.for_worker()), own(&["46 1", "46 1", "41 1"]));
    assert!(books.unplaced().is_none() && books.ended().is_empty());
    worker(&mut books, kind::RESULT, 1);
    assert_eq!(books.ended(), [1]);
}

#[test]
fn a_call_whose_files_cannot_be_written_or_that_is_cancelled_meanwhile_never_reaches_the_worker() {
    let mut books = Books::default();
    for number in 1..=3 {
        give(&mut books, number, 0, None).unwrap();
        server(&mut books, kind::CALL, &call(number));
    }
    assert_eq!(books.take_unplaced().unwrap().0, 1);
    books.placed(Err("why".into()));
    let said = books.for_server();
    assert_eq!(shown(&said.bytes), own(&["08 1", "04 2"]));
    assert!(String::from_utf8_lossy(&said.bytes).contains(r#""kind":"input","message":"why""#));
    assert_eq!(server(&mut books, kind::RECALL, &2u64.to_be_bytes()).0, own(&[]));
    assert_eq!(server(&mut books, kind::CANCEL, &2u64.to_be_bytes()), (own(&["08 2", "04 3"]), own(&[])));
    assert_eq!((books.ended(), books.unplaced()), (vec![1, 2], Some(3)));
    // What was begun for the second comes too late to mean the third.
    assert_eq!(books.take_unplaced().unwrap().0, 3);
}

#[test]
fn files_that_are_not_right_before_their_call_break_the_protocol() {
    let mut books = Books::default();
    assert!(give(&mut books, 1, 1, None).is_err());
    assert!(give(&mut books, 0, 0, None).is_err());
    assert!(books.server_gave(&[0; 9], None).is_err());
    give(&mut books, 1, 0, None).unwrap();
    assert!(give(&mut books, 1, 0, None).is_err());
    assert!(give(&mut books, 2, 1, None).is_err());
    assert!(books.server_said(kind::STOP, &[]).is_err());
    give(&mut books, 1, 0, None).unwrap();
    assert!(books.server_said(kind::CALL, &call(2)).is_err());
    for index in 0..1000 {
        give(&mut books, 3, index, None).unwrap();
    }
    assert!(give(&mut books, 3, 1000, None).is_err());
}

fn answered(books: &mut Books, call: u64, files: Vec<Result<OwnedFd, String>>) -> Frames {
    for (file, index) in files.into_iter().zip(0u32..) {
        books.worker_gave(&[&call.to_be_bytes()[..], &index.to_be_bytes(), b"/path"].concat(), file);
    }
    books.worker_said(kind::RESULT, call.to_be_bytes().to_vec(), Duration::ZERO);
    books.for_server()
}

#[test]
fn files_of_an_answer_stand_before_it_and_one_that_cannot_be_opened_takes_its_place() {
    let mut books = Books::default();
    for number in 1..=3 {
        server(&mut books, kind::CALL, &call(number));
    }
    let said = answered(&mut books, 1, vec![Ok(file()), Ok(file())]);
    assert_eq!(shown(&said.bytes), own(&["0b 1", "0b 1", "07 1", "04 2"]));
    assert_eq!(said.files.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 17]);
    let said = answered(&mut books, 2, vec![Ok(file()), Err("first".into()), Ok(file()), Err("second".into())]);
    assert_eq!(shown(&said.bytes), own(&["0b 2", "08 2", "04 3"]));
    assert!(String::from_utf8_lossy(&said.bytes).contains(r#""kind":"output","message":"first""#));
    // A file of another call is nobody's.
    books.worker_gave(&[&7u64.to_be_bytes()[..], &[0; 4]].concat(), Ok(file()));
    books.worker_gave(&3u64.to_be_bytes(), Ok(file()));
    let one = file();
    let said = answered(&mut books, 3, (0..1001).map(|_| Ok(one.try_clone().unwrap())).collect());
    assert_eq!((said.files.len(), shown(&said.bytes).pop().unwrap()), (1000, "08 3".into()));
}

#[test]
fn the_hello_is_followed_by_the_time_it_took() {
    let mut books = Books::default();
    assert!(books.worker_said(kind::HELLO, b"{}".to_vec(), Duration::from_millis(3)));
    assert_eq!(shown(&books.for_server().bytes), own(&["01", "02"]));
}

#[test]
fn nonsense_of_the_server_is_an_error() {
    let mut books = Books::default();
    assert!(books.server_said(0x07, &[0; 8]).is_err());
    assert!(books.server_said(kind::CANCEL, &[0; 3]).is_err());
    assert!(books.server_said(kind::CREDIT, &[0; 8]).is_err());
}
