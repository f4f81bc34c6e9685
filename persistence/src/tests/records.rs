//! What is stored comes back equal, the bytes of released versions stay readable, and damage is
//! seen.

use std::path::Path;

use longhaul_engine::checkpoint::{Checkpoint, SpanRecord, TaskCheckpoint};
use longhaul_engine::event::Fact;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::http::validator::{EntityTag, Validator};
use longhaul_engine::id::TaskId;
use longhaul_engine::launch::LaunchLog;
use longhaul_engine::limits::{CA_CERTIFICATES_BYTES_MAX, ERROR_TEXT_BYTES_MAX, SPANS_MAX};
use longhaul_engine::resume_data::ResumeData;
use longhaul_engine::schedule::Schedule;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Finished, Outcome, Spec, Uploaded};
use longhaul_engine::upload::UploadCheckpoint;
use proptest::prelude::*;

use super::samples::{
    awaiting, full_challenge, full_checkpoint, full_metrics, full_options, full_rules, full_spec,
    full_token, full_upload, full_upload_checkpoint, launches,
};
use super::strategies::{self, KINDS};
use crate::codec::{CodecError, Record, TooLarge, decode, encode};
use crate::records::{
    CheckpointV1, CounterV1, EndedV1, FactV1, LaunchV1, SessionV1, StateV1, TargetV1, TaskV1,
    TicketV1, TokenV1, Unusable,
};
use crate::resume::{ResumeToken, Ticket};

fn outcomes() -> Vec<(&'static str, Outcome)> {
    let data = ResumeData::from_bytes(vec![7; 60]).unwrap();
    let path = "/srv/file.bin".into();
    vec![
        (
            "finished",
            Outcome::Finished(Finished {
                path,
                bytes: 5_000_000_000,
                length_unverified: true,
                status: 404,
            }),
        ),
        ("skipped", Outcome::Skipped("/srv/file.bin".into())),
        (
            "failed",
            Outcome::Failed(Failure::new(FailureKind::Status(404), "not found")),
        ),
        (
            "failed-resumable",
            Outcome::Failed(
                Failure::new(FailureKind::NoSpace, "no space").with_resume_data(Some(data.clone())),
            ),
        ),
        ("cancelled", Outcome::Cancelled),
        ("cancelled-resumable", Outcome::CancelledResumable(data)),
        (
            "uploaded",
            Outcome::Uploaded(Uploaded {
                status: 201,
                bytes: 5_000_000_000,
                headers: vec![("location".into(), "/files/1".into())],
                response: b"{}".to_vec(),
            }),
        ),
    ]
}

fn state(outcome: Option<&Outcome>) -> StateV1 {
    StateV1 {
        desired: longhaul_engine::task::Desired::Suspended.into(),
        created_at_ms: 1_700_000_000_123,
        host: "example.com:8443".into(),
        schedule: Schedule::from(&full_options()).into(),
        has_begun: true,
        ended: outcome.map(|outcome| EndedV1 {
            sequence: 300,
            outcome: outcome.into(),
        }),
        ticket: outcome.map(|_| (&full_token().claim()).into()),
    }
}

/// Holds `record` against the bytes that its version was released with, both ways.
fn assert_golden<T: Record>(name: &str, record: &T) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let decoded = decode(&golden).unwrap_or_else(|error| panic!("{name}: {error}"));
    let hint = "a released layout never changes: write a new version and keep this one";
    assert_eq!(encode(record).unwrap(), golden, "{name}: {hint}");
    decoded
}

#[test]
fn a_task_of_version_1_reads_as_it_was_written() {
    for (name, spec) in [
        ("task-download-1.bin", Spec::from(full_spec())),
        ("task-upload-1.bin", Spec::from(full_upload())),
    ] {
        let record = assert_golden(name, &TaskV1::from(&spec));
        assert!(Spec::try_from(record) == Ok(spec), "{name}");
    }
}

