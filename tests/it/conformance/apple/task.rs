//! Tasks: how they are made, suspended, resumed and cancelled, which goes first, and when one begins.

use std::time::{Duration, SystemTime};

use longhaul::{AnyTask, Outcome, Phase, Priority, TaskState, UploadProtocol, UploadRequest};
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;

use super::super::stage::{
    CONTENT, PATH, Stage, Told, Witness, attend, completed, configuration, finished, until,
    until_held,
};
use crate::bench::{MIB, run};

/// Foundation, NSURLSession.h: NSURLSessionTask, resume.
#[test]
fn a_task_is_made_suspended() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.download_task(stage.request("a")).await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Suspended));
        // Another one that was made after it has come and gone.
        stage.start(&session, "b").await.finished().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Suspended));
        assert_eq!(stage.asked(PATH), 1);
        task.resume().await.unwrap();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: taskIdentifier.
#[test]
fn the_number_of_a_task_is_its_own_within_its_session() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let mut numbers = Vec::new();
        for name in ["a", "b", "c"] {
            let task = session.download_task(stage.request(name)).await.unwrap();
            numbers.push(task.id());
        }
        let found = session.get_all_tasks().await.unwrap();
        assert_eq!(found.iter().map(AnyTask::id).collect::<Vec<_>>(), numbers);
        numbers.dedup();
        assert_eq!(numbers.len(), 3, "{numbers:?}");
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, test_taskCopy.
#[test]
fn a_copy_of_a_task_is_the_same_task() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.download_task(stage.request("a")).await.unwrap();
        let copy = task.clone();
        copy.cancel().await.unwrap();
        assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        assert_eq!((task.id(), task.url()), (copy.id(), copy.url()));
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, test_suspendResumeTask.
#[test]
fn resuming_a_task_more_often_than_needed_is_harmless() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.started(&session, "a").await;
        for _ in 0..3 {
            task.resume().await.unwrap();
            assert_eq!(task.state().await, Ok(TaskState::Running));
        }
        gate.open();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 1);
}

/// Foundation, NSURLSession.h: suspend, whose nesting is not followed.
#[test]
fn one_resume_is_enough_for_a_task_that_was_suspended_twice() {
    let stage = Stage::with([Reply::normal().stall_at(MIB), Reply::normal()]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        until_held(&task).await;
        task.suspend().await.unwrap();
        task.suspend().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Suspended));
        task.resume().await.unwrap();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: suspend, on the timeout timers.
#[test]
fn no_timeout_for_a_request_runs_while_a_task_is_suspended() {
    let stage = Stage::with([Reply::normal().stall_at(MIB), Reply::normal()]);
    run(async {
        let timeout = Duration::from_millis(700);
        let configuration = configuration().retries_max(0);
        let configuration = configuration.timeout_for_request(timeout).unwrap();
        let (engine, session) = stage.open_as(configuration).await;
        let task = stage.start(&session, "a").await;
        until_held(&task).await;
        task.suspend().await.unwrap();
        until(&task, |phase| *phase == Phase::Suspended).await;
        // A task that begins and ends later than the timeout.
        let begin = SystemTime::now() + Duration::from_millis(800);
        stage.server.serve("/b", Resource::new(CONTENT));
        let later = stage.request_for("/b", "b").earliest_begin_date(begin);
        let later = session.start_download(later).await.unwrap();
        finished(&later.finished().await.unwrap());
        task.resume().await.unwrap();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: cancel.
#[test]
fn cancelling_answers_at_once_and_the_end_follows() {
    let stage = Stage::with([Reply::normal().stall_at(MIB)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        until_held(&task).await;
        task.cancel().await.unwrap();
        let state = task.state().await.unwrap();
        assert!(
            matches!(state, TaskState::Canceling | TaskState::Completed),
            "{state:?}"
        );
        assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        task.cancel().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Completed));
        engine.shutdown().await;
    });
    assert_eq!(stage.bench.names(), [""; 0]);
}

/// Foundation, NSURLSession.h: cancel, on a suspended task.
#[test]
fn a_suspended_task_can_be_cancelled() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.download_task(stage.request("a")).await.unwrap();
        task.cancel().await.unwrap();
        assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 0);
}

/// swift-corelibs-foundation, test_cancelledTasksCannotBeResumed.
#[test]
fn a_cancelled_task_can_not_be_resumed() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.download_task(stage.request("a")).await.unwrap();
        task.cancel().await.unwrap();
        task.resume().await.unwrap();
        assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        task.resume().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Completed));
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 0);
}

