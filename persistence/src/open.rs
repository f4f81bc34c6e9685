//! Opening the file: whose it is, whether it may be read, and making it when it is new.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, StorageBackend};

use crate::error::{StoreError, Trouble};
use crate::records::CounterV1;
use crate::tables::{self, EPOCH, META, NEXT_TASK, RECREATED, SCHEMA, WriteTables, bad_row};

/// The layout of all tables together. A store with a higher one is refused.
pub(crate) const SCHEMA_VERSION: u64 = 1;

/// Memory for pages. Everything that runs at once fits many times: a task takes about 1 KiB of the
/// file, and the database's own default of 1 GiB would be most of a small machine.
const CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Secrets are in it: nobody but the owner.
const FILE_MODE: u32 = 0o600;

/// Tasks that a store numbers before it is damaged: more than any will see. The next one begins after
/// them, because a number is never used twice in one directory.
const TASKS_PER_STORE: u64 = 1_000_000_000;

/// How a file of the database begins. It is written last when one is made.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// A store that was never finished is not larger: a fresh one has a little over 1 MiB. A larger
/// file without a beginning has lost something, and is left alone.
const UNFINISHED_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Opens or makes the file at `path`, and answers it with its new epoch.
///
/// # Errors
/// As [`Store::open`](crate::Store::open).
pub(crate) fn open_file(path: &Path) -> Result<(Database, u64), StoreError> {
    // The first write is part of opening, so most damage shows here, where it can be told.
    guarded(path, || lock_and_open(path))
}

/// Does something with the database at `path`, which may panic on a damaged page instead of answering
/// (version 4.4.0, one flipped bit in a hundred).
///
/// # Errors
/// [`StoreError::Corrupt`] with the reason when it panics, and those of what is done.
pub(crate) fn guarded<T>(
    path: &Path,
    ask: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    panic::catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        let what = format!(
            "the database gave up: {}",
            message.unwrap_or("no reason given")
        );
        Err(StoreError::Corrupt {
            path: path.to_owned(),
            what,
        })
    })
}

fn lock_and_open(path: &Path) -> Result<(Database, u64), StoreError> {
    let Some(file) = lock_file(path).map_err(|source| io_error(path, source))? else {
        return Err(StoreError::Locked {
            path: path.to_owned(),
        });
    };
    // Whatever crashed between: a new store beside a damaged one is there in its place.
    let damaged = damaged_copies(path).map_err(|source| io_error(path, source))?;
    let backend = FileBackend::new(file).map_err(|error| StoreError::opening(path, error))?;
    let opened = open_backend(path, backend, damaged)?;
    close_to_others(path).map_err(|source| io_error(path, source))?;
    Ok(opened)
}

/// Opens or makes the store in `backend`; `path` is its name in errors, and so many stores before it
/// were damaged.
pub(crate) fn open_backend(
    path: &Path,
    backend: impl StorageBackend,
    damaged: u64,
) -> Result<(Database, u64), StoreError> {
    prepare(path, &backend)?;
    let database = Builder::new()
        .set_cache_size(CACHE_BYTES_MAX)
        .create_with_backend(backend)
        .map_err(|error| StoreError::opening(path, error))?;
    let is_new = check_schema(path, &database)?;
    let made_after = is_new.then_some(damaged);
    let epoch = begin_epoch(&database, made_after).map_err(|trouble| opening(path, trouble))?;
    Ok((database, epoch))
}

/// Renames a damaged store to a name that says so and that no file has, and answers that.
///
/// # Errors
/// [`StoreError::Io`] when the directory can not be read or written.
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let moved = || -> io::Result<PathBuf> {
        let aside = path.with_file_name(damaged_name(path, damaged_copies(path)? + 1));
        fs::rename(path, &aside)?;
        sync_directory(directory_of(path))?;
        Ok(aside)
    };
    moved().map_err(|source| io_error(path, source))
}

fn damaged_name(path: &Path, number: u64) -> OsString {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".damaged-{number}"));
    name
}

/// The highest number of a damaged store that lies beside this one; 0 without any.
fn damaged_copies(path: &Path) -> io::Result<u64> {
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".damaged-");
    let mut highest = 0;
    for entry in fs::read_dir(directory_of(path))? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        let number = bytes.strip_prefix(prefix.as_encoded_bytes());
        let number = number.and_then(|rest| std::str::from_utf8(rest).ok()?.parse().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        Some(_) | None => Path::new("."),
    }
}

