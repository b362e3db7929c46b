//! The short way of a plain message: the same as the long one, wherever it says yes.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use hubwire::client::{AckMode, Command, Config, Event, Input, Output};
use hubwire::protocol::{Call, HandshakeResponse, HubMessage, Invocation};
use support::*;

fn connected(config: Config) -> Bench {
    let offered = config.transports.clone();
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&offered))));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    bench
}

fn plain() -> Config {
    let mut config = config();
    config.has_token_factory = false;
    config
}

fn call() -> HubMessage<Number> {
    HubMessage::Invocation(Invocation { invocation_id: None, call: Call::new("Event", 7) })
}

#[test]
fn a_plain_message_passes_as_it_would_be_handled() {
    let (mut short, mut long) = (connected(plain()), connected(plain()));
    for _ in 0..5 {
        for bench in [&mut short, &mut long] {
            bench.now = bench.now + Duration::from_secs(7);
            // What is due comes first, on both ways.
            bench.give(Input::Tick);
        }
        let link = short.link.unwrap();
        assert!(short.client.pass(short.now, link));
        let outputs = long.message(call());
        assert!(
            matches!(&outputs[..], [Output::Event(Event::Invocation { arguments: 7, .. })]),
            "{outputs:?}"
        );
        let Output::Wait(deadline) = short.client.poll() else { panic!("more than a wait") };
        assert_eq!(deadline, long.wait);
        assert_eq!(short.client.metrics(), long.client.metrics());
    }
}

#[test]
fn what_is_due_goes_first() {
    let mut bench = connected(plain());
    bench.now = bench.now + Duration::from_secs(31);
    // The server has been silent for too long: the message was in a buffer.
    assert!(!bench.client.pass(bench.now, bench.link.unwrap()));
    assert!(describe(&bench.message(call())).contains("Disconnected"), "the timeout is noticed");
}

#[test]
fn nothing_passes_without_a_connection_or_where_messages_are_counted() {
    let mut bench = connected(plain());
    let link = bench.link.unwrap();
    bench.command(Command::Stop);
    assert!(!bench.client.pass(bench.now, link));

    let mut config = plain();
    config.stateful_reconnect = Some(100_000);
    let mut bench = Bench::new(config.clone());
    bench.command(Command::Start);
    let mut response = negotiated(&config.transports);
    if let hubwire::protocol::NegotiateResponse::Accepted(accepted) = &mut response {
        accepted.stateful_reconnect = true;
    }
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(response)));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    assert!(!bench.client.pass(bench.now, bench.link.unwrap()));
}

#[test]
fn what_is_looked_into_is_not_plain() {
    let mut config = plain();
    config.delivery.targets = vec![("Acked".into(), AckMode::Auto), ("Never".into(), AckMode::Off)];
    let client = hubwire::client::Client::<Number>::new(config.clone(), 1);
    for (target, is_plain) in
        [("Event", true), ("Never", true), ("acked", false), ("EventBatch", false), ("EventDelta", false)]
    {
        assert_eq!(client.is_plain(target), is_plain, "{target}");
    }
    assert!(!client.is_plain(hubwire::protocol::delivery::POSITION));
    config.delivery.unpack_batches = false;
    config.delivery.merge_deltas = false;
    let client = hubwire::client::Client::<Number>::new(config, 1);
    assert!(client.is_plain("EventBatch") && client.is_plain("EventDelta"));
}
