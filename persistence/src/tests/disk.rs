//! A disk in memory that can fail at any operation, and can lose what was not synced.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use crate::{Store, StoreError};

/// What a disk writes at once or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    /// What a reader of this running system sees.
    live: Vec<u8>,
    /// What was synced.
    durable: Vec<u8>,
    /// What has changed since the last sync, in order.
    pending: Vec<Write>,
    /// Operations so far; lengths are free, as nobody lets them fail.
    operations: u64,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum Write {
    Bytes { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

/// When a disk fails. Operations count from zero.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// This operation fails; the next ones succeed.
    Once(u64),
    /// The power goes at this operation.
    From(u64),
}

impl Store {
    /// Opens the store in `backend`, as [`Store::open`] does it with a file.
    pub(super) fn open_backend(backend: impl StorageBackend) -> Result<Self, StoreError> {
        Self::open_in(Path::new("test.redb"), backend)
    }
}

impl Disk {
    /// A disk on which `image` is durable.
    pub(super) fn holding(image: Vec<u8>) -> Self {
        let contents = Contents {
            live: image.clone(),
            durable: image,
            ..Contents::default()
        };
        Self(Arc::new(Mutex::new(contents)))
    }

    pub(super) fn with_fault(self, fault: Fault) -> Self {
        self.0.lock().unwrap().fault = Some(fault);
        self
    }

    pub(super) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// What a power cut leaves: everything that was synced, and of the rest nothing, all, some
    /// writes or some sectors.
    pub(super) fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        let contents = self.0.lock().unwrap();
        let mut image = contents.durable.clone();
        let mode = random.below(4);
        for write in &contents.pending {
            let is_kept = match mode {
                0 => false,
                1 => true,
                _ => random.below(2) == 0,
            };
            match write {
                _ if !is_kept => {}
                Write::Length(length) => set_length(&mut image, *length),
                Write::Bytes { offset, bytes } => {
                    for (at, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        if mode == 3 && random.below(2) == 0 {
                            continue;
                        }
                        write_at(&mut image, offset + at * SECTOR_BYTES, sector);
                    }
                }
            }
        }
        image
    }
}

impl Contents {
    fn count(&mut self) -> io::Result<()> {
        let operation = self.operations;
        self.operations += 1;
        match self.fault {
            Some(Fault::Once(at)) if at == operation => Err(io::Error::other("a bad sector")),
            Some(Fault::From(at)) if at <= operation => Err(io::Error::other("the power is off")),
            Some(Fault::Once(_) | Fault::From(_)) | None => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count()?;
        let offset = usize::try_from(offset).unwrap();
        let bytes = contents.live.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count()?;
        let length = usize::try_from(length).unwrap();
        set_length(&mut contents.live, length);
        contents.pending.push(Write::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count()?;
        for write in std::mem::take(&mut contents.pending) {
            match write {
                Write::Length(length) => set_length(&mut contents.durable, length),
                Write::Bytes { offset, bytes } => write_at(&mut contents.durable, offset, &bytes),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.0.lock().unwrap();
        contents.count()?;
        let offset = usize::try_from(offset).unwrap();
        write_at(&mut contents.live, offset, bytes);
        contents.pending.push(Write::Bytes {
            offset,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }
}

fn write_at(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if image.len() < end {
        set_length(image, end);
    }
    image[offset..end].copy_from_slice(bytes);
}

/// As `Vec::resize` with zeros, which without optimisation sets them one by one: most of a run's
/// time.
fn set_length(image: &mut Vec<u8>, length: usize) {
    image.truncate(length);
    let mut missing = vec![0; length - image.len()];
    image.append(&mut missing);
}

/// Chance from a seed (xorshift), so that a failing run can be had again.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number from zero to `limit - 1`.
    pub(super) const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
