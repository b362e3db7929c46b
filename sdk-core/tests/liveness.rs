//! Whether the peer is still there: timeouts, sleep, round trips, and the quality that follows from them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use hubwire::ErrorKind;
use hubwire::client::{CallKind, RetryPolicy};
use hubwire::client::{Command, Config, ConnectionState, Event, Grade, Hint, Input, Output};
use hubwire::protocol::{Call, Completion, HandshakeResponse, HubMessage, Invocation, Outcome, Transport};
use support::*;

const SECOND: Duration = Duration::from_secs(1);

fn probing() -> Config {
    let mut config = config();
    config.has_token_factory = false;
    config.can_probe = true;
    config
}

fn connected(config: Config) -> Bench {
    let offered = config.transports.clone();
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&offered))));
    bench.give(Input::Opened(bench.link.unwrap()));
    let outputs = bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    bench.probe = probe(&outputs);
    bench
}

fn probe(outputs: &[Output<Number>]) -> Option<u64> {
    outputs.iter().find_map(|output| match output {
        Output::Probe(_, number) => Some(*number),
        _ => None,
    })
}

fn pong(bench: &mut Bench, after: Duration) {
    let number = bench.probe.take().expect("a probe");
    bench.now = bench.now + after;
    bench.give(Input::Pong(bench.link.unwrap(), number));
}

#[test]
fn a_connection_that_slept_through_its_timeout_is_dead_at_once() {
    let mut config = probing();
    config.retry = RetryPolicy::table(vec![Duration::ZERO]);
    let mut bench = connected(config);
    bench.now = bench.now + 3600 * SECOND;
    // The first thing after the sleep is a message that was in the buffers.
    let push = HubMessage::Invocation(Invocation { invocation_id: None, call: Call::new("E", 1) });
    let outputs = bench.message(push);
    assert_eq!(describe(&outputs), "abandon Reconnecting retry negotiate");
    let Output::Event(Event::StateChanged { cause, .. }) = &outputs[1] else { panic!("{outputs:?}") };
    assert!(format!("{cause:?}").contains("Server timeout elapsed"), "{cause:?}");
}

#[test]
fn a_hint_makes_the_client_doubt_a_connection_for_five_seconds() {
    for hint in [Hint::Resumed, Hint::Online, Hint::Foreground] {
        let mut bench = connected(probing());
        pong(&mut bench, Duration::from_millis(20));
        bench.pass(SECOND);
        assert_eq!(describe(&bench.give(Input::Hint(hint))), "probe", "{hint:?}");
        assert!(bench.pass(Duration::from_millis(4_999)).is_empty());
        let outputs = bench.pass(Duration::from_millis(1));
        assert_eq!(
            failure(&outputs),
            (ErrorKind::Timeout, "The server did not answer a ping in time.".into())
        );
        assert!(describe(&outputs).starts_with("abandon"), "it would not answer a close either");
        // Any sign of life will do.
        for sign in [true, false] {
            let mut bench = connected(probing());
            let outputs = bench.give(Input::Hint(hint));
            bench.probe = probe(&outputs);
            match sign {
                true => pong(&mut bench, Duration::from_millis(20)),
                false => drop(bench.message(HubMessage::Ping)),
            }
            bench.pass(6 * SECOND);
            assert_eq!(bench.state(), ConnectionState::Connected);
        }
    }
    // Nothing to ask with: the server timeout decides.
    let mut config = probing();
    config.can_probe = false;
    let mut bench = connected(config);
    assert!(bench.give(Input::Hint(Hint::Resumed)).is_empty());
    bench.pass(29 * SECOND);
    assert_eq!(bench.state(), ConnectionState::Connected);
}

#[test]
fn round_trips_are_smoothed_and_graded() {
    let mut bench = connected(probing());
    assert_eq!(bench.client.metrics().quality.grade, Grade::Good);
    assert_eq!(bench.client.metrics().quality.rtt, None);
    pong(&mut bench, Duration::from_millis(40));
    let quality = bench.client.metrics().quality;
    assert_eq!((quality.rtt, quality.jitter), (Some(Duration::from_millis(40)), Duration::from_millis(20)));
    let mut grades = Vec::new();
    for millis in [40, 40, 300, 300, 300, 300, 900, 900, 900, 900, 900, 900, 10, 10, 10, 10, 10, 10, 10, 10] {
        // With the messages that go out anyway.
        bench.message(HubMessage::Ping);
        bench.now = bench.now + 10 * SECOND;
        let outputs = bench.command(call(CallKind::Send, 1, 7, vec![]));
        bench.probe = probe(&outputs);
        pong(&mut bench, Duration::from_millis(millis));
        grades.push(bench.client.metrics().quality.grade);
    }
    assert_eq!(grades[..2], [Grade::Good, Grade::Good]);
    assert!(grades.contains(&Grade::Fair) && grades.contains(&Grade::Poor), "{grades:?}");
    let told: Vec<_> = bench
        .reports
        .iter()
        .filter_map(|event| match event {
            Event::QualityChanged(quality) => Some(quality.grade),
            _ => None,
        })
        .collect();
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "only changes are told: {told:?}");
    bench.command(Command::Stop);
    assert_eq!(bench.client.metrics().quality.grade, Grade::Lost);
}

