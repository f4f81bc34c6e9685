//! Which files are opened, and what is said about the others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use longhaul_engine::id::{Sequence, SessionId};
use longhaul_engine::task::{Desired, Destination};
use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

use super::disk::Random;
use super::samples::{
    adopt, close, finished, full_checkpoint, full_spec, one, record, register, registered, session,
    spec, store_in,
};
use crate::codec::encode;
use crate::records::CounterV1;
use crate::tables::{
    Bytes, CHECKPOINTS, EVENTS, LAUNCHES, META, NEXT_TASK, NumberKey, SCHEMA, SESSIONS, STATES,
    TARGETS, TASKS, next_fact, number_key,
};
use crate::{Change, Store, StoreError};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_store_is_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(Store::open(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Store::open(&path).unwrap());
    assert_eq!(
        mode(&path),
        0o600,
        "one that was open to others is closed to them"
    );
}

#[test]
fn no_two_openings_have_the_same_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    for epoch in 1..5 {
        assert_eq!(Store::open(&path).unwrap().epoch(), epoch);
    }
}

#[test]
fn a_store_that_is_open_is_not_opened_again_until_it_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = Store::open(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(
        matches!(&error, StoreError::Locked { path: named } if *named == path),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("store.redb is open elsewhere"),
        "{error}"
    );
    assert!(!error.needs_reopen());
    drop(store);
    assert_eq!(
        Store::open(&path).unwrap().epoch(),
        2,
        "the refused opening changed nothing"
    );
}

#[test]
fn a_newer_schema_is_refused_by_name_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = Store::open(&path).unwrap();
    put(&store, META, SCHEMA, &CounterV1::row(7));
    drop(store);
    for _ in 0..2 {
        let error = Store::open(&path).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Newer {
                    found: 7,
                    known: 1,
                    ..
                }
            ),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains("store.redb has schema 7 and this version knows up to 1"),
            "{text}"
        );
    }
}

#[test]
fn a_file_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    for bytes in [
        &b"x"[..],
        b"redb is not",
        b"SQLite format 3\0 and much more",
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(&error, StoreError::Foreign { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains("store.redb is not a store of longhaul"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    fs::remove_file(&path).unwrap();
    let other: TableDefinition<'_, u64, u64> = TableDefinition::new("theirs");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(other).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign { .. }), "{error:?}");
    let database = redb::Database::open(&path).unwrap();
    let tables: Vec<_> = database
        .begin_read()
        .unwrap()
        .list_tables()
        .unwrap()
        .collect();
    assert_eq!(tables.len(), 1, "nothing was added to it");
}

#[test]
fn a_store_whose_making_was_interrupted_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    for length in [1, 8, 4096, 1024 * 1024] {
        fs::write(&path, vec![0; length]).unwrap();
        assert_eq!(Store::open(&path).unwrap().epoch(), 1, "{length} bytes");
    }
}

#[test]
fn a_place_that_can_not_hold_a_store_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for path in [
        directory.path().join("no/such/store.redb"),
        directory.path().to_owned(),
    ] {
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(&error, StoreError::Io { .. }), "{error:?}");
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
        assert!(!error.needs_reopen());
    }
}

#[test]
fn a_store_cut_short_is_damaged_or_refused_and_never_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(store_in(directory.path()));
    let whole = fs::read(&path).unwrap();
    for length in [9, 100, 4096, 64 * 1024, whole.len() - 4096] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt { .. } | StoreError::Io { .. }),
            "{length} bytes: {error:?}"
        );
        assert!(error.to_string().contains("store.redb"), "{error}");
    }
}

fn put(store: &Store, table: TableDefinition<'static, Bytes, Bytes>, key: &[u8], value: &[u8]) {
    let transaction = store.database().begin_write().unwrap();
    transaction
        .open_table(table)
        .unwrap()
        .insert(key, value)
        .unwrap();
    transaction.commit().unwrap();
}

