//! Sessions: their configuration, their one identifier, and how they end.

use longhaul::{
    AnyTask, Error, Outcome, Session, SessionConfiguration, SessionState, TaskState, UploadRequest,
};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;

use super::super::stage::{
    NAME, PATH, Stage, Told, Witness, attend, completed, configuration, finished, until_held,
};
use crate::bench::{MIB, run};

async fn again(engine: &longhaul::Engine) -> Result<Session, Error> {
    engine.session(configuration()).await
}

/// Apple, URLSessionConfiguration.background(withIdentifier:).
#[test]
fn an_empty_identifier_is_refused() {
    let refused = SessionConfiguration::new("").unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused:?}");
}

/// Foundation, NSURLSession.h: sessionWithConfiguration.
#[test]
fn a_configuration_is_copied_when_its_session_is_made_and_later_changes_have_no_effect() {
    let stage = Stage::new();
    let with = |value: &str| configuration().header("X-Copied", value).unwrap();
    run(async {
        let (engine, session) = stage.open_as(with("first")).await;
        // What was not there when it was made.
        let second = with("second");
        stage.start(&session, "a").await.finished().await.unwrap();
        drop(session);
        // Whoever makes it anew has a configuration of its own: in this process, and in another one.
        let session = engine.session(second).await.unwrap();
        stage.start(&session, "b").await.finished().await.unwrap();
        engine.shutdown().await;
        let (engine, session) = stage.open_as(with("third")).await;
        stage.start(&session, "c").await.finished().await.unwrap();
        engine.shutdown().await;
    });
    let requests = stage.server.requests();
    let sent = requests.iter().map(|request| request.header("X-Copied"));
    assert!(sent.eq([Some("first"), Some("second"), Some("third")]));
}

/// Apple, URL Loading System Programming Guide: one session per identifier.
#[test]
fn an_identifier_has_one_session_at_a_time() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let refused = again(&engine).await;
        assert!(
            matches!(&refused, Err(Error::SessionInUse { session, .. }) if session == NAME),
            "{refused:?}"
        );
        let other = SessionConfiguration::new("com.example.other").unwrap();
        assert!(engine.session(other).await.is_ok());
        drop(session);
        assert!(again(&engine).await.is_ok());
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: finishTasksAndInvalidate, on the reuse of an identifier.
#[test]
fn an_identifier_makes_no_new_session_before_the_old_one_was_told_that_it_became_invalid() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        drop(stage.started(&session, "a").await);
        session.finish_tasks_and_invalidate().await.unwrap();
        drop(session);
        let old = again(&engine).await.unwrap();
        assert_eq!(old.state().await, Ok(SessionState::Finishing));
        assert_eq!(old.get_all_tasks().await.unwrap().len(), 1);

        let (witness, heard) = Witness::new();
        let guard = attend(&old, witness).await;
        gate.open();
        heard.until_told(&Told::BecameInvalid);
        guard.ended().await;
        let new = again(&engine).await.unwrap();
        assert_eq!(new.state().await, Ok(SessionState::Open));
        assert!(new.get_all_tasks().await.unwrap().is_empty());
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: URLSession:didBecomeInvalidWithError:.
#[test]
fn that_it_became_invalid_is_the_last_message_of_a_session() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let _guard = attend(&session, witness).await;
        let task = stage.start(&session, "a").await.id();
        session.finish_tasks_and_invalidate().await.unwrap();
        let told = heard.until_let_go();
        assert_eq!(completed(&told)[0].0, task);
        let last = &told[told.len() - 2..];
        assert_eq!(last, [Told::AllFinished, Told::BecameInvalid]);
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: finishTasksAndInvalidate.
#[test]
fn finish_tasks_and_invalidate_lets_the_tasks_go_on_to_their_ends() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_at(MIB, &gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.started(&session, "a").await;
        session.finish_tasks_and_invalidate().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Running));
        gate.open();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: finishTasksAndInvalidate and invalidateAndCancel.
#[test]
fn no_new_task_is_made_in_a_session_after_either_invalidation() {
    let stage = Stage::new();
    run(async {
        for is_cancelling in [false, true] {
            let (engine, session) = stage.open().await;
            if is_cancelling {
                session.invalidate_and_cancel().await.unwrap();
            } else {
                session.finish_tasks_and_invalidate().await.unwrap();
            }
            let is_refused = |error: Error| matches!(error, Error::Invalidated { .. });
            let started = session.start_download(stage.request("a")).await;
            assert!(is_refused(started.unwrap_err()), "{is_cancelling}");
            let made = session.download_task(stage.request("a")).await;
            assert!(is_refused(made.unwrap_err()), "{is_cancelling}");
            let upload = UploadRequest::new(&stage.server.url(PATH), "a").unwrap();
            let sent = session.start_upload(upload).await;
            assert!(is_refused(sent.unwrap_err()), "{is_cancelling}");
            engine.shutdown().await;
        }
    });
    assert_eq!(stage.asked(PATH), 0);
}

