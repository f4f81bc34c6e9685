//! Waits for the ends of tasks.

use futures_util::FutureExt as _;
use futures_util::future::join;
use longhaul_engine::control::{ClientEvent, Problem};
use longhaul_engine::event::{Event, Fact};
use longhaul_engine::id::TaskId;
use longhaul_engine::task::Outcome;

use super::daemon::Daemon;
use super::{connect, next, open, request, run};
use crate::local::CallError;

const TASK: TaskId = TaskId::new(1);

#[test]
fn the_end_of_a_task_is_told_to_all_who_wait_for_it() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        session.start(vec![request("a")]).await.unwrap();
        let waiting = join(session.outcome(TASK), session.outcome(TASK));
        let ending = async {
            // Behind the wait: when this has an answer, the daemon knows of it.
            session.view(TASK).await.unwrap();
            daemon.end(1);
        };
        let ((one, two), ()) = join(waiting, ending).await;
        assert_eq!((one, two), (Ok(Outcome::Cancelled), Ok(Outcome::Cancelled)));
        assert_eq!(
            session.outcome(TASK).await,
            Ok(Outcome::Cancelled),
            "it has ended"
        );
        let other = TaskId::new(9);
        assert_eq!(
            session.outcome(other).await,
            Err(CallError::NoSuchTask(other))
        );
    });
}

#[test]
fn who_asks_for_the_state_of_a_task_after_a_wait_misses_no_end() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        session.start(vec![request("a")]).await.unwrap();
        for _ in 0..50 {
            let mut waiting = Box::pin(session.outcome(TASK));
            assert!(waiting.as_mut().now_or_never().is_none());
            session.view(TASK).await.unwrap();
            assert!(
                daemon.update(|state| !state.waits.is_empty()),
                "the daemon knows of it"
            );
            drop(waiting);
            daemon.wait(|state| state.waits.is_empty().then_some(()));
        }
    });
}

#[test]
fn a_wait_that_the_daemon_gives_up_ends_with_the_reason() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        session.start(vec![request("a")]).await.unwrap();
        let losing = async {
            session.view(TASK).await.unwrap();
            daemon.update(|state| {
                let (client, wait) = state.waits.pop().expect("the daemon knows of it");
                let problem = Problem::Store {
                    detail: "the disk is full".to_owned(),
                };
                let wait = wait.wait;
                let told = state.clients.get_mut(&client).expect("it is there");
                told.push(ClientEvent::Lost { wait, problem });
            });
        };
        let (ended, ()) = join(session.outcome(TASK), losing).await;
        assert_eq!(ended, Err(CallError::Store("the disk is full".to_owned())));
    });
}

#[test]
fn a_wait_goes_on_when_the_daemon_was_started_again() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        session
            .start(vec![request("a"), request("b")])
            .await
            .unwrap();
        let waiting = join(session.outcome(TASK), session.outcome(TaskId::new(2)));
        let dying = async {
            session.view(TASK).await.unwrap();
            for _ in 0..3 {
                daemon.kill();
                daemon.restart();
                session.view(TASK).await.unwrap();
            }
            daemon.end(1);
            daemon.kill();
            // Nobody was told of this one.
            daemon.end(2);
            daemon.restart();
        };
        let ((one, two), ()) = join(waiting, dying).await;
        assert_eq!((one, two), (Ok(Outcome::Cancelled), Ok(Outcome::Cancelled)));
    });
}

#[test]
fn an_end_that_the_app_hears_of_and_acknowledges_ends_the_wait_too() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        session.start(vec![request("a")]).await.unwrap();
        let mut events = session.subscribe(None).await.unwrap();
        let waiting = session.outcome(TASK);
        let ending = async {
            session.view(TASK).await.unwrap();
            // The daemon dies before it can tell the end to who waits for it.
            daemon.kill();
            daemon.end(1);
            daemon.update(|state| state.clients.clear());
            daemon.update(|state| state.waits.clear());
            daemon.restart();
            let told = next(&mut events).await;
            let Some(Event::Fact(fact)) = told else {
                panic!("{told:?}");
            };
            assert!(matches!(fact.fact, Fact::Completed { .. }));
            session.acknowledge(fact.sequence).await.unwrap();
        };
        let (ended, ()) = join(waiting, ending).await;
        assert_eq!(ended, Ok(Outcome::Cancelled));
    });
}
