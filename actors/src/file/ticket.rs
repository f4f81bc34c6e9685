//! The ticket beside a part file or the file of an upload: what was asked, sealed, for whoever holds
//! the resume data.
//!
//! Resume data carries a key and a path and no secret of the request; the ticket holds everything
//! else, which is of no use without that key. It is sealed with ChaCha20-Poly1305 (RFC 8439) under a
//! key of its own, so the nonce is always the same.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use longhaul_engine::checkpoint::Checkpoint;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::TaskId;
use longhaul_engine::recovery::survivors;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::upload::UploadCheckpoint;
use longhaul_persistence::{ResumeToken, Ticket, TicketId};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustix::io::Errno;

use super::discard::discard;
use super::disk::{create_file, identity_of, look, open_nofollow, sync_directory_of};
use super::error::{errno_of, failure};
use super::lock::LockedFile;
use super::mode::make_private_directory;
use super::place::upload_ticket_paths;
use super::recover::recover;
use super::source::SourceFile;
use crate::time::fill_with_entropy;

/// How a ticket begins: what it is and its version.
const MAGIC: &[u8; 8] = b"lhticke1";

/// Bytes read of a ticket: more than the largest request with the longest progress takes.
const TICKET_BYTES_MAX: u64 = 512 * 1024;

/// The identifier of a ticket in its file and in the resume data.
const ID_BYTES: usize = 16;

/// Makes resume data of `ticket`, which lies sealed at `path` when this answers, on the device and
/// under its name. Whatever had the name is replaced.
///
/// # Errors
/// `File` or `NoSpace` when it can not be written, or there is no entropy: nothing is left then.
pub fn seal(path: &Path, ticket: &Ticket) -> Result<ResumeData, Failure> {
    let entropy = |error| failure("draw a key for", path, &error);
    let mut token = ResumeToken {
        key: [0; 32],
        ticket: TicketId([0; ID_BYTES]),
        path: path.to_owned(),
    };
    fill_with_entropy(&mut token.key).map_err(entropy)?;
    fill_with_entropy(&mut token.ticket.0).map_err(entropy)?;
    let too_large = |error: longhaul_persistence::TicketTooLarge| {
        Failure::new(FailureKind::File, error.to_string())
    };
    let data = token.encode().map_err(too_large)?;
    let bytes = sealed(&token, ticket.encode().map_err(too_large)?);
    write(path, &bytes).inspect_err(|_| {
        // The failure that matters is the first one; half a ticket opens for nobody.
        drop(fs::remove_file(path));
    })?;
    Ok(data)
}

/// The same for an upload of `task`, whose ticket lies beside `source`: the state directory may be
/// deleted, and whoever takes the file away takes what is of no use without it. Where no file can be
/// made there, it lies in `fallback`, a directory within the state directory.
///
/// # Errors
/// As [`seal`], when it can be written in neither place.
pub fn seal_upload(
    (source, task): (&Path, TaskId),
    fallback: &Path,
    ticket: &Ticket,
) -> Result<ResumeData, Failure> {
    let [beside, within] = upload_ticket_paths(source, task, fallback)?;
    match seal(&beside, ticket) {
        Ok(data) => Ok(data),
        Err(error) => {
            tracing::debug!(%error, "the ticket goes to the state directory");
            make_private_directory(fallback)
                .map_err(|error| failure("make the directory", fallback, &error))?;
            seal(&within, ticket)
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let step = |error| failure("write the ticket", path, &error);
    let mut file = create_file(path).map_err(step)?;
    file.write_all(bytes).map_err(step)?;
    file.sync_all().map_err(step)?;
    sync_directory_of(path, &file)
}

fn sealed(token: &ResumeToken, mut plain: Vec<u8>) -> Vec<u8> {
    key_of(token)
        .seal_in_place_append_tag(nonce(), aad(token.ticket), &mut plain)
        .expect("a ticket is much shorter than the cipher allows");
    [MAGIC.as_slice(), &token.ticket.0, &plain].concat()
}

fn key_of(token: &ResumeToken) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, &token.key);
    LessSafeKey::new(key.expect("a key of 32 bytes is what the cipher takes"))
}

/// The same for all: no key seals twice.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn aad(ticket: TicketId) -> Aad<Vec<u8>> {
    Aad::from([MAGIC.as_slice(), &ticket.0].concat())
}

/// A ticket that was opened, and is locked: nobody else can open it until this is dropped.
#[derive(Debug)]
pub struct OpenTicket {
    token: ResumeToken,
    ticket: Ticket,
    _lock: LockedFile,
}

