//! A request that takes a task over: from then on its options count, and its checksum above all.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use longhaul_engine::checksum::{Algorithm, Digest, Hasher};
use longhaul_engine::failure::FailureKind;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, DownloadSpec, Outcome, Phase};

use super::bench::{
    Bench, content, requests, session, session_with, session_with_requests, start, start_one,
    until, virtual_time,
};
use super::server::Answer;
use crate::fault::{self, Plan};
use crate::tests::matrix::silence_ordered_panics;

const PAUSE: Duration = Duration::from_millis(20);

/// When the last byte of 300,000 comes: what is computed takes no time.
const LIFE_MS: u64 = 101;

fn digest_of(body: &[u8]) -> Digest {
    let mut hasher = Hasher::new([Algorithm::Blake3]);
    hasher.update(body);
    hasher.finish().remove(0)
}

fn expecting(spec: DownloadSpec, digest: &Digest) -> DownloadSpec {
    DownloadSpec {
        digests: vec![digest.clone()],
        ..spec
    }
}

fn kind_of(outcome: &Outcome) -> Option<FailureKind> {
    match outcome {
        Outcome::Failed(failure) => Some(failure.kind()),
        Outcome::Finished(_)
        | Outcome::Uploaded(_)
        | Outcome::Skipped(_)
        | Outcome::Cancelled
        | Outcome::CancelledResumable(_) => None,
    }
}

/// Lets every task that can go on do so once; tokio's own way to yield lets them do very much.
async fn one_step() {
    let mut is_over = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        match std::mem::replace(&mut is_over, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await
}

#[test]
fn a_session_is_opened_together_with_the_options_of_who_opens_it() {
    // Every byte is held, and in the second case under its final name: what the session is opened
    // with must be there before the task goes on, because it ends at once.
    let body = content(300_000, 1);
    let (right, wrong) = (digest_of(&body), digest_of(b"something else"));
    for point in ["transfer.publish", "transfer.close"] {
        for digest in [&right, &wrong] {
            virtual_time(async {
                silence_ordered_panics();
                let bench = Bench::new();
                bench.server.put("a/f", &body, PAUSE, &[]);
                bench.server.put("a/g", &body, PAUSE, &[Answer::Stall(0)]);
                fault::arm(Plan {
                    panic_always: vec![point],
                    ..Plan::default()
                });
                let engine = bench.engine().await;
                // Once it has crashed it waits, because there is no place for it.
                let one_place = SessionRules {
                    tasks_max: 1,
                    ..SessionRules::default()
                };
                let first = session_with(&engine, "s", one_place).await;
                let specs = vec![bench.spec("a/f"), bench.spec("a/g")];
                let task = start(&first, specs).await[0];
                until(async || fault::hits().contains(&point)).await;
                engine.shutdown().await;
                fault::disarm();
                drop((engine, first));

                let engine = bench.engine().await;
                let asked = requests(vec![expecting(bench.spec("a/f"), digest)], true);
                let rules = SessionRules::default();
                let (second, _, found) = session_with_requests(&engine, "s", rules, asked).await;
                assert_eq!(found, [task], "{point}");
                let outcome = second.outcome(task).await.expect("an outcome");
                if *digest == right {
                    assert_eq!(outcome, bench.finished("f", body.len()), "{point}");
                    assert!(bench.file("f").as_deref() == Some(&*body), "{point}");
                } else {
                    assert_eq!(kind_of(&outcome), Some(FailureKind::Integrity), "{point}");
                    assert_eq!(bench.file("f"), None, "{point}");
                }
                assert_eq!(bench.server.seen("a/f").len(), 1, "{point}");
            });
        }
    }
}

#[test]
fn a_task_that_is_taken_over_at_any_moment_never_ends_as_it_was_asked_for_before() {
    let body = content(300_000, 2);
    let wrong = digest_of(b"something else");
    // While bytes come, and then, where no time passes, after each step of the actors.
    let early = (0..LIFE_MS + 20).step_by(7).map(|ms| (ms, 0));
    let late = (0..40).map(|steps| (LIFE_MS, steps));
    let (mut taken, mut anew) = (0, 0);
    for (wait_ms, steps) in early.chain(late) {
        let moment = format!("{wait_ms} ms and {steps} steps");
        virtual_time(async {
            let bench = Bench::new();
            bench.server.put("a/f", &body, PAUSE, &[]);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let task = start_one(&session, bench.spec("a/f")).await;
            let asked = requests(vec![expecting(bench.spec("a/f"), &wrong)], true);
            let asking = session.clone();
            let answers = actix_rt::spawn(async move {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                for _ in 0..steps {
                    one_step().await;
                }
                asking.start(asked).await.expect("an answer")
            });
            let answers = answers.await.expect("no panic");
            let found = answers[0].clone().expect("a task");
            let outcome = session.outcome(found).await.expect("an outcome");
            if found == task {
                taken += 1;
                let kind = kind_of(&outcome);
                assert_eq!(kind, Some(FailureKind::Integrity), "{moment}");
                assert!(bench.files().is_empty(), "{moment}: {:?}", bench.files());
            } else {
                anew += 1;
                let kind = kind_of(&outcome);
                assert_eq!(kind, Some(FailureKind::TargetExists), "{moment}");
                let first = session.outcome(task).await;
                assert_eq!(first, Ok(bench.finished("f", body.len())), "an end stands");
            }
        });
    }
    assert!(taken > 15 && anew > 15, "{taken} {anew}");
}

#[test]
fn a_session_that_runs_already_takes_requests_as_ever() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(200_000, 3);
        bench.server.put("a/one", &body, PAUSE, &[Answer::Stall(0)]);
        bench.server.put("a/two", &body, PAUSE, &[]);
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let one = start(&first, vec![bench.spec("a/one")]).await[0];
        // Its owner goes, and the session runs on.
        drop(first);
        let specs = vec![bench.spec("a/one"), bench.spec("a/two")];
        let asked = requests(specs, true);
        let rules = SessionRules::default();
        let (second, heard, found) = session_with_requests(&engine, "s", rules, asked).await;
        assert_eq!(found[0], one);
        bench.server.release("a/one");
        for task in &found {
            let outcome = second.outcome(*task).await.expect("an outcome");
            assert_eq!(kind_of(&outcome), None);
        }
        heard.until_facts(2).await;
        assert_eq!(bench.files(), ["one", "two"]);
    });
}

