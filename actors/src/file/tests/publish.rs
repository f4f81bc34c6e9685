//! Publishing on a real disk: every collision, every policy.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use longhaul_engine::failure::FailureKind;
use longhaul_engine::session::Durability;
use longhaul_engine::task::Collision;

use super::super::part::PartFile;
use super::super::publish::{
    Publication, Published, TargetCheck, check_target, choose_name, publish,
};
use super::{Bench, CLOSED_DIRECTORY, COLLISIONS, order};

/// What has the target's name before a download comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    File,
    Link,
    DanglingLink,
    Directory,
}

impl Before {
    const ALL: [Self; 5] = [
        Self::Nothing,
        Self::File,
        Self::Link,
        Self::DanglingLink,
        Self::Directory,
    ];

    fn put(self, bench: &Bench) {
        let target = bench.target();
        let victim = bench.directory.path().join("victim");
        match self {
            Self::Nothing => {}
            Self::File => fs::write(target, "old").unwrap(),
            Self::Link => {
                fs::write(&victim, "precious").unwrap();
                symlink(&victim, target).unwrap();
            }
            Self::DanglingLink => symlink("/nowhere/at/all", target).unwrap(),
            Self::Directory => fs::create_dir(target).unwrap(),
        }
    }

    /// Whether a download with this policy may take the name.
    fn gives_way(self, collision: Collision) -> bool {
        match self {
            Self::Nothing => true,
            Self::File | Self::Link | Self::DanglingLink => collision == Collision::Overwrite,
            Self::Directory => false,
        }
    }
}

#[test]
fn a_target_is_checked_before_anything_is_fetched() {
    for before in Before::ALL {
        for collision in COLLISIONS {
            let bench = Bench::new();
            before.put(&bench);
            let found = check_target(&bench.target(), collision);
            let is_free = before.gives_way(collision) || collision == Collision::Rename;
            match found {
                Ok(TargetCheck::Free) => assert!(is_free, "{before:?} {collision:?}"),
                Ok(TargetCheck::Taken) => assert!(
                    matches!(collision, Collision::Fail | Collision::Skip) && !is_free,
                    "{before:?} {collision:?}"
                ),
                Err(failure) => {
                    assert_eq!(failure.kind(), FailureKind::TargetExists, "{failure}");
                    assert_eq!(before, Before::Directory);
                    assert_eq!(collision, Collision::Overwrite);
                }
            }
        }
    }
}

#[test]
fn a_target_that_is_no_absolute_path_is_an_invalid_request() {
    for collision in COLLISIONS {
        let failure = check_target(Path::new("relative"), collision).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::InvalidRequest);
    }
}

#[test]
fn a_device_is_never_replaced() {
    let failure = check_target(Path::new("/dev/null"), Collision::Overwrite).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::TargetExists);
    assert!(failure.message().contains("is not a file"), "{failure}");
}

#[test]
fn a_published_file_takes_only_a_name_that_its_policy_gives_it() {
    for before in Before::ALL {
        for collision in COLLISIONS {
            let bench = Bench::new();
            before.put(&bench);
            let part = bench.part_with(b"new");
            let target = bench.target();
            let name = format!("{before:?} {collision:?}");
            match publish(&part, &order(&target, 3, collision)) {
                Ok(published) => {
                    assert!(before.gives_way(collision), "{name}");
                    assert_eq!(published, Published::Renamed, "{name}");
                    assert!(fs::symlink_metadata(&target).unwrap().is_file(), "{name}");
                    assert_eq!(fs::read(&target).unwrap(), b"new", "{name}");
                    assert_eq!(bench.names(), ["a.iso"], "{name}");
                }
                Err(failure) => {
                    assert!(!before.gives_way(collision), "{name}: {failure}");
                    assert_eq!(failure.kind(), FailureKind::TargetExists, "{name}");
                    assert_eq!(fs::read(part.path()).unwrap(), b"new", "{name}");
                    assert_eq!(bench.names().len(), 2, "{name}");
                }
            }
            if before == Before::Link {
                let victim = fs::read(bench.directory.path().join("victim")).unwrap();
                assert_eq!(victim, b"precious", "{name}");
            }
        }
    }
}

