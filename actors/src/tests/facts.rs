//! What subscribers and waiters hear, and when it is told again.

use std::time::Duration;

use longhaul_engine::event::Event;
use longhaul_engine::id::Sequence;
use longhaul_engine::task::Desired;

use super::bench::{
    Bench, Heard, content, ending, listen, session, start, start_one, until, virtual_time,
};
use super::server::Answer;

const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn facts_are_told_in_order_and_again_until_they_are_acknowledged() {
    virtual_time(async {
        let bench = Bench::new();
        let names: Vec<String> = (0..12).map(|number| format!("{number:02}")).collect();
        for (number, name) in names.iter().enumerate() {
            let body = content(100_000 + number * 7, number);
            bench.server.put(&format!("a/{name}"), &body, PAUSE, &[]);
        }
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let heard = listen(&first).await;
        let specs = names
            .iter()
            .map(|name| bench.spec(&format!("a/{name}")))
            .collect();
        let tasks = start(&first, specs).await;
        let facts = heard.until_facts(12).await;
        let numbers: Vec<u64> = facts.iter().map(|fact| fact.sequence.get()).collect();
        assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
        let mut ended: Vec<_> = facts.iter().map(|fact| ending(fact).0).collect();
        ended.sort();
        assert_eq!(ended, tasks);

        let again = listen(&first).await;
        assert_eq!(again.until_facts(12).await, facts);
        first
            .acknowledge(Sequence::new(5))
            .await
            .expect("an answer");
        first
            .acknowledge(Sequence::new(5))
            .await
            .expect("twice is the same");
        let rest = listen(&first).await;
        assert_eq!(rest.until_facts(7).await, facts[5..]);
        assert_eq!(first.tasks().await.map(|tasks| tasks.len()), Ok(7));
        assert!(
            first.outcome(ending(&facts[0]).0).await.is_err(),
            "it is forgotten"
        );
        engine.shutdown().await;
        until(async || heard.is_over() && again.is_over() && rest.is_over()).await;

        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        let replay = listen(&second).await;
        assert_eq!(replay.until_facts(7).await, facts[5..]);
        second
            .acknowledge(Sequence::new(12))
            .await
            .expect("an answer");
        assert_eq!(second.tasks().await.map(|tasks| tasks.len()), Ok(0));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(
            replay.facts().len(),
            7,
            "nothing is told twice to one subscriber"
        );
    });
}

#[test]
fn every_waiter_gets_the_outcome_once_also_when_it_asks_after_the_end() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(100_000, 1), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        let expected = Ok(bench.finished("f", 100_000));
        let waiters = futures_util::future::join_all((0..10).map(|_| session.outcome(task)));
        assert_eq!(waiters.await, vec![expected.clone(); 10]);
        assert_eq!(session.outcome(task).await, expected);
        engine.shutdown().await;
        let engine = bench.engine().await;
        let session = super::bench::session(&engine, "s").await;
        assert_eq!(session.outcome(task).await, expected);
    });
}

#[test]
fn a_subscriber_that_does_not_read_holds_nobody_up_and_misses_nothing() {
    virtual_time(async {
        let bench = Bench::new();
        let at = |number: usize| format!("a/{number:02}");
        for number in 0..40 {
            bench
                .server
                .put(&at(number), &content(150_000, number), PAUSE, &[]);
        }
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let unread = session.subscribe(None).await.expect("a subscription");
        let tasks = start(
            &session,
            (0..40).map(|number| bench.spec(&at(number))).collect(),
        )
        .await;
        for task in &tasks {
            session.outcome(*task).await.expect("an outcome");
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        let facts = Heard::from(unread).until_facts(40).await;
        let numbers: Vec<u64> = facts.iter().map(|fact| fact.sequence.get()).collect();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    });
}

#[test]
fn a_subscription_of_one_task_tells_its_life_and_ends_with_it() {
    virtual_time(async {
        let bench = Bench::new();
        let script = [Answer::Cut(300_000)];
        bench
            .server
            .put("a/f", &content(2_000_000, 1), PAUSE, &script);
        bench.server.put("a/other", &content(1000, 2), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let tasks = start(&session, vec![bench.spec("a/f"), bench.spec("a/other")]).await;
        let heard = Heard::from(
            session
                .subscribe(Some(tasks[0]))
                .await
                .expect("a subscription"),
        );
        until(async || heard.is_over()).await;
        let events = heard.events();
        assert!(events.iter().all(|event| event.task() == Some(tasks[0])));
        assert!(
            matches!(events.last(), Some(Event::Fact(_))),
            "the fact is the last event"
        );
        let resumed = events.iter().filter_map(|event| match event {
            Event::Resumed {
                held_bytes,
                total_bytes,
                ..
            } => Some((*held_bytes, *total_bytes)),
            _ => None,
        });
        assert_eq!(resumed.collect::<Vec<_>>(), [(300_000, Some(2_000_000))]);
        let received: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                Event::Progress { progress, .. } => Some(progress.received_bytes),
                _ => None,
            })
            .collect();
        assert!(received.len() > 3 && received.is_sorted(), "{received:?}");
    });
}

#[test]
fn news_come_at_most_every_hundred_milliseconds_and_never_after_the_end() {
    virtual_time(async {
        let bench = Bench::new();
        bench.server.put("a/f", &content(3_000_000, 1), PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        start_one(&session, bench.spec("a/f")).await;
        heard.until_facts(1).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(matches!(heard.events().last(), Some(Event::Fact(_))));
        let times = heard.times(|event| matches!(event, Event::Progress { .. }));
        for pair in times.windows(2) {
            let apart = pair[1] - pair[0];
            assert!(apart >= Duration::from_millis(99), "{apart:?}");
        }
    });
}

#[test]
fn a_session_is_drained_when_no_task_is_live_and_every_fact_was_heard() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(100_000, 1);
        bench.server.put("a/first", &body, PAUSE, &[]);
        bench
            .server
            .put("a/stuck", &body, PAUSE, &[Answer::Stall(50_000)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let nothing = Sequence::default();
        assert_eq!(session.is_drained(nothing).await, Ok(true), "it is new");
        let heard = listen(&session).await;
        let specs = ["a/first", "a/stuck"].map(|at| bench.spec(at)).to_vec();
        let tasks = start(&session, specs).await;
        let first = heard.until_facts(1).await[0].sequence;
        assert_eq!(session.is_drained(first).await, Ok(false), "one is live");
        let wish = session.want(tasks[1], Desired::Suspended).await;
        wish.expect("an answer");
        assert_eq!(session.is_drained(first).await, Ok(false), "it may go on");
        let wish = session.want(tasks[1], Desired::Cancelled).await;
        wish.expect("an answer");
        let last = heard.until_facts(2).await[1].sequence;
        // Asked at once, when the session may not know yet what the store knows.
        assert_eq!(session.is_drained(last).await, Ok(true));
        assert_eq!(session.is_drained(first).await, Ok(false), "one is unheard");
        session.acknowledge(last).await.expect("an answer");
        assert_eq!(session.is_drained(last).await, Ok(true));
        engine.shutdown().await;
        assert!(session.is_drained(last).await.is_err());
    });
}
