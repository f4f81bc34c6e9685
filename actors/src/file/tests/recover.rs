//! Recovery after a crash at each point of a download's life, and a part on another device.

use std::fs;
use std::path::{Path, PathBuf};

use longhaul_engine::checkpoint::{Checkpoint, SpanRecord, Stage};
use longhaul_engine::checksum::blake3;
use longhaul_engine::failure::FailureKind;
use longhaul_engine::recovery::{Found, FoundPart};
use longhaul_engine::task::Collision;
use tempfile::TempDir;

use super::super::discard::{Discarded, discard};
use super::super::part::PartFile;
use super::super::place::PartPlace;
use super::super::publish::{Published, publish};
use super::super::recover::recover;
use super::{Bench, order};

const BYTES: &[u8] = b"all the bytes";

fn checkpoint(part: &PartFile, stage: Stage) -> Checkpoint {
    let length = BYTES.len() as u64;
    Checkpoint {
        stage,
        total: Some(length),
        part: Some(part.record().unwrap()),
        spans: vec![SpanRecord {
            start: 0,
            end: Some(length),
            written: length,
            synced: 0,
            tail: blake3(BYTES),
        }],
        ..Checkpoint::default()
    }
}

fn found_part(checkpoint: &Checkpoint, length: u64, tail_matches: bool) -> Found {
    let token = checkpoint.part.as_ref().unwrap().token;
    Found::Part(FoundPart {
        token,
        length,
        tails_match: vec![tail_matches],
    })
}

#[test]
fn before_the_first_byte_there_is_nothing_to_find() {
    let recovered = recover(&Checkpoint::default()).unwrap();
    assert_eq!(recovered.found, Found::Nothing);
    assert!(recovered.part.is_none());
}

#[test]
fn a_part_is_found_with_its_length_and_its_tails() {
    let bench = Bench::new();
    let part = bench.part_with(BYTES);
    let checkpoint = checkpoint(&part, Stage::Transferring);
    let length = BYTES.len() as u64;

    let recovered = recover(&checkpoint).unwrap();
    assert_eq!(recovered.found, found_part(&checkpoint, length, true));
    assert_eq!(recovered.part.unwrap().identity(), part.identity());

    part.write_at(b"A", 3).unwrap();
    assert_eq!(
        recover(&checkpoint).unwrap().found,
        found_part(&checkpoint, length, false)
    );
    part.set_len(5).unwrap();
    assert_eq!(
        recover(&checkpoint).unwrap().found,
        found_part(&checkpoint, 5, false)
    );
    fs::remove_file(part.path()).unwrap();
    assert_eq!(recover(&checkpoint).unwrap().found, Found::Nothing);
}

#[test]
fn a_target_is_only_looked_at_once_it_was_recorded() {
    let bench = Bench::new();
    let part = bench.part_with(BYTES);
    let checkpoint = checkpoint(&part, Stage::Transferring);
    fs::rename(part.path(), bench.target()).unwrap();
    assert_eq!(recover(&checkpoint).unwrap().found, Found::Nothing);
}

#[test]
fn a_crash_at_any_point_of_publishing_is_finished() {
    // Each crash is a state of the directory; recovery must know it, and one more publication, if
    // there is still a part, must end with the bytes under the final name and nothing beside it.
    type Crash = fn(&Path, &Path);
    let crashes: [(&str, Crash, bool); 4] = [
        ("before the rename", |_, _| {}, false),
        (
            "after the rename",
            |part, target| fs::rename(part, target).unwrap(),
            true,
        ),
        (
            "between link and unlink",
            |part, target| fs::hard_link(part, target).unwrap(),
            true,
        ),
        (
            "after the rename, with a stranger by the part's name",
            |part, target| {
                fs::rename(part, target).unwrap();
                fs::write(part, "a stranger's").unwrap();
            },
            true,
        ),
    ];
    for (name, crash, is_published) in crashes {
        let bench = Bench::new();
        let part = bench.part_with(BYTES);
        let checkpoint = checkpoint(&part, Stage::Finishing(bench.target()));
        let path = part.path().to_owned();
        crash(&path, &bench.target());
        drop(part);

        let recovered = recover(&checkpoint).unwrap();
        let token = checkpoint.part.as_ref().unwrap().token;
        let is_found = recovered.found == Found::Published(token);
        assert_eq!(is_found, is_published, "{name}");
        assert_eq!(recovered.part.is_some(), !is_published, "{name}");
        if let Some(part) = recovered.part {
            publish(
                &part,
                &order(&bench.target(), BYTES.len() as u64, Collision::Fail),
            )
            .unwrap();
        }
        assert_eq!(fs::read(bench.target()).unwrap(), BYTES, "{name}");
        let stranger = fs::read(&path).unwrap_or_default();
        assert!(stranger.is_empty() || stranger == b"a stranger's", "{name}");
    }
}

