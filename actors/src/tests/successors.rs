//! Tasks that stand by for a place and take it over without the session.

use std::time::Duration;

use longhaul_engine::id::TaskId;
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Adjustment, Desired, Outcome, Phase, Priority};

use super::bench::{
    Bench, Heard, content, ending, listen, phase, session_with, start, until, until_phase,
    virtual_time,
};
use super::server::Answer;
use crate::fault::{self, Plan};
use crate::handle::{EngineHandle, SessionHandle};
use crate::intake::Intake;

const PAUSE: Duration = Duration::from_millis(1);
const TAKEN_OVER: &str = "session.caught_up";

/// Serves so many small files of one host; how they are asked for.
fn serve(bench: &Bench, count: usize) -> Vec<String> {
    let at: Vec<String> = (0..count).map(|number| format!("a/{number:03}")).collect();
    for (number, at) in at.iter().enumerate() {
        bench.server.put(at, &content(1000, number), PAUSE, &[]);
    }
    at
}

async fn open(engine: &EngineHandle, tasks_max: u32) -> SessionHandle {
    let rules = SessionRules {
        tasks_max,
        tasks_per_host_max: tasks_max,
        ..SessionRules::default()
    };
    session_with(engine, "s", rules).await
}

async fn start_all(bench: &Bench, session: &SessionHandle, at: &[String]) -> Vec<TaskId> {
    start(session, at.iter().map(|at| bench.spec(at)).collect()).await
}

/// The tasks that have ended, in the order in which they did.
async fn ended(heard: &Heard, count: usize) -> Vec<TaskId> {
    let facts = heard.until_facts(count).await;
    facts.iter().map(|fact| ending(fact).0).collect()
}

/// How often a place was taken over since the points are counted.
fn taken_over() -> usize {
    let hits = fault::hits();
    hits.iter().filter(|hit| **hit == TAKEN_OVER).count()
}

#[test]
fn places_are_taken_over_in_order_and_no_more_run_than_may() {
    virtual_time(async {
        let bench = Bench::new();
        let at = serve(&bench, 300);
        let engine = bench.engine().await;
        let session = open(&engine, 3).await;
        let heard = listen(&session).await;
        fault::arm(Plan::default());
        let tasks = start_all(&bench, &session, &at).await;
        let ended = ended(&heard, tasks.len()).await;
        fault::disarm();
        assert!(taken_over() > 150, "{} places", taken_over());
        assert_eq!(bench.server.all_open_max(), 3);
        // Those that run at once may end in another order.
        for (place, task) in ended.iter().enumerate() {
            let number = tasks.iter().position(|it| it == task).expect("it was made");
            assert!(number.abs_diff(place) < 50, "{number} ended as {place}");
        }
        for (at, task) in at.iter().zip(tasks) {
            let name = at.trim_start_matches("a/");
            assert_eq!(session.outcome(task).await, Ok(bench.finished(name, 1000)));
            assert_eq!(bench.server.seen(at).len(), 1);
        }
        engine.shutdown().await;
    });
}

#[test]
fn what_is_said_of_a_task_that_stands_by_counts() {
    virtual_time(async {
        let bench = Bench::new();
        let at = serve(&bench, 8);
        let stuck = content(1000, 0);
        bench
            .server
            .put(&at[0], &stuck, PAUSE, &[Answer::Stall(10)]);
        let engine = bench.engine().await;
        let session = open(&engine, 1).await;
        let heard = listen(&session).await;
        let tasks = start_all(&bench, &session, &at).await;
        until(async || bench.server.sent_bytes(&at[0]) > 0).await;
        // Time for the others to be read ahead and to stand by.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let want = async |task: usize, desired| {
            let said = session.want(tasks[task], desired).await;
            said.expect("an answer");
        };
        want(1, Desired::Suspended).await;
        want(2, Desired::Cancelled).await;
        let priority = Adjustment::Priority(Priority::HIGH);
        let first = session.adjust(tasks[6], priority).await;
        first.expect("an answer");
        let slow = session.adjust(tasks[4], Adjustment::RateLimit(Some(100)));
        slow.await.expect("an answer");
        fault::arm(Plan::default());
        bench.server.release(&at[0]);
        let order = [2, 0, 6, 3, 4, 5, 7].map(|task: usize| tasks[task]);
        let began = bench.elapsed();
        assert_eq!(ended(&heard, order.len()).await, order);
        let took = bench.elapsed() - began;
        assert!(took > Duration::from_secs(5), "1000 bytes took {took:?}");
        fault::disarm();
        assert!(taken_over() > 0);
        assert_eq!(phase(&session, tasks[1]).await, Phase::Suspended);
        assert_eq!(bench.server.seen(&at[1]), []);
        assert_eq!(bench.server.seen(&at[2]), []);
        assert_eq!(session.outcome(tasks[2]).await, Ok(Outcome::Cancelled));
        want(1, Desired::Running).await;
        let late = session.outcome(tasks[1]).await;
        assert_eq!(late, Ok(bench.finished("001", 1000)));
        engine.shutdown().await;
    });
}