/// Foundation, NSURLSession.h: invalidateAndCancel.
#[test]
fn invalidate_and_cancel_cancels_every_task_that_has_not_ended() {
    let stage = Stage::with([Reply::normal().stall_at(MIB)]);
    run(async {
        let (engine, session) = stage.open_as(configuration().tasks_max(1).unwrap()).await;
        let runs = stage.start(&session, "runs").await;
        until_held(&runs).await;
        let queues = stage.start(&session, "queues").await;
        let rests = session.download_task(stage.request("rests")).await.unwrap();
        session.invalidate_and_cancel().await.unwrap();
        session.invalidate_and_cancel().await.unwrap();
        for task in [runs, queues, rests] {
            assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        }
        assert_eq!(session.state().await, Ok(SessionState::Invalid));
        engine.shutdown().await;
    });
    assert_eq!(stage.bench.names(), [""; 0]);
}

/// Foundation, NSURLSession.h: invalidateAndCancel, on tasks that have completed already.
#[test]
fn a_task_that_had_ended_before_an_invalidation_keeps_its_end() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        let outcome = task.finished().await.unwrap();
        session.invalidate_and_cancel().await.unwrap();
        let (witness, heard) = Witness::new();
        let _guard = attend(&session, witness).await;
        let told = heard.until_told(&Told::BecameInvalid);
        assert_eq!(completed(&told), [(task.id(), &outcome)]);
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// swift-corelibs-foundation, test_checkErrorTypeAfterInvalidateAndCancel.
#[test]
fn a_task_that_was_just_started_is_cancelled_by_an_invalidation_and_no_error() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        session.invalidate_and_cancel().await.unwrap();
        assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, test_taskCountAfterInvalidateAndCancel.
#[test]
fn a_session_that_was_invalidated_has_no_tasks_once_their_ends_were_told() {
    let stage = Stage::with([Reply::normal().stall_at(MIB)]);
    run(async {
        let (engine, session) = stage.open().await;
        for name in ["a", "b", "c"] {
            stage.start(&session, name).await;
        }
        assert_eq!(session.get_all_tasks().await.unwrap().len(), 3);
        session.invalidate_and_cancel().await.unwrap();
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        assert_eq!(completed(&heard.until_told(&Told::BecameInvalid)).len(), 3);
        guard.ended().await;
        let gone = session.get_all_tasks().await;
        assert!(matches!(gone, Err(Error::Invalidated { .. })), "{gone:?}");
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, test_taskCountAfterInvalidateAndCancel, on a task that is resumed.
#[test]
fn resuming_a_task_of_a_session_that_was_invalidated_does_nothing() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.download_task(stage.request("a")).await.unwrap();
        session.invalidate_and_cancel().await.unwrap();
        task.resume().await.unwrap();
        assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        task.resume().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Completed));
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 0);
}

/// swift-corelibs-foundation, test_sessionDelegateAfterInvalidateAndCancel.
#[test]
fn a_session_keeps_its_delegate_until_it_became_invalid_and_not_longer() {
    let stage = Stage::with([Reply::normal().stall_at(MIB)]);
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        // Nobody but the session holds it.
        let _guard = attend(&session, witness).await;
        let task = stage.start(&session, "a").await;
        until_held(&task).await;
        session.invalidate_and_cancel().await.unwrap();
        let told = heard.until_let_go();
        assert_eq!(completed(&told), [(task.id(), &Outcome::Cancelled)]);
        assert_eq!(told.last(), Some(&Told::BecameInvalid));
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: getAllTasksWithCompletionHandler.
#[test]
fn all_tasks_of_a_session_are_found_and_those_of_another_are_not() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let other = SessionConfiguration::new("com.example.other").unwrap();
        let other = engine.session(other).await.unwrap();
        let elsewhere = other.download_task(stage.request("c")).await.unwrap();
        let mut made = Vec::new();
        for name in ["a", "b"] {
            let task = session.download_task(stage.request(name)).await.unwrap();
            made.push(task.id());
        }
        let found = session.get_all_tasks().await.unwrap();
        assert_eq!(found.iter().map(AnyTask::id).collect::<Vec<_>>(), made);
        let found = other.get_all_tasks().await.unwrap();
        assert_eq!((found.len(), found[0].id()), (1, elsewhere.id()));
        engine.shutdown().await;
    });
}
