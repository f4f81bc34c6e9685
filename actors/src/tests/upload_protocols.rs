//! Uploads that go on where the server has them: what each protocol sends, and what is on record when.

use std::time::Duration;

use longhaul_engine::event::Event;
use longhaul_engine::failure::FailureKind;
use longhaul_engine::task::{Desired, Outcome, UploadSpec, Uploaded};
use longhaul_engine::upload::UploadProtocol;
use longhaul_engine::upload::protocol::{Evidence, Protocol};

use super::bench::{Bench, content, listen, session, start_one, until, virtual_time};
use super::depot::{Depot, Dialect, Hitch};

const PAUSE: Duration = Duration::from_millis(20);

/// Long enough that it is worth asking the server what it supports.
const LENGTH: usize = 3 << 20;

const IETF: Protocol = Protocol::Ietf { interop: 6 };

/// A POST of `http://AT` in the protocol that the server proves to speak.
fn post(bench: &Bench, at: &str) -> UploadSpec {
    UploadSpec {
        method: "POST".to_owned(),
        protocol: UploadProtocol::Auto,
        ..bench.upload(at)
    }
}

/// How an upload ends whose last answer has this status.
fn uploaded(outcome: &Outcome) -> &Uploaded {
    match outcome {
        Outcome::Uploaded(uploaded) => uploaded,
        other => panic!("{other:?}"),
    }
}

/// That the server has one upload, whole and right.
fn assert_whole(depot: &Depot, at: &str, body: &[u8]) {
    let kept = depot.kept(at);
    assert_eq!(kept.len(), 1, "one upload");
    assert!(kept[0].is_complete && kept[0].bytes == body);
}

#[test]
fn an_upload_speaks_what_its_server_proves_to_speak_and_says_so() {
    let table = [
        (
            Dialect::Tus,
            vec!["OPTIONS", "POST", "PATCH"],
            Protocol::Tus,
            Evidence::Options,
        ),
        (
            Dialect::Limits,
            vec!["OPTIONS", "POST", "PATCH"],
            IETF,
            Evidence::Options,
        ),
        (
            Dialect::Interim,
            vec!["OPTIONS", "POST"],
            IETF,
            Evidence::Interim,
        ),
    ];
    for (dialect, methods, protocol, evidence) in table {
        virtual_time(async {
            let bench = Bench::new();
            let depot = &bench.server.2;
            let body = content(LENGTH, 31);
            bench.put_source("f", &body);
            bench.put_source("g", &body);
            depot.open("a/f", dialect, PAUSE, &[]);
            depot.open("a/g", dialect, PAUSE, &[]);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let heard = listen(&session).await;
            let task = start_one(&session, post(&bench, "a/f")).await;
            let outcome = session.outcome(task).await.expect("an outcome");
            assert_eq!(uploaded(&outcome).bytes, LENGTH as u64);
            assert_whole(depot, "a/f", &body);
            assert_eq!(depot.methods("a/f"), methods, "{dialect:?}");
            let negotiated: Vec<_> = heard
                .events()
                .into_iter()
                .filter_map(|event| match event {
                    Event::Negotiated { negotiated, .. } => Some(negotiated),
                    _ => None,
                })
                .collect();
            assert_eq!(negotiated.len(), 1, "{negotiated:?}");
            assert_eq!(
                (negotiated[0].protocol, negotiated[0].evidence),
                (protocol, evidence)
            );

            // Another one to the same origin needs not ask.
            let task = start_one(&session, post(&bench, "a/g")).await;
            session.outcome(task).await.expect("an outcome");
            assert_whole(depot, "a/g", &body);
            assert_eq!(depot.methods("a/g"), methods[1..], "{dialect:?}");
        });
    }
}

#[test]
fn the_place_that_an_interim_answer_names_is_on_record_before_more_bytes_go() {
    virtual_time(async {
        let bench = Bench::new();
        let depot = &bench.server.2;
        let body = content(LENGTH, 32);
        bench.put_source("f", &body);
        let told_at = 500_000;
        depot.open("a/f", Dialect::Interim, PAUSE, &[Hitch::TellsLate(told_at)]);
        let (engine, intake) = bench.engine_with_intake().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, post(&bench, "a/f")).await;
        let came = || depot.visits("a/f").last().map_or(0, |visit| visit.bytes);
        until(async || came() > 0).await;
        intake.hold();
        until(async || came() >= told_at).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        let came_by_then = came();
        // What lay in the pipe when the answer came, and nothing since.
        assert!(came_by_then < told_at + 64 * 1024, "{came_by_then}");
        intake.release();
        let outcome = session.outcome(task).await.expect("an outcome");
        assert_eq!(uploaded(&outcome).bytes, LENGTH as u64);
        assert_whole(depot, "a/f", &body);
        assert_eq!(
            depot.methods("a/f"),
            ["OPTIONS", "POST"],
            "nothing was sent again"
        );
    });
}

#[test]
fn what_breaks_goes_on_where_the_server_has_it() {
    for dialect in [Dialect::Tus, Dialect::Limits, Dialect::Interim] {
        virtual_time(async {
            let bench = Bench::new();
            let depot = &bench.server.2;
            let body = content(LENGTH, 33);
            bench.put_source("f", &body);
            let script = [
                Hitch::Drops(1_000_000),
                Hitch::Drops(7),
                Hitch::Drops(900_000),
            ];
            depot.open("a/f", dialect, PAUSE, &script);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let task = start_one(&session, post(&bench, "a/f")).await;
            let outcome = session.outcome(task).await.expect("an outcome");
            assert_eq!(uploaded(&outcome).bytes, LENGTH as u64);
            assert_whole(depot, "a/f", &body);
            let visits = depot.visits("a/f");
            let asked = visits.iter().filter(|visit| visit.method == "HEAD").count();
            assert_eq!(asked, 3, "{dialect:?} {visits:?}");
            let taken: usize = visits.iter().map(|visit| visit.bytes).sum();
            assert_eq!(taken, LENGTH, "no byte twice");
        });
    }
}