impl OpenTicket {
    /// Opens the ticket that `data` names.
    ///
    /// # Errors
    /// Each of [`ResumeDataError`] but those about the kind.
    pub fn open(data: &ResumeData) -> Result<Self, ResumeDataError> {
        let token = ResumeToken::decode(data)?;
        let (path, stale) = (&token.path, || ResumeDataError::Stale(token.path.clone()));
        let unreadable = |error: &io::Error| {
            ResumeDataError::File(failure("read the ticket", path, error).to_string())
        };
        let file = match open_nofollow(path) {
            Ok(file) => file,
            Err(error) if is_gone(&error) => return Err(stale()),
            Err(error) => return Err(unreadable(&error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ResumeDataError::Used),
            Err(TryLockError::Error(error)) => return Err(unreadable(&error)),
        }
        let mut lock = LockedFile::new(file);
        // Who had the lock before has removed it.
        if !is_named(lock.file(), path).map_err(|error| unreadable(&error))? {
            return Err(stale());
        }
        let mut bytes = Vec::new();
        let read = lock.file().take(TICKET_BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(&error))?;
        let ticket = opened(&token, bytes)?;
        Ok(Self {
            token,
            ticket,
            _lock: lock,
        })
    }

    /// What the resume data says.
    #[must_use]
    pub const fn token(&self) -> &ResumeToken {
        &self.token
    }

    /// What was sealed.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Removes it: it is of no more use.
    pub fn remove(self) {
        remove(&self.token.path);
    }

    /// Removes it and the part file that it speaks of, if that still is the one.
    ///
    /// # Errors
    /// `File` when the system refuses; the ticket stays then.
    pub fn discard(self) -> Result<(), Failure> {
        match &self.ticket {
            Ticket::Download(_, Checkpoint { part, .. }) => {
                if let Some(part) = part {
                    discard(&part.path, part.identity)?;
                }
            }
            // Its file is its owner's.
            Ticket::Upload(..) => {}
        }
        self.remove();
        Ok(())
    }
}

/// Whether bytes of the part file that `checkpoint` names are there and may be believed.
///
/// # Errors
/// [`ResumeDataError::Stale`] when there are none, [`ResumeDataError::File`] when the system refuses
/// to look.
pub fn check_part(checkpoint: &Checkpoint) -> Result<(), ResumeDataError> {
    let recovered =
        recover(checkpoint).map_err(|failure| ResumeDataError::File(failure.to_string()))?;
    let survivors = survivors(checkpoint, &recovered.found);
    if survivors.is_some_and(|spans| spans.written_bytes() > 0) {
        return Ok(());
    }
    let path = checkpoint.part.as_ref().map(|part| part.path.clone());
    Err(ResumeDataError::Stale(path.unwrap_or_default()))
}

/// Whether the file of an upload is the one still that `known` names.
///
/// # Errors
/// [`ResumeDataError::Stale`] when it is not, or not there; [`ResumeDataError::File`] when the system
/// refuses to look.
pub fn check_source(source: &Path, known: &UploadCheckpoint) -> Result<(), ResumeDataError> {
    let stale = || ResumeDataError::Stale(source.to_owned());
    let known = known.source.ok_or_else(stale)?;
    match SourceFile::inspect(source) {
        Ok((_, found)) if found.is_same(&known) => Ok(()),
        Ok(_) => Err(stale()),
        Err(failure)
            if matches!(
                failure.kind(),
                FailureKind::SourceMissing | FailureKind::SourceChanged
            ) =>
        {
            Err(stale())
        }
        Err(failure) => Err(ResumeDataError::File(failure.to_string())),
    }
}

/// Removes a ticket that is of no use to anybody.
pub fn remove(path: &Path) {
    // Where nothing can be removed, there is nothing as a rule.
    if matches!(look(path), Ok(None)) {
        return;
    }
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if is_gone(&error) => {}
        Err(error) => tracing::warn!(%error, ?path, "a ticket was left behind"),
    }
}

fn opened(token: &ResumeToken, mut bytes: Vec<u8>) -> Result<Ticket, ResumeDataError> {
    let foreign = || ResumeDataError::Foreign(token.path.clone());
    let sealed = bytes
        .split_first_chunk_mut::<{ MAGIC.len() + ID_BYTES }>()
        .filter(|(head, _)| head.starts_with(MAGIC));
    let Some((head, sealed)) = sealed else {
        return Err(foreign());
    };
    if head[MAGIC.len()..] != token.ticket.0 {
        // Its bytes went on, and were handed over again.
        return Err(ResumeDataError::Stale(token.path.clone()));
    }
    let plain = key_of(token).open_in_place(nonce(), aad(token.ticket), sealed);
    Ticket::decode(plain.map_err(|_| foreign())?)
}

fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let ours = identity_of(&file.metadata()?);
    let found = look(path).map_err(|failure| io::Error::other(failure.to_string()))?;
    Ok(found.is_some_and(|found| identity_of(&found) == ours))
}

/// Whether what has the name can be no ticket, or nothing has it.
fn is_gone(error: &io::Error) -> bool {
    let errno = errno_of(error);
    matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}
