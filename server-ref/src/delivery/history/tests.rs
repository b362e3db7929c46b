use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn limits() -> History {
    History { max_messages: 4, max_streams: 2, max_bytes: 10_000, page_messages: 3, ..History::default() }
}

fn streams(stored: bool) -> Streams<u32> {
    Streams::new(limits(), "one".into(), stored)
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn drain(streams: &mut Streams<u32>) -> Vec<Output<u32>> {
    std::iter::from_fn(|| Some(streams.poll()).filter(|output| !matches!(output, Output::Wait(_)))).collect()
}

fn publish(streams: &mut Streams<u32>, now: u64, stream: &str, payload: u32) -> Position {
    streams.publish(at(now), &stream.into(), "T".into(), payload, 10).unwrap()
}

fn page(streams: &mut Streams<u32>, now: u64, after: &Position) -> (Vec<u32>, Recovery) {
    let mut room = streams.room();
    let page = streams.page(at(now), after, &mut room);
    (page.entries.iter().map(|entry| entry.payload).collect(), page.recovery)
}

fn published(outputs: &[Output<u32>]) -> Vec<(u32, Option<u64>)> {
    let one = |output: &Output<u32>| match output {
        Output::Publish { payload, position, .. } => {
            Some((*payload, position.as_ref().map(|position| position.offset)))
        }
        Output::Store(..) | Output::Wait(_) => None,
    };
    outputs.iter().filter_map(one).collect()
}

fn batch(outputs: &[Output<u32>]) -> Option<(BatchId, &[Op<u32>])> {
    outputs.iter().find_map(|output| match output {
        Output::Store(batch, ops) => Some((*batch, &ops[..])),
        Output::Publish { .. } | Output::Wait(_) => None,
    })
}

#[test]
fn offsets_have_no_holes_and_pages_follow_each_other() {
    let mut streams = streams(false);
    let start = streams.position(at(0), &"s".into());
    assert_eq!(start.offset, 0);
    for payload in 1..=4 {
        assert_eq!(publish(&mut streams, 0, "s", payload).offset, u64::from(payload));
    }
    assert_eq!(published(&drain(&mut streams)), [(1, Some(1)), (2, Some(2)), (3, Some(3)), (4, Some(4))]);
    let (first, recovery) = page(&mut streams, 0, &start);
    assert_eq!(first, [1, 2, 3]);
    let Recovery::More(reached) = recovery else { panic!("{recovery:?}") };
    let (second, recovery) = page(&mut streams, 0, &reached);
    assert_eq!(second, [4]);
    let Recovery::Complete(top) = recovery else { panic!("{recovery:?}") };
    assert_eq!(top, streams.position(at(0), &"s".into()));
    assert_eq!(page(&mut streams, 0, &top), (vec![], Recovery::Complete(top.clone())));
}

#[test]
fn the_room_is_that_of_all_streams_together() {
    let mut streams = streams(false);
    let starts = ["a", "b"].map(|name| streams.position(at(0), &name.into()));
    for payload in 0..2 {
        publish(&mut streams, 0, "a", payload);
        publish(&mut streams, 0, "b", payload);
    }
    let mut room = streams.room();
    assert_eq!(streams.page(at(0), &starts[0], &mut room).entries.len(), 2);
    let page = streams.page(at(0), &starts[1], &mut room);
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.recovery, Recovery::More(Position { offset: 1, ..starts[1].clone() }));
    // A message larger than a page comes alone, so that what is behind it can be reached.
    let mut room = streams.room().within(3, 1);
    assert_eq!(streams.page(at(0), &starts[0], &mut room).entries.len(), 1);
    assert_eq!(streams.page(at(0), &starts[1], &mut room).entries.len(), 0);
}

