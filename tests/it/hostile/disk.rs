//! A disk that is full, or a limit that is as good as one: an error that says so, nothing under the
//! final name, and a second run that succeeds when there is room.

use std::path::Path;
use std::process::Command;

use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Framing, Reply};

use super::{PATH, each, serving};
use crate::bench::{Bench, Ended, MIB, text};

const CONTENT: Content = Content::new(71, 20 * MIB);

/// Asks for the tests that mount file systems.
const ROOT_VARIABLE: &str = "LONGHAUL_ROOT_TESTS";

/// Bodies whose length is known before the first byte, and those that grow until they are too long.
fn bodies() -> Vec<(&'static str, Reply)> {
    vec![
        ("of a known length", Reply::normal()),
        (
            "of an unknown length",
            Reply::normal().framing(Framing::Chunked),
        ),
    ]
}

fn run_with_limit(bench: &Bench, url: &str) -> Ended {
    // The signal would end the process; ignored, the write fails instead. The limit is in blocks of
    // 512 bytes, or of 1 KiB where sh is bash.
    let script = "trap '' XFSZ; ulimit -f 10240; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args([
        "-c",
        script,
        "sh",
        env!("CARGO_BIN_EXE_longhaul"),
        "get",
        url,
    ]);
    bench.confine(&mut command);
    bench.finish(bench.start(command))
}

#[test]
fn a_file_that_is_longer_than_the_limit_fails_and_succeeds_without_it() {
    each(bodies(), |reply| {
        let (server, url) = serving(Resource::new(CONTENT));
        server.script(PATH, [reply]);
        let bench = Bench::new();
        let ended = run_with_limit(&bench, &url);
        ended.expect(3).says("choose another place");
        bench.assert_resumable_or_nothing(&ended);
        bench.run(&[&url]).expect(0).is_silent();
        bench.assert_only("a.bin", CONTENT);
    });
}

#[test]
fn a_full_file_system_fails_and_succeeds_when_it_has_grown() {
    if std::env::var_os(ROOT_VARIABLE).is_none() {
        return;
    }
    for (name, reply) in bodies() {
        let (server, url) = serving(Resource::new(CONTENT));
        server.script(PATH, [reply]);
        let bench = Bench::new();
        let files = bench.files();
        let mounted = Mounted::small(&files);
        let ended = bench.run(&[&url]);
        ended
            .expect(3)
            .says("free some space there and start again");
        bench.assert_resumable_or_nothing(&ended);
        mounted.grow();
        bench.run(&[&url]).expect(0);
        bench.assert_only("a.bin", CONTENT);
        println!("full disk, a body {name}: {}", ended.stderr.trim());
    }
}

/// A file system in memory, for as long as this lives.
struct Mounted<'a> {
    at: &'a Path,
}

impl<'a> Mounted<'a> {
    /// With 4 MiB.
    fn small(at: &'a Path) -> Self {
        run(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", text(at)]);
        Self { at }
    }

    /// To 64 MiB.
    fn grow(&self) {
        run(&["mount", "-o", "remount,size=64m", text(self.at)]);
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // While a panic unwinds there is nobody to tell; `-l` also takes one that is in use.
        let _unmounted = Command::new("umount").arg("-l").arg(self.at).status();
    }
}

fn run(line: &[&str]) {
    let status = Command::new(line[0]).args(&line[1..]).status().unwrap();
    assert!(status.success(), "{line:?}: {status}");
}
