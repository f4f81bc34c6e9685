//! Servers that want to know who sends a file, what owners answer, and what the requests took.

use std::time::Duration;

use longhaul_engine::authorization_challenge::{Challenge, Disposition, Renewal};
use longhaul_engine::failure::FailureKind;
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::id::TaskId;
use longhaul_engine::limits::EXPECT_CONTINUE_BYTES_MIN;
use longhaul_engine::task::{Desired, Outcome, Phase, UploadSpec};

use super::bench::{
    Bench, content, ending, listen, phase, session, start_one, until, until_phase, virtual_time,
};
use super::challenges::{asked, token};
use super::inbox::Meeting;
use super::metrics::metrics;
use crate::handle::SessionHandle;

const PAUSE: Duration = Duration::from_millis(20);

const LENGTH: usize = 200_000;

/// An upload with the token "old" to a server that wants "new".
async fn expired(bench: &Bench, session: &SessionHandle) -> TaskId {
    bench.put_source("f", &content(LENGTH, 1));
    bench.server.1.open("a/f", PAUSE, &[]);
    bench.server.1.protect("a/f", "new");
    let spec = UploadSpec {
        credentials: Some(Credentials::bearer("old")),
        ..bench.upload("a/f")
    };
    start_one(session, spec).await
}

#[test]
fn a_task_that_waits_for_a_token_is_told_of_once_and_goes_on_after_a_restart() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let heard = listen(&first).await;
        let task = expired(&bench, &first).await;
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
        // It waits on while it rests.
        let wish = first.want(task, Desired::Suspended).await;
        wish.expect("an answer");
        engine.shutdown().await;

        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        let heard = listen(&second).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(heard.facts(), facts, "nobody is asked again");
        let answer = second.answer_challenge(task, token("new")).await;
        answer.expect("an answer");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(bench.server.1.arrivals("a/f").len(), 1, "it rests");
        let wish = second.want(task, Desired::Running).await;
        wish.expect("an answer");
        assert_eq!(second.outcome(task).await, Ok(Bench::uploaded(LENGTH)));
        let arrivals = bench.server.1.arrivals("a/f");
        let shown: Vec<_> = arrivals
            .iter()
            .map(|it| it.authorization.as_deref())
            .collect();
        assert_eq!(shown, [Some("Bearer old"), Some("Bearer new")]);
        assert_eq!(heard.until_facts(2).await.len(), 2);
    });
}

#[test]
fn wrong_answers_are_counted_and_a_wish_to_run_asks_again() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let task = expired(&bench, &session).await;
        for (number, text) in ["wrong", "worse"].into_iter().enumerate() {
            let facts = heard.until_facts(number + 1).await;
            let refused = u32::try_from(number).expect("a count");
            assert_eq!(asked(&facts[number]).1.previous_failures, refused);
            let answer = session.answer_challenge(task, token(text)).await;
            answer.expect("an answer");
        }
        let facts = heard.until_facts(3).await;
        assert_eq!(asked(&facts[2]).1.previous_failures, 2);
        bench.server.1.protect("a/f", "worse");
        let wish = session.want(task, Desired::Running).await;
        wish.expect("an answer");
        assert_eq!(session.outcome(task).await, Ok(Bench::uploaded(LENGTH)));
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
            let task = expired(&bench, &session).await;
            heard.until_facts(1).await;
            for _ in 0..2 {
                // The second time it is an answer to nothing.
                let answer = session.answer_challenge(task, disposition.clone()).await;
                assert_eq!(answer, Ok(()));
            }
            let facts = heard.until_facts(2).await;
            let failure = match ending(&facts[1]).1 {
                Outcome::Uploaded(_) => None,
                Outcome::Failed(failure) => Some(Some(failure.kind())),
                Outcome::Cancelled => Some(None),
                other => panic!("{other:?}"),
            };
            assert_eq!(failure, expected, "{disposition:?}");
        });
    }
}

#[test]
fn a_signed_url_that_has_expired_is_replaced_by_one_of_another_host() {
    virtual_time(async {
        let bench = Bench::new();
        let body = content(LENGTH, 1);
        bench.put_source("f", &body);
        let early = [Meeting::Early(70_000, 403)];
        bench.server.1.open("a/f", PAUSE, &early);
        bench.server.1.open("b/g", PAUSE, &[]);
        let mut spec = bench.upload("a/f");
        spec.options.challenge_statuses = vec![403];
        spec.headers = vec![("authorization".to_owned(), "hush".to_owned())];
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let task = start_one(&session, spec).await;
        let facts = heard.until_facts(1).await;
        assert_eq!(asked(&facts[0]).1.status, 403);
        let renewal = Renewal::default().with_url("http://b/g").expect("a URL");
        let answer = session.answer_challenge(task, Disposition::UseCredential(renewal));
        answer.await.expect("an answer");
        assert_eq!(session.outcome(task).await, Ok(Bench::uploaded(LENGTH)));
        let there = bench.server.1.arrivals("b/g");
        assert!(there.len() == 1 && there[0].bytes == *body);
        assert_eq!(there[0].authorization, None, "a secret of the old host");
        let view = session.view(task).await.expect("a view");
        assert_eq!(view.spec.url().as_str(), "http://b/g");
    });
}