#[test]
fn what_is_not_known_any_more_is_lost() {
    let mut streams = streams(false);
    let start = streams.position(at(0), &"s".into());
    let first = publish(&mut streams, 0, "s", 1);
    for payload in 2..=5 {
        publish(&mut streams, 0, "s", payload);
    }
    let top = streams.position(at(0), &"s".into());
    assert_eq!(page(&mut streams, 0, &start), (vec![], Recovery::Lost(top.clone())), "1 is not kept");
    assert_eq!(page(&mut streams, 0, &first).0, [2, 3, 4]);
    for other in [
        Position { offset: 6, ..top.clone() },
        Position { offset: u64::MAX, ..top.clone() },
        Position { epoch: "two.1".into(), ..top.clone() },
    ] {
        assert_eq!(page(&mut streams, 0, &other), (vec![], Recovery::Lost(top.clone())), "{other}");
    }
    // Too old: whoever has the last one has lost nothing nevertheless.
    assert_eq!(streams.poll_deadline(), Some(at(600_000)));
    assert_eq!(page(&mut streams, 600_000, &first), (vec![], Recovery::Lost(top.clone())));
    assert_eq!(page(&mut streams, 600_000, &top), (vec![], Recovery::Complete(top)));
    assert_eq!((streams.messages(), streams.bytes(), streams.poll_deadline()), (0, 0, None));
}

impl Streams<u32> {
    fn poll_deadline(&mut self) -> Option<Time> {
        loop {
            if let Output::Wait(deadline) = self.poll() {
                return deadline;
            }
        }
    }
}

#[test]
fn the_oldest_bytes_of_all_streams_give_way_first() {
    let limits = History { max_bytes: 4 * (10 + OVERHEAD), ..limits() };
    let mut streams = Streams::<u32>::new(limits, "one".into(), false);
    let starts = ["a", "b"].map(|name| streams.position(at(0), &name.into()));
    for (payload, stream) in ["a", "b", "a", "b", "b", "b"].iter().enumerate() {
        publish(&mut streams, payload as u64, stream, payload as u32);
    }
    assert_eq!((streams.messages(), streams.bytes()), (4, limits.max_bytes));
    let first = |start: &Position| Position { offset: 1, ..start.clone() };
    assert_eq!(page(&mut streams, 9, &first(&starts[0])).0, [2]);
    assert_eq!(page(&mut streams, 9, &first(&starts[1])).0, [3, 4, 5]);
    // A message that is larger than all there may be is sent, but not kept.
    let position = streams.publish(at(9), &"a".into(), "T".into(), 7, 10_000).unwrap();
    assert_eq!(streams.bytes(), 0);
    assert_eq!(page(&mut streams, 9, &position).1, Recovery::Complete(position.clone()));
}

#[test]
fn the_stream_used_least_recently_gives_way_and_begins_anew() {
    let mut streams = streams(false);
    let a = publish(&mut streams, 0, "a", 1);
    publish(&mut streams, 0, "b", 2);
    streams.position(at(0), &"a".into());
    publish(&mut streams, 0, "c", 3);
    assert_eq!((streams.len(), streams.messages()), (2, 2));
    assert_eq!(page(&mut streams, 0, &a).1, Recovery::Complete(a));
    let b = publish(&mut streams, 0, "b", 4);
    assert_eq!(b.offset, 1);
    assert_eq!(b.epoch, "one.4", "no two lives of a stream have the same name");
}

#[test]
fn a_stored_message_is_handed_out_when_the_store_has_it() {
    let mut streams = streams(true);
    let start = streams.position(at(0), &"s".into());
    let outputs = drain(&mut streams);
    let (first, ops) = batch(&outputs).unwrap();
    assert!(matches!(ops, [Op::Open { .. }]), "{ops:?}");
    for payload in 1..=3 {
        publish(&mut streams, 0, "s", payload);
    }
    assert_eq!(drain(&mut streams), [], "one batch at a time");
    assert_eq!(page(&mut streams, 0, &start), (vec![], Recovery::Complete(start.clone())));
    streams.handle(at(1), Input::Stored { batch: first, stored: true });
    let outputs = drain(&mut streams);
    let (second, ops) = batch(&outputs).unwrap();
    assert_eq!(ops.len(), 3);
    streams.handle(at(1), Input::Stored { batch: first, stored: true });
    assert_eq!(drain(&mut streams), [], "an answer counts once");
    streams.handle(at(2), Input::Stored { batch: second, stored: true });
    assert_eq!(published(&drain(&mut streams)), [(1, Some(1)), (2, Some(2)), (3, Some(3))]);
    assert_eq!(page(&mut streams, 2, &start).0, [1, 2, 3]);
    // What the limits cut off is cut off in the store, too; and the age counts from when it was published.
    for payload in 4..=5 {
        publish(&mut streams, 3, "s", payload);
        let outputs = drain(&mut streams);
        let (batch, _) = batch(&outputs).unwrap();
        streams.handle(at(3), Input::Stored { batch, stored: true });
    }
    let outputs = drain(&mut streams);
    let Some((_, [Op::Trim(position)])) = batch(&outputs) else { panic!("{outputs:?}") };
    assert_eq!(position.offset, 1);
}

