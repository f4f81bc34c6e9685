//! Lives of uploads that go on where their server has them: one that breaks, one that is cancelled, one
//! that rests while the engine starts again.

use std::time::Duration;

use longhaul_engine::id::Sequence;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome, Phase, UploadSpec};
use longhaul_engine::upload::UploadProtocol;

use super::oracle::{Story, Told};
use super::scenarios::{outcomes_of, stop};
use crate::tests::bench::{Bench, content, listen, phase, session_with, start, until};
use crate::tests::depot::{Dialect, Hitch};

const PAUSE: Duration = Duration::from_millis(20);

/// Long enough that an offer to go on is worth it.
const LENGTH: usize = 1_200_000;

/// The places of the uploads.
const ATS: [&str; 3] = ["d/breaks", "d/stuck", "d/rests"];

/// tus, which the server says when it is asked.
pub(super) async fn tus() -> Story {
    continuing(Dialect::Tus).await
}

/// The IETF draft, which the server says by a 104 to the request itself.
pub(super) async fn interim() -> Story {
    continuing(Dialect::Interim).await
}

async fn continuing(dialect: Dialect) -> Story {
    let bench = Bench::new();
    let depot = &bench.server.2;
    let body = content(LENGTH, 41);
    for at in ATS {
        bench.put_source(at.trim_start_matches("d/"), &body);
    }
    depot.open(ATS[0], dialect, PAUSE, &[Hitch::Drops(400_000)]);
    depot.open(ATS[1], dialect, PAUSE, &vec![Hitch::Stalls(300_000); 40]);
    depot.open(ATS[2], dialect, PAUSE, &[]);
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let early = listen(&session).await;
    let spec = |at| UploadSpec {
        method: "POST".to_owned(),
        protocol: UploadProtocol::Auto,
        // Else a crash before the place is known leaves an upload whose end nobody knows.
        is_repeatable: true,
        ..bench.upload(at)
    };
    let tasks = start(&session, ATS.map(spec).to_vec()).await;
    for (index, desired) in [(1, Desired::Cancelled), (2, Desired::Suspended)] {
        until(async || {
            let kept = depot.kept(ATS[index]);
            kept.iter().any(|kept| kept.bytes.len() >= 200_000)
        })
        .await;
        let wish = session.want(tasks[index], desired).await;
        wish.expect("an answer");
    }
    let mut outcomes = outcomes_of(&session, &tasks[..2]).await;
    until(async || {
        let phase = phase(&session, tasks[2]).await;
        matches!(phase, Phase::Suspended | Phase::Completed)
    })
    .await;
    early.until_facts(2).await;
    stop(&engine).await;

    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let late = listen(&session).await;
    let wish = session.want(tasks[2], Desired::Running).await;
    wish.expect("an answer");
    outcomes.extend(outcomes_of(&session, &tasks).await);
    late.until_facts(3).await;
    stop(&engine).await;
    let told = tasks.iter().zip(ATS).map(|(task, at)| {
        let (_, outcome) = outcomes
            .iter()
            .find(|(of, _)| of == task)
            .expect("it has ended");
        let is_right = match at {
            "d/stuck" => *outcome == Outcome::Cancelled,
            // An answer that was lost in a crash is not heard again.
            _ => matches!(outcome, Outcome::Uploaded(done) if done.bytes == LENGTH as u64),
        };
        assert!(is_right, "{at}: {outcome:?}");
        Told {
            task: *task,
            at,
            name: at.trim_start_matches("d/").to_owned(),
            body: body.clone(),
            connections: 1,
            challenges: 0,
            outcome: outcome.clone(),
        }
    });
    let tasks = told.collect();
    let (session, heard) = (session.id().clone(), vec![early.events(), late.events()]);
    Story {
        bench,
        session,
        tasks,
        heard,
        outcomes,
        acknowledged: Sequence::default(),
    }
}
