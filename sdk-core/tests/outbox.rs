//! Calls without a connection, and calls whose connection is lost, in virtual time.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use hubwire::client::{
    BatchId, CallId, CallKind, CallOptions, CallRequest, Client, Command, Config, ConnectionState, Event,
    FullPolicy, Input, JoinRule, Misuse, OutboxConfig, Output, Priority, RequestFailure, RetryPolicy,
    Sequence, StoreOp, StoredCall, UploadId,
};
use hubwire::protocol::{
    Close, Completion, HandshakeResponse, HubMessage, Invocation, NegotiateResponse, Negotiated, Outcome,
    Transport,
};
use hubwire::{Error, ErrorKind, Time};
use support::*;

const SECOND: Duration = Duration::from_secs(1);

fn queueing() -> Config {
    let mut config = config();
    config.has_token_factory = false;
    config.retry = RetryPolicy::table(vec![Duration::ZERO; 100]);
    config.outbox = OutboxConfig::default();
    config
}

fn storing() -> Config {
    let mut config = queueing();
    config.has_store = true;
    config
}

fn connect(bench: &mut Bench) -> Vec<Output<Number>> {
    connect_to(bench, false)
}

/// From the start or the negotiation to the handshake.
fn connect_to(bench: &mut Bench, stateful: bool) -> Vec<Output<Number>> {
    if bench.state() == ConnectionState::Disconnected {
        bench.command(Command::Start);
    }
    let NegotiateResponse::Accepted(accepted) = negotiated(&[Transport::WebSockets]) else { panic!() };
    let accepted = Negotiated { stateful_reconnect: stateful, ..accepted };
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(NegotiateResponse::Accepted(accepted))));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())))
}

fn lose(bench: &mut Bench) -> Vec<Output<Number>> {
    bench.give(Input::Closed(bench.link.unwrap(), Err(RequestFailure::Network("cut".into()))))
}

/// A call with options; its argument is its number.
fn with(kind: CallKind, number: u64, options: CallOptions) -> Command<Number> {
    Command::Call(CallRequest {
        options,
        ..CallRequest::new(CallId(number), kind, "M", number.try_into().unwrap())
    })
}

fn options() -> CallOptions {
    CallOptions::default()
}

fn invoke(number: u64) -> Command<Number> {
    with(CallKind::Invoke, number, options())
}

fn durable(number: u64) -> Command<Number> {
    with(CallKind::Invoke, number, CallOptions { durable: true, ..options() })
}

/// The arguments of the calls that were sent.
fn sent(outputs: &[Output<Number>]) -> Vec<Number> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Transmit(_, HubMessage::Invocation(Invocation { call, .. })) => Some(call.arguments),
            Output::Transmit(_, HubMessage::StreamInvocation(message)) => Some(message.call.arguments),
            _ => None,
        })
        .collect()
}

/// The id on the wire of the call with that argument.
fn wire_id(outputs: &[Output<Number>], number: Number) -> String {
    let id = outputs.iter().find_map(|output| match output {
        Output::Transmit(_, HubMessage::Invocation(Invocation { invocation_id: Some(id), call }))
            if call.arguments == number =>
        {
            Some(id.to_string())
        }
        _ => None,
    });
    id.unwrap_or_else(|| panic!("{number} was not sent with an id: {outputs:?}"))
}

fn complete(bench: &mut Bench, id: &str) -> Vec<Output<Number>> {
    bench.message(HubMessage::Completion(Completion::new(id.to_owned(), Outcome::Value(1))))
}

/// The calls that ended, and how.
fn ended(outputs: &[Output<Number>]) -> Vec<(u64, Option<ErrorKind>)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Event(Event::Completed { call, result }) => {
                Some((call.0, result.as_ref().err().map(Error::kind)))
            }
            _ => None,
        })
        .collect()
}

fn batch(outputs: &[Output<Number>]) -> Option<(BatchId, Vec<StoreOp<Number>>)> {
    outputs.iter().find_map(|output| match output {
        Output::Store(batch, ops) => Some((*batch, ops.clone())),
        _ => None,
    })
}

/// What the store is asked to do, in short.
fn ops(outputs: &[Output<Number>]) -> Vec<String> {
    let ops = batch(outputs).map(|(_, ops)| ops).unwrap_or_default();
    ops.iter()
        .map(|op| match op {
            StoreOp::Put(sequence, call) => format!("put {} = {}", sequence.0, call.arguments),
            StoreOp::Delete(sequence) => format!("delete {}", sequence.0),
        })
        .collect()
}

fn stored(bench: &mut Bench, outputs: &[Output<Number>]) -> Vec<Output<Number>> {
    let (batch, _) = batch(outputs).unwrap_or_else(|| panic!("nothing to store in {outputs:?}"));
    bench.give(Input::Stored(batch, Ok(())))
}

