//! The call of an app that is away: when it comes, what the app finds, and how often it may come. All
//! of it by a clock that the tests move.

use std::time::Duration;

use longhaul::{
    Engine, EngineBuilder, LaunchReason, LaunchRules, RefreshTask, Session, SessionConfiguration,
    TaskId, Timestamp, VirtualClock,
};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;

use super::super::stage::{NAME, Stage, Told, Witness, attend, completed, configuration};
use crate::bench::{next_fact, run};

const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// More than an app that comes by itself is given before it is called.
const GRACE: Duration = Duration::from_secs(2);

/// An app that listens to nothing: its engine, its session and their clock.
struct Away {
    stage: Stage,
    clock: VirtualClock,
    engine: Engine,
    session: Session,
}

impl Away {
    async fn new(rules: LaunchRules) -> Self {
        Self::with(Stage::new(), rules, configuration()).await
    }

    async fn with(stage: Stage, rules: LaunchRules, configuration: SessionConfiguration) -> Self {
        let clock = VirtualClock::new();
        Self::at(stage, clock, rules, configuration).await
    }

    async fn at(
        stage: Stage,
        clock: VirtualClock,
        rules: LaunchRules,
        configuration: SessionConfiguration,
    ) -> Self {
        let with = |builder: EngineBuilder| builder.virtual_clock(clock).launch_rules(rules);
        let engine = stage.engine_with(with).await;
        let session = engine.session(configuration).await.unwrap();
        Self {
            stage,
            clock,
            engine,
            session,
        }
    }

    /// A transfer of the session ends, and no other is left.
    async fn drain(&self) -> TaskId {
        let name = format!("drained-{}", self.stage.server.requests().len());
        let task = self.stage.start(&self.session, &name).await;
        task.finished().await.unwrap();
        task.id()
    }

    /// The next call, which comes as soon as the budget allows it.
    async fn called(&self) -> RefreshTask {
        self.settle().await;
        self.clock.advance(GRACE);
        let call = self.engine.next_refresh_task().await;
        call.expect("the engine runs")
    }

    /// Checks that the app is not called by now, though it waits for it.
    async fn is_not_called(&self) {
        self.settle().await;
        self.clock.advance(GRACE);
        tokio::select! {
            biased;
            call = self.engine.next_refresh_task() => panic!("{call:?}"),
            () = self.settle() => {}
        }
    }

    /// Lets everything happen that is due: a transfer of somebody who listens is told of after it.
    async fn settle(&self) {
        let name = format!("beside-{}", self.stage.server.requests().len());
        let beside = SessionConfiguration::new(&name).unwrap();
        let beside = self.engine.session(beside).await.unwrap();
        let mut events = beside.events().await.unwrap();
        self.stage.start(&beside, &name).await;
        let ended = next_fact(&mut events).await;
        beside.acknowledge(ended.sequence).await.unwrap();
    }

    /// Hears everything that waits, as an app that was called does.
    async fn hear(&self) -> Vec<Told> {
        let (witness, heard) = Witness::new();
        let guard = attend(&self.session, witness).await;
        let told = heard.until_told(&Told::AllFinished);
        guard.detach().await;
        told
    }

    /// A call that comes and is taken care of, and its time.
    async fn call(&self, rules: &LaunchRules) -> Timestamp {
        self.drain().await;
        let call = self.called().await;
        let at = call.expires_at().before(rules.expiry);
        self.hear().await;
        call.set_task_completed().await.unwrap();
        at
    }
}

/// Rules under which only the delay between two calls counts.
fn delay_alone() -> LaunchRules {
    LaunchRules {
        per_hour_max: 16,
        interval_min: Duration::ZERO,
        ..LaunchRules::default()
    }
}

/// Apple, WKURLSessionRefreshBackgroundTask: all transfers of a session, successful or not.
#[test]
fn an_app_that_is_away_is_called_when_every_transfer_of_a_session_has_ended_well_or_not() {
    let gate = Gate::new();
    let stage = Stage::with([Reply::normal().hold_head(&gate), Reply::normal()]);
    run(async {
        let away = Away::with(stage, LaunchRules::default(), configuration()).await;
        away.stage.started(&away.session, "held").await;
        let missing = away.stage.request_for("/missing", "missing");
        let missing = away.session.start_download(missing).await.unwrap();
        missing.finished().await.unwrap();
        away.is_not_called().await;
        gate.open();
        let call = away.called().await;
        assert_eq!(call.reason(), LaunchReason::Drained);
        away.engine.shutdown().await;
    });
}

