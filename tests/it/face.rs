//! The library as an app uses it: from plain threads and within a runtime, across restarts of the
//! engine, with facts that are told until they are acknowledged.

mod expectations;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use longhaul::{
    Collision, DownloadRequest, DownloadTask, Engine, Error, Event, Fact, FailureKind,
    NumberedFact, Outcome, Phase, QueueReason, Sequence, Session, SessionConfiguration, TaskId,
    TaskState,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, SECRET, next_fact};

const PATH: &str = "/a.bin";
const CONTENT: Content = Content::new(101, 4 * MIB + 9);

/// What an app with a thread and nothing else waits with.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

pub(crate) async fn open(state: &Path) -> (Engine, Session) {
    let engine = Engine::builder(state).start().unwrap();
    let configuration = SessionConfiguration::new("com.example.test").unwrap();
    let second = Duration::from_secs(1);
    let configuration = configuration.retry_delay(second / 100, second).unwrap();
    let session = engine.session(configuration).await.unwrap();
    (engine, session)
}

fn serve(content: Content) -> (Server, String) {
    let server = Server::start();
    server.serve(PATH, Resource::new(content));
    let url = server.url(PATH);
    (server, url)
}

fn request(bench: &Bench, url: &str) -> DownloadRequest {
    DownloadRequest::new(url, bench.file("a.bin")).unwrap()
}

/// The facts of a session, in their order, up to and with the `count`th.
async fn facts(session: &Session, count: usize) -> Vec<(Sequence, TaskId, Outcome)> {
    let mut events = session.events().await.unwrap();
    let mut facts = Vec::new();
    while facts.len() < count {
        let NumberedFact { sequence, fact } = next_fact(&mut events).await;
        let Fact::Completed { task, outcome, .. } = fact else {
            panic!("a new kind of fact: {fact:?}");
        };
        facts.push((sequence, task, outcome));
    }
    facts
}

/// Waits until the task says this of itself.
async fn until(task: &DownloadTask, mut is_so: impl FnMut(&Event) -> bool) -> Event {
    let mut events = task.events().await.unwrap();
    loop {
        let event = events.next().await.expect("the task has not ended");
        if is_so(&event) {
            return event;
        }
    }
}

fn finished(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Finished(file) => file.bytes,
        Outcome::Uploaded(_)
        | Outcome::Skipped(_)
        | Outcome::Failed(_)
        | Outcome::Cancelled
        | Outcome::CancelledResumable(_) => panic!("{outcome:?}"),
    }
}

#[test]
fn a_plain_thread_downloads_a_file() {
    let (bench, (_server, url)) = (Bench::new(), serve(CONTENT));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        assert_eq!(finished(&task.finished().await.unwrap()), CONTENT.len());
        assert_eq!(task.state().await.unwrap(), TaskState::Completed);
        assert_eq!(task.phase().await.unwrap(), Phase::Completed);
        assert_eq!(task.clone().await.unwrap(), task.finished().await.unwrap());
        engine.shutdown().await;
        engine.stopped().await.unwrap();
        assert_eq!(task.state().await, Err(Error::Stopped { reason: None }));
    });
    bench.assert_file("a.bin", CONTENT);
    assert_eq!(bench.names(), ["a.bin"]);
}

#[test]
fn it_works_within_a_runtime_and_from_other_threads() {
    let (bench, (_server, url)) = (Bench::new(), serve(CONTENT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        let elsewhere = task.clone();
        let other = thread::spawn(move || block_on(elsewhere.finished()));
        let outcome = task.finished().await.unwrap();
        assert_eq!(other.join().unwrap().unwrap(), outcome);
        assert_eq!(finished(&outcome), CONTENT.len());
        engine.shutdown().await;
    });
    bench.assert_file("a.bin", CONTENT);
}

#[test]
fn dropping_the_last_handle_stops_the_engine_and_its_transfers() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    server.script(PATH, [Reply::normal().bytes_per_second(MIB / 4)]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        until(&task, |event| matches!(event, Event::Progress { .. })).await;
        drop((engine, session, task));
    });
    // The server notices long before the 16 s are over that the whole would take.
    let requests = server.wait_for(|requests| requests[0].is_finished);
    assert!(requests[0].body_sent < CONTENT.len(), "{requests:?}");
}

