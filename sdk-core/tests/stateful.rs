//! Stateful reconnect, transports with a keep-alive of their own, and refreshing the token, in virtual time.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use hubwire::client::{
    CallId, CallKind, Command, Config, ConnectionState, Event, Input, Output, RequestFailure, RetryPolicy,
};
use hubwire::protocol::{
    Call, Close, Completion, HandshakeResponse, HubMessage, Invocation, NegotiateResponse, Negotiated,
    Outcome, ProtocolError, Transport,
};
use hubwire::{Error, ErrorKind};
use support::*;

fn stateful_config(limit: usize) -> Config {
    let mut config = config();
    config.has_token_factory = false;
    config.stateful_reconnect = Some(limit);
    config
}

fn granted() -> NegotiateResponse {
    let NegotiateResponse::Accepted(negotiated) = negotiated(&Transport::ALL) else { unreachable!() };
    NegotiateResponse::Accepted(Negotiated { stateful_reconnect: true, ..negotiated })
}

/// Connected with stateful reconnect.
fn connected(config: Config) -> Bench {
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    if let Some(request) = bench.request {
        bench.give(Input::Token(request, Ok(Some("first".into()))));
    }
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(granted())));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    assert_eq!(bench.state(), ConnectionState::Connected);
    bench
}

fn lose(bench: &mut Bench) -> Vec<Output<Number>> {
    bench.give(Input::Closed(bench.link.unwrap(), Err(RequestFailure::Network("cut".into()))))
}

fn send(id: u64) -> Command<Number> {
    call(CallKind::Send, id, id as Number, vec![])
}

/// With a retry at once after every loss.
fn retrying() -> Config {
    let mut config = stateful_config(1000);
    config.retry = RetryPolicy::table(vec![Duration::ZERO; 2]);
    config
}

fn push(number: Number) -> HubMessage<Number> {
    HubMessage::Invocation(Invocation { invocation_id: None, call: Call::new("E", number) })
}

/// What was transmitted: type, and the sequence id or payload.
fn sent(outputs: &[Output<Number>]) -> Vec<(u8, u64)> {
    let messages = outputs.iter().filter_map(|output| match output {
        Output::Transmit(_, message) => Some(message),
        _ => None,
    });
    messages
        .map(|message| {
            let number = match message {
                HubMessage::Ack { sequence_id } | HubMessage::Sequence { sequence_id } => *sequence_id,
                message => message.payload().copied().unwrap_or_default().into(),
            };
            (message.message_type(), number)
        })
        .collect()
}

/// The payloads of the messages that reached the application.
fn handled(outputs: &[Output<Number>]) -> Vec<Number> {
    let payloads = outputs.iter().filter_map(|output| match output {
        Output::Event(Event::Invocation { arguments, .. }) => Some(*arguments),
        _ => None,
    });
    payloads.collect()
}

