//! Sessions, delegates and refresh tasks: whose they are, and what is said of them again.

use std::pin::pin;

use futures_util::FutureExt as _;
use longhaul_engine::control::{ClientEvent, Problem};
use longhaul_engine::id::TaskId;
use longhaul_engine::launch::LaunchReason;
use longhaul_engine::session::SessionRules;
use longhaul_engine::time::Timestamp;

use super::daemon::Daemon;
use super::state::Held;
use super::{connect, name, next, open, request, run};
use crate::local::CallError;

#[test]
fn a_session_is_free_with_its_last_handle() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        let clone = session.clone();
        drop(session);
        let refused = engine.open_session(name(), SessionRules::default()).await;
        let ours = CallError::SessionInUse {
            session: name(),
            pid: Some(std::process::id()),
        };
        assert_eq!(refused.unwrap_err(), ours);
        for _ in 0..20 {
            drop(clone.clone());
        }
        drop(clone);
        daemon.wait_asked("close");
        for _ in 0..20 {
            // What closes it is said before what opens it again.
            drop(open(&engine).await);
        }
    });
}

#[test]
fn a_session_that_is_being_opened_is_taken() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let mut first = pin!(engine.open_session(name(), SessionRules::default()));
        // The daemon does nothing meanwhile, and has not heard of the session when it is asked.
        let second = daemon.update(|state| {
            let problem = Problem::NoSuchSession { session: name() };
            state.refuses.push(("session", problem));
            assert!(first.as_mut().now_or_never().is_none());
            let second = engine.open_session(name(), SessionRules::default());
            second.now_or_never()
        });
        let ours = CallError::SessionInUse {
            session: name(),
            pid: Some(std::process::id()),
        };
        assert_eq!(second.expect("at once").unwrap_err(), ours);
        let first = first.await.expect("nobody else has it");
        first.tasks().await.expect("it is open");
    });
}

#[test]
fn a_session_whose_opening_nobody_waits_for_is_free() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        daemon.update(|state| state.holds.push(("open", Held::Undone)));
        let mut opening = Box::pin(engine.open_session(name(), SessionRules::default()));
        assert!(opening.as_mut().now_or_never().is_none());
        daemon.wait_asked("open");
        drop(opening);
        // It is closed before it is open.
        daemon.wait_asked("close");
        daemon.update(|state| state.holds.clear());
        daemon.wait_asked("close");
        daemon.wait(|state| state.owner.is_none().then_some(()));
        let another = connect(&daemon).await;
        open(&another).await;
    });
}

#[test]
fn a_session_that_is_opened_as_the_connection_changes_is_open_on_the_next() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        daemon.update(|state| state.holds.push(("open", Held::Unanswered)));
        let requests = vec![request("a")];
        let opening = engine.open_session_with(name(), SessionRules::default(), requests);
        let mut opening = pin!(opening);
        assert!(opening.as_mut().now_or_never().is_none());
        daemon.wait(|state| state.owner.take());
        // The daemon loses the client, and knows it again before the client hears that it is open.
        daemon.update(|state| state.clients.clear());
        daemon.wait(|state| (state.clients_ever == 2).then_some(()));
        engine.app_came_to_foreground();
        daemon.wait_asked("foreground");
        daemon.update(|state| state.holds.clear());
        let opened = opening.await.expect("it is open");
        assert_eq!(opened.started, [Ok(TaskId::new(1))]);
        let owner = daemon.update(|state| state.owner.clone());
        assert_eq!(owner, Some(format!("{:032x}", 2)));
    });
}