#[test]
fn a_task_that_stands_by_keeps_its_turn_when_something_is_said_of_it() {
    virtual_time(async {
        let bench = Bench::new();
        let at = serve(&bench, 40);
        let stuck = content(1000, 0);
        bench
            .server
            .put(&at[0], &stuck, PAUSE, &[Answer::Stall(10)]);
        let engine = bench.engine().await;
        let session = open(&engine, 1).await;
        let heard = listen(&session).await;
        let tasks = start_all(&bench, &session, &at).await;
        until(async || bench.server.sent_bytes(&at[0]) > 0).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let resumed = session.want(tasks[1], Desired::Running).await;
        resumed.expect("an answer");
        let limit = Adjustment::RateLimit(Some(1_000_000));
        let adjusted = session.adjust(tasks[3], limit).await;
        adjusted.expect("an answer");
        bench.server.release(&at[0]);
        assert_eq!(ended(&heard, tasks.len()).await, tasks);
        engine.shutdown().await;
    });
}

/// So many that the session is not told of the first that takes a place over.
const MANY: usize = 40;

/// A session for one task at a time whose second task has taken over the place of its first, which can
/// not end: nobody has told the session of it. Both tasks hold what is left of their files back.
async fn second_unheard(bench: &Bench) -> (SessionHandle, EngineHandle, Intake, Vec<TaskId>) {
    let at = serve(bench, MANY);
    for at in &at[..2] {
        let script = [Answer::Stall(10), Answer::Stall(10)];
        bench.server.put(at, &content(1000, 1), PAUSE, &script);
    }
    let (engine, intake) = bench.engine_with_intake().await;
    let session = open(&engine, 1).await;
    let tasks = start_all(bench, &session, &at).await;
    until(async || bench.server.sent_bytes(&at[0]) > 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    intake.hold();
    fault::arm(Plan::default());
    bench.server.release(&at[0]);
    until(async || bench.server.sent_bytes(&at[1]) > 0).await;
    fault::disarm();
    assert_eq!(taken_over(), 0, "the session was told of it");
    (session, engine, intake, tasks)
}

/// Lets everything go on that was held up, and waits until every task has ended as it should.
async fn finish(bench: &Bench, session: &SessionHandle, intake: &Intake, tasks: &[TaskId]) {
    intake.release();
    bench.server.release("a/001");
    for (number, task) in tasks.iter().enumerate() {
        let finished = bench.finished(&format!("{number:03}"), 1000);
        assert_eq!(session.outcome(*task).await, Ok(finished));
    }
}

#[test]
fn a_task_that_has_taken_a_place_over_is_seen_running() {
    virtual_time(async {
        let bench = Bench::new();
        let (session, engine, intake, tasks) = second_unheard(&bench).await;
        let seen = phase(&session, tasks[1]).await;
        assert!(!matches!(seen, Phase::Queued(_)), "{seen:?}");
        let seen = phase(&session, tasks[2]).await;
        assert!(matches!(seen, Phase::Queued(_)), "{seen:?}");
        finish(&bench, &session, &intake, &tasks).await;
        engine.shutdown().await;
    });
}

#[test]
fn a_task_that_has_taken_a_place_over_can_be_stopped() {
    virtual_time(async {
        let bench = Bench::new();
        let (session, engine, intake, tasks) = second_unheard(&bench).await;
        let suspended = session.want(tasks[1], Desired::Suspended).await;
        suspended.expect("an answer");
        intake.release();
        until_phase(&session, tasks[1], &Phase::Suspended).await;
        bench.server.release("a/001");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(phase(&session, tasks[1]).await, Phase::Suspended);
        assert_eq!(bench.file("001"), None);
        let resumed = session.want(tasks[1], Desired::Running).await;
        resumed.expect("an answer");
        finish(&bench, &session, &intake, &tasks).await;
        engine.shutdown().await;
    });
}

#[test]
fn a_task_that_has_taken_a_place_over_may_end_before_the_one_that_had_it() {
    virtual_time(async {
        super::matrix::silence_ordered_panics();
        let bench = Bench::new();
        let (session, engine, intake, tasks) = second_unheard(&bench).await;
        fault::arm(Plan {
            panic_once: vec!["pump.block"],
            ..Plan::default()
        });
        // It crashes with the bytes that it was waiting for, and the next one gets its place.
        bench.server.release("a/001");
        until(async || !bench.server.seen("a/002").is_empty()).await;
        fault::disarm();
        finish(&bench, &session, &intake, &tasks).await;
        engine.shutdown().await;
    });
}

#[test]
fn where_others_wait_too_every_place_goes_through_the_session() {
    virtual_time(async {
        let bench = Bench::new();
        let at = serve(&bench, 20);
        fault::arm(Plan::default());
        // The places of the whole engine are a line in which sessions wait.
        let engine = bench.engine_with_places(2).await;
        let session = open(&engine, 2).await;
        let tasks = start_all(&bench, &session, &at).await;
        for (at, task) in at.iter().zip(tasks) {
            let name = at.trim_start_matches("a/");
            assert_eq!(session.outcome(task).await, Ok(bench.finished(name, 1000)));
        }
        engine.shutdown().await;
        fault::disarm();
        assert_eq!(taken_over(), 0);
    });
}

#[test]
fn hosts_take_turns_and_a_host_that_waits_alone_does_not() {
    virtual_time(async {
        let bench = Bench::new();
        let at = serve(&bench, 60);
        for at in ["b/0", "b/1"] {
            bench.server.put(at, &content(1000, 1), PAUSE, &[]);
        }
        let engine = bench.engine().await;
        let session = open(&engine, 1).await;
        let heard = listen(&session).await;
        let mut tasks = start_all(&bench, &session, &at).await;
        let others = ["b/0", "b/1"].map(|at| bench.spec(at)).to_vec();
        let others = start(&session, others).await;
        tasks.extend(&others);
        fault::arm(Plan::default());
        let order = ended(&heard, tasks.len()).await;
        fault::disarm();
        assert!(taken_over() > 20, "{} places", taken_over());
        for (turn, other) in others.iter().enumerate() {
            let place = order.iter().position(|task| task == other);
            let place = place.expect("it ended");
            assert!(place < 10, "turn {turn} came as {place}");
        }
        for task in tasks {
            let outcome = session.outcome(task).await;
            assert!(matches!(outcome, Ok(Outcome::Finished(_))), "{outcome:?}");
        }
        engine.shutdown().await;
    });
}

#[test]
fn a_session_that_crashes_takes_those_that_stand_by_with_it() {
    virtual_time(async {
        let bench = Bench::new();
        let at = serve(&bench, 100);
        let engine = bench.engine().await;
        let session = open(&engine, 2).await;
        fault::arm(Plan {
            panic_once: vec![TAKEN_OVER],
            ..Plan::default()
        });
        super::matrix::silence_ordered_panics();
        let tasks = start_all(&bench, &session, &at).await;
        for (at, task) in at.iter().zip(tasks) {
            let name = at.trim_start_matches("a/");
            assert_eq!(session.outcome(task).await, Ok(bench.finished(name, 1000)));
        }
        fault::disarm();
        assert!(taken_over() > 1, "the next one goes on so");
        assert!(
            bench.server.all_open_max() <= 2 + 2,
            "those before, and those after"
        );
        engine.shutdown().await;
    });
}