#[test]
fn version_2_only_when_the_server_granted_it() {
    let mut bench = Bench::new(stateful_config(1000));
    let outputs = bench.command(Command::Start);
    let Some(Output::Negotiate(_, request)) = outputs.last() else { panic!("{outputs:?}") };
    assert!(request.url.ends_with("?negotiateVersion=1&useStatefulReconnect=true"), "{}", request.url);
    for (response, version) in [(granted(), 2), (negotiated(&Transport::ALL), 1)] {
        let mut bench = Bench::new(stateful_config(1000));
        bench.command(Command::Start);
        bench.give(Input::Negotiated(bench.request.unwrap(), Ok(response)));
        let outputs = bench.give(Input::Opened(bench.link.unwrap()));
        let [Output::Handshake(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(request.version, version);
    }
    // Other transports cannot be replaced, so the version is 1 there.
    let mut config = stateful_config(1000);
    config.transports = vec![Transport::LongPolling];
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(granted())));
    let outputs = bench.give(Input::Opened(bench.link.unwrap()));
    let [Output::Handshake(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(request.version, 1);
}

#[test]
fn a_cut_is_repaired_without_the_application_seeing_it() {
    let mut bench = connected(stateful_config(1000));
    for call in 1..=4 {
        bench.command(send(call));
    }
    assert!(bench.message(HubMessage::Ack { sequence_id: 2 }).is_empty());
    for number in 1..=3 {
        assert_eq!(handled(&bench.message(push(number))), [number]);
    }
    let first_link = bench.link;
    let outputs = lose(&mut bench);
    let [Output::Open(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(request.resumes && request.url == "http://h/hub?id=secret", "{request:?}");
    assert_ne!(bench.link, first_link);
    assert_eq!(bench.state(), ConnectionState::Connected);
    // What is sent meanwhile waits for the new transport; a ping does not.
    assert_eq!(sent(&bench.command(send(5))), []);
    let outputs = bench.give(Input::Opened(bench.link.unwrap()));
    assert_eq!(sent(&outputs), [(9, 3), (1, 3), (1, 4), (1, 5)]);
    assert!(matches!(outputs.last(), Some(Output::Event(Event::Resumed))));
    // Nothing counts before the server's sequence, then repetitions are dropped and new messages are not.
    for message in [push(77), HubMessage::Ping, HubMessage::Ack { sequence_id: 99 }] {
        assert!(bench.message(message).is_empty());
    }
    assert!(bench.message(HubMessage::Sequence { sequence_id: 2 }).is_empty());
    let mut got = Vec::new();
    for number in 2..=5 {
        got.extend(handled(&bench.message(push(number))));
    }
    assert_eq!(got, [4, 5]);
    // The counts go on.
    bench.message(HubMessage::Ack { sequence_id: 5 });
    lose(&mut bench);
    assert_eq!(sent(&bench.give(Input::Opened(bench.link.unwrap()))), [(9, 6)]);
    assert_eq!(bench.state(), ConnectionState::Connected);
}

#[test]
fn calls_in_flight_survive_a_cut() {
    let mut bench = connected(stateful_config(1000));
    bench.command(call(CallKind::Invoke, 7, 7, vec![]));
    lose(&mut bench);
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.message(HubMessage::Sequence { sequence_id: 1 });
    let outputs = bench.message(HubMessage::Completion(Completion::new("0", Outcome::Value(8))));
    assert_eq!(outputs, [Output::Event(Event::Completed { call: CallId(7), result: Ok(Some(8)) })]);
}

#[test]
fn acknowledgements_come_at_most_once_per_second_and_only_with_progress() {
    let mut bench = connected(stateful_config(1000));
    bench.message(push(1));
    assert_eq!(sent(&bench.pass(Duration::from_millis(600))), []);
    bench.message(push(2));
    assert_eq!(sent(&bench.pass(Duration::from_millis(400))), [(8, 2)]);
    bench.message(HubMessage::Ping);
    assert_eq!(sent(&bench.pass(Duration::from_secs(5))), []);
    bench.message(push(3));
    assert_eq!(sent(&bench.pass(Duration::from_secs(1))), [(8, 3)]);
}

#[test]
fn a_lost_acknowledgement_is_said_again() {
    let mut bench = connected(stateful_config(1000));
    bench.message(push(1));
    bench.message(push(2));
    assert_eq!(sent(&bench.pass(Duration::from_secs(1))), [(8, 2)]);
    lose(&mut bench);
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.message(HubMessage::Sequence { sequence_id: 1 });
    bench.message(push(1));
    bench.message(push(2));
    assert_eq!(sent(&bench.pass(Duration::from_secs(1))), [(8, 2)]);
}

#[test]
fn a_server_that_does_not_acknowledge_makes_callers_wait() {
    let mut bench = connected(stateful_config(200));
    let mut calls = 0;
    while bench.client.wants_calls() {
        calls += 1;
        bench.command(send(calls));
        assert!(calls < 10, "the limit is never reached");
    }
    bench.message(HubMessage::Ack { sequence_id: calls });
    assert!(bench.client.wants_calls());
}

/// Lets the attempt to resume fail.
fn refuse_resume(bench: &mut Bench) -> Vec<Output<Number>> {
    lose(bench);
    let not_found =
        RequestFailure::Status { code: 404, text: "No Connection with that ID".into(), retry_after: None };
    bench.give(Input::Closed(bench.link.unwrap(), Err(not_found)))
}

/// From the negotiation on.
fn connect_again(bench: &mut Bench) {
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(granted())));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
}

#[test]
fn one_attempt_to_resume_and_then_another_connection() {
    let mut bench = connected(retrying());
    bench.command(call(CallKind::Invoke, 7, 7, vec![]));
    let outputs = refuse_resume(&mut bench);
    // The first error is the one that tells what happened.
    let lost = Error::new(ErrorKind::OutcomeUnknown, "cut");
    assert_eq!(outputs[0], Output::Event(Event::Completed { call: CallId(7), result: Err(lost) }));
    assert_eq!(describe(&outputs[1..]), "Reconnecting retry negotiate");
    let Some(Output::Negotiate(_, request)) = outputs.last() else { panic!("{outputs:?}") };
    assert!(request.url.starts_with("http://h/hub/negotiate?"), "from the original address: {}", request.url);
    assert_eq!(bench.state(), ConnectionState::Reconnecting);
    assert_eq!(describe(&bench.command(send(1))), "Misuse");
    connect_again(&mut bench);
    assert_eq!(bench.state(), ConnectionState::Connected);
    // Its counts begin anew.
    bench.command(send(1));
    lose(&mut bench);
    assert_eq!(sent(&bench.give(Input::Opened(bench.link.unwrap()))), [(9, 1), (1, 1)]);
    // Neither the resume nor the connection is waited for for ever.
    let mut bench = connected(retrying());
    lose(&mut bench);
    assert_eq!(describe(&bench.pass(Duration::from_secs(30))), "abandon Reconnecting retry negotiate");
    bench.pass(Duration::from_secs(30));
    assert_eq!(failure(&bench.pass(Duration::from_secs(30))).0, ErrorKind::Timeout);
    // Stopped meanwhile, it stays stopped.
    let mut bench = connected(retrying());
    refuse_resume(&mut bench);
    assert_eq!(describe(&bench.command(Command::Stop)), "Disconnected");
    assert_eq!(describe(&bench.command(Command::Start)), "Connecting negotiate");
}

#[test]
fn what_ended_in_order_is_not_resumed() {
    let mut bench = connected(stateful_config(1000));
    let outputs = bench.give(Input::Closed(bench.link.unwrap(), Ok(())));
    assert_eq!(describe(&outputs), "Disconnected");
    let mut bench = connected(stateful_config(1000));
    let outputs = bench.message(HubMessage::Close(Close { allow_reconnect: true, ..Close::default() }));
    assert_eq!(describe(&outputs), "shut Disconnected");
    let mut bench = connected(stateful_config(1000));
    lose(&mut bench);
    assert_eq!(describe(&bench.command(Command::Stop)), "shut Disconnected");
    // Nor what the server judged: it would get that again. A server that goes away has judged nothing.
    for (code, expected) in [(1009, "Disconnected"), (1001, "open")] {
        let mut bench = connected(stateful_config(1000));
        let closed = RequestFailure::Closed { code, reason: String::new() };
        assert_eq!(describe(&bench.give(Input::Closed(bench.link.unwrap(), Err(closed)))), expected);
    }
}

#[test]
fn a_server_that_takes_every_transport_and_drops_it_is_left() {
    let mut bench = connected(stateful_config(1000));
    for _ in 0..3 {
        lose(&mut bench);
        bench.give(Input::Opened(bench.link.unwrap()));
        bench.message(HubMessage::Sequence { sequence_id: 1 });
        assert_eq!(bench.state(), ConnectionState::Connected);
    }
    assert_eq!(failure(&lose(&mut bench)).1, "cut");
    // One that delivers something may be lost any number of times.
    let mut bench = connected(stateful_config(1000));
    for number in 1..20 {
        lose(&mut bench);
        bench.give(Input::Opened(bench.link.unwrap()));
        bench.message(HubMessage::Sequence { sequence_id: number });
        bench.message(push(1));
    }
    assert_eq!(bench.state(), ConnectionState::Connected);
}

#[test]
fn a_message_that_is_too_large_is_not_asked_for_again() {
    let mut bench = connected(stateful_config(1000));
    let failure = RequestFailure::Protocol(ProtocolError::TooLarge { limit: 10 });
    let outputs = bench.give(Input::Closed(bench.link.unwrap(), Err(failure)));
    assert_eq!(describe(&outputs), "Disconnected");
}

#[test]
fn a_silent_server_is_resumed_too() {
    let mut bench = connected(stateful_config(1000));
    let outputs = bench.pass(Duration::from_secs(30));
    assert_eq!(describe(&outputs), "transmit-6 abandon open");
    assert_eq!(bench.state(), ConnectionState::Connected);
}

#[test]
fn counts_that_cannot_be_end_the_connection() {
    let mut bench = connected(stateful_config(1000));
    assert_eq!(failure(&bench.message(HubMessage::Ack { sequence_id: 1 })).0, ErrorKind::Protocol);
    let mut bench = connected(stateful_config(1000));
    let outputs = bench.message(HubMessage::Sequence { sequence_id: 2 });
    let text = "Sequence ID greater than amount of messages we've received.";
    assert_eq!(failure(&outputs), (ErrorKind::Protocol, text.into()));
    let mut bench = connected(stateful_config(1000));
    assert_eq!(failure(&bench.message(HubMessage::Sequence { sequence_id: 0 })).0, ErrorKind::Protocol);
    // Without stateful reconnect they mean nothing.
    let mut bench = bench_in(Phase::Connected);
    assert!(bench.message(HubMessage::Sequence { sequence_id: 9 }).is_empty());
    assert!(bench.message(HubMessage::Ack { sequence_id: 9 }).is_empty());
    assert_eq!(bench.state(), ConnectionState::Connected);
}

#[test]
fn a_resume_asks_for_a_new_token() {
    let mut config = stateful_config(1000);
    config.has_token_factory = true;
    let mut bench = connected(config);
    let outputs = lose(&mut bench);
    assert!(matches!(outputs[..], [Output::Token(_)]), "{outputs:?}");
    let outputs = bench.give(Input::Token(bench.request.unwrap(), Ok(Some("second".into()))));
    let [Output::Open(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(request.token.as_deref(), Some("second"));
}

#[test]
fn long_polling_has_neither_pings_nor_timeouts() {
    let mut config = config();
    config.transports = vec![Transport::LongPolling];
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    bench.give(Input::Token(bench.request.unwrap(), Ok(None)));
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&Transport::ALL))));
    bench.give(Input::Opened(bench.link.unwrap()));
    let outputs = bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    assert_eq!(describe(&outputs), "Connected");
    bench.command(send(1));
    bench.message(push(1));
    assert_eq!(bench.wait, None);
}

