//! A challenge is told once, and an answer changes request and progress in one step or not at all.

use std::path::PathBuf;

use longhaul_engine::authorization_challenge::{Disposition, Renewal};
use longhaul_engine::checkpoint::{Checkpoint, Stage};
use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::task::{Desired, Destination, DownloadSpec, Outcome, Spec};

use super::samples::{
    acknowledge, adopt, awaiting, close, full_challenge, one, record, register, registered, spec,
    store_in, url,
};
use super::scenario::{check, image};
use crate::{Change, Effect, Refusal, Store};

const OLD: &str = "http://h.example/f?signed=old";
const NEW: &str = "http://g.example:81/f?signed=new";

fn renew(session: &SessionId, task: TaskId, disposition: Disposition) -> Change {
    Change::Renew {
        session: session.clone(),
        task,
        disposition: Box::new(disposition),
    }
}

fn new_url() -> Disposition {
    Disposition::UseCredential(Renewal::default().with_url(NEW).unwrap())
}

fn desire(session: &SessionId, task: TaskId, desired: Desired) -> Change {
    Change::SetDesired {
        session: session.clone(),
        task,
        desired,
    }
}

fn told(sequence: u64, task: TaskId) -> NumberedFact {
    NumberedFact {
        sequence: Sequence::new(sequence),
        fact: Fact::Challenged {
            task,
            challenge: full_challenge(),
        },
    }
}

fn facts(store: &Store, session: &SessionId) -> Vec<NumberedFact> {
    store
        .facts(session, Sequence::default(), usize::MAX)
        .unwrap()
}

fn known(store: &Store, session: &SessionId, task: TaskId) -> (Spec, Desired, Checkpoint) {
    let (task, checkpoint) = store.task(session, task).unwrap().unwrap();
    (
        task.spec,
        task.desired,
        checkpoint.unwrap().into_download().unwrap(),
    )
}

#[test]
fn a_challenge_is_told_once_until_the_task_asks_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, spec(OLD, "/out"));
    let resume = desire(&id, task, Desired::Running);
    let adopted = adopt(&id, spec(OLD, "/out"), Desired::Running);
    let answered = renew(&id, task, Disposition::PerformDefaultHandling);
    for (next, way_out) in (1..).zip([resume, adopted, answered]) {
        let expected = Effect::Challenged(told(next, task));
        assert_eq!(one(&mut store, record(&id, task, awaiting())), Ok(expected));
        // A repeated record, or one of a transfer that crashed and began again, adds nothing.
        assert_eq!(
            one(&mut store, record(&id, task, awaiting())),
            Ok(Effect::Done)
        );
        one(&mut store, desire(&id, task, Desired::Suspended)).unwrap();
        assert!(store.tasks(&id, None, 1).unwrap()[0].awaiting_authorization);
        one(&mut store, way_out).unwrap();
        assert!(!store.tasks(&id, None, 1).unwrap()[0].awaiting_authorization);
    }
    assert_eq!(
        facts(&store, &id),
        [told(1, task), told(2, task), told(3, task)]
    );
    one(&mut store, acknowledge(&id, 2)).unwrap();
    drop(store);
    let store = Store::open(&directory.path().join("store.redb")).unwrap();
    assert_eq!(facts(&store, &id), [told(3, task)]);
    assert!(store.task(&id, task).unwrap().is_some(), "it lives on");
    check(&store);
}

#[test]
fn an_answer_changes_the_request_and_keeps_the_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let asked = DownloadSpec {
        destination: Destination::Directory(PathBuf::from("/out")),
        credentials: Some(Credentials::bearer("old")),
        ..spec(OLD, "/out")
    };
    let task = registered(&mut store, &id, asked.clone());
    one(&mut store, record(&id, task, awaiting())).unwrap();
    let answer = one(&mut store, renew(&id, task, new_url()));
    let expected = Effect::Answered {
        desired: Desired::Running,
        host: "g.example:81".into(),
    };
    assert_eq!(answer, Ok(expected));
    let (renewed, desired, progress) = known(&store, &id, task);
    let expected = DownloadSpec {
        url: url(NEW),
        credentials: None,
        ..asked.clone()
    };
    assert!(renewed == expected.into(), "the old token stays at home");
    assert_eq!(desired, Desired::Running);
    assert_eq!(
        (progress.stage, progress.spans),
        (Stage::Transferring, awaiting().spans)
    );
    assert_eq!(store.tasks(&id, None, 1).unwrap()[0].host, "g.example:81");

    // Its claim has moved with its URL.
    registered(&mut store, &id, asked);
    let same = DownloadSpec {
        url: url(NEW),
        destination: Destination::Directory(PathBuf::from("/out")),
        ..spec(NEW, "/out")
    };
    let refused = one(&mut store, register(&id, same));
    let session = id.clone();
    assert_eq!(refused, Err(Refusal::TargetInUse { session, task }));
    check(&store);
}

#[test]
fn a_cancel_is_recorded_as_a_wish() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, spec(OLD, "/out"));
    one(&mut store, record(&id, task, awaiting())).unwrap();
    let answer = one(&mut store, renew(&id, task, Disposition::Cancel));
    let expected = Effect::Answered {
        desired: Desired::Cancelled,
        host: "h.example:80".into(),
    };
    assert_eq!(answer, Ok(expected));
    assert_eq!(known(&store, &id, task).1, Desired::Cancelled);
}

#[test]
fn an_answer_that_is_refused_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let missing = renew(&id, TaskId::new(99), new_url());
    assert_eq!(one(&mut store, missing), Err(Refusal::NoSuchTask));

    let fresh = registered(&mut store, &id, spec(OLD, "/fresh"));
    let running = registered(&mut store, &id, spec(OLD, "/running"));
    one(&mut store, record(&id, running, Checkpoint::default())).unwrap();
    let ended = registered(&mut store, &id, spec(OLD, "/ended"));
    one(&mut store, close(&id, ended, Outcome::Cancelled)).unwrap();
    let into = |text: &str| DownloadSpec {
        destination: Destination::Directory(PathBuf::from("/out")),
        ..spec(text, "/out")
    };
    let asked = registered(&mut store, &id, into(OLD));
    let holder = registered(&mut store, &id, into(NEW));
    one(&mut store, record(&id, asked, awaiting())).unwrap();
    let large = Renewal::default().with_credentials(Credentials::bearer("x".repeat(1 << 20)));
    let ended_like = Refusal::Ended(Box::new(Outcome::Cancelled));
    let in_use = Refusal::TargetInUse {
        session: id.clone(),
        task: holder,
    };
    let before = image(&store);
    for (task, disposition, expected) in [
        (fresh, new_url(), Some(Refusal::NotAsked)),
        (running, new_url(), Some(Refusal::NotAsked)),
        (ended, new_url(), Some(ended_like)),
        (asked, new_url(), Some(in_use)),
        (asked, Disposition::UseCredential(large), None),
    ] {
        let refusal = one(&mut store, renew(&id, task, disposition)).unwrap_err();
        match expected {
            Some(expected) => assert_eq!(refusal, expected),
            None => assert!(matches!(refusal, Refusal::TooLarge { .. }), "{refusal}"),
        }
        assert_eq!(image(&store), before);
    }
    one(&mut store, renew(&id, asked, Disposition::Cancel)).unwrap();
    check(&store);
}
