//! Timeouts, retries and the wait for a network: what a session's configuration has by default, and
//! what ends a task that gets nowhere.

use std::time::{Duration, Instant};

use longhaul::{
    Conditions, Constraint, DownloadRequest, FailureKind, Phase, QueueReason, SessionConfiguration,
    VirtualClock,
};
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::super::stage::{CONTENT, FREE, PATH, Stage, configuration, failure, finished, until};
use crate::bench::{MIB, run};

const OFFLINE: Conditions = Conditions {
    is_online: Some(false),
    ..FREE
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// swift-corelibs-foundation, URLSessionConfiguration: timeoutIntervalForRequest.
#[test]
fn a_server_may_be_silent_for_sixty_seconds_by_default() {
    let defaults = format!("{:?}", SessionConfiguration::new("a").unwrap());
    assert!(defaults.contains("timeout_for_request: 60s"), "{defaults}");
}

/// swift-corelibs-foundation, URLSessionConfiguration: httpMaximumConnectionsPerHost.
#[test]
fn six_tasks_talk_to_one_host_at_once_by_default() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    run(async {
        let (engine, session) = stage.open().await;
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let requests = names.map(|name| stage.request(name)).to_vec();
        let mut tasks = session.start_downloads(requests).await.unwrap();
        stage.server.wait_for(|requests| requests.len() == 6);
        let last = tasks.pop().unwrap().unwrap();
        let expected = Phase::Queued(QueueReason::HostLimit);
        assert_eq!(last.phase().await.unwrap(), expected);
        assert_eq!(stage.server.connections(), 6);
        gate.open();
        finished(&last.finished().await.unwrap());
        engine.shutdown().await;
    });
}

