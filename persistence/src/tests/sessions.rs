//! The life of a session, and of one whose store was damaged.

use std::fs;
use std::path::Path;

use longhaul_engine::event::Fact;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::session::{Invalidation, SessionState};
use longhaul_engine::task::{Desired, Outcome};

use super::samples::{
    acknowledge, adopt, close, finished, full_checkpoint, full_spec, one, put_session, record,
    register, registered, session, spec, store_in,
};
use super::scenario::check;
use crate::{Change, Effect, Refusal, Store, StoreError};

const URL: &str = "http://h.example/file";

fn invalidate(session: &SessionId, how: Invalidation) -> Change {
    Change::Invalidate {
        session: session.clone(),
        how,
    }
}

/// The facts that nobody has acknowledged, without those of tasks.
fn facts_of_session(store: &Store, session: &SessionId) -> Vec<Fact> {
    let facts = store.facts(session, Sequence::default(), usize::MAX);
    let mut facts: Vec<_> = facts.unwrap().into_iter().map(|it| it.fact).collect();
    facts.retain(|fact| fact.task().is_none());
    facts
}

fn desired(store: &Store, session: &SessionId, task: TaskId) -> Desired {
    let (task, _) = store.task(session, task).unwrap().unwrap();
    task.desired
}

#[test]
fn a_session_that_finishes_takes_no_new_task_and_ends_with_its_last_one() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let tasks = ["/1", "/2", "/3"].map(|at| registered(&mut store, &id, spec(URL, at)));
    one(&mut store, close(&id, tasks[0], finished("/1"))).unwrap();
    let finish = invalidate(&id, Invalidation::FinishTasks);
    for _ in 0..2 {
        let answer = one(&mut store, finish.clone());
        assert_eq!(answer, Ok(Effect::Invalidated(None)));
        let state = store.session_state(&id).unwrap();
        assert_eq!(state, Some(SessionState::Finishing));
    }
    let refused = one(&mut store, register(&id, spec(URL, "/4")));
    assert_eq!(refused, Err(Refusal::Invalidated(id.clone())));
    // The one that exists already is no new one: a request that is asked again finds it.
    let again = adopt(&id, spec(URL, "/2"), Desired::Running);
    let is_adopted =
        matches!(one(&mut store, again), Ok(Effect::Adopted { task, .. }) if task == tasks[1]);
    assert!(is_adopted);
    assert_eq!(desired(&store, &id, tasks[2]), Desired::Running);

    let Ok(Effect::Closed(facts)) = one(&mut store, close(&id, tasks[2], finished("/3"))) else {
        panic!("it is closed")
    };
    assert_eq!(facts.len(), 1, "one task lives still");
    drop(store);
    let mut store = Store::open(&directory.path().join("store.redb")).unwrap();
    let Ok(Effect::Closed(facts)) = one(&mut store, close(&id, tasks[1], Outcome::Cancelled))
    else {
        panic!("it is closed")
    };
    let facts: Vec<_> = facts
        .into_iter()
        .map(|it| (it.sequence.get(), it.fact))
        .collect();
    assert_eq!((facts.len(), &facts[1]), (2, &(4, Fact::BecameInvalid)));
    assert_eq!(
        store.session_state(&id).unwrap(),
        Some(SessionState::Invalid)
    );
    check(&store);
}

#[test]
fn a_session_without_live_tasks_is_invalid_at_once_and_only_once() {
    for how in [Invalidation::FinishTasks, Invalidation::CancelTasks] {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, id) = store_in(directory.path());
        let Ok(Effect::Invalidated(Some(fact))) = one(&mut store, invalidate(&id, how)) else {
            panic!("{how:?}: it has ended")
        };
        assert_eq!((fact.sequence.get(), fact.fact), (1, Fact::BecameInvalid));
        for again in [Invalidation::FinishTasks, Invalidation::CancelTasks] {
            let answer = one(&mut store, invalidate(&id, again));
            assert_eq!(answer, Ok(Effect::Invalidated(None)));
        }
        one(&mut store, put_session(&id)).unwrap();
        let state = store.session_state(&id).unwrap();
        assert_eq!(state, Some(SessionState::Invalid), "it is the same session");
        assert_eq!(facts_of_session(&store, &id), [Fact::BecameInvalid]);
    }
}

