use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::Time;
use crate::client::{CallKind, Priority, StoredCall};
use crate::protocol::Encoding;

/// A directory and the store in it.
struct Place {
    directory: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("outbox.redb");
        Self { directory, path }
    }

    /// With a store that holds the calls 0 to 9, closed in order.
    fn with_calls() -> Self {
        let place = Self::new();
        let puts: Vec<_> = (0..10).map(|n| put(n, 100)).collect();
        RedbStore::open(&place.path).unwrap().apply(&puts).unwrap();
        place
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Changes the file as another program would.
    fn edit(&self, change: impl FnOnce(&WriteTransaction)) {
        let database = Database::open(&self.path).unwrap();
        let transaction = begin(&database).unwrap();
        change(&transaction);
        transaction.commit().unwrap();
    }
}

fn call(len: usize) -> StoredCall<Payload> {
    StoredCall {
        kind: CallKind::Send,
        target: "Method".into(),
        arguments: Payload::encode_arguments(Encoding::Json, &("x".repeat(len),)).unwrap(),
        priority: Priority::Normal,
        supersede_key: None,
        queued_at: Time::from_millis(1_700_000_000_000),
        expires_at: None,
    }
}

fn put(sequence: u64, len: usize) -> StoreOp<Payload> {
    StoreOp::Put(Sequence(sequence), call(len))
}

fn delete(sequence: u64) -> StoreOp<Payload> {
    StoreOp::Delete(Sequence(sequence))
}

fn is_empty(restored: &Restored<Payload>) -> bool {
    restored.calls.is_empty() && restored.next == Sequence(0)
}

fn sequences(restored: &Restored<Payload>) -> Vec<u64> {
    restored.calls.iter().map(|(sequence, _)| sequence.0).collect()
}

#[test]
fn calls_and_the_next_sequence_survive() {
    let place = Place::new();
    let mut store = RedbStore::open(&place.path).unwrap();
    assert!(is_empty(&store.load().unwrap()));
    assert_eq!(store.take_reports(), []);
    store.apply(&[]).unwrap();
    store.apply(&[put(3, 10), put(5, 20), put(4, 30)]).unwrap();
    store.apply(&[delete(5), delete(77), put(6, 1), delete(6)]).unwrap();
    drop(store);
    let mut store = RedbStore::open(&place.path).unwrap();
    let restored = store.load().unwrap();
    assert_eq!(restored.calls, [(Sequence(3), call(10)), (Sequence(4), call(30))]);
    assert_eq!(restored.next, Sequence(7), "also of a call that came and went in one batch");
    store.apply(&[delete(3), delete(4)]).unwrap();
    drop(store);
    let mut store = RedbStore::open(&place.path).unwrap();
    let emptied = store.load().unwrap();
    assert_eq!((emptied.calls.len(), emptied.next), (0, Sequence(7)));
    assert_eq!(emptied.client_id, restored.client_id, "the name stays");
    assert!(emptied.client_id.len() == 32 && emptied.client_id != "0".repeat(32), "{}", emptied.client_id);
    assert_eq!(store.take_reports(), []);
    assert_eq!(place.names(), ["outbox.redb"]);
}

#[test]
fn a_call_that_cannot_be_kept_refuses_the_batch() {
    let place = Place::with_calls();
    let mut store = RedbStore::open(&place.path).unwrap();
    let stream = StoredCall { kind: CallKind::Stream, ..call(1) };
    let error = store.apply(&[put(50, 1), StoreOp::Put(Sequence(51), stream)]).unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    assert_eq!(sequences(&store.load().unwrap()), (0..10).collect::<Vec<_>>());
}