#[test]
fn a_target_that_is_another_file_is_not_ours() {
    let bench = Bench::new();
    let part = bench.part_with(BYTES);
    let checkpoint = checkpoint(&part, Stage::Finishing(bench.target()));
    // The same bytes on the same device are another program's: ours would have been renamed.
    fs::write(bench.target(), BYTES).unwrap();
    let length = BYTES.len() as u64;
    assert_eq!(
        recover(&checkpoint).unwrap().found,
        found_part(&checkpoint, length, true)
    );
    fs::remove_file(part.path()).unwrap();
    assert_eq!(recover(&checkpoint).unwrap().found, Found::Nothing);
}

#[test]
fn a_published_file_that_was_cut_is_not_called_published() {
    let bench = Bench::new();
    let part = bench.part_with(BYTES);
    let checkpoint = checkpoint(&part, Stage::Finishing(bench.target()));
    fs::rename(part.path(), bench.target()).unwrap();
    part.set_len(3).unwrap();
    assert_eq!(recover(&checkpoint).unwrap().found, Found::Nothing);
}

/// A part in a fallback directory on another device than the target's: Linux has a file system in
/// memory at `/dev/shm`.
struct TwoDevices {
    bench: Bench,
    _memory: TempDir,
    part: PartFile,
}

impl TwoDevices {
    fn new() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let bench = Bench::new();
        let place: PartPlace = bench.place(&memory.path().join("a.iso"));
        let part = PartFile::create(&place, None).unwrap();
        part.write_at(BYTES, 0).unwrap();
        Self {
            bench,
            _memory: memory,
            part,
        }
    }

    fn target(&self) -> PathBuf {
        self.bench.target()
    }
}

#[test]
fn a_part_on_another_device_is_copied_and_kept_until_it_is_discarded() {
    let devices = TwoDevices::new();
    let target = devices.target();
    let length = BYTES.len() as u64;
    let checkpoint = checkpoint(&devices.part, Stage::Finishing(target.clone()));
    let published = publish(&devices.part, &order(&target, length, Collision::Fail)).unwrap();
    assert_eq!(published, Published::Copied);
    assert_eq!(fs::read(&target).unwrap(), BYTES);
    assert_eq!(devices.bench.names(), ["a.iso"]);

    // A crash now: the part is still there and proves that the target is ours.
    let recovered = recover(&checkpoint).unwrap();
    assert_eq!(
        recovered.found,
        Found::Published(checkpoint.part.clone().unwrap().token)
    );
    let part = recovered.part.unwrap();
    assert_eq!(
        discard(part.path(), part.identity()).unwrap(),
        Discarded::Removed
    );
}

#[test]
fn a_copy_takes_no_name_that_is_taken_and_leaves_nothing_beside_it() {
    let devices = TwoDevices::new();
    let target = devices.target();
    let length = BYTES.len() as u64;
    for stranger in [&b"short"[..], b"not the bytes"] {
        fs::write(&target, stranger).unwrap();
        let failure = publish(&devices.part, &order(&target, length, Collision::Fail)).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::TargetExists);
        assert_eq!(devices.bench.names(), ["a.iso"]);
        let checkpoint = checkpoint(&devices.part, Stage::Finishing(target.clone()));
        assert_eq!(
            recover(&checkpoint).unwrap().found,
            found_part(&checkpoint, length, true)
        );
    }
    let published = publish(&devices.part, &order(&target, length, Collision::Overwrite)).unwrap();
    assert_eq!(published, Published::Copied);
    assert_eq!(fs::read(&target).unwrap(), BYTES);
}
