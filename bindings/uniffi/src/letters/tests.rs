//! What holds a connection back, and what ends it.
#![allow(clippy::unwrap_used)]

use std::future::poll_fn;

use bytes::Bytes;
use hubwire::protocol::Encoding;

use super::*;
use crate::failure::ErrorKind as Kind;

const MIB: usize = 1 << 20;

fn letters() -> (Letters, Arc<Shared>, Arc<Inbox>) {
    let (inbox, shared) = (Arc::<Inbox>::default(), Arc::<Shared>::default());
    inbox.join();
    (Letters::new(inbox.clone(), shared.clone(), 1), shared, inbox)
}

/// A message of that many bytes, about; whether it was taken.
fn gives(letters: &mut Letters, bytes: usize) -> bool {
    let arguments = Bytes::from(format!("[\"{}\"]", "x".repeat(bytes)));
    let arguments = Payload::from_encoder(Encoding::Json, arguments);
    let notice = Raw::Invocation { target: "event".into(), arguments, reply: None, delivery: None };
    letters.notice(notice).is_none()
}

fn fill(letters: &mut Letters) -> usize {
    (0..).take_while(|_| gives(letters, MIB)).count()
}

/// The calls that failed, and nothing else that was told.
async fn failed(letters: &mut Letters, inbox: &Inbox) -> Vec<(u64, Kind)> {
    letters.flush();
    let notices = inbox.take().await.unwrap().into_iter().flat_map(|batch| batch.notices);
    let failed = notices.filter_map(|notice| match notice {
        Notice::Failed { call, fault } => Some((call, fault.kind)),
        _ => None,
    });
    failed.collect()
}

async fn has_room_within(letters: &mut Letters, time: Duration) -> bool {
    tokio::time::timeout(time, poll_fn(|cx| letters.poll_room(cx))).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn messages_are_held_back_until_they_are_released() {
    let (mut letters, shared, _) = letters();
    assert_eq!(fill(&mut letters), LIMIT / MIB);
    assert!(!has_room_within(&mut letters, Duration::from_secs(3_600)).await);
    shared.release(2 * MIB);
    assert!(has_room_within(&mut letters, Duration::ZERO).await);
    assert!(gives(&mut letters, MIB));
}

/// A handler may wait for a call, and nothing is released before it ends.
#[tokio::test(start_paused = true)]
async fn what_a_call_waits_behind_is_read() {
    let (mut letters, shared, _) = letters();
    shared.begin_call(7);
    assert_eq!(fill(&mut letters), HARD_LIMIT / MIB);
    letters.add(Raw::Completed(CallId(7), Ok(None)));
    shared.release(HARD_LIMIT - LIMIT);
    assert!(!gives(&mut letters, 1), "no call waits, and there is as much as without");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_begins_later_lets_the_connection_read() {
    let (mut letters, shared, _) = letters();
    fill(&mut letters);
    let wait = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        shared.begin_call(7);
    };
    let (has_room, ()) = tokio::join!(has_room_within(&mut letters, Duration::from_secs(2)), wait);
    assert!(has_room);
}

#[tokio::test(start_paused = true)]
async fn calls_fail_when_nothing_gets_on() {
    let (mut letters, shared, inbox) = letters();
    shared.begin_call(8);
    shared.begin_call(7);
    fill(&mut letters);
    assert_eq!(failed(&mut letters, &inbox).await, []);
    // Slow is not stuck.
    for _ in 0..10 {
        assert!(!has_room_within(&mut letters, PATIENCE * 9 / 10).await);
        shared.release(1);
    }
    assert!(!has_room_within(&mut letters, PATIENCE * 11 / 10).await);
    assert_eq!(failed(&mut letters, &inbox).await, [(7, Kind::Overflow), (8, Kind::Overflow)]);
    // They are over, and the next one has its time.
    shared.begin_call(9);
    assert!(!has_room_within(&mut letters, PATIENCE * 9 / 10).await);
    gives(&mut letters, 1);
    shared.release(2 * HARD_LIMIT);
    assert!(has_room_within(&mut letters, Duration::ZERO).await);
}
