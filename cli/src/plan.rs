//! What the command line means: paths resolved, files read, requests made and checked.

use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use longhaul::{
    CA_CERTIFICATES_BYTES_MAX, Collision, Destination, DownloadRequest, Durability, Error,
    SessionConfiguration,
};

use crate::args::{GetArgs, IfExists, Survives};
use crate::exit::Fault;
use crate::ledger::RetryLimits;
use crate::list::{self, Entry, LIST_BYTES_MAX};
use crate::places::Places;
use crate::state::{RunDirectory, StateRoot};

/// A file of header fields: twice what a request may carry.
const HEADER_FILE_BYTES_MAX: usize = 64 * 1024;

/// A person who runs the command again wants the file now, however old its first bytes are; so the
/// library's 7 days from the task's making do not apply here.
const RESOURCE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A run of `longhaul get`, ready to go.
pub(crate) struct Plan {
    /// What to download, without repetitions.
    pub(crate) requests: Vec<DownloadRequest>,
    /// What all downloads share.
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
    pub(crate) fn of(args: &GetArgs) -> Self {
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

/// Decides what the arguments mean.
///
/// # Errors
/// When they mean nothing, or a file that they name can not be used.
pub(crate) fn resolve(args: GetArgs) -> Result<Plan, Fault> {
    let output = Output::of(&args);
    let entries = entries(&args)?;
    let requests = requests(&args, &entries)?;
    drop(entries);
    let configuration = configuration(&args)?;
    let directory = StateRoot::resolve(args.state_dir.as_deref())?.run(&requests);
    let retry = RetryLimits {
        retries_max: args.retry,
        time_max: args.retry_max_time,
    };
    Ok(Plan {
        requests,
        configuration,
        directory,
        retry,
        output,
    })
}

fn entries(args: &GetArgs) -> Result<Vec<Entry>, Fault> {
    let typed = args.urls.iter().map(|url| Entry {
        url: url.clone(),
        ..Entry::default()
    });
    let mut entries: Vec<Entry> = typed.collect();
    if let Some(path) = &args.input_file {
        let (bytes, name) = if path.as_os_str() == "-" {
            let stdin = io::stdin().lock();
            (
                read_limited(stdin, "standard input", LIST_BYTES_MAX)?,
                "standard input".to_owned(),
            )
        } else {
            (read_file(path, LIST_BYTES_MAX)?, path.display().to_string())
        };
        let text = String::from_utf8(bytes).map_err(|_| {
            Fault::Usage(format!(
                "{name} is not text in UTF-8; a list holds one url a line"
            ))
        })?;
        entries.append(&mut list::parse(&text, &name)?);
    }
    if entries.is_empty() {
        return Err(Fault::Usage(
            "the list names no url; write one a line".to_owned(),
        ));
    }
    if entries.len() > 1 && args.output.is_some() {
        return Err(Fault::Usage(
            "-o names one file, but there are several urls; use -d DIR, or out= in a list (-i)"
                .to_owned(),
        ));
    }
    if entries.len() > 1 && !args.checksum.is_empty() {
        return Err(Fault::Usage(
            "--checksum is of one file, but there are several urls; use checksum= in a list (-i)"
                .to_owned(),
        ));
    }
    Ok(entries)
}

fn requests(args: &GetArgs, entries: &[Entry]) -> Result<Vec<DownloadRequest>, Fault> {
    let mut places = Places::default();
    let login = args.user.as_deref().map(login).transpose()?;
    let mut requests = Vec::with_capacity(entries.len());
    let mut seen = HashSet::with_capacity(entries.len());
    let mut files: HashMap<PathBuf, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let request = request(args, entry, login, &mut places)
            .map_err(|fault| located(fault, entry, index, entries.len()))?;
        let (is_file, path) = match request.destination() {
            Destination::File(path) => (true, path.clone()),
            Destination::Directory(path) => (false, path.clone()),
        };
        // The same URL into the same place, named twice, is one download.
        if !seen.insert((request.url().as_str().to_owned(), is_file, path.clone())) {
            continue;
        }
        if let Some(earlier) = is_file.then(|| files.insert(path, index)).flatten() {
            let fault = Fault::Usage(format!(
                "it writes the same file as url {}; give one of them another name",
                earlier + 1
            ));
            return Err(located(fault, entry, index, entries.len()));
        }
        requests.push(request);
    }
    Ok(requests)
}

fn request(
    args: &GetArgs,
    entry: &Entry,
    login: Option<(&str, &str)>,
    places: &mut Places,
) -> Result<DownloadRequest, Fault> {
    let directory = entry.dir.as_deref().map(Path::new).or(args.dir.as_deref());
    let directory = directory.unwrap_or(Path::new("."));
    let mut request = match (&args.output, &entry.out) {
        (Some(path), _) => DownloadRequest::new(&entry.url, Places::file(path)?)?,
        (None, Some(name)) => {
            let directory = places.directory(directory)?;
            DownloadRequest::new(&entry.url, places.file_in(&directory, name)?)?
        }
        (None, None) => DownloadRequest::into_directory(&entry.url, places.directory(directory)?)?,
    };
    request = request.collision(match args.if_exists {
        IfExists::Fail => Collision::Fail,
        IfExists::Overwrite => Collision::Overwrite,
        IfExists::Rename => Collision::Rename,
        IfExists::Skip => Collision::Skip,
    });
    request = request.connections(args.connections)?;
    if let Some((user, password)) = login {
        request = request.credentials(user, password);
    }
    for text in &entry.headers {
        let (name, value) = header(text)?;
        request = request.header(name, value)?;
    }
    for text in args.checksum.iter().chain(&entry.checksums) {
        request = request.checksum(text)?;
    }
    if args.unvalidated_resume {
        request = request.allow_unvalidated_resume();
    }
    if args.allow_downgrade {
        request = request.allow_downgrade();
    }
    Ok(request)
}

/// Says where a fault lies when there are several places it could lie in.
fn located(fault: Fault, entry: &Entry, index: usize, entries: usize) -> Fault {
    let place = match (entry.line, entries) {
        (0, 1) => return fault,
        (0, _) => format!("url {}", index + 1),
        (line, _) => format!("the list's url in line {line}"),
    };
    match fault {
        Fault::Usage(text) | Fault::Library(Error::Invalid(text)) => {
            Fault::Usage(format!("{place}: {text}"))
        }
        Fault::File(text) => Fault::File(format!("{place}: {text}")),
        Fault::Other(text) => Fault::Other(format!("{place}: {text}")),
        Fault::Library(error) => Fault::Library(error),
    }
}

fn configuration(args: &GetArgs) -> Result<SessionConfiguration, Fault> {
    let mut configuration = SessionConfiguration::new("get")?
        .timeout_for_request(args.idle_timeout)?
        .timeout_for_connect(args.connect_timeout)?
        .timeout_for_resource(RESOURCE_TIMEOUT)?
        .redirects_max(args.max_redirs)?
        .tasks_max(args.jobs)?
        .tasks_per_host_max(args.jobs)?
        .durability(match args.durability {
            Survives::Process => Durability::Process,
            Survives::Power => Durability::Power,
        });
    for text in &args.header {
        for line in header_lines(text)? {
            let (name, value) = header(&line)?;
            configuration = if name.eq_ignore_ascii_case("user-agent") {
                configuration.user_agent(value)?
            } else {
                configuration.header(name, value)?
            };
        }
    }
    if let Some(path) = &args.cacert {
        let pem = read_file(path, CA_CERTIFICATES_BYTES_MAX)?;
        configuration = configuration.ca_certificates_pem(pem)?;
    }
    if let Some(url) = &args.proxy {
        configuration = configuration.proxy(url)?;
    }
    if let Some(bytes) = args.limit_rate {
        configuration = configuration.rate_limit_bytes(bytes)?;
    }
    Ok(configuration)
}

/// The fields that one `-H` gives: itself, or the lines of a file after `@`.
fn header_lines(text: &str) -> Result<Vec<String>, Fault> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(vec![text.to_owned()]);
    };
    let bytes = read_file(Path::new(path), HEADER_FILE_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Fault::Usage(format!(
            "{path} is not text in UTF-8; write one header field a line"
        ))
    })?;
    Ok(text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect())
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

fn login(text: &str) -> Result<(&str, &str), Fault> {
    text.split_once(':')
        .filter(|(user, _)| !user.is_empty())
        .ok_or_else(|| {
            Fault::Usage(
                "the login has no name or no password; write it as USER:PASSWORD".to_owned(),
            )
        })
}

fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Fault> {
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

#[cfg(test)]
mod tests;
