//! Tests of calls that are remembered in a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use hubwire::protocol::Outcome::{self, Error, Value, Void};
use hubwire::protocol::{Encoding, Payload};

use super::key::HEADER;
use super::stored::RESTARTED;
use super::ticket::NOT_STORED;
use super::{Claim, Clock, Dedupe, Deduper, Key, Ticket};
use crate::hub::Dispatched;
use crate::store::{Change, DeliveryStore, Loaded, MemoryStore, StoreError, Writer};

const WINDOW: Duration = Duration::from_secs(60);

fn key(number: u64) -> Key {
    Key::of(Some("user"), &vec![(HEADER.into(), format!("client/{number}").into())]).unwrap().unwrap()
}

fn value(number: u64) -> Outcome<Payload> {
    Value(Payload::encode(Encoding::Json, &number).unwrap())
}

/// A store of which so many transactions succeed.
#[derive(Debug)]
struct Limited {
    inner: MemoryStore,
    left: AtomicUsize,
}

impl Limited {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::new(), left: AtomicUsize::new(usize::MAX) })
    }

    /// The kind of the record of a call.
    fn kind(&self, number: u64) -> Option<u8> {
        let records = self.load("calls /hub").unwrap().records;
        let own = records.into_iter().find(|(own, _)| own == key(number).as_secret().as_bytes());
        own.map(|(_, value)| value[9])
    }

    fn restart(self: &Arc<Self>, limits: Dedupe) -> Arc<Deduper> {
        Deduper::with_store("/hub", limits, Clock::start(), Writer::new(Arc::new(self.clone()))).unwrap()
    }
}

impl DeliveryStore for Limited {
    fn load(&self, table: &str) -> Result<Loaded, StoreError> {
        self.inner.load(table)
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        let spend = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend) {
            Ok(_) => self.inner.apply(changes),
            Err(_) => Err(StoreError::Io("the disk is full".into())),
        }
    }
}

fn limits() -> Dedupe {
    Dedupe { window: WINDOW, ..Dedupe::default() }
}