#[test]
fn calls_wait_for_the_first_connection_and_leave_in_order() {
    let mut bench = Bench::new(queueing());
    for number in 1..=3 {
        assert_eq!(describe(&bench.command(invoke(number))), "queued");
    }
    assert_eq!(describe(&bench.command(with(CallKind::Send, 4, options()))), "queued");
    assert_eq!(describe(&bench.command(with(CallKind::Stream, 5, options()))), "queued");
    assert_eq!(bench.client.metrics().outbox.depth, 5);
    let outputs = connect(&mut bench);
    assert_eq!(
        describe(&outputs),
        "transmit-6 Connected transmit-1 transmit-1 transmit-1 transmit-1 completed transmit-4"
    );
    assert_eq!(sent(&outputs), [1, 2, 3, 4, 5]);
    assert_eq!(bench.client.metrics().outbox.depth, 0);
    let told: Vec<_> =
        bench.reports.iter().filter(|event| matches!(event, Event::OutboxChanged(_))).collect();
    assert_eq!(told.len(), 6, "each call in, and all out at once");
}

/// The table of `client`'s documentation, row by row: what happens to each kind of call in flight.
#[test]
fn calls_in_flight_when_the_connection_is_lost() {
    let calls = |bench: &mut Bench| {
        let mut outputs = Vec::new();
        let repeated = CallOptions { idempotent: true, ..options() };
        outputs.extend(bench.command(with(CallKind::Send, 1, options())));
        outputs.extend(bench.command(with(CallKind::Send, 2, repeated.clone())));
        outputs.extend(bench.command(invoke(3)));
        outputs.extend(bench.command(with(CallKind::Invoke, 4, repeated)));
        outputs.extend(bench.command(with(CallKind::Stream, 5, options())));
        outputs.extend(bench.command(call(CallKind::Invoke, 6, 6, vec![UploadId(1)])));
        assert_eq!(sent(&outputs), [1, 2, 3, 4, 5, 6]);
        assert_eq!(ended(&outputs), [(1, None)], "a plain send is over when it was handed to the transport");
    };
    let unknown = Some(ErrorKind::OutcomeUnknown);

    // A plain server: what is idempotent is made again, in order, before what came later.
    let mut bench = Bench::new(queueing());
    connect(&mut bench);
    calls(&mut bench);
    let outputs = lose(&mut bench);
    assert_eq!(ended(&outputs), [(3, unknown), (5, Some(ErrorKind::Network)), (6, unknown)]);
    assert!(outputs.contains(&Output::Event(Event::UploadStopped(UploadId(1)))));
    bench.command(invoke(7));
    let outputs = connect(&mut bench);
    assert_eq!(sent(&outputs), [2, 4, 7]);
    let id = wire_id(&outputs, 2);
    assert_eq!(ended(&complete(&mut bench, &id)), [(2, None)]);
    assert!(ended(&complete(&mut bench, &id)).is_empty(), "each ends once");

    // Stateful reconnect: nothing ends, everything arrives once.
    let mut config = queueing();
    config.stateful_reconnect = Some(100_000);
    let mut bench = Bench::new(config.clone());
    connect_to(&mut bench, true);
    calls(&mut bench);
    assert!(ended(&lose(&mut bench)).is_empty());
    assert!(ended(&bench.command(invoke(7))).is_empty());
    let outputs = bench.give(Input::Opened(bench.link.unwrap()));
    assert_eq!(sent(&outputs), [1, 2, 3, 4, 5, 6, 7], "replayed by count");

    // … and where it cannot be resumed, as with a plain server.
    let mut bench = Bench::new(config);
    connect_to(&mut bench, true);
    calls(&mut bench);
    lose(&mut bench);
    let outputs = lose(&mut bench);
    assert_eq!(ended(&outputs), [(3, unknown), (5, Some(ErrorKind::Network)), (6, unknown)]);
    assert_eq!(sent(&connect_to(&mut bench, true)), [2, 4]);

    // No further connection: nobody makes anything again.
    let mut bench = Bench::new(queueing());
    connect(&mut bench);
    calls(&mut bench);
    let outputs = bench.command(Command::Stop);
    let mut all = ended(&outputs);
    all.sort_unstable();
    assert_eq!(all, [(2, unknown), (3, unknown), (4, unknown), (5, Some(ErrorKind::Network)), (6, unknown)]);
}

#[test]
fn what_waits_when_there_will_be_no_connection_ends_with_the_reason() {
    let mut bench = Bench::new(queueing());
    bench.command(Command::Start);
    bench.command(invoke(1));
    assert_eq!(ended(&bench.command(Command::Stop)), [(1, Some(ErrorKind::Cancelled))]);
    bench.command(Command::Start);
    bench.command(invoke(2));
    let refused = RequestFailure::Status { code: 404, text: "Not Found".into(), retry_after: None };
    let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Err(refused)));
    assert_eq!(ended(&outputs), [(2, Some(ErrorKind::Refused))]);
    // Before the next start, calls wait again.
    assert_eq!(describe(&bench.command(invoke(3))), "queued");
    assert_eq!(sent(&connect(&mut bench)), [3]);
}

#[test]
fn a_call_that_is_made_while_the_connection_closes_waits_for_the_next() {
    for in_order in [true, false] {
        let mut bench = Bench::new(queueing());
        connect(&mut bench);
        bench.command(Command::Stop);
        assert_eq!(describe(&bench.command(invoke(1))), "queued");
        let outputs = match in_order {
            true => bench.give(Input::Closed(bench.link.unwrap(), Ok(()))),
            false => bench.pass(5 * SECOND),
        };
        assert!(ended(&outputs).is_empty(), "{outputs:?}");
        assert_eq!(bench.state(), ConnectionState::Disconnected);
        assert_eq!(sent(&connect(&mut bench)), [1]);
    }
}

