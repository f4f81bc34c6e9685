//! Making tasks: destinations that are claimed, and tasks that are found again.

use longhaul_engine::authorization_challenge::Answers;
use longhaul_engine::checkpoint::Checkpoint;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::TaskId;
use longhaul_engine::limits::REQUEST_HEADER_BYTES_MAX;
use longhaul_engine::metrics::Counts;
use longhaul_engine::task::{Desired, Destination, DownloadSpec, Outcome, UploadSpec};
use longhaul_engine::time::Timestamp;

use super::samples::{
    CREATED_AT, acknowledge, adopt, close, finished, full_checkpoint, full_spec, full_upload,
    full_upload_checkpoint, one, put_session, record, register, registered, session, spec,
    store_in,
};
use super::scenario::{check, image};
use crate::{Change, Effect, Forgotten, Refusal};

const URL: &str = "http://h.example/file";

#[test]
fn a_destination_is_claimed_across_sessions_until_its_task_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    let b = session("b");
    one(&mut store, put_session(&b)).unwrap();
    let first = registered(&mut store, &a, spec(URL, "/out"));
    let again = || register(&b, spec("http://other.example/", "/out"));
    let refusal = Refusal::TargetInUse {
        session: a.clone(),
        task: first,
    };
    assert_eq!(one(&mut store, again()), Err(refusal));
    one(&mut store, close(&a, first, Outcome::Cancelled)).unwrap();
    let second = TaskId::new(2);
    assert_eq!(one(&mut store, again()), Ok(Effect::Registered(second)));
    one(&mut store, acknowledge(&a, 1)).unwrap();
    check(&store);
    let refusal = Refusal::TargetInUse {
        session: b,
        task: second,
    };
    assert_eq!(
        one(&mut store, register(&a, spec(URL, "/out"))),
        Err(refusal)
    );
}

#[test]
fn in_a_directory_each_url_is_a_destination_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let into = |url: &str| DownloadSpec {
        destination: Destination::Directory("/out".into()),
        ..spec(url, "")
    };
    let first = registered(&mut store, &id, into(URL));
    registered(&mut store, &id, into("http://h.example/other"));
    registered(&mut store, &id, spec(URL, "/out"));
    let refusal = Refusal::TargetInUse {
        session: id.clone(),
        task: first,
    };
    assert_eq!(one(&mut store, register(&id, into(URL))), Err(refusal));
    assert_eq!(
        one(&mut store, adopt(&id, into(URL), Desired::Running)),
        Ok(Effect::Adopted {
            task: first,
            is_changed: false
        })
    );
}

#[test]
fn an_adopted_task_keeps_its_progress_and_takes_the_new_options() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, spec(URL, "/out"));
    one(&mut store, record(&id, task, full_checkpoint())).unwrap();
    let DownloadSpec {
        headers,
        credentials,
        digests,
        length,
        connections,
        ..
    } = full_spec();
    let wanted = DownloadSpec {
        headers,
        credentials,
        digests,
        length,
        connections,
        ..spec(URL, "/out")
    };
    let change = adopt(&id, wanted.clone(), Desired::Suspended);
    assert_eq!(
        one(&mut store, change),
        Ok(Effect::Adopted {
            task,
            is_changed: true
        })
    );
    let (found, checkpoint) = store.task(&id, task).unwrap().unwrap();
    assert!(found.spec == wanted.into());
    assert_eq!(
        (found.desired, found.created_at),
        (Desired::Suspended, CREATED_AT)
    );
    assert_eq!(checkpoint, Some(full_checkpoint().into()));
    check(&store);
}

#[test]
fn an_ended_task_is_adopted_with_its_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let task = registered(&mut store, &id, spec(URL, "/out"));
    one(&mut store, close(&id, task, finished("/out"))).unwrap();
    let change = adopt(&id, spec(URL, "/out"), Desired::Suspended);
    assert_eq!(
        one(&mut store, change),
        Ok(Effect::Adopted {
            task,
            is_changed: false
        })
    );
    let (found, _) = store.task(&id, task).unwrap().unwrap();
    assert_eq!(
        (found.outcome, found.desired),
        (Some(finished("/out")), Desired::Running)
    );
}

#[test]
fn an_end_that_is_not_the_one_asked_for_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let with_digest = DownloadSpec {
        digests: full_spec().digests,
        ..spec(URL, "/out")
    };
    let ends = [
        (finished("/out"), with_digest),
        (Outcome::Cancelled, spec(URL, "/out")),
    ];
    for (outcome, asked) in ends {
        let earlier = registered(&mut store, &id, spec(URL, "/out"));
        one(&mut store, close(&id, earlier, outcome.clone())).unwrap();
        let next = TaskId::new(earlier.get() + 1);
        let again = adopt(&id, asked.clone(), Desired::Running);
        assert_eq!(one(&mut store, again), Ok(Effect::Registered(next)));
        let (task, _) = store.task(&id, earlier).unwrap().unwrap();
        assert!(task.spec == spec(URL, "/out").into() && task.outcome == Some(outcome));
        let (task, checkpoint) = store.task(&id, next).unwrap().unwrap();
        assert!(
            task.spec == asked.clone().into() && task.outcome.is_none() && checkpoint.is_none()
        );
        one(&mut store, close(&id, next, Outcome::Cancelled)).unwrap();
    }
    check(&store);
}

