//! Servers that want other credentials in the middle of a download, and what owners answer.

use std::sync::Arc;
use std::time::Duration;

use longhaul_engine::authorization_challenge::{Challenge, Disposition, Renewal};
use longhaul_engine::event::{Event, Fact, NumberedFact};
use longhaul_engine::failure::FailureKind;
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::id::TaskId;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{
    Desired, DownloadSpec, Outcome, Phase, Priority, TaskOptions, TaskState,
};

use super::bench::{
    Bench, content, ending, listen, phase, session, session_with, start_one, until, until_phase,
    virtual_time,
};
use super::server::Answer;
use crate::fault::{self, Plan};
use crate::handle::{CallError, ResumeOptions, SessionHandle};

const PAUSE: Duration = Duration::from_millis(20);

/// Where the first answer is cut: every byte before it is held when the task waits.
const HELD: usize = 300_000;

const LENGTH: usize = 1_000_000;

pub(super) fn token(text: &str) -> Disposition {
    let credentials = Credentials::bearer(text);
    Disposition::UseCredential(Renewal::default().with_credentials(credentials))
}

/// A download with the token "old", cut after [`HELD`] bytes, whose server wants "new" by then.
async fn expired(bench: &Bench, session: &SessionHandle) -> (TaskId, Arc<[u8]>) {
    let body = content(LENGTH, 1);
    bench.server.put("a/f", &body, PAUSE, &[Answer::Cut(HELD)]);
    bench.server.protect("a/f", "old");
    let spec = DownloadSpec {
        credentials: Some(Credentials::bearer("old")),
        ..bench.spec("a/f")
    };
    let task = start_one(session, spec).await;
    until(async || bench.server.sent_bytes("a/f") > 0).await;
    bench.server.protect("a/f", "new");
    (task, body)
}

pub(super) fn asked(fact: &NumberedFact) -> (TaskId, Challenge) {
    match &fact.fact {
        Fact::Challenged { task, challenge } => (*task, challenge.clone()),
        other => panic!("nobody is asked: {other:?}"),
    }
}

#[test]
fn a_task_that_waits_for_a_token_is_told_of_once_and_goes_on_without_a_byte_twice() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let heard = listen(&first).await;
        let (task, body) = expired(&bench, &first).await;
        let facts = heard.until_facts(1).await;
        let expected = Challenge {
            host: "a:80".to_owned(),
            status: 401,
            scheme: "Bearer".to_owned(),
            realm: None,
            previous_failures: 0,
        };
        assert_eq!(asked(&facts[0]), (task, expected));
        until_phase(&first, task, &Phase::AwaitingAuthorization).await;
        engine.shutdown().await;

        // Nobody is asked again by a restart, neither the server nor the owner.
        let requests = bench.server.seen("a/f").len();
        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        let heard = listen(&second).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(heard.facts(), facts);
        assert_eq!(bench.server.seen("a/f").len(), requests);
        let view = second.view(task).await.expect("a view");
        assert_eq!(
            (view.state, view.phase),
            (TaskState::Running, Phase::AwaitingAuthorization)
        );
        let held = u64::try_from(HELD).expect("a length");
        assert_eq!(view.progress.received_bytes, held);

        second
            .answer_challenge(task, token("new"))
            .await
            .expect("an answer");
        let outcome = second.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", LENGTH)));
        assert!(bench.file("f").as_deref() == Some(&*body));
        assert_eq!(bench.server.sent_bytes("a/f"), LENGTH, "no byte came twice");
        assert_eq!(heard.until_facts(2).await.len(), 2);
    });
}

#[test]
fn an_answer_at_the_very_moment_of_the_challenge_is_not_lost() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let mut events = session.subscribe(None).await.expect("a subscription");
        let (task, _) = expired(&bench, &session).await;
        loop {
            let event = std::future::poll_fn(|context| events.poll_next(context)).await;
            if matches!(&event, Some(Event::Fact(_))) {
                // The transfer that has recorded the challenge has not ended yet.
                let answer = session.answer_challenge(task, token("new"));
                answer.await.expect("an answer");
                break;
            }
        }
        let outcome = session.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", LENGTH)));
        assert_eq!(bench.server.sent_bytes("a/f"), LENGTH);
    });
}

