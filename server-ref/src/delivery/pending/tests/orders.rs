//! In which order messages come, whatever happens to connections.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[test]
fn the_window_holds_back_what_waits_by_priority() {
    let mut bench = Bench::new(DeliveryConfig { window: 2, ..DeliveryConfig::default() });
    bench.attach("a", 1);
    for id in ["1", "2", "3", "4"] {
        bench.send("a", id);
    }
    let urgent = Message { priority: 5, ..bench.message("urgent") };
    bench.send_message("a", urgent);
    assert_eq!(bench.took(), ["1", "2"]);
    bench.ack("a", "2");
    assert_eq!(bench.took(), ["urgent"]);
    bench.ack("a", "1");
    bench.ack("a", "urgent");
    assert_eq!(bench.took(), ["3", "4"]);
}

#[test]
fn the_window_has_bytes_as_well() {
    let mut bench = Bench::new(DeliveryConfig { window_bytes: 20, ..DeliveryConfig::default() });
    bench.attach("a", 1);
    for (id, bytes) in [("large", 50), ("1", 10), ("2", 10), ("3", 1)] {
        let message = Message { bytes, ..bench.message(id) };
        bench.send_message("a", message);
    }
    assert_eq!(bench.took(), ["large"]);
    bench.ack("a", "large");
    assert_eq!(bench.took(), ["1", "2"]);
    bench.nack("a", "1");
    assert_eq!(bench.took(), ["3"]);
}

#[test]
fn a_new_connection_gets_what_was_in_flight_first_and_it_is_no_attempt() {
    let mut bench = Bench::new(DeliveryConfig { window: 2, ..DeliveryConfig::default() });
    bench.attach("a", 1);
    for id in ["1", "2", "3"] {
        bench.send("a", id);
    }
    let urgent = Message { priority: 5, ..bench.message("urgent") };
    bench.send_message("a", urgent);
    bench.take();
    // The old connection is not known to be lost yet.
    bench.attach("a", 2);
    assert_eq!(bench.take(), [delivered(2, "1", 0, true), delivered(2, "2", 0, true)]);
    // What was on its way over it still counts, and its end changes nothing.
    bench.ack("a", "1");
    bench.detach("a", 1);
    assert_eq!(bench.take(), [delivered(2, "urgent", 0, false)]);
    bench.detach("a", 2);
    bench.attach("a", 3);
    assert_eq!(bench.take(), [delivered(3, "2", 0, true), delivered(3, "urgent", 0, true)]);
    assert_eq!(bench.engine.statistics().resends, 4);
    // The time for the acknowledgement begins anew.
    bench.wait(29 * SECOND);
    bench.attach("a", 4);
    bench.take();
    bench.wait(29 * SECOND);
    assert_eq!(bench.take(), []);
    assert_eq!(bench.engine.statistics().consecutive_failures, 0);
}

#[test]
fn the_newest_connection_that_is_left_goes_on() {
    let mut bench = Bench::new(DeliveryConfig::default());
    bench.attach("a", 1);
    bench.attach("a", 2);
    bench.send("a", "m");
    assert_eq!(bench.take(), [delivered(2, "m", 0, false)]);
    bench.detach("a", 2);
    assert_eq!(bench.take(), [delivered(1, "m", 0, true)]);
}

