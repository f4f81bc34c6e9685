//! The uploads of a server: bytes in files, how far each is, and which request is about it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};

use tempfile::TempDir;

use super::asked::Protocol;
use super::behaviour::Concurrency;
use crate::content::{Content, Mismatch};
use crate::locks::lock;
use crate::log::PATIENCE;
use crate::seed::mix;

/// An upload as a server has it, or what an ordinary request has stored. `Debug` leaves its name
/// and the values of fields out: these are secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct Upload {
    /// The last segment of its URL; secret, as such URLs are.
    pub name: String,
    /// The path of the request that created it.
    pub target: String,
    /// What that request spoke.
    pub protocol: Protocol,
    /// That request's fields.
    pub fields: Vec<(String, String)>,
    /// How many bytes the server has.
    pub offset_bytes: u64,
    /// How long it will be, once the client has said so.
    pub length_bytes: Option<u64>,
    /// The server has all of it, and the target has answered.
    pub is_complete: bool,
    /// It is gone, and requests for it get this status.
    pub gone: Option<u16>,
    /// Its bytes so far.
    pub file: PathBuf,
}

/// The uploads of one server.
#[derive(Debug)]
pub(super) struct Store {
    dir: TempDir,
    entries: Mutex<Vec<Entry>>,
    /// A request has let go of an upload, or would.
    released: Condvar,
}

#[derive(Debug)]
struct Entry {
    upload: Upload,
    file: File,
    /// The request that is about it.
    holder: Option<Holder>,
    /// How many requests have held it: the newest one's number.
    holders: u64,
}

#[derive(Debug)]
struct Holder {
    connection: Weak<TcpStream>,
    /// It waits for a test; what it has read so far is stored.
    is_parked: bool,
}

/// Why a request gets no upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There never was one.
    Unknown,
    /// It is gone.
    Gone(u16),
    /// Another request is about it.
    Locked,
}

/// The right of one request to an upload, until it is dropped or another request takes it over.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    store: &'a Store,
    index: usize,
    number: u64,
}

impl Upload {
    /// Checks that the server has exactly the bytes of `content`.
    pub fn verify(&self, content: &Content) -> Result<(), Mismatch> {
        content.verify_file(&self.file)
    }

    /// The first value of the field `name` of the request that created it.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Upload")
            .field("target", &self.target)
            .field("protocol", &self.protocol)
            .field("offset_bytes", &self.offset_bytes)
            .field("length_bytes", &self.length_bytes)
            .field("is_complete", &self.is_complete)
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// A store in a directory of its own.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
            entries: Mutex::default(),
            released: Condvar::new(),
        })
    }

    /// Adds an empty upload, which the request on `connection` holds.
    pub(super) fn create(
        &self,
        (protocol, target): (Protocol, &str),
        fields: &[(String, String)],
        connection: Weak<TcpStream>,
    ) -> io::Result<Claim<'_>> {
        let mut entries = lock(&self.entries);
        let index = entries.len();
        let name = format!("{:016x}", mix(index as u64));
        let file = self.dir.path().join(&name);
        entries.push(Entry {
            file: File::options().create_new(true).append(true).open(&file)?,
            upload: Upload {
                name,
                target: target.into(),
                protocol,
                fields: fields.to_vec(),
                offset_bytes: 0,
                length_bytes: None,
                is_complete: false,
                gone: None,
                file,
            },
            holder: Some(Holder {
                connection,
                is_parked: false,
            }),
            holders: 1,
        });
        Ok(Claim {
            store: self,
            index,
            number: 1,
        })
    }

    /// Gives the upload `name` to the request on `connection`. Another request that holds it is
    /// ended first, or `connection` is refused.
    pub(super) fn claim(
        &self,
        name: &str,
        connection: Weak<TcpStream>,
        concurrency: Concurrency,
    ) -> Result<Claim<'_>, Refusal> {
        let mut entries = lock(&self.entries);
        let index = position(&entries, name).ok_or(Refusal::Unknown)?;
        loop {
            let entry = &mut entries[index];
            if let Some(status) = entry.upload.gone {
                return Err(Refusal::Gone(status));
            }
            let Some(holder) = entry.holder.as_ref().filter(|holder| !holder.is_parked) else {
                break;
            };
            if concurrency == Concurrency::Locked {
                return Err(Refusal::Locked);
            }
            // What it has received already it may still store; it then sees the end.
            if let Some(stream) = holder.connection.upgrade() {
                let _ended = stream.shutdown(Shutdown::Read);
            }
            let waited = self.released.wait_timeout(entries, PATIENCE);
            let timeout;
            (entries, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return Err(Refusal::Locked);
            }
        }
        let entry = &mut entries[index];
        entry.holders += 1;
        entry.holder = Some(Holder {
            connection,
            is_parked: false,
        });
        Ok(Claim {
            store: self,
            index,
            number: entry.holders,
        })
    }

    /// Whether there is, or was, an upload of this name.
    pub(super) fn knows(&self, name: &str) -> bool {
        position(&lock(&self.entries), name).is_some()
    }

    /// How many bytes of the upload `name` there are; none of an unknown one.
    pub(super) fn offset(&self, name: &str) -> u64 {
        let entries = lock(&self.entries);
        position(&entries, name).map_or(0, |index| entries[index].upload.offset_bytes)
    }

    /// Makes the upload `name` gone, or every unfinished one without a name.
    pub(super) fn forget(&self, name: Option<&str>, status: u16) {
        for entry in lock(&self.entries).iter_mut() {
            let is_meant = match name {
                Some(name) => entry.upload.name == name,
                None => !entry.upload.is_complete,
            };
            if is_meant && entry.upload.gone.is_none() {
                entry.upload.gone = Some(status);
            }
        }
    }

    /// Loses the bytes of the upload `name` from `offset` on, as a server that must not.
    pub(super) fn regress(&self, name: &str, offset: u64) -> io::Result<()> {
        let mut entries = lock(&self.entries);
        match position(&entries, name) {
            Some(index) => entries[index].cut_to(offset),
            None => Ok(()),
        }
    }

    /// All uploads, in the order of their creation.
    pub(super) fn snapshot(&self) -> Vec<Upload> {
        let entries = lock(&self.entries);
        entries.iter().map(|entry| entry.upload.clone()).collect()
    }
}

