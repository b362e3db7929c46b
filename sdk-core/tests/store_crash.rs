//! Power cuts, kills and failing disks under the store in a file, with a model of what must survive.
//!
//! The disk keeps what was not flushed apart. At a power cut any part of it may have been written: some changes not at
//! all, some up to the middle, in any order. Everything follows from a seed, which the failure names.
#![allow(clippy::unwrap_used, clippy::disallowed_macros, missing_docs)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use hubwire::client::{CallKind, Priority, Restored, Sequence, StoreOp, StoredCall};
use hubwire::protocol::{Encoding, Payload};
use hubwire::{OutboxStore, RedbStore, StoreError, Time};
use redb::StorageBackend;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

/// What happens to the operation that the countdown ends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is the last one: the machine, or the process, is gone.
    Dead,
    /// That many operations fail, then the disk works again.
    Fails(u64),
}

#[derive(Debug, Default)]
struct State {
    /// What the process sees.
    seen: Vec<u8>,
    /// What a power cut leaves in any case.
    durable: Vec<u8>,
    /// In the order they were made.
    unflushed: Vec<Change>,
    countdown: Option<(u64, Fate)>,
    dead: bool,
    /// Says it flushed and did not.
    lies: bool,
}

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { seen: bytes.clone(), durable: bytes, ..State::default() })))
    }

    fn plan(&self, operations: u64, fate: Fate) {
        self.0.lock().unwrap().countdown = Some((operations, fate));
    }

    fn is_dead(&self) -> bool {
        self.0.lock().unwrap().dead
    }

    /// The bytes after the process was killed: the operating system writes what it was given.
    fn after_kill(&self) -> Vec<u8> {
        self.0.lock().unwrap().seen.clone()
    }

    /// The bytes after a power cut: any part of what was not flushed, in any order.
    fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        let state = self.0.lock().unwrap();
        let mut bytes = state.durable.clone();
        let mut changes = state.unflushed.clone();
        if random.chance(2) {
            for at in (1..changes.len()).rev() {
                changes.swap(at, random.below(at as u64 + 1) as usize);
            }
        }
        // From nearly nothing to nearly everything.
        let lost = random.below(5);
        for change in changes {
            if random.below(4) < lost {
                continue;
            }
            match change {
                Change::Write(offset, data) if random.chance(4) => {
                    let at = random.below(data.len() as u64 + 1) as usize;
                    let torn = if random.chance(2) {
                        Change::Write(offset, data[..at].to_vec())
                    } else {
                        Change::Write(offset + at, data[at..].to_vec())
                    };
                    torn.apply(&mut bytes);
                }
                change => change.apply(&mut bytes),
            }
        }
        bytes
    }
}