/// Flips the last bit of the row at `key`.
fn damage<K: redb::Key>(
    store: &Store,
    table: TableDefinition<'static, K, Bytes>,
    key: K::SelfType<'_>,
) {
    let transaction = store.database().begin_write().unwrap();
    {
        let mut rows = transaction.open_table(table).unwrap();
        let mut bytes = rows.get(&key).unwrap().unwrap().value().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        rows.insert(&key, bytes.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

/// A store whose session `a` has the live task 1, with progress, and the ended task 2.
fn lived_in(directory: &Path) -> (Store, SessionId) {
    let (mut store, id) = store_in(directory);
    let live = registered(&mut store, &id, full_spec());
    one(&mut store, record(&id, live, full_checkpoint())).unwrap();
    let ended = registered(&mut store, &id, spec("http://h.example/", "/out/file"));
    one(&mut store, close(&id, ended, finished("/out/file"))).unwrap();
    (store, id)
}

fn assert_names(
    result: Result<impl std::fmt::Debug, StoreError>,
    table: impl TableHandle,
    key: &str,
) {
    let error = result.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { .. }), "{error:?}");
    let text = error.to_string();
    let place = format!("store.redb is damaged: table {}, key {key}: ", table.name());
    assert!(text.contains(&place), "{text}");
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn a_damaged_row_is_an_error_that_names_its_table_and_key() {
    let task = longhaul_engine::id::TaskId::new(1);
    type Numbered = TableDefinition<'static, NumberKey, Bytes>;
    let numbered: [(Numbered, u64); 4] = [(TASKS, 1), (STATES, 1), (CHECKPOINTS, 1), (EVENTS, 1)];
    for (table, number) in numbered {
        let directory = tempfile::tempdir().unwrap();
        let (store, id) = lived_in(directory.path());
        damage(&store, table, number_key(&id, number));
        let key = "a/1";
        if table.name() == EVENTS.name() {
            assert_names(store.facts(&id, Sequence::default(), 9), table, key);
        } else {
            assert_names(store.task(&id, task), table, key);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = lived_in(directory.path());
    damage(&store, SESSIONS, b"a");
    assert_names(store.session(&id), SESSIONS, "a");
    damage(&store, META, NEXT_TASK);
    let change = register(&id, spec("http://h.example/", "/new"));
    assert_names(store.commit(&[change]), META, "next-task");
    damage(&store, META, &next_fact(&id));
    assert_names(
        store.commit(&[close(&id, task, finished("/"))]),
        META,
        "next-fact/a",
    );
    // The key holds a URL, which may be signed.
    let claim = crate::records::target_key(&full_spec().destination, full_spec().url.as_str());
    let Destination::Directory(path) = full_spec().destination else {
        panic!()
    };
    damage(&store, TARGETS, &claim);
    let change = adopt(&id, full_spec(), Desired::Running);
    assert_names(store.commit(&[change]), TARGETS, &path.to_string_lossy());
}

#[test]
fn a_check_finds_a_damaged_row_in_every_table() {
    fn finds_in<K: redb::Key + 'static>(
        table: TableDefinition<'static, K, Bytes>,
        key: impl Fn(&SessionId) -> K::SelfType<'_>,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, id) = lived_in(directory.path());
        let log = Change::PutLaunches {
            session: id.clone(),
            log: Box::new(super::samples::launches()),
        };
        one(&mut store, log).unwrap();
        store.check().unwrap();
        damage(&store, table, key(&id));
        let error = store.check().unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains(table.name()), "{error}");
    }
    for table in [TASKS, STATES, CHECKPOINTS, EVENTS] {
        finds_in(table, |id| number_key(id, 1));
    }
    finds_in(META, |_| NEXT_TASK);
    let target = crate::records::target_key(&full_spec().destination, full_spec().url.as_str());
    let target: &'static [u8] = target.leak();
    finds_in(TARGETS, |_| target);
    for table in [SESSIONS, LAUNCHES] {
        finds_in(table, |_| b"a");
    }
}

#[test]
fn a_damaged_row_fails_its_commit_and_leaves_the_store_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = lived_in(directory.path());
    damage(&store, STATES, number_key(&id, 1));
    let before = super::scenario::image(&store);
    let task = longhaul_engine::id::TaskId::new(1);
    let changes = [
        register(&id, spec("http://h.example/", "/new")),
        Change::SetDesired {
            session: id.clone(),
            task,
            desired: Desired::Suspended,
        },
    ];
    let error = store.commit(&changes).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(super::scenario::image(&store) == before);
    one(&mut store, register(&id, spec("http://h.example/", "/new"))).unwrap();
}

#[test]
fn a_bit_flipped_in_the_file_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (store, id) = lived_in(directory.path());
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let needle = encode(&crate::records::CheckpointV1::from(&full_checkpoint())).unwrap();
    let places: Vec<usize> = bytes
        .windows(needle.len())
        .enumerate()
        .filter_map(|(at, window)| (window == needle).then_some(at))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + needle.len() / 2] ^= 0x10;
    }
    fs::write(&path, &bytes).unwrap();
    let store = Store::open(&path).unwrap();
    let task = longhaul_engine::id::TaskId::new(1);
    assert_names(store.task(&id, task), CHECKPOINTS, "a/1");
    assert_eq!(
        store.facts(&id, Sequence::default(), 9).unwrap().len(),
        1,
        "the rest is there"
    );
}

#[test]
fn nothing_that_is_printed_shows_a_secret() {
    let id = session("a");
    let put = Change::PutSession {
        id: id.clone(),
        rules: Box::new(super::samples::full_rules()),
    };
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = lived_in(directory.path());
    let shown = format!("{put:?} {:?} {store:?}", register(&id, full_spec()));
    assert!(!shown.contains("hush"), "{shown}");
}
#[test]
fn a_bit_flipped_in_the_front_never_makes_opening_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(lived_in(directory.path()));
    let good = fs::read(&path).unwrap();
    // The database's own header and its map of free pages are at the front: the worst to lose.
    let used: Vec<usize> = (0..32 * 1024).filter(|at| good[*at] != 0).collect();
    let mut random = Random::new(7);
    let mut refused = 0;
    for _ in 0..400 {
        let mut bytes = good.clone();
        let at = used[usize::try_from(random.below(used.len() as u64)).unwrap()];
        bytes[at] ^= 1 << random.below(8);
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = Store::open(&path) {
            assert!(
                error.to_string().contains("store.redb"),
                "byte {at}: {error}"
            );
            refused += 1;
        }
    }
    assert!(refused > 0, "no flip hit anything");
}
