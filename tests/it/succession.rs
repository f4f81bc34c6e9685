//! Many small files whose turn comes quickly, while their owner says something of each.

use std::collections::BTreeSet;

use longhaul::{
    DownloadRequest, DownloadTask, Engine, Error, Fact, Outcome, Session, SessionConfiguration,
};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

use crate::bench::{Bench, next_fact, run};

const FILES: usize = 900;
const AT_ONCE: u32 = 4;

const fn content(number: usize) -> Content {
    Content::new(300 + number as u64, 700)
}

async fn open(bench: &Bench) -> (Engine, Session) {
    let engine = Engine::builder(bench.state()).start().unwrap();
    let configuration = SessionConfiguration::new("com.example.succession").unwrap();
    let configuration = configuration.tasks_max(AT_ONCE).unwrap();
    let configuration = configuration.tasks_per_host_max(AT_ONCE).unwrap();
    let session = engine.session(configuration).await.unwrap();
    (engine, session)
}

/// What is said of a task while others end. Whether it has begun by then is chance.
async fn say(task: &DownloadTask, number: usize) -> Result<(), Error> {
    match number % 5 {
        0 => {
            task.suspend().await?;
            task.resume().await
        }
        1 => task.cancel().await,
        2 => task.set_priority(1.0).await,
        3 => task.set_rate_limit(None).await,
        _ => Ok(()),
    }
}

#[test]
fn tasks_that_are_told_something_while_their_turn_comes_end_once_and_as_they_were_told() {
    let (bench, server) = (Bench::new(), Server::start());
    let request = |number: usize| {
        let path = format!("/{number}");
        server.serve(&path, Resource::new(content(number)));
        DownloadRequest::new(&server.url(&path), bench.file(&number.to_string())).unwrap()
    };
    let requests: Vec<_> = (0..FILES).map(request).collect();
    run(async {
        let (engine, session) = open(&bench).await;
        let mut events = session.events().await.unwrap();
        let tasks = session.start_downloads(requests).await.unwrap();
        let tasks: Vec<_> = tasks.into_iter().map(Result::unwrap).collect();
        // From both ends: some have ended by then, some run, and some wait for long.
        for number in (0..FILES / 2).flat_map(|it| [it, FILES - 1 - it]) {
            say(&tasks[number], number).await.unwrap();
        }
        let mut ended = BTreeSet::new();
        while ended.len() < FILES {
            if let Fact::Completed { task, .. } = next_fact(&mut events).await.fact {
                assert!(ended.insert(task), "{task} ended twice");
            }
        }
        let mut cancelled = 0;
        for (number, task) in tasks.iter().enumerate() {
            let file = bench.file(&number.to_string());
            match task.finished().await.unwrap() {
                Outcome::Finished(_) => content(number).verify_file(&file).unwrap(),
                Outcome::Cancelled if number % 5 == 1 => {
                    cancelled += 1;
                    assert!(!file.exists());
                }
                other => panic!("{number}: {other:?}"),
            }
        }
        assert!(cancelled > 0, "some were told in time");
        engine.shutdown().await;
    });
}
