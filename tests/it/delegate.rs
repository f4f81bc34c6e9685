//! A session's delegate: what it is told, in which order, on what terms again, and what a bad one
//! can not do.

mod callbacks;
mod challenges;
mod delayed;
mod kill;
mod uploads;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use longhaul::{
    Delegate, DownloadRequest, DownloadTask, Error, FailureKind, Finished, Outcome, Progress,
    Session, TaskId,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::log::PATIENCE;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB};
use crate::face::{block_on, open};

const CONTENT: Content = Content::new(301, 2 * MIB + 5);
const PATH: &str = "/a.bin";

/// A message of a delegate.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Resumed(TaskId, u64, Option<u64>),
    Wrote(TaskId, Progress),
    Sent(TaskId, Progress),
    Finished(TaskId, PathBuf),
    Completed(TaskId, Outcome),
    AllFinished,
}

impl Told {
    const fn task(&self) -> Option<TaskId> {
        match self {
            Self::Resumed(task, ..)
            | Self::Wrote(task, _)
            | Self::Sent(task, _)
            | Self::Finished(task, _)
            | Self::Completed(task, _) => Some(*task),
            Self::AllFinished => None,
        }
    }
}

/// Passes on what it is told.
struct Recorder(Sender<Told>);

impl Recorder {
    fn new() -> (Arc<Self>, Receiver<Told>) {
        let (sender, receiver) = channel();
        (Arc::new(Self(sender)), receiver)
    }

    fn pass_on(&self, told: Told) {
        // The test may have heard enough.
        let _ = self.0.send(told);
    }
}

impl Delegate for Recorder {
    fn did_resume_at_offset(&self, task: TaskId, offset: u64, total_bytes: Option<u64>) {
        self.pass_on(Told::Resumed(task, offset, total_bytes));
    }

    fn did_write_data(&self, task: TaskId, progress: Progress) {
        self.pass_on(Told::Wrote(task, progress));
    }

    fn did_send_body_data(&self, task: TaskId, progress: Progress) {
        self.pass_on(Told::Sent(task, progress));
    }

    fn did_finish_downloading(&self, task: TaskId, file: &Finished) {
        assert_eq!(file.path.metadata().unwrap().len(), file.bytes);
        self.pass_on(Told::Finished(task, file.path.clone()));
    }

    fn did_complete(&self, task: TaskId, outcome: &Outcome) {
        self.pass_on(Told::Completed(task, outcome.clone()));
    }

    fn session_finished_events(&self) {
        self.pass_on(Told::AllFinished);
    }
}

/// What was told up to and with `AllFinished`.
fn until_all_finished(heard: &Receiver<Told>) -> Vec<Told> {
    let mut told = Vec::new();
    loop {
        told.push(heard.recv_timeout(PATIENCE).expect("something is told"));
        if told.last() == Some(&Told::AllFinished) {
            return told;
        }
    }
}

fn completed(told: &[Told]) -> Vec<TaskId> {
    let of = |told: &Told| match told {
        Told::Completed(task, _) => Some(*task),
        Told::Resumed(..)
        | Told::Wrote(..)
        | Told::Sent(..)
        | Told::Finished(..)
        | Told::AllFinished => None,
    };
    told.iter().filter_map(of).collect()
}

fn serve(replies: impl IntoIterator<Item = Reply>) -> Server {
    let server = Server::start();
    server.serve(PATH, Resource::new(CONTENT));
    server.script(PATH, replies);
    server
}

async fn start(session: &Session, bench: &Bench, url: &str, name: &str) -> DownloadTask {
    let request = DownloadRequest::new(url, bench.file(name)).unwrap();
    session.start_download(request).await.unwrap()
}