#[test]
fn a_call_that_shall_not_wait_fails_at_once() {
    let mut bench = Bench::new(queueing());
    let outputs = bench.command(with(CallKind::Invoke, 1, CallOptions { queue: false, ..options() }));
    let text = "Cannot send data if the connection is not in the 'Connected' State.";
    let error = Error::new(ErrorKind::Misuse, text);
    assert_eq!(outputs, [Output::Event(Event::Completed { call: CallId(1), result: Err(error) })]);
    connect(&mut bench);
    let outputs = bench.command(with(CallKind::Invoke, 1, CallOptions { queue: false, ..options() }));
    assert_eq!(sent(&outputs), [1]);
}

#[test]
fn priority_comes_before_age() {
    let mut bench = Bench::new(queueing());
    let priorities = [
        Priority::Normal,
        Priority::Low,
        Priority::Critical,
        Priority::Normal,
        Priority::High,
        Priority::Critical,
    ];
    for (number, priority) in (1..).zip(priorities) {
        bench.command(with(CallKind::Invoke, number, CallOptions { priority, ..options() }));
    }
    assert_eq!(sent(&connect(&mut bench)), [3, 6, 5, 1, 4, 2]);
}

#[test]
fn a_newer_call_with_the_same_key_takes_the_place_of_the_older() {
    let mut bench = Bench::new(queueing());
    let keyed = |number, key: &'static str| {
        with(CallKind::Invoke, number, CallOptions { supersede_key: Some(key.into()), ..options() })
    };
    bench.command(keyed(1, "typing"));
    bench.command(invoke(2));
    bench.command(keyed(3, "position"));
    assert_eq!(ended(&bench.command(keyed(4, "typing"))), [(1, Some(ErrorKind::Cancelled))]);
    assert_eq!(ended(&bench.command(keyed(5, "typing"))), [(4, Some(ErrorKind::Cancelled))]);
    assert_eq!(sent(&connect(&mut bench)), [5, 2, 3]);
    // What is in flight is not taken back.
    assert!(ended(&bench.command(keyed(6, "typing"))).is_empty());
}

#[test]
fn a_full_outbox_gives_up_what_its_policy_says() {
    let limited = |when_full, max_items, max_bytes| {
        let mut config = queueing();
        config.outbox.when_full = when_full;
        config.outbox.max_items = max_items;
        config.outbox.max_bytes = max_bytes;
        Bench::new(config)
    };
    let prioritised =
        |number, priority| with(CallKind::Invoke, number, CallOptions { priority, ..options() });
    let overflow = Some(ErrorKind::Overflow);

    let mut bench = limited(FullPolicy::Reject, 2, 10_000);
    bench.command(invoke(1));
    bench.command(invoke(2));
    assert_eq!(ended(&bench.command(invoke(3))), [(3, overflow)]);
    assert_eq!(sent(&connect(&mut bench)), [1, 2]);

    let mut bench = limited(FullPolicy::DropOldest, 3, 10_000);
    bench.command(prioritised(1, Priority::High));
    bench.command(invoke(2));
    bench.command(invoke(3));
    assert_eq!(ended(&bench.command(invoke(4))), [(2, overflow)]);
    assert_eq!(ended(&bench.command(prioritised(5, Priority::Low))), [(5, overflow)], "not for a lower one");
    assert_eq!(ended(&bench.command(prioritised(6, Priority::Critical))), [(3, overflow)]);
    assert_eq!(sent(&connect(&mut bench)), [6, 1, 4]);

    let mut bench = limited(FullPolicy::DropNewest, 3, 10_000);
    for number in 1..=3 {
        bench.command(invoke(number));
    }
    assert_eq!(ended(&bench.command(invoke(4))), [(3, overflow)]);
    assert_eq!(sent(&connect(&mut bench)), [1, 2, 4]);

    // By bytes: a call takes its payload, its target and 64 for the rest.
    let mut bench = limited(FullPolicy::DropOldest, 100, 3 * 69);
    for number in 1..=3 {
        assert!(ended(&bench.command(invoke(number))).is_empty());
    }
    assert_eq!(bench.client.metrics().outbox.bytes, 3 * 69);
    assert_eq!(ended(&bench.command(invoke(4))), [(1, overflow)]);
    let mut bench = limited(FullPolicy::DropOldest, 100, 68);
    assert_eq!(ended(&bench.command(invoke(1))), [(1, overflow)], "never fits");

    // Superseding needs no room but the difference.
    let mut bench = limited(FullPolicy::Reject, 1, 10_000);
    let keyed =
        |number| with(CallKind::Invoke, number, CallOptions { supersede_key: Some("k".into()), ..options() });
    bench.command(keyed(1));
    assert_eq!(ended(&bench.command(keyed(2))), [(1, Some(ErrorKind::Cancelled))]);
}

