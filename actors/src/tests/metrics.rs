//! What a task took, as its terminal fact tells it.

use std::time::Duration;

use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::metrics::{TaskMetrics, TransactionMetrics};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Phase};
use longhaul_engine::time::Timestamp;

use super::bench::{
    Bench, content, listen, session, session_with, start, start_one, until, virtual_time,
};
use super::server::Answer;

const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn metrics(fact: &NumberedFact) -> Option<TaskMetrics> {
    match &fact.fact {
        Fact::Completed { metrics, .. } => metrics.as_deref().cloned(),
        other => panic!("not the end: {other:?}"),
    }
}

/// The times of a transaction in the order in which they must be.
fn times(told: &TransactionMetrics) -> Vec<Timestamp> {
    let later = [
        told.domain_lookup_start,
        told.domain_lookup_end,
        told.connect_start,
        told.secure_connection_start,
        told.secure_connection_end,
        told.connect_end,
        told.request_start,
        told.request_end,
        told.response_start,
        told.response_end,
    ];
    let first = std::iter::once(told.fetch_start);
    first.chain(later.into_iter().flatten()).collect()
}

#[test]
fn a_redirect_a_kept_connection_and_a_retry_are_each_told() {
    virtual_time(async {
        let bench = Bench::new();
        let script = [Answer::Redirect("/g"), Answer::Redirect("/g")];
        let body = content(300_000, 1);
        bench.server.put("a/f", &content(10, 2), PAUSE, &script);
        bench
            .server
            .put("a/g", &body, PAUSE, &[Answer::Cut(100_000)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let before = bench.elapsed();
        start_one(&session, bench.spec("a/f")).await;
        let told = metrics(&heard.until_facts(1).await[0]).expect("it was asked");
        assert_eq!((told.transaction_count, told.redirect_count), (4, 2));
        let of_each: Vec<_> = told
            .transactions
            .iter()
            .map(|each| {
                (
                    each.status,
                    each.response_body_bytes,
                    each.is_reused_connection,
                )
            })
            .collect();
        let expected = [
            (Some(302), 0, false),
            (Some(200), 100_000, true),
            (Some(302), 0, false),
            (Some(206), 200_000, true),
        ];
        assert_eq!(of_each, expected);
        for each in &told.transactions {
            let times = times(each);
            assert!(times.is_sorted(), "{each:?}");
            assert!(told.created_at <= times[0], "{told:?}");
            assert!(*times.last().expect("one") <= told.ended_at, "{told:?}");
            let connected = (each.connect_start.is_some(), each.connect_end.is_some());
            let is_new = !each.is_reused_connection;
            assert_eq!(connected, (is_new, is_new), "{each:?}");
            assert!(each.response_header_bytes > 30, "{each:?}");
            let is_plain = !each.is_secure && !each.is_proxy_connection;
            assert!(
                is_plain && each.secure_connection_start.is_none(),
                "{each:?}"
            );
            assert_eq!(each.domain_lookup_start, None, "pipes have no names");
        }
        // 100 kB are two chunks of the server's, 200 kB are four: each after a pause.
        let took = |each: &TransactionMetrics| {
            let end = each.response_end.expect("it ended");
            end.since(each.response_start.expect("it began"))
        };
        assert!(took(&told.transactions[1]) >= 2 * PAUSE, "{told:?}");
        assert!(took(&told.transactions[3]) >= 4 * PAUSE, "{told:?}");
        let lived = told.ended_at.since(told.created_at);
        assert!(lived <= bench.elapsed() - before, "{lived:?}");
    });
}

#[test]
fn a_restart_keeps_the_counts_and_forgets_the_transactions_before_it() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(1_500_000, 1);
        bench
            .server
            .put("a/f", &body, PAUSE, &[Answer::Redirect("/g")]);
        bench.server.put("a/g", &body, PAUSE, &[]);
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let task = start_one(&first, bench.spec("a/f")).await;
        until(async || bench.server.sent_bytes("a/g") > 500_000).await;
        let wish = first.want(task, Desired::Suspended).await;
        wish.expect("an answer");
        until(async || {
            let view = first.view(task).await.expect("a view");
            view.phase == Phase::Suspended
        })
        .await;
        engine.shutdown().await;

        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        let heard = listen(&second).await;
        second
            .want(task, Desired::Running)
            .await
            .expect("an answer");
        let told = metrics(&heard.until_facts(1).await[0]).expect("it was asked");
        assert_eq!((told.transaction_count, told.redirect_count), (3, 1));
        let statuses: Vec<_> = told.transactions.iter().map(|each| each.status).collect();
        assert_eq!(statuses, [Some(206)]);
    });
}

#[test]
fn a_body_that_is_given_up_tells_what_came_of_it() {
    virtual_time(async {
        let bench = Bench::new();
        let (body, script) = (content(100_000, 1), [Answer::Stall(50_000)]);
        bench.server.put("a/f", &body, PAUSE, &script);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let task = start_one(&session, bench.spec("a/f")).await;
        until(async || bench.server.sent_bytes("a/f") == 50_000).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let wish = session.want(task, Desired::Cancelled).await;
        wish.expect("an answer");
        let told = metrics(&heard.until_facts(1).await[0]).expect("it was asked");
        assert_eq!((told.transaction_count, told.transactions.len()), (1, 1));
        let only = &told.transactions[0];
        assert_eq!((only.status, only.response_body_bytes), (Some(200), 50_000));
        assert!(only.response_end.is_some(), "{only:?}");
    });
}

#[test]
fn a_phase_that_was_not_reached_has_no_time_and_a_task_that_asked_nobody_no_metrics() {
    virtual_time(async {
        let bench = Bench::new();
        let rules = SessionRules {
            tasks_max: 1,
            ..SessionRules::default()
        };
        let engine = bench.engine().await;
        let session = session_with(&engine, "s", rules).await;
        let heard = listen(&session).await;
        // Nobody answers there, and behind it nothing gets its turn.
        let tasks = start(&session, vec![bench.spec("mute/f"), bench.spec("a/g")]).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        for task in [tasks[1], tasks[0]] {
            let wish = session.want(task, Desired::Cancelled).await;
            wish.expect("an answer");
            session.outcome(task).await.expect("an outcome");
        }
        let facts = heard.until_facts(2).await;
        assert_eq!(metrics(&facts[0]), None);
        let told = metrics(&facts[1]).expect("it was asked");
        let only = &told.transactions[0];
        assert!(only.request_start.is_some() && only.request_end.is_some());
        assert_eq!((only.response_start, only.response_end), (None, None));
        assert_eq!((only.status, only.response_header_bytes), (None, 0));
    });
}
