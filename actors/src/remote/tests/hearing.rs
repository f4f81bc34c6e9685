//! Events: each fact once, whatever is cut off, and no more in memory than was asked for.

use longhaul_engine::event::{Event, Fact, NumberedFact};

use super::super::Subscription;
use super::daemon::{Daemon, progress};
use super::{connect, name, next, open, request, run};
use crate::local::CallError;

/// The numbers of the next facts.
async fn facts(events: &mut Subscription, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        match next(events).await {
            Some(Event::Fact(NumberedFact { sequence, .. })) => numbers.push(sequence.get()),
            Some(_) => {}
            None => break,
        }
    }
    numbers
}

#[test]
fn a_stream_that_is_cut_off_anywhere_tells_each_fact_once() {
    let daemon = Daemon::start();
    daemon.update(|state| {
        state.news = 2;
        (0..4).for_each(|_| state.tell(Fact::StateLost.clone()));
        for (fact, number) in state.facts.iter_mut().zip(1..) {
            fact.fact = Fact::Completed {
                task: longhaul_engine::id::TaskId::new(number),
                outcome: longhaul_engine::task::Outcome::Cancelled,
                metrics: None,
            };
        }
    });
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        let mut was_whole = false;
        for cut in 0.. {
            daemon.update(|state| state.cuts = vec![cut]);
            let mut events = session.subscribe(None).await.unwrap();
            assert_eq!(facts(&mut events, 4).await, [1, 2, 3, 4], "cut at {cut}");
            was_whole = daemon.update(|state| std::mem::take(&mut state.streams) == 1);
            if was_whole {
                assert!(cut > 300, "there was something to cut off");
                assert!(!events.take_missed_news(), "nothing was missed");
                break;
            }
        }
        assert!(was_whole);
    });
}

#[test]
fn what_happens_while_the_daemon_is_away_is_told_when_it_is_back() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        session
            .start(vec![request("a"), request("b"), request("c")])
            .await
            .unwrap();
        let mut events = session.subscribe(None).await.unwrap();
        daemon.end(1);
        assert_eq!(facts(&mut events, 1).await, [1]);
        assert!(!events.take_missed_news());
        daemon.kill();
        daemon.end(2);
        daemon.end(3);
        daemon.restart();
        assert_eq!(facts(&mut events, 2).await, [2, 3]);
        assert!(
            events.take_missed_news(),
            "nobody knows what else there was"
        );
        assert!(!events.take_missed_news());
    });
}

#[test]
fn a_store_that_was_made_anew_is_heard_from_its_beginning() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        session
            .start(vec![request("a"), request("b")])
            .await
            .unwrap();
        let mut events = session.subscribe(None).await.unwrap();
        daemon.end(1);
        daemon.end(2);
        assert_eq!(facts(&mut events, 2).await, [1, 2]);
        daemon.kill();
        // The daemon tells a reader who knows more than there is everything, as it has to.
        daemon.update(|state| {
            state.facts.clear();
            state.tell(Fact::StateLost);
            state.facts[0].sequence = longhaul_engine::id::Sequence::new(3);
        });
        daemon.restart();
        assert_eq!(facts(&mut events, 1).await, [3]);
    });
}

#[test]
fn who_does_not_read_costs_bounded_memory_and_misses_nothing() {
    const NEWS: u64 = 100_000;
    let daemon = Daemon::start();
    daemon.update(|state| state.news = NEWS);
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        let mut events = session.subscribe(None).await.unwrap();
        // The daemon can not write any more: nobody takes what it says.
        let told = daemon.wait(|state| state.is_stuck.then_some(state.told_news));
        assert!(told < NEWS / 10, "{told} news lie in buffers");
        session.tasks().await.expect("others are not held up");
        for received_bytes in 0..NEWS {
            assert_eq!(next(&mut events).await, Some(progress(received_bytes)));
        }
    });
}

#[test]
fn a_subscription_ends_with_its_session() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        let mut events = session.subscribe(None).await.unwrap();
        daemon.update(|state| state.tell(Fact::BecameInvalid));
        assert_eq!(facts(&mut events, 2).await, [1]);
        assert_eq!(next(&mut events).await, None);

        session
            .acknowledge(longhaul_engine::id::Sequence::new(1))
            .await
            .unwrap();
        let over = CallError::Invalidated(name());
        assert_eq!(session.subscribe(None).await.unwrap_err(), over);
        assert_eq!(session.tasks().await.unwrap_err(), over);
        // The name is free, though a handle of the old session is there.
        let other = open(&engine).await;
        other.tasks().await.unwrap();
        assert_eq!(session.tasks().await.unwrap_err(), over);
    });
}

#[test]
fn a_subscription_ends_when_the_client_is_closed() {
    let daemon = Daemon::start();
    run(async {
        let engine = connect(&daemon).await;
        let session = open(&engine).await;
        let mut events = session.subscribe(None).await.unwrap();
        engine.shutdown().await;
        assert_eq!(next(&mut events).await, None);
        assert_eq!(engine.stopped().await, None, "it was asked for");
        let stopped = CallError::Stopped { reason: None };
        assert_eq!(session.subscribe(None).await.unwrap_err(), stopped);
        assert_eq!(session.tasks().await.unwrap_err(), stopped);
    });
}
