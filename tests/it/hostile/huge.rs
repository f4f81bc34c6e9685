//! Files over 4 GiB: offsets beyond 32 bits, on the wire and on the disk. It needs 5 GiB of disk or
//! memory and some seconds, so a plain run passes it over.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

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

/// Room for one such file and what lies beside it.
const ROOM_BYTES: u64 = CONTENT.len() + 64 * MIB;

/// They run one after the other, so that there must be room for one file only.
static TURN: Mutex<()> = Mutex::new(());

fn is_asked_for() -> bool {
    std::env::var_os(HUGE_VARIABLE).is_some()
}

/// A bench in the first place that has room for a file, memory as the last resort.
fn spacious() -> Bench {
    let places = [
        &std::env::temp_dir(),
        Path::new(env!("CARGO_TARGET_TMPDIR")),
        Path::new("/var/tmp"),
        Path::new("/dev/shm"),
    ];
    let place = places.into_iter().find(|place| free(place) >= ROOM_BYTES);
    let place = place.unwrap_or_else(|| {
        panic!("none of {places:?} has {ROOM_BYTES} bytes free; set TMPDIR to a place that has")
    });
    Bench::in_root(tempfile::tempdir_in(place).unwrap())
}

fn free(place: &Path) -> u64 {
    let df = Command::new("df")
        .args(["--output=avail", "-B1"])
        .arg(place)
        .output()
        .unwrap();
    let told = String::from_utf8(df.stdout).unwrap();
    let bytes = told
        .lines()
        .nth(1)
        .and_then(|line| line.trim().parse().ok());
    bytes.unwrap_or_default()
}

#[test]
fn a_download_over_4_gib_is_gone_on_with_beyond_32_bits() {
    if !is_asked_for() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (server, url) = serving(Resource::new(CONTENT));
    let gate = Gate::new();
    let bench = spacious();
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
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (_server, url) = serving(Resource::new(CONTENT));
    let bench = spacious();
    bench.run(&[&url, "-x", "4"]).expect(0);
    bench.assert_only("a.bin", CONTENT);
}