/// Apple, WKURLSessionRefreshBackgroundTask: the server requires authentication.
#[test]
fn an_app_that_is_away_is_called_when_a_server_wants_authorization() {
    run(async {
        let away = Away::new(LaunchRules::default()).await;
        away.stage.server.script("/locked", [Reply::status(401)]);
        let locked = away.stage.request_for("/locked", "a");
        away.session.start_download(locked).await.unwrap();
        let call = away.called().await;
        assert_eq!(call.reason(), LaunchReason::AuthorizationRequired);
        away.engine.shutdown().await;
    });
}

/// Apple, application:handleEventsForBackgroundURLSession:, which is for an app that is not running.
#[test]
fn an_app_that_is_there_is_not_called() {
    run(async {
        let away = Away::new(LaunchRules::default()).await;
        let (witness, heard) = Witness::new();
        let guard = attend(&away.session, witness).await;
        away.drain().await;
        heard.until_told(&Told::AllFinished);
        away.is_not_called().await;
        guard.detach().await;
        away.engine.shutdown().await;
    });
}

/// Apple, WKURLSessionRefreshBackgroundTask.sessionIdentifier.
#[test]
fn a_refresh_task_names_its_session() {
    run(async {
        let away = Away::new(LaunchRules::default()).await;
        away.drain().await;
        assert_eq!(away.called().await.session_identifier(), NAME);
        away.engine.shutdown().await;
    });
}