#[test]
fn a_download_is_told_in_the_order_of_foundation_and_progress_ten_times_a_second_at_most() {
    let slow = Reply::normal().bytes_per_second(2 * MIB);
    let (bench, server) = (Bench::new(), serve([slow.clone().truncate_at(MIB), slow]));
    let (delegate, heard) = Recorder::new();
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let guard = session.set_delegate(delegate).await.unwrap();
        let began = Instant::now();
        let task = start(&session, &bench, &server.url(PATH), "a.bin")
            .await
            .id();
        let told = until_all_finished(&heard);
        let most = began.elapsed().as_millis() / 100 + 1;

        let count = told.len();
        let file = bench.file("a.bin");
        assert_eq!(told[count - 3], Told::Finished(task, file));
        assert_eq!(completed(&told[count - 2..]), [task], "{told:?}");
        assert_eq!(completed(&told).len(), 1, "{told:?}");
        let is_upload = |told: &Told| matches!(told, Told::Sent(..));
        assert!(!told.iter().any(is_upload), "{told:?}");
        let resumed = Told::Resumed(task, MIB, Some(CONTENT.len()));
        let place = told.iter().position(|told| *told == resumed);
        assert!(place.is_some_and(|place| place < count - 3), "{told:?}");
        let mut bytes = 0;
        let mut progress = 0;
        for told in &told {
            if let Told::Wrote(_, now) = told {
                assert!(now.received_bytes >= bytes, "{told:?}");
                assert_eq!(now.total_bytes, Some(CONTENT.len()));
                bytes = now.received_bytes;
                progress += 1;
            }
        }
        assert!((1..=most).contains(&progress), "{progress} of {most}");
        guard.detach().await;
        engine.shutdown().await;
    });
    bench.assert_file("a.bin", CONTENT);
}

#[test]
fn a_delegate_that_comes_back_hears_what_it_missed_and_once_told_it_is_forgotten() {
    let (bench, server) = (Bench::new(), serve([]));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let there = start(&session, &bench, &server.url(PATH), "a.bin").await;
        there.finished().await.unwrap();
        let gone = start(&session, &bench, &server.url("/gone"), "b.bin").await;
        gone.finished().await.unwrap();
        engine.shutdown().await;

        let (engine, session) = open(&bench.state()).await;
        let (delegate, heard) = Recorder::new();
        let guard = session.set_delegate(delegate).await.unwrap();
        let told = until_all_finished(&heard);
        assert_eq!(completed(&told), [there.id(), gone.id()]);
        let Told::Completed(_, Outcome::Failed(failure)) = &told[2] else {
            panic!("{told:?}")
        };
        assert_eq!(failure.kind(), FailureKind::Status(404));
        assert_eq!(told.len(), 4, "the file, two ends, and that this was all");
        guard.detach().await;
        assert!(session.snapshot().await.unwrap().is_empty());

        // Nothing is left to be told, not even that nothing is left.
        let (delegate, heard) = Recorder::new();
        let guard = session.set_delegate(delegate).await.unwrap();
        let last = start(&session, &bench, &server.url("/gone"), "c.bin").await;
        assert_eq!(
            completed(&[heard.recv_timeout(PATIENCE).unwrap()]),
            [last.id()]
        );
        guard.detach().await;
        engine.shutdown().await;
    });
}

#[test]
fn an_end_is_acknowledged_only_when_the_last_method_for_it_has_returned() {
    /// Does not return from these methods until it is let go.
    struct Lingers(Sender<Option<TaskId>>, Mutex<Receiver<()>>);
    impl Lingers {
        fn linger(&self, task: Option<TaskId>) {
            self.0.send(task).unwrap();
            self.1.lock().unwrap().recv().unwrap();
        }
    }
    impl Delegate for Lingers {
        fn did_complete(&self, task: TaskId, _: &Outcome) {
            self.linger(Some(task));
        }

        fn session_finished_events(&self) {
            self.linger(None);
        }
    }
    let (bench, server) = (Bench::new(), serve([]));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let (entered, has_entered) = channel();
        let (let_go, is_let_go) = channel();
        let lingers = Lingers(entered, Mutex::new(is_let_go));
        let guard = session.set_delegate(Arc::new(lingers)).await.unwrap();
        let task = start(&session, &bench, &server.url(PATH), "a.bin").await;
        assert_eq!(has_entered.recv_timeout(PATIENCE), Ok(Some(task.id())));
        assert!(task.snapshot().await.unwrap().outcome.is_some());
        let_go.send(()).unwrap();
        // That this was the last one is told first too, so that a kill now has both told again.
        assert_eq!(has_entered.recv_timeout(PATIENCE), Ok(None));
        assert!(task.snapshot().await.unwrap().outcome.is_some());
        // The engine does not wait for a delegate, and what it was told is not lost.
        engine.shutdown().await;
        let_go.send(()).unwrap();
        guard.ended().await;

        let (engine, session) = open(&bench.state()).await;
        let (delegate, heard) = Recorder::new();
        let guard = session.set_delegate(delegate).await.unwrap();
        assert_eq!(completed(&until_all_finished(&heard)), [task.id()]);
        guard.detach().await;
        engine.shutdown().await;
    });
}

