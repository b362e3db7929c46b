//! With a store.

use std::collections::BTreeMap;

use super::*;

fn stored() -> Bench {
    Bench::of(Engine::with_store(DeliveryConfig::default()))
}

impl Bench {
    fn answer(&mut self, result: Result<(), &str>) -> Vec<StoreOp<u32>> {
        let (batch, ops) = self.stores.pop_front().expect("something is to be written");
        self.input(Input::Stored(batch, result.map_err(Into::into)));
        ops
    }

    /// Writes everything there is, into these records.
    fn write(&mut self, records: &mut BTreeMap<u64, StoreOp<u32>>) {
        while !self.stores.is_empty() {
            for op in self.answer(Ok(())) {
                match op {
                    StoreOp::Delete(entry) => drop(records.remove(&entry.0)),
                    op => drop(records.insert(op.entry().0, op)),
                }
            }
        }
    }
}

fn entries(ops: &[StoreOp<u32>]) -> Vec<(char, u64)> {
    let kind = |op: &StoreOp<u32>| match op {
        StoreOp::Put(_) => 'p',
        StoreOp::Bury(_) => 'b',
        StoreOp::Delete(_) => 'd',
    };
    ops.iter().map(|op| (kind(op), op.entry().0)).collect()
}

#[test]
fn a_message_is_written_before_it_is_delivered_and_what_comes_meanwhile_together() {
    let mut bench = stored();
    bench.attach("a", 1);
    for id in ["1", "2", "3"] {
        bench.send("a", id);
    }
    assert_eq!((bench.took().len(), bench.accepted.len(), bench.stores.len()), (0, 0, 1));
    assert_eq!(entries(&bench.answer(Ok(()))), [('p', 1)]);
    assert_eq!((bench.took(), bench.accepted.clone()), (vec!["1".to_owned()], vec![1]));
    bench.ack("a", "1");
    assert_eq!(bench.ended(), Outcome::Acknowledged);
    assert_eq!(entries(&bench.answer(Ok(()))), [('p', 2), ('p', 3)]);
    assert_eq!(bench.took(), ["2", "3"]);
    assert_eq!(entries(&bench.answer(Ok(()))), [('d', 1)]);
    assert!(bench.engine.is_written());
    // An answer that was given already says nothing.
    bench.input(Input::Stored(BatchId(1), Err("late".into())));
    assert_eq!(bench.confirmed, []);
}

#[test]
fn what_cannot_be_written_is_refused_and_ends_are_written_again() {
    let mut bench = stored();
    bench.attach("a", 1);
    bench.send("a", "1");
    bench.answer(Ok(()));
    bench.send("a", "2");
    bench.ack("a", "1");
    assert_eq!(bench.ended(), Outcome::Acknowledged);
    bench.answer(Err("the disk is full"));
    let Outcome::Refused(text) = bench.ended() else { panic!("it was not taken") };
    assert!(text.contains("the disk is full"), "{text}");
    // Whether the failed batch was written or not, nothing of it comes back.
    assert_eq!(entries(&bench.answer(Err("still"))), [('d', 1), ('d', 2)]);
    assert!(bench.stores.is_empty(), "a store that fails is not asked all the time");
    bench.wait(2 * SECOND);
    assert_eq!(entries(&bench.answer(Err("still"))), [('d', 1), ('d', 2)]);
    // Something new takes it along.
    bench.send("a", "3");
    assert_eq!(entries(&bench.answer(Ok(()))), [('d', 1), ('d', 2), ('p', 3)]);
    assert_eq!(bench.took(), ["1", "3"]);
}

#[test]
fn what_ends_before_it_was_written_never_is() {
    let mut bench = stored();
    bench.send("a", "in the air");
    let expiring = Message { expires_at: Some(bench.now + SECOND), ..bench.message("waits") };
    bench.send_message("a", expiring);
    bench.input(Input::Forget { recipient: session("b") });
    let other = Message { critical: false, ..bench.message("forgotten") };
    bench.send_message("b", other);
    bench.input(Input::Forget { recipient: session("b") });
    assert_eq!(bench.ended(), Outcome::Disconnected);
    bench.wait(SECOND);
    assert_eq!(bench.ended(), Outcome::Expired);
    bench.answer(Ok(()));
    assert_eq!(entries(&bench.answer(Ok(()))), [('b', 2)]);
    assert!(bench.engine.is_written());
    assert_eq!(bench.accepted, [1]);
}

#[test]
fn a_connections_messages_are_not_written() {
    let mut bench = stored();
    bench.attach("a", 1);
    let message = Message { ephemeral: true, ..bench.message("m") };
    bench.send_message("a", message);
    assert_eq!(bench.took(), ["m"]);
    bench.ack("a", "m");
    assert!(bench.stores.is_empty());
}

