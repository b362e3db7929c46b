//! The traps in which naive SignalR clients are caught, one test each. The numbers are those of the project's checklist;
//! those that only concern servers are in the server's tests of the same name.
#![cfg(feature = "codec")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use hubwire::client::{Cause, Command, ConnectionState, Event, Input, Output, Reply, RequestFailure};
use hubwire::protocol::frame::FrameDecoder;
use hubwire::protocol::{
    Call, CancelInvocation, Close, Completion, Encoding, Extensions, Feature, HandshakeResponse, HubMessage,
    Invocation, NegotiateResponse, Negotiated, Outcome, Payload, Redirect, Transport,
};
use support::*;

fn decoded(encoding: Encoding, bytes: &'static [u8]) -> Vec<HubMessage<Payload>> {
    let mut frames = FrameDecoder::new(1000);
    frames.begin(encoding);
    frames.push(Bytes::from_static(bytes));
    let next = || frames.next().unwrap();
    std::iter::from_fn(next).filter_map(|frame| encoding.decode(&frame).unwrap()).collect()
}

#[test]
fn trap_01_the_handshake_is_json_under_messagepack_and_may_share_a_frame() {
    let mut config = config();
    config.encoding = Encoding::MessagePack;
    let mut bench = Bench::new(config);
    advance(&mut bench, Phase::Opening);
    let outputs = bench.give(Input::Opened(bench.link.unwrap()));
    let [Output::Handshake(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(request.to_text(), "{\"protocol\":\"messagepack\",\"version\":1}\u{1e}");
    let mut frames = FrameDecoder::new(100);
    frames.push(Bytes::from_static(b"{}\x1e\x02\x91\x06"));
    assert_eq!(HandshakeResponse::decode(&frames.next().unwrap().unwrap()), Ok(HandshakeResponse::default()));
    frames.begin(Encoding::MessagePack);
    let frame = frames.next().unwrap().unwrap();
    assert_eq!(Encoding::MessagePack.decode(&frame), Ok(Some(HubMessage::Ping)));
}

#[test]
fn trap_02_messages_may_come_in_any_pieces() {
    let stream: &[u8] = b"{\"type\":6}\x1e{\"type\":7}\x1e";
    for cut in 0..stream.len() {
        let mut frames = FrameDecoder::new(100);
        let mut count = 0;
        for piece in [&stream[..cut], &stream[cut..]] {
            frames.push(Bytes::from_static(piece));
            while frames.next().unwrap().is_some() {
                count += 1;
            }
        }
        assert_eq!(count, 2, "cut at {cut}");
    }
}

#[test]
fn trap_03_messagepack_forms_and_the_exact_ping() {
    let call = HubMessage::Invocation(Invocation {
        invocation_id: None,
        call: Call::new("m", Payload::no_arguments(Encoding::MessagePack)),
    });
    assert_eq!(decoded(Encoding::MessagePack, b"\x07\x95\x01\x80\xc0\xa1m\x90"), std::slice::from_ref(&call));
    assert_eq!(decoded(Encoding::MessagePack, b"\x08\x96\x01\x80\xc0\xa1m\x90\x90"), [call]);
    let close = HubMessage::Close(Close::default());
    assert_eq!(
        decoded(Encoding::MessagePack, b"\x03\x92\x07\xc0\x04\x93\x07\xc0\xc2"),
        [close.clone(), close]
    );
    // The type as a 64-bit integer.
    assert_eq!(decoded(Encoding::MessagePack, b"\x0a\x91\xcf\0\0\0\0\0\0\0\x06"), [HubMessage::Ping]);
    let mut out = Vec::new();
    Encoding::MessagePack.encode(&HubMessage::Ping, &mut out).unwrap();
    assert_eq!(out, [0x02, 0x91, 0x06]);
    // Nothing that older Java clients fail on: no null strings, no headers that nobody asked for.
    let mut out = Vec::new();
    let arguments = Payload::no_arguments(Encoding::Json);
    let call = HubMessage::Invocation(Invocation { invocation_id: None, call: Call::new("m", arguments) });
    Encoding::Json.encode(&call, &mut out).unwrap();
    assert_eq!(out, b"{\"type\":1,\"target\":\"m\",\"arguments\":[]}\x1e");
}

#[test]
fn trap_04_a_null_result_and_none_are_alike_to_callers() {
    for bytes in [
        &b"{\"type\":3,\"invocationId\":\"0\",\"result\":null}\x1e"[..],
        b"{\"type\":3,\"invocationId\":\"0\"}\x1e",
    ] {
        let messages = decoded(Encoding::Json, bytes);
        let [HubMessage::Completion(Completion { outcome, .. })] = &messages[..] else {
            panic!("{messages:?}")
        };
        let value = match outcome {
            Outcome::Void => Payload::null(Encoding::Json),
            Outcome::Value(value) => value.clone(),
            Outcome::Error(_) => panic!("{outcome:?}"),
        };
        value.decode::<()>().unwrap();
        assert_eq!(value.decode::<Option<i64>>().unwrap(), None);
    }
}

#[test]
fn trap_05_calls_without_id_are_never_answered_and_others_once() {
    let mut bench = bench_in(Phase::Connected);
    let call = |id: Option<&str>| {
        HubMessage::Invocation(Invocation { invocation_id: id.map(Into::into), call: Call::new("m", 1) })
    };
    let outputs = bench.message(call(None));
    assert!(matches!(outputs[..], [Output::Event(Event::Invocation { reply: None, .. })]));
    let outputs = bench.message(call(Some("5")));
    let [Output::Event(Event::Invocation { reply: Some(reply), .. })] = outputs[..] else { panic!() };
    assert_eq!(describe(&bench.command(Command::Reply(reply, Reply::Value(1)))), "transmit-3");
    assert_eq!(describe(&bench.command(Command::Reply(reply, Reply::Value(1)))), "");
}

#[test]
fn trap_09_every_transport_gets_a_new_negotiation() {
    let mut bench = bench_in(Phase::Opening);
    let failed = Err(RequestFailure::Network("refused".into()));
    assert_eq!(describe(&bench.give(Input::Closed(bench.link.unwrap(), failed))), "negotiate");
}

#[test]
fn trap_10_every_start_begins_at_the_original_url_with_the_users_token() {
    let mut bench = bench_in(Phase::Negotiating);
    let redirect = Redirect { url: "http://elsewhere/".into(), access_token: Some("theirs".into()) };
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(NegotiateResponse::Redirect(redirect))));
    bench.command(Command::Stop);
    bench.command(Command::Start);
    let outputs = bench.give(Input::Token(bench.request.unwrap(), Ok(Some("mine".into()))));
    let [Output::Negotiate(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(request.url.starts_with("http://h/hub/negotiate") && request.token.as_deref() == Some("mine"));
}

/// Connected over a WebSocket with stateful reconnect.
fn stateful() -> Bench {
    let mut config = config();
    config.has_token_factory = false;
    config.stateful_reconnect = Some(1000);
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    let NegotiateResponse::Accepted(accepted) = negotiated(&Transport::ALL) else { unreachable!() };
    let accepted = Negotiated { stateful_reconnect: true, ..accepted };
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(NegotiateResponse::Accepted(accepted))));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    bench
}

