//! The client on its own: every input in every phase, and what the peer, the caller and the clock can do to it.
//!
//! The payload is a bare number: nothing in the core may look into it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use hubwire::client::{
    CallId, CallKind, Cause, Command, ConnectionState, Event, Input, Misuse, Output, Reply, RequestFailure,
    UploadId,
};
use hubwire::protocol::{
    Call, CancelInvocation, Close, Completion, HandshakeResponse, HubMessage, Invocation, NegotiateResponse,
    Negotiated, Outcome, ProtocolError, Redirect, StreamInvocation, StreamItem, TransferFormats, Transport,
};
use hubwire::{Error, ErrorKind, Time};

mod support;

use support::*;

/// One input of every kind, for the ids that are current in the bench.
fn inputs(bench: &Bench) -> Vec<(&'static str, Input<Number>)> {
    let link = bench.link.unwrap_or_else(|| bench_in(Phase::Opening).link.unwrap());
    let request = bench.request.unwrap_or_else(|| bench_in(Phase::Token).request.unwrap());
    let call = Call::new("M", 7);
    vec![
        ("start", Input::Command(Command::Start)),
        ("stop", Input::Command(Command::Stop)),
        ("invoke", Input::Command(invoke(1))),
        ("cancel", Input::Command(Command::Cancel(CallId(99)))),
        ("item", Input::Command(Command::Item { upload: UploadId(99), item: 7 })),
        ("token", Input::Token(request, Ok(None))),
        ("no token", Input::Token(request, Err("no".into()))),
        ("negotiated", Input::Negotiated(request, Ok(negotiated(&[Transport::WebSockets])))),
        ("negotiation failed", Input::Negotiated(request, Err(RequestFailure::Network("cut".into())))),
        ("opened", Input::Opened(link)),
        ("handshake", Input::Handshake(link, Ok(HandshakeResponse::default()))),
        ("handshake refused", Input::Handshake(link, Ok(HandshakeResponse { error: Some("no".into()) }))),
        ("message", Input::Message(link, HubMessage::Invocation(Invocation { invocation_id: None, call }))),
        ("close", Input::Message(link, HubMessage::Close(Close::default()))),
        ("malformed", Input::Malformed(link, ProtocolError::ErrorAndResult)),
        ("closed", Input::Closed(link, Err(RequestFailure::Network("cut".into())))),
        ("tick", Input::Tick),
    ]
}

/// Every input in every phase: what comes out and where it leads. A dash is "nothing happens".
#[test]
fn every_input_in_every_phase() {
    const TABLE: &[(&str, [&str; 7])] = &[
        // Disconnected, Token, Negotiating, Opening, Handshaking, Connected, Closing
        ("start", ["Connecting ask-token", "misuse", "misuse", "misuse", "misuse", "misuse", "misuse"]),
        (
            "stop",
            [
                "-",
                "Disconnected",
                "Disconnected",
                "shut Disconnected",
                "shut Disconnected",
                "transmit-7 shut Disconnecting",
                "-",
            ],
        ),
        ("invoke", ["Misuse", "Misuse", "Misuse", "Misuse", "Misuse", "transmit-1", "Misuse"]),
        ("cancel", ["-", "-", "-", "-", "-", "-", "-"]),
        ("item", ["-", "-", "-", "-", "-", "-", "-"]),
        ("token", ["-", "negotiate", "-", "-", "-", "-", "-"]),
        ("no token", ["-", "Disconnected", "-", "-", "-", "-", "-"]),
        ("negotiated", ["-", "-", "open", "-", "-", "-", "-"]),
        ("negotiation failed", ["-", "-", "Disconnected", "-", "-", "-", "-"]),
        ("opened", ["-", "-", "-", "shake", "-", "-", "-"]),
        ("handshake", ["-", "-", "-", "-", "transmit-6 Connected", "-", "-"]),
        ("handshake refused", ["-", "-", "-", "-", "shut Disconnected", "-", "-"]),
        ("message", ["-", "-", "-", "-", "-", "call-handler", "-"]),
        ("close", ["-", "-", "-", "-", "-", "shut Disconnected", "-"]),
        ("malformed", ["-", "-", "-", "shut Disconnected", "shut Disconnected", "shut Disconnected", "-"]),
        ("closed", ["-", "-", "-", "negotiate", "Disconnected", "Disconnected", "Disconnected"]),
        ("tick", ["-", "-", "-", "-", "-", "-", "-"]),
    ];
    let names: Vec<_> = inputs(&bench_in(Phase::Disconnected)).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, TABLE.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "the table has every input");
    for (row, (name, expected)) in TABLE.iter().enumerate() {
        for (phase, expected) in PHASES.into_iter().zip(expected) {
            let mut bench = bench_in(phase);
            let (_, input) = inputs(&bench).swap_remove(row);
            let before = bench.state();
            let got = match bench.try_give(input) {
                Err(_) => {
                    assert_eq!(bench.state(), before, "misuse changes nothing");
                    "misuse".to_owned()
                }
                Ok(outputs) if outputs.is_empty() => "-".to_owned(),
                Ok(outputs) => describe(&outputs),
            };
            assert_eq!(got, *expected, "{name} in {phase:?}");
            // Whatever happened, a client that was stopped can be started again.
            bench.command(Command::Stop);
            if let Some(link) = bench.link {
                bench.give(Input::Closed(link, Ok(())));
            }
            assert_eq!(bench.state(), ConnectionState::Disconnected, "{name} in {phase:?}, then stop");
            advance(&mut bench, Phase::Connected);
            assert_eq!(bench.state(), ConnectionState::Connected, "{name} in {phase:?}, then start again");
        }
    }
}

