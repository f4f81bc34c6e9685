//! What is played about scheduling: a condition that breaks and is met again, an owner who is asked
//! and one who leaves, and options that change, at an engine with one place.

use std::time::Duration;

use longhaul_engine::conditions::Conditions;
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::id::{Sequence, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{
    Adjustment, Constraint, DownloadSpec, Phase, Priority, QueueReason, TaskOptions,
};

use super::oracle::Story;
use super::scenarios::{finishes, outcomes_of, stop};
use crate::tests::bench::{Bench, content, listen, session_with, start, told, until, until_phase};

const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn scheduled() -> Story {
    let bench = Bench::new();
    let (large, small) = (content(1_500_000, 15), content(50_000, 16));
    bench.server.put("a/held", &large, PAUSE, &[]);
    bench.server.put("a/asked", &small, PAUSE, &[]);
    bench.server.put("a/left", &small, PAUSE, &[]);
    let engine = bench.engine_with_places(1).await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let heard = listen(&session).await;
    let delegate = session.attach();
    let at = bench.now().after(Duration::from_millis(600));
    let with = |at, options| DownloadSpec {
        options,
        ..bench.spec(at)
    };
    let discretionary = TaskOptions {
        is_discretionary: true,
        ..told()
    };
    let delayed = TaskOptions {
        earliest_begin: Some(at),
        ..told()
    };
    let specs = vec![
        with("a/held", discretionary),
        with("a/asked", delayed.clone()),
        with("a/left", delayed),
    ];
    let tasks = start(&session, specs).await;
    until(async || bench.server.sent_bytes("a/held") > 300_000).await;
    engine.set_conditions(Conditions {
        is_metered: Some(true),
        ..Conditions::default()
    });
    let held = Phase::Queued(QueueReason::Unmet(Constraint::Unmetered));
    until_phase(&session, tasks[0], &held).await;
    for adjustment in [
        Adjustment::Priority(Priority::HIGH),
        Adjustment::RateLimit(Some(2_000_000)),
    ] {
        let adjusted = session.adjust(tasks[0], adjustment).await;
        adjusted.expect("an answer");
    }
    let rate = session.set_rate_limit(Some(10_000_000)).await;
    rate.expect("an answer");
    for task in &tasks[1..] {
        until_phase(&session, *task, &Phase::AwaitingBegin).await;
    }
    // One that was just restarted has not asked yet.
    let first = Ok(Some(tasks[1]));
    until(async || session.next_awaiting_begin(TaskId::default()).await == first).await;
    let decided = session
        .decide_begin(tasks[1], DelayedRequest::ContinueLoading)
        .await;
    decided.expect("an answer").expect("it may begin");
    drop(delegate);
    engine.set_conditions(Conditions::default());
    let outcomes = outcomes_of(&session, &tasks).await;
    heard.until_facts(3).await;
    stop(&engine).await;
    let tasks = vec![
        finishes(&bench, tasks[0], "a/held", &large, 1),
        finishes(&bench, tasks[1], "a/asked", &small, 1),
        finishes(&bench, tasks[2], "a/left", &small, 1),
    ];
    let (session, heard) = (session.id().clone(), vec![heard.events()]);
    Story {
        bench,
        session,
        tasks,
        heard,
        outcomes,
        acknowledged: Sequence::default(),
    }
}
