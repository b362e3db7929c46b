//! The store in a file.
//!
//! ```text
//! version u8 | crc32 u32, little-endian, of table, key and value | value
//! ```

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use ::redb::{
    Database, DatabaseError, Durability, Error, ReadableDatabase, ReadableTable, TableDefinition, TableError,
};

use super::{Change, DeliveryStore, Loaded, StoreError};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
const FORMAT: u64 = 1;

/// Damaged records, by table and key, as they were found.
const QUARANTINE: TableDefinition<'_, (&str, &[u8]), &[u8]> = TableDefinition::new("quarantine");

/// The version of a record.
const VERSION: u8 = 1;
const HEAD: usize = 5;

/// Records are read once; the default of the database is 1 GiB.
const CACHE: usize = 4 << 20;

type Records<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// Keeps records in one file, in a redb database: what [`apply`](DeliveryStore::apply) took is on the disk.
///
/// One process at a time may have it open. The file has secrets of clients in it: on Unix a new one can be read by its
/// owner only.
pub struct RedbDeliveryStore {
    path: PathBuf,
    database: Database,
}

impl RedbDeliveryStore {
    /// Opens the file, or makes it. Blocks.
    ///
    /// # Errors
    /// When another process has it, a later version of this crate made it, or it cannot be read, written or made. The
    /// file is not changed then.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        make(path).map_err(|error| StoreError::Io(format!("'{}': {error}", path.display())))?;
        let database =
            Database::builder().set_cache_size(CACHE).create(path).map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path.into()),
                error => StoreError::Corrupt(error.to_string()),
            })?;
        let store = Self { path: path.into(), database };
        match store.format()? {
            Some(FORMAT) => Ok(store),
            Some(format) => Err(StoreError::NewerVersion(format)),
            None => store.write_format().map(|()| store),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn format(&self) -> Result<Option<u64>, StoreError> {
        let read = || -> Result<Option<u64>, Error> {
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(META) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                table => table?,
            };
            Ok(table.get(FORMAT_KEY)?.map(|format| format.value()))
        };
        read().map_err(failed)
    }

    fn write_format(&self) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
            Ok(())
        })
    }

    fn write(
        &self,
        change: impl FnOnce(&::redb::WriteTransaction) -> Result<(), Error>,
    ) -> Result<(), StoreError> {
        let write = || -> Result<(), Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            // A torn commit is then told from a whole one by more than checksums over bytes that a client chose.
            transaction.set_two_phase_commit(true);
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(failed)
    }

    fn set_aside(&self, table: &str, damaged: &[(Vec<u8>, Vec<u8>)]) -> Result<(), StoreError> {
        let name = name(table);
        self.write(|transaction| {
            let mut records = transaction.open_table(Records::new(&name))?;
            let mut quarantine = transaction.open_table(QUARANTINE)?;
            for (key, value) in damaged {
                quarantine.insert((table, &key[..]), &value[..])?;
                records.remove(&key[..])?;
            }
            Ok(())
        })
    }
}

impl DeliveryStore for RedbDeliveryStore {
    fn load(&self, table: &str) -> Result<Loaded, StoreError> {
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        let mut read = || -> Result<(), Error> {
            let transaction = self.database.begin_read()?;
            let name = name(table);
            let all = match transaction.open_table(Records::new(&name)) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(()),
                table => table?,
            };
            for record in all.iter()? {
                let (key, value) = record?;
                let (key, value) = (key.value(), value.value());
                match open(table, key, value) {
                    Some(own) => records.push((key.to_vec(), own.to_vec())),
                    None => damaged.push((key.to_vec(), value.to_vec())),
                }
            }
            Ok(())
        };
        read().map_err(failed)?;
        if !damaged.is_empty() {
            tracing::error!(table, count = damaged.len(), "damaged records of the store were set aside");
            self.set_aside(table, &damaged)?;
        }
        Ok(Loaded { records, set_aside: damaged.len() })
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.write(|transaction| {
            for change in changes {
                match change {
                    Change::Put { table, key, value } => {
                        let mut records = transaction.open_table(Records::new(&name(table)))?;
                        records.insert(&key[..], &seal(table, key, value)[..])?;
                    }
                    Change::Delete { table, key } => {
                        transaction.open_table(Records::new(&name(table)))?.remove(&key[..])?;
                    }
                }
            }
            Ok(())
        })
    }
}

impl fmt::Debug for RedbDeliveryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbDeliveryStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Keeps tables of records apart from those of the store.
fn name(table: &str) -> String {
    format!("records:{table}")
}