impl Entry {
    fn cut_to(&mut self, offset: u64) -> io::Result<()> {
        if offset < self.upload.offset_bytes {
            self.file.set_len(offset)?;
            self.upload.offset_bytes = offset;
        }
        Ok(())
    }
}

impl Claim<'_> {
    /// The upload as it is now.
    pub(super) fn upload(&self) -> Upload {
        self.entries()[self.index].upload.clone()
    }

    /// Adds bytes at the end. An error when another request has taken the upload over.
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.change(|entry| {
            entry.file.write_all(bytes)?;
            entry.upload.offset_bytes += bytes.len() as u64;
            Ok(())
        })
    }

    /// Takes back what was added beyond `offset`.
    pub(super) fn cut_to(&self, offset: u64) -> io::Result<()> {
        self.change(|entry| entry.cut_to(offset))
    }

    /// Sets how long the upload will be.
    pub(super) fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.change(|entry| {
            entry.upload.length_bytes = Some(bytes);
            Ok(())
        })
    }

    /// The server has all of it.
    pub(super) fn complete(&self) -> io::Result<()> {
        self.change(|entry| {
            entry.upload.length_bytes = Some(entry.upload.offset_bytes);
            entry.upload.is_complete = true;
            Ok(())
        })
    }

    /// Makes the upload gone.
    pub(super) fn forget(&self, status: u16) -> io::Result<()> {
        self.change(|entry| {
            entry.upload.gone = Some(status);
            Ok(())
        })
    }

    /// Removes what an ordinary request has left behind when it was cut: nobody ever sees it.
    pub(super) fn discard(&self) -> io::Result<()> {
        self.cut_to(0)?;
        fs::remove_file(&self.upload().file)?;
        self.forget(404)
    }

    /// Lets other requests take the upload over, or no more of them.
    pub(super) fn park(&self, is_parked: bool) -> io::Result<()> {
        self.change(|entry| {
            if let Some(holder) = &mut entry.holder {
                holder.is_parked = is_parked;
            }
            Ok(())
        })?;
        // Another request may be waiting already.
        self.store.released.notify_all();
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Entry) -> io::Result<()>) -> io::Result<()> {
        let entry = &mut self.entries()[self.index];
        if entry.holders == self.number {
            change(entry)
        } else {
            Err(ErrorKind::Interrupted.into())
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        lock(&self.store.entries)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let entry = &mut self.entries()[self.index];
        if entry.holders == self.number {
            entry.holder = None;
        }
        self.store.released.notify_all();
    }
}

fn position(entries: &[Entry], name: &str) -> Option<usize> {
    entries.iter().position(|entry| entry.upload.name == name)
}
