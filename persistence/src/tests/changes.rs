//! What each change does, and when it is refused.

use longhaul_engine::checkpoint::Checkpoint;
use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::launch::LaunchLog;
use longhaul_engine::schedule::Schedule;
use longhaul_engine::task::{Desired, Outcome};

use super::samples::{
    CREATED_AT, acknowledge, awaiting, close, finished, full_checkpoint, full_rules, full_spec,
    launches, one, put_session, record, register, registered, session, spec, store_in,
};
use super::scenario::{check, image};
use crate::{Change, Effect, Forgotten, Refusal, Store, TaskSummary};

const URL: &str = "http://h.example/file";

fn forget(session: &SessionId, task: TaskId) -> Change {
    Change::Forget {
        session: session.clone(),
        task,
    }
}

fn gone(tasks: &[TaskId]) -> Effect {
    Effect::Forgotten(Forgotten {
        tasks: tasks.to_vec(),
        ..Forgotten::default()
    })
}

fn remove(session: &SessionId) -> Change {
    Change::RemoveSession {
        session: session.clone(),
    }
}

fn set_desired(session: &SessionId, task: TaskId, desired: Desired) -> Change {
    Change::SetDesired {
        session: session.clone(),
        task,
        desired,
    }
}

fn facts(store: &Store, session: &SessionId) -> Vec<NumberedFact> {
    store
        .facts(session, Sequence::default(), usize::MAX)
        .unwrap()
}

fn fact(sequence: u64, task: TaskId, outcome: Outcome) -> NumberedFact {
    NumberedFact {
        sequence: Sequence::new(sequence),
        fact: Fact::Completed {
            task,
            outcome,
            metrics: None,
        },
    }
}

#[test]
fn the_calls_of_an_app_are_kept_until_its_session_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    assert_eq!(store.launches(&id).unwrap(), LaunchLog::default());
    let put = |session: &SessionId| Change::PutLaunches {
        session: session.clone(),
        log: Box::new(launches()),
    };
    one(&mut store, put(&id)).unwrap();
    drop(store);
    let mut store = Store::open(&directory.path().join("store.redb")).unwrap();
    assert_eq!(store.launches(&id).unwrap(), launches());
    let stranger = session("b");
    assert_eq!(
        one(&mut store, put(&stranger)),
        Err(Refusal::NoSuchSession(stranger.clone()))
    );
    let remove = Change::RemoveSession {
        session: id.clone(),
    };
    one(&mut store, remove).unwrap();
    assert_eq!(store.launches(&id).unwrap(), LaunchLog::default());
}

#[test]
fn everything_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let rules = Box::new(full_rules());
    one(
        &mut store,
        Change::PutSession {
            id: id.clone(),
            rules,
        },
    )
    .unwrap();
    let live = registered(&mut store, &id, full_spec());
    one(&mut store, set_desired(&id, live, Desired::Suspended)).unwrap();
    one(&mut store, record(&id, live, full_checkpoint())).unwrap();
    let ended = registered(&mut store, &id, spec(URL, "/out/file"));
    one(&mut store, close(&id, ended, finished("/out/file"))).unwrap();
    drop(store);

    let store = Store::open(&directory.path().join("store.redb")).unwrap();
    assert_eq!(store.sessions().unwrap(), std::slice::from_ref(&id));
    assert!(store.session(&id).unwrap() == Some(full_rules()));
    let (task, checkpoint) = store.task(&id, live).unwrap().unwrap();
    assert!(task.spec == full_spec().into());
    assert_eq!(
        (task.id, task.desired, task.created_at),
        (live, Desired::Suspended, CREATED_AT)
    );
    assert_eq!(
        (task.outcome, checkpoint),
        (None, Some(full_checkpoint().into()))
    );
    let (task, checkpoint) = store.task(&id, ended).unwrap().unwrap();
    assert_eq!(
        (task.outcome, checkpoint),
        (Some(finished("/out/file")), None)
    );
    assert_eq!(facts(&store, &id), [fact(1, ended, finished("/out/file"))]);
}

#[test]
fn a_session_that_is_put_again_has_the_new_configuration_and_its_old_tasks() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, spec(URL, "/a"));
    let rules = Box::new(full_rules());
    assert_eq!(
        one(
            &mut store,
            Change::PutSession {
                id: id.clone(),
                rules
            }
        ),
        Ok(Effect::Done)
    );
    assert!(store.session(&id).unwrap() == Some(full_rules()));
    assert!(store.task(&id, task).unwrap().is_some());
    assert!(store.session(&session("b")).unwrap().is_none());
}