#[test]
fn calls_expire_in_the_queue_and_time_out_anywhere() {
    let timeout = Some(ErrorKind::Timeout);
    let mut bench = Bench::new(queueing());
    let expiring = CallOptions { expires_after: Some(5 * SECOND), ..options() };
    let limited = CallOptions { timeout: Some(8 * SECOND), ..options() };
    bench.command(with(CallKind::Invoke, 1, expiring.clone()));
    bench.command(with(CallKind::Invoke, 2, limited.clone()));
    bench.command(invoke(3));
    assert!(bench.pass(Duration::from_millis(4_999)).is_empty());
    assert_eq!(ended(&bench.pass(Duration::from_millis(1))), [(1, timeout)]);
    assert_eq!(ended(&bench.pass(3 * SECOND)), [(2, timeout)]);
    assert_eq!(bench.wait, None);
    // Once sent it does not expire, but it times out, and the server is told.
    connect(&mut bench);
    bench.command(with(CallKind::Invoke, 4, expiring));
    bench.command(with(CallKind::Invoke, 5, limited));
    assert!(ended(&bench.pass(7 * SECOND)).is_empty());
    let outputs = bench.pass(SECOND);
    assert_eq!(describe(&outputs), "transmit-5 Timeout");
    assert_eq!(ended(&outputs), [(5, timeout)]);
    // One that may have reached the server before is not said to be unsent.
    bench.message(HubMessage::Ping);
    let options = CallOptions { idempotent: true, expires_after: Some(5 * SECOND), ..options() };
    bench.command(with(CallKind::Invoke, 6, options));
    lose(&mut bench);
    bench.pass(Duration::ZERO);
    let outputs = bench.pass(5 * SECOND);
    assert!(ended(&outputs).contains(&(6, Some(ErrorKind::OutcomeUnknown))), "{outputs:?}");
}

#[test]
fn a_timeout_for_all_calls_leaves_streams_alone() {
    let mut config = queueing();
    config.call_timeout = Some(10 * SECOND);
    let mut bench = Bench::new(config);
    connect(&mut bench);
    bench.command(invoke(1));
    bench.command(with(CallKind::Stream, 2, options()));
    bench.command(with(CallKind::Invoke, 3, CallOptions { timeout: Some(12 * SECOND), ..options() }));
    assert_eq!(ended(&bench.pass(10 * SECOND)), [(1, Some(ErrorKind::Timeout))]);
    bench.message(HubMessage::Ping);
    assert_eq!(ended(&bench.pass(10 * SECOND)), [(3, Some(ErrorKind::Timeout))]);
}

#[test]
fn a_queued_call_can_be_taken_back_and_is_never_sent() {
    let mut bench = Bench::new(queueing());
    bench.command(invoke(1));
    bench.command(call(CallKind::Invoke, 2, 2, vec![UploadId(1)]));
    let in_use = bench.try_give(Input::Command(invoke(1)));
    assert_eq!(in_use, Err(Misuse::CallInUse(CallId(1))));
    let in_use = bench.try_give(Input::Command(call(CallKind::Invoke, 3, 3, vec![UploadId(1)])));
    assert_eq!(in_use, Err(Misuse::UploadInUse(UploadId(1))));
    assert_eq!(ended(&bench.command(Command::Cancel(CallId(1)))), [(1, Some(ErrorKind::Cancelled))]);
    let outputs = bench.command(Command::Cancel(CallId(2)));
    assert!(outputs.contains(&Output::Event(Event::UploadStopped(UploadId(1)))));
    assert!(bench.command(Command::Cancel(CallId(2))).is_empty());
    assert!(sent(&connect(&mut bench)).is_empty());
    assert_eq!(bench.client.metrics().outbox, Default::default());
}

#[test]
fn uploads_start_when_their_call_is_sent() {
    let mut bench = Bench::new(queueing());
    assert_eq!(describe(&bench.command(call(CallKind::Invoke, 1, 1, vec![UploadId(1)]))), "queued");
    let outputs = connect(&mut bench);
    assert!(describe(&outputs).ends_with("transmit-1 upload"), "{}", describe(&outputs));
}

#[test]
fn progress_tells_depth_bytes_and_age() {
    let mut bench = Bench::new(queueing());
    bench.command(invoke(1));
    bench.pass(3 * SECOND);
    bench.command(invoke(2));
    let progress = bench.client.metrics().outbox;
    assert_eq!((progress.depth, progress.bytes, progress.oldest_age), (2, 2 * 69, Some(3 * SECOND)));
    bench.command(Command::Cancel(CallId(1)));
    assert_eq!(bench.client.metrics().outbox.oldest_age, Some(Duration::ZERO));
}

#[test]
fn the_queue_is_emptied_a_window_at_a_time() {
    let mut config = queueing();
    config.outbox.window = 4;
    let mut bench = Bench::new(config);
    for number in 1..=10 {
        bench.command(invoke(number));
    }
    let outputs = connect(&mut bench);
    assert_eq!(sent(&outputs), [1, 2, 3, 4]);
    // What is made now comes behind what waits.
    assert!(sent(&bench.command(invoke(11))).is_empty());
    let mut order = Vec::new();
    for id in 0..7 {
        order.extend(sent(&complete(&mut bench, &id.to_string())));
    }
    assert_eq!(order, [5, 6, 7, 8, 9, 10, 11]);
    // With the queue empty, calls go out at once, whatever is in flight.
    assert_eq!(sent(&bench.command(invoke(12))), [12]);
}

