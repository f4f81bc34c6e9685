//! Looking into a store without touching it: no lock, no write, also of one that a crash has left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use longhaul_engine::checkpoint::TaskCheckpoint;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::task::Task;
use redb::StorageBackend;

use crate::error::StoreError;
use crate::open;
use crate::store::Store;

/// A store as its file was when it was looked at. What a crash has left unfinished is repaired in
/// memory only.
///
/// Nobody is kept from opening the store meanwhile. Who changes it while it is being read makes it look
/// damaged: ask before and after whether somebody has it open.
#[derive(Debug)]
pub struct StoreView(Store);

impl StoreView {
    /// Reads the store at `path`; `None` when there is none yet, or its making was interrupted.
    ///
    /// # Errors
    /// As [`Store::open`], except that nobody has it open.
    pub fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let path = path.to_owned();
                return Err(StoreError::Io { path, source });
            }
        };
        let store = open::guarded(path, || {
            let overlay = Overlay::new(file).map_err(|source| StoreError::Io {
                path: path.to_owned(),
                source,
            })?;
            Store::open_in(path, overlay)
        })?;
        // The first opening is the one that was just counted in memory: no engine has ever run.
        Ok((store.epoch() > 1).then_some(Self(store)))
    }

    /// Makes a new store in the place of one that is damaged, as [`Store::open_or_recreate`] does, and
    /// answers the name under which that one is kept, exactly as it was: to open it for writing may
    /// change it. `None` when none is damaged.
    ///
    /// # Errors
    /// When the store can not be read for another reason, be renamed, or the new one not be made.
    pub fn recreate_damaged(path: &Path) -> Result<Option<PathBuf>, StoreError> {
        let looked = Self::open(path).and_then(|view| view.map_or(Ok(()), |view| view.check()));
        match looked {
            Ok(()) => Ok(None),
            Err(StoreError::Corrupt { .. }) => {
                let kept = open::move_aside(path)?;
                Store::open(path)?;
                Ok(Some(kept))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads every record; a second is enough for some 100,000 tasks.
    ///
    /// # Errors
    /// As [`Store::check`].
    pub fn check(&self) -> Result<(), StoreError> {
        self.0.check()
    }

    /// As [`Store::sessions`].
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn sessions(&self) -> Result<Vec<SessionId>, StoreError> {
        self.0.sessions()
    }

    /// As [`Store::full_tasks`].
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn full_tasks(
        &self,
        session: &SessionId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<(Task, Option<TaskCheckpoint>)>, StoreError> {
        self.0.full_tasks(session, after, limit)
    }
}

/// A file that is only read, under what was written over it. A repair writes little: the pages that
/// say which others are free.
#[derive(Debug)]
struct Overlay {
    file: File,
    layer: Mutex<Layer>,
}

/// What was written over a file.
#[derive(Debug)]
struct Layer {
    length_bytes: u64,
    /// Where the file below ends: beyond it there are zeros.
    below_bytes: u64,
    /// The newest bytes at each place, cut so that none overlap.
    writes: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn new(file: File) -> io::Result<Self> {
        let length_bytes = file.metadata()?.len();
        let layer = Mutex::new(Layer {
            length_bytes,
            below_bytes: length_bytes,
            writes: BTreeMap::new(),
        });
        Ok(Self { file, layer })
    }

    fn layer(&self) -> MutexGuard<'_, Layer> {
        self.layer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.layer().length_bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let layer = self.layer();
        let end = end_of(offset, out.len())?;
        if end > layer.length_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let below = layer.below_bytes.clamp(offset, end) - offset;
        let (from_file, zeros) = out.split_at_mut(to_length(below)?);
        self.file.read_exact_at(from_file, offset)?;
        zeros.fill(0);
        layer.copy_into(offset, out)
    }

    fn set_len(&self, length_bytes: u64) -> io::Result<()> {
        let mut layer = self.layer();
        layer.cut(length_bytes, u64::MAX)?;
        layer.below_bytes = layer.below_bytes.min(length_bytes);
        layer.length_bytes = length_bytes;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut layer = self.layer();
        let end = end_of(offset, data.len())?;
        if end > layer.length_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !data.is_empty() {
            layer.cut(offset, end)?;
            layer.writes.insert(offset, data.to_vec());
        }
        Ok(())
    }
}

impl Layer {
    /// Copies what was written between `offset` and the end of `out` over it.
    fn copy_into(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = end_of(offset, out.len())?;
        let before = self.writes.range(..offset).next_back();
        for (&start, bytes) in before.into_iter().chain(self.writes.range(offset..end)) {
            let stop = end_of(start, bytes.len())?.min(end);
            let begin = start.max(offset);
            if begin >= stop {
                continue;
            }
            let from = to_length(begin - start)?..to_length(stop - start)?;
            out[to_length(begin - offset)?..to_length(stop - offset)?]
                .copy_from_slice(&bytes[from]);
        }
        Ok(())
    }

    /// Forgets what was written from `start` up to `end`.
    fn cut(&mut self, start: u64, end: u64) -> io::Result<()> {
        let first = self.writes.range(..start).next_back().map(|(&at, _)| at);
        let inside: Vec<u64> = self.writes.range(start..end).map(|(&at, _)| at).collect();
        for at in first.into_iter().chain(inside) {
            let Some(bytes) = self.writes.remove(&at) else {
                continue;
            };
            let stop = end_of(at, bytes.len())?;
            if at < start {
                let kept = to_length(start.min(stop) - at)?;
                self.writes.insert(at, bytes[..kept].to_vec());
            }
            if stop > end {
                self.writes
                    .insert(end, bytes[to_length(end - at)?..].to_vec());
            }
        }
        Ok(())
    }
}

fn end_of(offset: u64, length: usize) -> io::Result<u64> {
    let length = u64::try_from(length).map_err(io::Error::other)?;
    offset
        .checked_add(length)
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn to_length(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Length(u64),
        Read(u64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u64..96, proptest::collection::vec(any::<u8>(), 0..40))
                .prop_map(|(at, bytes)| Step::Write(at, bytes)),
            (0_u64..128).prop_map(Step::Length),
            (0_u64..128, 0_usize..64).prop_map(|(at, length)| Step::Read(at, length)),
        ]
    }

    proptest! {
        #[test]
        fn an_overlay_is_read_like_a_file_that_was_written(
            steps in proptest::collection::vec(step(), 0..40)
        ) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("f");
            let before: Vec<u8> = (0..64).collect();
            std::fs::write(&path, &before).unwrap();
            let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
            let mut model = before.clone();
            for step in steps {
                match step {
                    Step::Write(at, bytes) => {
                        let end = at as usize + bytes.len();
                        let is_written = overlay.write(at, &bytes).is_ok();
                        prop_assert_eq!(is_written, end <= model.len());
                        if is_written {
                            model[at as usize..end].copy_from_slice(&bytes);
                        }
                    }
                    Step::Length(length) => {
                        overlay.set_len(length).unwrap();
                        model.resize(length as usize, 0);
                    }
                    Step::Read(at, length) => {
                        let mut out = vec![0xff; length];
                        let expected = model.get(at as usize..at as usize + length);
                        prop_assert_eq!(overlay.read(at, &mut out).is_ok(), expected.is_some());
                        if let Some(expected) = expected {
                            prop_assert_eq!(&out[..], expected);
                        }
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
            }
            prop_assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }
}
