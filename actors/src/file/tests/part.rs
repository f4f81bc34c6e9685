//! The part file on a real disk: made, found again, written, read.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use longhaul_engine::checkpoint::SpanRecord;
use longhaul_engine::checksum::Algorithm;
use longhaul_engine::checksum::blake3;
use longhaul_engine::failure::FailureKind;
use longhaul_engine::id::TaskId;
use longhaul_engine::limits::TAIL_BYTES;

use super::super::part::{PREALLOCATE_BYTES_MIN, PartFile};
use super::super::place::PartPlace;
use super::{Bench, CLOSED_DIRECTORY};

static IDLE: AtomicBool = AtomicBool::new(false);

#[test]
fn a_part_is_an_empty_private_file_beside_its_target() {
    let bench = Bench::new();
    let part = bench.create();
    let found = fs::metadata(part.path()).unwrap();
    assert_eq!(part.path().parent(), Some(bench.out().as_path()));
    assert_eq!(found.permissions().mode() & 0o7777, 0o600);
    assert_eq!(found.len(), 0);
    assert_eq!(part.identity().inode, found.ino());
    assert!(!bench.fallback().exists());
}

#[test]
fn a_leftover_is_replaced_by_a_file_that_no_old_record_fits() {
    let bench = Bench::new();
    let old = bench.part_with(b"old bytes");
    let record = old.record().unwrap();
    drop(old);
    // A crash may also have left the file that was to replace it.
    let mut aside = record.path.clone().into_os_string();
    aside.push("~");
    fs::write(&aside, "half").unwrap();

    let new = bench.create();
    assert_eq!(new.path(), record.path);
    assert_ne!(new.identity(), record.identity);
    assert_eq!(fs::read(new.path()).unwrap(), b"");
    assert!(PartFile::reopen(&record).unwrap().is_none());
    assert_eq!(bench.names().len(), 1);
}

#[test]
fn a_symbolic_link_at_the_name_of_a_part_is_replaced_and_not_followed() {
    let bench = Bench::new();
    let victim = bench.directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, bench.place(&bench.target()).beside()).unwrap();
    bench.part_with(b"ours");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn a_directory_that_takes_no_files_sends_the_part_to_the_state_directory() {
    let bench = Bench::new();
    let place = bench.place(&Path::new(CLOSED_DIRECTORY).join("a.iso"));
    let part = PartFile::create(&place, None).unwrap();
    assert_eq!(part.path(), place.fallback());
    assert_eq!(
        fs::metadata(bench.fallback()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    part.sync().unwrap();
}

#[test]
fn a_missing_directory_is_a_failure_that_says_to_create_it() {
    let bench = Bench::new();
    fs::write(bench.out().join("file"), "").unwrap();
    for target in ["missing/a.iso", "file/a.iso"] {
        let place = bench.place(&bench.out().join(target));
        let failure = PartFile::create(&place, None).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::File, "{target}");
        assert!(
            failure.message().contains("create the directory"),
            "{failure}"
        );
    }
    assert!(!bench.fallback().exists());
}

#[test]
fn a_directory_at_the_name_of_a_part_is_left_alone() {
    let bench = Bench::new();
    let path = bench.place(&bench.target()).beside();
    fs::create_dir(&path).unwrap();
    let failure = PartFile::create(&bench.place(&bench.target()), None).unwrap_err();
    assert!(
        failure.message().contains("a directory has that name"),
        "{failure}"
    );
    assert!(path.is_dir());
    assert_eq!(bench.names().len(), 1);
}

#[test]
fn long_names_and_names_that_are_no_text_have_parts_too() {
    let bench = Bench::new();
    for name in [
        "a".repeat(255).into_bytes(),
        vec![0xff; 255],
        b"\xff\n".to_vec(),
    ] {
        let target = bench.out().join(OsStr::from_bytes(&name));
        let part = PartFile::create(&bench.place(&target), None).unwrap();
        assert_eq!(part.path().parent(), Some(bench.out().as_path()));
    }
}

#[test]
fn space_is_reserved_for_long_files_only() {
    let bench = Bench::new();
    let place = bench.place(&bench.target());
    for (wanted, length) in [
        (None, 0),
        (Some(0), 0),
        (Some(PREALLOCATE_BYTES_MIN - 1), 0),
        (Some(PREALLOCATE_BYTES_MIN), PREALLOCATE_BYTES_MIN),
    ] {
        let part = PartFile::create(&place, wanted).unwrap();
        assert_eq!(
            fs::metadata(part.path()).unwrap().len(),
            length,
            "{wanted:?}"
        );
    }
}

#[test]
fn a_file_that_can_not_fit_is_refused_at_once_and_leaves_nothing() {
    let bench = Bench::new();
    let place = bench.place(&bench.target());
    for bytes in [1 << 60, u64::MAX] {
        let failure = PartFile::create(&place, Some(bytes)).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::NoSpace, "{failure}");
        assert_eq!(bench.names(), [""; 0]);
    }
}

#[test]
fn a_write_beyond_what_a_file_can_hold_is_no_space() {
    let bench = Bench::new();
    let part = bench.create();
    for offset in [u64::MAX, 1 << 63, (1 << 63) - 2] {
        let failure = part.write_at(b"xx", offset).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::NoSpace, "{failure}");
    }
}

