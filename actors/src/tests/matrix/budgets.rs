//! What always crashes: a task fails, an engine says why and stops, and nobody waits for ever.

use std::time::Duration;

use longhaul_engine::failure::FailureKind;
use longhaul_engine::id::{Sequence, SessionId};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::Outcome;

use super::silence_ordered_panics;
use crate::fault::{self, Plan};
use crate::handle::CallError;
use crate::tests::bench::{
    Bench, Heard, content, listen, requests, session, start_one, virtual_time,
};

const PAUSE: Duration = Duration::from_millis(20);

/// The first start and five restarts.
const STARTS: usize = 6;

fn always(points: &[&'static str]) {
    silence_ordered_panics();
    fault::arm(Plan {
        panic_always: points.to_vec(),
        ..Plan::default()
    });
}

#[test]
fn a_transfer_that_always_crashes_fails_and_hurts_nobody_else() {
    let points = [
        &["transfer.started"][..],
        &["transfer.beginning"][..],
        &["transfer.begun"][..],
        &["transfer.ask"][..],
        &["transfer.asking"][..],
        &["transfer.answered"][..],
        &["transfer.stream"][..],
        &["pump.started"][..],
        &["pump.block"][..],
        &["pump.ending"][..],
        &["transfer.body_ended"][..],
        &["transfer.release_place"][..],
        &["transfer.record"][..],
        &["transfer.writing"][..],
        &["transfer.publish"][..],
        // The session crashes too, when the end is committed and not told.
        &["transfer.begun", "session.closed_crashed"],
    ];
    for crashing in points {
        let point = crashing[0];
        virtual_time(async {
            let bench = Bench::new();
            let body = content(300_000, 1);
            bench.server.put("a/f", &body, PAUSE, &[]);
            bench.server.put("a/g", &body, PAUSE, &[]);
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let heard = listen(&session).await;
            always(crashing);
            let task = start_one(&session, bench.spec("a/f")).await;
            match session.outcome(task).await {
                Ok(Outcome::Failed(failure)) => {
                    assert_eq!(failure.kind(), FailureKind::Crashed, "{point}");
                }
                other => panic!("{point}: {other:?}"),
            }
            fault::disarm();
            let starts = fault::hits().iter().filter(|hit| **hit == point).count();
            assert_eq!(starts, STARTS, "{point}");
            assert!(
                bench.elapsed() < Duration::from_secs(60),
                "{point}: {:?}",
                bench.elapsed()
            );

            let other = start_one(&session, bench.spec("a/g")).await;
            assert_eq!(
                session.outcome(other).await,
                Ok(bench.finished("g", body.len()))
            );
            heard.until_facts(2).await;
            session
                .acknowledge(Sequence::new(2))
                .await
                .expect("an answer");
            assert_eq!(bench.files(), ["g"], "{point}");
            engine.shutdown().await;
            assert_eq!(engine.stopped().await, None, "{point}");
        });
    }
}

#[test]
fn a_transfer_that_crashes_now_and_then_is_restarted_without_end() {
    // The budget is for a minute: a crash a minute is no reason to give up.
    virtual_time(async {
        silence_ordered_panics();
        let bench = Bench::new();
        let body = content(2_000_000, 2);
        bench.server.put("a/f", &body, Duration::from_secs(10), &[]);
        let engine = bench.engine().await;
        let session = session(&engine, "s").await;
        let task = start_one(&session, bench.spec("a/f")).await;
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_secs(21)).await;
            fault::arm(Plan {
                panic_at: vec![1],
                ..Plan::default()
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(
            session.outcome(task).await,
            Ok(bench.finished("f", body.len()))
        );
        assert!(bench.file("f").as_deref() == Some(&*body));
        fault::disarm();
    });
}

#[test]
fn an_engine_whose_actor_always_crashes_says_so_and_stops() {
    let points = [
        (&["registry.started"][..], "store"),
        (&["registry.apply"][..], "store"),
        (&["registry.flush"][..], "store"),
        (&["registry.committed"][..], "store"),
        (&["registry.told"][..], "store"),
        (&["registry.list"][..], "store"),
        (&["registry.begin"][..], "store"),
        (&["session.started"][..], "session s"),
        (&["session.start"][..], "session s"),
        (&["session.registered"][..], "session s"),
        (&["session.launch"][..], "session s"),
        (&["session.outcome"][..], "session s"),
        (&["notifier.started"][..], "notifier"),
        (&["notifier.refill"][..], "notifier"),
        (&["notifier.refilled"][..], "notifier"),
        (&["session.close_crashed", "transfer.begun"], "session s"),
    ];
    for (crashing, culprit) in points {
        let point = crashing[0];
        virtual_time(async {
            let bench = Bench::new();
            bench.server.put("a/f", &content(300_000, 3), PAUSE, &[]);
            always(crashing);
            let engine = bench.engine().await;
            let id = SessionId::new("s").expect("a name");
            let play = async {
                let session = engine
                    .open_session(id.clone(), SessionRules::default())
                    .await?;
                let heard = Heard::from(session.subscribe(None).await?);
                let started = session
                    .start(requests(vec![bench.spec("a/f")], false))
                    .await?;
                let task = started[0].clone().expect("a task");
                session.outcome(task).await?;
                heard.until_facts(1).await;
                Ok::<_, CallError>(())
            };
            let reason = tokio::select! {
                biased;
                // The end of the engine ends every call, and with the same reason.
                played = play => match played {
                    Err(CallError::Stopped { reason }) => reason,
                    other => panic!("{point}: {other:?}"),
                },
                reason = engine.stopped() => reason,
            };
            fault::disarm();
            let reason = reason.unwrap_or_else(|| panic!("{point}: it gave no reason"));
            assert!(reason.contains(culprit), "{point}: {reason}");
            assert_eq!(engine.stopped().await, Some(reason.clone()), "{point}");
            let starts = fault::hits().iter().filter(|hit| **hit == point).count();
            assert!((STARTS..STARTS * 3).contains(&starts), "{point}: {starts}");
            let again = engine
                .open_session(id.clone(), SessionRules::default())
                .await;
            let stopped = Some(CallError::Stopped {
                reason: Some(reason),
            });
            assert_eq!(again.err(), stopped, "{point}");

            // The crashes over, the next engine finds everything.
            let engine = bench.engine().await;
            let session = session(&engine, "s").await;
            let started = session
                .start(requests(vec![bench.spec("a/f")], true))
                .await
                .expect("an answer");
            let task = started[0].clone().expect("a task");
            assert_eq!(
                session.outcome(task).await,
                Ok(bench.finished("f", 300_000)),
                "{point}"
            );
        });
    }
}
