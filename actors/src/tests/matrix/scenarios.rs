//! What is played: short lives of engines that touch every actor.

use std::sync::Arc;
use std::time::Duration;

use longhaul_engine::authorization_challenge::{Disposition, Renewal};
use longhaul_engine::checksum::{Algorithm, Hasher};
use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::id::{Sequence, TaskId};
use longhaul_engine::session::{Durability, SessionRules};
use longhaul_engine::task::{Collision, Desired, Destination, DownloadSpec, Outcome, Phase};

use super::oracle::{Story, Told};
use crate::handle::{EngineHandle, ResumeOptions, SessionHandle};
use crate::tests::bench::{
    Bench, content, ending, listen, requests, session_with, session_with_requests, start, until,
    until_phase,
};
use crate::tests::server::Answer;

pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// Two downloads, one of them over two connections, one cut by the server once; a subscriber, an
/// acknowledgement, questions after the end.
pub(super) async fn two_downloads() -> Story {
    let bench = Bench::new();
    let (small, large) = (content(300_000, 1), content(9 << 19, 2));
    bench
        .server
        .put("a/small", &small, PAUSE, &[Answer::Cut(130_000)]);
    bench.server.put("b/large", &large, PAUSE, &[]);
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let heard = listen(&session).await;
    let wide = DownloadSpec {
        connections: 2,
        ..bench.spec("b/large")
    };
    let tasks = start(&session, vec![bench.spec("a/small"), wide]).await;
    let mut outcomes = outcomes_of(&session, &tasks).await;
    let facts = heard.until_facts(2).await;
    let acknowledged = facts[0].sequence;
    assert_eq!(session.is_drained(acknowledged).await, Ok(false));
    assert_eq!(session.is_drained(facts[1].sequence).await, Ok(true));
    session.acknowledge(acknowledged).await.expect("an answer");
    assert_eq!(session.tasks().await.map(|tasks| tasks.len()), Ok(1));
    let (left, _) = ending(&facts[1]);
    session
        .want(left, Desired::Suspended)
        .await
        .expect("the end stands");
    outcomes.push((left, session.outcome(left).await.expect("an outcome")));
    stop(&engine).await;
    let tasks = vec![
        finishes(&bench, tasks[0], "a/small", &small, 1),
        finishes(&bench, tasks[1], "b/large", &large, 2),
    ];
    let (id, heard) = (session.id().clone(), vec![heard.events()]);
    Story {
        bench,
        session: id,
        tasks,
        heard,
        outcomes,
        acknowledged,
    }
}