#[test]
fn wrong_answers_are_counted_and_the_bytes_stay() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let (task, _) = expired(&bench, &session).await;
        for (number, text) in ["wrong", "worse", "new"].into_iter().enumerate() {
            let facts = heard.until_facts(number + 1).await;
            let refused = u32::try_from(number).expect("a count");
            assert_eq!(asked(&facts[number]).1.previous_failures, refused);
            session
                .answer_challenge(task, token(text))
                .await
                .expect("an answer");
        }
        let outcome = session.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", LENGTH)));
        assert_eq!(bench.server.sent_bytes("a/f"), LENGTH);
    });
}

#[test]
fn a_task_that_is_resumed_without_an_answer_asks_again() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let (task, _) = expired(&bench, &session).await;
        for count in 1..4 {
            let facts = heard.until_facts(count).await;
            assert_eq!(asked(&facts[count - 1]).1.previous_failures, 0);
            let wish = session.want(task, Desired::Running).await;
            wish.expect("an answer");
        }
        heard.until_facts(4).await;
        bench.server.protect("a/f", "old");
        session
            .want(task, Desired::Running)
            .await
            .expect("an answer");
        let outcome = session.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", LENGTH)));
    });
}

#[test]
fn a_suspended_task_takes_its_answer_and_goes_on_when_it_is_resumed() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let (task, _) = expired(&bench, &session).await;
        heard.until_facts(1).await;
        let wish = session.want(task, Desired::Suspended).await;
        wish.expect("an answer");
        session
            .answer_challenge(task, token("new"))
            .await
            .expect("an answer");
        let requests = bench.server.seen("a/f").len();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(bench.server.seen("a/f").len(), requests, "it rests");
        session
            .want(task, Desired::Running)
            .await
            .expect("an answer");
        let outcome = session.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", LENGTH)));
        assert_eq!(heard.facts().len(), 2, "it was asked once");
    });
}

#[test]
fn each_disposition_leads_where_it_says() {
    for (disposition, expected) in [
        (token("new"), None),
        (
            Disposition::PerformDefaultHandling,
            Some(Some(FailureKind::Authentication)),
        ),
        (
            Disposition::RejectProtectionSpace,
            Some(Some(FailureKind::Authentication)),
        ),
        (Disposition::Cancel, Some(None)),
    ] {
        virtual_time(async {
            let bench = Bench::new();
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let heard = listen(&session).await;
            let (task, _) = expired(&bench, &session).await;
            heard.until_facts(1).await;
            for _ in 0..2 {
                // The second time it is an answer to nothing.
                let answer = session.answer_challenge(task, disposition.clone()).await;
                assert_eq!(answer, Ok(()));
            }
            let facts = heard.until_facts(2).await;
            let outcome = ending(&facts[1]).1;
            let (failure, is_kept) = match &outcome {
                Outcome::Finished(_) => (None, false),
                Outcome::Failed(failure) => (Some(Some(failure.kind())), true),
                Outcome::Cancelled => (Some(None), false),
                other => panic!("{other:?}"),
            };
            assert_eq!(failure, expected, "{disposition:?}");
            let part = bench.files().iter().any(|name| name.ends_with(".part"));
            assert_eq!(part, is_kept, "{disposition:?}: {:?}", bench.files());
            let last = session.answer_challenge(task, disposition.clone()).await;
            assert_eq!(last, Ok(()), "an ended task has nothing to answer");
            let missing = session.answer_challenge(TaskId::new(99), disposition);
            assert_eq!(missing.await, Err(CallError::NoSuchTask(TaskId::new(99))));
        });
    }
}

#[test]
fn a_new_url_of_another_host_is_gone_on_with_and_counted_there() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(LENGTH, 1);
        let script = [Answer::Cut(HELD), Answer::Status(403)];
        bench.server.put("a/f", &body, PAUSE, &script);
        bench.server.put("b/g", &body, PAUSE, &[]);
        let mut spec = bench.spec("a/f");
        spec.options.challenge_statuses = vec![403];
        spec.headers = vec![("authorization".to_owned(), "hush".to_owned())];
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let task = start_one(&session, spec).await;
        let facts = heard.until_facts(1).await;
        assert_eq!(asked(&facts[0]).1.status, 403);
        let renewal = Renewal::default().with_url("http://b/g").expect("a URL");
        session
            .answer_challenge(task, Disposition::UseCredential(renewal))
            .await
            .expect("an answer");
        let outcome = session.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", LENGTH)));
        let seen = bench.server.seen("b/g");
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].range, Some((HELD, None)));
        assert_eq!(seen[0].authorization, None, "a secret of the old host");
        assert_eq!(bench.server.sent_bytes("a/f"), HELD);
        let view = session.view(task).await.expect("a view");
        assert_eq!(view.spec.url().as_str(), "http://b/g");
    });
}

