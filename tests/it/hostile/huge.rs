//! Files over 4 GiB: offsets beyond 32 bits, on the wire and on the disk. It needs 9 GiB of disk
//! and some seconds, so a plain run passes it over.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;

use super::{PATH, serving};
use crate::bench::{Bench, MIB};

/// Asks for the tests that need gigabytes.
const HUGE_VARIABLE: &str = "LONGHAUL_HUGE_TESTS";

/// With 16 connections the last one begins beyond 4 GiB.
const CONTENT: Content = Content::new(81, 9 * 512 * MIB + 5 * MIB);

/// What each connection gets before the process is stopped.
const HELD: u64 = 2 * MIB;

fn is_asked_for() -> bool {
    std::env::var_os(HUGE_VARIABLE).is_some()
}

#[test]
fn a_download_over_4_gib_is_gone_on_with_beyond_32_bits() {
    if !is_asked_for() {
        return;
    }
    let (server, url) = serving(Resource::new(CONTENT));
    let gate = Gate::new();
    let bench = Bench::new();
    let mut starts = Vec::new();
    for run in 1..=2 {
        let slow = Reply::normal().bytes_per_second(4 * MIB);
        server.script(PATH, [slow.hold_at(HELD, &gate)]);
        let before = server.requests_for(PATH).len();
        let process = bench.start(bench.get(&[&url, "-x", "16"]));
        let requests = server.wait_for(|requests| {
            let of_run = &requests[before..];
            of_run.len() == 16 && of_run.iter().all(|request| request.body_sent >= HELD)
        });
        process.signal("TERM").unwrap();
        bench.finish(process).expect(143);
        let of_run = requests[before..].iter();
        let mut asked: Vec<u64> = of_run
            .map(|r| r.range().map_or(0, |(from, _)| from))
            .collect();
        asked.sort_unstable();
        assert!(asked[15] > u64::from(u32::MAX), "run {run}: {asked:?}");
        starts.push(asked);
    }
    let pairs = || starts[0].iter().zip(&starts[1]);
    for (first, second) in pairs() {
        assert!(
            (*first..=first + HELD).contains(second),
            "{first} and then {second}"
        );
    }
    // What the kernel still held when the signal came is lost, and that is little.
    let held: u64 = pairs().map(|(first, second)| second - first).sum();
    assert!(
        held > 8 * HELD,
        "{held} bytes of {} are gone on with",
        16 * HELD
    );
    let part = File::open(bench.file(&bench.names()[0])).unwrap();
    for (start, end) in pairs() {
        let mut found = vec![0; (end - start) as usize];
        part.read_exact_at(&mut found, *start).unwrap();
        assert!(
            found == CONTENT.bytes(*start..*end),
            "wrong bytes between {start} and {end}"
        );
    }
}

#[test]
fn a_whole_file_over_4_gib_arrives() {
    if !is_asked_for() {
        return;
    }
    let (_server, url) = serving(Resource::new(CONTENT));
    let bench = Bench::new();
    bench.run(&[&url, "-x", "4"]).expect(0);
    bench.assert_only("a.bin", CONTENT);
}
