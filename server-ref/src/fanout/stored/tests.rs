use super::*;
use crate::delivery::history::Entry;
use crate::store::MemoryStore;

fn at(offset: u64, epoch: &str) -> Position {
    Position { epoch: epoch.to_owned().into(), offset, stream: "group:g".into() }
}

fn append(offset: u64, epoch: &str) -> Op<Arguments> {
    let entry = Entry {
        position: at(offset, epoch),
        target: "Say".into(),
        payload: Arguments::new(&(offset,)).unwrap(),
    };
    Op::Append { at: Time::from_millis(offset), entry, bytes: 200 }
}

fn open(epoch: &str) -> Op<Arguments> {
    Op::Open { stream: "group:g".into(), epoch: epoch.to_owned().into() }
}

fn forget(epoch: &str) -> Op<Arguments> {
    Op::Forget { stream: "group:g".into(), epoch: epoch.to_owned().into() }
}

struct Bench {
    store: MemoryStore,
    table: Table,
}

impl Bench {
    fn new() -> Self {
        Self { store: MemoryStore::new(), table: Table::new("/hub") }
    }

    fn apply(&mut self, ops: &[Op<Arguments>]) {
        let changes = self.table.changes(ops);
        self.store.apply(&changes).unwrap();
        self.table.applied(true);
    }

    /// The stream as the next server finds it, and the offsets of its messages.
    fn restored(&self) -> Vec<(Position, Vec<u64>)> {
        let now = Time::from_millis(1_000);
        let streams = Table::new("/hub").restore(&self.store, now).unwrap();
        let offsets = |stream: &StoredStream<Arguments>| {
            let offset = |entry: &StoredEntry<Arguments>| {
                assert_eq!((&*entry.target, entry.bytes), ("Say", 200));
                let (json,): (u64,) = entry.payload.get(Encoding::Json).decode().unwrap();
                let (other,): (u64,) = entry.payload.get(Encoding::MessagePack).decode().unwrap();
                assert_eq!((json, entry.at), (other, Time::from_millis(json)));
                json
            };
            stream.entries.iter().map(offset).collect()
        };
        streams.iter().map(|stream| (stream.top.clone(), offsets(stream))).collect()
    }

    fn keys(&self) -> usize {
        self.store.load("history /hub").unwrap().records.len()
    }
}

#[test]
fn what_is_written_is_restored() {
    let mut bench = Bench::new();
    bench.apply(&[open("a"), append(1, "a"), append(2, "a")]);
    bench.apply(&[append(3, "a"), Op::Trim(at(1, "a"))]);
    assert_eq!(bench.restored(), [(at(3, "a"), vec![2, 3])]);
    assert_eq!(bench.keys(), 3);
    // Where it stands stays when nothing is kept.
    bench.apply(&[Op::Trim(at(9, "old")), Op::Trim(at(3, "a"))]);
    assert_eq!(bench.restored(), [(at(3, "a"), vec![])]);
    // A new life has nothing of the one before, and the end of that does not concern it.
    bench.apply(&[append(4, "a")]);
    bench.apply(&[open("b"), append(1, "b")]);
    bench.apply(&[forget("a")]);
    assert_eq!(bench.restored(), [(at(1, "b"), vec![1])]);
    bench.apply(&[forget("b")]);
    assert_eq!(bench.keys(), 0);
    assert_eq!(bench.table.streams.len(), 0);
}

#[test]
fn what_was_restored_can_be_trimmed_and_forgotten() {
    let mut bench = Bench::new();
    bench.apply(&[open("a"), append(1, "a"), append(2, "a"), append(3, "a")]);
    for op in [Op::Trim(at(2, "a")), forget("a")] {
        bench.table = Table::new("/hub");
        bench.table.restore(&bench.store, Time::from_millis(1)).unwrap();
        bench.apply(&[op]);
    }
    assert_eq!(bench.keys(), 0);
}

#[test]
fn nothing_stays_behind_of_a_batch_that_failed_and_was_written() {
    for written in [true, false] {
        let mut bench = Bench::new();
        bench.apply(&[open("a"), append(1, "a")]);
        let changes = bench.table.changes(&[append(2, "a"), append(3, "a"), Op::Trim(at(1, "a"))]);
        if written {
            bench.store.apply(&changes).unwrap();
        }
        bench.table.applied(false);
        // What streams do then: another life, in which the messages are appended again.
        bench.apply(&[Op::Trim(at(1, "a")), forget("a"), open("b"), append(1, "b")]);
        assert_eq!(bench.restored(), [(at(1, "b"), vec![1])], "{written}");
        assert_eq!(bench.keys(), 2);
    }
}

#[test]
fn offsets_far_apart_are_not_counted_one_by_one() {
    let far = u64::MAX - 5;
    let mut offsets = Offsets::default();
    offsets.add([(far, far + 1)]);
    offsets.add([(1, 2)]);
    offsets.add([(3, 3)]);
    assert_eq!(offsets.all().collect::<Vec<_>>(), [1, 2, 3, far, far + 1]);
    assert_eq!(offsets.take(far).all().collect::<Vec<_>>(), [1, 2, 3, far]);
    assert_eq!(offsets.take(u64::MAX).all().collect::<Vec<_>>(), [far + 1]);
    assert_eq!(offsets, Offsets::default());
}

#[test]
fn a_damaged_stream_is_dropped_and_the_others_stay() {
    let ops = [open("a"), append(1, "a"), append(2, "a"), append(3, "a")];
    let broken = |key: Vec<u8>, value: Option<Vec<u8>>| {
        let mut bench = Bench::new();
        bench.apply(&ops);
        bench.apply(&[Op::Open { stream: "user:u".into(), epoch: "z".into() }]);
        let table: Arc<str> = "history /hub".into();
        bench
            .store
            .apply(&[match value {
                Some(value) => Change::Put { table, key, value },
                None => Change::Delete { table, key },
            }])
            .unwrap();
        let names: Vec<_> = bench.restored().iter().map(|(top, _)| top.stream.to_string()).collect();
        assert_eq!(bench.restored().len(), names.len(), "the same the next time");
        (names, bench.keys())
    };
    let own = ByteString::from_static("group:g");
    let gone = (vec!["user:u".to_owned()], 1);
    let fine = (vec!["group:g".to_owned(), "user:u".to_owned()], 5);
    // The head, one in the middle, the last one.
    assert_eq!(broken(key(&own, None), None), gone);
    assert_eq!(broken(key(&own, Some(2)), None), gone);
    assert_eq!(broken(key(&own, Some(3)), None), gone);
    // What is not there any more at the beginning may have been trimmed.
    assert_eq!(broken(key(&own, Some(1)), None), (fine.0.clone(), 4));
    // One too many, and one of another life.
    let Change::Put { value, .. } = &Table::new("/hub").changes(&[append(2, "b")])[0] else {
        panic!("a put")
    };
    assert_eq!(broken(key(&own, Some(4)), Some(value.clone())), gone);
    assert_eq!(broken(key(&own, Some(2)), Some(value.clone())), gone);
    // What is no key at all.
    assert_eq!(broken(b"x".to_vec(), Some(vec![])), fine);
    // Whatever is in a record, nothing panics.
    for record in [key(&own, None), key(&own, Some(2))] {
        let records = {
            let mut bench = Bench::new();
            bench.apply(&ops);
            bench.store.load("history /hub").unwrap().records
        };
        let (_, whole) = records.into_iter().find(|(key, _)| *key == record).unwrap();
        for len in 0..whole.len() {
            assert_eq!(broken(record.clone(), Some(whole[..len].to_vec())), gone, "{len}");
        }
    }
}