#[test]
fn a_rejected_scheme_leads_to_the_next_one() {
    const BOTH: &str = "Digest realm=\"d\", nonce=\"n\", qop=\"auth\", Basic realm=\"b\"";
    virtual_time(async {
        let bench = Bench::new();
        let script = [
            Answer::Offer(BOTH),
            Answer::Offer(BOTH),
            Answer::Offer(BOTH),
        ];
        bench.server.put("a/f", &content(LENGTH, 1), PAUSE, &script);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let task = start_one(&session, bench.spec("a/f")).await;
        let schemes = ["Digest", "Basic"];
        let login = Renewal::default().with_credentials(Credentials::login("user", "pass"));
        let answers = [
            Disposition::RejectProtectionSpace,
            Disposition::UseCredential(login),
        ];
        for (number, disposition) in answers.into_iter().enumerate() {
            let facts = heard.until_facts(number + 1).await;
            assert_eq!(asked(&facts[number]).1.scheme, schemes[number]);
            session
                .answer_challenge(task, disposition)
                .await
                .expect("an answer");
        }
        let outcome = session.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", LENGTH)));
        let shown = bench.server.seen("a/f").pop().expect("a request");
        assert_eq!(shown.authorization.as_deref(), Some("Basic dXNlcjpwYXNz"));
    });
}

#[test]
fn the_bytes_of_a_task_that_waits_for_a_token_are_handed_over_and_go_on_with_another() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let (task, body) = expired(&bench, &session).await;
        until_phase(&session, task, &Phase::AwaitingAuthorization).await;
        let requests = bench.server.seen("a/f").len();
        let data = session.cancel_for_resume_data(task).await;
        let data = data.expect("an answer").expect("resume data");
        assert_eq!(bench.server.seen("a/f").len(), requests);

        let options = ResumeOptions::default();
        let resumed = session.resume_download(data, bench.target("g"), options);
        let next = resumed.await.expect("an answer").expect("a task").task;
        until_phase(&session, next, &Phase::AwaitingAuthorization).await;
        let answer = session.answer_challenge(next, token("new"));
        answer.await.expect("an answer");
        let outcome = session.outcome(next).await;
        assert_eq!(outcome, Ok(bench.finished("g", LENGTH)));
        assert!(bench.file("g").as_deref() == Some(&*body));
        assert_eq!(bench.server.sent_bytes("a/f"), LENGTH, "no byte came twice");
        assert_eq!(bench.files(), ["g"]);
    });
}

#[test]
fn a_task_that_was_read_ahead_while_it_waited_for_an_answer_asks_again_when_it_is_resumed() {
    virtual_time(async {
        let bench = Bench::new();
        let rules = SessionRules {
            tasks_max: 1,
            ..SessionRules::default()
        };
        let engine = bench.engine().await;
        let session = session_with(&engine, "s", rules).await;
        let heard = listen(&session).await;
        bench.server.put("a/f", &content(1000, 1), PAUSE, &[]);
        bench.server.protect("a/f", "new");
        let body = content(1000, 2);
        bench.server.put("a/g", &body, PAUSE, &[Answer::Stall(10)]);
        // Its transfer crashes when it has recorded what it is asked for.
        super::matrix::silence_ordered_panics();
        fault::arm(Plan {
            panic_once: vec!["transfer.recorded"],
            ..Plan::default()
        });
        let task = start_one(&session, bench.spec("a/f")).await;
        let options = TaskOptions {
            priority: Priority::HIGH,
            ..TaskOptions::default()
        };
        let first = DownloadSpec {
            options,
            ..bench.spec("a/g")
        };
        let first = start_one(&session, first).await;
        heard.until_facts(1).await;
        until(async || bench.server.sent_bytes("a/g") > 0).await;
        fault::disarm();
        assert!(fault::hits().contains(&"transfer.recorded"), "it crashed");
        // Now it waits for its turn, and is read ahead.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(phase(&session, task).await, Phase::AwaitingAuthorization);
        bench.server.unprotect("a/f");
        let resumed = session.want(task, Desired::Running).await;
        resumed.expect("an answer");
        bench.server.release("a/g");
        let outcome = session.outcome(first).await;
        assert_eq!(outcome, Ok(bench.finished("g", 1000)));
        let outcome = session.outcome(task).await;
        assert_eq!(outcome, Ok(bench.finished("f", 1000)));
        engine.shutdown().await;
    });
}