/// The file, made if it is not there, and locked until it is closed; `None` when it is locked.
fn lock_file(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE);
    let file = options.open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        // The file system has no such locks; the database has another kind and tries that.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    if file.metadata()?.len() == 0 {
        sync_directory(directory_of(path))?;
    }
    Ok(Some(file))
}

/// A store that was made or copied with another mode is for its owner only from now on.
fn close_to_others(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.mode() & 0o777 != FILE_MODE {
        fs::set_permissions(path, Permissions::from_mode(FILE_MODE))?;
    }
    Ok(())
}

/// Makes the name of a new file durable, as the file without its name is lost in a power cut.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Refuses what is no store, and empties one whose making was interrupted: nothing was ever
/// acknowledged from it, and the database refuses to go on with it.
fn prepare(path: &Path, backend: &impl StorageBackend) -> Result<(), StoreError> {
    let begin = || -> io::Result<(u64, [u8; MAGIC.len()])> {
        let length_bytes = backend.len()?;
        let mut head = [0; MAGIC.len()];
        let held = usize::try_from(length_bytes)
            .unwrap_or(usize::MAX)
            .min(MAGIC.len());
        backend.read(0, &mut head[..held])?;
        Ok((length_bytes, head))
    };
    let (length_bytes, head) = begin().map_err(|source| io_error(path, source))?;
    if length_bytes == 0 || head == MAGIC {
        return Ok(());
    }
    if head != [0; MAGIC.len()] {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    if length_bytes > UNFINISHED_BYTES_MAX {
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            what: "its beginning is empty".to_owned(),
        });
    }
    backend.set_len(0).map_err(|source| io_error(path, source))
}

/// Whether the store is new.
///
/// # Errors
/// When it belongs to another program, or to a newer version of this one.
fn check_schema(path: &Path, database: &Database) -> Result<bool, StoreError> {
    let found = read_schema(database).map_err(|trouble| match trouble {
        Trouble::Database(
            redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. },
        ) => StoreError::Foreign {
            path: path.to_owned(),
        },
        trouble => opening(path, trouble),
    })?;
    match found {
        Some(found) if found > SCHEMA_VERSION => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA_VERSION,
        }),
        Some(_) => Ok(false),
        None => Ok(true),
    }
}

/// The schema's number; `None` when the file has no tables.
fn read_schema(database: &Database) -> Result<Option<u64>, Trouble> {
    let transaction = database.begin_read()?;
    if tables::is_empty(&transaction)? {
        return Ok(None);
    }
    let meta = transaction.open_table(META)?;
    let missing = || bad_row(META, "schema".to_owned(), "the row is missing".to_owned());
    tables::counter(&meta, SCHEMA)?
        .ok_or_else(missing)
        .map(Some)
}

/// Counts this opening, durably, and makes all tables: a new store's after so many damaged ones.
fn begin_epoch(database: &Database, made_after: Option<u64>) -> Result<u64, Trouble> {
    let transaction = database.begin_write()?;
    let mut tables = WriteTables::open(&transaction)?;
    let epoch = tables::counter(&tables.meta, EPOCH)?.unwrap_or(0) + 1;
    let mut put = |name, value| {
        tables
            .meta
            .insert(name, CounterV1::row(value).as_slice())
            .map(|_| ())
    };
    if made_after.is_some() {
        put(SCHEMA, SCHEMA_VERSION)?;
    }
    if let Some(damaged @ 1..) = made_after {
        put(RECREATED, damaged)?;
        put(NEXT_TASK, damaged.saturating_mul(TASKS_PER_STORE))?;
    }
    put(EPOCH, epoch)?;
    drop(tables);
    transaction.commit()?;
    Ok(epoch)
}

/// The error of a step of opening: there is nothing yet that could be opened again.
fn opening(path: &Path, trouble: Trouble) -> StoreError {
    match trouble.at(path) {
        StoreError::Failed { path, source } => StoreError::Io { path, source },
        error @ (StoreError::Locked { .. }
        | StoreError::Newer { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Foreign { .. }
        | StoreError::Io { .. }) => error,
    }
}

fn io_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        source,
    }
}