impl State {
    /// Whether the next operation works.
    fn step(&mut self) -> Step {
        if self.dead {
            return Step::Refused;
        }
        match &mut self.countdown {
            None => Step::Works,
            Some((0, Fate::Dead)) => {
                self.dead = true;
                Step::Last
            }
            Some((0, Fate::Fails(left))) => {
                *left -= 1;
                if *left == 0 {
                    self.countdown = None;
                }
                Step::Refused
            }
            Some((operations, _)) => {
                *operations -= 1;
                Step::Works
            }
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        let step = self.step();
        if step != Step::Refused {
            change.apply(&mut self.seen);
            self.unflushed.push(change);
        }
        step.result()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Works,
    /// Begun, not finished.
    Last,
    Refused,
}

impl Step {
    fn result(self) -> io::Result<()> {
        if self == Self::Works { Ok(()) } else { Err(io::Error::other("the disk is gone")) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.0.lock().unwrap();
        if state.dead { Err(io::Error::other("the disk is gone")) } else { Ok(state.seen.len() as u64) }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        if state.dead {
            return Err(io::Error::other("the disk is gone"));
        }
        let offset = offset as usize;
        let bytes = state.seen.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().change(Change::SetLen(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        match state.step() {
            Step::Works if state.lies => Ok(()),
            Step::Works => {
                let State { durable, unflushed, .. } = &mut *state;
                for change in unflushed.drain(..) {
                    change.apply(durable);
                }
                Ok(())
            }
            // A power cut in the middle of it: what was not flushed may have been written or not.
            Step::Last => Step::Last.result(),
            Step::Refused => {
                if !state.dead {
                    // As Linux does it: what could not be flushed is seen as before, and never written again.
                    state.unflushed.retain(|change| matches!(change, Change::SetLen(_)));
                }
                Step::Refused.result()
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().change(Change::Write(offset as usize, data.to_vec()))
    }
}

fn open(disk: &Disk) -> Result<RedbStore, StoreError> {
    let disk = disk.clone();
    RedbStore::with_backend(RedbStore::options(), move || Ok(disk.clone()))
}

/// What a store must hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    calls: BTreeMap<Sequence, StoredCall<Payload>>,
    next: u64,
}

impl Model {
    fn apply(&mut self, batch: &[StoreOp<Payload>]) {
        for op in batch {
            match op {
                StoreOp::Put(sequence, call) => {
                    self.calls.insert(*sequence, call.clone());
                    self.next = self.next.max(sequence.0 + 1);
                }
                StoreOp::Delete(sequence) => {
                    self.calls.remove(sequence);
                }
            }
        }
    }

    fn is(&self, restored: &Restored<Payload>) -> bool {
        self.next == restored.next.0
            && self.calls.iter().eq(restored.calls.iter().map(|(sequence, call)| (sequence, call)))
    }
}

fn call(random: &mut Random) -> StoredCall<Payload> {
    let len = match random.below(40) {
        0 => random.below(200_000),
        1..5 => random.below(9_000),
        _ => random.below(300),
    };
    let encoding = if random.chance(2) { Encoding::Json } else { Encoding::MessagePack };
    let text = format!("{:016x}", random.next()).repeat(len as usize / 16 + 1);
    StoredCall {
        kind: if random.chance(2) { CallKind::Send } else { CallKind::Invoke },
        target: format!("Method{}", random.below(5)).into(),
        arguments: Payload::encode_arguments(encoding, &(random.next(), text)).unwrap(),
        priority: Priority::Normal,
        supersede_key: random.chance(5).then(|| "key".into()),
        queued_at: Time::from_millis(random.next()),
        expires_at: random.chance(3).then(|| Time::from_millis(random.next())),
    }
}

fn batch(model: &Model, random: &mut Random) -> Vec<StoreOp<Payload>> {
    let mut next = model.next;
    let len = if random.chance(8) { 60 } else { 1 + random.below(6) };
    let mut known: Vec<u64> = model.calls.keys().map(|sequence| sequence.0).collect();
    (0..len)
        .map(|_| {
            if !known.is_empty() && random.below(100) < 45 {
                let at = random.below(known.len() as u64) as usize;
                StoreOp::Delete(Sequence(known.swap_remove(at)))
            } else {
                next += random.below(3);
                let sequence = next;
                next += 1;
                known.push(sequence);
                StoreOp::Put(Sequence(sequence), call(random))
            }
        })
        .collect()
}

/// What a scenario went through.
#[derive(Debug, Default)]
struct Tally {
    scenarios: u64,
    deaths: u64,
    acknowledged: u64,
    in_flight_kept: u64,
    in_flight_gone: u64,
    /// Ended by another model than the store's, and not by an error of the store.
    caught_by_model: u64,
    while_opening: u64,
    failures: u64,
}

/// Several lives of one store; each ends with a power cut or a kill at any operation. Err when something is lost, half
/// there, or was never put.
fn lives(seed: u64, lies: bool, tally: &mut Tally) -> Result<(), String> {
    let mut random = Random(seed);
    let mut disk = Disk::default();
    let mut model = Model::default();
    let mut in_flight: Option<Model> = None;
    tally.scenarios += 1;
    for life in 0..4 {
        disk.0.lock().unwrap().lies = lies;
        let last = life == 3;
        if !last {
            let operations = if random.chance(4) { random.below(30) } else { random.below(500) };
            disk.plan(operations, Fate::Dead);
        }
        let restored = open(&disk).and_then(|mut store| store.load().map(|restored| (store, restored)));
        match restored {
            Ok((mut store, restored)) => {
                match in_flight.take() {
                    Some(after) if after.is(&restored) && after != model => {
                        tally.in_flight_kept += 1;
                        model = after;
                    }
                    was => tally.in_flight_gone += u64::from(was.is_some()),
                }
                if !model.is(&restored) {
                    tally.caught_by_model += 1;
                    return Err(format!("seed {seed}, life {life}: the store is not what it was"));
                }
                let reports = store.take_reports();
                if !reports.is_empty() && model.next > 0 {
                    return Err(format!("seed {seed}, life {life}: {reports:?}"));
                }
                let batches = if last { 3 } else { 2 + random.below(40) };
                for _ in 0..batches {
                    let batch = batch(&model, &mut random);
                    let mut after = model.clone();
                    after.apply(&batch);
                    match store.apply(&batch) {
                        Ok(()) => {
                            tally.acknowledged += 1;
                            model = after;
                        }
                        Err(error) if !disk.is_dead() => return Err(format!("seed {seed}: {error}")),
                        Err(_) => {
                            in_flight = Some(after);
                            break;
                        }
                    }
                }
            }
            Err(_) if disk.is_dead() => tally.while_opening += 1,
            Err(error) => return Err(format!("seed {seed}, life {life}: {error}")),
        }
        // The store is closed by now, which may have been where the machine went down.
        if last {
            break;
        }
        tally.deaths += 1;
        let bytes = if random.chance(4) { disk.after_kill() } else { disk.after_power_cut(&mut random) };
        disk = Disk::holding(bytes);
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    let mut tally = Tally::default();
    for seed in 0..700 {
        lives(seed, false, &mut tally).unwrap();
    }
    println!("{tally:?}");
    // The scenarios are worth something only if they reach everything.
    assert!(tally.deaths >= 2000 && tally.acknowledged > 5000, "{tally:?}");
    assert!(tally.in_flight_gone > 100 && tally.in_flight_kept > 10, "{tally:?}");
    assert!(tally.while_opening > 50, "{tally:?}");
}

#[test]
fn a_disk_that_lies_about_flushing_is_noticed() {
    let mut tally = Tally::default();
    let lost = (0..60).filter(|seed| lives(*seed, true, &mut tally).is_err()).count();
    println!("{lost} of 60 noticed: {tally:?}");
    assert!(lost > 30 && tally.caught_by_model > 5, "{lost}, {tally:?}");
}

/// One store over a disk on which operations fail for a while. What was refused is not there, what was taken is, and
/// after the last failure it works again.
fn failing(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut random = Random(seed);
    let disk = Disk::default();
    let mut store = open(&disk).map_err(|error| error.to_string())?;
    let mut model = Model::default();
    let mut refused = 0;
    tally.scenarios += 1;
    for _ in 0..30 {
        if random.chance(3) {
            disk.plan(random.below(14), Fate::Fails(1 + random.below(6)));
        }
        let batch = batch(&model, &mut random);
        match store.apply(&batch) {
            Ok(()) => {
                tally.acknowledged += 1;
                model.apply(&batch);
            }
            Err(StoreError::Io(_)) => {
                tally.failures += 1;
                refused = refused.max(
                    batch
                        .iter()
                        .map(|op| match op {
                            StoreOp::Put(sequence, _) => sequence.0 + 1,
                            StoreOp::Delete(_) => 0,
                        })
                        .max()
                        .unwrap_or(0),
                );
            }
            Err(error) => return Err(format!("seed {seed}: {error}")),
        }
        if random.chance(4) {
            disk.0.lock().unwrap().countdown = None;
            let restored = store.load().map_err(|error| format!("seed {seed}: {error}"))?;
            // A batch that was taken back may have raised it: a sequence is not used twice.
            if restored.next.0 < model.next || restored.next.0 > model.next.max(refused) {
                return Err(format!("seed {seed}: next is {:?}", restored.next));
            }
            model.next = restored.next.0;
            if !model.is(&restored) {
                return Err(format!("seed {seed}: the store is not what it was"));
            }
        }
    }
    // And it is on the disk, not only seen.
    disk.0.lock().unwrap().countdown = None;
    store.load().map_err(|error| format!("seed {seed}: {error}"))?;
    let disk = Disk::holding(disk.after_power_cut(&mut random));
    drop(store);
    let restored = open(&disk).and_then(|mut store| store.load());
    let restored = restored.map_err(|error| format!("seed {seed}, at the end: {error}"))?;
    model.next = model.next.max(restored.next.0);
    if model.is(&restored) { Ok(()) } else { Err(format!("seed {seed}: lost at the end")) }
}

#[test]
fn a_failing_disk_refuses_whole_batches_and_recovers() {
    let mut tally = Tally::default();
    for seed in 0..300 {
        failing(seed, &mut tally).unwrap();
    }
    println!("{tally:?}");
    assert!(tally.failures > 500 && tally.acknowledged > 2000, "{tally:?}");
}