#[test]
fn opened_twice() {
    let place = Place::with_calls();
    let mut store = RedbStore::open(&place.path).unwrap();
    let error = RedbStore::open(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(error.to_string().contains("outbox.redb is open already"), "{error}");
    assert_eq!(crate::Error::from(error).kind(), crate::ErrorKind::Misuse);
    // The first one is not disturbed, and the second can be opened after it.
    store.apply(&[put(10, 1)]).unwrap();
    drop(store);
    assert_eq!(RedbStore::open(&place.path).unwrap().load().unwrap().calls.len(), 11);
    assert_eq!(place.names(), ["outbox.redb"]);
}

#[test]
fn a_newer_format_is_not_touched() {
    let place = Place::with_calls();
    place.edit(|transaction| {
        transaction.open_table(META).unwrap().insert(FORMAT_KEY, 2).unwrap();
    });
    let before = fs::read(&place.path).unwrap();
    let error = RedbStore::open(&place.path).unwrap_err();
    let store = place.path.display().to_string();
    assert_eq!(error, StoreError::NewerVersion { store, found: 2, known: 1 });
    assert!(error.to_string().contains("use the version that wrote it"), "{error}");
    assert!(fs::read(&place.path).unwrap() == before, "it was touched");
    assert_eq!(place.names(), ["outbox.redb"]);
}

#[test]
fn a_newer_format_that_was_not_closed_is_not_touched() {
    let place = Place::with_calls();
    let mut store = RedbStore::open(&place.path).unwrap();
    store.apply(&[put(10, 10)]).unwrap();
    let database = store.database.as_ref().unwrap();
    let transaction = begin(database).unwrap();
    transaction.open_table(META).unwrap().insert(FORMAT_KEY, 2).unwrap();
    transaction.commit().unwrap();
    // As after kill -9: nothing was closed.
    let before = fs::read(&place.path).unwrap();
    let killed = place.beside("killed.redb");
    fs::write(&killed, &before).unwrap();
    let error = RedbStore::open(&killed).unwrap_err();
    assert!(matches!(error, StoreError::NewerVersion { found: 2, .. }), "{error}");
    assert!(fs::read(&killed).unwrap() == before, "it was touched");
}

#[test]
fn a_newer_database_is_not_touched() {
    let place = Place::with_calls();
    let mut bytes = fs::read(&place.path).unwrap();
    (bytes[64], bytes[192]) = (4, 4);
    fs::write(&place.path, &bytes).unwrap();
    let error = RedbStore::open(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::NewerVersion { found: 4, .. }), "{error}");
    assert!(fs::read(&place.path).unwrap() == bytes, "it was touched");
}

#[test]
fn a_database_of_something_else_is_not_touched() {
    let place = Place::new();
    let database = Database::create(&place.path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table: TableDefinition<'_, u64, u64> = TableDefinition::new("calls");
    transaction.open_table(table).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let before = fs::read(&place.path).unwrap();
    let error = RedbStore::open(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::NotAStore(_)), "{error}");
    assert!(fs::read(&place.path).unwrap() == before, "it was touched");
}

/// Opens a damaged file: it must be set aside as it was and reported, and an empty store must work.
fn assert_set_aside(place: &Place, damaged: &[u8], name: &str) {
    fs::write(&place.path, damaged).unwrap();
    let mut store = RedbStore::open(&place.path).unwrap();
    assert!(is_empty(&store.load().unwrap()));
    let reports = store.take_reports();
    let [StoreReport::SetAside { detail, to }] = &reports[..] else { panic!("{reports:?}") };
    assert!(detail.starts_with(&format!("the store {} is damaged: ", place.path.display())), "{detail}");
    assert_eq!(*to, place.beside(name));
    assert!(fs::read(to).unwrap() == damaged, "not as it was");
    assert_eq!(store.take_reports(), [], "once");
    store.apply(&[put(1, 1)]).unwrap();
    assert_eq!(sequences(&store.load().unwrap()), [1]);
}

#[test]
fn damaged_files_are_set_aside_under_names_that_are_free() {
    let place = Place::with_calls();
    let whole = fs::read(&place.path).unwrap();
    // Somebody else's, which must stay.
    fs::write(place.beside("outbox.redb.corrupt-2"), b"mine").unwrap();
    assert_set_aside(&place, b"this is no database, it is a letter", "outbox.redb.corrupt-1");
    assert_set_aside(&place, b"x", "outbox.redb.corrupt-3");
    assert_set_aside(&place, &whole[..whole.len() / 2], "outbox.redb.corrupt-4");
    assert_set_aside(&place, &whole[..100], "outbox.redb.corrupt-5");
    assert_set_aside(&place, &[whole.as_slice(), &[0; 100]].concat(), "outbox.redb.corrupt-6");
    assert_eq!(fs::read(place.beside("outbox.redb.corrupt-2")).unwrap(), b"mine");
}

#[test]
fn a_damaged_file_stays_when_that_is_wanted() {
    let place = Place::new();
    fs::write(&place.path, b"this is no database").unwrap();
    let error = RedbStore::options().when_corrupt(WhenCorrupt::Fail).open(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { set_aside: None, .. }), "{error}");
    assert!(error.to_string().ends_with("rename or repair it to go on"), "{error}");
    assert_eq!(crate::Error::from(error).kind(), crate::ErrorKind::Gap);
    assert_eq!(fs::read(&place.path).unwrap(), b"this is no database");
    assert_eq!(place.names(), ["outbox.redb"]);
}

