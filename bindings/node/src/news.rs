//! How JavaScript reads what happened: flat lists, in which each piece of news begins with the number of the connection and its
//! kind. `js/courier.ts` is the other side.
//!
//! | kind | then |
//! |---|---|
//! | 0 | target, arguments: an invocation that wants nothing |
//! | 1 | target, arguments, reply + 1, delivery + 1; 0 where there is none |
//! | 2 | call: completed without a value |
//! | 3 | call, value |
//! | 4 | call, kind of the error, text |
//! | 5 | call, item |
//! | 6 | name, number: something with an id |
//! | 7 | name, object: everything else |
//! | 8 | nothing: what one event came to is over. The connection is 0 |

use std::time::Duration;

use hubwire::client::{
    Cause, ConnectionState, GapSource, Grade, Metrics, OutboxProgress, Quality, RetryContext,
};
use hubwire::raw::{FIRST_RESTORED, Notice};
use hubwire::{ConnectionEvent, Error, StateChange};
use serde::Serialize;

use crate::chunk::Chunk;

/// Milliseconds, with the part of one that clocks have.
fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[derive(Serialize)]
struct Fault<'a> {
    kind: &'static str,
    text: &'a str,
}

impl<'a> Fault<'a> {
    fn of(error: &'a Error) -> Self {
        Self { kind: error.kind().name(), text: error.detail() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outbox {
    depth: usize,
    bytes: usize,
    oldest_age: Option<f64>,
}

impl Outbox {
    fn of(progress: &OutboxProgress) -> Self {
        let OutboxProgress { depth, bytes, oldest_age, .. } = *progress;
        Self { depth, bytes, oldest_age: oldest_age.map(millis) }
    }
}

#[derive(Serialize)]
struct QualityNews {
    grade: &'static str,
    rtt: Option<f64>,
    jitter: f64,
}

impl QualityNews {
    fn of(quality: &Quality) -> Self {
        let grade = match quality.grade {
            Grade::Good => "good",
            Grade::Fair => "fair",
            Grade::Poor => "poor",
            Grade::Lost => "lost",
        };
        Self { grade, rtt: quality.rtt.map(millis), jitter: millis(quality.jitter) }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum CauseNews<'a> {
    Requested,
    Established { connection_id: Option<&'a str>, previous_connection_id: Option<&'a str> },
    ServerClosed { allow_reconnect: bool },
    Failed { error: Fault<'a> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Source<'a> {
    Stream { stream: &'a str },
    Object { target: &'a str, key: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum EventNews<'a> {
    RetryScheduled { previous_retry_count: u32, delay: f64, reason: Fault<'a> },
    Resumed,
    OutboxChanged { outbox: Outbox },
    StoreFailed { error: Fault<'a> },
    RejoinFailed { target: &'a str, error: Fault<'a> },
    Gap { source: Source<'a>, error: Fault<'a> },
    QualityChanged { quality: QualityNews },
    TokenRefreshed { error: Option<Fault<'a>> },
}

#[derive(Serialize)]
struct StateNews<'a> {
    state: &'static str,
    cause: CauseNews<'a>,
}

impl<'a> StateNews<'a> {
    fn of(change: &'a StateChange) -> Self {
        let cause = match &change.cause {
            Cause::Established { connection_id, previous_connection_id } => CauseNews::Established {
                connection_id: connection_id.as_deref(),
                previous_connection_id: previous_connection_id.as_deref(),
            },
            Cause::ServerClosed { allow_reconnect } => {
                CauseNews::ServerClosed { allow_reconnect: *allow_reconnect }
            }
            Cause::Failed(error) => CauseNews::Failed { error: Fault::of(error) },
            _ => CauseNews::Requested,
        };
        Self { state: ConnectionState::name(change.to), cause }
    }
}

#[derive(Serialize)]
struct NotStarted<'a> {
    ticket: u64,
    error: Fault<'a>,
}

#[derive(Serialize)]
struct Restored<'a> {
    call: i64,
    target: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    request: u64,
    previous_retry_count: u32,
    elapsed: f64,
    reason: Fault<'a>,
    /// The change of the state that waits for the answer.
    change: Option<StateNews<'a>>,
}

/// The answer to a question of JavaScript.
#[derive(Serialize)]
struct Answer<T> {
    question: u64,
    value: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricsNews {
    connections: u64,
    reconnections: u64,
    resumes: u64,
    retries: u64,
    messages_sent: u64,
    messages_received: u64,
    duplicates_dropped: u64,
    gaps: u64,
    acknowledged: u64,
    nacked: u64,
    malformed: u64,
    recoveries: u64,
    snapshots: u64,
    connect_latency: Option<f64>,
    outbox: Outbox,
    quality: QualityNews,
}

/// The answer to a question for metrics.
pub(crate) fn metrics(chunk: &mut Chunk, connection: u32, question: u64, metrics: &Metrics) {
    let value = MetricsNews {
        connections: metrics.connections,
        reconnections: metrics.reconnections,
        resumes: metrics.resumes,
        retries: metrics.retries,
        messages_sent: metrics.messages_sent,
        messages_received: metrics.messages_received,
        duplicates_dropped: metrics.duplicates_dropped,
        gaps: metrics.gaps,
        acknowledged: metrics.acknowledged,
        nacked: metrics.nacked,
        malformed: metrics.malformed,
        recoveries: metrics.recoveries,
        snapshots: metrics.snapshots,
        connect_latency: metrics.connect_latency.map(millis),
        outbox: Outbox::of(&metrics.outbox),
        quality: QualityNews::of(&metrics.quality),
    };
    object(chunk, connection, "answer", &Answer { question, value });
}

/// The answer to a question for positions.
pub(crate) fn positions(chunk: &mut Chunk, connection: u32, question: u64, positions: &[String]) {
    object(chunk, connection, "answer", &Answer { question, value: positions });
}

/// Ids of calls of the store, which are below zero in JavaScript.
fn call_number(call: u64) -> i64 {
    match call.checked_sub(FIRST_RESTORED) {
        Some(index) => -1 - i64::try_from(index).unwrap_or(i64::MAX - 1),
        None => i64::try_from(call).unwrap_or(i64::MAX),
    }
}

fn head(chunk: &mut Chunk, connection: u32, kind: u8) {
    chunk.number(connection.into());
    chunk.number(kind.into());
}

fn call_head(chunk: &mut Chunk, connection: u32, kind: u8, call: u64) {
    head(chunk, connection, kind);
    chunk.value(&call_number(call));
}

/// Something with an id.
pub(crate) fn plain(chunk: &mut Chunk, connection: u32, name: &str, number: u64) {
    head(chunk, connection, 6);
    chunk.text(name);
    chunk.value(&call_number(number));
}

fn object(chunk: &mut Chunk, connection: u32, name: &str, value: &impl Serialize) {
    head(chunk, connection, 7);
    chunk.text(name);
    chunk.value(value);
}

/// Whether promises wait for it.
pub(crate) const fn is_awaited(notice: &Notice) -> bool {
    matches!(notice, Notice::Completed(..) | Notice::State(_))
}

/// Whether it is one of many: a message or an item, for which nobody waits in particular.
pub(crate) const fn is_one_of_many(notice: &Notice) -> bool {
    matches!(notice, Notice::Invocation { reply: None, .. } | Notice::Item(..))
}

/// What was written since the last of these belongs together; code that waits for a promise of it runs before what follows.
pub(crate) fn end_of_turn(chunk: &mut Chunk) {
    head(chunk, 0, 8);
}

/// Writes what happened on a connection.
pub(crate) fn write(chunk: &mut Chunk, connection: u32, notice: Notice) {
    match notice {
        Notice::Invocation { target, arguments, reply: None, delivery: None } => {
            head(chunk, connection, 0);
            chunk.text(&target);
            chunk.payload(&arguments);
        }
        Notice::Invocation { target, arguments, reply, delivery } => {
            head(chunk, connection, 1);
            chunk.text(&target);
            chunk.payload(&arguments);
            chunk.number(reply.map_or(0, |reply| reply.get() + 1));
            chunk.number(delivery.map_or(0, |delivery| delivery.get() + 1));
        }
        Notice::Completed(call, Ok(None)) => call_head(chunk, connection, 2, call.0),
        Notice::Completed(call, Ok(Some(value))) => {
            call_head(chunk, connection, 3, call.0);
            chunk.payload(&value);
        }
        Notice::Completed(call, Err(error)) => {
            call_head(chunk, connection, 4, call.0);
            chunk.text(error.kind().name());
            chunk.text(error.detail());
        }
        Notice::Item(call, item) => {
            call_head(chunk, connection, 5, call.0);
            chunk.payload(&item);
        }
        Notice::InvocationCancelled(reply) => plain(chunk, connection, "invocationCancelled", reply.get()),
        Notice::Queued(call) => plain(chunk, connection, "queued", call.0),
        Notice::UploadStarted(upload) => plain(chunk, connection, "uploadStarted", upload.0),
        Notice::UploadStopped(upload) => plain(chunk, connection, "uploadStopped", upload.0),
        Notice::Room => plain(chunk, connection, "room", 0),
        Notice::Stopped => plain(chunk, connection, "stopped", 0),
        Notice::NotStarted(ticket, error) => {
            object(chunk, connection, "notStarted", &NotStarted { ticket, error: Fault::of(&error) });
        }
        Notice::Restored(calls) => {
            let calls = calls.iter().map(|(call, target)| Restored { call: call_number(call.0), target });
            let calls: Vec<Restored<'_>> = calls.collect();
            object(chunk, connection, "restored", &calls);
        }
        Notice::Retry { request, context, change } => {
            let RetryContext { previous_retry_count, elapsed, reason, .. } = context;
            let (elapsed, reason) = (millis(elapsed), Fault::of(&reason));
            let change = change.as_ref().map(StateNews::of);
            let question = Question { request: request.get(), previous_retry_count, elapsed, reason, change };
            object(chunk, connection, "retry", &question);
        }
        Notice::State(change) => object(chunk, connection, "state", &StateNews::of(&change)),
        Notice::Event(event) => self::event(chunk, connection, &event),
        _ => {}
    }
}

fn event(chunk: &mut Chunk, connection: u32, event: &ConnectionEvent) {
    let news = match event {
        ConnectionEvent::RetryScheduled { previous_retry_count, delay, reason } => {
            EventNews::RetryScheduled {
                previous_retry_count: *previous_retry_count,
                delay: millis(*delay),
                reason: Fault::of(reason),
            }
        }
        ConnectionEvent::Resumed => EventNews::Resumed,
        ConnectionEvent::OutboxChanged(progress) => EventNews::OutboxChanged { outbox: Outbox::of(progress) },
        ConnectionEvent::StoreFailed(error) => EventNews::StoreFailed { error: Fault::of(error) },
        ConnectionEvent::RejoinFailed { target, error } => {
            EventNews::RejoinFailed { target, error: Fault::of(error) }
        }
        ConnectionEvent::Gap { source, error } => {
            let source = match source {
                GapSource::Stream(stream) => Source::Stream { stream },
                GapSource::Object { target, key } => Source::Object { target, key },
            };
            EventNews::Gap { source, error: Fault::of(error) }
        }
        ConnectionEvent::QualityChanged(quality) => {
            EventNews::QualityChanged { quality: QualityNews::of(quality) }
        }
        ConnectionEvent::TokenRefreshed(result) => {
            EventNews::TokenRefreshed { error: result.as_ref().err().map(Fault::of) }
        }
        // The core has events that this version does not know.
        _ => return,
    };
    object(chunk, connection, "event", &news);
}
