//! What `longhaul get` is asked for: lists read, places resolved, downloads named once.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use longhaul::{Collision, Destination, DownloadRequest, Durability, Error, SessionConfiguration};

use super::{Output, Plan, configuration, fields, header, login, read_file, read_limited, retry};
use crate::args::{GetArgs, IfExists, Survives};
use crate::exit::Fault;
use crate::list::{self, Entry, LIST_BYTES_MAX};
use crate::places::Places;
use crate::state::StateRoot;

/// Files at once without another word.
const JOBS: u32 = 5;

/// Decides what the arguments mean.
///
/// # Errors
/// When they mean nothing, or a file that they name can not be used.
pub(crate) fn get(args: GetArgs) -> Result<Plan<Vec<DownloadRequest>>, Fault> {
    let entries = entries(&args)?;
    // The session has the fields of all.
    let requests = requests(&args, &entries, &[])?;
    drop(entries);
    let configuration = session(&args)?;
    let root = StateRoot::resolve(args.transfer.state_dir.as_deref())?;
    Ok(Plan {
        directory: root.of_downloads(&requests),
        requests,
        configuration,
        retry: retry(&args.transfer),
        output: Output::of(&args.transfer),
    })
}

fn session(args: &GetArgs) -> Result<SessionConfiguration, Fault> {
    let mut configuration = configuration("get", &args.transfer)?
        .tasks_max(jobs(args))?
        .tasks_per_host_max(jobs(args))?
        .durability(durability(args.durability.unwrap_or(Survives::Process)));
    for (name, value) in fields(&args.transfer)? {
        configuration = if name.eq_ignore_ascii_case("user-agent") {
            configuration.user_agent(&value)?
        } else {
            configuration.header(&name, &value)?
        };
    }
    Ok(configuration)
}

/// Files at once: as many as were asked for, or a few.
pub(super) fn jobs(args: &GetArgs) -> u32 {
    args.jobs.unwrap_or(JOBS)
}

pub(super) const fn durability(survives: Survives) -> Durability {
    match survives {
        Survives::Process => Durability::Process,
        Survives::Power => Durability::Power,
    }
}

pub(super) fn entries(args: &GetArgs) -> Result<Vec<Entry>, Fault> {
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

/// One request for each entry that is another one; `shared` are fields of all, where an entry has none of
/// that name.
pub(super) fn requests(
    args: &GetArgs,
    entries: &[Entry],
    shared: &[(String, String)],
) -> Result<Vec<DownloadRequest>, Fault> {
    let mut places = Places::default();
    let login = login(&args.transfer)?;
    let mut requests = Vec::with_capacity(entries.len());
    let mut seen = HashSet::with_capacity(entries.len());
    let mut files: HashMap<PathBuf, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let request = request(args, entry, login, &mut places)
            .and_then(|request| with_shared(request, entry, shared))
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
    request = request.collision(args.if_exists.into());
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
    if args.transfer.allow_downgrade {
        request = request.allow_downgrade();
    }
    Ok(request)
}

/// As a session adds its fields (Foundation: `HTTPAdditionalHeaders`).
fn with_shared(
    mut request: DownloadRequest,
    entry: &Entry,
    shared: &[(String, String)],
) -> Result<DownloadRequest, Fault> {
    let own = entry.headers.iter().map(|text| header(text));
    let own: Vec<(&str, &str)> = own.collect::<Result<_, _>>()?;
    for (name, value) in shared {
        if !own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
            request = request.header(name, value)?;
        }
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
        fault @ (Fault::Library(_) | Fault::NoSuchTask(_) | Fault::TimedOut(_)) => fault,
    }
}

impl From<IfExists> for Collision {
    fn from(asked: IfExists) -> Self {
        match asked {
            IfExists::Fail => Self::Fail,
            IfExists::Overwrite => Self::Overwrite,
            IfExists::Rename => Self::Rename,
            IfExists::Skip => Self::Skip,
        }
    }
}
