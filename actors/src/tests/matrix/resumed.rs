//! What is played about an engine whose sessions go on by themselves: one is opened with another
//! configuration while its tasks are on their way.

use std::time::Duration;

use longhaul_engine::id::Sequence;
use longhaul_engine::session::SessionRules;

use super::oracle::Story;
use super::scenarios::{finishes, outcomes_of, stop};
use crate::tests::bench::{Bench, content, listen, session_with, start, until};

const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn resumed() -> Story {
    let bench = Bench::new();
    let (large, small) = (content(1_500_000, 17), content(50_000, 18));
    bench.server.put("a/runs", &large, PAUSE, &[]);
    bench.server.put("a/queued", &small, PAUSE, &[]);
    let rules = SessionRules {
        tasks_max: 1,
        ..SessionRules::default()
    };
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", rules).await;
    let specs = ["a/runs", "a/queued"].map(|at| bench.spec(at)).to_vec();
    let tasks = start(&session, specs).await;
    until(async || bench.server.sent_bytes("a/runs") > 200_000).await;
    stop(&engine).await;

    let engine = bench.engine_that_resumes().await;
    until(async || bench.server.sent_bytes("a/runs") > 700_000).await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let heard = listen(&session).await;
    let outcomes = outcomes_of(&session, &tasks).await;
    heard.until_facts(2).await;
    stop(&engine).await;
    let tasks = vec![
        finishes(&bench, tasks[0], "a/runs", &large, 1),
        finishes(&bench, tasks[1], "a/queued", &small, 1),
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