#[test]
fn the_end_tells_what_each_request_took() {
    virtual_time(async {
        // More than the ways to the server hold at once.
        const WHOLE: usize = 2_000_000;
        let bench = Bench::new();
        bench.put_source("f", &content(WHOLE, 2));
        let script = [
            Meeting::Early(70_000, 503),
            Meeting::Challenges,
            Meeting::Points(307, "/there"),
        ];
        bench.server.1.open("a/f", PAUSE, &script);
        bench.server.1.open("a/there", PAUSE, &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        let spec = UploadSpec {
            credentials: Some(Credentials::login("me", "hush")),
            ..bench.upload("a/f")
        };
        start_one(&session, spec).await;
        let told = metrics(&heard.until_facts(1).await[0]).expect("it was asked");
        assert_eq!((told.transaction_count, told.redirect_count), (4, 1));
        let statuses: Vec<_> = told.transactions.iter().map(|it| it.status).collect();
        assert_eq!(statuses, [Some(503), Some(401), Some(307), Some(201)]);
        let reused: Vec<_> = told
            .transactions
            .iter()
            .map(|it| it.is_reused_connection)
            .collect();
        assert_eq!(reused, [false, false, true, true]);
        let length = u64::try_from(WHOLE).expect("a length");
        for (index, each) in told.transactions.iter().enumerate() {
            let is_whole = index > 0;
            assert_eq!(each.request_body_bytes == length, is_whole, "{each:?}");
            assert_eq!(each.request_end.is_some(), is_whole, "{each:?}");
            assert!(each.response_header_bytes > 30, "{each:?}");
            let times = [
                Some(each.fetch_start),
                each.request_start,
                each.request_end.or(each.request_start),
                each.response_start,
                each.response_end,
            ];
            assert!(
                times.iter().all(Option::is_some) && times.is_sorted(),
                "{each:?}"
            );
        }
        let last = &told.transactions[3];
        assert_eq!(last.response_body_bytes, 4);
        // The body is four chunks of the server's, each with a pause after it.
        let sending = last
            .request_end
            .zip(last.request_start)
            .expect("it was sent");
        assert!(sending.0.since(sending.1) >= 2 * PAUSE, "{last:?}");
        assert!(
            told.ended_at >= last.response_end.expect("it ended"),
            "{told:?}"
        );
    });
}

#[test]
fn the_first_byte_of_an_answer_is_not_that_of_the_word_to_go_on() {
    virtual_time(async {
        let bench = Bench::new();
        let length = usize::try_from(EXPECT_CONTINUE_BYTES_MIN).expect("a length");
        bench.put_source("f", &content(length, 3));
        bench.server.1.open("a/f", Duration::from_millis(1), &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let heard = listen(&session).await;
        start_one(&session, bench.upload("a/f")).await;
        let told = metrics(&heard.until_facts(1).await[0]).expect("it was asked");
        let only = &told.transactions[0];
        assert!(only.response_start >= only.request_end, "{only:?}");
        assert_eq!(only.request_body_bytes, EXPECT_CONTINUE_BYTES_MIN);
    });
}

#[test]
fn the_log_of_requests_goes_on_after_a_rest_and_the_counts_after_a_restart() {
    virtual_time(async {
        let bench = Bench::new();
        let engine = bench.engine().await;
        let first = session(&engine, "s").await;
        let task = expired(&bench, &first).await;
        until_phase(&first, task, &Phase::AwaitingAuthorization).await;
        let answer = first.answer_challenge(task, token("wrong")).await;
        answer.expect("an answer");
        until(async || {
            let is_waiting = phase(&first, task).await == Phase::AwaitingAuthorization;
            is_waiting && bench.server.1.arrivals("a/f").len() == 2
        })
        .await;
        engine.shutdown().await;
        let engine = bench.engine().await;
        let second = session(&engine, "s").await;
        let heard = listen(&second).await;
        let answer = second.answer_challenge(task, token("new")).await;
        answer.expect("an answer");
        let facts = heard.until_facts(3).await;
        let told = metrics(&facts[2]).expect("it was asked");
        assert_eq!(told.transaction_count, 3);
        assert_eq!(told.transactions.len(), 1, "of the process that ended it");
    });
}
