//! What a client waits for, and what its stream tells.

use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::{AtClient, AtRoot, ForgetWait, SetConditions, Shutdown, WaitForEnd};
use longhaul_engine::task::Outcome;

use super::*;
use crate::blocking::block_on;

async fn wait(stage: &Stage, app: &App, wait: u64, task: TaskId) -> Result<(), Problem> {
    let call = WaitForEnd {
        wait,
        session: id("s"),
        task,
    };
    stage.ask(AtClient(app.id.clone()), call).await
}

#[test]
fn the_ends_of_tasks_are_told_to_who_waits_for_them_with_the_number_of_the_wait() {
    block_on(async {
        let stage = Stage::new();
        let mut app = stage.app(11).await;
        stage.open(&app, "s").await.unwrap();
        let running = stage.start("s", stage.request("a")).await;
        wait(&stage, &app, 7, running).await.unwrap();
        match app.told().await {
            ClientEvent::Ended { wait: 7, outcome } => {
                assert!(matches!(outcome, Outcome::Finished(file) if file.bytes == 1000));
            }
            other => panic!("{other:?}"),
        }
        wait(&stage, &app, 7, running).await.unwrap();
        assert!(
            matches!(app.told().await, ClientEvent::Ended { wait: 7, .. }),
            "the number was free again, and the task has ended before"
        );
        wait(&stage, &app, 8, TaskId::new(99)).await.unwrap();
        let lost = ClientEvent::Lost {
            wait: 8,
            problem: Problem::NoSuchTask {
                task: TaskId::new(99),
            },
        };
        assert_eq!(app.told().await, lost);
        assert_eq!(stage.control.counts().waits, 0);
    });
}

#[test]
fn a_wait_is_forgotten_when_its_client_says_so_or_vanishes() {
    block_on(async {
        let stage = Stage::new();
        let mut app = stage.app(11).await;
        stage.open(&app, "s").await.unwrap();
        let held = stage.suspended("s", "held").await;
        wait(&stage, &app, 1, held).await.unwrap();
        wait(&stage, &app, 1, held).await.unwrap();
        let taken = wait(&stage, &app, 1, TaskId::new(99)).await.unwrap_err();
        assert_eq!(taken.status(), 400, "{taken}");
        wait(&stage, &app, 2, held).await.unwrap();
        assert_eq!(stage.control.counts().waits, 2);
        let call = ForgetWait { wait: 1 };
        stage.ask(AtClient(app.id.clone()), call).await.unwrap();
        let desired = longhaul_engine::control::SetDesired {
            desired: Desired::Cancelled,
        };
        let at = longhaul_engine::control::AtTask(id("s"), held);
        stage.ask(at, desired).await.unwrap();
        let told = app.told().await;
        assert!(
            matches!(
                told,
                ClientEvent::Ended {
                    wait: 2,
                    outcome: Outcome::Cancelled
                }
            ),
            "{told:?}"
        );
        let other = stage.suspended("s", "other").await;
        wait(&stage, &app, 3, other).await.unwrap();
        drop(app);
        assert_eq!(stage.control.counts().waits, 0);
    });
}

#[test]
fn a_wait_holds_no_session_that_its_client_gives_up() {
    block_on(async {
        let stage = Stage::new();
        let (mut first, second) = (stage.app(11).await, stage.app(22).await);
        stage.open(&first, "s").await.unwrap();
        let task = stage.suspended("s", "a").await;
        wait(&stage, &first, 1, task).await.unwrap();
        let at = AtClientSession(first.id.clone(), id("s"));
        stage
            .ask(at, longhaul_engine::control::CloseSession {})
            .await
            .unwrap();
        stage.open(&second, "s").await.unwrap();
        let desired = longhaul_engine::control::SetDesired {
            desired: Desired::Cancelled,
        };
        let at = longhaul_engine::control::AtTask(id("s"), task);
        stage.ask(at, desired).await.unwrap();
        assert!(matches!(
            first.told().await,
            ClientEvent::Ended { wait: 1, .. }
        ));
    });
}

#[test]
fn conditions_and_the_end_of_the_engine_are_told_to_everybody() {
    block_on(async {
        let stage = Stage::new();
        let (mut first, mut second) = (stage.app(11).await, stage.app(22).await);
        stage.open(&first, "s").await.unwrap();
        let task = stage.suspended("s", "a").await;
        wait(&stage, &first, 1, task).await.unwrap();
        let conditions = Conditions {
            is_metered: Some(true),
            ..Conditions::default()
        };
        let now = stage
            .ask(AtRoot, SetConditions { conditions })
            .await
            .unwrap();
        assert_eq!(now.is_metered, Some(true));
        for app in [&mut first, &mut second] {
            assert_eq!(app.told().await, ClientEvent::Conditions(now));
        }
        let mut events = stage.events("s", EventsQuery::default()).await;
        stage.ask(AtRoot, Shutdown {}).await.unwrap();
        for app in [&mut first, &mut second] {
            assert_eq!(
                app.told().await,
                ClientEvent::Stopping,
                "the wait is not lost"
            );
            assert_eq!(app.stream.next().await, None);
        }
        let rest: Vec<_> = events.by_ref().collect().await;
        assert!(!rest.iter().any(|(_, event)| *event == SessionEvent::Over));
        let refused = stage.open(&first, "s").await.unwrap_err();
        assert_eq!(refused.status(), 503, "{refused}");
    });
}