#[test]
fn news_come_before_the_fact_and_nothing_after_it() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    server.script(PATH, [Reply::normal().bytes_per_second(8 * MIB)]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        let mut events = task.events().await.unwrap();
        let (mut received, mut phases, mut facts) = (0, Vec::new(), 0);
        while let Some(event) = events.next().await {
            assert_eq!(facts, 0, "after the fact: {event:?}");
            assert_eq!(event.task(), Some(task.id()));
            match event {
                Event::Progress { progress, .. } => {
                    assert!(progress.received_bytes >= received, "{progress:?}");
                    assert_eq!(progress.total_bytes, Some(CONTENT.len()));
                    received = progress.received_bytes;
                }
                Event::PhaseChanged { phase, .. } => phases.push(phase),
                Event::Fact(fact) => {
                    let Fact::Completed { outcome, .. } = fact.fact else {
                        panic!("a new fact")
                    };
                    assert_eq!(finished(&outcome), CONTENT.len());
                    facts += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(facts == 1 && received > 0, "{facts} {received}");
        // News: the phases that were short need not be told, but what is told is in its order.
        let order = [Phase::Connecting, Phase::Transferring, Phase::Finishing];
        let places: Vec<_> = phases
            .iter()
            .map(|p| order.iter().position(|o| o == p))
            .collect();
        assert!(places.is_sorted() && !places.contains(&None), "{phases:?}");
        engine.shutdown().await;
    });
}

#[test]
fn a_fact_is_told_again_after_a_restart_until_it_is_acknowledged() {
    let (bench, (_server, url)) = (Bench::new(), serve(CONTENT));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        let told = facts(&session, 1).await;
        engine.shutdown().await;

        let (engine, session) = open(&bench.state()).await;
        assert_eq!(facts(&session, 1).await, told);
        let again = session.get_download_tasks().await.unwrap();
        assert_eq!(
            again.iter().map(DownloadTask::id).collect::<Vec<_>>(),
            [task.id()]
        );
        assert_eq!(again[0].finished().await.unwrap(), told[0].2);
        session.acknowledge(told[0].0).await.unwrap();
        session.acknowledge(told[0].0).await.unwrap();
        assert_eq!(again[0].state().await, Err(Error::NoSuchTask(task.id())));
        engine.shutdown().await;

        let (engine, session) = open(&bench.state()).await;
        assert!(session.get_download_tasks().await.unwrap().is_empty());
        // Another end is the first thing that is told now, under a new number.
        let missing = format!("{url}.missing");
        let second = session
            .start_download(request(&bench, &missing))
            .await
            .unwrap();
        let told_now = facts(&session, 1).await;
        assert!(told_now[0].0 > told[0].0 && told_now[0].1 == second.id());
        assert!(second.id() > task.id(), "no number is used twice");
        let Outcome::Failed(failure) = &told_now[0].2 else {
            panic!("{told_now:?}")
        };
        assert_eq!(failure.kind(), FailureKind::Status(404));
        engine.shutdown().await;
    });
}

#[test]
fn an_engine_that_is_opened_again_goes_on_with_its_tasks() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    let gate = Gate::new();
    server.script(
        PATH,
        [
            Reply::normal().truncate_at(2 * MIB),
            Reply::normal().hold_head(&gate),
        ],
    );
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        server.wait_for(|requests| requests.len() == 2);
        engine.shutdown().await;

        server.script(PATH, []);
        let (engine, session) = open(&bench.state()).await;
        let tasks = session.get_download_tasks().await.unwrap();
        assert_eq!((tasks.len(), tasks[0].id()), (1, task.id()));
        assert_eq!(
            (tasks[0].url(), tasks[0].destination()),
            (task.url(), task.destination())
        );
        assert_eq!(finished(&tasks[0].finished().await.unwrap()), CONTENT.len());
        engine.shutdown().await;
    });
    assert_eq!(server.requests()[2].range(), Some((2 * MIB, None)));
    assert_eq!(server.bytes_served(PATH), CONTENT.len());
    bench.assert_file("a.bin", CONTENT);
}

#[test]
fn a_suspended_task_stays_so_through_a_restart_until_it_is_resumed() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    let gate = Gate::new();
    server.script(
        PATH,
        [
            Reply::normal().truncate_at(2 * MIB),
            Reply::normal().hold_head(&gate),
        ],
    );
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        task.resume().await.unwrap();
        server.wait_for(|requests| requests.len() == 2);
        task.suspend().await.unwrap();
        task.suspend().await.unwrap();
        assert_eq!(task.state().await.unwrap(), TaskState::Suspended);
        engine.shutdown().await;

        server.script(PATH, []);
        let (engine, session) = open(&bench.state()).await;
        let task = session.get_download_tasks().await.unwrap().remove(0);
        let snapshot = task.snapshot().await.unwrap();
        assert_eq!(
            (snapshot.state, snapshot.phase),
            (TaskState::Suspended, Phase::Suspended)
        );
        assert_eq!(snapshot.progress.received_bytes, 2 * MIB);
        assert_eq!(server.requests().len(), 2, "nothing is asked for meanwhile");
        task.resume().await.unwrap();
        assert_eq!(finished(&task.finished().await.unwrap()), CONTENT.len());
        engine.shutdown().await;
    });
    assert_eq!(server.bytes_served(PATH), CONTENT.len());
}