#[test]
fn a_part_is_found_again_only_as_the_very_file() {
    let bench = Bench::new();
    let part = bench.part_with(b"bytes");
    let record = part.record().unwrap();
    drop(part);
    let again = PartFile::reopen(&record).unwrap().unwrap();
    assert_eq!(again.record().unwrap(), record);
    again.write_at(b"more", 5).unwrap();
    assert_eq!(fs::read(again.path()).unwrap(), b"bytesmore");

    let kept = bench.out().join("kept");
    fs::rename(&record.path, &kept).unwrap();
    assert!(PartFile::reopen(&record).unwrap().is_none(), "gone");
    fs::write(&record.path, "bytes").unwrap();
    assert!(PartFile::reopen(&record).unwrap().is_none(), "another file");
    fs::remove_file(&record.path).unwrap();
    symlink(&kept, &record.path).unwrap();
    assert!(
        PartFile::reopen(&record).unwrap().is_none(),
        "a link to the file"
    );
    fs::remove_file(&record.path).unwrap();
    fs::create_dir(&record.path).unwrap();
    assert!(PartFile::reopen(&record).unwrap().is_none(), "a directory");
    let mut below = record.clone();
    below.path = kept.join("below");
    assert!(PartFile::reopen(&below).unwrap().is_none(), "below a file");
}

#[test]
fn a_tail_is_the_digest_of_the_last_bytes_within_the_span() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n / 7) as u8).collect();
    let part = Bench::new().part_with(&bytes);
    let tail = usize::try_from(TAIL_BYTES).unwrap();
    for (start, written, first) in [
        (0, 0, 0),
        (0, 10, 0),
        (5, 10, 5),
        (0, tail, 0),
        (0, tail + 1, 1),
        (100_000, 300_000, 300_000 - tail),
        (290_000, 300_000, 290_000),
    ] {
        let found = part.tail(start as u64, written as u64).unwrap();
        assert_eq!(found, blake3(&bytes[first..written]), "{start}..{written}");
    }
    assert_eq!(part.tail(0, 300_001).unwrap_err().kind(), FailureKind::File);
}

#[test]
fn a_span_is_held_when_its_last_bytes_are_the_recorded_ones() {
    let part = Bench::new().part_with(b"0123456789");
    let span = |start, written, bytes: &[u8]| SpanRecord {
        start,
        end: Some(20),
        written,
        synced: start,
        tail: blake3(bytes),
    };
    for (name, span, held) in [
        ("all", span(0, 10, b"0123456789"), true),
        ("some", span(2, 5, b"234"), true),
        ("other bytes", span(2, 5, b"235"), false),
        ("no bytes", span(5, 5, b"whatever"), true),
        ("beyond the end", span(0, 11, b"0123456789"), false),
    ] {
        assert_eq!(part.holds(&span).unwrap(), held, "{name}");
    }
}

#[test]
fn digests_cover_exactly_the_length_whatever_was_reserved() {
    let bytes: Vec<u8> = (0..2_500_000_u32).map(|n| (n % 251) as u8).collect();
    let bench = Bench::new();
    let part = PartFile::create(&bench.place(&bench.target()), Some(4_000_000)).unwrap();
    part.write_at(&bytes, 0).unwrap();
    let length = bytes.len() as u64;
    let found = part
        .digest(length, &[Algorithm::Blake3], &IDLE)
        .unwrap()
        .unwrap();
    assert_eq!(found[0].bytes(), blake3(&bytes));
    assert_eq!(part.digest(length, &[], &IDLE).unwrap(), Some(Vec::new()));
    let empty = part
        .digest(0, &[Algorithm::Sha256], &IDLE)
        .unwrap()
        .unwrap();
    assert!(
        empty[0]
            .to_string()
            .ends_with("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    );

    let cancelled = AtomicBool::new(true);
    assert_eq!(
        part.digest(length, &[Algorithm::Md5], &cancelled).unwrap(),
        None
    );
    let failure = part
        .digest(5_000_000, &[Algorithm::Md5], &IDLE)
        .unwrap_err();
    assert_eq!(failure.kind(), FailureKind::File);
}

#[test]
fn a_part_is_synced_and_resized_through_any_of_its_handles() {
    let bench = Bench::new();
    let part = bench.part_with(b"0123456789");
    let other = part.clone();
    drop(part);
    other.sync().unwrap();
    other.sync().unwrap();
    other.set_len(4).unwrap();
    assert_eq!(fs::read(other.path()).unwrap(), b"0123");
    let debug = format!("{other:?}");
    assert!(
        debug.contains("PartFile") && debug.contains("identity"),
        "{debug}"
    );
}

#[test]
fn parts_of_two_stores_never_have_one_name() {
    let bench = Bench::new();
    let other = PathBuf::from("/other/state/parts");
    let place = PartPlace::new(&bench.target(), TaskId::new(7), &other).unwrap();
    let theirs = PartFile::create(&place, None).unwrap();
    let ours = bench.create();
    assert_ne!(ours.path(), theirs.path());
    assert!(theirs.path().exists());
}
