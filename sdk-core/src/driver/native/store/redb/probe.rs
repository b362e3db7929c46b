//! Looking at a store without changing it: only what is known to be whole and ours is opened for writing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::redb::{Database, DatabaseError, Error, ReadableDatabase, StorageBackend, StorageError, TableHandle};

use super::backend::Overlay;
use super::{CACHE, FORMAT, FORMAT_KEY, META};

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// Ours, and every page of it is what was written.
    Whole {
        /// Whether the notes about free pages must be made anew.
        repair: bool,
    },
    /// Nothing yet.
    Empty,
    /// A file with a length and no content.
    Blank,
    Newer(u64),
    /// A healthy database of something else.
    Foreign,
    Damaged(String),
}

/// The view is still locked afterwards, if it could be.
pub(super) fn probe(backend: Arc<dyn StorageBackend>) -> (Overlay, Result<Found, Error>) {
    let overlay = Overlay::new(backend);
    // The database panics on some pages that were changed in just the wrong way, before it compares their checksums.
    let found = catch_unwind(AssertUnwindSafe(|| look(&overlay)))
        .unwrap_or_else(|_| Ok(Found::Damaged("its pages contradict each other".into())));
    (overlay, found)
}

fn look(overlay: &Overlay) -> Result<Found, Error> {
    let opened = Database::builder().set_cache_size(CACHE).create_with_backend(overlay.clone());
    let mut database = match opened {
        Ok(database) => database,
        Err(DatabaseError::UpgradeRequired(_)) => return Ok(Found::Foreign),
        Err(error) => {
            return match newer_database(overlay)? {
                Some(version) => Ok(Found::Newer(version)),
                None => damage(error.into()),
            };
        }
    };
    if overlay.was_blank() {
        return Ok(Found::Blank);
    }
    // Reads every page: opening trusts those of a database that was closed in order, but files are also copied, cut
    // and written over by others.
    let repair = match database.check_integrity() {
        Ok(clean) => !clean,
        Err(error) => return damage(error.into()),
    };
    match read(&database) {
        Ok(Found::Whole { .. }) => Ok(Found::Whole { repair }),
        Ok(found) => Ok(found),
        Err(error) => damage(error),
    }
}

fn read(database: &Database) -> Result<Found, Error> {
    let transaction = database.begin_read()?;
    let names: Vec<_> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    if names.is_empty() {
        return Ok(Found::Empty);
    }
    if !names.iter().any(|name| name == META.name()) {
        return Ok(Found::Foreign);
    }
    let meta = transaction.open_table(META)?;
    Ok(match meta.get(FORMAT_KEY)?.map(|format| format.value()) {
        Some(FORMAT) => Found::Whole { repair: false },
        Some(format) if format > FORMAT => Found::Newer(format),
        Some(format) => Found::Damaged(format!("its format {format} never existed")),
        None => Found::Damaged("it does not say which format it has".into()),
    })
}

/// Whether the error says that the content is wrong, and not that it could not be had.
fn damage(error: Error) -> Result<Found, Error> {
    match error {
        Error::Io(ref cause)
            if matches!(
                cause.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            Ok(Found::Damaged(cause.to_string()))
        }
        Error::Corrupted(detail) => Ok(Found::Damaged(detail)),
        Error::TableTypeMismatch { .. } | Error::TypeDefinitionChanged { .. } | Error::TableIsMultimap(_) => {
            Ok(Found::Damaged(error.to_string()))
        }
        error => Err(error),
    }
}

/// The version of a database format that is newer than this library's, which the database does not tell from damage.
/// Both commit slots must say so: one alone is damage.
fn newer_database(overlay: &Overlay) -> Result<Option<u64>, Error> {
    const SLOTS: [u64; 2] = [64, 192];
    const KNOWN: u8 = 3;
    let len = overlay.len().map_err(StorageError::Io)?;
    let mut head = [0; 193];
    if len < head.len() as u64 {
        return Ok(None);
    }
    overlay.read(0, &mut head).map_err(StorageError::Io)?;
    let [first, second] = SLOTS.map(|at| head[at as usize]);
    Ok((head.starts_with(b"redb") && first == second && first > KNOWN).then_some(first.into()))
}