#[test]
fn trap_11_version_2_only_when_negotiated_and_nothing_before_the_sequence() {
    let mut bench = bench_in(Phase::Opening);
    let outputs = bench.give(Input::Opened(bench.link.unwrap()));
    let [Output::Handshake(_, request)] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(request.version, 1);
    let mut bench = stateful();
    bench.give(Input::Closed(bench.link.unwrap(), Err(RequestFailure::Network("cut".into()))));
    bench.give(Input::Opened(bench.link.unwrap()));
    let push = HubMessage::Invocation(Invocation { invocation_id: None, call: Call::new("m", 1) });
    assert!(bench.message(push).is_empty());
    // A sequence id below 1 would make all that follows look like a repetition.
    assert_eq!(describe(&bench.message(HubMessage::Sequence { sequence_id: 0 })), "shut Disconnected");
}

#[test]
fn trap_12_the_text_of_a_refusal_reaches_the_user() {
    let mut bench = bench_in(Phase::Negotiating);
    let refused = RequestFailure::Status { code: 401, text: "Unauthorized".into(), retry_after: None };
    let (_, text) = failure(&bench.give(Input::Negotiated(bench.request.unwrap(), Err(refused))));
    assert!(text.contains("401") && text.contains("Unauthorized"), "{text}");
}

