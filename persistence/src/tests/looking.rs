//! Looking into a store that is open elsewhere, that a crash has left, or that is damaged.

use std::fs;
use std::path::Path;

use longhaul_engine::id::TaskId;

use super::samples::{full_spec, registered, store_in};
use crate::{Store, StoreError, StoreView};

fn tasks_in(path: &Path) -> Vec<TaskId> {
    let view = StoreView::open(path).unwrap().unwrap();
    view.check().unwrap();
    let sessions = view.sessions().unwrap();
    let tasks = sessions
        .iter()
        .flat_map(|it| view.full_tasks(it, None, 100).unwrap());
    tasks.map(|(task, _)| task.id).collect()
}

#[test]
fn a_store_is_read_and_not_changed_whether_it_is_open_was_closed_or_crashed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (mut store, id) = store_in(directory.path());
    registered(&mut store, &id, full_spec());
    // What a kill leaves is the file as it is now.
    let crashed = directory.path().join("crashed.redb");
    fs::copy(&path, &crashed).unwrap();
    for path in [&path, &crashed] {
        let before = fs::read(path).unwrap();
        assert_eq!(tasks_in(path).len(), 1);
        assert_eq!(fs::read(path).unwrap(), before);
    }
    drop(store);
    let before = fs::read(&path).unwrap();
    assert_eq!(tasks_in(&path).len(), 1);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(
        Store::open(&path).unwrap().epoch(),
        2,
        "looking counts nothing"
    );
}

#[test]
fn where_no_engine_has_run_there_is_nothing_to_see() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    assert!(StoreView::open(&path).unwrap().is_none());
    assert!(!path.exists(), "looking makes nothing");
    for unfinished in [Vec::new(), vec![0; 4096]] {
        fs::write(&path, &unfinished).unwrap();
        assert!(StoreView::open(&path).unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), unfinished);
    }
}

#[test]
fn a_torn_or_foreign_file_is_told_as_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    drop(Store::open(&path).unwrap());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(
        StoreView::open(&path),
        Err(StoreError::Corrupt { .. })
    ));
    fs::write(&path, "something else").unwrap();
    assert!(matches!(
        StoreView::open(&path),
        Err(StoreError::Foreign { .. })
    ));
}
