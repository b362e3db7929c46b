use std::time::Duration;

use hubwire::Time;
use hubwire::protocol::Outcome::{self, Error, Value, Void};

use super::key::HEADER;
use super::table::{Begin, Table};
use super::{Claim, Clock, Dedupe, Deduper, Key};

fn key(number: u64) -> Key {
    Key::of(Some("user"), &vec![(HEADER.into(), format!("client/{number}").into())]).unwrap().unwrap()
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

const fn limits(max_entries: usize, max_bytes: usize) -> Dedupe {
    Dedupe { window: Duration::from_millis(100), max_entries, max_bytes }
}

/// Payloads are numbers of four bytes; what is known of a running call is its number.
struct Fixture(Table<u32, u64>);

impl Fixture {
    fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self(Table::new(limits(max_entries, max_bytes)))
    }

    /// A short form of what is to be done.
    fn begin(&mut self, millis: u64, number: u64) -> String {
        match self.0.begin(at(millis), &key(number), || number) {
            Begin::Started => "run".into(),
            Begin::Running(running) => format!("running {running}"),
            Begin::Done(Void) => "done".into(),
            Begin::Done(Value(value)) => format!("= {value}"),
            Begin::Done(Error(error)) => format!("failed: {error}"),
            Begin::Full => "full".into(),
        }
    }

    fn finish(&mut self, millis: u64, number: u64, outcome: Outcome<u32>) -> Option<u64> {
        self.0.finish(at(millis), &key(number), outcome)
    }

    fn run(&mut self, millis: u64, number: u64) {
        assert_eq!(self.begin(millis, number), "run");
        assert_eq!(self.finish(millis, number, Value(number as u32)), Some(number));
    }

    /// Entries, running ones, bytes, evicted ones.
    fn counts(&self) -> (usize, usize, usize, u64) {
        (self.0.len(), self.0.len_running(), self.0.bytes(), self.0.evicted())
    }
}

#[test]
fn a_repetition_gets_what_the_first_came_to() {
    for (outcome, expected) in [(Void, "done"), (Value(7), "= 7"), (Error("no".into()), "failed: no")] {
        let mut table = Fixture::new(10, 100);
        assert_eq!(table.begin(0, 1), "run");
        assert_eq!(table.begin(0, 1), "running 1");
        assert_eq!(table.begin(50, 1), "running 1");
        assert_eq!(table.begin(50, 2), "run", "another one");
        assert_eq!(table.finish(60, 1, outcome), Some(1));
        assert_eq!(table.finish(60, 1, Void), None, "it ends once");
        assert_eq!(table.begin(60, 1), expected);
        assert_eq!(table.begin(61, 1), expected);
        assert_eq!(table.begin(61, 2), "running 2");
        assert_eq!((table.0.running(&key(1)), table.0.running(&key(2))), (None, Some(&2)));
    }
    assert_eq!(Fixture::new(10, 100).finish(0, 1, Void), None, "it never began");
}

#[test]
fn the_window_begins_with_the_end_of_the_call() {
    let mut table = Fixture::new(10, 100);
    table.begin(0, 1);
    assert_eq!(table.begin(1000, 1), "running 1", "however long it runs");
    table.finish(1000, 1, Value(1));
    assert_eq!(table.begin(1099, 1), "= 1", "repetitions do not prolong it");
    assert_eq!(table.begin(1100, 1), "run");
    assert_eq!(table.begin(1300, 1), "running 1");
    table.finish(1300, 1, Value(2));
    assert_eq!(table.begin(1399, 1), "= 2");
    assert_eq!(table.counts(), (1, 0, 4, 0));
    table.0.purge(at(1400));
    assert_eq!(table.counts(), (0, 0, 0, 0), "and none of it counts as evicted");
}

#[test]
fn the_oldest_that_ended_makes_room() {
    let mut table = Fixture::new(3, 100);
    // Begun first, but ended last.
    table.begin(0, 1);
    table.run(1, 2);
    table.run(2, 3);
    table.finish(3, 1, Value(1));
    assert_eq!(table.begin(4, 4), "run");
    assert_eq!(table.counts(), (3, 1, 8, 1));
    assert_eq!(table.begin(4, 3), "= 3");
    assert_eq!(table.begin(4, 1), "= 1");
    assert_eq!(table.begin(4, 2), "run", "forgotten; 3 goes for it");
    assert_eq!(table.begin(4, 1), "= 1");
    assert_eq!(table.begin(4, 3), "run");
    assert_eq!(table.counts(), (3, 3, 0, 3));
}

#[test]
fn running_calls_never_make_room() {
    let mut table = Fixture::new(2, 8);
    table.begin(0, 1);
    table.begin(0, 2);
    assert_eq!(table.begin(0, 3), "full");
    assert_eq!(table.begin(1_000_000, 3), "full");
    assert_eq!(table.begin(1_000_000, 1), "running 1");
    assert_eq!(table.begin(1_000_000, 2), "running 2");
    table.finish(1_000_000, 2, Void);
    assert_eq!(table.begin(1_000_000, 3), "run");
    assert_eq!(table.begin(1_000_000, 1), "running 1");
    assert_eq!(table.counts(), (2, 2, 0, 1));
}

