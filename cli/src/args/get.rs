//! `longhaul get` as it is typed.

use std::path::PathBuf;

use clap::ValueEnum;

use super::TransferArgs;

/// What stands beneath the long help.
pub(super) const EXAMPLES: &str = "\
Examples:
  longhaul get https://example.com/big.iso
  longhaul get https://example.com/big.iso -o disk.iso -x 4 --checksum sha-256=HEX
  longhaul get -i list.txt -d downloads -j 16
  longhaul get https://example.com/private -H @token.txt --json
  longhaul get https://example.com/big.iso -b

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
  With -b: 10 no daemon can be reached.
  With several failures it is the code of the first.";

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

    /// Download this many files at once [default: 5]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) jobs: Option<u32>,

    /// Spread each file over this many connections
    #[arg(short = 'x', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) connections: u32,

    /// Fail unless the file has this digest: sha-256, sha-512, blake3, sha-1 or md5 (one URL only)
    #[arg(long, value_name = "ALGORITHM=HEX")]
    pub(crate) checksum: Vec<String>,

    /// What to do when a file of that name exists
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = IfExists::Fail)]
    pub(crate) if_exists: IfExists,

    /// What a finished file has survived [default: process, with -b power]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) durability: Option<Survives>,

    /// Go on without a validator when the length is the same (may splice two versions)
    #[arg(long)]
    pub(crate) unvalidated_resume: bool,

    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
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
