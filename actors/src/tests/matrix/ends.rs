//! Sessions that end, each of its tasks in its own way.

use longhaul_engine::event::Fact;
use longhaul_engine::id::Sequence;
use longhaul_engine::session::{Invalidation, SessionState};
use longhaul_engine::task::{Desired, Outcome};

use super::oracle::{Story, Told};
use super::scenarios::{PAUSE, finishes, stop};
use crate::handle::RefusedStart;
use crate::tests::bench::{
    Bench, content, ending, listen, requests, session, start, start_one, until,
};
use crate::tests::server::Answer;

/// A session takes no new tasks while one of its tasks runs and one was never started.
pub(super) async fn finishing() -> Story {
    let bench = Bench::new();
    let (runs, rests) = (content(300_000, 1), content(50_000, 2));
    bench
        .server
        .put("a/runs", &runs, PAUSE, &[Answer::Cut(130_000)]);
    bench.server.put("a/rests", &rests, PAUSE, &[]);
    let engine = bench.engine().await;
    let session = session(&engine, "s").await;
    let heard = listen(&session).await;
    let first = start_one(&session, bench.spec("a/runs")).await;
    let made = session
        .create(requests(vec![bench.spec("a/rests")], false))
        .await;
    let second = made.expect("an answer")[0].clone().expect("a task");
    session
        .invalidate(Invalidation::FinishTasks)
        .await
        .expect("an answer");
    let refused = session
        .start(requests(vec![bench.spec("a/late")], false))
        .await;
    let expected = Err(RefusedStart::Invalidated(session.id().clone()));
    assert_eq!(refused, Ok(vec![expected]));
    let mut outcomes = vec![(first, session.outcome(first).await.expect("an outcome"))];
    assert_eq!(session.state().await, Ok(SessionState::Finishing));
    session
        .want(second, Desired::Running)
        .await
        .expect("an answer");
    outcomes.push((second, session.outcome(second).await.expect("an outcome")));
    until(async || heard.is_over()).await;
    let last = heard.facts().pop().map(|fact| fact.fact);
    assert_eq!(last, Some(Fact::BecameInvalid));
    assert_eq!(session.state().await, Ok(SessionState::Invalid));
    assert_eq!(session.tasks().await.map(|tasks| tasks.len()), Ok(2));
    stop(&engine).await;
    let tasks = vec![
        finishes(&bench, first, "a/runs", &runs, 1),
        finishes(&bench, second, "a/rests", &rests, 1),
    ];
    let (id, heard) = (session.id().clone(), vec![heard.events()]);
    Story {
        bench,
        session: id,
        tasks,
        heard,
        outcomes,
        acknowledged: Sequence::default(),
    }
}

/// A session cancels all its tasks and ends; the next one of its name knows nothing of it.
pub(super) async fn cancelled() -> Story {
    let bench = Bench::new();
    let (stuck, quick) = (content(500_000, 3), content(50_000, 4));
    bench
        .server
        .put("a/stuck", &stuck, PAUSE, &[Answer::Stall(200_000)]);
    bench.server.put("a/quick", &quick, PAUSE, &[]);
    let engine = bench.engine().await;
    let first = session(&engine, "s").await;
    let heard = listen(&first).await;
    let mut tasks = start(&first, vec![bench.spec("a/stuck")]).await;
    let made = first
        .create(requests(vec![bench.spec("a/rests")], false))
        .await;
    tasks.push(made.expect("an answer")[0].clone().expect("a task"));
    until(async || bench.server.sent_bytes("a/stuck") >= 200_000).await;
    first
        .invalidate(Invalidation::CancelTasks)
        .await
        .expect("an answer");
    until(async || heard.is_over()).await;
    let mut facts = heard.facts();
    let last = facts.pop().expect("facts");
    assert_eq!(last.fact, Fact::BecameInvalid);
    let mut ended: Vec<_> = facts.iter().map(ending).collect();
    ended.sort_by_key(|(task, _)| *task);
    assert_eq!(
        ended,
        tasks
            .iter()
            .map(|task| (*task, Outcome::Cancelled))
            .collect::<Vec<_>>()
    );
    first.acknowledge(last.sequence).await.expect("an answer");

    let second = session(&engine, "s").await;
    assert_eq!(second.state().await, Ok(SessionState::Open));
    assert_eq!(second.tasks().await.map(|tasks| tasks.len()), Ok(0));
    let heard = listen(&second).await;
    let task = start_one(&second, bench.spec("a/quick")).await;
    let outcomes = vec![(task, second.outcome(task).await.expect("an outcome"))];
    heard.until_facts(1).await;
    stop(&engine).await;
    let tasks: Vec<Told> = vec![finishes(&bench, task, "a/quick", &quick, 1)];
    let (id, heard) = (second.id().clone(), vec![heard.events()]);
    Story {
        bench,
        session: id,
        tasks,
        heard,
        outcomes,
        acknowledged: Sequence::default(),
    }
}
