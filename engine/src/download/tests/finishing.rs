//! From the last byte to the terminal fact, and a crash anywhere on the way.

use super::*;
use crate::session::Durability;
use crate::task::Finished;

fn power() -> SessionRules {
    SessionRules {
        durability: Durability::Power,
        ..SessionRules::default()
    }
}

fn target() -> PathBuf {
    PathBuf::from("/d/f")
}

/// All of 1000 bytes are in the file; what the machine does then.
fn complete(spec: DownloadSpec, rules: SessionRules) -> (Driver, Vec<Action>) {
    let (mut driver, ask) = Driver::fresh_with(spec, rules);
    driver.head(ask.conn, 200, &[ETAG, ("content-length", "1000")]);
    driver.feed(Input::PartReady(part(1)));
    driver.wrote(ask.conn, 1000);
    let actions = driver.ended(ask.conn);
    (driver, actions)
}

fn finishing(synced: u64) -> Checkpoint {
    let span = SpanRecord {
        start: 0,
        end: Some(1000),
        written: 1000,
        synced,
        tail: [0; 32],
    };
    Checkpoint {
        stage: Stage::Finishing(target()),
        spans: vec![span],
        ..checkpoint()
    }
}

fn finished() -> Outcome {
    Outcome::Finished(Finished {
        path: target(),
        bytes: 1000,
        length_unverified: false,
        status: 200,
    })
}

#[test]
fn the_final_name_is_on_record_before_it_is_given() {
    let (mut driver, actions) = complete(spec(), SessionRules::default());
    assert_eq!(kinds(&actions), ["record"]);
    assert_eq!(record(&actions).stage, Stage::Finishing(target()));
    let actions = driver.recorded();
    let publish = Action::Publish {
        target: target(),
        length: 1000,
        collision: Collision::Fail,
    };
    assert_eq!(actions, [publish]);
    let actions = driver.feed(Input::Published(Ok(())));
    assert_eq!(closed(&actions), finished());
    let actions = driver.feed(Input::Closed(finished()));
    assert_eq!(exit(&actions), Exit::Ended(finished()));
}

#[test]
fn with_power_durability_every_byte_is_synced_before_the_name_is_announced() {
    let (mut driver, actions) = complete(spec(), power());
    assert_eq!(kinds(&actions), ["sync"]);
    let saved = record(&driver.feed(Input::Synced(Ok(()))));
    assert_eq!(
        (saved.stage, saved.spans[0].synced),
        (Stage::Finishing(target()), 1000)
    );
}

#[test]
fn a_sync_that_began_before_the_last_byte_does_not_count_for_it() {
    let (mut driver, ask) = Driver::fresh_with(spec(), power());
    driver.head(ask.conn, 200, &[ETAG, ("content-length", "1000")]);
    driver.feed(Input::PartReady(part(1)));
    driver.wrote(ask.conn, 900);
    driver.now_ms = START_MS + 2000;
    assert!(kinds(&driver.feed(Input::Tick)).contains(&"sync"));
    driver.recorded();
    driver.wrote(ask.conn, 1000);
    driver.ended(ask.conn);
    assert_eq!(
        kinds(&driver.feed(Input::Synced(Ok(())))),
        ["sync"],
        "once more"
    );
    assert_eq!(kinds(&driver.feed(Input::Synced(Ok(())))), ["record"]);
}

#[test]
fn the_announcement_waits_for_the_record_that_is_under_way() {
    let (mut driver, ask) = Driver::fresh(spec());
    driver.head(ask.conn, 200, &[ETAG, ("content-length", "1000")]);
    driver.feed(Input::PartReady(part(1)));
    driver.now_ms = START_MS + 1000;
    assert_eq!(kinds(&driver.wrote(ask.conn, 1000)), ["record"]);
    assert_eq!(kinds(&driver.ended(ask.conn)), [""; 0]);
    assert_eq!(record(&driver.recorded()).stage, Stage::Finishing(target()));
    assert_eq!(kinds(&driver.recorded()), ["publish"]);
}

