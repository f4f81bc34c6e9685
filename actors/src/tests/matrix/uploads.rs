//! A life of uploads: one that breaks, one that is sent on, one that is cancelled, one that rests.

use std::time::Duration;

use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::id::Sequence;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome, Phase, UploadSpec};

use super::oracle::{Story, Told};
use super::scenarios::{outcomes_of, phase, stop};
use crate::tests::bench::{Bench, Heard, content, session_with, start, until};
use crate::tests::inbox::Meeting;

const PAUSE: Duration = Duration::from_millis(20);

/// Four uploads; the engine starts again while one of them rests.
pub(super) async fn uploads() -> Story {
    let bench = Bench::new();
    let inbox = &bench.server.1;
    let body = content(600_000, 1);
    let names = ["breaks", "moves", "stuck", "rests"];
    for name in names {
        bench.put_source(name, &body);
    }
    inbox.open("a/breaks", PAUSE, &[Meeting::Drops(300_000)]);
    let mut moves = vec![Meeting::Points(308, "/moved"); 40];
    moves[0] = Meeting::Challenges;
    inbox.open("a/moves", PAUSE, &moves);
    inbox.open("a/moved", PAUSE, &[]);
    inbox.open("a/stuck", PAUSE, &vec![Meeting::Stalls(10); 40]);
    inbox.open("a/rests", PAUSE, &[]);
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let early = Heard::from(session.subscribe(None).await.expect("a subscription"));
    let spec = |name| UploadSpec {
        credentials: Some(Credentials::Login {
            username: "me".to_owned(),
            password: "hush".to_owned(),
        }),
        ..bench.upload(&format!("a/{name}"))
    };
    let tasks = start(&session, names.map(spec).to_vec()).await;
    assert_eq!(session.tasks().await.map(|tasks| tasks.len()), Ok(4));
    until(async || !inbox.arrivals("a/stuck").is_empty()).await;
    for (task, desired) in [
        (tasks[2], Desired::Cancelled),
        (tasks[3], Desired::Suspended),
    ] {
        session.want(task, desired).await.expect("an answer");
    }
    let mut outcomes = outcomes_of(&session, &tasks[..3]).await;
    until(async || {
        let phase = phase(&session, tasks[3]).await;
        matches!(phase, Phase::Suspended | Phase::Completed)
    })
    .await;
    early.until_facts(3).await;
    stop(&engine).await;

    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let late = Heard::from(session.subscribe(None).await.expect("a subscription"));
    let wish = session.want(tasks[3], Desired::Running).await;
    wish.expect("an answer");
    outcomes.extend(outcomes_of(&session, &tasks).await);
    late.until_facts(4).await;
    stop(&engine).await;
    let ats = ["a/breaks", "a/moved", "a/stuck", "a/rests"];
    let told = tasks
        .iter()
        .zip(ats)
        .zip(names)
        .map(|((task, at), name)| Told {
            task: *task,
            at,
            name: name.to_owned(),
            body: body.clone(),
            connections: 1,
            challenges: 0,
            outcome: match name {
                "stuck" => Outcome::Cancelled,
                _ => Bench::uploaded(body.len()),
            },
        });
    let tasks = told.collect();
    let heard = vec![early.events(), late.events()];
    Story {
        session: session.id().clone(),
        bench,
        tasks,
        heard,
        outcomes,
        acknowledged: Sequence::default(),
    }
}