#[test]
fn joined_groups_are_joined_again_before_what_waits() {
    let mut config = queueing();
    config.joins = vec![JoinRule::new("Join", "Leave"), JoinRule { join: "Subscribe".into(), leave: None }];
    let mut bench = Bench::new(config);
    let mut next = 0;
    let mut call = |bench: &mut Bench, target: &'static str, argument: Number| {
        next += 1;
        let request = CallRequest::new(CallId(next), CallKind::Invoke, target, argument);
        bench.command(Command::Call(request))
    };
    connect(&mut bench);
    for (target, argument) in [("Join", 1), ("join", 2), ("Subscribe", 3), ("Join", 4), ("Join", 5)] {
        let outputs = call(&mut bench, target, argument);
        let id = wire_id(&outputs, argument);
        // The server refuses one of them.
        let outcome = if argument == 4 { Outcome::Error("no".into()) } else { Outcome::Void };
        bench.message(HubMessage::Completion(Completion::new(id, outcome)));
    }
    let outputs = call(&mut bench, "Join", 1);
    complete(&mut bench, &wire_id(&outputs, 1));
    call(&mut bench, "LEAVE", 2);
    // In flight when the connection is lost: made again, once.
    call(&mut bench, "Join", 6);
    lose(&mut bench);
    call(&mut bench, "Other", 7);
    let outputs = connect(&mut bench);
    assert_eq!(sent(&outputs), [3, 5, 1, 6, 7]);
    // The server knows the group no more.
    let refused = Completion::new(wire_id(&outputs, 5), Outcome::Error("gone".into()));
    let outputs = bench.message(HubMessage::Completion(refused));
    let error = Error::new(ErrorKind::Refused, "gone");
    assert_eq!(outputs, [Output::Event(Event::RejoinFailed { target: "Join".into(), error })]);
    bench.pass(10 * SECOND);
    lose(&mut bench);
    assert_eq!(sent(&connect(&mut bench)), [3, 1, 6]);
    // Stopping leaves everything.
    bench.command(Command::Stop);
    bench.give(Input::Closed(bench.link.unwrap(), Ok(())));
    assert!(sent(&connect(&mut bench)).is_empty());
}

#[test]
fn a_durable_call_is_accepted_when_it_is_stored_and_ended_when_it_is_forgotten() {
    let mut bench = Bench::new(storing());
    connect(&mut bench);
    let outputs = bench.command(durable(1));
    assert_eq!(describe(&outputs), "store", "not sent before it is stored");
    assert_eq!(ops(&outputs), ["put 0 = 1"]);
    let outputs = stored(&mut bench, &outputs);
    assert_eq!(describe(&outputs), "queued transmit-1");
    let id = wire_id(&outputs, 1);
    let outputs = complete(&mut bench, &id);
    assert_eq!(describe(&outputs), "store", "not told before it is forgotten");
    assert_eq!(ops(&outputs), ["delete 0"]);
    assert_eq!(bench.try_give(Input::Command(invoke(1))), Err(Misuse::CallInUse(CallId(1))));
    assert_eq!(ended(&stored(&mut bench, &outputs)), [(1, None)]);
}

#[test]
fn changes_are_written_in_batches_one_after_the_other() {
    let mut bench = Bench::new(storing());
    let first = bench.command(durable(1));
    for number in 2..=4 {
        assert!(batch(&bench.command(durable(number))).is_none(), "the store is busy");
    }
    bench.command(Command::Cancel(CallId(3)));
    let second = stored(&mut bench, &first);
    assert_eq!(ops(&second), ["put 1 = 2", "put 2 = 3", "put 3 = 4", "delete 2"]);
    // An answer to another batch is none.
    assert!(bench.give(Input::Stored(batch(&first).unwrap().0, Ok(()))).is_empty());
    let outputs = stored(&mut bench, &second);
    assert_eq!(describe(&outputs), "queued queued Cancelled");
    assert_eq!(sent(&connect(&mut bench)), [1, 2, 4]);
}

#[test]
fn a_store_that_fails_refuses_what_is_new_and_forgets_later() {
    let mut bench = Bench::new(storing());
    connect(&mut bench);
    let outputs = bench.command(durable(1));
    let outputs = stored(&mut bench, &outputs);
    let full = Error::new(ErrorKind::Overflow, "the disk is full");
    // Completed by the server, while another is to be stored.
    let outputs = complete(&mut bench, &wire_id(&outputs, 1));
    bench.command(durable(2));
    let (batch_id, _) = batch(&outputs).unwrap();
    let outputs = bench.give(Input::Stored(batch_id, Err(full.clone())));
    assert!(outputs.contains(&Output::Event(Event::StoreFailed(full.clone()))));
    assert!(ended(&outputs).is_empty(), "what could come back must not be said to be over");
    let outputs = bench.pass(SECOND);
    assert_eq!(ops(&outputs), ["delete 0", "put 1 = 2"]);
    let (batch_id, _) = batch(&outputs).unwrap();
    let outputs = bench.give(Input::Stored(batch_id, Err(full)));
    assert_eq!(ended(&outputs), [(2, Some(ErrorKind::Overflow))]);
    let outputs = bench.pass(SECOND);
    assert_eq!(ops(&outputs), ["delete 0"]);
    assert_eq!(ended(&stored(&mut bench, &outputs)), [(1, None)]);
    assert_eq!(bench.client.metrics().outbox.depth, 0);
}

