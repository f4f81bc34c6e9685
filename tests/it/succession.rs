//! Many small files whose turn comes quickly, while their owner says something of each.

use std::collections::BTreeSet;

use longhaul::{
    DownloadRequest, DownloadTask, Engine, Error, Fact, Outcome, Session, SessionConfiguration,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, next_fact, run};

const FILES: usize = 900;
const AT_ONCE: u32 = 4;

/// One that is cancelled.
const HELD: usize = FILES - 4;

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
    // One that is cancelled can not have ended before, whatever the machine does meanwhile.
    let gate = Gate::new();
    server.script(
        &format!("/{HELD}"),
        [Reply::normal().hold_head(&gate), Reply::normal()],
    );
    run(async {
        let (engine, session) = open(&bench).await;
        let mut events = session.events().await.unwrap();
        let tasks = session.start_downloads(requests).await.unwrap();
        let tasks: Vec<_> = tasks.into_iter().map(Result::unwrap).collect();
        // From both ends: some have ended by then, some run, and some wait for long.
        for number in (0..FILES / 2).flat_map(|it| [it, FILES - 1 - it]) {
            say(&tasks[number], number).await.unwrap();
        }
        gate.open();
        let mut ended = BTreeSet::new();
        while ended.len() < FILES {
            if let Fact::Completed { task, .. } = next_fact(&mut events).await.fact {
                assert!(ended.insert(task), "{task} ended twice");
            }
        }
        for (number, task) in tasks.iter().enumerate() {
            let file = bench.file(&number.to_string());
            match task.finished().await.unwrap() {
                Outcome::Finished(_) => content(number).verify_file(&file).unwrap(),
                Outcome::Cancelled if number % 5 == 1 => assert!(!file.exists()),
                other => panic!("{number}: {other:?}"),
            }
        }
        let held = tasks[HELD].finished().await.unwrap();
        assert!(matches!(held, Outcome::Cancelled), "{held:?}");
        engine.shutdown().await;
    });
}

#[test]
fn a_long_list_is_asked_for_once_and_told_once() {
    // It is put on record in several groups.
    const LISTED: usize = 64 + 128 + 9;
    let (bench, server) = (Bench::new(), Server::start());
    let mut list = String::new();
    for number in 0..LISTED {
        let path = format!("/{number}.bin");
        server.serve(&path, Resource::new(content(number)));
        list += &format!("{}\n", server.url(&path));
    }
    let path = bench.file("list");
    std::fs::write(&path, list).unwrap();
    let path = path.to_str().unwrap();
    let output = bench.run(&["-i", path, "-j", "4"]);
    output.expect(0);
    assert_eq!(server.requests().len(), LISTED);
    for number in 0..LISTED {
        let file = bench.file(&format!("{number}.bin"));
        content(number).verify_file(&file).unwrap();
        let told = output
            .stdout
            .lines()
            .filter(|line| line.ends_with(&format!("/{number}.bin")));
        assert_eq!(told.count(), 1, "{}", output.stdout);
    }
    bench.assert_no_state();
}
