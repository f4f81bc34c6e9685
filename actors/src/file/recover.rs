//! After a crash: what is left of the file that a checkpoint names, under which name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use longhaul_engine::checkpoint::{Checkpoint, Part, SpanRecord, Stage, ValidityToken};
use longhaul_engine::failure::Failure;
use longhaul_engine::recovery::{Found, FoundPart};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::discard::discard;
use super::disk::{Flow, identity_of, sync_directory_of, try_each_block};
use super::error::failure;
use super::part::PartFile;
use super::token::validity_token;

/// What [`recover`] found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// What the rules decide on.
    pub found: Found,
    /// The part, open. Together with [`Found::Published`] it is what a copy to another device left:
    /// discard it after the terminal fact is committed.
    pub part: Option<PartFile>,
}

/// Looks for the part file of `checkpoint`, and, when it was about to be published, for the file
/// under its final name. Publishing is several steps, and a crash may have come after any:
///
/// - the target is the very file of the record: published. If the part's name is still there too (a
///   link, not a rename), it is removed.
/// - the part is there: it is opened, its length and the digests of its tails are read. Whether its
///   bytes may be believed is not decided here.
/// - the part is there on another device, and the target has the same bytes: published by copying.
/// - neither: nothing.
///
/// # Errors
/// `File` when the system refuses to look or to open: what is there may be found by a later try.
pub fn recover(checkpoint: &Checkpoint) -> Result<Recovered, Failure> {
    let nothing = Recovered {
        found: Found::Nothing,
        part: None,
    };
    let Some(record) = &checkpoint.part else {
        return Ok(nothing);
    };
    let target = match &checkpoint.stage {
        Stage::Finishing(target) => Some(target.as_path()),
        Stage::Transferring | Stage::AwaitingAuthorization(_) => None,
    };
    if let Some(target) = target
        && let Some(token) = renamed(record, target, checkpoint)?
    {
        if record.path != target {
            discard(&record.path, record.identity)?;
        }
        return Ok(Recovered {
            found: Found::Published(token),
            part: None,
        });
    }
    let Some(part) = PartFile::reopen(record)? else {
        // It may have been renamed between the two looks: the pool finishes a transfer's work even
        // when the transfer has crashed.
        let renamed = match target {
            Some(target) => renamed(record, target, checkpoint)?,
            None => None,
        };
        let found = renamed.map_or(Found::Nothing, Found::Published);
        return Ok(Recovered { found, part: None });
    };
    let found = examine(&part, &checkpoint.spans)?;
    if let Some((target, total)) = target.zip(checkpoint.total)
        && was_copied(&part, target, total)?
    {
        // The part's own token: its bytes have just been compared with the target's, so the target
        // may be believed as far as the part.
        return Ok(Recovered {
            found: Found::Published(found.token),
            part: Some(part),
        });
    }
    Ok(Recovered {
        found: Found::Part(found),
        part: Some(part),
    })
}

fn examine(part: &PartFile, spans: &[SpanRecord]) -> Result<FoundPart, Failure> {
    let metadata = part
        .file()
        .metadata()
        .map_err(|error| failure("look at", part.path(), &error))?;
    let tails_match = spans
        .iter()
        .map(|span| part.holds(span))
        .collect::<Result<_, _>>()?;
    Ok(FoundPart {
        token: part.record()?.token,
        length: metadata.len(),
        tails_match,
    })
}

/// The token of `target` if it is the very file that `record` means; its name is durable then.
///
/// One of another length is ours too when a power cut may have cut it: the rules have it removed.
/// Otherwise somebody else has changed it, and it is left alone.
fn renamed(
    record: &Part,
    target: &Path,
    checkpoint: &Checkpoint,
) -> Result<Option<ValidityToken>, Failure> {
    // The mode of a published file may allow nobody to read it, so only its place is opened.
    let Some(file) = open_existing(target, OFlags::PATH)? else {
        return Ok(None);
    };
    let found = file
        .metadata()
        .map_err(|error| failure("look at", target, &error))?;
    if identity_of(&found) != record.identity {
        return Ok(None);
    }
    let token = validity_token(&file, target)?;
    let is_whole = checkpoint.total.is_none_or(|total| total == found.len());
    let is_synced = checkpoint
        .spans
        .iter()
        .all(|span| span.end == Some(span.synced));
    if !is_whole && (token == record.token || is_synced) {
        return Ok(None);
    }
    sync_directory_of(target, &file)?;
    Ok(Some(token))
}

/// Whether `target` is a file on another device with the first `total` bytes of `part`, and no more.
fn was_copied(part: &PartFile, target: &Path, total: u64) -> Result<bool, Failure> {
    let Some(place) = open_existing(target, OFlags::PATH)? else {
        return Ok(false);
    };
    let found = place
        .metadata()
        .map_err(|error| failure("look at", target, &error))?;
    let is_elsewhere = identity_of(&found).device != part.identity().device;
    if !is_elsewhere || !found.is_file() || found.len() != total {
        return Ok(false);
    }
    has_same_bytes(part, target, total)
}

fn has_same_bytes(part: &PartFile, target: &Path, total: u64) -> Result<bool, Failure> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let Some(file) = open_existing(target, flags)? else {
        return Ok(false);
    };
    let mut theirs = Vec::new();
    let compared = try_each_block(part.file(), total, |ours, offset| {
        theirs.resize(ours.len(), 0);
        file.read_exact_at(&mut theirs, offset)?;
        Ok(if ours == theirs {
            Flow::GoOn
        } else {
            Flow::Stop
        })
    });
    match compared {
        Ok(flow) => Ok(flow == Flow::GoOn),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(failure("compare", target, &error)),
    }
}

fn open_existing(path: &Path, flags: OFlags) -> Result<Option<File>, Failure> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())) {
        Ok(file) => Ok(Some(File::from(file))),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(error) => Err(failure("open", path, &error.into())),
    }
}
