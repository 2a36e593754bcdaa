//! What the codec promises, whatever arrives.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::{BufMut, Bytes};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Hands the bytes over in pieces of the given sizes, and gives all frames.
fn decode(maxima: Maxima, bytes: &[u8], pieces: &[usize]) -> Result<Vec<FromWorker>, Broken> {
    let mut decoder = Decoder::new(maxima);
    let (mut frames, mut rest, mut sizes) = (Vec::new(), bytes, pieces.iter().cycle());
    while !rest.is_empty() {
        let piece = rest.len().min(*sizes.next().unwrap_or(&usize::MAX)).max(1);
        let room = decoder.room();
        let taken = piece.min(room.remaining_mut());
        assert!(taken > 0, "there is always room after `next` gave nothing");
        room.into_inner().put_slice(&rest[..taken]);
        rest = &rest[taken..];
        while let Some(frame) = decoder.next()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

fn encoded(frames: &[FromWorker]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        from_worker(frame, &mut out).unwrap();
    }
    out
}

fn any_frame() -> impl Strategy<Value = FromWorker> {
    let call = 1..u64::MAX;
    let kinds = prop_oneof![Just(ErrorKind::Exception), Just(ErrorKind::Output), Just(ErrorKind::Cancelled)];
    prop_oneof![
        (any::<u64>(), any::<u32>(), ".{0,30}").prop_map(|(epoch, process, python)| FromWorker::Hello(Hello {
            protocol: VERSION,
            instance: "i".into(),
            epoch,
            process,
            python: Some(python),
            r: None
        })),
        any::<u64>().prop_map(|micros| FromWorker::Phase(PhaseDone { phase: WorkerPhase::Import, micros })),
        any::<(bool, bool)>()
            .prop_map(|(has_request, has_requests)| FromWorker::Ready(ReadyMessage { has_request, has_requests })),
        call.clone().prop_map(FromWorker::Started),
        (any::<u64>(), any::<bool>(), ".{0,2000}").prop_map(|(call, error, text)| FromWorker::Log {
            call,
            level: if error { Level::Error } else { Level::Info },
            text
        }),
        (call.clone(), ".{0,200}").prop_map(|(call, text)| FromWorker::Update(call, Bytes::from(text))),
        (call.clone(), any::<u32>()).prop_map(|(call, index)| FromWorker::OutputFile(call, index)),
        (call.clone(), vec(any::<u8>(), 0..300)).prop_map(|(call, body)| FromWorker::Result(call, Bytes::from(body))),
        (call.clone(), vec(any::<u8>(), 0..300)).prop_map(|(call, body)| FromWorker::Packed(call, Bytes::from(body))),
        (call.clone(), 60_000usize..400_000)
            .prop_map(|(call, size)| FromWorker::Result(call, Bytes::from(vec![b'7'; size]))),
        (call, kinds, ".{0,50}", proptest::option::of(".{0,20}")).prop_map(|(call, kind, message, public)| {
            FromWorker::Error(call, CallError { kind, message, public_error_message: public })
        }),
        ".{0,50}".prop_map(|message| FromWorker::Fatal(Fatal {
            kind: FatalKind::Init,
            message,
            public_error_message: None
        })),
        Just(FromWorker::Stopped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn frames_survive_any_cutting(frames in vec(any_frame(), 0..12), pieces in vec(1usize..100_000, 1..6)) {
        prop_assert_eq!(decode(Maxima::default(), &encoded(&frames), &pieces).unwrap(), frames);
    }

    #[test]
    fn any_bytes_are_frames_or_broken_and_never_a_panic(bytes in vec(any::<u8>(), 0..2000), piece in 1usize..500) {
        let _ = decode(Maxima::default(), &bytes, &[piece]);
    }

    #[test]
    fn any_payload_of_a_known_kind_is_a_frame_or_broken(kind in 0u8..13, payload in vec(any::<u8>(), 0..200)) {
        let mut bytes = u32::try_from(payload.len() + 1).unwrap().to_be_bytes().to_vec();
        bytes.push(kind);
        bytes.extend(payload);
        let _ = decode(Maxima::default(), &bytes, &[usize::MAX]);
    }

    #[test]
    fn one_flipped_bit_never_panics(frames in vec(any_frame(), 1..4), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encoded(&frames);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = decode(Maxima::default(), &bytes, &[4096]);
    }

    #[test]
    fn an_announced_length_costs_no_memory_before_its_bytes_arrive(length in 1u32.., kind in any::<u8>()) {
        let mut decoder = Decoder::new(Maxima::default());
        decoder.room().into_inner().put_slice(&length.to_be_bytes());
        decoder.room().into_inner().put_slice(&[kind]);
        if decoder.next().is_ok() {
            prop_assert!(decoder.room().into_inner().capacity() <= 256 << 10);
        }
    }
}

#[test]
fn each_kind_ends_at_its_maximum() {
    let maxima = Maxima { result: 100_000 };
    for (kind, most) in [
        (kind::HELLO, 4096),
        (kind::STARTED, 8),
        (kind::LOG, 9 + 65536),
        (kind::UPDATE, 8 + (1 << 20)),
        (kind::RESULT, 9 + 100_000),
        (kind::ERROR, 8 + 65536),
        (kind::FATAL, 65536),
        (kind::STOPPED, 0),
        (kind::OUTPUT_FILE, 12),
    ] {
        let head = |payload: usize| {
            let mut head = u32::try_from(payload + 1).unwrap().to_be_bytes().to_vec();
            head.push(kind);
            head
        };
        assert!(decode(maxima, &head(most)[..4], &[9]).is_ok());
        let over = decode(maxima, &head(most + 1), &[9]).unwrap_err();
        assert!(over.0.contains("are allowed"), "{over}");
    }
    assert!(decode(maxima, &[0, 0, 0, 0, 4], &[9]).is_err());
    assert!(decode(maxima, &[0, 0, 0, 2, kind::CALL, 0], &[9]).is_err());
}

#[test]
fn a_frame_of_call_zero_is_broken_but_a_log_line_is_not() {
    assert!(decode(Maxima::default(), &encoded(&[FromWorker::Started(0)]), &[99]).is_err());
    assert!(decode(Maxima::default(), &encoded(&[FromWorker::Result(0, Bytes::new())]), &[99]).is_err());
    let log = FromWorker::Log { call: 0, level: Level::Info, text: "hi".into() };
    assert_eq!(decode(Maxima::default(), &encoded(std::slice::from_ref(&log)), &[99]).unwrap(), [log]);
}

#[test]
fn the_servers_frames_are_laid_out_as_written() {
    assert_eq!(cancel(2), [0, 0, 0, 9, 0x42, 0, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!(credit(2, 3), [0, 0, 0, 13, 0x43, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3]);
    assert_eq!(stop(), [0, 0, 0, 1, 0x44]);
    let head = call_head(1, 2, &Bytes::from_static(b"{}"), &Bytes::from_static(b"abc")).unwrap();
    assert_eq!(head, [0, 0, 0, 19, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 2]);
    let file = input_file(1, 2, "a.png").unwrap();
    assert_eq!(file, b"\0\0\0\x12\x46\0\0\0\0\0\0\0\x01\0\0\0\x02a.png");
    assert!(input_file(1, 0, &"n".repeat(FILE_NAME)).is_some());
    assert!(input_file(1, 0, &"n".repeat(FILE_NAME + 1)).is_none());
    let frame = start(&Start {
        protocol: VERSION,
        base_directory: "/deployment".into(),
        main_file: "deployment".into(),
        context: serde_json::Map::new(),
        input_type: "plain".into(),
        output_type: "plain".into(),
        output_fields: vec![],
        input_files: vec![],
    })
    .unwrap();
    assert_eq!(u32::from_be_bytes(*frame.first_chunk().unwrap()) as usize, frame.len() - 4);
    assert_eq!((frame[4], frame[5]), (0x40, b'{'));
    assert!(!String::from_utf8_lossy(&frame).contains("input_files"));
}