#[test]
fn when_the_store_fails_messages_wait_and_the_stream_begins_anew() {
    let mut streams = streams(true);
    let position = publish(&mut streams, 0, "s", 1);
    let outputs = drain(&mut streams);
    let (first, _) = batch(&outputs).unwrap();
    publish(&mut streams, 0, "s", 2);
    streams.handle(at(0), Input::Stored { batch: first, stored: false });
    let outputs = drain(&mut streams);
    assert!(published(&outputs).is_empty() && batch(&outputs).is_none(), "a store that fails is left alone");
    assert!(!streams.is_written());
    let Output::Wait(Some(retry)) = streams.poll() else { panic!("it is never tried again") };
    streams.handle(retry, Input::Tick);
    let outputs = drain(&mut streams);
    let (second, ops) = batch(&outputs).unwrap();
    let appended: Vec<_> = ops.iter().filter(|op| matches!(op, Op::Append { .. })).collect();
    assert_eq!(appended.len(), 2, "{ops:?}");
    streams.handle(retry, Input::Stored { batch: second, stored: true });
    let outputs = drain(&mut streams);
    let positions: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Publish { position, payload, .. } => Some((*payload, position.as_ref().unwrap().offset)),
            _ => None,
        })
        .collect();
    assert_eq!(positions, [(1, 1), (2, 2)], "in order, in a new life");
    let (_, recovery) = page(&mut streams, 1, &position);
    let Recovery::Lost(top) = recovery else { panic!("{recovery:?}") };
    assert_ne!(top.epoch, position.epoch);
}

#[test]
fn a_store_that_hangs_is_no_reason_to_grow() {
    let mut streams = streams(true);
    let mut accepted = 0;
    while streams.publish(at(0), &"s".into(), "T".into(), 0, 1_000).is_ok() {
        accepted += 1;
    }
    assert_eq!(accepted, 10_000 / (1_000 + OVERHEAD));
    // Streams with messages on their way do not give way.
    publish(&mut self::streams(true), 0, "s", 0);
    let mut streams = Streams::<u32>::new(History { max_streams: 1, ..limits() }, "one".into(), true);
    publish(&mut streams, 0, "s", 0);
    assert_eq!(streams.publish(at(0), &"t".into(), "T".into(), 0, 1), Err(Full));
}