#[test]
fn digests_of_the_caller_and_of_the_server_are_verified_and_a_mismatch_leaves_nothing() {
    let digest = |byte| {
        crate::checksum::Digest::new(crate::checksum::Algorithm::Sha256, vec![byte; 32])
            .expect("32 bytes")
    };
    let spec = DownloadSpec {
        digests: vec![digest(1)],
        ..spec()
    };
    for (result, expected) in [
        (Ok(()), "record"),
        (Err(failure(FailureKind::Integrity)), "discard"),
        (Err(failure(FailureKind::File)), "record"),
    ] {
        let (mut driver, ask) = Driver::fresh(spec.clone());
        let offered = "sha-256=:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=:";
        let fields = [ETAG, ("content-length", "1000"), ("repr-digest", offered)];
        driver.head(ask.conn, 200, &fields);
        driver.feed(Input::PartReady(part(1)));
        driver.wrote(ask.conn, 1000);
        let actions = driver.ended(ask.conn);
        let order = actions.iter().find_map(|action| match action {
            Action::Verify(order) => Some(order.clone()),
            _ => None,
        });
        assert_eq!(
            order.expect("a verification").digests,
            [digest(1), digest(2)]
        );
        let actions = driver.feed(Input::Verified(result.clone()));
        assert_eq!(kinds(&actions), [expected], "{result:?}");
        if expected == "discard" {
            assert_eq!(
                failed(&driver.feed(Input::Discarded)),
                FailureKind::Integrity
            );
        }
    }
}

#[test]
fn another_length_than_the_expected_one_is_refused_as_soon_as_it_is_known() {
    let spec = DownloadSpec {
        length: Some(999),
        ..spec()
    };
    let (mut driver, ask) = Driver::fresh(spec.clone());
    let actions = driver.head(ask.conn, 200, &[("content-length", "1000")]);
    assert_eq!(
        (kinds(&actions), failed(&actions)),
        (vec!["stop", "close"], FailureKind::Integrity)
    );

    let (mut driver, ask) = Driver::fresh(spec);
    driver.head(ask.conn, 200, &[("transfer-encoding", "chunked")]);
    driver.feed(Input::PartReady(part(1)));
    driver.wrote(ask.conn, 1000);
    assert_eq!(kinds(&driver.ended(ask.conn)), ["discard"]);
}

#[test]
fn after_a_crash_in_finishing_the_step_is_finished() {
    let published = |boot| Found::Published(token(boot));
    let table = [
        ("part, same boot", finishing(0), found(1), "record"),
        (
            "part, other boot, synced",
            finishing(1000),
            found(2),
            "record",
        ),
        (
            "part, other boot, not synced",
            finishing(600),
            found(2),
            "ask",
        ),
        ("published, same boot", finishing(0), published(1), "close"),
        (
            "published, other boot, synced",
            finishing(1000),
            published(2),
            "close",
        ),
        (
            "published, other boot, not synced",
            finishing(600),
            published(2),
            "discard",
        ),
        ("nothing", finishing(1000), Found::Nothing, "ask"),
    ];
    for (name, saved, found, expected) in table {
        let (mut driver, actions) = Driver::recovered(spec(), saved, found);
        assert_eq!(kinds(&actions), [expected], "{name}");
        match expected {
            "close" => assert_eq!(closed(&actions), finished(), "{name}"),
            "discard" => {
                // The target is looked at only when the file that cannot be believed is gone.
                let removed = Part {
                    path: target(),
                    ..part(1)
                };
                assert_eq!(actions, [Action::Discard(removed)], "{name}");
                assert_eq!(kinds(&driver.feed(Input::Discarded)), ["ask"], "{name}");
            }
            _ => {}
        }
    }
}