#[test]
fn a_session_of_version_1_reads_as_it_was_written() {
    let record = assert_golden("session-1.bin", &SessionV1::from(&full_rules()));
    assert!(SessionRules::try_from(record).is_ok_and(|rules| rules == full_rules()));
}

#[test]
fn a_checkpoint_of_version_1_reads_as_it_was_written() {
    let record = assert_golden("checkpoint-1.bin", &CheckpointV1::from(&full_checkpoint()));
    assert_eq!(checkpoint_of(record), Ok(full_checkpoint()));
    let asked = assert_golden(
        "checkpoint-awaiting-1.bin",
        &CheckpointV1::from(&awaiting()),
    );
    assert_eq!(checkpoint_of(asked), Ok(awaiting()));
    let empty = assert_golden(
        "checkpoint-empty-1.bin",
        &CheckpointV1::from(&Checkpoint::default()),
    );
    assert_eq!(checkpoint_of(empty), Ok(Checkpoint::default()));
    for (name, checkpoint) in [
        ("checkpoint-upload-1.bin", full_upload_checkpoint()),
        ("checkpoint-upload-empty-1.bin", UploadCheckpoint::default()),
    ] {
        let known = TaskCheckpoint::from(checkpoint);
        let record = assert_golden(name, &CheckpointV1::from(&known));
        assert_eq!(TaskCheckpoint::try_from(record), Ok(known));
    }
}

#[test]
fn a_state_a_fact_a_target_and_a_counter_of_version_1_read_as_they_were_written() {
    assert_eq!(assert_golden("state-1.bin", &state(None)), state(None));
    for (name, outcome) in outcomes() {
        let ended = state(Some(&outcome));
        assert_eq!(assert_golden(&format!("state-{name}-1.bin"), &ended), ended);
        let fact = Fact::Completed {
            task: TaskId::new(77),
            outcome,
            metrics: None,
        };
        let golden = assert_golden(&format!("event-{name}-1.bin"), &FactV1::from(&fact));
        assert_eq!(Fact::from(golden), fact);
    }
    let (_, outcome) = outcomes().remove(0);
    for (name, fact) in [
        (
            "event-metrics-1.bin",
            Fact::Completed {
                task: TaskId::new(77),
                outcome,
                metrics: Some(Box::new(full_metrics())),
            },
        ),
        (
            "event-challenged-1.bin",
            Fact::Challenged {
                task: TaskId::new(77),
                challenge: full_challenge(),
            },
        ),
        ("event-invalid-1.bin", Fact::BecameInvalid),
        ("event-lost-1.bin", Fact::StateLost),
    ] {
        let golden = assert_golden(name, &FactV1::from(&fact));
        assert_eq!(Fact::from(golden), fact);
    }
    let target = TargetV1 {
        session: "com.example".into(),
        task: 77,
    };
    assert_eq!(assert_golden("target-1.bin", &target), target);
    let log = launches();
    let golden = assert_golden("launches-1.bin", &LaunchV1::from(&log));
    assert_eq!(LaunchLog::from(golden), log);
    let counter = CounterV1 { value: 1_000_000 };
    assert_eq!(assert_golden("meta-1.bin", &counter), counter);
}

#[test]
fn resume_data_of_version_1_reads_as_it_was_written() {
    let token = full_token();
    let record = assert_golden("token-1.bin", &TokenV1::from(&token));
    assert!(ResumeToken::from(record) == token);
    for (name, ticket) in [
        (
            "ticket-download-1.bin",
            Ticket::Download(full_spec(), full_checkpoint()),
        ),
        (
            "ticket-upload-1.bin",
            Ticket::Upload(full_upload(), full_upload_checkpoint()),
        ),
    ] {
        let record = assert_golden(name, &TicketV1::from(&ticket));
        assert!(Ticket::try_from(record) == Ok(ticket), "{name}");
    }
}