#[test]
fn a_file_without_content_is_used_and_reported() {
    for content in [&[][..], &[0; 5000]] {
        let place = Place::new();
        fs::write(&place.path, content).unwrap();
        let mut store = RedbStore::open(&place.path).unwrap();
        store.apply(&[put(1, 1)]).unwrap();
        assert_eq!(sequences(&store.load().unwrap()), [1]);
        let reports = store.take_reports();
        assert!(matches!(reports[..], [StoreReport::Blank { .. }]), "{reports:?}");
        drop(store);
        let mut store = RedbStore::open(&place.path).unwrap();
        assert_eq!(sequences(&store.load().unwrap()), [1]);
        assert_eq!(store.take_reports(), []);
    }
}

/// Damage anywhere: either every call is there, or the file was set aside and reported.
#[test]
fn damage_is_never_a_store_with_fewer_calls() {
    let place = Place::with_calls();
    let whole = fs::read(&place.path).unwrap();
    let complete: Vec<_> = (0..10).collect();
    let pages: Vec<_> = (0..whole.len()).step_by(4096).collect();
    let used = pages.into_iter().filter(|at| whole[*at..*at + 4096].iter().any(|byte| *byte != 0));
    let mut places: Vec<_> = used.flat_map(|at| (at..at + 4096).step_by(173)).map(|at| (at, 0xff)).collect();
    places.extend((0..320).map(|at| (at, 0xff)));
    places.extend((0..64).flat_map(|at| [1, 2, 4, 8, 0x80].map(|flip| (at, flip))));
    let mut set_aside = 0;
    for (at, flip) in places {
        // Which of the two slots counts is one bit without a checksum: turned over, it is the store before the last
        // batch, and nothing in the file says otherwise.
        let flip = if at == 9 { flip & !1 } else { flip };
        let mut damaged = whole.clone();
        damaged[at] ^= flip;
        fs::write(&place.path, &damaged).unwrap();
        let mut store = match RedbStore::open(&place.path) {
            Ok(store) => store,
            Err(error) => panic!("byte {at}: {error}"),
        };
        let restored = store.load().unwrap();
        match &store.take_reports()[..] {
            [] => assert_eq!(sequences(&restored), complete, "byte {at}"),
            [StoreReport::SetAside { to, .. }] => {
                assert!(is_empty(&restored));
                assert!(fs::read(to).unwrap() == damaged, "byte {at}: not as it was");
                fs::remove_file(to).unwrap();
                set_aside += 1;
            }
            reports => panic!("byte {at}: {reports:?}"),
        }
    }
    assert!(set_aside > 100, "{set_aside}");
}

#[test]
fn a_record_that_does_not_decode_is_kept_apart() {
    let place = Place::with_calls();
    place.edit(|transaction| {
        let mut calls = transaction.open_table(CALLS).unwrap();
        let mut record = calls.get(4).unwrap().unwrap().value().to_vec();
        // Another call's record, a cut one, and one from the future.
        calls.insert(20, record.as_slice()).unwrap();
        calls.insert(7, &record[..9]).unwrap();
        record[0] = 9;
        calls.insert(2, record.as_slice()).unwrap();
    });
    let bad = |sequence, detail: &str| StoreReport::Quarantined {
        sequence: Sequence(sequence),
        detail: detail.to_owned(),
    };
    let expected = [
        bad(2, "its version 9 is unknown"),
        bad(7, "its checksum is wrong"),
        bad(20, "its checksum is wrong"),
    ];
    // On every start, until somebody deletes them.
    for _ in 0..2 {
        let mut store = RedbStore::open(&place.path).unwrap();
        let restored = store.load().unwrap();
        assert_eq!(sequences(&restored), [0, 1, 3, 4, 5, 6, 8, 9]);
        assert_eq!(restored.next, Sequence(21), "a sequence in quarantine is not used again");
        assert_eq!(store.take_reports(), expected);
        // Not the application's to delete by accident: its outbox does not know the call.
        store.apply(&[delete(7)]).unwrap();
    }
    let mut store = RedbStore::open(&place.path).unwrap();
    let kept = store.quarantined().unwrap();
    assert_eq!(kept.iter().map(|(sequence, _)| sequence.0).collect::<Vec<_>>(), [2, 7, 20]);
    assert_eq!(kept[1].1.len(), 9);
    store.clear_quarantine().unwrap();
    assert_eq!(sequences(&store.load().unwrap()), [0, 1, 3, 4, 5, 6, 8, 9]);
    assert_eq!(store.take_reports(), []);
    assert_eq!(store.quarantined(), Ok(vec![]));
}