#[test]
fn a_refused_change_writes_nothing_and_does_not_hinder_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = TaskId::new(1);
    let nobody = session("nobody");
    let answers = store
        .commit(&[
            register(&id, spec(URL, "/a")),
            register(&id, spec(URL, "/a")),
            close(&id, TaskId::new(9), Outcome::Cancelled),
            record(&id, task, full_checkpoint()),
            register(&nobody, spec(URL, "/b")),
            close(&id, task, Outcome::Cancelled),
            close(&id, task, finished("/a")),
            record(&id, task, full_checkpoint()),
            set_desired(&id, task, Desired::Running),
        ])
        .unwrap();
    let ended = || Err(Refusal::Ended(Box::new(Outcome::Cancelled)));
    assert_eq!(
        answers,
        [
            Ok(Effect::Registered(task)),
            Err(Refusal::TargetInUse {
                session: id.clone(),
                task
            }),
            Err(Refusal::NoSuchTask),
            Ok(Effect::Done),
            Err(Refusal::NoSuchSession(nobody)),
            Ok(Effect::Closed(vec![fact(1, task, Outcome::Cancelled)])),
            ended(),
            ended(),
            ended(),
        ]
    );
    check(&store);
    let before = image(&store);
    assert_eq!(one(&mut store, close(&id, task, finished("/a"))), ended());
    assert!(image(&store) == before);
}

#[test]
fn numbers_of_tasks_are_never_used_twice_and_numbers_of_facts_have_no_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    let b = session("b");
    one(&mut store, put_session(&b)).unwrap();
    for round in 1..4 {
        let one_of_a = registered(&mut store, &a, spec(URL, "/a"));
        let one_of_b = registered(&mut store, &b, spec(URL, "/b"));
        assert_eq!((one_of_a.get(), one_of_b.get()), (2 * round - 1, 2 * round));
        let answers = store
            .commit(&[
                close(&a, one_of_a, Outcome::Cancelled),
                close(&a, one_of_a, Outcome::Cancelled),
                close(&b, one_of_b, Outcome::Cancelled),
                acknowledge(&a, round),
            ])
            .unwrap();
        assert_eq!(
            answers[0],
            Ok(Effect::Closed(vec![fact(
                round,
                one_of_a,
                Outcome::Cancelled
            )]))
        );
        assert_eq!(
            answers[2],
            Ok(Effect::Closed(vec![fact(
                round,
                one_of_b,
                Outcome::Cancelled
            )]))
        );
        drop(store);
        store = Store::open(&directory.path().join("store.redb")).unwrap();
    }
}

#[test]
fn facts_come_in_order_from_any_place_until_they_are_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let failure = Failure::new(FailureKind::Status(404), "the server answered 404");
    let outcomes = [
        finished("/0"),
        Outcome::Failed(failure),
        Outcome::Skipped("/2".into()),
    ];
    let mut expected = Vec::new();
    for (at, outcome) in outcomes.into_iter().enumerate() {
        let task = registered(&mut store, &id, spec(URL, &format!("/{at}")));
        one(&mut store, close(&id, task, outcome.clone())).unwrap();
        expected.push(fact(at as u64 + 1, task, outcome));
    }
    let after =
        |store: &Store, number, limit| store.facts(&id, Sequence::new(number), limit).unwrap();
    assert_eq!(after(&store, 0, 9), expected);
    assert_eq!(after(&store, 1, 1), expected[1..2]);
    assert_eq!(after(&store, 3, 9), []);
    assert_eq!(after(&store, u64::MAX, 9), []);

    let tasks: Vec<TaskId> = (1..4).map(TaskId::new).collect();
    let forgotten = |tasks: &[TaskId]| Ok(gone(tasks));
    assert_eq!(one(&mut store, acknowledge(&id, 2)), forgotten(&tasks[..2]));
    assert_eq!(
        one(&mut store, acknowledge(&id, 2)),
        forgotten(&[]),
        "again changes nothing"
    );
    assert_eq!(facts(&store, &id), expected[2..]);
    assert!(store.task(&id, tasks[0]).unwrap().is_none());
    assert_eq!(
        one(&mut store, acknowledge(&id, u64::MAX)),
        forgotten(&tasks[2..])
    );
    check(&store);
    assert_eq!(
        one(&mut store, close(&id, tasks[2], finished("/2"))),
        Err(Refusal::NoSuchTask)
    );
}