#[test]
fn a_cancelled_task_that_was_published_is_finished_and_a_ruin_is_removed() {
    for (boot, outcome) in [(1, finished()), (2, Outcome::Cancelled)] {
        let rules = SessionRules::default();
        let (mut driver, actions) =
            Driver::start_wanting(spec(), rules, Some(finishing(0)), Desired::Cancelled);
        assert_eq!(kinds(&actions), ["recover"]);
        let mut actions = driver.feed(Input::Recovered(Found::Published(token(boot))));
        if boot == 2 {
            assert_eq!(kinds(&actions), ["discard"]);
            actions = driver.feed(Input::Discarded);
        }
        assert_eq!(closed(&actions), outcome);
    }
}

#[test]
fn a_taken_name_is_treated_as_the_caller_asked() {
    let table = [
        (Collision::Fail, vec!["record"]),
        (Collision::Skip, vec!["discard"]),
        (Collision::Rename, vec!["name"]),
    ];
    for (collision, expected) in table {
        let rename = collision == Collision::Rename;
        let (mut driver, actions) = complete(
            DownloadSpec {
                collision,
                ..spec()
            },
            SessionRules::default(),
        );
        if rename {
            assert_eq!(actions.last(), Some(&Action::Name(target())));
            driver.feed(Input::Named(Ok(target())));
        }
        driver.recorded();
        let taken = Input::Published(Err(failure(FailureKind::TargetExists)));
        assert_eq!(kinds(&driver.feed(taken)), expected, "{collision:?}");
        if rename {
            let other = PathBuf::from("/d/f.1");
            let actions = driver.feed(Input::Named(Ok(other.clone())));
            assert_eq!(record(&actions).stage, Stage::Finishing(other));
        }
    }
}

#[test]
fn a_target_that_exists_is_found_before_a_byte_is_fetched() {
    for (collision, expected) in [(Collision::Fail, "record"), (Collision::Skip, "close")] {
        let (mut driver, ask) = Driver::fresh(DownloadSpec {
            collision,
            ..spec()
        });
        driver.head(ask.conn, 200, &[ETAG, ("content-length", "1000")]);
        let actions = driver.feed(Input::TargetTaken(target()));
        assert_eq!(kinds(&actions), ["stop", expected], "{collision:?}");
        match collision {
            Collision::Skip => assert_eq!(closed(&actions), Outcome::Skipped(target())),
            _ => assert_eq!(failed(&driver.recorded()), FailureKind::TargetExists),
        }
    }
}

#[test]
fn a_skipped_task_removes_the_part_of_an_earlier_start() {
    let spec = DownloadSpec {
        collision: Collision::Skip,
        ..spec()
    };
    let saved = Checkpoint {
        validator: Validator::None,
        ..checkpoint()
    };
    let (mut driver, actions) = Driver::recovered(spec, saved, found(1));
    let conn = sole_ask(&actions).conn;
    driver.head(conn, 200, &[ETAG, ("content-length", "1000")]);
    driver.recorded();
    let actions = driver.feed(Input::TargetTaken(target()));
    assert_eq!(kinds(&actions), ["stop", "discard"]);
    assert_eq!(
        closed(&driver.feed(Input::Discarded)),
        Outcome::Skipped(target())
    );
}

#[test]
fn a_directory_gets_a_safe_name_from_the_server_or_the_url() {
    for (disposition, expected) in [
        ("attachment; filename=\"../../a.iso\"", "/d/a.iso"),
        ("attachment", "/d/f"),
    ] {
        let destination = Destination::Directory(PathBuf::from("/d"));
        let (mut driver, ask) = Driver::fresh(DownloadSpec {
            destination,
            ..spec()
        });
        let fields = [
            ETAG,
            ("content-length", "9"),
            ("content-disposition", disposition),
        ];
        let PartUse::Create(plan) = stream(&driver.head(ask.conn, 200, &fields)).part else {
            panic!("no new part file");
        };
        assert_eq!(plan.target, PathBuf::from(expected), "{disposition}");
    }
}

#[test]
fn a_store_that_refuses_the_announcement_ends_the_machine_unpublished() {
    let (mut driver, _) = complete(spec(), SessionRules::default());
    let actions = driver.feed(Input::Recorded(Err(failure(FailureKind::Store))));
    assert_eq!(exit(&actions), Exit::Fenced);
}