#[test]
fn trap_13_an_answer_that_waits_holds_nothing_up() {
    let mut bench = bench_in(Phase::Connected);
    let asked =
        HubMessage::Invocation(Invocation { invocation_id: Some("1".into()), call: Call::new("m", 1) });
    bench.message(asked);
    let push = HubMessage::Invocation(Invocation { invocation_id: None, call: Call::new("m", 2) });
    assert_eq!(describe(&bench.message(push)), "call-handler");
    // Nor does the server have to wait for an answer that it no longer wants.
    let outputs = bench.message(HubMessage::CancelInvocation(CancelInvocation::new("1")));
    assert!(matches!(outputs[..], [Output::Event(Event::InvocationCancelled(_))]));
}

#[test]
fn trap_15_at_most_one_acknowledgement_per_second() {
    let mut bench = stateful();
    let mut acknowledgements = 0;
    for _ in 0..100 {
        let push = HubMessage::Invocation(Invocation { invocation_id: None, call: Call::new("m", 1) });
        bench.message(push);
        let outputs = bench.pass(Duration::from_millis(100));
        acknowledgements += describe(&outputs).matches("transmit-8").count();
    }
    assert_eq!(acknowledgements, 10);
}

#[test]
fn trap_18_a_close_says_whether_to_come_back() {
    for allow_reconnect in [false, true] {
        let mut bench = bench_in(Phase::Connected);
        let outputs =
            bench.message(HubMessage::Close(Close { error: None, allow_reconnect, retry_after: None }));
        let expected = Cause::ServerClosed { allow_reconnect };
        let cause = outputs.iter().find_map(|output| match output {
            Output::Event(Event::StateChanged { state: ConnectionState::Disconnected, cause }) => Some(cause),
            _ => None,
        });
        assert_eq!(cause, Some(&expected));
    }
}

#[test]
fn trap_19_a_ping_after_the_handshake_and_none_on_long_polling() {
    let mut bench = bench_in(Phase::Handshaking);
    let outputs = bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    assert_eq!(describe(&outputs), "transmit-6 Connected");
    let mut config = config();
    config.transports = vec![Transport::LongPolling];
    let mut bench = Bench::new(config);
    advance(&mut bench, Phase::Negotiating);
    let response = negotiated(&[Transport::LongPolling]);
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(response)));
    bench.give(Input::Opened(bench.link.unwrap()));
    let outputs = bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    assert_eq!((describe(&outputs).as_str(), bench.wait), ("Connected", None));
}

#[test]
fn trap_20_a_close_handshake_is_final() {
    let mut bench = stateful();
    assert_eq!(describe(&bench.give(Input::Closed(bench.link.unwrap(), Ok(())))), "Disconnected");
    let mut bench = stateful();
    let cut = Err(RequestFailure::Network("cut".into()));
    assert_eq!(describe(&bench.give(Input::Closed(bench.link.unwrap(), cut))), "open");
}

/// Not a trap of the protocol, but one of ours: what we add must neither be seen by others nor break on what they add.
#[test]
fn extensions_are_named_in_the_negotiation_and_unknown_ones_ignored() {
    let NegotiateResponse::Accepted(plain) = negotiated(&Transport::ALL) else { panic!() };
    let body = String::from_utf8(NegotiateResponse::Accepted(plain.clone()).encode()).unwrap();
    assert!(!body.contains("hubwire"), "{body}");
    let extensions = Extensions {
        version: 1,
        features: vec![Feature::Dedupe],
        epoch: Some("e".into()),
        dedupe_window: Some(std::time::Duration::from_secs(2)),
    };
    let extended = NegotiateResponse::Accepted(Negotiated { extensions: Some(extensions), ..plain });
    let body = String::from_utf8(extended.encode()).unwrap();
    assert!(
        body.contains(r#""hubwire":{"version":1,"features":["dedupe"],"epoch":"e","dedupeWindowMs":2000}"#),
        "{body}"
    );
    assert_eq!(NegotiateResponse::decode(body.as_bytes()).unwrap(), extended);
    let newer =
        body.replace(r#""version":1,"features":["#, r#""version":7,"more":{},"features":[1,"telepathy","#);
    let NegotiateResponse::Accepted(newer) = NegotiateResponse::decode(newer.as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(
        newer.extensions,
        Some(Extensions {
            version: 7,
            features: vec![Feature::Dedupe],
            epoch: Some("e".into()),
            dedupe_window: Some(std::time::Duration::from_secs(2))
        })
    );
}