#[test]
fn every_kind_of_failure_is_kept() {
    for kind in KINDS {
        let outcome = Outcome::Failed(Failure::new(kind, "why"));
        let bytes = encode(&state(Some(&outcome))).unwrap();
        let back: StateV1 = decode(&bytes).unwrap();
        assert_eq!(
            Outcome::from(back.ended.unwrap().outcome),
            outcome,
            "{}",
            kind.code()
        );
    }
}

#[test]
fn any_changed_bit_is_noticed() {
    let good = encode(&state(None)).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            assert_eq!(
                decode::<StateV1>(&bytes),
                Err(CodecError::Torn),
                "byte {at}, bit {bit}"
            );
        }
    }
    for length in 0..good.len() {
        assert_eq!(
            decode::<StateV1>(&good[..length]),
            Err(CodecError::Torn),
            "{length} bytes"
        );
    }
}

/// An envelope with a checksum that fits.
fn envelope(kind: u8, version: u8, payload: &[u8]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind, version]);
    hasher.update(payload);
    let crc = hasher.finalize().to_le_bytes();
    [&[kind, version], crc.as_slice(), payload].concat()
}

#[test]
fn an_envelope_is_refused_for_its_own_reason() {
    let known = CounterV1::VERSION;
    let malformed =
        |it: &Result<CounterV1, CodecError>| matches!(it, Err(CodecError::Malformed(_)));
    assert_eq!(
        decode::<CounterV1>(&envelope(b'N', 1, &[5])),
        Ok(CounterV1 { value: 5 })
    );
    assert_eq!(
        decode::<CounterV1>(&envelope(b'N', known + 1, &[5])),
        Err(CodecError::Newer {
            found: known + 1,
            known
        })
    );
    assert_eq!(
        decode::<CounterV1>(&envelope(b'N', 1, &[5, 6])),
        Err(CodecError::Trailing(1))
    );
    assert_eq!(
        decode::<CounterV1>(&envelope(b'N', 1, &[0; 10])),
        Err(CodecError::TooLarge(TooLarge {
            bytes: 10,
            bytes_max: 9
        }))
    );
    assert!(
        malformed(&decode(&envelope(b'N', 0, &[5]))),
        "version 0 never was"
    );
    assert!(malformed(&decode(&envelope(b'P', 1, &[5]))), "another kind");
    assert!(malformed(&decode(&envelope(b'N', 1, &[]))), "no payload");
}

#[test]
fn a_length_out_of_all_bounds_is_an_error_and_takes_no_memory() {
    // A host name of 2^63 bytes: without a limit the decoder asks for them and the process dies.
    let payload = [&[0, 0, 253][..], &(1_u64 << 63).to_le_bytes()].concat();
    let decoded = decode::<StateV1>(&envelope(b'A', 1, &payload));
    assert!(
        matches!(decoded, Err(CodecError::Malformed(_))),
        "{decoded:?}"
    );
}

#[test]
fn what_the_engine_allows_at_most_fits_into_a_record() {
    let long = "/".repeat(4095);
    let failure = Failure::new(FailureKind::Protocol, "x".repeat(2 * ERROR_TEXT_BYTES_MAX));
    let span = SpanRecord {
        start: u64::MAX,
        end: Some(u64::MAX),
        written: u64::MAX,
        synced: u64::MAX,
        tail: [255; 32],
    };
    let mut checkpoint = full_checkpoint();
    checkpoint.stage = longhaul_engine::checkpoint::Stage::Finishing(long.clone().into());
    checkpoint.validator =
        Validator::Tag(EntityTag::parse(&format!("\"{}\"", "e".repeat(1024))).unwrap());
    checkpoint.spans = vec![span; SPANS_MAX];
    checkpoint.part.as_mut().unwrap().path = long.into();
    checkpoint.retry.as_mut().unwrap().cause = failure;
    let bytes = encode(&CheckpointV1::from(&checkpoint)).unwrap();
    assert_eq!(
        checkpoint_of(decode::<CheckpointV1>(&bytes).unwrap()),
        Ok(checkpoint)
    );

    let rules = SessionRules {
        ca_certificates_pem: Some(vec![b'A'; CA_CERTIFICATES_BYTES_MAX]),
        ..SessionRules::default()
    };
    let bytes = encode(&SessionV1::from(&rules)).unwrap();
    let record = decode::<SessionV1>(&bytes).unwrap();
    assert!(SessionRules::try_from(record).is_ok_and(|read| read == rules));
}