#[test]
fn a_session_that_another_process_took_meanwhile_is_its() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        let mut events = session.subscribe(None).await.unwrap();
        daemon.kill();
        daemon.update(|state| state.owner = Some("another".to_owned()));
        daemon.restart();
        let taken = CallError::SessionInUse {
            session: name(),
            pid: Some(4242),
        };
        assert_eq!(next(&mut events).await, None);
        assert_eq!(session.tasks().await.unwrap_err(), taken);
        assert_eq!(session.start(vec![request("a")]).await.unwrap_err(), taken);
        let again = engine.open_session(name(), SessionRules::default()).await;
        assert_eq!(again.unwrap_err(), taken);
        daemon.update(|state| state.owner = None);
        let new = open(&engine).await;
        new.tasks().await.unwrap();
        assert_eq!(
            session.tasks().await.unwrap_err(),
            taken,
            "these handles stay what they are"
        );
    });
}

#[test]
fn a_session_whose_end_was_acknowledged_as_the_daemon_died_is_not_made_anew() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        daemon.update(|state| {
            state.tell(longhaul_engine::event::Fact::BecameInvalid);
            state.loses = vec!["acknowledge"];
        });
        let acknowledging = session.acknowledge(longhaul_engine::id::Sequence::new(1));
        let dying = async {
            daemon.wait(|state| (state.acknowledged == 1).then_some(()));
            daemon.kill();
            daemon.update(|state| state.asked.clear());
            daemon.restart();
        };
        let dying = async {
            tokio::task::yield_now().await;
            dying.await
        };
        let (acknowledged, ()) = futures_util::future::join(acknowledging, dying).await;
        acknowledged.unwrap();
        assert_eq!(
            session.tasks().await.unwrap_err(),
            CallError::Invalidated(name())
        );
        let asked = daemon.update(|state| state.asked.clone());
        assert!(asked.iter().all(|(name, _)| name != "open"), "{asked:?}");
    });
}

#[test]
fn the_daemon_knows_which_delegates_are_there() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let early = engine.attach(&name());
        let session = open(&engine).await;
        let asked = daemon.update(|state| (state.delegate, state.asked.clone()));
        assert!(
            asked.0 && asked.1.iter().all(|(name, _)| name != "delegate"),
            "{asked:?}"
        );
        let later = session.attach();
        drop(early);
        session.tasks().await.unwrap();
        assert!(daemon.update(|state| state.delegate), "one is still there");
        drop(later);
        session.tasks().await.unwrap();
        assert!(!daemon.update(|state| state.delegate));
        let _again = session.attach();
        session.tasks().await.unwrap();
        assert!(daemon.update(|state| state.delegate));
        daemon.kill();
        daemon.restart();
        session.tasks().await.unwrap();
        assert!(daemon.update(|state| state.delegate), "it was said again");
    });
}

#[test]
fn an_app_takes_refresh_tasks_while_it_waits_for_them() {
    let daemon = Daemon::start();
    let call = |number| ClientEvent::RefreshTask {
        number,
        session: name(),
        reason: LaunchReason::Drained,
        expires_at: Timestamp::from_unix_ms(7),
    };
    let tell = |number| {
        daemon.wait(|state| state.listening.then_some(()));
        daemon.update(|state| {
            state
                .clients
                .values_mut()
                .for_each(|told| told.push(call(number)));
        });
    };
    run(async {
        let engine = connect(&daemon).await;
        let next = async || {
            let waiting = engine.next_refresh_task();
            let telling = async {
                tokio::task::yield_now().await;
                tell(3)
            };
            let (task, ()) = futures_util::future::join(waiting, telling).await;
            task.expect("the client lives")
        };
        let task = next().await;
        assert_eq!((task.call.number, task.session_identifier()), (3, &name()));
        task.set_task_completed().await.unwrap();
        daemon.wait_asked("complete");
        daemon.wait(|state| (!state.listening).then_some(()));

        let late = next().await;
        daemon.kill();
        daemon.restart();
        let expired = late.set_task_completed().await;
        assert_eq!(expired.unwrap_err(), CallError::RefreshExpired);

        let waiting = engine.next_refresh_task();
        let closing = async {
            tokio::task::yield_now().await;
            engine.shutdown().await
        };
        let (none, ()) = futures_util::future::join(waiting, closing).await;
        assert!(none.is_none());
    });
}