fn refreshing(lifetime: u64) -> Bench {
    let mut config = config();
    config.token_refresh = true;
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    bench.give(Input::Token(bench.request.unwrap(), Ok(Some("first".into()))));
    let NegotiateResponse::Accepted(accepted) = negotiated(&[Transport::LongPolling]) else { unreachable!() };
    let accepted = Negotiated { token_lifetime_seconds: Some(lifetime), ..accepted };
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(NegotiateResponse::Accepted(accepted))));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    bench
}

#[test]
fn tokens_are_refreshed_before_they_expire() {
    for (lifetime, after) in [(3600, 3300), (600, 300), (100, 50), (1, 1)] {
        let mut bench = refreshing(lifetime);
        assert_eq!(bench.wait, Some(bench.now + Duration::from_secs(after)), "lifetime {lifetime}");
        assert!(matches!(bench.pass_to_deadline()[..], [Output::Token(_)]));
        let outputs = bench.give(Input::Token(bench.request.unwrap(), Ok(Some("second".into()))));
        let [Output::Refresh(request, http)] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(
            (http.url.as_str(), http.token.as_deref()),
            ("http://h/hub/refresh?id=secret", Some("second"))
        );
        let outputs = bench.give(Input::Refreshed(*request, Ok(Some(3600))));
        assert_eq!(outputs, [Output::Event(Event::TokenRefreshed(Ok(())))]);
        assert_eq!(bench.wait, Some(bench.now + Duration::from_secs(3300)));
    }
}

#[test]
fn a_refresh_that_fails_is_told_and_tried_again() {
    let mut bench = refreshing(3600);
    bench.pass_to_deadline();
    let outputs = bench.give(Input::Token(bench.request.unwrap(), Err("closed".into())));
    assert!(matches!(&outputs[..], [Output::Event(Event::TokenRefreshed(Err(_)))]), "{outputs:?}");
    assert_eq!(bench.wait, Some(bench.now + Duration::from_secs(60)));
    // Nor does a factory that hangs end the connection.
    bench.pass_to_deadline();
    let outputs = bench.pass(Duration::from_secs(30));
    assert!(matches!(&outputs[..], [Output::Event(Event::TokenRefreshed(Err(_)))]), "{outputs:?}");
    assert_eq!(bench.state(), ConnectionState::Connected);
}