#[test]
fn input_of_an_old_link_or_request_is_ignored() {
    let mut bench = bench_in(Phase::Connected);
    let (old_link, old_request) = (bench.link.unwrap(), bench.request.unwrap());
    bench.give(Input::Closed(old_link, Ok(())));
    for phase in &PHASES[1..6] {
        let mut bench = Bench { ..bench_in(Phase::Connected) };
        bench.give(Input::Closed(bench.link.unwrap(), Ok(())));
        advance(&mut bench, *phase);
        let state = bench.state();
        for (name, input) in
            inputs(&Bench { link: Some(old_link), request: Some(old_request), ..bench_in(*phase) })
        {
            if matches!(input, Input::Command(_) | Input::Tick) {
                continue;
            }
            let outputs = bench.give(input);
            assert!(outputs.is_empty(), "{name} of an old link in {phase:?}: {outputs:?}");
            assert_eq!(bench.state(), state);
        }
    }
}

#[test]
fn the_way_to_a_connection() {
    let mut bench = Bench::new(config());
    let outputs = bench.command(Command::Start);
    assert!(matches!(
        &outputs[..],
        [
            Output::Event(Event::StateChanged {
                state: ConnectionState::Connecting,
                cause: Cause::Requested
            }),
            Output::Token(_),
        ]
    ));
    let outputs = bench.give(Input::Token(bench.request.unwrap(), Ok(Some("t".into()))));
    let [Output::Negotiate(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(
        (request.url.as_str(), request.token.as_deref()),
        ("http://h/hub/negotiate?negotiateVersion=1", Some("t"))
    );
    let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&Transport::ALL))));
    let [Output::Open(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(request.transport, Transport::WebSockets);
    assert_eq!((request.url.as_str(), request.token.as_deref()), ("http://h/hub?id=secret", Some("t")));
    let outputs = bench.give(Input::Opened(bench.link.unwrap()));
    let [Output::Handshake(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(request.to_text(), "{\"protocol\":\"json\",\"version\":1}\u{1e}");
    let outputs = bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    let established =
        Cause::Established { connection_id: Some("public".into()), previous_connection_id: None };
    assert_eq!(
        outputs[1],
        Output::Event(Event::StateChanged { state: ConnectionState::Connected, cause: established })
    );
}

#[test]
fn redirects_replace_url_and_token_for_one_start_and_are_limited() {
    let redirect = |hop: u32| {
        NegotiateResponse::Redirect(Redirect {
            url: format!("http://{hop}/x?y"),
            access_token: Some(format!("t{hop}")),
        })
    };
    let mut bench = bench_in(Phase::Negotiating);
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(redirect(1))));
    let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&Transport::ALL))));
    let [Output::Open(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((request.url.as_str(), request.token.as_deref()), ("http://1/x?y&id=secret", Some("t1")));
    // The next start is from the original address, with a new token.
    bench.command(Command::Stop);
    bench.command(Command::Start);
    let outputs = bench.give(Input::Token(bench.request.unwrap(), Ok(None)));
    let [Output::Negotiate(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((request.url.as_str(), &request.token), ("http://h/hub/negotiate?negotiateVersion=1", &None));
    for hop in 0..100 {
        bench.give(Input::Negotiated(bench.request.unwrap(), Ok(redirect(hop))));
        assert_eq!(bench.state(), ConnectionState::Connecting);
    }
    let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Ok(redirect(100))));
    assert_eq!(failure(&outputs), (ErrorKind::Protocol, "Negotiate redirection limit exceeded.".into()));
}

#[test]
fn transports_are_tried_in_the_servers_order_with_a_new_negotiation_each() {
    let mut config = config();
    config.transports = vec![Transport::WebSockets, Transport::LongPolling, Transport::ServerSentEvents];
    let mut bench = Bench::new(config);
    advance(&mut bench, Phase::Negotiating);
    let offer = [Transport::ServerSentEvents, Transport::WebSockets];
    for expected in offer {
        let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&offer))));
        let [Output::Open(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(request.transport, expected);
        let failed = Err(RequestFailure::Status { code: 404, text: "Not Found".into(), retry_after: None });
        let outputs = bench.give(Input::Closed(bench.link.unwrap(), failed));
        assert!(matches!(&outputs[..], [Output::Negotiate(..)]), "{outputs:?}");
    }
    let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&offer))));
    let (kind, text) = failure(&outputs);
    assert_eq!(kind, ErrorKind::Refused);
    let beginning =
        "Unable to connect to the server with any of the available transports. ServerSentEvents failed: ";
    assert!(
        text.starts_with(beginning) && text.contains("WebSockets failed: ") && text.contains("404"),
        "{text}"
    );
}