#[test]
fn cancelling_all_cancels_every_live_task_in_its_own_way() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let tasks = ["/1", "/2", "/3", "/4"].map(|at| registered(&mut store, &id, spec(URL, at)));
    let wish = |task, desired| Change::SetDesired {
        session: id.clone(),
        task,
        desired,
    };
    one(&mut store, wish(tasks[1], Desired::Suspended)).unwrap();
    one(&mut store, wish(tasks[2], Desired::CancelledResumable)).unwrap();
    one(&mut store, close(&id, tasks[3], finished("/4"))).unwrap();
    // First left to finish, then cancelled: the later word counts.
    one(&mut store, invalidate(&id, Invalidation::FinishTasks)).unwrap();
    one(&mut store, invalidate(&id, Invalidation::CancelTasks)).unwrap();
    let wished = tasks.map(|task| desired(&store, &id, task));
    let (all, its_own) = (Desired::Cancelled, Desired::CancelledResumable);
    assert_eq!(wished, [all, all, its_own, Desired::Running]);
    for task in &tasks[..3] {
        one(&mut store, close(&id, *task, Outcome::Cancelled)).unwrap();
    }
    assert_eq!(facts_of_session(&store, &id), [Fact::BecameInvalid]);
    check(&store);
}

#[test]
fn a_session_is_gone_with_the_acknowledgement_of_its_last_fact_and_its_name_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, spec(URL, "/1"));
    one(&mut store, invalidate(&id, Invalidation::FinishTasks)).unwrap();
    one(&mut store, close(&id, task, Outcome::Cancelled)).unwrap();
    let Ok(Effect::Forgotten(first)) = one(&mut store, acknowledge(&id, 1)) else {
        panic!("the end of the task")
    };
    assert!(first.tasks == [task] && !first.session_is_gone);
    assert_eq!(
        store.session_state(&id).unwrap(),
        Some(SessionState::Invalid)
    );
    let Ok(Effect::Forgotten(last)) = one(&mut store, acknowledge(&id, 2)) else {
        panic!("the end of the session")
    };
    assert!(last.tasks.is_empty() && last.session_is_gone);
    assert_eq!(store.session_state(&id).unwrap(), None);
    let gone = Err(Refusal::NoSuchSession(id.clone()));
    assert_eq!(one(&mut store, acknowledge(&id, 2)), gone);
    assert_eq!(
        one(&mut store, invalidate(&id, Invalidation::FinishTasks)),
        gone
    );

    one(&mut store, put_session(&id)).unwrap();
    assert_eq!(store.session_state(&id).unwrap(), Some(SessionState::Open));
    assert_eq!(facts_of_session(&store, &id), []);
    assert!(registered(&mut store, &id, spec(URL, "/1")) > task);
    check(&store);
}