#[test]
fn a_message_that_is_tried_again_holds_up_nobody() {
    let mut bench = Bench::new(DeliveryConfig { window: 1, ..DeliveryConfig::default() });
    bench.attach("a", 1);
    for id in ["1", "2", "3"] {
        bench.send("a", id);
    }
    bench.nack("a", "1");
    assert_eq!(bench.took(), ["1", "2"]);
    bench.wait(2 * SECOND);
    assert_eq!(bench.take(), [], "the window is full");
    bench.ack("a", "2");
    assert_eq!(bench.take(), [delivered(1, "1", 1, false)]);
    bench.ack("a", "1");
    assert_eq!(bench.took(), ["3"]);
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        // xorshift64*: enough for a walk, and the same in every run.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// What a walk may do besides sending, losing connections and acknowledging.
#[derive(Clone, Copy, PartialEq)]
enum Walk {
    /// Nothing: what arrives first is in order, and nothing is lost.
    Calm,
    /// Negative acknowledgements, time, priorities, messages that expire or are not critical, a store that fails.
    Wild,
}

fn walk(seed: u64, walk: Walk) {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let wild = walk == Walk::Wild;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let config = DeliveryConfig {
        window: 3,
        recipient_messages: 12,
        failure_threshold: if wild { 2 } else { 0 },
        store_batch: 2,
        ..DeliveryConfig::default()
    };
    let engine = if random.below(2) == 0 { Engine::new(config) } else { Engine::with_store(config) };
    let mut bench = Bench::of(engine);
    let mut links: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut next_link = 0;
    // What reached each client for the first time, and what it has not answered.
    let mut first: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut open: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    let mut sent = BTreeSet::new();
    let mut records = BTreeMap::new();
    for step in 0..600 {
        let who = NAMES[random.below(3) as usize];
        match random.below(if wild { 15 } else { 9 }) {
            0..=2 => {
                let mut message = bench.message(&format!("{}", bench.next + 1));
                if wild {
                    message.priority = random.below(3) as i32;
                    message.critical = random.below(2) == 0;
                    message.ephemeral = random.below(5) == 0;
                    message.expires_at =
                        (random.below(4) == 0).then(|| bench.now + random.below(20) as u32 * SECOND);
                }
                sent.insert(bench.send_message(who, message));
            }
            3 => {
                next_link += 1;
                links.entry(who).or_default().push(next_link);
                bench.attach(who, next_link);
            }
            4 => {
                let own = links.entry(who).or_default();
                if !own.is_empty() {
                    let link = own.remove(random.below(own.len() as u64) as usize);
                    bench.detach(who, link);
                }
            }
            5..=6 => {
                let own = open.entry(who).or_default();
                if let Some(id) = own.iter().nth(random.below(own.len().max(1) as u64) as usize).copied() {
                    own.remove(&id);
                    bench.ack(who, &id.to_string());
                }
            }
            7..=8 => {
                let fails = wild && random.below(3) == 0;
                bench.write_one(&mut records, fails);
            }
            9..=10 => {
                if let Some(id) = open.entry(who).or_default().pop_first() {
                    bench.nack(who, &id.to_string());
                }
            }
            11..=12 => bench.wait(random.below(5) as u32 * SECOND),
            13 => {
                let message_id = (1 + random.below(bench.next + 1)).to_string().into();
                bench.input(Input::Requeue { message_id });
            }
            _ => bench.wait_for_deadline_if_any(),
        }
        for delivered in bench.take() {
            let id: u64 = delivered.id.parse().unwrap();
            let who = *links.iter().find(|(_, own)| own.contains(&delivered.link)).expect("a live link").0;
            open.entry(who).or_default().insert(id);
            if seen.insert(id) {
                first.entry(who).or_default().push(id);
            }
            let newest = links[who].last().copied();
            assert_eq!(newest, Some(delivered.link), "seed {seed}, step {step}: the newest connection");
        }
        bench.check();
    }
    // In the end everybody is there and says yes.
    for who in NAMES {
        next_link += 1;
        bench.attach(who, next_link);
    }
    for round in 0.. {
        assert!(round < 10_000, "seed {seed}: it does not end");
        while !bench.stores.is_empty() {
            bench.write_one(&mut records, false);
        }
        for delivered in bench.take() {
            let id: u64 = delivered.id.parse().unwrap();
            for who in NAMES {
                if seen.insert(id) && bench.status(who, &delivered.id).is_some() {
                    first.entry(who).or_default().push(id);
                }
                bench.ack(who, &delivered.id);
            }
        }
        let idle = bench.delivered.is_empty() && bench.stores.is_empty();
        if idle && bench.engine.entries.is_empty() && bench.engine.is_written() {
            break;
        }
        if idle {
            bench.wait_for_deadline();
        }
    }
    let ended: Vec<_> = bench.confirmed.iter().map(|(entry, _)| *entry).collect();
    assert_eq!(ended.iter().copied().collect::<BTreeSet<_>>(), sent, "seed {seed}: all end");
    let requeued: usize = bench.requeued.iter().sum();
    assert_eq!(ended.len(), sent.len() + requeued, "seed {seed}: once each time");
    let dead: BTreeSet<_> = bench.engine.dead_letters().map(|letter| letter.entry.0).collect();
    if bench.engine.has_store {
        let records: BTreeMap<u64, bool> = records;
        assert!(records.values().all(|is_dead| *is_dead), "seed {seed}: nothing is pending in the store");
        assert_eq!(
            records.into_keys().collect::<BTreeSet<_>>(),
            dead,
            "seed {seed}: the store knows the rest"
        );
    }
    assert_eq!(bench.engine.statistics().pending_bytes, 0);
    if !wild {
        for ids in first.values() {
            assert!(ids.is_sorted(), "seed {seed}: {ids:?}");
        }
        let refused = bench.confirmed.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Refused(_)));
        let acknowledged =
            bench.confirmed.iter().filter(|(_, outcome)| *outcome == Outcome::Acknowledged).count();
        assert_eq!(acknowledged + refused.count(), sent.len(), "seed {seed}: nothing is lost");
    }
}

impl Bench {
    /// Writes the batch that waits, or fails to. Of each record the store knows whether it is a dead letter.
    fn write_one(&mut self, records: &mut BTreeMap<u64, bool>, fails: bool) {
        let Some((batch, ops)) = self.stores.pop_front() else { return };
        if fails {
            self.input(Input::Stored(batch, Err("the disk is full".into())));
            return;
        }
        for op in ops {
            match op {
                StoreOp::Delete(entry) => drop(records.remove(&entry.0)),
                op => _ = records.insert(op.entry().0, matches!(op, StoreOp::Bury(_))),
            }
        }
        self.input(Input::Stored(batch, Ok(())));
    }

    fn wait_for_deadline_if_any(&mut self) {
        if self.deadline.is_some() {
            self.wait_for_deadline();
        }
    }

    /// What must be true at any time.
    fn check(&self) {
        let engine = &self.engine;
        let mut total = 0;
        for own in engine.recipients.values() {
            assert!(own.in_flight.len() <= engine.config.window);
            let bytes = own.in_flight.values().map(|id| engine.entries[id].message.bytes).sum::<usize>();
            assert_eq!(own.in_flight_bytes, bytes);
            assert!(!own.is_blank(), "nobody is kept for nothing");
            assert_eq!(own.away_until.is_some(), own.links.is_empty());
            total += own.by_message.len();
        }
        assert_eq!(total, engine.entries.len());
        // At most two deadlines for each message, one for each recipient, and three of the engine's.
        assert!(engine.timers.len() <= 2 * engine.entries.len() + engine.recipients.len() + 8);
        assert!(engine.held.len() <= engine.recipients.len());
    }
}

#[test]
fn nothing_is_lost_and_the_order_is_kept_whatever_happens_to_connections() {
    (1..=200).for_each(|seed| walk(seed, Walk::Calm));
}

#[test]
fn everything_ends_exactly_once_whatever_happens() {
    (1..=200).for_each(|seed| walk(seed, Walk::Wild));
}
