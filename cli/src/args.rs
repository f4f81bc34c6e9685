//! What was typed: the command line as clap reads it. What it means is decided in `plan`.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

const AFTER_HELP: &str = "\
Downloads that survive: when the command is killed, the machine restarts or the network goes away, \
the same command run again goes on where it stopped.";

const GET_EXAMPLES: &str = "\
Examples:
  longhaul get https://example.com/big.iso
  longhaul get https://example.com/big.iso -o disk.iso -x 4 --checksum sha-256=HEX
  longhaul get -i list.txt -d downloads -j 16
  longhaul get https://example.com/private -H @token.txt --json

A list (-i) holds one URL a line; indented lines beneath it hold its options:
  https://example.com/a.bin
    out=first.bin
    dir=downloads
    checksum=sha-256=HEX
    header=Accept: application/octet-stream
  # a comment

How it goes on:
  What is known of a run lies in a directory that is derived from the URLs and where they go, so
  the same command finds it again. Other options may change between two runs. The directory is
  removed when every file has finished; it is kept while there is something to go on with.

Exit codes:
  0 every file is there        6 credentials are missing or refused
  1 something else             7 the server broke the protocol
  2 the command line           8 the server answered with an error
  3 a file or directory        9 another checksum or length
  4 the network                12 time ran out
  5 the server is not trusted  130, 143 stopped by SIGINT, SIGTERM
  With several failures it is the code of the first.";

/// Background transfers that survive.
#[derive(Parser)]
#[command(name = "longhaul", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Download files; the same command run again goes on where it stopped
    #[command(after_long_help = GET_EXAMPLES, after_help = "More, with examples and exit codes: longhaul get --help")]
    Get(Box<GetArgs>),
}

/// `longhaul get`. It holds secrets, so it can not be printed.
#[derive(clap::Args)]
pub(crate) struct GetArgs {
    /// What to download (http or https); a user name and password in it are used as -u
    #[arg(value_name = "URL", required_unless_present = "input_file")]
    pub(crate) urls: Vec<String>,

    /// Write to this file (one URL only)
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["dir", "input_file"])]
    pub(crate) output: Option<PathBuf>,

    /// Write into this directory, which is made when it is missing [default: the current one]
    ///
    /// The name comes from the server (Content-Disposition) or the URL, reduced to a safe one.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Also download what this list names; - is standard input
    #[arg(short, long, value_name = "LIST")]
    pub(crate) input_file: Option<PathBuf>,

    /// Send this header field to the hosts that the URLs name; @FILE reads fields from a file
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// Answer when a server asks for a name and password (Basic or Digest)
    ///
    /// Other users of the machine may see it in the list of processes; -H @FILE avoids that.
    #[arg(short, long, value_name = "USER:PASSWORD")]
    pub(crate) user: Option<String>,

    /// Download this many files at once
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) jobs: u32,

    /// Spread each file over this many connections
    #[arg(short = 'x', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) connections: u32,

    /// Fail unless the file has this digest: sha-256, sha-512, blake3, sha-1 or md5 (one URL only)
    #[arg(long, value_name = "ALGORITHM=HEX")]
    pub(crate) checksum: Vec<String>,

    /// Download at most this many bytes per second, all files together (K, M, G)
    #[arg(long, value_name = "BYTES", value_parser = crate::units::bytes)]
    pub(crate) limit_rate: Option<u64>,

    /// Give up on a file after this many retries in a row that brought no byte
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) retry: u32,

    /// Begin no more retries when this time has passed [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) retry_max_time: Option<std::time::Duration>,

    /// Try again when no byte came for this long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = crate::units::duration)]
    pub(crate) idle_timeout: std::time::Duration,

    /// Try again when a connection took this long to make
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = crate::units::duration)]
    pub(crate) connect_timeout: std::time::Duration,

    /// Follow at most this many redirects, 0 to 20
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=20))]
    pub(crate) max_redirs: u32,

    /// What to do when a file of that name exists
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = IfExists::Fail)]
    pub(crate) if_exists: IfExists,

    /// Use this proxy: http://host:port or socks5://host:port, with user:password@ when it asks
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,

    /// Also trust the certificates (PEM) in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// What a finished file has survived: a killed process, or also a power cut
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Survives::Process)]
    pub(crate) durability: Survives,

    /// Go on without a validator when the length is the same (may splice two versions)
    #[arg(long)]
    pub(crate) unvalidated_resume: bool,

    /// Follow a redirect from https to http
    #[arg(long)]
    pub(crate) allow_downgrade: bool,

    /// Print one JSON object a line for everything that happens
    #[arg(long)]
    pub(crate) json: bool,

    /// Print nothing but errors
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Show no progress bars, which otherwise appear on a terminal
    #[arg(long)]
    pub(crate) no_progress: bool,

    /// Log what happens; twice for more, three times for everything
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Keep the state of unfinished runs in this directory [default: $XDG_STATE_HOME/longhaul]
    #[arg(
        long,
        value_name = "DIR",
        env = "LONGHAUL_STATE_DIR",
        hide_env_values = true
    )]
    pub(crate) state_dir: Option<PathBuf>,

    /// Accepted for those used to it: this command always goes on where it stopped
    #[arg(short = 'c', long = "continue", hide_short_help = true)]
    pub(crate) _continue: bool,
}

/// `--if-exists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IfExists {
    /// Fail and leave it alone
    Fail,
    /// Replace it when the new one is complete
    Overwrite,
    /// Take the next free name: name.1.ext
    Rename,
    /// Download nothing and succeed
    Skip,
}

/// `--durability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Survives {
    /// A killed process; a power cut within seconds may still lose it
    Process,
    /// A power cut: everything is synced before a file counts as finished
    Power,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parses(line: &[&str]) -> bool {
        Args::try_parse_from(["longhaul", "get"].iter().chain(line)).is_ok()
    }

    #[test]
    fn the_definitions_agree_with_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn command_lines_are_taken_or_refused() {
        let table: [(&[&str], bool); 14] = [
            (&["http://h/"], true),
            (&["http://h/a", "http://h/b", "-d", "x", "-c"], true),
            (&["-i", "-"], true),
            (
                &[
                    "-vv",
                    "-q",
                    "-j16",
                    "-x",
                    "4",
                    "-H",
                    "A: b",
                    "-u",
                    "a:b",
                    "http://h/",
                ],
                true,
            ),
            (
                &["--limit-rate", "2M", "--retry-max-time", "5m", "http://h/"],
                true,
            ),
            (&[], false),
            (&["http://h/", "-o", "f", "-d", "x"], false),
            (&["-o", "f", "-i", "l"], false),
            (&["-j", "0", "http://h/"], false),
            (&["-x", "17", "http://h/"], false),
            (&["--max-redirs", "21", "http://h/"], false),
            (&["--if-exists", "ask", "http://h/"], false),
            (&["--limit-rate", "fast", "http://h/"], false),
            (&["--idle-timeout", "1w", "http://h/"], false),
        ];
        for (line, is_good) in table {
            assert_eq!(parses(line), is_good, "{line:?}");
        }
    }
}