#[test]
fn an_engine_that_starts_again_goes_on_where_the_server_has_it() {
    for dialect in [Dialect::Tus, Dialect::Limits, Dialect::Interim] {
        virtual_time(async {
            let bench = Bench::new();
            let depot = &bench.server.2;
            let body = content(LENGTH, 34);
            bench.put_source("f", &body);
            depot.open("a/f", dialect, PAUSE, &[]);
            let engine = bench.engine().await;
            let one = session(&engine, "s").await;
            let task = start_one(&one, post(&bench, "a/f")).await;
            let came = || depot.kept("a/f").first().map_or(0, |kept| kept.bytes.len());
            until(async || came() > LENGTH / 2).await;
            engine.shutdown().await;
            let engine = bench.engine().await;
            let again = session(&engine, "s").await;
            let outcome = again.outcome(task).await.expect("an outcome");
            assert_eq!(uploaded(&outcome).bytes, LENGTH as u64);
            assert_whole(depot, "a/f", &body);
            let visits = depot.visits("a/f");
            let taken: usize = visits.iter().map(|visit| visit.bytes).sum();
            assert_eq!(taken, LENGTH, "no byte twice");
        });
    }
}

#[test]
fn an_early_refusal_of_a_piece_ends_its_body() {
    virtual_time(async {
        let bench = Bench::new();
        let depot = &bench.server.2;
        bench.put_source("f", &content(LENGTH, 35));
        depot.open("a/f", Dialect::Tus, PAUSE, &[Hitch::Refuses(100_000, 415)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, post(&bench, "a/f")).await;
        match session.outcome(task).await {
            Ok(Outcome::Failed(failure)) => assert_eq!(failure.kind(), FailureKind::Status(415)),
            other => panic!("{other:?}"),
        }
        assert!(
            bench.elapsed() < Duration::from_secs(3),
            "{:?}",
            bench.elapsed()
        );
        let taken: usize = depot.visits("a/f").iter().map(|visit| visit.bytes).sum();
        assert_eq!(taken, 100_000);
    });
}

#[test]
fn a_cancelled_upload_is_removed_from_its_server_by_whatever_engine_runs_then() {
    for restarts in [false, true] {
        for dialect in [Dialect::Tus, Dialect::Limits, Dialect::Interim] {
            virtual_time(async {
                let bench = Bench::new();
                let depot = &bench.server.2;
                bench.put_source("f", &content(LENGTH, 36));
                depot.open("a/f", dialect, PAUSE, &[]);
                let engine = bench.engine().await;
                let mut session_now = session(&engine, "s").await;
                let task = start_one(&session_now, post(&bench, "a/f")).await;
                let came = || depot.kept("a/f").first().map_or(0, |kept| kept.bytes.len());
                until(async || came() > LENGTH / 2).await;
                let wish = session_now.want(task, Desired::Cancelled).await;
                wish.expect("an answer");
                if restarts {
                    engine.shutdown().await;
                    let engine = bench.engine().await;
                    session_now = session(&engine, "s").await;
                }
                let outcome = session_now.outcome(task).await;
                assert_eq!(outcome, Ok(Outcome::Cancelled));
                let kept = depot.kept("a/f");
                assert!(kept.len() == 1 && kept[0].is_removed, "{dialect:?}");
                assert!(depot.methods("a/f").contains(&"DELETE".to_owned()));
            });
        }
    }
}

#[test]
fn a_redirected_piece_goes_on_from_its_own_offset_elsewhere() {
    for status in [307, 308] {
        virtual_time(async {
            let bench = Bench::new();
            let depot = &bench.server.2;
            let body = content(LENGTH, 37);
            bench.put_source("f", &body);
            let elsewhere = "Location: http://b/f/~0\r\n".to_owned();
            let script = [Hitch::Drops(700_001), Hitch::Answers(status, elsewhere)];
            depot.open("a/f", Dialect::Tus, PAUSE, &script);
            depot.alias("b/f", "a/f");
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let task = start_one(&session, post(&bench, "a/f")).await;
            let outcome = session.outcome(task).await.expect("an outcome");
            assert_eq!(uploaded(&outcome).bytes, LENGTH as u64);
            assert_whole(depot, "a/f", &body);
            let visits = depot.visits("a/f");
            let moved: Vec<_> = visits
                .iter()
                .filter(|visit| visit.at.starts_with("b/"))
                .collect();
            assert_eq!(moved.len(), 1, "{visits:?}");
            assert_eq!(moved[0].offset, Some(700_001));
        });
    }
}

#[test]
fn an_upload_whose_place_is_gone_begins_again_only_when_that_harms_nobody() {
    virtual_time(async {
        let bench = Bench::new();
        let depot = &bench.server.2;
        let body = content(LENGTH, 38);
        bench.put_source("f", &body);
        depot.open("a/f", Dialect::Tus, PAUSE, &[Hitch::Drops(1_000_000)]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, post(&bench, "a/f")).await;
        until(async || {
            depot
                .kept("a/f")
                .iter()
                .any(|it| it.bytes.len() >= 1_000_000)
        })
        .await;
        depot.forget("a/f");
        let outcome = session.outcome(task).await.expect("an outcome");
        assert_eq!(uploaded(&outcome).bytes, LENGTH as u64);
        let kept = depot.kept("a/f");
        assert_eq!(kept.len(), 2);
        assert!(!kept[0].is_complete && kept[1].is_complete && kept[1].bytes == *body);
    });
}
