//! Lives of uploads: one that breaks, one that is sent on, one that is cancelled, one that rests; some
//! whose servers want a token; one that another task goes on with.

use std::sync::Arc;
use std::time::Duration;

use longhaul_engine::authorization_challenge::{Disposition, Renewal};
use longhaul_engine::event::{Fact, NumberedFact};
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::id::{Sequence, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Outcome, Phase, UploadSpec};

use super::oracle::{Story, Told};
use super::scenarios::{outcomes_of, stop};
use crate::tests::bench::{
    Bench, Heard, content, listen, phase, session_with, start, until, until_phase,
};
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
    let early = listen(&session).await;
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
    let late = listen(&session).await;
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
            name: name.to_owned(),
            outcome: match name {
                "stuck" => Outcome::Cancelled,
                _ => Bench::uploaded(body.len()),
            },
            ..arrives(*task, at, &body)
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

/// Two uploads whose server wants a token: one gets it, in another life of the engine, and one is
/// cancelled by the answer.
pub(super) async fn challenges() -> Story {
    let bench = Bench::new();
    let inbox = &bench.server.1;
    let body = content(200_000, 17);
    let ats = ["a/renewed", "a/dropped"];
    for at in ats {
        bench.put_source(at.trim_start_matches("a/"), &body);
        inbox.open(at, PAUSE, &[]);
        inbox.protect(at, "new");
    }
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let early = listen(&session).await;
    let old = |at: &str| UploadSpec {
        credentials: Some(Credentials::bearer("old")),
        ..bench.upload(at)
    };
    let tasks = start(&session, ats.map(old).to_vec()).await;
    for task in &tasks {
        until_phase(&session, *task, &Phase::AwaitingAuthorization).await;
    }
    let cancel = session.answer_challenge(tasks[1], Disposition::Cancel);
    cancel.await.expect("an answer");
    let mut outcomes = outcomes_of(&session, &tasks[1..]).await;
    until_ends(&early, 1).await;
    stop(&engine).await;

    let engine = bench.engine().await;
    let session = session_with(&engine, "s", SessionRules::default()).await;
    let late = listen(&session).await;
    let token = Renewal::default().with_credentials(Credentials::bearer("new"));
    let renewed = Disposition::UseCredential(token);
    let answer = session.answer_challenge(tasks[0], renewed).await;
    answer.expect("an answer");
    outcomes.extend(outcomes_of(&session, &tasks).await);
    until_ends(&late, 2).await;
    stop(&engine).await;
    let asked = |told: Told, outcome: Outcome| Told {
        challenges: 1,
        outcome,
        ..told
    };
    let tasks = vec![
        asked(
            arrives(tasks[0], ats[0], &body),
            Bench::uploaded(body.len()),
        ),
        asked(arrives(tasks[1], ats[1], &body), Outcome::Cancelled),
    ];
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

/// An upload is cancelled for its resume data, another task goes on with it; that of a second one is
/// discarded, and a third one leaves its own by failing.
pub(super) async fn resume_data() -> Story {
    let bench = Bench::new();
    let inbox = &bench.server.1;
    let body = content(400_000, 18);
    let ats = ["a/first", "a/unused", "a/fails"];
    for at in ats {
        bench.put_source(at.trim_start_matches("a/"), &body);
    }
    for at in &ats[..2] {
        inbox.open(at, PAUSE, &vec![Meeting::Stalls(100_000); 40]);
    }
    inbox.open(ats[2], PAUSE, &vec![Meeting::Takes(404); 40]);
    let rules = SessionRules {
        resume_data_on_failure: true,
        ..SessionRules::default()
    };
    let engine = bench.engine().await;
    let session = session_with(&engine, "s", rules).await;
    let heard = listen(&session).await;
    let mut tasks = start(&session, ats.map(|at| bench.upload(at)).to_vec()).await;
    let mut left = Vec::new();
    for (task, at) in tasks.iter().zip(&ats[..2]) {
        until(async || !inbox.arrivals(at).is_empty()).await;
        let data = session.cancel_for_resume_data(*task).await;
        left.push(data.expect("an answer").expect("no resume data"));
    }
    let failed = session.outcome(tasks[2]).await.expect("an outcome");
    let Outcome::Failed(failure) = &failed else {
        panic!("{failed:?}")
    };
    left.push(failure.resume_data().expect("no resume data").clone());
    let discarded = session.discard_resume_data(left[1].clone()).await;
    assert_eq!(discarded, Ok(Ok(())));
    for index in [0, 2] {
        inbox.script(ats[index], &[]);
        let resumed = session.resume_upload(left[index].clone(), None).await;
        tasks.push(resumed.expect("an answer").expect("a task").task);
    }
    let mut outcomes = outcomes_of(&session, &tasks).await;
    heard.until_facts(5).await;
    outcomes.push((tasks[0], Outcome::CancelledResumable(left[0].clone())));
    stop(&engine).await;
    let ended = |index: usize, at, outcome| Told {
        outcome,
        ..arrives(tasks[index], at, &body)
    };
    let tasks = vec![
        ended(0, ats[0], Outcome::CancelledResumable(left[0].clone())),
        ended(1, ats[1], Outcome::CancelledResumable(left[1].clone())),
        ended(2, ats[2], failed),
        arrives(tasks[3], ats[0], &body),
        arrives(tasks[4], ats[2], &body),
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

/// Waits until so many tasks have ended.
async fn until_ends(heard: &Heard, count: usize) {
    let is_end = |fact: &NumberedFact| matches!(fact.fact, Fact::Completed { .. });
    until(async || heard.facts().iter().filter(|fact| is_end(fact)).count() >= count).await;
}

fn arrives(task: TaskId, at: &'static str, body: &Arc<[u8]>) -> Told {
    Told {
        task,
        at,
        name: at.trim_start_matches("a/").to_owned(),
        body: Arc::clone(body),
        connections: 1,
        challenges: 0,
        outcome: Bench::uploaded(body.len()),
    }
}