#[test]
fn paths_that_cannot_work() {
    let place = Place::new();
    fs::create_dir(&place.path).unwrap();
    fs::write(place.beside("file"), b"").unwrap();
    let missing = place.beside("missing").join("outbox.redb");
    let under_a_file = place.beside("file").join("outbox.redb");
    for path in [&place.path, &missing, &under_a_file] {
        let error = RedbStore::open(path).unwrap_err();
        assert!(matches!(error, StoreError::Io(_)), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!(crate::Error::from(error).kind(), crate::ErrorKind::Refused);
    }
    assert_eq!(place.names(), ["file", "outbox.redb"]);
}

#[cfg(unix)]
#[test]
fn a_directory_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // For root every directory is writable.
    let denied = File::create(place.beside("probe")).is_err();
    let opened = RedbStore::open(&place.path);
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    match opened {
        Err(StoreError::Io(text)) if denied => assert!(text.contains("check the path, its permissions")),
        opened => assert!(!denied && opened.is_ok(), "{opened:?}"),
    }
}

#[test]
fn options_are_checked() {
    let place = Place::new();
    let error = RedbStore::options().max_bytes(1 << 20).open(&place.path).unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn a_full_store_keeps_its_calls_and_still_deletes() {
    const LIMIT: u64 = 8 << 20;
    for len in [10, 200, 1200, 1500, 3000, 4000, 9000, 40_000, 300_000] {
        let place = Place::new();
        let size = || fs::metadata(&place.path).unwrap().len();
        let options = RedbStore::options().max_bytes(LIMIT);
        let mut store = options.clone().open(&place.path).unwrap();
        let mut kept = 0;
        let batch = (200_000 / (len as u64 + 100)).clamp(1, 64);
        let error = loop {
            let puts: Vec<_> = (kept..kept + batch).map(|n| put(n, len)).collect();
            match store.apply(&puts) {
                Ok(()) => kept += batch,
                Err(error) => break error,
            }
            assert!(size() <= LIMIT, "{len}");
        };
        assert!(matches!(error, StoreError::Full(_)), "{len}: {error}");
        let text = error.to_string();
        assert!(text.contains("outbox.redb is full: its limit is 8388608 bytes"), "{len}: {text}");
        assert_eq!(crate::Error::from(error).kind(), crate::ErrorKind::Overflow);
        assert!(kept * (len as u64 + 90) > LIMIT / 8, "{len}: only {kept}");
        assert_eq!(sequences(&store.load().unwrap()), (0..kept).collect::<Vec<_>>());
        // Something smaller in the place of something, too.
        store.apply(&[delete(0), put(kept, len / 2)]).unwrap();
        store.apply(&(1..kept).step_by(2).map(delete).collect::<Vec<_>>()).unwrap();
        assert!(size() <= LIMIT, "{len}: {}", size());
        store.apply(&[put(kept + 1, len)]).unwrap();
        drop(store);
        // What is used is known again after a start.
        let mut store = options.open(&place.path).unwrap();
        let mut expected: Vec<_> = (2..kept).step_by(2).collect();
        expected.extend([kept, kept + 1]);
        assert_eq!(sequences(&store.load().unwrap()), expected, "{len}");
        store.apply(&expected.into_iter().map(delete).collect::<Vec<_>>()).unwrap();
        assert_eq!(store.used, 0, "{len}");
        assert!(size() <= LIMIT, "{len}");
    }
}

/// The bound of the file holds also where the estimate of what fits does not.
#[test]
fn growth_beyond_the_bound_is_refused_and_the_store_goes_on() {
    let place = Place::new();
    let mut store = RedbStore::options().max_bytes(4 << 20).open(&place.path).unwrap();
    store.apply(&[put(0, 100)]).unwrap();
    // As if the estimate had allowed it.
    let failure = {
        let record = vec![0; 8 << 20];
        let database = store.database.as_ref().unwrap();
        store.bound.store(4 << 20, Ordering::Relaxed);
        let transaction = begin(database).unwrap();
        change(&transaction, &[(1, Some(record))]).unwrap_err()
    };
    let error = store.error(failure);
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    store.database = None;
    store.apply(&[put(2, 100)]).unwrap();
    assert_eq!(sequences(&store.load().unwrap()), [0, 2]);
    assert!(fs::metadata(&place.path).unwrap().len() <= 4 << 20);
}

#[test]
fn a_full_disk_is_full() {
    let place = Place::new();
    let store = RedbStore::open(&place.path).unwrap();
    let error = store.error(Error::Io(io::ErrorKind::StorageFull.into()));
    assert!(matches!(&error, StoreError::Full(text) if text.contains("outbox.redb is full: ")), "{error}");
}