#[test]
fn what_the_store_held_is_sent_first_and_sequences_go_on() {
    let stored_call = |argument, priority| StoredCall {
        kind: CallKind::Invoke,
        target: "M".into(),
        arguments: argument,
        priority,
        supersede_key: None,
        queued_at: Time::ZERO,
        expires_at: None,
    };
    let restore = |bench: &mut Bench| {
        bench.try_give(Input::Restored {
            next: Sequence(20),
            client_id: "store".into(),
            calls: vec![
                (CallId(101), Sequence(3), stored_call(3, Priority::Normal)),
                (CallId(102), Sequence(7), stored_call(7, Priority::High)),
                (CallId(103), Sequence(9), stored_call(9, Priority::Normal)),
            ],
        })
    };
    let mut bench = Bench::new(storing());
    restore(&mut bench).unwrap();
    let outputs = bench.command(durable(1));
    assert_eq!(ops(&outputs), ["put 20 = 1"]);
    stored(&mut bench, &outputs);
    let outputs = connect(&mut bench);
    assert_eq!(sent(&outputs), [7, 3, 9, 1]);
    let outputs = complete(&mut bench, &wire_id(&outputs, 7));
    assert_eq!(ops(&outputs), ["delete 7"]);
    assert_eq!(ended(&stored(&mut bench, &outputs)), [(102, None)]);
    assert_eq!(restore(&mut bench), Err(Misuse::RestoredLate));
    // One that has expired while the process was away is not sent, but nobody knows whether it was before.
    let mut bench = Bench::new(storing());
    let expired = StoredCall { expires_at: Some(Time::from_millis(10)), ..stored_call(3, Priority::Normal) };
    let outputs = bench.give(Input::Restored {
        next: Sequence(4),
        client_id: String::new(),
        calls: vec![(CallId(101), Sequence(3), expired)],
    });
    assert_eq!(ops(&outputs), ["delete 3"]);
    assert_eq!(ended(&stored(&mut bench, &outputs)), [(101, Some(ErrorKind::OutcomeUnknown))]);
}

#[test]
fn durable_calls_outlive_stopping() {
    let mut bench = Bench::new(storing());
    connect(&mut bench);
    let outputs = bench.command(durable(1));
    stored(&mut bench, &outputs);
    assert!(ended(&bench.command(Command::Stop)).is_empty());
    bench.give(Input::Closed(bench.link.unwrap(), Ok(())));
    assert_eq!(bench.client.metrics().outbox.depth, 1);
    assert_eq!(sent(&connect(&mut bench)), [1]);
}

#[test]
fn what_cannot_be_durable_or_made_again_is_refused() {
    let durable = CallOptions { durable: true, ..options() };
    let repeated = CallOptions { idempotent: true, ..options() };
    let refusal = |config: Config, command: Command<Number>| {
        let outputs = Bench::new(config).command(command);
        match &outputs[..] {
            [.., Output::Event(Event::Completed { result: Err(error), .. })] => {
                assert_eq!(error.kind(), ErrorKind::Misuse);
                error.detail().to_owned()
            }
            _ => panic!("{outputs:?}"),
        }
    };
    assert!(refusal(queueing(), with(CallKind::Invoke, 1, durable.clone())).contains("needs a store"));
    let text = "A call with streams cannot be made again: it can be neither idempotent nor durable.";
    assert_eq!(refusal(storing(), with(CallKind::Stream, 1, durable.clone())), text);
    assert_eq!(refusal(storing(), with(CallKind::Stream, 1, repeated)), text);
    let request = CallRequest::new(CallId(1), CallKind::Invoke, "M", 1);
    let uploading = CallRequest { uploads: vec![UploadId(1)], options: durable.clone(), ..request };
    assert_eq!(refusal(storing(), Command::Call(uploading)), text);
    let mut config = storing();
    config.outbox = OutboxConfig::off();
    assert!(refusal(config, with(CallKind::Invoke, 1, durable)).contains("without the outbox"));
}

#[test]
fn a_client_of_numbers_needs_nothing_of_the_platform() {
    // The outbox works on payloads that are not looked into.
    let mut client = Client::<u8>::new(queueing(), 7);
    let call = CallRequest::new(CallId(1), CallKind::Invoke, "M", 1);
    client.handle(Time::ZERO, Input::Command(Command::Call(call))).unwrap();
    assert_eq!(client.metrics().outbox.depth, 1);
    assert!(matches!(client.poll(), Output::Event(Event::Queued(CallId(1)))));
}

/// Towards servers that recognise repetitions.
mod named {
    use hubwire::protocol::{Extensions, Feature};

    use super::*;

    fn naming() -> Config {
        let mut config = queueing();
        config.announce = true;
        config.client_id = Some("me".into());
        config
    }