/// Damages the store at `path`, in one of the ways that are found when it is opened and read.
fn damage(path: &Path, way: usize) {
    let mut bytes = fs::read(path).unwrap();
    match way {
        // Its beginning is lost, as a power cut can leave it on some file systems.
        0 => bytes[..4096].fill(0),
        // It was cut short.
        1 => bytes.truncate(4096),
        // A record has another byte: nothing but reading it finds that.
        _ => {
            let text = b"h.example";
            let places = 0..bytes.len() - text.len();
            for at in places
                .filter(|at| bytes[*at..].starts_with(text))
                .collect::<Vec<_>>()
            {
                bytes[at] ^= 1;
            }
        }
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_store_is_kept_and_every_session_of_the_new_one_hears_of_it_once() {
    for way in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        let (mut store, id) = store_in(directory.path());
        // More than a store takes whose making was interrupted, and as much again.
        let name = "n".repeat(9_000);
        let mut task = TaskId::default();
        for number in 0..400 {
            task = registered(&mut store, &id, spec(URL, &format!("/{name}/{number}")));
            one(&mut store, record(&id, task, full_checkpoint())).unwrap();
        }
        drop(store);
        damage(&path, way);
        let damaged = fs::read(&path).unwrap();

        let (mut store, aside) = Store::open_or_recreate(&path).unwrap();
        let aside = aside.expect("it was damaged");
        assert_eq!(
            aside,
            directory.path().join("store.redb.damaged-1"),
            "{way}"
        );
        // Damage that only reading finds is found after the opening was counted.
        let is_same = fs::read(&aside).unwrap() == damaged;
        assert!(is_same || way == 2, "nothing of it is changed");
        assert!(store.sessions().unwrap().is_empty());
        one(&mut store, put_session(&id)).unwrap();
        one(&mut store, put_session(&id)).unwrap();
        assert_eq!(facts_of_session(&store, &id), [Fact::StateLost], "{way}");
        let new = registered(&mut store, &id, spec(URL, "/new"));
        assert!(new > task, "no number is used twice");

        // It is not told again: neither to the next opening nor to the next session of the name.
        drop(store);
        let (mut store, aside) = Store::open_or_recreate(&path).unwrap();
        assert_eq!(aside, None);
        one(&mut store, acknowledge(&id, 1)).unwrap();
        one(&mut store, put_session(&id)).unwrap();
        one(&mut store, close(&id, new, Outcome::Cancelled)).unwrap();
        one(
            &mut store,
            Change::RemoveSession {
                session: id.clone(),
            },
        )
        .unwrap();
        one(&mut store, put_session(&id)).unwrap();
        assert_eq!(facts_of_session(&store, &id), []);
        one(&mut store, put_session(&session("b"))).unwrap();
        assert_eq!(facts_of_session(&store, &session("b")), [Fact::StateLost]);
    }
}

#[test]
fn a_crash_between_the_renaming_and_the_making_loses_no_word_of_the_loss() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let (store, id) = store_in(directory.path());
    drop(store);
    for (number, name) in ["store.redb.damaged-1", "store.redb.damaged-2"]
        .iter()
        .enumerate()
    {
        fs::rename(&path, directory.path().join(name)).unwrap();
        let mut store = Store::open(&path).unwrap();
        one(&mut store, put_session(&id)).unwrap();
        assert_eq!(facts_of_session(&store, &id), [Fact::StateLost]);
        let task = registered(&mut store, &id, spec(URL, "/1"));
        assert!(task.get() > number as u64 * 1_000_000_000, "{task}");
    }
}

#[test]
fn only_damage_is_put_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    fs::write(&path, b"SQLite format 3\0 and much more").unwrap();
    let error = Store::open_or_recreate(&path).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign { .. }), "{error:?}");
    fs::remove_file(&path).unwrap();
    let store = Store::open(&path).unwrap();
    let error = Store::open_or_recreate(&path).unwrap_err();
    assert!(matches!(&error, StoreError::Locked { .. }), "{error:?}");
    drop(store);
    assert_eq!(Store::open_or_recreate(&path).unwrap().1, None);
    let names = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(names, 1);
}

#[test]
fn without_the_wish_to_recreate_a_damaged_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    for bytes in [
        vec![0; 3 * 1024 * 1024],
        b"redb\x1a\x0a\xa9\x0d\x0a and no more".to_vec(),
    ] {
        fs::write(&path, &bytes).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(
            error.to_string().contains("store.redb is damaged"),
            "{error}"
        );
        assert!(fs::read(&path).unwrap() == bytes);
    }
}

#[test]
fn a_page_of_tasks_is_what_each_of_them_is_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let first = registered(&mut store, &id, full_spec());
    one(&mut store, record(&id, first, full_checkpoint())).unwrap();
    let other = session("aa");
    one(&mut store, put_session(&other)).unwrap();
    registered(&mut store, &other, spec(URL, "/other"));
    let mut tasks = vec![first];
    tasks.extend((0..5).map(|at| registered(&mut store, &id, spec(URL, &format!("/{at}")))));
    one(&mut store, close(&id, tasks[3], finished("/2"))).unwrap();
    let alone: Vec<_> = tasks
        .iter()
        .map(|task| store.task(&id, *task).unwrap().unwrap())
        .collect();
    let mut paged = Vec::new();
    for after in [None, Some(tasks[1]), Some(tasks[3])] {
        paged.extend(store.full_tasks(&id, after, 2).unwrap());
    }
    assert_eq!(paged, alone);
    assert!(store.full_tasks(&id, Some(tasks[5]), 2).unwrap().is_empty());
}