#[test]
fn questions_that_are_not_answered_make_the_grade_lost() {
    let mut bench = connected(probing());
    for expected in [Grade::Good, Grade::Lost] {
        assert_eq!(bench.client.metrics().quality.grade, expected);
        bench.message(HubMessage::Ping);
        bench.pass(15 * SECOND);
    }
    // The answer to an old question does not count, one to the last does.
    bench.give(Input::Pong(bench.link.unwrap(), 1));
    assert_eq!(bench.client.metrics().quality.grade, Grade::Lost);
    bench.give(Input::Pong(bench.link.unwrap(), 3));
    assert_ne!(bench.client.metrics().quality.grade, Grade::Lost);
}

#[test]
fn measuring_wakes_nobody_up() {
    let mut bench = connected(probing());
    let end = bench.now + Duration::from_secs(600);
    let mut wakes = 0;
    while bench.now < end {
        let outputs = bench.pass_to_deadline();
        assert_eq!(describe(&outputs), "transmit-6 probe");
        bench.probe = probe(&outputs);
        bench.message(HubMessage::Ping);
        pong(&mut bench, Duration::ZERO);
        wakes += 1;
    }
    assert_eq!(wakes, 40, "one for each keep-alive interval");
}

#[test]
fn without_pings_of_the_transport_a_hub_method_measures() {
    let mut config = probing();
    config.transports = vec![Transport::LongPolling];
    config.ping_method = Some("Ping".into());
    let mut bench = connected(config);
    // Nothing goes out by itself on long polling.
    let outputs = bench.command(call(CallKind::Send, 1, 7, vec![]));
    assert_eq!(describe(&outputs), "transmit-1 transmit-1 completed");
    let Output::Transmit(_, HubMessage::Invocation(Invocation { invocation_id: Some(id), call: ping })) =
        &outputs[1]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((ping.target.as_ref(), ping.arguments), ("Ping", 0));
    bench.now = bench.now + Duration::from_millis(30);
    // That there is no such method does not matter.
    let answer = HubMessage::Completion(Completion::new(id.clone(), Outcome::Error("unknown".into())));
    assert!(bench.message(answer).is_empty());
    assert_eq!(bench.client.metrics().quality.rtt, Some(Duration::from_millis(30)));
}

#[test]
fn how_long_a_connection_took_is_known() {
    let mut config = config();
    config.retry = RetryPolicy::table(vec![10 * SECOND]).with_first_start(true);
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    bench.give(Input::Token(bench.request.unwrap(), Err("no".into())));
    bench.pass(10 * SECOND);
    for step in [
        |bench: &mut Bench| drop(bench.give(Input::Token(bench.request.unwrap(), Ok(None)))),
        |bench: &mut Bench| {
            let response = negotiated(&[Transport::WebSockets]);
            bench.give(Input::Negotiated(bench.request.unwrap(), Ok(response)));
        },
        |bench: &mut Bench| drop(bench.give(Input::Opened(bench.link.unwrap()))),
        |bench: &mut Bench| {
            drop(bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default()))));
        },
    ] {
        bench.now = bench.now + Duration::from_millis(7);
        step(&mut bench);
    }
    assert_eq!(
        bench.client.metrics().connect_latency,
        Some(Duration::from_millis(28)),
        "without the waiting"
    );
}

#[test]
fn what_is_not_read_is_not_late_on_the_next_connection_either() {
    let mut config = probing();
    config.retry = RetryPolicy::table(vec![Duration::ZERO]);
    let mut bench = connected(config);
    bench.give(Input::Paused);
    let cut = Err(hubwire::client::RequestFailure::Network("cut".into()));
    bench.give(Input::Closed(bench.link.unwrap(), cut));
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&[Transport::WebSockets]))));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    bench.pass(600 * SECOND);
    assert_eq!(bench.state(), ConnectionState::Connected);
    bench.give(Input::Resumed);
    bench.pass(30 * SECOND);
    assert_ne!(bench.state(), ConnectionState::Connected);
}

#[test]
fn a_connection_that_is_lost_just_after_a_sleep_is_replaced_at_once() {
    let delay_after = |silence: Duration| {
        let mut config = probing();
        config.can_probe = false;
        config.retry = RetryPolicy::table(vec![60 * SECOND; 3]);
        let mut bench = connected(config);
        bench.give(Input::Hint(Hint::Resumed));
        bench.now = bench.now + silence;
        let outputs = bench.give(Input::Closed(bench.link.unwrap(), Ok(())));
        outputs
            .iter()
            .find_map(|output| match output {
                Output::Event(Event::RetryScheduled { delay, .. }) => Some(*delay),
                _ => None,
            })
            .unwrap()
    };
    assert!(delay_after(SECOND) <= SECOND);
    assert_eq!(delay_after(6 * SECOND), 60 * SECOND);
}