fn run(deduper: &Arc<Deduper>, number: u64) -> Ticket {
    match deduper.claim(key(number)) {
        Claim::Run(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn done(deduper: &Arc<Deduper>, number: u64) -> Outcome<Payload> {
    match deduper.claim(key(number)) {
        Claim::Done(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

/// Runs a call to its end. The method is polled once, if it runs.
async fn call(
    deduper: &Arc<Deduper>,
    number: u64,
    method: impl FnOnce() -> Outcome<Payload> + Send + 'static,
) -> Outcome<Payload> {
    let mut ticket = run(deduper, number);
    let method = async move { Dispatched::Done(method()) };
    match ticket.durable(method.boxed()).await {
        Dispatched::Done(outcome) => outcome,
        Dispatched::Stream(_) => panic!("a stream"),
    }
}

#[tokio::test]
async fn a_call_is_stored_before_it_runs_and_before_it_is_answered() {
    let store = Limited::new();
    let deduper = store.restart(limits());
    let seen = store.clone();
    let method = move || {
        assert_eq!(seen.kind(1), Some(0), "claimed");
        value(7)
    };
    assert_eq!(call(&deduper, 1, method).await, value(7));
    assert_eq!(store.kind(1), Some(2), "completed");
    assert_eq!(done(&deduper, 1), value(7));
    deduper.idle().await;
}

#[tokio::test]
async fn what_ran_does_not_run_after_a_restart() {
    let store = Limited::new();
    let deduper = store.restart(limits());
    for (number, outcome) in [(1, Void), (2, value(2)), (3, Error("no".into()))] {
        call(&deduper, number, move || outcome).await;
    }
    // One whose server dies before it is over: nothing of it ends.
    let mut ticket = run(&deduper, 4);
    let mut method = ticket.durable(std::future::pending().boxed());
    while store.kind(4).is_none() {
        assert!(method.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    std::mem::forget((method, ticket));
    let epoch = deduper.epoch().unwrap().to_owned();
    for _ in 0..2 {
        let deduper = store.restart(limits());
        assert_eq!(deduper.epoch(), Some(&*epoch));
        let outcomes: Vec<_> = (1..=4).map(|number| done(&deduper, number)).collect();
        assert_eq!(outcomes, [Void, value(2), Error("no".into()), Error(RESTARTED.into())]);
        assert_eq!(deduper.statistics().running, 0);
    }
}

#[tokio::test]
async fn what_is_forgotten_is_not_in_the_store_any_more() {
    let store = Limited::new();
    let deduper = store.restart(Dedupe { max_entries: 2, ..limits() });
    for number in 1..=3 {
        call(&deduper, number, || Void).await;
    }
    deduper.stored.as_ref().unwrap().writer.flushed().await;
    assert_eq!([1, 2, 3].map(|number| store.kind(number)), [None, Some(1), Some(1)]);
    // With less room, and then without any time.
    let deduper = store.restart(Dedupe { max_entries: 1, ..limits() });
    deduper.stored.as_ref().unwrap().writer.flushed().await;
    assert_eq!([2, 3].map(|number| store.kind(number)), [None, Some(1)]);
    let deduper = store.restart(Dedupe { window: Duration::ZERO, ..limits() });
    deduper.stored.as_ref().unwrap().writer.flushed().await;
    assert_eq!((store.kind(3), deduper.statistics().entries), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn the_store_forgets_what_nobody_asks_for() {
    let store = Limited::new();
    call(&store.restart(limits()), 1, || Void).await;
    // Also what a server before this one took.
    let deduper = store.restart(limits());
    tokio::time::sleep(WINDOW + WINDOW / 2).await;
    deduper.stored.as_ref().unwrap().writer.flushed().await;
    assert_eq!((store.kind(1), deduper.statistics().entries), (None, 0));
}

#[tokio::test]
async fn what_cannot_be_stored_does_not_run() {
    let store = Limited::new();
    let deduper = store.restart(limits());
    store.left.store(0, Ordering::SeqCst);
    let refused = Error(NOT_STORED.into());
    assert_eq!(call(&deduper, 1, || panic!("it runs")).await, refused);
    // Who repeated it meanwhile gets the same, and it is as if it had never come.
    let mut ticket = run(&deduper, 2);
    let Claim::Wait(waiter) = deduper.claim(key(2)) else { panic!("it is known") };
    let method = ticket.durable(async { panic!("it runs") }.boxed());
    assert!(matches!(method.await, Dispatched::Done(outcome) if outcome == refused));
    assert_eq!(waiter.outcome().await, refused);
    drop(ticket);
    deduper.stored.as_ref().unwrap().writer.flushed().await;
    store.left.store(usize::MAX, Ordering::SeqCst);
    for number in [1, 2] {
        assert_eq!(call(&deduper, number, || Void).await, Void);
    }
}

#[tokio::test]
async fn a_completion_that_cannot_be_stored_is_answered_and_not_known_later() {
    let store = Limited::new();
    let deduper = store.restart(limits());
    store.left.store(1, Ordering::SeqCst);
    assert_eq!(call(&deduper, 1, || value(1)).await, value(1));
    assert_eq!(done(&deduper, 1), value(1));
    store.left.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(done(&store.restart(limits()), 1), Error(RESTARTED.into()));
}

#[tokio::test]
async fn a_call_that_was_dropped_or_taken_back_does_not_run_after_a_restart() {
    let store = Limited::new();
    let deduper = store.restart(limits());
    deduper.withdraw(key(1), Error("canceled".into()));
    let mut ticket = run(&deduper, 2);
    drop((ticket.durable(std::future::pending().boxed()), ticket));
    deduper.idle().await;
    for deduper in [&deduper, &store.restart(limits())] {
        assert_eq!(done(deduper, 1), Error("canceled".into()));
        assert!(matches!(done(deduper, 2), Error(text) if text.contains("interrupted")));
    }
}
