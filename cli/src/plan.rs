//! What the command line means: paths resolved, files read, requests made and checked.

use std::io::{self, IsTerminal as _, Read};
use std::path::Path;
use std::time::Duration;

use longhaul::{CA_CERTIFICATES_BYTES_MAX, SessionConfiguration};

use crate::args::TransferArgs;
use crate::exit::Fault;
use crate::ledger::RetryLimits;
use crate::state::RunDirectory;

mod background;
mod get;
mod put;
#[cfg(test)]
mod tests;

pub(crate) use background::{Handover, get_in_background, put_in_background};
pub(crate) use get::get;
pub(crate) use put::put;

/// A file of header fields: twice what a request may carry.
const HEADER_FILE_BYTES_MAX: usize = 64 * 1024;

/// A person who runs the command again wants the file now, however old its first bytes are; so the
/// library's 7 days from the task's making do not apply here.
const RESOURCE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Try again when no byte moved for this long, without another word.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Try again when a connection took this long to make, without another word.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Redirects that are followed without another word: as many as may be.
const REDIRECTS_MAX: u32 = 20;

/// Retries in a row that bring nothing new, without another word.
const RETRIES_MAX: u32 = 10;

/// A run of a command, ready to go.
pub(crate) struct Plan<R> {
    /// What to transfer, without repetitions.
    pub(crate) requests: R,
    /// What all transfers share.
    pub(crate) configuration: SessionConfiguration,
    /// Where the run's state lies.
    pub(crate) directory: RunDirectory,
    /// When to give up on a file.
    pub(crate) retry: RetryLimits,
    /// What is shown.
    pub(crate) output: Output,
}

/// What is shown, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// One JSON object a line on stdout.
    Json,
    /// Errors only.
    Quiet,
    /// Paths on stdout, errors on stderr.
    Plain,
    /// The same, with progress bars on stderr.
    Bars,
}

impl Output {
    /// What the arguments and the terminal ask for.
    pub(crate) fn of(args: &TransferArgs) -> Self {
        if args.json {
            Self::Json
        } else if args.quiet {
            Self::Quiet
        } else if args.no_progress || args.verbose > 0 || !io::stderr().is_terminal() {
            // Logs and bars would write over each other.
            Self::Plain
        } else {
            Self::Bars
        }
    }
}

/// What the transfers of every command in the foreground share.
fn configuration(session: &str, args: &TransferArgs) -> Result<SessionConfiguration, Fault> {
    let mut configuration = shared(session, args)?.timeout_for_resource(RESOURCE_TIMEOUT)?;
    if let Some(bytes) = args.limit_rate {
        configuration = configuration.rate_limit_bytes(bytes)?;
    }
    Ok(configuration)
}

/// What the transfers of one session share.
fn shared(session: &str, args: &TransferArgs) -> Result<SessionConfiguration, Fault> {
    let mut configuration = SessionConfiguration::new(session)?
        .timeout_for_request(args.idle_timeout.unwrap_or(IDLE_TIMEOUT))?
        .timeout_for_connect(args.connect_timeout.unwrap_or(CONNECT_TIMEOUT))?
        .redirects_max(args.max_redirs.unwrap_or(REDIRECTS_MAX))?;
    if let Some(path) = &args.cacert {
        let pem = read_file(path, CA_CERTIFICATES_BYTES_MAX)?;
        configuration = configuration.ca_certificates_pem(pem)?;
    }
    if let Some(url) = &args.proxy {
        configuration = configuration.proxy(url)?;
    }
    Ok(configuration)
}

fn retry(args: &TransferArgs) -> RetryLimits {
    RetryLimits {
        retries_max: args.retry.unwrap_or(RETRIES_MAX),
        time_max: args.retry_max_time,
    }
}

/// The header fields of all `-H`: names and values.
fn fields(args: &TransferArgs) -> Result<Vec<(String, String)>, Fault> {
    let mut fields = Vec::new();
    for text in &args.header {
        for line in header_lines(text)? {
            let (name, value) = header(&line)?;
            fields.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(fields)
}

/// The fields that one `-H` gives: itself, or the lines of a file after `@`.
fn header_lines(text: &str) -> Result<Vec<String>, Fault> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(vec![text.to_owned()]);
    };
    let text = text_of(path, HEADER_FILE_BYTES_MAX)?;
    Ok(text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect())
}

/// What a file after `@` says.
fn text_of(path: &str, bytes_max: usize) -> Result<String, Fault> {
    let bytes = read_file(Path::new(path), bytes_max)?;
    String::from_utf8(bytes)
        .map_err(|_| Fault::Usage(format!("{path} is not text in UTF-8; write it as that")))
}

fn header(text: &str) -> Result<(&str, &str), Fault> {
    let (name, value) = text.split_once(':').ok_or_else(|| {
        Fault::Usage(
            "a header without a colon; write it as \"Name: value\", or @FILE for a file of them"
                .to_owned(),
        )
    })?;
    Ok((name.trim(), value.trim()))
}

/// The name and password of `-u`.
fn login(args: &TransferArgs) -> Result<Option<(&str, &str)>, Fault> {
    let Some(text) = args.user.as_deref() else {
        return Ok(None);
    };
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() => Ok(Some((user, password))),
        Some(_) | None => Err(Fault::Usage(
            "the login has no name or no password; write it as USER:PASSWORD".to_owned(),
        )),
    }
}

pub(crate) fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path)
        .map_err(|error| Fault::File(format!("{name} can not be read: {error}; check the path")))?;
    read_limited(file, &name, bytes_max)
}

fn read_limited(from: impl Read, name: &str, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    from.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| Fault::File(format!("{name} can not be read: {error}")))?;
    if bytes.len() > bytes_max {
        return Err(Fault::Usage(format!(
            "{name} has more than {bytes_max} bytes; give a smaller file"
        )));
    }
    Ok(bytes)
}