#[test]
fn what_a_failed_task_had_fetched_goes_to_the_next_one_of_the_same_url_and_place() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let failed = registered(&mut store, &id, spec(URL, "/out"));
    one(&mut store, record(&id, failed, full_checkpoint())).unwrap();
    let failure = Failure::new(FailureKind::Disconnected, "cut");
    one(
        &mut store,
        close(&id, failed, Outcome::Failed(failure.clone())),
    )
    .unwrap();
    let next = TaskId::new(failed.get() + 1);
    let again = adopt(&id, spec(URL, "/out"), Desired::Running);
    assert_eq!(one(&mut store, again), Ok(Effect::Registered(next)));
    let (task, checkpoint) = store.task(&id, next).unwrap().unwrap();
    assert_eq!(task.outcome, None);
    let fresh = Checkpoint {
        attempts_failed: 0,
        restarts: 0,
        retry: None,
        answers: Answers::default(),
        counts: Counts::default(),
        ..full_checkpoint()
    };
    assert_eq!(checkpoint, Some(fresh.into()));
    let (task, checkpoint) = store.task(&id, failed).unwrap().unwrap();
    assert_eq!(
        task.outcome,
        Some(Outcome::Failed(failure)),
        "an end never changes"
    );
    assert_eq!(checkpoint, None);
    check(&store);
}

#[test]
fn a_failed_task_that_is_forgotten_names_the_part_that_it_had_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let table = [
        (FailureKind::NoSpace, true),
        (FailureKind::Integrity, false),
    ];
    for (at, (kind, is_kept)) in table.into_iter().enumerate() {
        let task = registered(&mut store, &id, spec(URL, &format!("/{at}")));
        one(&mut store, record(&id, task, full_checkpoint())).unwrap();
        let outcome = Outcome::Failed(Failure::new(kind, "why"));
        one(&mut store, close(&id, task, outcome)).unwrap();
        let parts = full_checkpoint()
            .part
            .into_iter()
            .filter(|_| is_kept)
            .collect();
        let forgotten = Forgotten {
            tasks: vec![task],
            parts,
            ..Forgotten::default()
        };
        let answer = one(&mut store, acknowledge(&id, u64::MAX));
        assert_eq!(answer, Ok(Effect::Forgotten(forgotten)), "{kind:?}");
    }
}

#[test]
fn only_a_task_of_the_same_session_and_url_is_adopted() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    let b = session("b");
    one(&mut store, put_session(&b)).unwrap();
    let task = registered(&mut store, &a, spec(URL, "/out"));
    let other_url = adopt(&a, spec("http://h.example/other", "/out"), Desired::Running);
    let other_session = adopt(&b, spec(URL, "/out"), Desired::Running);
    let refusal = Err(Refusal::TargetInUse {
        session: a.clone(),
        task,
    });
    assert_eq!(one(&mut store, other_url.clone()), refusal);
    assert_eq!(one(&mut store, other_session.clone()), refusal);
    one(&mut store, close(&a, task, Outcome::Cancelled)).unwrap();
    assert_eq!(
        one(&mut store, other_url),
        Ok(Effect::Registered(TaskId::new(2)))
    );
    one(&mut store, close(&a, TaskId::new(2), Outcome::Cancelled)).unwrap();
    assert_eq!(
        one(&mut store, other_session),
        Ok(Effect::Registered(TaskId::new(3)))
    );
    check(&store);
}

#[test]
fn a_request_too_large_to_store_is_refused_with_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let header = (
        "X-Large".to_owned(),
        "x".repeat(8 * REQUEST_HEADER_BYTES_MAX),
    );
    let large = DownloadSpec {
        headers: vec![header],
        ..spec(URL, "/out")
    };
    let before = image(&store);
    let answer = one(&mut store, register(&id, large));
    assert!(
        matches!(answer, Err(Refusal::TooLarge { bytes, bytes_max }) if bytes > bytes_max),
        "{answer:?}"
    );
    assert!(image(&store) == before);
    registered(&mut store, &id, spec(URL, "/out"));
}

