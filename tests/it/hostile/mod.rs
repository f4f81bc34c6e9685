//! Servers, networks and disks that misbehave: what the command makes of each, with its exit code,
//! its words, and what it leaves behind.

mod answers;
mod credentials;
mod disk;
mod huge;
mod integrity;
mod names;
mod patience;
mod redirects;
mod resumption;

use std::thread;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, PATIENCE};

/// The path that most tests serve.
const PATH: &str = "/a.bin";

/// Cases of a table that run at the same time: most of their time they wait.
const AT_ONCE: usize = 8;

/// A server that serves `resource` under [`PATH`], and the URL of it.
fn serving(resource: Resource) -> (Server, String) {
    let server = Server::start();
    server.serve(PATH, resource);
    let url = server.url(PATH);
    (server, url)
}

/// Checks every case of a table in a thread that carries its name.
fn each<T: Send>(cases: Vec<(&str, T)>, check: impl Fn(T) + Sync) {
    let mut cases = cases.into_iter().peekable();
    while cases.peek().is_some() {
        thread::scope(|scope| {
            for (name, case) in cases.by_ref().take(AT_ONCE) {
                let check = &check;
                let named = thread::Builder::new().name(name.to_owned());
                named.spawn_scoped(scope, move || check(case)).unwrap();
            }
        });
    }
}

/// What a killed run leaves of `resource`: its first [`HELD`] bytes, on record.
const HELD: u64 = 3 * MIB;

/// Content that is longer than what a killed run leaves.
const fn long_content(seed: u64) -> Content {
    Content::new(seed, 5 * MIB + 77)
}

/// Runs the command with these arguments until the first bytes of [`PATH`] are on record, and kills
/// it with SIGKILL.
///
/// The first answer is cut after `held` bytes. The next request comes when they are written and
/// recorded, and the kill while it waits for its answer.
fn leave_part(bench: &Bench, server: &Server, first: Reply, held: u64, arguments: &[&str]) {
    let before = server.requests_for(PATH).len();
    let gate = Gate::new();
    server.script(
        PATH,
        [first.truncate_at(held), Reply::normal().hold_head(&gate)],
    );
    let mut process = bench.start(bench.get(arguments));
    server.wait_for(|requests| {
        requests
            .iter()
            .filter(|request| request.path == PATH)
            .count()
            >= before + 2
    });
    process.kill().unwrap();
    assert_eq!(process.wait(PATIENCE).unwrap().unwrap().code(), None);
    server.script(PATH, []);
}
