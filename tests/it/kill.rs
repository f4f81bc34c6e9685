//! The real command under SIGKILL, again and again, at moments that a seed chooses: it must end with
//! the server's bytes, leave nothing behind, and fetch little twice.
//!
//! A plain run makes [`KILLS_DEFAULT`] kills; `LONGHAUL_KILLS=200` makes as many. `LONGHAUL_SEED`
//! repeats a run. Half of the kills come when the server has sent a certain number of bytes, the
//! others at a fault point of the actors.

mod coverage;

use std::env;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Mutex;
use std::thread;

use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::seed::Rng;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, PATIENCE, text};
use coverage::Coverage;

/// How many kills to make.
const KILLS_VARIABLE: &str = "LONGHAUL_KILLS";

/// Kills of a plain run: each scenario once or twice, in a few seconds.
const KILLS_DEFAULT: u64 = 24;

/// The seed of a plain run.
const SEED: u64 = 20_260_801;

/// Downloads under test at the same time.
const WORKERS: u64 = 3;

/// The most kills of one download; fewer when each scenario is to have its share of a small run.
const KILLS_PER_DOWNLOAD: u64 = 5;

/// A process that is to end itself at its n-th fault point.
const FAULT_VARIABLE: &str = "LONGHAUL_FAULT_KILL";

/// New bytes after which progress is recorded; fewer are recorded after a second.
const RECORD_BYTES: u64 = MIB;

/// What is written before a record of it is committed, beside [`RECORD_BYTES`]: what arrives until
/// a record may follow the one before (100 ms), what one block more brings (100 ms), and as much
/// again for a machine that is busy with other tests.
const UNRECORDED_MS: u64 = 400;

/// What was sent and lies in buffers when a kill comes: of the kernel, which are large, and blocks
/// that wait to be written.
const UNWRITTEN_MS: u64 = 1000;

/// Something to download, and how.
struct Scenario {
    name: &'static str,
    /// The length of each file; several make a list.
    lengths: &'static [u64],
    /// `-x`.
    connections: u64,
    /// What the server sends on each connection, in bytes a second. It is slow enough that what is
    /// in flight is little, and that the kernel holds next to nothing.
    rate: u64,
    /// Fault points of a whole run are at least about so many.
    faults: u64,
}

const SCENARIOS: [Scenario; 12] = [
    single("empty", &[0], MIB, 28),
    single("1 byte", &[1], MIB, 28),
    single("64 KiB", &[65_536], MIB, 28),
    single("1 MiB - 1", &[MIB - 1], 4 * MIB, 30),
    single("1 MiB", &[MIB], 4 * MIB, 30),
    single("1 MiB + 1", &[MIB + 1], 4 * MIB, 30),
    single("5 MiB", &[5 * MIB], 4 * MIB, 60),
    single("40 MiB", &[40 * MIB], 16 * MIB, 160),
    spread("5 MiB, -x 4", &[5 * MIB], MIB, 60),
    spread("40 MiB, -x 4", &[40 * MIB + 3], 4 * MIB, 200),
    single(
        "a list",
        &[0, 5 * MIB, 1, MIB + 1, 65_536, 3 * MIB, MIB, MIB - 1],
        4 * MIB,
        200,
    ),
    spread(
        "a list, -x 4",
        &[5 * MIB, 9 * MIB, 1, 6 * MIB + 1],
        2 * MIB,
        200,
    ),
];

const fn single(name: &'static str, lengths: &'static [u64], rate: u64, faults: u64) -> Scenario {
    Scenario {
        name,
        lengths,
        connections: 1,
        rate,
        faults,
    }
}

const fn spread(name: &'static str, lengths: &'static [u64], rate: u64, faults: u64) -> Scenario {
    Scenario {
        name,
        lengths,
        connections: 4,
        rate,
        faults,
    }
}

impl Scenario {
    /// The most bytes that had reached a file and are fetched again: of each file that runs (at most
    /// 4, `-j 4`) what no record covers.
    fn lost_bytes_max(&self) -> u64 {
        self.files_at_once() * (RECORD_BYTES + self.bytes_within(UNRECORDED_MS))
    }

    /// The most bytes that were sent and are sent again.
    fn twice_bytes_max(&self) -> u64 {
        self.lost_bytes_max() + self.files_at_once() * self.bytes_within(UNWRITTEN_MS)
    }

    fn files_at_once(&self) -> u64 {
        self.lengths.len().min(4) as u64
    }

    /// What all connections of one file bring in this time.
    const fn bytes_within(&self, milliseconds: u64) -> u64 {
        self.connections * self.rate * milliseconds / 1000
    }
}