#[test]
fn an_unchanged_adoption_of_many_tasks_costs_no_new_rows() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let all = |created_at| -> Vec<Change> {
        (0..500)
            .map(|at| Change::Register {
                session: id.clone(),
                spec: Box::new(spec(&format!("{URL}{at}"), &format!("/out/{at}")).into()),
                desired: Desired::Running,
                created_at,
                adopt: true,
            })
            .collect()
    };
    let answers = store.commit(&all(CREATED_AT)).unwrap();
    assert_eq!(answers[499], Ok(Effect::Registered(TaskId::new(500))));
    let before = image(&store);
    let answers = store.commit(&all(Timestamp::from_unix_ms(1))).unwrap();
    assert_eq!(
        answers[499],
        Ok(Effect::Adopted {
            task: TaskId::new(500),
            is_changed: false
        })
    );
    assert!(image(&store) == before);
}

#[test]
fn a_request_to_upload_that_is_repeated_is_the_same_task_however_it_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let request = |request_id, adopt| Change::Register {
        session: id.clone(),
        spec: Box::new(
            UploadSpec {
                request_id,
                ..full_upload()
            }
            .into(),
        ),
        desired: Desired::Running,
        created_at: CREATED_AT,
        adopt,
    };
    let first = TaskId::new(1);
    assert_eq!(
        one(&mut store, request(5, false)),
        Ok(Effect::Registered(first))
    );
    // Another request for the same file is another task, and one that nobody named too.
    for (number, request_id) in [(2, 6), (3, 0), (4, 0)] {
        let made = one(&mut store, request(request_id, false));
        assert_eq!(made, Ok(Effect::Registered(TaskId::new(number))));
    }
    let same = Ok(Effect::Adopted {
        task: first,
        is_changed: false,
    });
    assert_eq!(one(&mut store, request(5, true)), same);
    let known = full_upload_checkpoint();
    one(&mut store, record(&id, first, known.clone())).unwrap();
    let (_, progress) = store.task(&id, first).unwrap().unwrap();
    assert_eq!(progress, Some(known.into()));
    assert!(store.tasks(&id, None, 1).unwrap()[0].awaiting_authorization);
    let failure = Failure::new(FailureKind::Status(404), "not found");
    one(&mut store, close(&id, first, Outcome::Failed(failure))).unwrap();
    assert_eq!(one(&mut store, request(5, true)), same);
    // Its owner has heard of it: the name is free, and its claim is gone with it.
    one(&mut store, acknowledge(&id, 2)).unwrap();
    let made = one(&mut store, request(5, true));
    assert_eq!(made, Ok(Effect::Registered(TaskId::new(5))));
}

#[test]
fn an_upload_that_may_be_adopted_is_found_by_its_file_url_place_and_method() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, id) = store_in(directory.path());
    let request = |spec: UploadSpec| Change::Register {
        session: id.clone(),
        adopt: spec.is_adoptable,
        spec: Box::new(spec.into()),
        desired: Desired::Running,
        created_at: CREATED_AT,
    };
    let upload = |request_id| UploadSpec {
        request_id,
        is_adoptable: true,
        ..full_upload()
    };
    let first = TaskId::new(1);
    let made = one(&mut store, request(upload(5)));
    assert_eq!(made, Ok(Effect::Registered(first)));
    let others = [
        UploadSpec {
            is_adoptable: false,
            ..upload(6)
        },
        UploadSpec {
            method: "LINK".to_owned(),
            ..upload(7)
        },
        UploadSpec {
            source: "/another".into(),
            ..upload(8)
        },
        UploadSpec {
            place: None,
            ..upload(14)
        },
    ];
    for (number, other) in (2..).zip(others) {
        let made = one(&mut store, request(other));
        assert_eq!(made, Ok(Effect::Registered(TaskId::new(number))));
    }

    // The options are those of the new request, and servers know it by the name of the first.
    let asked = UploadSpec {
        is_repeatable: false,
        headers: Vec::new(),
        ..upload(9)
    };
    let adopted = one(&mut store, request(asked.clone()));
    let is_changed = true;
    let task = first;
    assert_eq!(adopted, Ok(Effect::Adopted { task, is_changed }));
    let (found, _) = store.task(&id, first).unwrap().unwrap();
    let expected = UploadSpec {
        request_id: 5,
        ..asked
    };
    assert_eq!(found.spec, expected.into());
    let again = one(&mut store, request(upload(10)));
    assert_eq!(again, Ok(Effect::Adopted { task, is_changed }));
    let is_changed = false;
    let same = one(&mut store, request(upload(11)));
    assert_eq!(same, Ok(Effect::Adopted { task, is_changed }));

    one(&mut store, close(&id, first, Outcome::Cancelled)).unwrap();
    let ended = one(&mut store, request(upload(12)));
    assert_eq!(ended, Ok(Effect::Adopted { task, is_changed }));
    one(&mut store, acknowledge(&id, 1)).unwrap();
    let anew = one(&mut store, request(upload(13)));
    assert_eq!(anew, Ok(Effect::Registered(TaskId::new(6))));
}