/// Apple, URLSessionConfiguration.timeoutIntervalForRequest: reset whenever data comes.
#[test]
fn the_timeout_for_a_request_begins_anew_with_every_byte() {
    let timeout = ms(1000);
    let slow = Reply::normal().bytes_per_second(CONTENT.len() * 10 / 13);
    let stage = Stage::with([slow]);
    run(async {
        let patient = configuration().retries_max(0);
        let patient = patient.timeout_for_request(timeout).unwrap();
        let (engine, session) = stage.open_as(patient).await;
        let began = Instant::now();
        let task = stage.start(&session, "a").await;
        finished(&task.finished().await.unwrap());
        assert!(began.elapsed() > timeout, "{:?}", began.elapsed());
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: waitsForConnectivity, which background sessions always do.
#[test]
fn a_server_that_is_not_there_is_waited_for() {
    let stage = Stage::new();
    let gone = Server::start();
    let port = gone.address().port();
    let url = gone.url(PATH);
    drop(gone);
    run(async {
        let (engine, session) = stage.open().await;
        let request = DownloadRequest::new(&url, stage.bench.file("a")).unwrap();
        let task = session.start_download(request).await.unwrap();
        let waits = until(&task, |phase| matches!(phase, Phase::WaitingToRetry { .. })).await;
        let Phase::WaitingToRetry { cause, .. } = waits else {
            unreachable!("it is what was waited for")
        };
        assert_eq!(cause.kind(), FailureKind::Connect);
        let back = Server::start_on(port).unwrap();
        back.serve(PATH, Resource::new(CONTENT));
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: waitsForConnectivity, on a machine without a network.
#[test]
fn a_task_waits_while_there_is_no_network() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        engine.set_conditions(OFFLINE);
        let remote = DownloadRequest::new("http://example.com/", stage.bench.file("a"));
        let task = session.start_download(remote.unwrap()).await.unwrap();
        let expected = Phase::Queued(QueueReason::Unmet(Constraint::Network));
        until(&task, |phase| *phase == expected).await;
        let why = task.why().await.unwrap().to_string();
        assert!(why.contains("network"), "{why}");
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: waitsForConnectivity, on the two timeouts.
#[test]
fn while_a_task_waits_for_a_network_only_the_timeout_for_the_resource_runs() {
    let stage = Stage::new();
    run(async {
        let impatient = configuration().retries_max(0);
        let impatient = impatient.timeout_for_request(ms(1)).unwrap();
        let impatient = impatient.timeout_for_resource(ms(250)).unwrap();
        let (engine, session) = stage.open_as(impatient).await;
        engine.set_conditions(OFFLINE);
        let began = Instant::now();
        let remote = DownloadRequest::new("http://example.com/", stage.bench.file("a"));
        let task = session.start_download(remote.unwrap()).await.unwrap();
        let outcome = task.finished().await.unwrap();
        assert_eq!(failure(&outcome).kind(), FailureKind::ResourceTimedOut);
        assert!(began.elapsed() >= ms(250), "{:?}", began.elapsed());
        engine.shutdown().await;
    });
}

/// Apple, URLSessionConfiguration.timeoutIntervalForRequest, on background sessions.
#[test]
fn a_transfer_that_times_out_is_tried_again_by_itself() {
    let stage = Stage::with([Reply::normal().stall_at(MIB), Reply::normal()]);
    run(async {
        let configuration = configuration().timeout_for_request(ms(200)).unwrap();
        let (engine, session) = stage.open_as(configuration).await;
        let task = stage.start(&session, "a").await;
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    let requests = stage.server.requests();
    assert_eq!(requests[1].range(), Some((MIB, None)));
    stage.assert_file("a");
}

/// swift-corelibs-foundation, test_httpRedirectionTimeout and
/// test_httpRedirectionChainInheritsTimeoutInterval.
#[test]
fn the_timeout_for_a_request_holds_for_the_answer_after_a_redirect_too() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate)]);
    stage.server.script("/1", [Reply::redirect(302, "/2")]);
    stage.server.script("/2", [Reply::redirect(302, PATH)]);
    run(async {
        let impatient = configuration().retries_max(0);
        let impatient = impatient.timeout_for_request(ms(200)).unwrap();
        let (engine, session) = stage.open_as(impatient).await;
        let task = session.start_download(stage.request_for("/1", "a")).await;
        let outcome = task.unwrap().finished().await.unwrap();
        assert_eq!(failure(&outcome).kind(), FailureKind::TimedOut);
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 1);
}

/// Expo, pull request 8593, on what users see of background sessions.
#[test]
fn a_connection_that_breaks_is_made_again_as_often_as_it_takes() {
    let stage = Stage::with([
        Reply::hang_up(),
        Reply::reset(),
        Reply::status(503),
        Reply::normal().truncate_at(MIB),
        Reply::hang_up(),
        Reply::normal(),
    ]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 6);
    stage.assert_file("a");
}

/// Apple, URLSessionConfiguration.timeoutIntervalForResource.
#[test]
fn the_timeout_for_the_resource_ends_the_attempts() {
    let stage = Stage::with([Reply::hang_up()]);
    run(async {
        let configuration = configuration().timeout_for_resource(ms(300)).unwrap();
        let (engine, session) = stage.open_as(configuration).await;
        let task = stage.start(&session, "a").await;
        let outcome = task.finished().await.unwrap();
        assert_eq!(failure(&outcome).kind(), FailureKind::ResourceTimedOut);
        engine.shutdown().await;
    });
    assert!(stage.asked(PATH) > 1);
}

/// swift-corelibs-foundation, test_concurrentRequests.
#[test]
fn requests_at_once_get_an_answer_each() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let requests = names.iter().map(|name| stage.request(name)).collect();
        for task in session.start_downloads(requests).await.unwrap() {
            finished(&task.unwrap().finished().await.unwrap());
        }
        engine.shutdown().await;
        names.iter().for_each(|name| stage.assert_file(name));
    });
}

/// swift-corelibs-foundation, test_repeatedRequestsStress.
#[test]
fn requests_one_after_the_other_get_an_answer_each() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open_as(configuration().tasks_max(1).unwrap()).await;
        for name in 0..10 {
            let name = name.to_string();
            let task = stage.start(&session, &name).await;
            finished(&task.finished().await.unwrap());
            stage.assert_file(&name);
        }
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, URLSessionConfiguration: timeoutIntervalForResource.
#[test]
fn a_task_may_take_seven_days_by_default() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let stage = Stage::with([Reply::status(503).header("Retry-After", "86400")]);
    run(async {
        let clock = VirtualClock::new();
        let engine = stage
            .engine_with(|builder| builder.virtual_clock(clock))
            .await;
        let session = engine.session(configuration()).await.unwrap();
        let task = stage.start(&session, "a").await;
        for days in 1..=6 {
            until(&task, |phase| matches!(phase, Phase::WaitingToRetry { .. })).await;
            assert_eq!(stage.asked(PATH), days);
            clock.advance(DAY);
            stage.server.wait_for(|requests| requests.len() == days + 1);
        }
        until(&task, |phase| matches!(phase, Phase::WaitingToRetry { .. })).await;
        clock.advance(DAY);
        let outcome = task.finished().await.unwrap();
        assert_eq!(failure(&outcome).kind(), FailureKind::ResourceTimedOut);
        engine.shutdown().await;
    });
}