#[test]
fn a_target_has_one_live_task_and_an_equal_request_can_take_it_over() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    let gate = Gate::new();
    server.script(PATH, [Reply::normal().hold_at(MIB, &gate)]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        let refused = session
            .start_download(request(&bench, &url))
            .await
            .unwrap_err();
        let (named, id) = match refused {
            Error::TargetInUse { session, task } => (session, task),
            other => panic!("{other:?}"),
        };
        assert_eq!((named.as_str(), id), (session.identifier(), task.id()));
        let adopting = request(&bench, &url).adopt_existing(true);
        let adopted = session.start_download(adopting).await.unwrap();
        assert_eq!(adopted.id(), task.id());
        gate.open();
        assert_eq!(finished(&adopted.finished().await.unwrap()), CONTENT.len());
        // A task that has ended holds its target no longer.
        let again = request(&bench, &url).collision(Collision::Overwrite);
        let again = session.start_download(again).await.unwrap();
        assert_ne!(again.id(), task.id());
        finished(&again.finished().await.unwrap());
        engine.shutdown().await;
    });
    bench.assert_file("a.bin", CONTENT);
}

#[test]
fn a_target_is_claimed_across_sessions_that_are_apart() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    let gate = Gate::new();
    server.script(PATH, [Reply::normal().hold_head(&gate)]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        let other = engine
            .session(SessionConfiguration::new("other").unwrap())
            .await
            .unwrap();
        assert!(other.get_download_tasks().await.unwrap().is_empty());
        let refused = other.start_download(request(&bench, &url)).await;
        assert!(
            matches!(refused, Err(Error::TargetInUse { .. })),
            "{refused:?}"
        );
        gate.open();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
}

#[test]
fn a_thousand_tasks_are_started_in_one_call_and_all_end() {
    const TASKS: usize = 1000;
    let (bench, server) = (Bench::new(), Server::start());
    let content = Content::new(102, 3000);
    server.serve("/f", Resource::new(content));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let request = |index: usize| {
            let url = server.url(&format!("/f?{index}"));
            DownloadRequest::new(&url, bench.file(&format!("{index:04}"))).unwrap()
        };
        let mut requests: Vec<_> = (0..TASKS).map(request).collect();
        requests.push(request(0));
        let mut results = session.start_downloads(requests).await.unwrap();
        let refused = results.pop().unwrap();
        assert!(
            matches!(refused, Err(Error::TargetInUse { .. })),
            "{refused:?}"
        );
        let tasks: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        let facts = facts(&session, TASKS).await;
        assert!(
            facts.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "facts come in their order"
        );
        let mut ended: Vec<_> = facts.iter().map(|(_, task, _)| *task).collect();
        ended.sort();
        let ids: Vec<_> = tasks.iter().map(DownloadTask::id).collect();
        assert_eq!(ended, ids, "each task ends once");
        facts
            .iter()
            .for_each(|(_, _, outcome)| assert_eq!(finished(outcome), 3000));
        session.acknowledge(facts[TASKS - 1].0).await.unwrap();
        assert!(session.get_download_tasks().await.unwrap().is_empty());
        engine.shutdown().await;
    });
    assert_eq!(bench.names().len(), TASKS);
    for name in bench.names() {
        bench.assert_file(&name, content);
    }
}

#[test]
fn a_task_says_what_it_waits_for_and_no_secret() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    let gate = Gate::new();
    server.script(PATH, [Reply::normal().hold_head(&gate)]);
    block_on(async {
        let engine = Engine::builder(bench.state()).start().unwrap();
        let configuration = SessionConfiguration::new("one")
            .unwrap()
            .tasks_max(1)
            .unwrap();
        let session = engine.session(configuration).await.unwrap();
        let first = session.start_download(request(&bench, &url)).await.unwrap();
        server.wait_for(|requests| requests.len() == 1);
        let secret = format!("{url}?signature={SECRET}");
        let second = DownloadRequest::new(&secret, bench.file("b")).unwrap();
        let second = second
            .header("Authorization", SECRET)
            .unwrap()
            .credentials("user", SECRET);
        assert!(!format!("{second:?}").contains(SECRET), "{second:?}");
        let second = session.start_download(second).await.unwrap();
        let snapshot = second.snapshot().await.unwrap();
        assert_eq!(snapshot.phase, Phase::Queued(QueueReason::SessionLimit));
        let shown = format!("{session:?} {snapshot:?} {second:?} {}", second.url());
        assert!(!shown.contains(SECRET), "{shown}");
        gate.open();
        finished(&first.finished().await.unwrap());
        finished(&second.finished().await.unwrap());
        engine.shutdown().await;
    });
}