    /// To a server that remembers what has the name of `epoch`, or to a plain one.
    fn connect(bench: &mut Bench, epoch: Option<&str>) -> Vec<Output<Number>> {
        if bench.state() == ConnectionState::Disconnected {
            bench.command(Command::Start);
        }
        let NegotiateResponse::Accepted(accepted) = negotiated(&[Transport::WebSockets]) else { panic!() };
        let extensions = epoch.map(|epoch| Extensions {
            version: 1,
            features: vec![Feature::Dedupe],
            epoch: Some(epoch.to_owned()),
            dedupe_window: Some(600 * SECOND),
        });
        let accepted = Negotiated { extensions, ..accepted };
        bench.give(Input::Negotiated(bench.request.unwrap(), Ok(NegotiateResponse::Accepted(accepted))));
        bench.give(Input::Opened(bench.link.unwrap()));
        bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())))
    }

    /// The calls that were sent, with their names.
    fn names(outputs: &[Output<Number>]) -> Vec<(Number, Option<String>)> {
        let calls = outputs.iter().filter_map(|output| match output {
            Output::Transmit(_, HubMessage::Invocation(Invocation { call, .. })) => Some(call),
            Output::Transmit(_, HubMessage::StreamInvocation(message)) => Some(&message.call),
            _ => None,
        });
        calls
            .map(|call| {
                let name = call.headers.iter().find(|(header, _)| header == "hubwire-id");
                (call.arguments, name.map(|(_, name)| name.to_string()))
            })
            .collect()
    }

    fn name(number: Number, name: &str) -> (Number, Option<String>) {
        (number, Some(name.to_owned()))
    }

    #[test]
    fn calls_in_flight_are_made_again_under_their_names() {
        let mut bench = Bench::new(naming());
        connect(&mut bench, Some("e"));
        assert_eq!(names(&bench.command(invoke(1))), [name(1, "me/0")]);
        assert_eq!(names(&bench.command(invoke(2))), [name(2, "me/1")]);
        // What is not answered, and what cannot be made again.
        assert_eq!(names(&bench.command(with(CallKind::Send, 3, options()))), [(3, None)]);
        assert_eq!(names(&bench.command(with(CallKind::Stream, 4, options()))), [(4, None)]);
        assert_eq!(names(&bench.command(call(CallKind::Invoke, 5, 5, vec![UploadId(1)]))), [(5, None)]);
        let outputs = lose(&mut bench);
        assert_eq!(ended(&outputs), [(4, Some(ErrorKind::Network)), (5, Some(ErrorKind::OutcomeUnknown))]);
        bench.command(invoke(6));
        let outputs = connect(&mut bench, Some("e"));
        assert_eq!(names(&outputs)[..2], [name(1, "me/0"), name(2, "me/1")]);
        assert_eq!(names(&outputs)[2].0, 6);
        let id = wire_id(&outputs, 1);
        assert_eq!(ended(&complete(&mut bench, &id)), [(1, None)]);
    }

    #[test]
    fn a_server_that_has_forgotten_gets_only_what_may_run_twice() {
        for next in [Some("another"), None] {
            let mut bench = Bench::new(naming());
            connect(&mut bench, Some("e"));
            bench.command(invoke(1));
            bench.command(with(CallKind::Invoke, 2, CallOptions { idempotent: true, ..options() }));
            assert!(ended(&lose(&mut bench)).is_empty(), "until it is known what comes next");
            bench.command(invoke(3));
            let outputs = connect(&mut bench, next);
            assert_eq!(ended(&outputs), [(1, Some(ErrorKind::OutcomeUnknown))], "{next:?}");
            assert_eq!(sent(&outputs), [2, 3], "{next:?}");
            assert_eq!(names(&outputs)[0].1.is_some(), next.is_some());
        }
    }

    #[test]
    fn a_call_that_the_server_may_have_forgotten_is_not_made_again() {
        for (seconds, expected) in [(599, None), (600, Some(ErrorKind::OutcomeUnknown))] {
            let mut bench = Bench::new(naming());
            connect(&mut bench, Some("e"));
            bench.command(invoke(1));
            // Lost again meanwhile: the time of the first counts.
            lose(&mut bench);
            connect(&mut bench, Some("e"));
            bench.now = bench.now + Duration::from_secs(seconds);
            lose(&mut bench);
            let outputs = connect(&mut bench, Some("e"));
            assert_eq!(ended(&outputs).first().map(|(_, kind)| *kind), expected.map(Some), "{seconds}");
            assert_eq!(sent(&outputs).is_empty(), expected.is_some());
        }
    }

    #[test]
    fn nobody_is_named_to_a_plain_server_or_without_a_name() {
        let mut bench = Bench::new(naming());
        connect(&mut bench, None);
        assert_eq!(names(&bench.command(invoke(1))), [(1, None)]);
        assert_eq!(ended(&lose(&mut bench)), [(1, Some(ErrorKind::OutcomeUnknown))]);
        for change in
            [(|config| config.client_id = None) as fn(&mut Config), |config| config.announce = false]
        {
            let mut config = naming();
            change(&mut config);
            let mut bench = Bench::new(config);
            connect(&mut bench, Some("e"));
            assert_eq!(names(&bench.command(invoke(1))), [(1, None)]);
        }
    }

    #[test]
    fn durable_calls_have_the_name_of_their_store() {
        let mut config = naming();
        config.has_store = true;
        let mut bench = Bench::new(config);
        let restored = StoredCall {
            kind: CallKind::Send,
            target: "M".into(),
            arguments: 9,
            priority: Priority::Normal,
            supersede_key: None,
            queued_at: Time::ZERO,
            expires_at: None,
        };
        bench.give(Input::Restored {
            next: Sequence(8),
            client_id: "store".into(),
            calls: vec![(CallId(100), Sequence(5), restored)],
        });
        let outputs = bench.command(durable(1));
        stored(&mut bench, &outputs);
        assert_eq!(names(&connect(&mut bench, Some("e"))), [name(9, "store/5"), name(1, "store/8")]);
        lose(&mut bench);
        assert_eq!(names(&connect(&mut bench, Some("another"))), [name(9, "store/5"), name(1, "store/8")]);
    }

    #[test]
    fn what_takes_the_place_of_another_does_not_take_its_name() {
        let mut bench = Bench::new(naming());
        connect(&mut bench, Some("e"));
        let keyed = |number| {
            with(CallKind::Invoke, number, CallOptions { supersede_key: Some("k".into()), ..options() })
        };
        assert_eq!(names(&bench.command(keyed(1))), [name(1, "me/0")]);
        lose(&mut bench);
        assert_eq!(ended(&bench.command(keyed(2))), [(1, Some(ErrorKind::Cancelled))]);
        assert_eq!(names(&connect(&mut bench, Some("e"))), [name(2, "me/1")], "the first may have run");
    }

    #[test]
    fn what_does_not_wait_is_not_held_up_by_the_window() {
        let mut config = naming();
        config.outbox.window = 1;
        let mut bench = Bench::new(config);
        connect(&mut bench, Some("e"));
        for number in 1..=5 {
            assert_eq!(sent(&bench.command(invoke(number))), [number as Number]);
        }
        lose(&mut bench);
        assert_eq!(sent(&connect(&mut bench, Some("e"))), [1], "but what comes back is");
    }
}

