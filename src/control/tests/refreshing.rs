//! Who is called: a client that is there, or the launch command.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use longhaul_engine::control::{
    AtClient, AtRefreshTask, CameToForeground, CloseSession, CompleteRefresh, GetSession,
    ListenForRefresh,
};
use longhaul_engine::launch::{LaunchCommand, LaunchReason};
use longhaul_engine::task::Outcome;

use super::*;
use crate::LaunchRules;
use crate::blocking::block_on;

/// Longer than a session that has just drained waits for its delegate.
const GRACE: Duration = Duration::from_secs(2);

/// Longer than two calls are apart, whatever the delay.
const NEXT_CALL: Duration = Duration::from_secs(3600);

async fn listen(stage: &Stage, app: &App) {
    let call = ListenForRefresh { is_listening: true };
    stage.ask(AtClient(app.id.clone()), call).await.unwrap();
}

async fn complete(stage: &Stage, app: &App, number: u64) -> Result<(), Problem> {
    let at = AtRefreshTask(app.id.clone(), number);
    stage.ask(at, CompleteRefresh {}).await
}

/// The number of the next refresh task, of this session.
async fn called(app: &mut App, of: &str) -> u64 {
    match app.told().await {
        ClientEvent::RefreshTask {
            number,
            session,
            reason,
            ..
        } => {
            assert_eq!((session, reason), (id(of), LaunchReason::Drained));
            number
        }
        other => panic!("{other:?}"),
    }
}

fn command() -> LaunchCommand {
    let command = LaunchCommand::new(["/usr/bin/app", "--refresh"], "/");
    command
        .and_then(|command| command.variable("KEY", "hush"))
        .unwrap()
}

/// Lets a session that has such a command drain while nobody listens to it; a client had it open.
async fn drained(stage: &Stage, session: &str, command: Option<LaunchCommand>) {
    let rules = SessionRules {
        launch_command: command,
        ..SessionRules::default()
    };
    drop(drained_by(stage, session, opening(rules)).await);
    stage.clock.advance(GRACE);
}

/// Lets a session drain that a client has opened so, and gives the client.
async fn drained_by(stage: &Stage, session: &str, call: OpenSession) -> App {
    let mut app = stage.app(1).await;
    stage.open_with(&app, session, call).await.unwrap();
    let task = stage.start(session, stage.request(session)).await;
    let call = longhaul_engine::control::WaitForEnd {
        wait: 1,
        session: id(session),
        task,
    };
    stage.ask(AtClient(app.id.clone()), call).await.unwrap();
    let told = app.told().await;
    assert!(
        matches!(
            told,
            ClientEvent::Ended {
                outcome: Outcome::Finished(_),
                ..
            }
        ),
        "{told:?}"
    );
    app
}

/// Waits until a call of this session is wanted, or is not.
async fn until_wanted(stage: &Stage, session: &str, wanted: Option<LaunchReason>) {
    loop {
        let document = stage.ask(AtSession(id(session)), GetSession {}).await;
        if document.unwrap().launches.wanted == wanted {
            return;
        }
    }
}

#[test]
fn a_launched_app_is_given_the_very_call_that_it_was_launched_for() {
    block_on(async {
        let stage = Stage::new();
        drained(&stage, "s", Some(command())).await;
        let launch = stage.control.next_launch().await.unwrap();
        assert_eq!((&launch.session, &launch.command), (&id("s"), &command()));
        let shown = format!("{launch:?}");
        assert!(
            !shown.contains(&launch.token) && !shown.contains("hush"),
            "{shown}"
        );

        let wrong = Hello {
            launch: Some("0".repeat(32)),
        };
        let other = stage.app_with(21, wrong).await;
        listen(&stage, &other).await;
        let hello = Hello {
            launch: Some(launch.token.clone()),
        };
        let mut app = stage.app_with(22, hello.clone()).await;
        assert_eq!(
            stage.control.counts().refresh_tasks,
            1,
            "it waits for the app to listen"
        );
        listen(&stage, &app).await;
        let number = called(&mut app, "s").await;
        assert_eq!(
            complete(&stage, &app, number + 1).await,
            Err(Problem::RefreshExpired)
        );
        assert_eq!(
            complete(&stage, &other, number).await,
            Err(Problem::RefreshExpired)
        );
        complete(&stage, &app, number).await.unwrap();
        assert_eq!(
            complete(&stage, &app, number).await,
            Ok(()),
            "its answer may have been lost"
        );

        // Its facts were not acknowledged: the next call goes to the app, which is there now.
        stage.clock.advance(NEXT_CALL);
        let number = called(&mut app, "s").await;
        complete(&stage, &app, number).await.unwrap();
        drop(app);
        let mut again = stage.app_with(23, hello).await;
        listen(&stage, &again).await;
        stage.clock.advance(NEXT_CALL);
        called(&mut again, "s").await;
    });
}

#[test]
fn an_app_that_vanishes_with_its_call_is_launched_again() {
    block_on(async {
        let stage = Stage::new();
        drained(&stage, "s", Some(command())).await;
        let first = stage.control.next_launch().await.unwrap();
        let hello = Hello {
            launch: Some(first.token.clone()),
        };
        let mut app = stage.app_with(22, hello).await;
        listen(&stage, &app).await;
        called(&mut app, "s").await;
        drop(app);
        assert_eq!(stage.control.counts().refresh_tasks, 0);
        // The call expires, and the budget allows another one by then.
        stage.clock.advance(NEXT_CALL);
        let second = stage.control.next_launch().await.unwrap();
        assert_eq!(second.session, id("s"));
        assert_ne!(second.token, first.token);
        stage.engine.shutdown().await;
        assert!(stage.control.next_launch().await.is_none());
    });
}