/// swift-corelibs-foundation, URLSessionTask: lowPriority, defaultPriority and highPriority.
#[test]
fn the_named_priorities_are_a_quarter_a_half_and_three_quarters() {
    assert_eq!(Priority::LOW, Priority::new(0.25));
    assert_eq!(Priority::DEFAULT, Priority::new(0.5));
    assert_eq!(Priority::HIGH, Priority::new(0.75));
    assert_eq!(Priority::default(), Priority::DEFAULT);
}

/// Foundation, NSURLSession.h: priority, from 0 to 1.
#[test]
fn a_priority_lies_between_zero_and_one() {
    assert_eq!(Priority::new(-1.0), Priority::new(0.0));
    assert_eq!(Priority::new(7.0), Priority::new(1.0));
    assert!(Priority::new(0.0) < Priority::LOW && Priority::HIGH < Priority::new(1.0));
}

/// Foundation, NSURLSession.h: priority, which may be changed at any time.
#[test]
fn of_the_tasks_that_wait_the_one_with_the_highest_priority_goes_first() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    for path in ["/low", "/usual", "/raised"] {
        stage.server.script(path, [Reply::status(200)]);
    }
    run(async {
        let (engine, session) = stage.open_as(configuration().tasks_max(1).unwrap()).await;
        stage.started(&session, "a").await;
        let low = stage.request_for("/low", "low").priority(0.25);
        let low = session.start_download(low).await.unwrap();
        let usual = stage.request_for("/usual", "usual");
        session.start_download(usual).await.unwrap();
        let raised = stage.request_for("/raised", "raised").priority(0.0);
        let raised = session.start_download(raised).await.unwrap();
        raised.set_priority(1.0).await.unwrap();
        gate.open();
        finished(&low.finished().await.unwrap());
        engine.shutdown().await;
    });
    let requests = stage.server.requests();
    let paths: Vec<_> = requests.iter().map(|request| &request.path[..]).collect();
    assert_eq!(paths, [PATH, "/raised", "/usual", "/low"]);
}

/// swift-corelibs-foundation, test_verifyRequestHeaders.
#[test]
fn the_fields_of_a_request_are_sent_as_they_are() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let request = stage.request("a").header("X-Own", "a value").unwrap();
        let task = session.start_download(request).await.unwrap();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    let sent = stage.server.requests().remove(0);
    assert_eq!(sent.header("x-own"), Some("a value"));
}

/// swift-corelibs-foundation, test_verifyHttpAdditionalHeaders.
#[test]
fn the_fields_of_a_session_are_added_where_the_request_has_none_of_that_name() {
    let stage = Stage::new();
    stage.server.script("/inbox", [Reply::status(200)]);
    CONTENT.write_file(&stage.bench.file("outgoing")).unwrap();
    run(async {
        let configuration = configuration().header("X-Own", "session's").unwrap();
        let configuration = configuration.header("X-More", "session's").unwrap();
        let (engine, session) = stage.open_as(configuration).await;
        let request = stage.request("a").header("x-own", "request's").unwrap();
        let task = session.start_download(request).await.unwrap();
        finished(&task.finished().await.unwrap());
        let file = stage.bench.file("outgoing");
        let upload = UploadRequest::new(&stage.server.url("/inbox"), file).unwrap();
        let upload = upload.protocol(UploadProtocol::Plain).unwrap();
        let upload = upload.header("x-own", "request's").unwrap();
        let task = session.start_upload(upload).await.unwrap();
        task.finished().await.unwrap();
        engine.shutdown().await;
    });
    let requests = stage.server.requests();
    assert_eq!(requests.len(), 2);
    for sent in requests {
        let named = |name: &str| {
            let fields = sent.headers.iter();
            let of_name = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
            of_name.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(named("x-own"), ["request's"], "{sent}");
        assert_eq!(named("x-more"), ["session's"], "{sent}");
    }
}

/// swift-corelibs-foundation, test_noDoubleCallbackWhenCancellingAndProtocolFailsFast.
#[test]
fn a_task_that_is_cancelled_while_it_fails_ends_once() {
    let stage = Stage::with([Reply::status(404)]);
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        for name in ["a", "b", "c", "d"] {
            let task = stage.start(&session, name).await;
            // It may have ended already, and been told so.
            let _ = task.cancel().await;
            let told = heard.until_told(&Told::AllFinished);
            assert_eq!(completed(&told).len(), 1, "{told:?}");
            assert_eq!(completed(&told)[0].0, task.id());
        }
        guard.detach().await;
        engine.shutdown().await;
        assert_eq!(heard.until_let_go(), []);
    });
}