#[test]
fn a_published_file_has_its_length_and_the_mode_of_an_ordinary_file() {
    for durability in [Durability::Process, Durability::Power] {
        let bench = Bench::new();
        let target = bench.target();
        let part = PartFile::create(&bench.place(&target), Some(2_000_000)).unwrap();
        part.write_at(b"bytes", 0).unwrap();
        let collision = Collision::Fail;
        publish(
            &part,
            &Publication {
                target: &target,
                length: 5,
                collision,
                durability,
            },
        )
        .unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"bytes");

        let ordinary = bench.out().join("ordinary");
        fs::write(&ordinary, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&target), mode(&ordinary));
    }
}

#[test]
fn publishing_twice_changes_nothing() {
    let bench = Bench::new();
    let target = bench.target();
    let part = bench.part_with(b"new");
    for _ in 0..2 {
        let published = publish(&part, &order(&target, 3, Collision::Fail)).unwrap();
        assert_eq!(published, Published::Renamed);
    }
    assert_eq!(bench.names(), ["a.iso"]);
}

#[test]
fn a_part_that_is_not_whole_or_not_there_is_never_published() {
    let bench = Bench::new();
    let target = bench.target();
    let part = bench.part_with(b"new");
    let failure = publish(&part, &order(&target, 4, Collision::Fail)).unwrap_err();
    assert!(failure.message().contains("shorter"), "{failure}");

    fs::rename(part.path(), bench.out().join("moved")).unwrap();
    fs::write(part.path(), "a stranger's").unwrap();
    let failure = publish(&part, &order(&target, 3, Collision::Overwrite)).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::File);
    assert!(failure.message().contains("moved or replaced"), "{failure}");
    assert!(!target.exists());
}

#[test]
fn a_directory_that_takes_no_files_gets_none_and_the_part_stays() {
    let bench = Bench::new();
    let target = Path::new(CLOSED_DIRECTORY).join("a.iso");
    let part = PartFile::create(&bench.place(&target), None).unwrap();
    part.write_at(b"new", 0).unwrap();
    let failure = publish(&part, &order(&target, 3, Collision::Fail)).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::File);
    assert!(
        failure.message().contains("choose another place"),
        "{failure}"
    );
    assert_eq!(fs::read(part.path()).unwrap(), b"new");
}

#[test]
fn a_directory_that_went_away_is_a_clear_failure() {
    let bench = Bench::new();
    let part = bench.part_with(b"new");
    let target = bench.out().join("gone/a.iso");
    let failure = publish(&part, &order(&target, 3, Collision::Fail)).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::File);
    assert!(
        failure.message().contains("create the directory"),
        "{failure}"
    );
}

#[test]
fn the_next_free_name_is_chosen_and_published() {
    let bench = Bench::new();
    for expected in ["a.iso", "a.1.iso", "a.2.iso"] {
        let target = choose_name(&bench.target()).unwrap();
        assert_eq!(target, bench.out().join(expected));
        let part = bench.part_with(expected.as_bytes());
        publish(
            &part,
            &order(&target, expected.len() as u64, Collision::Rename),
        )
        .unwrap();
        assert_eq!(fs::read(&target).unwrap(), expected.as_bytes());
    }
    assert_eq!(bench.names(), ["a.1.iso", "a.2.iso", "a.iso"]);
    assert!(choose_name(Path::new("relative")).is_err());
}

#[test]
fn a_name_that_is_no_text_is_published_as_it_is() {
    let bench = Bench::new();
    for name in [vec![0xff; 255], b"\xff\n".to_vec()] {
        let target = bench.out().join(OsStr::from_bytes(&name));
        let part = PartFile::create(&bench.place(&target), None).unwrap();
        part.write_at(b"new", 0).unwrap();
        publish(&part, &order(&target, 3, Collision::Fail)).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}