#[test]
fn a_session_without_a_command_calls_whoever_listens_and_its_own_app_first() {
    block_on(async {
        let stage = Stage::new();
        let mut listener = stage.app(21).await;
        listen(&stage, &listener).await;
        drained(&stage, "plain", None).await;
        let number = called(&mut listener, "plain").await;
        complete(&stage, &listener, number).await.unwrap();

        // This one has a session with a command open.
        let mut app = stage.app(22).await;
        listen(&stage, &app).await;
        let rules = SessionRules {
            launch_command: Some(command()),
            ..SessionRules::default()
        };
        stage.open_with(&app, "own", opening(rules)).await.unwrap();
        stage.start("own", stage.request("own")).await;
        stage.clock.advance(GRACE);
        let launched = Box::pin(stage.control.next_launch());
        let told = Box::pin(called(&mut app, "own"));
        match select(launched, told).await {
            Either::Left((launch, _)) => panic!("launched: {launch:?}"),
            Either::Right((second, _)) => assert_ne!(second, number),
        }
    });
}

#[test]
fn a_call_finds_who_listens_when_the_client_that_owned_its_session_vanishes() {
    block_on(async {
        let stage = Stage::new();
        let mut listener = stage.app(21).await;
        listen(&stage, &listener).await;
        assert!(listener.stream.next().now_or_never().is_none());
        // It does not listen, and keeps others from being called for its session.
        let owner = drained_by(&stage, "s", opening(SessionRules::default())).await;
        until_wanted(&stage, "s", Some(LaunchReason::Drained)).await;
        stage.clock.advance(GRACE);
        drop(owner);
        called(&mut listener, "s").await;
    });
}

#[test]
fn an_app_that_vanishes_after_its_session_has_drained_is_launched_for_what_it_left() {
    block_on(async {
        let stage = Stage::new();
        let call = || OpenSession {
            has_delegate: true,
            ..opening(SessionRules {
                launch_command: Some(command()),
                ..SessionRules::default()
            })
        };
        let app = drained_by(&stage, "s", call()).await;
        until_wanted(&stage, "s", Some(LaunchReason::Drained)).await;
        let mut launch = Box::pin(stage.control.next_launch());
        assert!(launch.as_mut().now_or_never().is_none());
        // The app is there, so that nobody has to call it.
        stage.clock.advance(GRACE);
        until_wanted(&stage, "s", None).await;
        drop(app);
        let launch = launch.await.unwrap();
        assert_eq!(launch.session, id("s"));

        // The same when it lives on, and only gives the session up.
        stage.clock.advance(NEXT_CALL);
        until_wanted(&stage, "s", Some(LaunchReason::Drained)).await;
        let app = stage.app(22).await;
        stage.open_with(&app, "s", call()).await.unwrap();
        let mut launch = Box::pin(stage.control.next_launch());
        assert!(launch.as_mut().now_or_never().is_none());
        until_wanted(&stage, "s", None).await;
        let at = AtClientSession(app.id.clone(), id("s"));
        stage.ask(at, CloseSession {}).await.unwrap();
        assert_eq!(launch.await.unwrap().session, id("s"));
    });
}

#[test]
fn a_refresh_task_whose_completion_was_cut_off_is_completed_by_a_repeated_one() {
    block_on(async {
        let stage = Stage::new();
        let mut app = stage.app(21).await;
        listen(&stage, &app).await;
        drained(&stage, "s", None).await;
        let number = called(&mut app, "s").await;
        // It has begun, and nobody waits for it any more.
        let cut = complete(&stage, &app, number).now_or_never();
        assert_eq!(cut, None);
        assert_eq!(complete(&stage, &app, number).await, Ok(()));
        assert_eq!(stage.control.counts().refresh_tasks, 0);
        assert_eq!(complete(&stage, &app, number).await, Ok(()));
    });
}

#[test]
fn a_person_at_the_app_ends_the_delay_of_its_own_sessions_alone() {
    block_on(async {
        let stage = Stage::with(LaunchRules {
            interval_min: Duration::ZERO,
            ..LaunchRules::default()
        });
        drained(&stage, "s", Some(command())).await;
        let launch = stage.control.next_launch().await.unwrap();
        let hello = Hello {
            launch: Some(launch.token.clone()),
        };
        let (app, other) = (stage.app_with(21, hello).await, stage.app(22).await);
        listen(&stage, &app).await;
        let mut app = app;
        let number = called(&mut app, "s").await;
        complete(&stage, &app, number).await.unwrap();
        let is_delayed = async || {
            let document = stage.ask(AtSession(id("s")), GetSession {}).await.unwrap();
            document.launches.next_at > Some(stage.clock.now())
        };
        let foreground = |app: &App| stage.ask(AtClient(app.id.clone()), CameToForeground {});
        assert!(is_delayed().await);
        foreground(&other).await.unwrap();
        assert!(is_delayed().await, "the session is another app's");
        foreground(&app).await.unwrap();
        assert!(!is_delayed().await);
    });
}
