//! Events: replayed from a number, in order, without a gap, also for those who are slow.

use longhaul_engine::control::SessionEvent;
use longhaul_engine::event::{Event, Fact};
use longhaul_engine::id::TaskId;
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;
use std::path::Path;
use std::time::{Duration, Instant};

use longhaul_engine::control::{AtRoot, GetEngine};

use super::http::{Client, Events, call};
use super::stage::{Stage, download, open, open_with, session};

const CONTENT: Content = Content::new(313, 1000);

/// Small files, all of whose facts are more than any buffer holds.
const MANY: usize = 1500;

/// What one reader that does not read may cost, beside what its tasks do.
const READER_BYTES_MAX: u64 = 24 * 1024 * 1024;

/// An answer while somebody else does not read.
const DELAY_MAX: Duration = Duration::from_secs(2);

fn serve(
    server: &Server,
    stage: &Stage,
    count: usize,
) -> Vec<longhaul_engine::control::RequestDocument> {
    server.serve("/a.bin", Resource::new(CONTENT));
    let url = server.url("/a.bin");
    (0..count)
        .map(|number| download(&url, &stage.bench.file(&format!("{number}.bin"))))
        .collect()
}

/// The numbers of the facts up to and with the end of this many tasks, and the tasks that ended.
fn ends(events: &mut Events, count: usize) -> (Vec<u64>, Vec<TaskId>) {
    let (mut numbers, mut ended) = (Vec::new(), Vec::new());
    while ended.len() < count {
        let (id, event) = events.next().expect("the daemon runs");
        let SessionEvent::Told { told } = serde_json::from_value(event).unwrap() else {
            continue;
        };
        let Event::Fact(fact) = told else {
            assert_eq!(id, None);
            continue;
        };
        assert_eq!(id, Some(fact.sequence.get()));
        numbers.push(fact.sequence.get());
        if let Fact::Completed { task, .. } = fact.fact {
            ended.push(task);
        }
    }
    (numbers, ended)
}

/// The next `count` facts' numbers.
fn numbers(socket: &Path, query: &str, count: usize) -> Vec<u64> {
    let mut events = Events::of(socket, &session("s"), query);
    assert_eq!(events.told(), Some(SessionEvent::Listening));
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let (id, _) = events.next().expect("the daemon runs");
        numbers.extend(id);
    }
    numbers
}

#[test]
fn facts_are_told_again_after_any_of_them() {
    let (server, stage) = (Server::start(), Stage::new());
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    let requests = serve(&server, &stage, 5);
    open(&daemon.socket, &client, "s");
    let mut events = Events::of(&daemon.socket, &session("s"), "");
    let tasks = open_with(&daemon.socket, &client, "s", requests);
    let (all, mut ended) = ends(&mut events, 5);
    ended.sort_unstable();
    assert_eq!(ended, tasks);
    assert!(all.is_sorted() && all.len() >= 5, "{all:?}");
    for (told, number) in all.iter().enumerate() {
        let rest = &all[told + 1..];
        let again = numbers(&daemon.socket, &format!("?after={number}"), rest.len());
        assert_eq!(again, rest, "after {number}");
    }
    assert_eq!(numbers(&daemon.socket, "", all.len()), all);
}

#[test]
fn the_events_of_a_task_end_with_it() {
    let (server, stage) = (Server::start(), Stage::new());
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    let requests = serve(&server, &stage, 2);
    let tasks = open_with(&daemon.socket, &client, "s", requests);
    let query = format!("?task={}", tasks[1]);
    let mut events = Events::of(&daemon.socket, &session("s"), &query);
    let (_, ended) = ends(&mut events, 1);
    assert_eq!(ended, [tasks[1]]);
    assert_eq!(events.told(), Some(SessionEvent::Over));
    assert_eq!(events.next(), None);
}

#[test]
fn a_reader_that_never_reads_costs_little_and_delays_nobody() {
    let (server, stage) = (Server::start(), Stage::new());
    let daemon = stage.start();
    let client = Client::new(&daemon.socket);
    let requests = serve(&server, &stage, MANY);
    open(&daemon.socket, &client, "s");
    let mut silent: Vec<Events> = (0..8)
        .map(|_| Events::of(&daemon.socket, &session("s"), ""))
        .collect();
    let mut reader = Events::of(&daemon.socket, &session("s"), "");
    let before = daemon.resident_bytes();
    let tasks = open_with(&daemon.socket, &client, "s", requests);
    let mut slowest = Duration::ZERO;
    let mut heard = Vec::new();
    for _ in 0..MANY / 50 {
        let (numbers, _) = ends(&mut reader, 50);
        heard.extend(numbers);
        let began = Instant::now();
        call(&daemon.socket, AtRoot, &GetEngine {});
        slowest = slowest.max(began.elapsed());
    }
    let grown = daemon.resident_bytes().saturating_sub(before);
    println!(
        "{MANY} tasks, 8 readers that do not read: {grown} bytes more, slowest answer {slowest:?}"
    );
    assert!(heard.is_sorted() && heard.len() >= tasks.len());
    assert!(slowest < DELAY_MAX, "{slowest:?}");
    assert!(grown < 8 * READER_BYTES_MAX / 4, "{grown} bytes");
    // Once it reads, it hears every fact, in order.
    let (numbers, _) = ends(&mut silent[0], MANY);
    assert_eq!(numbers, heard);
}