/// When to kill.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// When the server has sent so many bytes in this run.
    Sent(u64),
    /// When the server has read so many requests in this run.
    Asked(usize),
    /// At the n-th fault point, by itself.
    Fault(u64),
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    kills: u64,
    downloads: u64,
    /// The most bytes that one run fetched although they had reached the file, and in which
    /// scenario.
    lost_bytes_max: (u64, &'static str),
    /// The most bytes that one run fetched although the server had sent them before.
    twice_bytes_max: u64,
}

/// What one run fetched although it had been there.
struct Twice {
    /// It had reached the file.
    lost_bytes: u64,
    /// The server had sent it.
    sent_bytes: u64,
}

#[test]
fn the_binary_under_test_has_fault_points() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut command = bench.get(&[&server.url("/a")]);
    command.env(FAULT_VARIABLE, "1");
    assert_eq!(bench.finish(bench.start(command)).signal(), Some(9));
}

#[test]
fn however_often_it_is_killed_the_file_is_the_servers_and_little_is_fetched_twice() {
    let kills = env::var(KILLS_VARIABLE).map_or(KILLS_DEFAULT, |text| text.parse().unwrap());
    let per_download = (kills / SCENARIOS.len() as u64).clamp(1, KILLS_PER_DOWNLOAD);
    let base = Rng::from_env_or(SEED).seed();
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (total, share) = (&total, (kills + WORKERS - 1 - worker) / WORKERS);
            scope.spawn(move || {
                // Each worker begins at another scenario, and none is passed over.
                let mut rng = Rng::new(base.wrapping_add(worker));
                let mut own = Tally::default();
                let mut next = SCENARIOS.len() as u64 * worker / WORKERS;
                while own.kills < share {
                    let scenario = &SCENARIOS[next as usize % SCENARIOS.len()];
                    let most = per_download.min(share - own.kills);
                    own.add(Download::new(scenario, &mut rng).kill_and_finish(most, &mut rng));
                    next += 1;
                }
                total.lock().unwrap().add(own);
            });
        }
    });
    let Tally {
        kills,
        downloads,
        lost_bytes_max,
        twice_bytes_max,
    } = total.into_inner().unwrap();
    let (lost, scenario) = lost_bytes_max;
    println!(
        "{kills} of {kills} kills in {downloads} downloads ended byte-exact; fetched twice by one \
         kill: at most {lost} bytes that had reached the file ({scenario}), {twice_bytes_max} bytes \
         that had been sent (seed {base})"
    );
}

/// One download on its way through several runs.
struct Download {
    scenario: &'static Scenario,
    server: Server,
    bench: Bench,
    contents: Vec<Content>,
    arguments: Vec<String>,
    /// What the server has sent.
    coverage: Coverage,
    /// What of it had reached the files when the last run ended.
    in_files: Coverage,
    /// The requests that earlier runs have made.
    requests_before: usize,
    /// How the last run was killed, for the panic's message.
    story: Vec<Moment>,
}

impl Download {
    fn new(scenario: &'static Scenario, rng: &mut Rng) -> Self {
        let (server, bench) = (Server::start(), Bench::new());
        let lengths = scenario.lengths.iter();
        let contents: Vec<Content> = lengths
            .map(|length| Content::new(rng.next_u64(), *length))
            .collect();
        let mut urls = String::new();
        for (index, content) in contents.iter().enumerate() {
            let path = path_of(index);
            server.serve(&path, Resource::new(*content));
            server.script(&path, [Reply::normal().bytes_per_second(scenario.rate)]);
            urls.push_str(&server.url(&path));
            urls.push('\n');
        }
        let connections = scenario.connections.to_string();
        let mut arguments = vec![
            "-x".to_owned(),
            connections,
            "-j".to_owned(),
            "4".to_owned(),
        ];
        if contents.len() == 1 {
            arguments.push(urls.trim().to_owned());
        } else {
            let list = bench.outputs().join("list");
            std::fs::write(&list, urls).unwrap();
            arguments.extend(["-i".to_owned(), text(&list).to_owned()]);
        }
        Self {
            scenario,
            server,
            bench,
            contents,
            arguments,
            coverage: Coverage::default(),
            in_files: Coverage::default(),
            requests_before: 0,
            story: Vec::new(),
        }
    }

    /// Kills it at most so often, then lets it end.
    fn kill_and_finish(mut self, kills_max: u64, rng: &mut Rng) -> Tally {
        let mut tally = Tally {
            downloads: 1,
            ..Tally::default()
        };
        let mut is_over = false;
        while tally.kills < kills_max && !is_over {
            is_over = !self.run_and_kill(rng);
            tally.kills += u64::from(!is_over);
            tally.take(self.account(), self.scenario.name);
        }
        if !is_over {
            let ended = self.bench.run(&self.arguments());
            assert_eq!(ended.code(), Some(0), "{}: {ended:#?}", self.tell());
            tally.take(self.account(), self.scenario.name);
        }
        self.check_files();
        tally
    }