#[test]
fn a_panic_of_a_delegate_costs_no_end_and_stops_nothing() {
    /// Panics for one task.
    struct Panics(TaskId, Recorder);
    impl Delegate for Panics {
        fn did_complete(&self, task: TaskId, outcome: &Outcome) {
            self.1.did_complete(task, outcome);
            assert_ne!(task, self.0, "an ordered panic");
        }

        fn session_finished_events(&self) {
            self.1.session_finished_events();
        }
    }
    let (bench, server) = (Bench::new(), serve([]));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            let task = start(&session, &bench, &server.url(PATH), name).await;
            task.finished().await.unwrap();
            ids.push(task.id());
        }
        let (sender, heard) = channel();
        let panics = Arc::new(Panics(ids[1], Recorder(sender)));
        let guard = session.set_delegate(panics).await.unwrap();
        assert_eq!(completed(&until_all_finished(&heard)), ids);
        guard.detach().await;
        assert_eq!(session.snapshot().await.unwrap().len(), 3);

        // The next one is told what was not taken care of, and is acknowledged.
        let (delegate, heard) = Recorder::new();
        let guard = session.set_delegate(delegate).await.unwrap();
        assert_eq!(completed(&until_all_finished(&heard)), ids);
        guard.detach().await;
        assert!(session.snapshot().await.unwrap().is_empty());
        engine.shutdown().await;
    });
}

#[test]
fn a_session_has_one_delegate_at_a_time() {
    let bench = Bench::new();
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let first = session.set_delegate(Recorder::new().0).await.unwrap();
        let refused = session.clone().set_delegate(Recorder::new().0).await;
        assert_eq!(refused.err(), Some(Error::DelegateInUse));
        first.detach().await;
        let second = session.set_delegate(Recorder::new().0).await.unwrap();
        engine.shutdown().await;
        second.ended().await;
        let refused = session.set_delegate(Recorder::new().0).await;
        assert_eq!(refused.err(), Some(Error::Stopped { reason: None }));
    });
}

#[test]
fn a_session_has_finished_its_events_each_time_that_it_runs_empty_and_not_before() {
    let gate = Gate::new();
    let (bench, server) = (Bench::new(), serve([Reply::normal().hold_head(&gate)]));
    server.serve("/free", Resource::new(CONTENT));
    let (delegate, heard) = Recorder::new();
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let guard = session.set_delegate(delegate).await.unwrap();
        let held = start(&session, &bench, &server.url(PATH), "held").await;
        server.wait_for(|requests| requests.len() == 1);
        held.suspend().await.unwrap();
        let free = start(&session, &bench, &server.url("/free"), "free").await;
        let mut told = Vec::new();
        while completed(&told).is_empty() {
            told.push(heard.recv_timeout(PATIENCE).unwrap());
        }
        assert_eq!(completed(&told), [free.id()]);
        // One is suspended, so this was not all: the next that is told is its end.
        gate.open();
        held.resume().await.unwrap();
        let told = until_all_finished(&heard);
        assert!(
            told[..told.len() - 1]
                .iter()
                .all(|told| told.task() == Some(held.id()))
        );
        assert_eq!(completed(&told), [held.id()]);

        let again = start(&session, &bench, &server.url("/free"), "again").await;
        assert_eq!(completed(&until_all_finished(&heard)), [again.id()]);
        guard.detach().await;
        assert_eq!(heard.try_iter().count(), 0);
        engine.shutdown().await;
    });
}

#[test]
fn a_delegate_keeps_its_engine_and_letting_go_of_it_lets_go_of_both() {
    let gate = Gate::new();
    let (bench, server) = (Bench::new(), serve([Reply::normal().hold_head(&gate)]));
    let (delegate, heard) = Recorder::new();
    let weak = Arc::downgrade(&delegate);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let guard = session.set_delegate(delegate).await.unwrap();
        let task = start(&session, &bench, &server.url(PATH), "a.bin")
            .await
            .id();
        drop((engine, session));
        gate.open();
        assert_eq!(completed(&until_all_finished(&heard)), [task]);
        guard.detach().await;
    });
    assert!(weak.upgrade().is_none(), "nobody holds it any more");
}