#[test]
fn what_a_store_says_is_not_believed_blindly() {
    let mut streams = streams(true);
    let entry = || StoredEntry { at: Time::ZERO, target: "T".into(), payload: 1, bytes: 1 };
    let top = |offset, stream: &'static str| Position { epoch: "old".into(), offset, stream: stream.into() };
    let restored = vec![
        StoredStream { top: top(u64::MAX, "last"), entries: vec![entry()] },
        StoredStream { top: top(1, "more"), entries: vec![entry(), entry()] },
        StoredStream { top: top(5, "good"), entries: vec![entry(), entry()] },
        StoredStream { top: top(5, "no room"), entries: vec![] },
    ];
    streams.handle(at(0), Input::Restored(restored));
    let outputs = drain(&mut streams);
    let forgotten: Vec<_> = batch(&outputs)
        .unwrap()
        .1
        .iter()
        .map(|op| match op {
            Op::Forget { stream, .. } => &**stream,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(forgotten, ["more", "no room"]);
    assert_eq!(streams.publish(at(0), &"last".into(), "T".into(), 1, 1), Err(Full));
    assert_eq!(page(&mut streams, 0, &top(u64::MAX, "last")).1, Recovery::Complete(top(u64::MAX, "last")));
    assert_eq!(page(&mut streams, 0, &top(3, "good")), (vec![1, 1], Recovery::Complete(top(5, "good"))));
    assert_eq!(page(&mut streams, 0, &top(2, "good")).1, Recovery::Lost(top(5, "good")));
    assert_eq!(publish(&mut streams, 0, "good", 1), top(6, "good"));
}

/// Does what the operations say, as a real store would.
#[derive(Default)]
struct FakeStore {
    streams: HashMap<ByteString, StoredStream<u32>>,
}

impl FakeStore {
    fn run(&mut self, ops: Vec<Op<u32>>) {
        for op in ops {
            match op {
                Op::Open { stream, epoch } => {
                    let top = Position { epoch, offset: 0, stream: stream.clone() };
                    self.streams.insert(stream, StoredStream { top, entries: Vec::new() });
                }
                Op::Append { at, entry: Entry { position, target, payload }, bytes } => {
                    let Some(stream) = self.streams.get_mut(&position.stream) else { continue };
                    if stream.top.epoch == position.epoch {
                        assert_eq!(stream.top.offset + 1, position.offset);
                        stream.top = position;
                        stream.entries.push(StoredEntry { at, target, payload, bytes });
                    }
                }
                Op::Trim(position) => {
                    let Some(stream) = self.streams.get_mut(&position.stream) else { continue };
                    if stream.top.epoch == position.epoch {
                        let first = stream.top.offset - stream.entries.len() as u64 + 1;
                        stream.entries.drain(..(position.offset + 1).saturating_sub(first) as usize);
                    }
                }
                Op::Forget { stream, epoch } => {
                    if self.streams.get(&stream).is_some_and(|stream| stream.top.epoch == epoch) {
                        self.streams.remove(&stream);
                    }
                }
            }
        }
    }
}

proptest! {
    /// Whatever happens: what a client was sent has offsets without holes, and what it gets after a restart follows.
    #[test]
    fn a_restart_uses_no_offset_twice(steps in prop::collection::vec((0..3_u8, 0..3_usize), 1..80)) {
        let mut store = FakeStore::default();
        let mut streams = streams(true);
        let mut on_its_way = None;
        let mut seen: HashMap<Position, u32> = HashMap::new();
        let mut payload = 0;
        let mut lives = 1;
        let notice = |outputs: Vec<Output<u32>>, on_its_way: &mut Option<_>, seen: &mut HashMap<_, _>| {
            for output in outputs {
                match output {
                    Output::Publish { position: Some(position), payload, .. } => {
                        assert_eq!(seen.insert(position, payload), None, "an offset was used twice");
                    }
                    Output::Publish { position: None, .. } => panic!("the store does not fail"),
                    Output::Store(batch, ops) => *on_its_way = Some((batch, ops)),
                    Output::Wait(_) => {}
                }
            }
        };
        for (step, stream) in steps {
            match step {
                0 => {
                    payload += 1;
                    let name = ["a", "b", "c"][stream].into();
                    // No stream may give way; then there is nothing to check.
                    let _ = streams.publish(at(0), &name, "T".into(), payload, 10);
                }
                1 => if let Some((batch, ops)) = on_its_way.take() {
                    store.run(ops);
                    streams.handle(at(0), Input::Stored { batch, stored: true });
                },
                _ => {
                    on_its_way = None;
                    lives += 1;
                    streams = Streams::new(limits(), format!("life{lives}").into(), true);
                    streams.handle(at(0), Input::Restored(store.streams.values().cloned().collect()));
                }
            }
            notice(drain(&mut streams), &mut on_its_way, &mut seen);
            for name in ["a", "b", "c"] {
                let Some(stored) = store.streams.get(name) else { continue };
                let mut room = Room::new(100, 100_000);
                let after = Position { offset: stored.top.offset - stored.entries.len() as u64, ..stored.top.clone() };
                for entry in streams.page(at(0), &after, &mut room).entries {
                    // Stored, but not handed out before the restart: it is had by asking.
                    let known = seen.entry(entry.position).or_insert(entry.payload);
                    assert_eq!(*known, entry.payload);
                }
                notice(drain(&mut streams), &mut on_its_way, &mut seen);
            }
        }
    }
}
