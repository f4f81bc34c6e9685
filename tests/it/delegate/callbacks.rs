//! Callbacks of single tasks, as scripts set them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

use longhaul::{Error, FailureKind, Outcome, TaskState};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;

use super::{CONTENT, PATH, serve, start};
use crate::bench::{Bench, MIB, next};
use crate::face::{block_on, open};

#[test]
fn both_callbacks_for_the_end_are_called_after_those_for_progress() {
    let slow = Reply::normal().bytes_per_second(4 * MIB);
    let (bench, server) = (Bench::new(), serve([slow]));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = start(&session, &bench, &server.url(PATH), "a.bin").await;
        // Every example of the documented API calls it on a task that runs: it changes nothing.
        task.resume().await.unwrap();
        assert_eq!(task.state().await, Ok(TaskState::Running));
        let (called, heard) = channel();
        let last_bytes = Arc::new(AtomicU64::new(0));
        let (bytes, progress) = (Arc::clone(&last_bytes), called.clone());
        let on_progress = move |now: longhaul::Progress| {
            assert!(now.received_bytes >= bytes.swap(now.received_bytes, Ordering::Relaxed));
            progress.send("progress".to_owned()).unwrap();
        };
        task.on_progress(on_progress).await.unwrap();
        let complete = called.clone();
        let on_complete = move |outcome: &Outcome| {
            assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
            complete.send("complete".to_owned()).unwrap();
        };
        task.on_complete(on_complete).await.unwrap();
        let on_finish = move |file: Result<&Path, &Outcome>| {
            let name = file.unwrap().file_name().unwrap().to_str().unwrap();
            called.send(name.to_owned()).unwrap();
        };
        task.on_finish_download(on_finish).await.unwrap();
        // Nobody holds the task any more; its callbacks stay.
        drop(task);
        let all: Vec<String> = heard.iter().collect();
        let (ends, progress) = (&all[all.len() - 2..], &all[..all.len() - 2]);
        assert_eq!(ends, ["a.bin", "complete"]);
        assert!(!progress.is_empty() && progress.iter().all(|call| call == "progress"));
        assert!(last_bytes.load(Ordering::Relaxed) > 0);
        engine.shutdown().await;
    });
    bench.assert_file("a.bin", CONTENT);
}

#[test]
fn a_callback_that_is_set_after_the_end_is_called_also_after_a_restart() {
    let (bench, server) = (Bench::new(), serve([]));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = start(&session, &bench, &server.url("/gone"), "a.bin").await;
        task.finished().await.unwrap();
        for _ in 0..2 {
            let (called, heard) = channel();
            let on_complete = move |outcome: &Outcome| called.send(outcome.clone()).unwrap();
            task.on_complete(on_complete).await.unwrap();
            let Outcome::Failed(failure) = next(&heard) else {
                panic!("it can not have ended well")
            };
            assert_eq!(failure.kind(), FailureKind::Status(404));
        }
        engine.shutdown().await;

        let (engine, session) = open(&bench.state()).await;
        let task = session.get_download_tasks().await.unwrap().remove(0);
        let (called, heard) = channel();
        let on_finish = move |file: Result<&Path, &Outcome>| called.send(file.is_err()).unwrap();
        task.on_finish_download(on_finish).await.unwrap();
        assert!(next(&heard), "there is no file");
        engine.shutdown().await;
    });
}

#[test]
fn a_callback_replaces_the_one_before_and_an_acknowledged_end_calls_none() {
    let gate = Gate::new();
    let (bench, server) = (Bench::new(), serve([Reply::normal().hold_head(&gate)]));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = start(&session, &bench, &server.url(PATH), "a.bin").await;
        let (called, heard) = channel();
        for name in ["first", "second"] {
            // Another handle of the same task is as good.
            let same = session.get_download_tasks().await.unwrap().remove(0);
            let called = called.clone();
            let on_complete = move |_: &Outcome| called.send(name).unwrap();
            same.on_complete(on_complete).await.unwrap();
        }
        drop(called);
        gate.open();
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["second"]);
        assert!(matches!(task.finished().await, Ok(Outcome::Finished(_))));

        // Callbacks acknowledge nothing: that is the app's.
        session
            .acknowledge(longhaul::Sequence::new(1))
            .await
            .unwrap();
        let gone = Err(Error::NoSuchTask(task.id()));
        assert_eq!(task.on_complete(|_| ()).await, gone);
        assert_eq!(task.on_progress(|_| ()).await, gone);
        engine.shutdown().await;
        let late = task.on_complete(|_| ()).await;
        assert_eq!(late, Err(Error::Stopped { reason: None }));
    });
}

#[test]
fn a_callback_that_panics_hinders_no_other() {
    let gate = Gate::new();
    let slow = Reply::normal().hold_head(&gate).bytes_per_second(4 * MIB);
    let (bench, server) = (Bench::new(), serve([slow]));
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = start(&session, &bench, &server.url(PATH), "a.bin").await;
        let (called, heard) = channel();
        let progress = called.clone();
        let on_progress = move |_| {
            progress.send("progress").unwrap();
            panic!("an ordered panic");
        };
        task.on_progress(on_progress).await.unwrap();
        let on_finish = |_: Result<&Path, &Outcome>| panic!("an ordered panic");
        task.on_finish_download(on_finish).await.unwrap();
        let on_complete = move |_: &Outcome| called.send("complete").unwrap();
        task.on_complete(on_complete).await.unwrap();
        gate.open();
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["progress", "complete"]);
        engine.shutdown().await;
    });
}

#[test]
fn a_callback_that_waits_for_its_end_keeps_the_engine() {
    let gate = Gate::new();
    let (bench, server) = (Bench::new(), serve([Reply::normal().hold_head(&gate)]));
    let (called, heard) = channel();
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let task = start(&session, &bench, &server.url(PATH), "a.bin").await;
        let on_complete = move |outcome: &Outcome| called.send(outcome.clone()).unwrap();
        task.on_complete(on_complete).await.unwrap();
        drop((engine, session, task));
        gate.open();
    });
    assert!(matches!(next(&heard), Outcome::Finished(_)));
    bench.assert_file("a.bin", CONTENT);
}