#[test]
fn after_a_restart_everything_waits_for_its_recipient() {
    let mut records = BTreeMap::new();
    let config = DeliveryConfig { max_retry_attempts: 0, ..DeliveryConfig::default() };
    let mut bench = Bench::of(Engine::with_store(config));
    bench.attach("a", 1);
    for id in ["done", "dead", "out"] {
        bench.send("a", id);
    }
    bench.write(&mut records);
    bench.send("b", "away");
    let expiring = Message { expires_at: Some(bench.now + SECOND), ..bench.message("over") };
    bench.send_message("b", expiring);
    bench.ack("a", "done");
    bench.nack("a", "dead");
    bench.write(&mut records);
    let now = bench.now + 10 * SECOND;
    let restart = |records: &BTreeMap<u64, StoreOp<u32>>| {
        let mut bench = Bench { now, next: 10, ..Bench::of(Engine::with_store(config)) };
        let (mut entries, mut dead_letters) = (Vec::new(), Vec::new());
        for record in records.values().rev().cloned() {
            match record {
                StoreOp::Put(entry) => entries.push(entry),
                StoreOp::Bury(letter) => dead_letters.push(letter),
                StoreOp::Delete(_) => unreachable!(),
            }
        }
        bench.input(Input::Restored { entries, dead_letters });
        bench
    };
    let mut bench = restart(&records);
    assert_eq!(bench.ended(), Outcome::Expired);
    let dead: Vec<_> = bench.reasons().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(dead, ["dead", "over"]);
    bench.attach("a", 1);
    bench.send("a", "new");
    bench.write(&mut records);
    assert_eq!(bench.took(), ["out", "new"]);
    assert_eq!(bench.status("a", "out"), Some(Status::Pending));
    bench.input(Input::Requeue { message_id: "dead".into() });
    bench.write(&mut records);
    assert_eq!(bench.took(), ["dead"]);
    for id in ["dead", "out", "new"] {
        bench.ack("a", id);
    }
    // The other one does not come.
    bench.wait(110 * SECOND);
    bench.wait(10 * SECOND);
    bench.write(&mut records);
    let mut left = restart(&records);
    let dead: Vec<_> = left.reasons().into_iter().map(|(id, ..)| id).collect();
    assert_eq!((dead, left.engine.entries.len()), (vec!["away".to_owned(), "over".into()], 0));
    assert_eq!(left.took(), Vec::<String>::new());
}

#[test]
fn a_dead_letter_whose_return_cannot_be_written_stays_one() {
    let config = DeliveryConfig { max_retry_attempts: 0, ..DeliveryConfig::default() };
    let mut bench = Bench::of(Engine::with_store(config));
    bench.attach("a", 1);
    bench.send("a", "m");
    bench.answer(Ok(()));
    bench.nack("a", "m");
    bench.answer(Ok(()));
    bench.take();
    let before = bench.reasons();
    bench.input(Input::Requeue { message_id: "m".into() });
    assert_eq!(bench.reasons(), []);
    bench.answer(Err("no"));
    assert_eq!(bench.reasons(), before);
    assert_eq!(bench.take(), []);
    assert_eq!(entries(&bench.answer(Ok(()))), [('b', 1)]);
}

#[test]
fn what_waited_for_one_recipient_comes_back_in_its_order() {
    let mut records = BTreeMap::new();
    let mut bench = stored();
    for id in ["1", "2", "3"] {
        bench.send("a", id);
    }
    bench.write(&mut records);
    let entries = records.into_values().rev().map(|record| match record {
        StoreOp::Put(entry) => entry,
        _ => unreachable!(),
    });
    let entries = entries.collect();
    let mut bench = stored();
    bench.input(Input::Restored { entries, dead_letters: Vec::new() });
    bench.attach("a", 1);
    assert_eq!(bench.took(), ["1", "2", "3"]);
}

/// A dead letter in memory and, if so, in the store: not critical, so that it can end without becoming one again.
fn dead(bench: &mut Bench, written: bool) {
    let expiring = Message { critical: false, expires_at: Some(bench.now + SECOND), ..bench.message("m") };
    bench.send_message("a", expiring);
    bench.answer(Ok(()));
    bench.wait(SECOND);
    assert_eq!(bench.ended(), Outcome::Expired);
    if written {
        bench.answer(Ok(()));
    }
}

#[test]
fn a_requeued_message_that_ends_before_it_was_written_leaves_no_record() {
    for written in [true, false] {
        let mut bench = stored();
        dead(&mut bench, written);
        // Something else is being written, so that the return waits.
        bench.send("other", "x");
        bench.input(Input::Requeue { message_id: "m".into() });
        bench.input(Input::Forget { recipient: session("a") });
        assert_eq!(bench.ended(), Outcome::Disconnected);
        let mut last = BTreeMap::new();
        while !bench.stores.is_empty() {
            last.extend(entries(&bench.answer(Ok(()))).into_iter().map(|(kind, entry)| (entry, kind)));
        }
        assert_eq!(last[&1], 'd', "written before: {written}");
    }
}

#[test]
fn a_batch_that_fails_does_not_undo_what_came_later() {
    let mut bench = stored();
    dead(&mut bench, false);
    bench.input(Input::Requeue { message_id: "m".into() });
    // That it is dead could not be written, and is not true any more.
    assert_eq!(entries(&bench.answer(Err("no"))), [('b', 1)]);
    assert_eq!(entries(&bench.answer(Ok(()))), [('p', 1)]);
    assert!(bench.engine.is_written());
    bench.attach("a", 1);
    assert_eq!(bench.took(), ["m"]);
}

#[test]
fn a_dead_letter_that_made_room_leaves_no_record() {
    let config = DeliveryConfig { dead_letters: 0, max_retry_attempts: 0, ..DeliveryConfig::default() };
    let mut bench = Bench::of(Engine::with_store(config));
    bench.attach("a", 1);
    bench.send("a", "m");
    bench.answer(Ok(()));
    bench.nack("a", "m");
    assert_eq!(entries(&bench.answer(Ok(()))), [('d', 1)]);
}
