//! Tasks that begin later: when they do, and what their owner may say to it.

use std::time::{Duration, SystemTime};

use longhaul::{
    Conditions, Constraint, DelayedRequest, DelegateGuard, DownloadTask, Engine, NewRequest,
    Outcome, Phase, QueueReason, VirtualClock,
};
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;

use super::super::stage::{
    CONTENT, FREE, Heard, PATH, Stage, Told, Witness, attend, configuration, finished, until,
};
use crate::bench::run;

const QUARTER: Duration = Duration::from_secs(15 * 60);

/// A task that was to begin in a quarter of an hour, which has passed.
struct Delayed {
    engine: Engine,
    task: DownloadTask,
    heard: Heard,
    _guard: DelegateGuard,
}

/// One whose owner was asked whether it shall begin, and answers with this.
async fn delayed(
    stage: &Stage,
    answer: impl FnOnce(&Engine) -> DelayedRequest + Send + 'static,
) -> Delayed {
    let clock = VirtualClock::new();
    let engine = stage
        .engine_with(|builder| builder.virtual_clock(clock))
        .await;
    let session = engine.session(configuration()).await.unwrap();
    let (witness, heard) = Witness::new();
    let (known, mut answer) = (engine.clone(), Some(answer));
    let witness = witness.deciding(move || answer.take().expect("it is asked once")(&known));
    let _guard = attend(&session, witness).await;
    let request = stage
        .request("a")
        .earliest_begin_date(clock.now().after(QUARTER));
    let request = request.allows_expensive_network_access(false);
    let request = request.header("X-First", "1").unwrap();
    let task = session.start_download(request).await.unwrap();
    let phase = task.phase().await.unwrap();
    assert!(
        matches!(phase, Phase::Queued(QueueReason::NotBefore(_))),
        "{phase:?}"
    );
    clock.advance(QUARTER);
    heard.until_told(&Told::WillBegin(task.id()));
    Delayed {
        engine,
        task,
        heard,
        _guard,
    }
}

/// Foundation, NSURLSession.h: earliestBeginDate.
#[test]
fn a_task_does_not_begin_before_its_earliest_begin() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let begin = SystemTime::now() + Duration::from_millis(300);
        let request = stage.request("a").earliest_begin_date(begin);
        let task = session.start_download(request).await.unwrap();
        let expected = Phase::Queued(QueueReason::NotBefore(begin.into()));
        assert_eq!(task.phase().await.unwrap(), expected);
        stage.server.wait_for(|requests| !requests.is_empty());
        // The engine counts whole milliseconds.
        let slack = Duration::from_millis(1);
        assert!(SystemTime::now() + slack >= begin);
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: URLSession:task:willBeginDelayedRequest:, which is for delayed tasks.
#[test]
fn what_is_said_about_a_task_that_does_not_wait_for_it_changes_nothing() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.started(&session, "a").await;
        task.decide_begin(DelayedRequest::Cancel).await.unwrap();
        gate.open();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: NSURLSessionDelayedRequestContinueLoading.
#[test]
fn a_delayed_task_that_shall_go_on_does_so_as_it_was_asked_for() {
    let stage = Stage::new();
    run(async {
        let asked = delayed(&stage, |_| DelayedRequest::ContinueLoading).await;
        finished(&asked.task.finished().await.unwrap());
        asked.engine.shutdown().await;
    });
    let sent = stage.server.requests().remove(0);
    assert_eq!(sent.header("x-first"), Some("1"));
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: NSURLSessionDelayedRequestUseNewRequest.
#[test]
fn a_delayed_task_that_is_given_a_new_request_makes_that_one() {
    let stage = Stage::new();
    stage.server.serve("/new", Resource::new(CONTENT));
    let request = NewRequest {
        url: stage.request_for("/new", "a").url().clone(),
        headers: vec![("X-Second".to_owned(), "2".to_owned())],
    };
    run(async {
        let answer = move |_: &Engine| DelayedRequest::UseNewRequest(request);
        let asked = delayed(&stage, answer).await;
        finished(&asked.task.finished().await.unwrap());
        asked.engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 0);
    let sent = stage.server.requests_for("/new").remove(0);
    let fields = [sent.header("x-first"), sent.header("x-second")];
    assert_eq!(fields, [None, Some("2")]);
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: willBeginDelayedRequest, on the network rules of the new request.
#[test]
fn a_new_request_has_the_network_rules_of_the_first_one() {
    const METERED: Conditions = Conditions {
        is_metered: Some(true),
        ..FREE
    };
    let stage = Stage::new();
    stage.server.serve("/new", Resource::new(CONTENT));
    let url = stage.request_for("/new", "a").url().clone();
    run(async {
        let answer = move |engine: &Engine| {
            engine.set_conditions(METERED);
            let headers = Vec::new();
            DelayedRequest::UseNewRequest(NewRequest { url, headers })
        };
        let asked = delayed(&stage, answer).await;
        let held = Phase::Queued(QueueReason::Unmet(Constraint::Unmetered));
        until(&asked.task, |phase| *phase == held).await;
        asked.engine.set_conditions(FREE);
        finished(&asked.task.finished().await.unwrap());
        asked.engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: NSURLSessionDelayedRequestCancel.
#[test]
fn a_delayed_task_that_shall_not_begin_is_cancelled() {
    let stage = Stage::new();
    run(async {
        let asked = delayed(&stage, |_| DelayedRequest::Cancel).await;
        let end = Told::Completed(asked.task.id(), Outcome::Cancelled);
        let told = asked.heard.until_told(&end);
        assert_eq!(told, [end]);
        asked.engine.shutdown().await;
    });
    assert!(stage.server.requests().is_empty());
}