#[test]
fn a_binary_protocol_skips_transports_for_text() {
    let mut config = config();
    config.encoding = hubwire::protocol::Encoding::MessagePack;
    config.transports = Transport::ALL.to_vec();
    let mut bench = Bench::new(config);
    advance(&mut bench, Phase::Negotiating);
    let response = negotiated(&[Transport::ServerSentEvents]);
    let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Ok(response)));
    let text = "None of the transports supported by the client are supported by the server.";
    assert_eq!(failure(&outputs), (ErrorKind::Refused, text.into()));
}

#[test]
fn negotiate_refusals_say_why() {
    let refusals: [(Result<NegotiateResponse, RequestFailure>, ErrorKind, &str); 4] = [
        (Ok(NegotiateResponse::Refused("closed today".into())), ErrorKind::Refused, "closed today"),
        (
            Err(RequestFailure::Status { code: 401, text: "Unauthorized".into(), retry_after: None }),
            ErrorKind::Refused,
            "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'",
        ),
        (
            Err(RequestFailure::Protocol(ProtocolError::Negotiate("it is not JSON".into()))),
            ErrorKind::Protocol,
            "Failed to complete negotiation with the server: Invalid negotiate response: it is not JSON.",
        ),
        (
            Ok(NegotiateResponse::Accepted(Negotiated { stateful_reconnect: true, ..Negotiated::default() })),
            ErrorKind::Protocol,
            "Client didn't negotiate Stateful Reconnect but the server did.",
        ),
    ];
    for (response, kind, text) in refusals {
        let mut bench = bench_in(Phase::Negotiating);
        let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), response));
        assert_eq!(failure(&outputs), (kind, text.into()));
    }
}

