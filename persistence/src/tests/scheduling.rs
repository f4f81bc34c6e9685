//! Changing when and with what a task runs.

use longhaul_engine::checkpoint::Checkpoint;
use longhaul_engine::delayed_request::{DelayedRequest, NewRequest};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::schedule::Schedule;
use longhaul_engine::task::{
    Adjustment, Desired, Destination, DownloadSpec, Outcome, Priority, Spec, TaskOptions,
};
use longhaul_engine::time::Timestamp;

use super::samples::{
    adopt, close, one, record, register, registered, session, spec, store_in, url,
};
use super::scenario::{check, image};
use crate::{Change, Effect, Refusal, Store, TaskSummary};

const URL: &str = "http://h.example/file";
const BEGIN: Timestamp = Timestamp::from_unix_ms(1_900_000_000_000);

fn adjust(session: &SessionId, task: TaskId, adjustment: Adjustment) -> Change {
    Change::Adjust {
        session: session.clone(),
        task,
        adjustment,
    }
}

fn decide(session: &SessionId, task: TaskId, decision: DelayedRequest) -> Change {
    Change::DecideBegin {
        session: session.clone(),
        task,
        decision,
    }
}

fn new_request(at: &str) -> DelayedRequest {
    DelayedRequest::UseNewRequest(NewRequest {
        url: url(at),
        headers: vec![("X-New".into(), "1".into())],
    })
}

fn delayed(path: &str) -> DownloadSpec {
    DownloadSpec {
        options: TaskOptions {
            earliest_begin: Some(BEGIN),
            is_discretionary: true,
            ..TaskOptions::default()
        },
        ..spec(URL, path)
    }
}

fn summary(store: &Store, id: &SessionId, task: TaskId) -> TaskSummary {
    let tasks = store.tasks(id, None, usize::MAX).unwrap();
    tasks.into_iter().find(|known| known.id == task).unwrap()
}

fn asked(store: &Store, id: &SessionId, task: TaskId) -> Spec {
    store.task(id, task).unwrap().unwrap().0.spec
}

#[test]
fn a_list_of_tasks_tells_when_each_may_run() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, delayed("/out"));
    let known = summary(&store, &id, task);
    assert_eq!(known.schedule, Schedule::from(&delayed("/out").options));
    assert!(!known.has_begun);
    one(&mut store, record(&id, task, Checkpoint::default())).unwrap();
    assert!(
        summary(&store, &id, task).has_begun,
        "what has progress has begun"
    );
}

#[test]
fn an_adopted_task_takes_the_new_schedule() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, delayed("/out"));
    let plain = adopt(&id, spec(URL, "/out"), Desired::Running);
    one(&mut store, plain).unwrap();
    assert_eq!(summary(&store, &id, task).schedule, Schedule::default());
}

#[test]
fn an_adjusted_task_is_listed_and_read_with_its_new_options() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, delayed("/out"));
    for adjustment in [
        Adjustment::Priority(Priority::HIGH),
        Adjustment::RateLimit(Some(1000)),
    ] {
        assert_eq!(
            one(&mut store, adjust(&id, task, adjustment)),
            Ok(Effect::Done)
        );
    }
    let options = TaskOptions {
        priority: Priority::HIGH,
        rate_limit_bytes: Some(1000),
        ..delayed("/out").options
    };
    assert_eq!(asked(&store, &id, task).options(), &options);
    assert_eq!(
        summary(&store, &id, task).schedule,
        Schedule::from(&options)
    );
    one(&mut store, close(&id, task, Outcome::Cancelled)).unwrap();
    let late = adjust(&id, task, Adjustment::RateLimit(None));
    let ended = Refusal::Ended(Box::new(Outcome::Cancelled));
    assert_eq!(one(&mut store, late), Err(ended));
    let unknown = adjust(&id, TaskId::new(99), Adjustment::RateLimit(None));
    assert_eq!(one(&mut store, unknown), Err(Refusal::NoSuchTask));
}

#[test]
fn what_the_owner_decides_about_a_delayed_task_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let tasks = ["/1", "/2", "/3"].map(|path| registered(&mut store, &id, delayed(path)));
    let decisions = [
        DelayedRequest::ContinueLoading,
        new_request("http://other.example:81/x"),
        DelayedRequest::Cancel,
    ];
    for (task, decision) in tasks.into_iter().zip(decisions) {
        one(&mut store, decide(&id, task, decision)).unwrap();
        assert!(summary(&store, &id, task).has_begun);
    }
    assert_eq!(asked(&store, &id, tasks[0]), Spec::Download(delayed("/1")));
    let changed = DownloadSpec {
        url: url("http://other.example:81/x"),
        headers: vec![("X-New".into(), "1".into())],
        ..delayed("/2")
    };
    assert_eq!(asked(&store, &id, tasks[1]), Spec::Download(changed));
    assert_eq!(summary(&store, &id, tasks[1]).host, "other.example:81");
    assert_eq!(summary(&store, &id, tasks[2]).desired, Desired::Cancelled);
    check(&store);
}

#[test]
fn a_new_request_moves_the_claim_in_a_directory_and_never_takes_anothers() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let into = |at: &str| DownloadSpec {
        destination: Destination::Directory("/dir".into()),
        ..spec(at, "/x")
    };
    let moved = registered(&mut store, &id, into(URL));
    let other = registered(&mut store, &id, into("http://h.example/other"));
    let onto_other = decide(&id, moved, new_request("http://h.example/other"));
    let refusal = Refusal::TargetInUse {
        session: id.clone(),
        task: other,
    };
    assert_eq!(one(&mut store, onto_other), Err(refusal));
    assert!(
        !summary(&store, &id, moved).has_begun,
        "nothing of it is stored"
    );
    let before = image(&store);
    let large = DelayedRequest::UseNewRequest(NewRequest {
        url: url("http://h.example/third"),
        headers: vec![("X-New".into(), "x".repeat(1 << 20))],
    });
    let refusal = one(&mut store, decide(&id, moved, large)).unwrap_err();
    assert!(matches!(refusal, Refusal::TooLarge { .. }), "{refusal}");
    assert_eq!(image(&store), before, "its claim is where it was");
    let away = decide(&id, moved, new_request("http://h.example/third"));
    one(&mut store, away).unwrap();
    check(&store);
    let again = register(&id, into(URL));
    assert!(one(&mut store, again).is_ok(), "its first claim is free");
    let taken = register(&session("s"), into("http://h.example/third"));
    assert!(one(&mut store, taken).is_err());
}
