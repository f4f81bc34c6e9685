//! What was typed: the command line as clap reads it. What it means is decided in `plan`.

use clap::{Parser, Subcommand};

mod get;
mod put;
mod transfer;

pub(crate) use get::{GetArgs, IfExists, Survives};
pub(crate) use put::PutArgs;
pub(crate) use transfer::TransferArgs;

const AFTER_HELP: &str = "\
Transfers that survive: when the command is killed, the machine restarts or the network goes away, \
the same command run again goes on where it stopped.";

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
    #[command(after_long_help = get::EXAMPLES, after_help = "More, with examples and exit codes: longhaul get --help")]
    Get(Box<GetArgs>),
    /// Upload a file; the same command run again goes on where the server has it
    #[command(after_long_help = put::EXAMPLES, after_help = "More, with examples and exit codes: longhaul put --help")]
    Put(Box<PutArgs>),
}

impl Command {
    /// What every command has.
    pub(crate) const fn transfer(&self) -> &TransferArgs {
        match self {
            Self::Get(get) => &get.transfer,
            Self::Put(put) => &put.transfer,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parses(command: &str, line: &[&str]) -> bool {
        Args::try_parse_from(["longhaul", command].iter().chain(line)).is_ok()
    }

    #[test]
    fn the_definitions_agree_with_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn command_lines_of_get_are_taken_or_refused() {
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
            assert_eq!(parses("get", line), is_good, "{line:?}");
        }
    }

    #[test]
    fn command_lines_of_put_are_taken_or_refused() {
        let table: [(&[&str], bool); 14] = [
            (&["f", "http://h/"], true),
            (&["f", "http://h/", "-X", "POST", "-qH", "A: b", "-c"], true),
            (
                &["f", "http://h/", "--metadata", "a=b", "--metadata", "c="],
                true,
            ),
            (
                &["f", "http://h/", "--checksum", "SHA1", "--protocol", "tus"],
                true,
            ),
            (
                &["f", "http://h/", "--retry", "3", "--idle-timeout", "5s"],
                true,
            ),
            (&["f", "http://h/", "--retry-non-idempotent"], true),
            (&[], false),
            (&["f"], false),
            (&["f", "http://h/", "http://h/"], false),
            (&["f", "http://h/", "--metadata", "a"], false),
            (&["f", "http://h/", "--checksum", "crc"], false),
            (&["f", "http://h/", "--protocol", "ftp"], false),
            (&["f", "http://h/", "--json", "-q"], false),
            (&["f", "http://h/", "-o", "f"], false),
        ];
        for (line, is_good) in table {
            assert_eq!(parses("put", line), is_good, "{line:?}");
        }
    }
}