#[test]
fn marks_out_of_order_are_not_believed() {
    for (synced, written, end) in [(9, 20, 30), (20, 15, 30), (20, 31, 30)] {
        let span = SpanRecord {
            start: 10,
            end: Some(end),
            written,
            synced,
            tail: [0; 32],
        };
        let checkpoint = Checkpoint {
            spans: vec![span],
            ..Checkpoint::default()
        };
        let record = CheckpointV1::from(&checkpoint);
        let expected = Unusable("the marks of a span are out of order");
        assert_eq!(
            checkpoint_of(record),
            Err(expected),
            "{synced} {written} {end}"
        );
    }
}

proptest! {
    #[test]
    fn a_task_comes_back_equal(spec in strategies::spec()) {
        let spec = Spec::from(spec);
        let bytes = encode(&TaskV1::from(&spec)).unwrap();
        prop_assert!(Spec::try_from(decode::<TaskV1>(&bytes).unwrap()) == Ok(spec));
    }

    #[test]
    fn a_configuration_comes_back_equal(rules in strategies::rules()) {
        let bytes = encode(&SessionV1::from(&rules)).unwrap();
        let record = decode::<SessionV1>(&bytes).unwrap();
    prop_assert!(SessionRules::try_from(record).is_ok_and(|read| read == rules));
    }

    #[test]
    fn a_checkpoint_comes_back_equal(checkpoint in strategies::checkpoint()) {
        let bytes = encode(&CheckpointV1::from(&checkpoint)).unwrap();
        let back = checkpoint_of(decode::<CheckpointV1>(&bytes).unwrap());
        prop_assert_eq!(back, Ok(checkpoint));
    }

    #[test]
    fn an_outcome_comes_back_equal(outcome in strategies::outcome()) {
        let record = FactV1::Completed { task: 1, outcome: (&outcome).into(), metrics: None };
        let FactV1::Completed { outcome: back, .. } = decode(&encode(&record).unwrap()).unwrap() else {
            panic!("another fact came back");
        };
        prop_assert_eq!(Outcome::from(back), outcome);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        version in 0..3_u8,
    ) {
        read_as::<TaskV1>(&bytes, version);
        read_as::<SessionV1>(&bytes, version);
        read_as::<StateV1>(&bytes, version);
        read_as::<FactV1>(&bytes, version);
        read_as::<TargetV1>(&bytes, version);
        read_as::<CounterV1>(&bytes, version);
        read_as::<CheckpointV1>(&bytes, version);
        read_as::<TokenV1>(&bytes, version);
        read_as::<TicketV1>(&bytes, version);
        if let Ok(record) = decode::<CheckpointV1>(&envelope(CheckpointV1::KIND, 1, &bytes)) {
            let _ = TaskCheckpoint::try_from(record);
        }
        if let Ok(record) = decode::<TaskV1>(&envelope(TaskV1::KIND, 1, &bytes)) {
            let _ = Spec::try_from(record);
        }
    }
}

/// The progress of a download in a record.
fn checkpoint_of(record: CheckpointV1) -> Result<Checkpoint, Unusable> {
    TaskCheckpoint::try_from(record).map(|known| known.into_download().expect("a download"))
}

/// Decodes `bytes` as they are, and as the payload of an envelope whose checksum fits.
fn read_as<T: Record>(bytes: &[u8], version: u8) {
    let _ = decode::<T>(bytes);
    let _ = decode::<T>(&envelope(T::KIND, version, bytes));
}
