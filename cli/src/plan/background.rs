//! What `-b` hands to the daemon: requests that need nothing of this process any more.

use longhaul::{DownloadRequest, Durability, SessionConfiguration, UploadRequest};

use super::{fields, get, put, shared};
use crate::address::DEFAULT_SESSION;
use crate::args::{GetArgs, PutArgs, ReachArgs, Survives, TransferArgs};
use crate::exit::Fault;

/// Transfers for the daemon, and what it takes to hand them over.
pub(crate) struct Handover<R> {
    /// What to transfer, without repetitions.
    pub(crate) requests: Vec<R>,
    /// What all tasks of the session share, when this makes it.
    pub(crate) configuration: SessionConfiguration,
    /// The options that were given and hold for a whole session: one that is there has its own.
    pub(crate) of_session: Vec<&'static str>,
    /// Where the daemon is.
    pub(crate) reach: ReachArgs,
    /// Print nothing but errors.
    pub(crate) is_quiet: bool,
}

/// Decides what the arguments of `get -b` mean.
///
/// # Errors
/// When they mean nothing, a file that they name can not be used, or only the foreground has a use for
/// them.
pub(crate) fn get_in_background(args: GetArgs) -> Result<Handover<DownloadRequest>, Fault> {
    check(&args.transfer)?;
    let fields = fields(&args.transfer)?;
    let mut requests = get::requests(&args, &get::entries(&args)?, &fields)?;
    for request in &mut requests {
        let mut made = request.clone().adopt_existing(true);
        if let Some(bytes) = args.transfer.limit_rate {
            made = made.rate_limit_bytes(bytes)?;
        }
        *request = made;
    }
    let mut of_session = given(&args.transfer);
    of_session.extend(args.jobs.map(|_| "-j"));
    of_session.extend(args.durability.map(|_| "--durability"));
    let survives = args.durability.unwrap_or(Survives::Power);
    let configuration = shared(session(&args.transfer), &args.transfer)?
        .tasks_max(get::jobs(&args))?
        .tasks_per_host_max(get::jobs(&args))?
        .durability(get::durability(survives));
    Ok(handover(
        requests,
        configuration,
        of_session,
        &args.transfer,
    ))
}

/// Decides what the arguments of `put -b` mean.
///
/// # Errors
/// As [`get_in_background`].
pub(crate) fn put_in_background(args: PutArgs) -> Result<Handover<UploadRequest>, Fault> {
    check(&args.transfer)?;
    let (mut request, _) = put::request(&args)?;
    if let Some(bytes) = args.transfer.limit_rate {
        request = request.rate_limit_bytes(bytes)?;
    }
    let configuration = shared(session(&args.transfer), &args.transfer)?;
    let configuration = configuration.durability(Durability::Power);
    let of_session = given(&args.transfer);
    Ok(handover(
        vec![request],
        configuration,
        of_session,
        &args.transfer,
    ))
}

fn handover<R>(
    requests: Vec<R>,
    configuration: SessionConfiguration,
    of_session: Vec<&'static str>,
    args: &TransferArgs,
) -> Handover<R> {
    Handover {
        requests,
        configuration,
        of_session,
        reach: ReachArgs {
            socket: args.socket.clone(),
            state_dir: args.state_dir.clone(),
            json: args.json,
            verbose: args.verbose,
        },
        is_quiet: args.quiet,
    }
}

fn session(args: &TransferArgs) -> &str {
    args.session.as_deref().unwrap_or(DEFAULT_SESSION)
}

/// Refuses what only a command that waits can do.
fn check(args: &TransferArgs) -> Result<(), Fault> {
    let options = [
        ("--retry", args.retry.is_some()),
        ("--retry-max-time", args.retry_max_time.is_some()),
    ];
    match options.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((option, _)) => Err(Fault::Usage(format!(
            "{option} is for the foreground: the daemon tries for 7 days; leave it out, and end a task \
             that takes too long with `longhaul cancel`"
        ))),
    }
}

/// The options that were given and hold for a whole session.
fn given(args: &TransferArgs) -> Vec<&'static str> {
    let options = [
        ("--idle-timeout", args.idle_timeout.is_some()),
        ("--connect-timeout", args.connect_timeout.is_some()),
        ("--max-redirs", args.max_redirs.is_some()),
        ("--proxy", args.proxy.is_some()),
        ("--cacert", args.cacert.is_some()),
    ];
    let given = options.into_iter().filter(|(_, is_given)| *is_given);
    given.map(|(option, _)| option).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn get(line: &[&str]) -> Result<Handover<DownloadRequest>, Fault> {
        let line = ["longhaul", "get", "-b"].iter().chain(line);
        match Args::try_parse_from(line).unwrap().command {
            Command::Get(args) => get_in_background(*args),
            _ => panic!("another command"),
        }
    }

    #[test]
    fn what_only_the_foreground_can_do_is_refused() {
        for line in [["--retry", "3"], ["--retry-max-time", "5m"]] {
            let fault = get(&[line[0], line[1], "http://h/a"])
                .map(|_| ())
                .unwrap_err();
            assert_eq!(fault.exit().code(), 2);
            let text = fault.to_string();
            assert!(text.starts_with(line[0]) && text.contains(';'), "{text}");
        }
    }

    #[test]
    fn the_options_of_a_session_are_told_from_those_of_a_task() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().to_str().unwrap();
        let of_session = |line: &[&str]| {
            let line: Vec<&str> = line
                .iter()
                .copied()
                .chain(["-d", dir, "http://h/a"])
                .collect();
            get(&line).map(|it| it.of_session).unwrap()
        };
        let none: [&str; 0] = [];
        assert_eq!(
            of_session(&["-x", "4", "--limit-rate", "1M", "-H", "A: b"]),
            none
        );
        assert_eq!(
            of_session(&[
                "-j",
                "3",
                "--durability",
                "process",
                "--proxy",
                "http://p:1"
            ]),
            ["--proxy", "-j", "--durability"]
        );
    }

    #[test]
    fn the_session_is_the_one_that_is_named_or_the_commands_own() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().to_str().unwrap();
        let named = get(&[
            "--session",
            "photos/a",
            "-d",
            dir,
            "http://h/a",
            "http://h/a",
        ]);
        let named = named.map(|it| (it.configuration.identifier().to_owned(), it.requests.len()));
        assert_eq!(named.unwrap(), ("photos/a".to_owned(), 1));
        let own = get(&["-d", dir, "http://h/a"]);
        assert_eq!(
            own.map(|it| it.configuration.identifier().to_owned())
                .unwrap(),
            "longhaul"
        );
    }
}
