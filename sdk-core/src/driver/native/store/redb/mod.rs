//! The store in a file.

mod aside;
mod backend;
mod options;
mod probe;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redb::backends::FileBackend;
use ::redb::{
    Database, Durability, Error, ReadableDatabase, ReadableTable, StorageBackend, Table, TableDefinition,
    WriteTransaction,
};

use self::aside::{identity, set_aside, sync_directory};
use self::backend::Bounded;
pub use self::options::{RedbStoreOptions, WhenCorrupt};
use self::probe::{Found, probe};
use super::{OutboxStore, StoreError, StoreReport, record};
use crate::client::{Restored, Sequence, StoreOp};
use crate::driver::native::random;
use crate::protocol::Payload;

const CALLS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("calls");
/// Records that could not be decoded.
const QUARANTINE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("quarantine");
/// Its shape is the same in every format: it says which one it is.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
const NEXT_KEY: &str = "next";
/// The halves of the name by which servers recognise the calls of this store. A copy of the file has it too: two
/// processes with copies of one store would be taken for one client.
const CLIENT_KEYS: [&str; 2] = ["client-high", "client-low"];
/// How many batches were committed: tells, after a failure, whether the one in flight was.
const BATCHES_KEY: &str = "batches";

const FORMAT: u64 = 1;

/// An outbox is read once and written at its end; the default of the database is 1 GiB.
const CACHE: usize = 4 << 20;

/// Keeps calls in one file, in a redb database. They survive the end of the process and of the machine: what
/// [`apply`](OutboxStore::apply) took is on the disk.
///
/// A file that is damaged is renamed to `<name>.corrupt-<n>` and reported, and an empty one takes its place; see
/// [`WhenCorrupt`]. One process at a time may have it open.
pub struct RedbStore {
    source: Source,
    name: String,
    options: RedbStoreOptions,
    /// What the file may grow to just now.
    bound: Arc<AtomicU64>,
    /// None after a failure, until the file could be opened again: the database refuses everything after an error of
    /// the disk, also when there is room again.
    database: Option<Database>,
    /// What the records take, see [`cost`].
    used: u64,
    batches: u64,
    /// How to take back the batch that was told to have failed, if it turns out that it was committed.
    unsure: Option<Undo>,
    /// Of opening, for the next load.
    opening: Vec<StoreReport>,
    reports: Vec<StoreReport>,
}

type OpenBackend = Box<dyn FnMut() -> io::Result<Box<dyn StorageBackend>> + Send>;

enum Source {
    Path(PathBuf),
    Backend(OpenBackend),
}

/// What was there before a batch, in the order of its changes.
type Undo = Vec<(u64, Option<Vec<u8>>)>;

/// A batch that was not committed, or perhaps it was.
struct Failure {
    error: StoreError,
    /// Present once the commit had begun.
    undo: Option<Undo>,
    /// Whether the database can go on.
    usable: bool,
}