fn failed(error: Error) -> StoreError {
    match error {
        Error::Corrupted(detail) => StoreError::Corrupt(detail),
        error => StoreError::Io(error.to_string()),
    }
}

/// Makes an empty file for its owner only, if there is none.
fn make(path: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn checksum(table: &str, key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [table.as_bytes(), key, value] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

fn seal(table: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEAD + value.len());
    record.push(VERSION);
    record.extend(checksum(table, key, value).to_le_bytes());
    record.extend(value);
    record
}

/// `None` if it is not what was written under that key.
fn open<'a>(table: &str, key: &[u8], record: &'a [u8]) -> Option<&'a [u8]> {
    let (head, value) = record.split_at_checked(HEAD)?;
    let (version, sum) = head.split_first()?;
    (*version == VERSION && *sum == checksum(table, key, value).to_le_bytes()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(table: &str, key: &[u8], value: &[u8]) -> Change {
        Change::Put { table: table.into(), key: key.into(), value: value.into() }
    }

    fn delete(table: &str, key: &[u8]) -> Change {
        Change::Delete { table: table.into(), key: key.into() }
    }

    fn record(key: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (key.into(), value.into())
    }

    fn behaves(store: &dyn DeliveryStore) {
        assert_eq!(store.load("a"), Ok(Loaded::default()));
        store.apply(&[put("a", b"2", b"two"), put("a", b"1", b"one"), put("b", b"1", b"other")]).unwrap();
        store
            .apply(&[put("a", b"2", b"zwei"), put("a", b"3", b""), delete("a", b"1"), delete("c", b"1")])
            .unwrap();
        let own = store.load("a").unwrap();
        assert_eq!(own, Loaded { records: vec![record(b"2", b"zwei"), record(b"3", b"")], set_aside: 0 });
        assert_eq!(store.load("b").unwrap().records, [record(b"1", b"other")]);
    }

    #[test]
    fn both_stores_do_the_same() {
        behaves(&std::sync::Arc::new(super::super::MemoryStore::new()));
        let folder = tempfile::tempdir().unwrap();
        behaves(&RedbDeliveryStore::open(folder.path().join("store")).unwrap());
    }

    #[test]
    fn records_survive_and_one_process_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = RedbDeliveryStore::open(&path).unwrap();
        store.apply(&[put("a", b"1", b"one")]).unwrap();
        assert_eq!(RedbDeliveryStore::open(&path).unwrap_err(), StoreError::InUse(path.clone()));
        drop(store);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
        }
        let store = RedbDeliveryStore::open(&path).unwrap();
        assert_eq!(store.load("a").unwrap().records, [record(b"1", b"one")]);
    }

    #[test]
    fn a_damaged_record_is_set_aside_and_the_others_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbDeliveryStore::open(folder.path().join("store")).unwrap();
        store.apply(&[put("a", b"1", b"one"), put("a", b"2", b"two"), put("a", b"3", b"three")]).unwrap();
        // One with another value, one that belongs to another key, one that is no record at all.
        let other = seal("a", b"2", b"one");
        let mut flipped = seal("a", b"2", b"two");
        *flipped.last_mut().unwrap() ^= 1;
        store
            .write(|transaction| {
                let mut records = transaction.open_table(Records::new(&name("a")))?;
                records.insert(&b"1"[..], &other[..])?;
                records.insert(&b"2"[..], &flipped[..])?;
                records.insert(&b"4"[..], &b"x"[..])?;
                Ok(())
            })
            .unwrap();
        let loaded = store.load("a").unwrap();
        assert_eq!((loaded.records, loaded.set_aside), (vec![record(b"3", b"three")], 3));
        assert_eq!(store.load("a").unwrap().set_aside, 0);
        let transaction = store.database.begin_read().unwrap();
        let quarantine = transaction.open_table(QUARANTINE).unwrap();
        assert_eq!(quarantine.get(("a", &b"2"[..])).unwrap().unwrap().value(), &flipped[..]);
    }

    #[test]
    fn what_is_no_store_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
        assert!(matches!(RedbDeliveryStore::open(&path), Err(StoreError::Corrupt(_) | StoreError::Io(_))));
        assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; 10_000]);
        let path = folder.path().join("newer");
        let store = RedbDeliveryStore::open(&path).unwrap();
        store
            .write(|transaction| {
                transaction.open_table(META)?.insert(FORMAT_KEY, 9)?;
                Ok(())
            })
            .unwrap();
        drop(store);
        assert_eq!(RedbDeliveryStore::open(&path).unwrap_err(), StoreError::NewerVersion(9));
    }
}