/// Apple, URLSessionConfiguration.sessionSendsLaunchEvents: true by default.
#[test]
fn a_session_that_is_to_send_no_launch_events_calls_nobody_and_others_do() {
    run(async {
        let quiet = configuration().session_sends_launch_events(false);
        let away = Away::with(Stage::new(), LaunchRules::default(), quiet).await;
        away.drain().await;
        away.is_not_called().await;
        let other = SessionConfiguration::new("com.example.other").unwrap();
        let other = away.engine.session(other).await.unwrap();
        away.stage.start(&other, "other").await;
        assert_eq!(
            away.called().await.session_identifier(),
            "com.example.other"
        );
        away.engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: URLSessionDidFinishEventsForBackgroundURLSession:, after a launch.
#[test]
fn an_app_that_is_called_opens_the_session_by_its_name_and_hears_what_it_missed() {
    run(async {
        let away = Away::new(LaunchRules::default()).await;
        let first = away.drain().await;
        let call = away.called().await;
        let second = away.drain().await;
        let Away {
            session, engine, ..
        } = &away;
        assert_eq!(session.identifier(), call.session_identifier());
        let told = away.hear().await;
        let ends: Vec<_> = completed(&told).into_iter().map(|(task, _)| task).collect();
        assert_eq!(ends, [first, second]);
        call.set_task_completed().await.unwrap();
        // It was told of both, so one call was enough.
        away.clock.advance(Duration::from_secs(24 * 60 * 60));
        away.is_not_called().await;
        engine.shutdown().await;
    });
}

/// Apple, application:handleEventsForBackgroundURLSession:, in a process that was launched for it.
#[test]
fn a_process_that_is_started_anew_is_called_for_what_the_one_before_did_not_handle() {
    run(async {
        let away = Away::new(LaunchRules::default()).await;
        let task = away.drain().await;
        let Away {
            stage,
            clock,
            engine,
            session,
        } = away;
        engine.shutdown().await;
        drop((engine, session));
        let away = Away::at(stage, clock, LaunchRules::default(), configuration()).await;
        let call = away.called().await;
        assert_eq!(completed(&away.hear().await)[0].0, task);
        call.set_task_completed().await.unwrap();
        away.engine.shutdown().await;
    });
}

/// Apple, WKURLSessionRefreshBackgroundTask: defer setTaskCompleted until the delegate has ended.
#[test]
fn a_refresh_task_that_is_completed_too_early_is_followed_by_another() {
    run(async {
        let away = Away::new(LaunchRules::default()).await;
        away.drain().await;
        // Nothing was heard.
        away.called().await.set_task_completed().await.unwrap();
        away.clock.advance(QUARTER);
        let again = away.called().await;
        away.hear().await;
        again.set_task_completed().await.unwrap();
        away.clock.advance(Duration::from_secs(24 * 60 * 60));
        away.is_not_called().await;
        away.engine.shutdown().await;
    });
}

/// Apple, WKRefreshBackgroundTask.setTaskCompleted, when an app does not call it.
#[test]
fn a_refresh_task_that_is_not_completed_expires_and_the_app_is_called_again() {
    run(async {
        let away = Away::new(LaunchRules::default()).await;
        away.drain().await;
        let call = away.called().await;
        away.clock.advance(QUARTER);
        let again = away.called().await;
        let late = call.set_task_completed().await;
        assert_eq!(late, Err(longhaul::Error::RefreshExpired));
        away.hear().await;
        again.set_task_completed().await.unwrap();
        away.engine.shutdown().await;
    });
}

/// Apple, WKURLSessionRefreshBackgroundTask: no closer than 15 minutes apart.
#[test]
fn two_calls_are_fifteen_minutes_apart() {
    run(async {
        let rules = LaunchRules::default();
        let away = Away::new(rules).await;
        let first = away.call(&rules).await;
        away.drain().await;
        away.clock.advance(QUARTER - MINUTE);
        away.is_not_called().await;
        away.clock.advance(MINUTE);
        let second = away.called().await.expires_at().before(rules.expiry);
        assert!(second.since(first) >= QUARTER, "{first:?} {second:?}");
        away.engine.shutdown().await;
    });
}

/// Apple, WKURLSessionRefreshBackgroundTask: four an hour.
#[test]
fn four_calls_come_within_an_hour() {
    run(async {
        let rules = LaunchRules {
            interval_min: Duration::ZERO,
            delay_base: Duration::ZERO,
            ..LaunchRules::default()
        };
        let away = Away::new(rules).await;
        let first = away.call(&rules).await;
        for _ in 1..4 {
            away.call(&rules).await;
        }
        away.drain().await;
        away.clock.advance(58 * MINUTE);
        away.is_not_called().await;
        away.clock.advance(2 * MINUTE);
        let fifth = away.called().await.expires_at().before(rules.expiry);
        assert!(fifth.since(first) >= 60 * MINUTE, "{first:?} {fifth:?}");
        away.engine.shutdown().await;
    });
}

/// Apple developer forums, thread 14854, and the delays measured in thread 128813.
#[test]
fn the_delay_before_a_call_doubles_with_every_call() {
    run(async {
        let rules = delay_alone();
        let away = Away::new(rules).await;
        let mut last = away.call(&rules).await;
        for delay in [MINUTE, 2 * MINUTE, 4 * MINUTE] {
            away.drain().await;
            away.clock.advance(delay - MINUTE / 2);
            away.is_not_called().await;
            away.clock.advance(MINUTE / 2);
            let call = away.called().await;
            let at = call.expires_at().before(rules.expiry);
            assert!(at.since(last) >= delay, "{:?} of {delay:?}", at.since(last));
            away.hear().await;
            call.set_task_completed().await.unwrap();
            last = at;
        }
        away.engine.shutdown().await;
    });
}

/// Apple developer forums, thread 14854: a person brings the app to the front.
#[test]
fn an_app_that_a_person_brings_to_the_foreground_is_called_without_a_delay_again() {
    run(async {
        let rules = delay_alone();
        let away = Away::new(rules).await;
        away.call(&rules).await;
        away.drain().await;
        away.is_not_called().await;
        away.engine.app_came_to_foreground();
        drop(away.called().await);
        away.engine.shutdown().await;
    });
}

/// Apple developer forums, thread 14854: the delay elapses and the app was not resumed.
#[test]
fn a_delay_that_runs_out_without_a_call_is_forgotten() {
    run(async {
        let rules = delay_alone();
        let away = Away::new(rules).await;
        for wait in [MINUTE, 2 * MINUTE] {
            away.call(&rules).await;
            away.clock.advance(wait);
        }
        // The next delay would be of four minutes; nobody calls for as long again, and more.
        away.clock.advance(10 * MINUTE);
        away.call(&rules).await;
        away.drain().await;
        away.clock.advance(MINUTE);
        drop(away.called().await);
        away.engine.shutdown().await;
    });
}

/// Apple developer forums, thread 128813: requests that finish while the app runs do not count.
#[test]
fn transfers_that_end_while_the_app_is_there_cost_no_delay() {
    run(async {
        let rules = delay_alone();
        let away = Away::new(rules).await;
        let (witness, heard) = Witness::new();
        let guard = attend(&away.session, witness).await;
        for _ in 0..3 {
            away.drain().await;
            heard.until_told(&Told::AllFinished);
        }
        guard.detach().await;
        // As the first call ever, at once.
        away.call(&rules).await;
        away.engine.shutdown().await;
    });
}

/// Apple developer forums, thread 128813: the delay grows before the app hears of the call.
#[test]
fn a_call_counts_also_when_the_app_dies_of_it() {
    run(async {
        let rules = delay_alone();
        let away = Away::new(rules).await;
        away.drain().await;
        drop(away.called().await);
        let Away {
            stage,
            clock,
            engine,
            session,
        } = away;
        engine.shutdown().await;
        drop((engine, session));
        let away = Away::at(stage, clock, rules, configuration()).await;
        away.is_not_called().await;
        away.clock.advance(MINUTE);
        drop(away.called().await);
        away.engine.shutdown().await;
    });
}