impl RedbStore {
    /// Opens the file, or makes it, with the default options. Blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerVersion`], [`StoreError::NotAStore`] and [`StoreError::Io`], each
    /// without a change to the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path)
    }

    /// Begins with the options.
    pub fn options() -> RedbStoreOptions {
        RedbStoreOptions::default()
    }

    /// On something other than a file, for tests that simulate a disk. `open` is called for every look at it: when the
    /// store is opened, and again after an error.
    #[doc(hidden)]
    pub fn with_backend<B: StorageBackend>(
        options: RedbStoreOptions,
        mut open: impl FnMut() -> io::Result<B> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let open: OpenBackend = Box::new(move || Ok(Box::new(open()?)));
        Self::new(Source::Backend(open), "on that backend".into(), options)
    }

    fn open_path(path: &Path, options: RedbStoreOptions) -> Result<Self, StoreError> {
        let path = std::path::absolute(path)
            .map_err(|error| StoreError::Io(format!("{} is no path: {error}", path.display())))?;
        let name = path.display().to_string();
        Self::new(Source::Path(path), name, options)
    }

    fn new(source: Source, name: String, options: RedbStoreOptions) -> Result<Self, StoreError> {
        options.check()?;
        let mut store = Self {
            source,
            name,
            options,
            bound: Arc::new(AtomicU64::new(u64::MAX)),
            database: None,
            used: 0,
            batches: 0,
            unsure: None,
            opening: Vec::new(),
            reports: Vec::new(),
        };
        let repair = store.examine()?;
        let mut database = store.connect()?;
        if repair {
            database.check_integrity().map_err(|error| store.error(error))?;
        }
        store.initialize(&database)?;
        if let Source::Path(path) = &store.source {
            sync_directory(path).map_err(|error| store.error(Error::Io(error)))?;
        }
        store.batches = store.measure(&database)?;
        store.database = Some(database);
        Ok(store)
    }

    /// The calls that could not be read, as the bytes that were kept.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn quarantined(&mut self) -> Result<Vec<(Sequence, Vec<u8>)>, StoreError> {
        self.reopen()?;
        self.with(|database| {
            let transaction = database.begin_read()?;
            let quarantine = transaction.open_table(QUARANTINE)?;
            let records = quarantine.iter()?.map(|row| {
                let (sequence, record) = row?;
                Ok((Sequence(sequence.value()), record.value().to_vec()))
            });
            records.collect()
        })
    }

    /// Deletes the calls that could not be read; they are not reported any more.
    ///
    /// # Errors
    /// When they could not be deleted.
    pub fn clear_quarantine(&mut self) -> Result<(), StoreError> {
        self.reopen()?;
        self.bound.store(u64::MAX, Ordering::Relaxed);
        self.with(|database| {
            let transaction = begin(database)?;
            transaction.open_table(QUARANTINE)?.retain(|_, _| false)?;
            Ok(transaction.commit()?)
        })?;
        self.used = 0;
        let Some(database) = self.database.take() else { return Ok(()) };
        self.measure(&database)?;
        self.database = Some(database);
        Ok(())
    }

    /// Looks at what is there and decides whether it may be opened; sets it aside if it is damaged. Returns whether it
    /// needs a repair.
    fn examine(&mut self) -> Result<bool, StoreError> {
        // More than once only when others rename and make the same file meanwhile.
        for _ in 0..3 {
            let (backend, file) = match &mut self.source {
                Source::Path(path) => match open_file(path, false) {
                    Ok(file) => {
                        let metadata = file.metadata().map_err(|error| self.error(Error::Io(error)))?;
                        if metadata.len() == 0 {
                            self.report_blank();
                            return Ok(false);
                        }
                        let backend = FileBackend::new(file).map_err(|error| self.error(error))?;
                        (Box::new(backend) as Box<dyn StorageBackend>, Some(metadata))
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    Err(error) => return Err(self.error(Error::Io(error))),
                },
                Source::Backend(open) => {
                    let backend = open().map_err(|error| self.error(Error::Io(error)))?;
                    if backend.len().map_err(|error| self.error(Error::Io(error)))? == 0 {
                        return Ok(false);
                    }
                    (backend, None)
                }
            };
            let (overlay, found) = probe(backend.into());
            let store = &self.name;
            let outcome = match found {
                Ok(Found::Whole { repair }) => Ok(Some(repair)),
                Ok(Found::Empty) => Ok(Some(false)),
                Ok(Found::Blank) => {
                    self.report_blank();
                    Ok(Some(false))
                }
                Ok(Found::Newer(found)) => {
                    Err(StoreError::NewerVersion { store: store.clone(), found, known: FORMAT })
                }
                Ok(Found::Foreign) => Err(StoreError::NotAStore(format!(
                    "the file {store} is a database of something else: use another file for the store"
                ))),
                Ok(Found::Damaged(detail)) => {
                    self.damaged(detail, file).map(|again| (!again).then_some(false))
                }
                Err(error) => Err(self.error(error)),
            };
            // Only now: a damaged file must not be opened by another process before it was renamed.
            overlay.release().map_err(|error| self.error(Error::Io(error)))?;
            if let Some(repair) = outcome? {
                return Ok(repair);
            }
        }
        Err(self.error(Error::DatabaseAlreadyOpen))
    }

    fn report_blank(&mut self) {
        let detail = format!(
            "the store {} was there without any content: it was never finished, or something else wiped it",
            self.name
        );
        self.opening.push(StoreReport::Blank { detail });
    }

    /// Sets the file aside, if that is wanted. True when it is another file by now.
    fn damaged(&mut self, detail: String, found: Option<std::fs::Metadata>) -> Result<bool, StoreError> {
        let mut detail = format!("the store {} is damaged: {detail}", self.name);
        let (Source::Path(path), Some(found), WhenCorrupt::SetAside) =
            (&self.source, found, self.options.when_corrupt)
        else {
            detail.push_str("; rename or repair it to go on");
            return Err(StoreError::Corrupt { detail, set_aside: None });
        };
        if std::fs::metadata(path).is_ok_and(|now| identity(&now) != identity(&found)) {
            return Ok(true);
        }
        let to = set_aside(path).map_err(|error| StoreError::Corrupt {
            detail: format!("{detail}; it could not be renamed either: {error}"),
            set_aside: None,
        })?;
        self.opening.push(StoreReport::SetAside { detail, to });
        Ok(false)
    }

    /// Opens what was examined before.
    fn connect(&mut self) -> Result<Database, StoreError> {
        let backend: Box<dyn StorageBackend> = match &mut self.source {
            Source::Path(path) => {
                // Once it was opened, a file that is gone is an error and not a new store.
                let create = self.batches == 0;
                let file = open_file(path, create).map_err(|error| self.error(Error::Io(error)))?;
                Box::new(FileBackend::new(file).map_err(|error| self.error(error))?)
            }
            Source::Backend(open) => open().map_err(|error| self.error(Error::Io(error)))?,
        };
        self.bound.store(self.options.max_bytes, Ordering::Relaxed);
        Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(Bounded::new(backend, self.bound.clone()))
            .map_err(|error| match (self.error(error), &self.opening[..]) {
                // The caller must learn where it is, although there is no store that could report it.
                (error, [.., StoreReport::SetAside { detail, to }]) => StoreError::Corrupt {
                    detail: format!("{detail}, and no other could be made: {error}"),
                    set_aside: Some(to.clone()),
                },
                (error, _) => error,
            })
    }

    fn initialize(&self, database: &Database) -> Result<(), StoreError> {
        let initialize = || {
            let transaction = database.begin_read()?;
            if transaction.list_tables()?.next().is_some() {
                return Ok(());
            }
            drop(transaction);
            let transaction = begin(database)?;
            transaction.open_table(CALLS)?;
            transaction.open_table(QUARANTINE)?;
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert(FORMAT_KEY, FORMAT)?;
                meta.insert(NEXT_KEY, 0)?;
                for key in CLIENT_KEYS {
                    meta.insert(key, random::number())?;
                }
                // From one: zero is a store that was never opened.
                meta.insert(BATCHES_KEY, 1)?;
            }
            Ok(transaction.commit()?)
        };
        initialize().map_err(|error: Error| self.error(error))
    }

    /// Sets what is used, and returns how many batches there were.
    fn measure(&mut self, database: &Database) -> Result<u64, StoreError> {
        let measure = || {
            let transaction = database.begin_read()?;
            let mut used = 0;
            for table in [CALLS, QUARANTINE] {
                for row in transaction.open_table(table)?.iter()? {
                    used += cost(row?.1.value().len());
                }
            }
            let batches = transaction.open_table(META)?.get(BATCHES_KEY)?.map(|batches| batches.value());
            Ok((used, batches))
        };
        let (used, batches) = measure().map_err(|error: Error| self.error(error))?;
        self.used = used;
        batches.ok_or_else(|| self.error(Error::Corrupted("it does not say how many batches it had".into())))
    }

    /// Opens the database again after a failure, and takes back a batch that was told to have failed.
    fn reopen(&mut self) -> Result<(), StoreError> {
        if self.database.is_some() {
            return Ok(());
        }
        let database = self.connect()?;
        let batches = self.measure(&database)?;
        match &self.unsure {
            _ if batches == self.batches => {}
            Some(undo) if batches == self.batches + 1 => {
                self.bound.store(u64::MAX, Ordering::Relaxed);
                revert(&database, undo).map_err(|error| self.error(error))?;
                self.batches = self.measure(&database)?;
            }
            // Taken back by an attempt that could not be told to have worked.
            Some(_) if batches == self.batches + 2 => self.batches = batches,
            _ => return Err(self.error(Error::Corrupted("it was replaced while it was in use".into()))),
        }
        self.unsure = None;
        self.database = Some(database);
        Ok(())
    }

    fn with<T>(&mut self, act: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, StoreError> {
        let Some(database) = &self.database else { return Err(self.error(Error::DatabaseClosed)) };
        let result = act(database);
        result.map_err(|error| {
            let error = self.error(error);
            self.database = None;
            error
        })
    }

    fn error(&self, error: impl Into<Error>) -> StoreError {
        let store = &self.name;
        match error.into() {
            Error::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
                ) =>
            {
                StoreError::Full(format!(
                    "the store {store} is full: {error}; deliver or delete queued calls"
                ))
            }
            Error::Io(error) => StoreError::Io(format!(
                "the store {store} cannot be used: {error}; check the path, its permissions and the disk"
            )),
            Error::DatabaseAlreadyOpen => StoreError::InUse(format!(
                "the store {store} is open already, here or in another process: give every connection a file of \
                 its own"
            )),
            Error::Corrupted(detail) => StoreError::Corrupt {
                detail: format!("the store {store} is damaged: {detail}; open it again"),
                set_aside: None,
            },
            error => StoreError::Io(format!("the store {store} failed: {error}; open it again")),
        }
    }

    /// Writes the batch, if there is room for it.
    fn write(&self, batch: &[(u64, Option<Vec<u8>>)]) -> Result<u64, Failure> {
        let fail = |error: Error| Failure { error: self.error(error), undo: None, usable: false };
        let Some(database) = &self.database else { return Err(fail(Error::DatabaseClosed)) };
        let used = used_after(database, self.used, batch).map_err(fail)?;
        let new: u64 = batch.iter().filter_map(|(_, record)| Some(cost(record.as_ref()?.len()))).sum();
        if used > self.used && used.saturating_add(new) > self.options.capacity() {
            let error = StoreError::Full(format!(
                "the store {} is full: its limit is {} bytes; deliver or delete queued calls, or raise the limit",
                self.name, self.options.max_bytes
            ));
            return Err(Failure { error, undo: None, usable: true });
        }
        // Deleting must work above all when the store is full, and copies pages before it frees them.
        let bound = if new > 0 { self.options.max_bytes } else { u64::MAX };
        self.bound.store(bound, Ordering::Relaxed);
        let transaction = begin(database).map_err(fail)?;
        let undo = change(&transaction, batch).map_err(fail)?;
        match transaction.commit() {
            Ok(()) => Ok(used),
            Err(error) => Err(Failure { error: self.error(error), undo: Some(undo), usable: false }),
        }
    }
}