#[test]
fn an_ended_task_is_forgotten_with_its_fact_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let kept = registered(&mut store, &id, spec(URL, "/kept"));
    let task = registered(&mut store, &id, spec(URL, "/out"));
    assert_eq!(one(&mut store, forget(&id, task)), Err(Refusal::Live(task)));
    one(&mut store, close(&id, kept, finished("/kept"))).unwrap();
    one(&mut store, close(&id, task, Outcome::Cancelled)).unwrap();
    assert_eq!(one(&mut store, forget(&id, task)), Ok(gone(&[task])));
    assert_eq!(one(&mut store, forget(&id, task)), Err(Refusal::NoSuchTask));
    assert_eq!(facts(&store, &id), [fact(1, kept, finished("/kept"))]);
    check(&store);
}

#[test]
fn a_session_is_removed_whole_once_all_its_tasks_have_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let other = session("aa");
    one(&mut store, put_session(&other)).unwrap();
    registered(&mut store, &other, spec(URL, "/other"));
    let before = image(&store);
    let ended = registered(&mut store, &id, spec(URL, "/1"));
    let live = registered(&mut store, &id, spec(URL, "/2"));
    one(&mut store, close(&id, ended, Outcome::Cancelled)).unwrap();
    assert_eq!(one(&mut store, remove(&id)), Err(Refusal::Live(live)));
    one(&mut store, close(&id, live, Outcome::Cancelled)).unwrap();
    let forgotten = Forgotten {
        tasks: vec![ended, live],
        session_is_gone: true,
        ..Forgotten::default()
    };
    assert_eq!(
        one(&mut store, remove(&id)),
        Ok(Effect::Forgotten(forgotten))
    );
    assert_eq!(
        one(&mut store, remove(&id)),
        Err(Refusal::NoSuchSession(id.clone()))
    );
    assert_eq!(
        one(&mut store, acknowledge(&id, 1)),
        Err(Refusal::NoSuchSession(id.clone()))
    );
    check(&store);

    let after = image(&store);
    let gone: Vec<_> = before
        .keys()
        .filter(|place| !after.contains_key(*place))
        .collect();
    assert_eq!(gone, [&("sessions-1".to_owned(), b"a".to_vec(), 0)]);
    assert_eq!(after.len() + 1, before.len(), "nothing of it is left");
    one(&mut store, put_session(&id)).unwrap();
    let task = registered(&mut store, &id, spec(URL, "/1"));
    assert!(task > live, "numbers of tasks go on");
    let answer = one(&mut store, close(&id, task, Outcome::Cancelled));
    assert_eq!(
        answer,
        Ok(Effect::Closed(vec![fact(1, task, Outcome::Cancelled)])),
        "a new log"
    );
}

#[test]
fn a_list_shows_what_the_queue_needs() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let other = session("b");
    one(&mut store, put_session(&other)).unwrap();
    registered(&mut store, &other, spec(URL, "/other"));
    let tasks: Vec<TaskId> = (0..4)
        .map(|at| {
            registered(
                &mut store,
                &id,
                spec("https://H.example:8443/", &format!("/{at}")),
            )
        })
        .collect();
    one(&mut store, set_desired(&id, tasks[0], Desired::Suspended)).unwrap();
    one(&mut store, record(&id, tasks[1], full_checkpoint())).unwrap();
    one(
        &mut store,
        record(
            &id,
            tasks[2],
            Checkpoint {
                retry: None,
                ..awaiting()
            },
        ),
    )
    .unwrap();
    one(&mut store, close(&id, tasks[3], Outcome::Cancelled)).unwrap();

    let plain = |id| TaskSummary {
        id,
        desired: Desired::Running,
        host: "h.example:8443".into(),
        created_at: CREATED_AT,
        retry: None,
        schedule: Schedule::default(),
        has_begun: false,
        ended: false,
        awaiting_authorization: false,
    };
    let expected = [
        TaskSummary {
            desired: Desired::Suspended,
            ..plain(tasks[0])
        },
        TaskSummary {
            retry: full_checkpoint().retry,
            has_begun: true,
            ..plain(tasks[1])
        },
        TaskSummary {
            awaiting_authorization: true,
            has_begun: true,
            ..plain(tasks[2])
        },
        TaskSummary {
            ended: true,
            ..plain(tasks[3])
        },
    ];
    assert_eq!(store.tasks(&id, None, usize::MAX).unwrap(), expected);
    assert_eq!(store.tasks(&id, Some(tasks[0]), 2).unwrap(), expected[1..3]);
    assert_eq!(store.tasks(&id, Some(tasks[3]), 2).unwrap(), []);
}

#[test]
fn no_changes_are_no_commit() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, _) = store_in(directory.path());
    assert_eq!(store.commit(&[]).unwrap(), []);
}