#[test]
fn a_task_that_waits_is_tried_at_once_when_its_session_is_opened_with_it() {
    for answer in [Answer::Later(80_000), Answer::Status(401)] {
        virtual_time(async {
            let bench = Bench::new();
            let body = content(200_000, 5);
            bench
                .server
                .put("a/f", &body, PAUSE, std::slice::from_ref(&answer));
            let engine = bench.engine().await;
            let first = session(&engine, "s").await;
            let task = start_one(&first, bench.spec("a/f")).await;
            until(async || {
                let view = first.view(task).await.expect("a view");
                let is_waiting = matches!(view.phase, Phase::WaitingToRetry { .. });
                is_waiting || view.phase == Phase::AwaitingAuthorization
            })
            .await;
            engine.shutdown().await;
            drop((engine, first));

            let engine = bench.engine().await;
            let asked = requests(vec![bench.spec("a/f")], true);
            let rules = SessionRules::default();
            let (second, _, found) = session_with_requests(&engine, "s", rules, asked).await;
            assert_eq!(found, [task]);
            let outcome = second.outcome(task).await;
            assert_eq!(outcome, Ok(bench.finished("f", body.len())));
            assert!(bench.elapsed() < Duration::from_secs(10), "{answer:?}");
        });
    }
}

#[test]
fn a_cancelled_task_is_not_found_again_but_made_anew() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(200_000, 4);
        bench.server.put("a/f", &body, PAUSE, &[Answer::Stall(0)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let first = start_one(&session, bench.spec("a/f")).await;
        let wish = session.want(first, Desired::Cancelled).await;
        wish.expect("an answer");
        assert_eq!(session.outcome(first).await, Ok(Outcome::Cancelled));
        let asked = requests(vec![bench.spec("a/f")], true);
        let answers = session.start(asked).await.expect("an answer");
        let second = answers[0].clone().expect("a task");
        assert_ne!(second, first);
        let outcome = session.outcome(second).await;
        assert_eq!(outcome, Ok(bench.finished("f", body.len())));
    });
}
