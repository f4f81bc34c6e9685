//! Small files whose places go from one to the next.

use longhaul_engine::id::Sequence;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome};

use super::oracle::{Story, Told};
use super::scenarios::{PAUSE, finishes, outcomes_of, stop};
use crate::tests::bench::{Bench, content, listen, session_with, start, until};
use crate::tests::server::Answer;

const FILES: [&str; 6] = ["a/0", "a/1", "a/2", "a/3", "a/4", "a/5"];

/// The first of six holds its place until all others stand by; of these one rests for a while and one
/// is cancelled.
pub(super) async fn successors() -> Story {
    let bench = Bench::new();
    let bodies: Vec<_> = (0..6).map(|number| content(1000, number)).collect();
    for (at, body) in FILES.iter().zip(&bodies) {
        let script: &[Answer] = match *at {
            // The one that is cancelled can not have ended before, if the first crashes.
            "a/0" | "a/3" => &[Answer::Stall(10), Answer::Stall(10), Answer::Stall(10)],
            _ => &[],
        };
        bench.server.put(at, body, PAUSE, script);
    }
    let engine = bench.engine().await;
    let rules = SessionRules {
        tasks_max: 1,
        ..SessionRules::default()
    };
    let session = session_with(&engine, "s", rules).await;
    let heard = listen(&session).await;
    let tasks = start(&session, FILES.iter().map(|at| bench.spec(at)).collect()).await;
    until(async || bench.server.sent_bytes("a/0") > 0).await;
    let want = async |task, desired| session.want(task, desired).await.expect("an answer");
    want(tasks[2], Desired::Suspended).await;
    want(tasks[3], Desired::Cancelled).await;
    bench.server.release("a/0");
    session.outcome(tasks[5]).await.expect("an outcome");
    want(tasks[2], Desired::Running).await;
    let outcomes = outcomes_of(&session, &tasks).await;
    heard.until_facts(FILES.len()).await;
    stop(&engine).await;
    let told = FILES.iter().zip(&tasks).zip(&bodies);
    let told = told.map(|((at, task), body)| {
        let finished = finishes(&bench, *task, at, body, 1);
        match *at {
            "a/3" => Told {
                outcome: Outcome::Cancelled,
                ..finished
            },
            _ => finished,
        }
    });
    let tasks = told.collect();
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