    /// Runs it until a moment that chance chooses; false when it ended before.
    fn run_and_kill(&mut self, rng: &mut Rng) -> bool {
        let moment = self.choose(rng);
        self.story.push(moment);
        let mut command = self.bench.get(&self.arguments());
        if let Moment::Fault(point) = moment {
            command.env(FAULT_VARIABLE, point.to_string());
        }
        let mut process = self.bench.start(command);
        let before = self.requests_before;
        let status = match moment {
            Moment::Sent(bytes) => {
                self.server.wait_for(|requests| {
                    requests[before..].iter().map(|r| r.body_sent).sum::<u64>() >= bytes
                });
                process.kill().unwrap()
            }
            Moment::Asked(count) => {
                self.server
                    .wait_for(|requests| requests.len() >= before + count);
                process.kill().unwrap()
            }
            Moment::Fault(_) => process.wait(PATIENCE).unwrap().expect("it ends"),
        };
        let is_killed = status.signal() == Some(9);
        assert!(
            is_killed || status.code() == Some(0),
            "{}: {status}",
            self.tell()
        );
        is_killed
    }

    fn choose(&self, rng: &mut Rng) -> Moment {
        let length: u64 = self.contents.iter().map(Content::len).sum();
        // So much at least has to come in this run, so the moment comes for certain.
        let left = length - self.coverage.bytes();
        match rng.within(0..8) {
            0..4 => Moment::Fault(rng.within(1..self.scenario.faults)),
            // All is sent, and the file gets its name.
            4 => Moment::Sent(left),
            5 if left > 0 => Moment::Asked(1),
            _ if left > 0 => Moment::Sent(rng.within(0..left)),
            _ => Moment::Sent(0),
        }
    }

    /// Takes in what the last run was sent, and checks how much of it came twice: in this run, or in
    /// an earlier one and now again.
    fn account(&mut self) -> Twice {
        let before = self.requests_before;
        // The server notices the death of a client with its next write.
        let requests = self
            .server
            .wait_for(|requests| requests.iter().all(|request| request.is_finished));
        let run = Coverage::of(&requests[before..]);
        self.requests_before = requests.len();
        let sent = requests[before..]
            .iter()
            .map(|request| request.body_sent)
            .sum::<u64>();
        let lost_bytes = self.in_files.overlap(&run);
        let sent_bytes = self.coverage.overlap(&run) + (sent - run.bytes());
        let (lost_max, twice_max) = (
            self.scenario.lost_bytes_max(),
            self.scenario.twice_bytes_max(),
        );
        assert!(
            lost_bytes <= lost_max,
            "{lost_bytes} bytes lost, not {lost_max}: {}",
            self.tell()
        );
        assert!(
            sent_bytes <= twice_max,
            "{sent_bytes} bytes sent twice, not {twice_max}: {}",
            self.tell()
        );
        self.coverage.add(&run);
        self.in_files = self.look_into_files();
        Twice {
            lost_bytes,
            sent_bytes,
        }
    }

    /// What of all that was sent stands in the part files, or in those that are published.
    fn look_into_files(&self) -> Coverage {
        let mut found = Coverage::default();
        let names = self.bench.names();
        for (index, content) in self.contents.iter().enumerate() {
            let path = path_of(index);
            let of_file = names
                .iter()
                .filter(|name| name.trim_start_matches('.').starts_with(&path[1..]));
            for name in of_file {
                let file = File::open(self.bench.file(name)).unwrap();
                found.add(&self.coverage.within(&path, *content, &file));
            }
        }
        found
    }

    fn check_files(&self) {
        let names: Vec<String> = (0..self.contents.len())
            .map(|i| path_of(i)[1..].into())
            .collect();
        assert_eq!(self.bench.names(), names, "{}", self.tell());
        for (name, content) in names.iter().zip(&self.contents) {
            let result = content.verify_file(&self.bench.file(name));
            assert_eq!(result, Ok(()), "{name}: {}", self.tell());
        }
        self.bench.assert_no_state();
    }

    fn arguments(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }

    fn tell(&self) -> String {
        format!(
            "{} killed at {:?}; {:#?}",
            self.scenario.name,
            self.story,
            self.server.requests()
        )
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.downloads += other.downloads;
        self.lost_bytes_max = self.lost_bytes_max.max(other.lost_bytes_max);
        self.twice_bytes_max = self.twice_bytes_max.max(other.twice_bytes_max);
    }

    fn take(&mut self, twice: Twice, scenario: &'static str) {
        let Twice {
            lost_bytes,
            sent_bytes,
        } = twice;
        self.lost_bytes_max = self.lost_bytes_max.max((lost_bytes, scenario));
        self.twice_bytes_max = self.twice_bytes_max.max(sent_bytes);
    }
}

/// The path of a file on the server; its name in the directory follows from it, in the same order.
fn path_of(index: usize) -> String {
    format!("/{index}.bin")
}