impl OutboxStore for RedbStore {
    fn load(&mut self) -> Result<Restored<Payload>, StoreError> {
        self.reopen()?;
        self.bound.store(u64::MAX, Ordering::Relaxed);
        let (restored, unreadable) = self.with(|database| {
            quarantine_unreadable(database)?;
            read(database)
        })?;
        self.reports = std::mem::take(&mut self.opening);
        self.reports.extend(unreadable);
        Ok(restored)
    }

    fn apply(&mut self, batch: &[StoreOp<Payload>]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let batch = batch
            .iter()
            .map(|op| match op {
                StoreOp::Put(sequence, call) => match record::encode(*sequence, call) {
                    Ok(record) => Ok((sequence.0, Some(record))),
                    Err(error) => {
                        let text = format!("the store {} refuses a call: {error}", self.name);
                        Err(StoreError::Invalid(text))
                    }
                },
                StoreOp::Delete(sequence) => Ok((sequence.0, None)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.reopen()?;
        match self.write(&batch) {
            Ok(used) => {
                self.used = used;
                self.batches += 1;
                Ok(())
            }
            Err(Failure { error, usable: true, .. }) => Err(error),
            Err(Failure { error, undo, .. }) => {
                self.database = None;
                self.unsure = undo;
                // So that what was refused is gone before anything else happens; the next call tries again.
                let _ = self.reopen();
                Err(error)
            }
        }
    }

    fn take_reports(&mut self) -> Vec<StoreReport> {
        std::mem::take(&mut self.reports)
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("name", &self.name).finish_non_exhaustive()
    }
}

fn open_file(path: &Path, create: bool) -> io::Result<File> {
    File::options().read(true).write(true).create(create).truncate(false).open(path)
}

/// A write transaction that is durable when its commit returns.
fn begin(database: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // In two phases, which is one flush more: with one phase a torn commit is told from a whole one by checksums alone,
    // which are not made against bytes that somebody chose, and arguments are such bytes. And only so is a commit that
    // is read back after a failed flush known to be on the disk: see `reopen`.
    transaction.set_two_phase_commit(true);
    // With the notes about free pages in every commit a start after kill -9 need not make them anew, and opening again
    // on a full disk needs no page that is not there yet.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// What a record takes in the file, on the safe side: small ones share pages that are half empty at worst, a large one
/// has a power of two of pages for itself.
const fn cost(len: usize) -> u64 {
    const PAGE: u64 = 4096;
    let len = len as u64 + 64;
    if len <= PAGE / 3 { 2 * len } else { PAGE * len.div_ceil(PAGE).next_power_of_two() }
}

fn used_after(database: &Database, used: u64, batch: &[(u64, Option<Vec<u8>>)]) -> Result<u64, Error> {
    let transaction = database.begin_read()?;
    let calls = transaction.open_table(CALLS)?;
    let mut after = used;
    // What earlier changes of the batch left of a call.
    let mut changed = BTreeMap::new();
    for (sequence, record) in batch {
        let before = match changed.get(sequence) {
            Some(cost) => *cost,
            None => calls.get(sequence)?.map_or(0, |record| cost(record.value().len())),
        };
        let now = record.as_ref().map_or(0, |record| cost(record.len()));
        after = after.saturating_sub(before).saturating_add(now);
        changed.insert(*sequence, now);
    }
    Ok(after)
}

fn change(transaction: &WriteTransaction, batch: &[(u64, Option<Vec<u8>>)]) -> Result<Undo, Error> {
    let mut calls = transaction.open_table(CALLS)?;
    let mut undo = Undo::with_capacity(batch.len());
    let mut next = 0;
    for (sequence, record) in batch {
        let before = match record {
            Some(record) => {
                next = next.max(sequence.saturating_add(1));
                calls.insert(sequence, record.as_slice())?
            }
            None => calls.remove(sequence)?,
        };
        undo.push((*sequence, before.map(|before| before.value().to_vec())));
    }
    let mut meta = transaction.open_table(META)?;
    count_batch(&mut meta)?;
    let known = meta.get(NEXT_KEY)?.map_or(0, |next| next.value());
    if next > known {
        meta.insert(NEXT_KEY, next)?;
    }
    Ok(undo)
}

fn count_batch(meta: &mut Table<'_, &str, u64>) -> Result<(), Error> {
    let batches = meta.get(BATCHES_KEY)?.map_or(0, |batches| batches.value());
    meta.insert(BATCHES_KEY, batches + 1)?;
    Ok(())
}

fn revert(database: &Database, undo: &Undo) -> Result<(), Error> {
    let transaction = begin(database)?;
    {
        let mut calls = transaction.open_table(CALLS)?;
        for (sequence, before) in undo.iter().rev() {
            match before {
                Some(record) => calls.insert(sequence, record.as_slice())?,
                None => calls.remove(sequence)?,
            };
        }
        count_batch(&mut transaction.open_table(META)?)?;
    }
    Ok(transaction.commit()?)
}

/// Moves the records that do not decode out of the way of the others.
fn quarantine_unreadable(database: &Database) -> Result<(), Error> {
    let mut unreadable = Vec::new();
    for row in database.begin_read()?.open_table(CALLS)?.iter()? {
        let (sequence, record) = row?;
        if record::decode(Sequence(sequence.value()), record.value()).is_err() {
            unreadable.push((sequence.value(), record.value().to_vec()));
        }
    }
    if unreadable.is_empty() {
        return Ok(());
    }
    let transaction = begin(database)?;
    {
        let mut calls = transaction.open_table(CALLS)?;
        let mut quarantine = transaction.open_table(QUARANTINE)?;
        for (sequence, record) in unreadable {
            quarantine.insert(sequence, record.as_slice())?;
            calls.remove(sequence)?;
        }
    }
    Ok(transaction.commit()?)
}

fn read(database: &Database) -> Result<(Restored<Payload>, Vec<StoreReport>), Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let number = |key| Ok::<_, Error>(meta.get(key)?.map_or(0, |number| number.value()));
    let [high, low] = CLIENT_KEYS;
    let client_id = random::client_id(number(high)?, number(low)?);
    let mut next = number(NEXT_KEY)?;
    let mut calls = Vec::new();
    for row in transaction.open_table(CALLS)?.iter()? {
        let (sequence, record) = row?;
        let sequence = Sequence(sequence.value());
        next = next.max(sequence.0.saturating_add(1));
        if let Ok(call) = record::decode(sequence, record.value()) {
            calls.push((sequence, call));
        }
    }
    let mut reports = Vec::new();
    for row in transaction.open_table(QUARANTINE)?.iter()? {
        let (sequence, record) = row?;
        let sequence = Sequence(sequence.value());
        next = next.max(sequence.0.saturating_add(1));
        let detail = match record::decode(sequence, record.value()) {
            Ok(_) => "another version could not read it".to_owned(),
            Err(error) => error.to_string(),
        };
        reports.push(StoreReport::Quarantined { sequence, detail });
    }
    Ok((Restored { calls, next: Sequence(next), client_id }, reports))
}

#[cfg(test)]
mod tests;
