//! How fast the store in a file takes calls, on the disk where the temporary directory is, or in the directory that is
//! given: `cargo bench -p hubwire --features redb --bench store -- /path/on/the/disk`.
#![allow(missing_docs, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros)]

use std::time::{Duration, Instant};

use hubwire::client::{CallKind, Priority, Sequence, StoreOp, StoredCall};
use hubwire::protocol::{Encoding, Payload};
use hubwire::{MemoryStore, OutboxStore, RedbStore, Time};

const ARGUMENT: usize = 200;

fn put(sequence: u64) -> StoreOp<Payload> {
    let call = StoredCall {
        kind: CallKind::Invoke,
        target: "SendMessage".into(),
        arguments: Payload::encode_arguments(Encoding::Json, &("x".repeat(ARGUMENT),)).unwrap(),
        priority: Priority::Normal,
        supersede_key: None,
        queued_at: Time::from_millis(1_700_000_000_000),
        expires_at: None,
    };
    StoreOp::Put(Sequence(sequence), call)
}

/// Keeps up to 1,000 calls: what is beyond is deleted in the same batch, as when calls end about as fast as they come.
fn run(name: &str, store: &mut impl OutboxStore, ops: u64, lasting: Duration) {
    let mut times = Vec::new();
    let mut sequence = 0;
    let began = Instant::now();
    while began.elapsed() < lasting {
        let mut batch: Vec<_> = (sequence..sequence + ops).map(put).collect();
        sequence += ops;
        if sequence > 1000 {
            let old = sequence - 1000;
            batch.extend((old.saturating_sub(ops)..old).map(|old| StoreOp::Delete(Sequence(old))));
        }
        let start = Instant::now();
        store.apply(&batch).unwrap();
        times.push(start.elapsed());
    }
    let spent: Duration = times.iter().sum();
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!(
        "{name:7} {ops:3} calls a batch: {:9.0} calls/s, p50 {:?}, p99 {:?}, {} batches",
        sequence as f64 / spent.as_secs_f64(),
        at(50),
        at(99),
        times.len()
    );
}

fn main() {
    let place = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let directory = match place {
        Some(place) => tempfile::tempdir_in(place).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    for ops in [1, 64] {
        run("memory", &mut MemoryStore::new(), ops, Duration::from_secs(1));
        let path = directory.path().join(format!("{ops}.redb"));
        let mut store = RedbStore::open(&path).unwrap();
        run("file", &mut store, ops, Duration::from_secs(5));
        drop(store);
        let start = Instant::now();
        let mut store = RedbStore::open(&path).unwrap();
        let calls = store.load().unwrap().calls.len();
        let bytes = std::fs::metadata(&path).unwrap().len();
        println!("opened and loaded {calls} calls from {bytes} bytes in {:?}", start.elapsed());
    }
}