#[test]
fn results_are_bounded_and_a_huge_one_does_not_run_twice() {
    let mut table = Fixture::new(100, 12);
    for number in 1..=3 {
        table.run(0, number);
    }
    assert_eq!(table.counts(), (3, 0, 12, 0));
    table.begin(1, 4);
    assert_eq!(table.counts(), (4, 1, 12, 0), "what runs has no result yet");
    table.finish(1, 4, Error("12345".into()));
    assert_eq!(table.counts(), (2, 0, 9, 2), "two gave way for five bytes");
    assert_eq!(table.begin(1, 4), "failed: 12345");
    assert_eq!(table.begin(1, 3), "= 3");
    table.begin(1, 5);
    table.finish(1, 5, Void);
    assert_eq!(table.counts(), (3, 0, 9, 2), "nothing takes no bytes");

    let mut table = Fixture::new(100, 5);
    table.run(0, 1);
    table.begin(0, 2);
    assert_eq!(table.finish(0, 2, Error("x".repeat(6).into())), Some(2));
    assert_eq!(table.begin(0, 2), "failed: The result of the call was too large to be remembered.");
    assert_eq!(table.begin(0, 1), "= 1", "nothing gave way for nothing");
    assert_eq!(table.counts(), (2, 0, 4, 0));
}

#[test]
fn everything_expires_before_something_is_evicted() {
    let mut table = Fixture::new(2, 100);
    table.run(0, 1);
    table.run(50, 2);
    assert_eq!(table.begin(100, 3), "run");
    assert_eq!(table.begin(100, 2), "= 2");
    assert_eq!(table.counts().3, 0);
}

#[test]
fn the_counts_hold_whatever_happens() {
    // A small generator is enough: the point is the order of things.
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut table = Fixture::new(8, 40);
    let mut now = 0;
    let mut running = std::collections::BTreeSet::new();
    for _ in 0..20_000 {
        now += random(10);
        let number = random(24);
        if random(2) == 0 {
            let begun = table.begin(now, number);
            assert_eq!(begun.starts_with("running"), running.contains(&number), "{begun}");
            assert!(begun != "full" || running.len() == 8);
            if begun == "run" {
                running.insert(number);
            }
        } else if running.remove(&number) {
            let outcome =
                if random(2) == 0 { Value(1) } else { Error("x".repeat(random(60) as usize).into()) };
            assert_eq!(table.finish(now, number, outcome), Some(number));
        }
        let (entries, running_now, bytes, _) = table.counts();
        assert!(entries <= 8 && bytes <= 40 && running_now == running.len());
    }
}

/// A deduper and the clock of the test's runtime.
fn deduper() -> std::sync::Arc<Deduper> {
    Deduper::new(Dedupe { window: Duration::from_secs(60), ..Dedupe::default() }, Clock::start())
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_swept() {
    let deduper = deduper();
    let weak = std::sync::Arc::downgrade(&deduper);
    for round in 0..2 {
        let Claim::Run(ticket) = deduper.claim(key(round)) else { panic!("it is new") };
        ticket.finish(&Void);
        assert_eq!(deduper.inner.lock().table.len(), 1);
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(deduper.inner.lock().table.len(), 1);
        tokio::time::sleep(Duration::from_secs(17)).await;
        assert_eq!(deduper.inner.lock().table.len(), 0, "nobody looked at it meanwhile");
    }
    drop(deduper);
    assert!(weak.upgrade().is_none(), "the sweep keeps nothing");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_is_dropped_is_an_end_too() {
    let deduper = deduper();
    let Claim::Run(ticket) = deduper.claim(key(1)) else { panic!("it is new") };
    let Claim::Wait(waiter) = deduper.claim(key(1)) else { panic!("it runs") };
    drop(ticket);
    assert!(matches!(waiter.outcome().await, Error(text) if text.contains("interrupted")));
    assert!(matches!(deduper.claim(key(1)), Claim::Done(Error(_))), "it may have had an effect");
    deduper.idle().await;
}

#[tokio::test(start_paused = true)]
async fn only_what_nobody_waits_for_is_abandoned() {
    let deduper = deduper();
    let Claim::Run(ticket) = deduper.claim(key(1)) else { panic!("it is new") };
    let Claim::Wait(waiter) = deduper.claim(key(1)) else { panic!("it runs") };
    ticket.abandon();
    assert!(!ticket.cancellation().is_cancelled());
    drop(waiter);
    for _ in 0..100 {
        assert!(matches!(deduper.claim(key(1)), Claim::Wait(_)));
    }
    let entry = |deduper: &Deduper| deduper.inner.lock().table.running(&key(1)).unwrap().waiting.len();
    assert!(entry(&deduper) <= 4, "those that left are forgotten");
    ticket.abandon();
    assert!(ticket.cancellation().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_taken_back_before_its_turn_does_not_run_later() {
    let deduper = deduper();
    deduper.withdraw(key(1), Error("canceled".into()));
    assert!(matches!(deduper.claim(key(1)), Claim::Done(Error(text)) if text == "canceled"));
    // Elsewhere it runs.
    let Claim::Run(ticket) = deduper.claim(key(2)) else { panic!("it is new") };
    deduper.withdraw(key(2), Error("canceled".into()));
    assert!(ticket.cancellation().is_cancelled());
    ticket.finish(&Void);
    deduper.withdraw(key(2), Error("canceled".into()));
    assert!(matches!(deduper.claim(key(2)), Claim::Done(Void)), "it ended before that");
}