/// What a server does with a message that is too large for it.
#[derive(Clone, Copy, Debug)]
enum TooLarge {
    /// As ASP.NET Core.
    CloseMessage,
    /// As many a WebSocket library.
    CloseFrame,
}

impl TooLarge {
    fn happen(self, bench: &mut Bench) -> Vec<Output<Number>> {
        match self {
            Self::CloseMessage => {
                let error = Some("too large".into());
                bench.message(HubMessage::Close(Close { error, allow_reconnect: true, ..Close::default() }))
            }
            Self::CloseFrame => {
                let failure = RequestFailure::Closed { code: 1009, reason: String::new() };
                bench.give(Input::Closed(bench.link.unwrap(), Err(failure)))
            }
        }
    }
}

#[test]
fn a_call_that_makes_the_server_close_does_not_keep_the_others_from_getting_through() {
    for too_large in [TooLarge::CloseMessage, TooLarge::CloseFrame] {
        the_others_get_through(too_large);
    }
}

fn the_others_get_through(too_large: TooLarge) {
    let mut bench = Bench::new(queueing());
    connect(&mut bench);
    let repeated = |number| with(CallKind::Invoke, number, CallOptions { idempotent: true, ..options() });
    let all: Vec<_> = (1..=6).flat_map(|number| bench.command(repeated(number))).collect();
    assert_eq!(sent(&all), [1, 2, 3, 4, 5, 6]);
    // Number 3 is too large for the server, which says so whenever it comes.
    let mut done = Vec::new();
    let mut closes = 1;
    bench.pass(10 * SECOND);
    too_large.happen(&mut bench);
    for _ in 0..20 {
        bench.pass(40 * SECOND);
        let mut outputs = connect(&mut bench);
        // Alone, each of them.
        while let [number] = sent(&outputs)[..] {
            if number == 3 {
                closes += 1;
                bench.pass(10 * SECOND);
                outputs = too_large.happen(&mut bench);
            } else {
                let id = wire_id(&outputs, number);
                outputs = complete(&mut bench, &id);
            }
            done.extend(ended(&outputs));
        }
        assert!(sent(&outputs).len() <= 1, "{outputs:?}");
    }
    done.sort_unstable();
    let unknown = Some(ErrorKind::OutcomeUnknown);
    assert_eq!(done, [(1, None), (2, None), (3, unknown), (4, None), (5, None), (6, None)]);
    assert_eq!(closes, 1 + 3);
    // With it gone, calls go side by side again.
    bench.pass(10 * SECOND);
    let more: Vec<_> = (7..=9).flat_map(|number| bench.command(repeated(number))).collect();
    assert_eq!(sent(&more), [7, 8, 9]);
    // A network that fails is nobody's fault.
    for _ in 0..10 {
        bench.pass(10 * SECOND);
        assert!(ended(&lose(&mut bench)).is_empty());
        bench.pass(40 * SECOND);
        assert_eq!(sent(&connect(&mut bench)), [7, 8, 9]);
    }
}