/// One download is cancelled while it runs, one while it waits, one is suspended and goes on.
pub(super) async fn wishes() -> Story {
    let bench = Bench::new();
    let (stuck, rests) = (content(500_000, 3), content(1_500_000, 4));
    bench.server.put(
        "a/stuck",
        &stuck,
        PAUSE,
        &[Answer::Stall(200_000), Answer::Stall(0)],
    );
    bench.server.put("a/rests", &rests, PAUSE, &[]);
    bench.server.put("a/queued", &stuck, PAUSE, &[]);
    let engine = bench.engine().await;
    let rules = SessionRules {
        tasks_max: 2,
        ..SessionRules::default()
    };
    let session = session_with(&engine, "s", rules).await;
    let specs = ["a/stuck", "a/rests", "a/queued"]
        .map(|at| bench.spec(at))
        .to_vec();
    let tasks = start(&session, specs).await;
    session
        .want(tasks[2], Desired::Cancelled)
        .await
        .expect("an answer");
    until(async || bench.server.sent_bytes("a/rests") > 400_000).await;
    session
        .want(tasks[1], Desired::Suspended)
        .await
        .expect("an answer");
    until_phase(&session, tasks[1], &Phase::Suspended).await;
    // Nothing comes any more of what is stuck: a timer sees to it that the last bytes are recorded.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    session
        .want(tasks[0], Desired::Cancelled)
        .await
        .expect("an answer");
    let mut outcomes = vec![(
        tasks[0],
        session.outcome(tasks[0]).await.expect("an outcome"),
    )];
    session
        .want(tasks[1], Desired::Running)
        .await
        .expect("an answer");
    let heard = listen(&session).await;
    outcomes.extend(outcomes_of(&session, &tasks[1..]).await);
    heard.until_facts(3).await;
    stop(&engine).await;
    let cancelled = |index: usize, at: &'static str| Told {
        outcome: Outcome::Cancelled,
        ..finishes(&bench, tasks[index], at, &stuck, 1)
    };
    let tasks = vec![
        cancelled(0, "a/stuck"),
        finishes(&bench, tasks[1], "a/rests", &rests, 1),
        cancelled(2, "a/queued"),
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

/// A session is opened with its downloads; the engine stops with tasks of every kind, and another
/// opens the session with the same downloads; all end there.
pub(super) async fn restart() -> Story {
    let bench = Bench::new();
    let (runs, quick) = (content(1_500_000, 5), content(50_000, 6));
    bench.server.put("a/runs", &runs, PAUSE, &[]);
    bench
        .server
        .put("a/later", &quick, PAUSE, &[Answer::Later(50)]);
    bench.server.put("a/done", &quick, PAUSE, &[]);
    bench.server.put("a/queued", &quick, PAUSE, &[]);
    let rules = SessionRules {
        tasks_max: 1,
        ..SessionRules::default()
    };
    let ats = ["a/done", "a/later", "a/runs", "a/queued"];
    let asked = |adopts| requests(ats.map(|at| bench.spec(at)).to_vec(), adopts);
    let engine = bench.engine().await;
    let (first, early, tasks) =
        session_with_requests(&engine, "s", rules.clone(), asked(false)).await;
    let mut outcomes = outcomes_of(&first, &tasks[..1]).await;
    until(async || bench.server.sent_bytes("a/runs") > 700_000).await;
    stop(&engine).await;

    let engine = bench.engine().await;
    let (second, late, found) = session_with_requests(&engine, "s", rules, asked(true)).await;
    assert_eq!(found, tasks, "every task is found again");
    outcomes.extend(outcomes_of(&second, &tasks).await);
    let facts: Vec<NumberedFact> = late.until_facts(4).await;
    let acknowledged = facts[3].sequence;
    second.acknowledge(acknowledged).await.expect("an answer");
    assert_eq!(second.tasks().await.map(|tasks| tasks.len()), Ok(0));
    stop(&engine).await;
    let bodies = [&quick, &quick, &runs, &quick];
    let told = tasks.into_iter().zip(ats).zip(bodies);
    let tasks = told
        .map(|((task, at), body)| finishes(&bench, task, at, body, 1))
        .collect();
    let heard = vec![early.events(), late.events()];
    Story {
        bench,
        session: second.id().clone(),
        tasks,
        heard,
        outcomes,
        acknowledged,
    }
}

/// Finishes that take every step: digests, a free name, syncs; an empty file; one in a directory.
pub(super) async fn careful() -> Story {
    let bench = Bench::new();
    let (checked, empty) = (content(200_000, 7), content(0, 8));
    bench.server.put("a/checked", &checked, PAUSE, &[]);
    bench.server.put("a/empty", &empty, PAUSE, &[]);
    bench.server.put("a/named", &checked, PAUSE, &[]);
    let engine = bench.engine().await;
    let rules = SessionRules {
        durability: Durability::Power,
        ..SessionRules::default()
    };
    let session = session_with(&engine, "s", rules).await;
    let heard = listen(&session).await;
    let mut hasher = Hasher::new([Algorithm::Blake3]);
    hasher.update(&checked);
    let directory = bench.target("x").parent().expect("a directory").to_owned();
    let specs = vec![
        DownloadSpec {
            digests: hasher.finish(),
            collision: Collision::Rename,
            ..bench.spec("a/checked")
        },
        DownloadSpec {
            collision: Collision::Overwrite,
            ..bench.spec("a/empty")
        },
        DownloadSpec {
            destination: Destination::Directory(directory),
            ..bench.spec("a/named")
        },
    ];
    let tasks = start(&session, specs).await;
    let outcomes = outcomes_of(&session, &tasks).await;
    heard.until_facts(3).await;
    stop(&engine).await;
    let tasks = vec![
        finishes(&bench, tasks[0], "a/checked", &checked, 1),
        finishes(&bench, tasks[1], "a/empty", &empty, 1),
        finishes(&bench, tasks[2], "a/named", &checked, 1),
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

/// A download hands its bytes over, another task goes on with them, and a third one's are discarded.
pub(super) async fn resume_data() -> Story {
    let bench = Bench::new();
    let body = content(1_500_000, 9);
    // A transfer that crashed before its first record gets bytes again, and none comes to the end.
    let stalls = [700_000, 300_000, 200_000, 100_000].map(Answer::Stall);
    for at in ["a/first", "a/unused"] {
        bench.server.put(at, &body, PAUSE, &stalls);
    }
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let heard = listen(&session).await;
    let specs = ["a/first", "a/unused"].map(|at| bench.spec(at)).to_vec();
    let mut tasks = start(&session, specs).await;
    for at in ["a/first", "a/unused"] {
        until(async || bench.server.sent_bytes(at) > 150_000).await;
    }
    // Nothing comes any more: a timer sees to it that the last bytes are recorded.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut left = Vec::new();
    for task in &tasks {
        let data = session.cancel_for_resume_data(*task).await;
        left.push(data.expect("an answer").expect("no resume data"));
        bench.server.release("a/first");
    }
    let (used, unused) = (left[0].clone(), left[1].clone());
    let discarded = session.discard_resume_data(unused.clone()).await;
    assert_eq!(discarded, Ok(Ok(())));
    let resumed = session
        .resume_download(
            used.clone(),
            bench.target("second"),
            ResumeOptions::default(),
        )
        .await;
    tasks.push(resumed.expect("an answer").expect("a task").task);
    let mut outcomes = outcomes_of(&session, &tasks).await;
    heard.until_facts(3).await;
    outcomes.push((tasks[0], Outcome::CancelledResumable(used.clone())));
    stop(&engine).await;
    let handed_over = |index: usize, at: &'static str, data| Told {
        outcome: Outcome::CancelledResumable(data),
        ..finishes(&bench, tasks[index], at, &body, 1)
    };
    let tasks = vec![
        handed_over(0, "a/first", used),
        handed_over(1, "a/unused", unused),
        Told {
            name: "second".to_owned(),
            outcome: bench.finished("second", body.len()),
            ..finishes(&bench, tasks[2], "a/first", &body, 1)
        },
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

/// Two downloads whose token is not taken any more when they go on: one gets a new one, one is
/// cancelled by the answer.
pub(super) async fn challenges() -> Story {
    let bench = Bench::new();
    let body = content(1_500_000, 9);
    for at in ["a/renewed", "a/dropped"] {
        // Slow enough that neither ends before it is suspended, whatever crashes meanwhile.
        bench.server.put(at, &body, 5 * PAUSE, &[]);
        bench.server.protect(at, "old");
    }
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let heard = listen(&session).await;
    let old = |at: &str| DownloadSpec {
        credentials: Some(Credentials::bearer("old")),
        ..bench.spec(at)
    };
    let tasks = start(&session, vec![old("a/renewed"), old("a/dropped")]).await;
    until(async || bench.server.sent_bytes("a/dropped") > 400_000).await;
    for task in &tasks {
        let wish = session.want(*task, Desired::Suspended).await;
        wish.expect("an answer");
        until_phase(&session, *task, &Phase::Suspended).await;
    }
    for (task, at) in tasks.iter().zip(["a/renewed", "a/dropped"]) {
        bench.server.protect(at, "new");
        let wish = session.want(*task, Desired::Running).await;
        wish.expect("an answer");
    }
    let mut answered = 0;
    loop {
        let (asked, ended): (Vec<_>, Vec<_>) = heard
            .facts()
            .into_iter()
            .partition(|fact| matches!(fact.fact, Fact::Challenged { .. }));
        if ended.len() == tasks.len() {
            break;
        }
        for task in asked.iter().skip(answered).map(|fact| fact.fact.task()) {
            let disposition = match task == Some(tasks[0]) {
                true => {
                    let token = Credentials::bearer("new");
                    Disposition::UseCredential(Renewal::default().with_credentials(token))
                }
                false => Disposition::Cancel,
            };
            let task = task.expect("it is about a task");
            let answer = session.answer_challenge(task, disposition).await;
            answer.expect("an answer");
        }
        answered = asked.len();
        tokio::time::sleep(PAUSE).await;
    }
    let outcomes = outcomes_of(&session, &tasks).await;
    stop(&engine).await;
    let asked = |told: Told, outcome: Option<Outcome>| Told {
        challenges: 1,
        outcome: outcome.unwrap_or_else(|| told.outcome.clone()),
        ..told
    };
    let renewed = finishes(&bench, tasks[0], "a/renewed", &body, 1);
    let dropped = finishes(&bench, tasks[1], "a/dropped", &body, 1);
    let tasks = vec![
        asked(renewed, None),
        asked(dropped, Some(Outcome::Cancelled)),
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

pub(super) fn finishes(
    bench: &Bench,
    task: TaskId,
    at: &'static str,
    body: &Arc<[u8]>,
    connections: usize,
) -> Told {
    let (_, name) = at.rsplit_once('/').expect("a path");
    let outcome = bench.finished(name, body.len());
    Told {
        task,
        at,
        name: name.to_owned(),
        body: Arc::clone(body),
        connections,
        challenges: 0,
        outcome,
    }
}

pub(super) async fn outcomes_of(
    session: &SessionHandle,
    tasks: &[TaskId],
) -> Vec<(TaskId, Outcome)> {
    let ask = async |task: TaskId| (task, session.outcome(task).await.expect("an outcome"));
    futures_util::future::join_all(tasks.iter().map(|task| ask(*task))).await
}

pub(super) async fn stop(engine: &EngineHandle) {
    engine.shutdown().await;
    assert_eq!(engine.stopped().await, None, "the engine did not give up");
}