#[test]
fn skipping_the_negotiation_is_for_websockets_only() {
    let mut config = config();
    config.skip_negotiation = true;
    config.transports = Transport::ALL.to_vec();
    assert_eq!(
        Bench::new(config.clone()).try_give(Input::Command(Command::Start)),
        Err(Misuse::SkipNegotiation)
    );
    config.transports = vec![Transport::WebSockets];
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    let outputs = bench.give(Input::Token(bench.request.unwrap(), Ok(Some("t".into()))));
    let [Output::Open(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((request.url.as_str(), request.token.as_deref()), ("http://h/hub", Some("t")));
    // Nothing to fall back to.
    let outputs = bench.give(Input::Closed(bench.link.unwrap(), Err(RequestFailure::Network("cut".into()))));
    assert_eq!(failure(&outputs), (ErrorKind::Network, "cut".into()));
}

#[test]
fn everything_that_does_not_come_in_time_is_a_timeout() {
    for (phase, seconds, text) in [
        (Phase::Token, 30, "The access token factory did not answer in time."),
        (Phase::Negotiating, 30, "The server did not answer the negotiation in time."),
        (Phase::Handshaking, 15, "The server did not answer the handshake in time."),
    ] {
        let mut bench = bench_in(phase);
        assert!(bench.pass(Duration::from_secs(seconds) - Duration::from_millis(1)).is_empty(), "{phase:?}");
        let outputs = bench.pass(Duration::from_millis(1));
        assert_eq!(failure(&outputs), (ErrorKind::Timeout, text.into()), "{phase:?}");
        assert_eq!(bench.wait, None, "nothing to wait for after {phase:?}");
    }
    // A transport that does not open is one that failed: the next is tried.
    let mut bench = bench_in(Phase::Opening);
    assert_eq!(describe(&bench.pass(Duration::from_secs(30))), "abandon negotiate");
    // A transport that does not close is left behind.
    let mut bench = bench_in(Phase::Closing);
    assert_eq!(describe(&bench.pass(Duration::from_secs(5))), "abandon Disconnected");
}

#[test]
fn pings_go_out_only_when_nothing_else_does() {
    let mut bench = bench_in(Phase::Connected);
    for _ in 0..3 {
        // The server is heard, so that its timeout does not come between.
        bench.message(HubMessage::Ping);
        assert_eq!(describe(&bench.pass(Duration::from_millis(14_999))), "");
        assert_eq!(describe(&bench.pass(Duration::from_millis(1))), "transmit-6");
    }
    bench.message(HubMessage::Ping);
    bench.pass(Duration::from_secs(14));
    bench.command(call(CallKind::Send, 1, 7, vec![]));
    assert_eq!(describe(&bench.pass(Duration::from_secs(14))), "");
    assert_eq!(describe(&bench.pass(Duration::from_secs(1))), "transmit-6");
}

#[test]
fn a_silent_server_is_lost_and_any_message_counts_as_life() {
    let mut bench = bench_in(Phase::Connected);
    let live: [HubMessage<Number>; 3] = [
        HubMessage::Ping,
        HubMessage::Ack { sequence_id: 1 },
        HubMessage::Completion(Completion::new("unknown", Outcome::Void)),
    ];
    for message in live {
        bench.pass(Duration::from_millis(29_999));
        bench.message(message);
        assert_eq!(bench.state(), ConnectionState::Connected);
    }
    let outputs = bench.pass(Duration::from_secs(30));
    let text = "Server timeout elapsed without receiving a message from the server.";
    assert_eq!(failure(&outputs), (ErrorKind::Timeout, text.into()));
}

#[test]
fn an_application_that_falls_behind_is_not_a_silent_server() {
    let mut bench = bench_in(Phase::Connected);
    bench.give(Input::Paused);
    bench.pass(Duration::from_secs(600));
    assert_eq!(bench.state(), ConnectionState::Connected);
    bench.give(Input::Resumed);
    bench.pass(Duration::from_millis(29_999));
    assert_eq!(bench.state(), ConnectionState::Connected);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.state(), ConnectionState::Disconnected);
}

#[test]
fn an_idle_connection_wakes_up_only_to_ping() {
    let mut bench = bench_in(Phase::Connected);
    let mut wakes = 0;
    let end = bench.now + Duration::from_secs(600);
    while bench.now < end {
        assert_eq!(describe(&bench.pass_to_deadline()), "transmit-6");
        bench.message(HubMessage::Ping);
        wakes += 1;
    }
    assert_eq!(wakes, 40);
}

#[test]
fn time_that_goes_back_is_ignored() {
    let mut bench = bench_in(Phase::Connected);
    let now = bench.now;
    bench.now = Time::ZERO;
    assert!(bench.give(Input::Tick).is_empty());
    assert!(bench.wait.unwrap() > now);
}

fn invoke(id: u64) -> Command<Number> {
    call(CallKind::Invoke, id, 7, vec![])
}

fn stream(id: u64) -> Command<Number> {
    call(CallKind::Stream, id, 7, vec![])
}

fn completion(id: &str, outcome: Outcome<Number>) -> HubMessage<Number> {
    HubMessage::Completion(Completion::new(id.to_owned(), outcome))
}

fn item(id: &str, item: Number) -> HubMessage<Number> {
    HubMessage::StreamItem(StreamItem { headers: vec![], invocation_id: id.to_owned().into(), item })
}

fn completed(call: u64, result: Result<Option<Number>, Error>) -> Output<Number> {
    Output::Event(Event::Completed { call: CallId(call), result })
}

#[test]
fn completions_find_their_calls_in_any_order() {
    let mut bench = bench_in(Phase::Connected);
    for call in [10, 11, 12] {
        bench.command(invoke(call));
    }
    assert_eq!(bench.message(completion("2", Outcome::Value(5))), [completed(12, Ok(Some(5)))]);
    assert_eq!(bench.message(completion("0", Outcome::Void)), [completed(10, Ok(None))]);
    let refused = Error::new(ErrorKind::Refused, "no");
    assert_eq!(bench.message(completion("1", Outcome::Error("no".into()))), [completed(11, Err(refused))]);
    // Answered twice, never asked, not even a number, or not as this client writes it.
    for id in ["0", "77", "x", "", "+1", "01", "99999999999999999999999"] {
        assert!(bench.message(completion(id, Outcome::Void)).is_empty(), "{id}");
        assert!(bench.message(item(id, 1)).is_empty(), "{id}");
    }
    assert_eq!(bench.state(), ConnectionState::Connected);
}

#[test]
fn streams_give_items_until_their_completion() {
    let mut bench = bench_in(Phase::Connected);
    let outputs = bench.command(stream(1));
    assert!(matches!(
        &outputs[..],
        [Output::Transmit(_, HubMessage::StreamInvocation(StreamInvocation { .. }))]
    ));
    for number in 0..3 {
        assert_eq!(
            bench.message(item("0", number)),
            [Output::Event(Event::Item { call: CallId(1), item: number })]
        );
    }
    assert_eq!(bench.message(completion("0", Outcome::Void)), [completed(1, Ok(None))]);
    assert!(bench.message(item("0", 9)).is_empty());
}

#[test]
fn an_item_for_a_call_that_does_not_stream_fails_the_call_only() {
    let mut bench = bench_in(Phase::Connected);
    bench.command(invoke(1));
    assert_eq!(describe(&bench.message(item("0", 9))), "Protocol");
    assert!(bench.message(completion("0", Outcome::Void)).is_empty());
    assert_eq!(bench.state(), ConnectionState::Connected);
}

#[test]
fn cancelling_ends_a_call_at_once_and_tells_the_server() {
    for command in [invoke(1), stream(1)] {
        let mut bench = bench_in(Phase::Connected);
        bench.command(command);
        let outputs = bench.command(Command::Cancel(CallId(1)));
        assert_eq!(describe(&outputs), "transmit-5 Cancelled");
        let Output::Transmit(_, HubMessage::CancelInvocation(CancelInvocation { invocation_id, .. })) =
            &outputs[0]
        else {
            panic!("{outputs:?}")
        };
        assert_eq!(invocation_id, "0");
        // The server's completion comes all the same.
        assert!(bench.message(completion("0", Outcome::Void)).is_empty());
        assert!(bench.command(Command::Cancel(CallId(1))).is_empty());
    }
}

#[test]
fn uploads_share_the_ids_and_end_with_their_call() {
    let mut bench = bench_in(Phase::Connected);
    let uploads = vec![UploadId(1), UploadId(2)];
    let outputs = bench.command(call(CallKind::Invoke, 1, 7, uploads));
    let [
        Output::Transmit(_, HubMessage::Invocation(Invocation { invocation_id: Some(id), call })),
        Output::Event(Event::UploadStarted(UploadId(1))),
        Output::Event(Event::UploadStarted(UploadId(2))),
    ] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((id.as_ref(), &call.stream_ids[..]), ("2", &["0".into(), "1".into()][..]));
    assert_eq!(describe(&bench.command(Command::Item { upload: UploadId(2), item: 5 })), "transmit-2");
    let outputs = bench.command(Command::EndUpload { upload: UploadId(2), error: Some("broke".into()) });
    let [Output::Transmit(_, message)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(*message, completion("1", Outcome::Error("broke".into())));
    // Ended: nothing more goes out for it.
    assert!(bench.command(Command::Item { upload: UploadId(2), item: 5 }).is_empty());
    assert!(bench.command(Command::EndUpload { upload: UploadId(2), error: None }).is_empty());
    // The server is done before the other upload is.
    let outputs = bench.message(completion("2", Outcome::Value(1)));
    assert_eq!(outputs, [Output::Event(Event::UploadStopped(UploadId(1))), completed(1, Ok(Some(1)))]);
    assert!(bench.command(Command::Item { upload: UploadId(1), item: 5 }).is_empty());
}

#[test]
fn uploads_of_a_cancelled_call_are_ended_for_the_server_too() {
    let mut bench = bench_in(Phase::Connected);
    bench.command(call(CallKind::Stream, 1, 7, vec![UploadId(1)]));
    let outputs = bench.command(Command::Cancel(CallId(1)));
    let Output::Transmit(_, message) = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!(*message, completion("0", Outcome::Error("Stream canceled by client.".into())));
    assert_eq!(describe(&outputs), "transmit-3 event transmit-5 Cancelled");
}

#[test]
fn a_lost_connection_ends_every_call_once() {
    let mut bench = bench_in(Phase::Connected);
    bench.command(invoke(1));
    bench.command(stream(2));
    bench.command(call(CallKind::Send, 3, 7, vec![UploadId(1)]));
    let outputs = bench.give(Input::Closed(bench.link.unwrap(), Err(RequestFailure::Network("cut".into()))));
    assert_eq!(
        outputs,
        [
            Output::Event(Event::UploadStopped(UploadId(1))),
            completed(1, Err(Error::new(ErrorKind::OutcomeUnknown, "cut"))),
            completed(2, Err(Error::new(ErrorKind::Network, "cut"))),
            Output::Event(Event::StateChanged {
                state: ConnectionState::Disconnected,
                cause: Cause::Failed(Error::new(ErrorKind::Network, "cut")),
            }),
        ]
    );
    let outputs = bench.command(invoke(1));
    let text = "Cannot send data if the connection is not in the 'Connected' State.";
    assert_eq!(outputs, [completed(1, Err(Error::new(ErrorKind::Misuse, text)))]);
}

#[test]
fn ids_in_use_are_misuse_and_limits_are_kept() {
    let mut config = config();
    config.max_pending_calls = 2;
    let mut bench = Bench::new(config);
    advance(&mut bench, Phase::Connected);
    bench.command(invoke(1));
    assert_eq!(bench.try_give(Input::Command(stream(1))), Err(Misuse::CallInUse(CallId(1))));
    let twice = vec![UploadId(1), UploadId(1)];
    let command = call(CallKind::Invoke, 2, 7, twice);
    assert_eq!(bench.try_give(Input::Command(command)), Err(Misuse::UploadInUse(UploadId(1))));
    bench.command(invoke(2));
    assert_eq!(describe(&bench.command(invoke(3))), "Overflow");
    bench.message(completion("0", Outcome::Void));
    assert_eq!(describe(&bench.command(invoke(3))), "transmit-1");
}

fn call_of_server(id: Option<&str>) -> HubMessage<Number> {
    let invocation_id = id.map(|id| id.to_owned().into());
    HubMessage::Invocation(Invocation { invocation_id, call: Call::new("M", 7) })
}

#[test]
fn calls_of_the_server_are_answered_once() {
    let mut bench = bench_in(Phase::Connected);
    let answers: [(Reply<Number>, Outcome<Number>); 5] = [
        (Reply::Value(3), Outcome::Value(3)),
        (Reply::Void, Outcome::Void),
        (Reply::Error("no".into()), Outcome::Error("no".into())),
        (Reply::NoHandler, Outcome::Error("Client didn't provide a result.".into())),
        (Reply::ManyHandlers, Outcome::Error("Client provided multiple results.".into())),
    ];
    for (answer, expected) in answers {
        let outputs = bench.message(call_of_server(Some("any id")));
        let [Output::Event(Event::Invocation { reply: Some(reply), arguments: 7, .. })] = outputs[..] else {
            panic!("{outputs:?}")
        };
        let outputs = bench.command(Command::Reply(reply, answer));
        let [Output::Transmit(_, message)] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(*message, completion("any id", expected));
        assert!(bench.command(Command::Reply(reply, Reply::Void)).is_empty());
    }
    // Without an id the server wants no answer.
    let outputs = bench.message(call_of_server(None));
    assert!(matches!(outputs[..], [Output::Event(Event::Invocation { reply: None, .. })]));
}

#[test]
fn answers_that_nobody_waits_for_go_nowhere() {
    let mut bench = bench_in(Phase::Connected);
    let asked = |outputs: &[Output<Number>]| match outputs {
        [Output::Event(Event::Invocation { reply: Some(reply), .. })] => *reply,
        outputs => panic!("{outputs:?}"),
    };
    let cancelled = asked(&bench.message(call_of_server(Some("a"))));
    let outputs = bench.message(HubMessage::CancelInvocation(CancelInvocation::new("a")));
    assert_eq!(outputs, [Output::Event(Event::InvocationCancelled(cancelled))]);
    assert!(bench.command(Command::Reply(cancelled, Reply::Value(1))).is_empty());
    let before_loss = asked(&bench.message(call_of_server(Some("b"))));
    bench.give(Input::Closed(bench.link.unwrap(), Ok(())));
    advance(&mut bench, Phase::Connected);
    bench.message(call_of_server(Some("b")));
    assert!(
        bench.command(Command::Reply(before_loss, Reply::Value(1))).is_empty(),
        "not to the new connection"
    );
}

#[test]
fn a_server_cannot_make_the_client_hold_any_number_of_calls() {
    let mut config = config();
    config.max_pending_replies = 3;
    let mut bench = Bench::new(config);
    advance(&mut bench, Phase::Connected);
    for id in ["a", "b", "c"] {
        assert_eq!(describe(&bench.message(call_of_server(Some(id)))), "call-handler");
    }
    assert_eq!(describe(&bench.message(call_of_server(Some("d")))), "transmit-3");
    let call = Call::new("M", 7);
    let streaming = HubMessage::StreamInvocation(StreamInvocation { invocation_id: "s".into(), call });
    assert_eq!(describe(&bench.message(streaming)), "transmit-3", "clients do not stream");
}

#[test]
fn close_messages_tell_whether_to_come_back() {
    for allow_reconnect in [false, true] {
        let mut bench = bench_in(Phase::Connected);
        let outputs =
            bench.message(HubMessage::Close(Close { error: None, allow_reconnect, retry_after: None }));
        let cause = Cause::ServerClosed { allow_reconnect };
        assert_eq!(
            outputs[1],
            Output::Event(Event::StateChanged { state: ConnectionState::Disconnected, cause })
        );
    }
    let mut bench = bench_in(Phase::Connected);
    let outputs = bench.message(HubMessage::Close(Close { error: Some("bye".into()), ..Close::default() }));
    assert_eq!(failure(&outputs), (ErrorKind::Refused, "Server returned an error on close: bye".into()));
}

#[test]
fn formats_of_transports() {
    // What the tests above rely on.
    assert_eq!(Transport::ServerSentEvents.formats(), TransferFormats { text: true, binary: false });
}
