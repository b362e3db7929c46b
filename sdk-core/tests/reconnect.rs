//! Reconnection in virtual time: what is tried again, when, and what is not.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use hubwire::client::{
    Cause, Command, Config, ConnectionState, Event, Hint, Input, Output, RequestFailure, RetryPolicy,
};
use hubwire::protocol::{Close, HandshakeResponse, HubMessage, NegotiateResponse, ProtocolError, Transport};
use hubwire::{Error, ErrorKind, Time};
use support::*;

const SECOND: Duration = Duration::from_secs(1);

fn with(policy: RetryPolicy) -> Config {
    let mut config = config();
    config.has_token_factory = false;
    config.retry = policy;
    config
}

/// Connected for long enough to count as a connection that lasted.
fn connected(policy: RetryPolicy) -> Bench {
    let mut bench = Bench::new(with(policy));
    bench.command(Command::Start);
    connect(&mut bench);
    bench.pass(10 * SECOND);
    bench
}

/// From the negotiation on.
fn connect(bench: &mut Bench) -> Vec<Output<Number>> {
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&[Transport::WebSockets]))));
    bench.give(Input::Opened(bench.link.unwrap()));
    bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())))
}

fn cut() -> Result<(), RequestFailure> {
    Err(RequestFailure::Network("cut".into()))
}

fn lose(bench: &mut Bench) -> Vec<Output<Number>> {
    bench.give(Input::Closed(bench.link.unwrap(), cut()))
}

fn refuse(bench: &mut Bench) -> Vec<Output<Number>> {
    bench.give(Input::Negotiated(bench.request.unwrap(), Err(RequestFailure::Network("refused".into()))))
}

fn delay(outputs: &[Output<Number>]) -> Option<Duration> {
    outputs.iter().find_map(|output| match output {
        Output::Event(Event::RetryScheduled { delay, .. }) => Some(*delay),
        _ => None,
    })
}

fn status(code: u16) -> RequestFailure {
    RequestFailure::Status { code, text: String::new(), retry_after: None }
}

#[test]
fn a_lost_connection_is_replaced_and_each_step_says_why() {
    let mut bench = connected(RetryPolicy::table(vec![Duration::ZERO, 2 * SECOND, 10 * SECOND]));
    let outputs = lose(&mut bench);
    let lost = Error::new(ErrorKind::Network, "cut");
    assert_eq!(describe(&outputs), "Reconnecting retry negotiate");
    assert_eq!(
        outputs[0],
        Output::Event(Event::StateChanged {
            state: ConnectionState::Reconnecting,
            cause: Cause::Failed(lost.clone())
        })
    );
    assert_eq!(
        outputs[1],
        Output::Event(Event::RetryScheduled { previous_retry_count: 0, delay: Duration::ZERO, reason: lost })
    );
    let outputs = refuse(&mut bench);
    let [Output::Event(Event::RetryScheduled { previous_retry_count: 1, delay: wait, reason })] =
        &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!(*wait, 2 * SECOND);
    assert_eq!(reason.detail(), "Failed to complete negotiation with the server: refused");
    assert_eq!(bench.state(), ConnectionState::Reconnecting);
    assert!(bench.pass(2 * SECOND - Duration::from_millis(1)).is_empty());
    assert_eq!(describe(&bench.pass(Duration::from_millis(1))), "negotiate");
    let NegotiateResponse::Accepted(mut accepted) = negotiated(&[Transport::WebSockets]) else { panic!() };
    accepted.connection_id = "another".into();
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(NegotiateResponse::Accepted(accepted))));
    bench.give(Input::Opened(bench.link.unwrap()));
    let outputs = bench.give(Input::Handshake(bench.link.unwrap(), Ok(HandshakeResponse::default())));
    let established = Cause::Established {
        connection_id: Some("another".into()),
        previous_connection_id: Some("public".into()),
    };
    assert!(outputs.contains(&Output::Event(Event::StateChanged {
        state: ConnectionState::Connected,
        cause: established
    })));
    let metrics = bench.client.metrics();
    assert_eq!((metrics.connections, metrics.reconnections, metrics.retries), (2, 1, 2));
    // The count begins anew.
    bench.pass(10 * SECOND);
    assert_eq!(delay(&lose(&mut bench)), Some(Duration::ZERO));
}

trait OrPanic {
    fn unwrap_delay(self) -> Duration;
}

impl OrPanic for Vec<Output<Number>> {
    fn unwrap_delay(self) -> Duration {
        delay(&self).unwrap_or_else(|| panic!("no retry in {self:?}"))
    }
}

#[test]
fn the_default_never_gives_up_and_tries_the_first_start_again() {
    let mut bench = Bench::new(with(RetryPolicy::default()));
    bench.command(Command::Start);
    let mut longest = Duration::ZERO;
    for attempt in 0..2000 {
        let wait = refuse(&mut bench).unwrap_delay();
        assert_eq!(bench.state(), ConnectionState::Connecting);
        let cap = SECOND.saturating_mul(1 << attempt.min(5)).min(30 * SECOND);
        assert!(wait <= cap, "attempt {attempt}: {wait:?}");
        longest = longest.max(wait);
        assert_eq!(describe(&bench.pass(wait)), "negotiate");
    }
    assert!(longest > 29 * SECOND);
    connect(&mut bench);
    assert_eq!(bench.state(), ConnectionState::Connected);
    assert_eq!(bench.client.metrics().reconnections, 0, "a first start is none");
}

#[test]
fn a_policy_that_gives_up_ends_with_the_last_reason() {
    let mut bench = connected(RetryPolicy::signalr());
    let mut wait = lose(&mut bench).unwrap_delay();
    for expected in [2, 10, 30] {
        bench.pass(wait);
        wait = refuse(&mut bench).unwrap_delay();
        assert_eq!(wait, expected * SECOND);
    }
    bench.pass(wait);
    let outputs = refuse(&mut bench);
    assert_eq!(describe(&outputs), "Disconnected");
    assert_eq!(failure(&outputs).1, "Failed to complete negotiation with the server: refused");
    assert_eq!(bench.wait, None);
    // Its first start is not tried again.
    let mut bench = Bench::new(with(RetryPolicy::signalr()));
    bench.command(Command::Start);
    assert_eq!(describe(&refuse(&mut bench)), "Disconnected");
}

type Failing = fn(&mut Bench) -> Vec<Output<Number>>;

#[test]
fn a_first_start_that_can_never_succeed_says_so_and_a_reconnection_goes_on() {
    let finals: [(&str, Failing); 7] = [
        ("400", |bench| bench.give(Input::Negotiated(bench.request.unwrap(), Err(status(400))))),
        ("401", |bench| bench.give(Input::Negotiated(bench.request.unwrap(), Err(status(401))))),
        ("404", |bench| bench.give(Input::Negotiated(bench.request.unwrap(), Err(status(404))))),
        ("refused", |bench| {
            bench.give(Input::Negotiated(bench.request.unwrap(), Ok(NegotiateResponse::Refused("no".into()))))
        }),
        ("not SignalR", |bench| {
            let error = ProtocolError::Negotiate("it is not JSON".into());
            bench.give(Input::Negotiated(bench.request.unwrap(), Err(RequestFailure::Protocol(error))))
        }),
        ("no transport", |bench| bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&[]))))),
        ("handshake refused", |bench| {
            bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&[Transport::WebSockets]))));
            bench.give(Input::Opened(bench.link.unwrap()));
            let refused = HandshakeResponse { error: Some("no".into()) };
            bench.give(Input::Handshake(bench.link.unwrap(), Ok(refused)))
        }),
    ];
    for (name, fail) in finals {
        let mut bench = Bench::new(with(RetryPolicy::default()));
        bench.command(Command::Start);
        let outputs = fail(&mut bench);
        assert_eq!(bench.state(), ConnectionState::Disconnected, "{name}");
        failure(&outputs);
        // Once connected, the address and the rest have proved to be right.
        let mut bench = connected(RetryPolicy::default());
        let wait = lose(&mut bench).unwrap_delay();
        bench.pass(wait);
        let outputs = fail(&mut bench);
        assert!(delay(&outputs).is_some(), "{name}: {outputs:?}");
        assert_eq!(bench.state(), ConnectionState::Reconnecting, "{name}");
    }
    // What fails after the negotiation is between those that know each other already.
    let mut bench = Bench::new(with(RetryPolicy::default()));
    bench.command(Command::Start);
    bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&[Transport::WebSockets]))));
    bench.give(Input::Closed(bench.link.unwrap(), Err(status(404))));
    let outputs =
        bench.give(Input::Negotiated(bench.request.unwrap(), Ok(negotiated(&[Transport::WebSockets]))));
    assert!(delay(&outputs).is_some(), "{outputs:?}");
    for code in [408, 425, 429, 500, 502, 503, 504] {
        let mut bench = Bench::new(with(RetryPolicy::default()));
        bench.command(Command::Start);
        let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Err(status(code))));
        assert!(delay(&outputs).is_some(), "{code}: {outputs:?}");
    }
}

#[test]
fn a_token_factory_that_fails_or_hangs_is_asked_again() {
    let mut config = with(RetryPolicy::default());
    config.has_token_factory = true;
    let mut bench = Bench::new(config);
    bench.command(Command::Start);
    for _ in 0..5 {
        let outputs = bench.give(Input::Token(bench.request.unwrap(), Err("the vault is closed".into())));
        let [Output::Event(Event::RetryScheduled { reason, delay, .. })] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        assert_eq!(reason.detail(), "The access token factory failed: the vault is closed");
        assert_eq!(describe(&bench.pass(*delay)), "ask-token");
    }
    let wait = bench.pass(30 * SECOND).unwrap_delay();
    let late = bench.request.unwrap();
    bench.pass(wait);
    assert!(bench.give(Input::Token(late, Ok(None))).is_empty(), "the answer to a question of the past");
    bench.give(Input::Token(bench.request.unwrap(), Ok(None)));
    connect(&mut bench);
    assert_eq!(bench.state(), ConnectionState::Connected);
}

#[test]
fn a_custom_policy_is_asked_with_signalrs_context() {
    let mut bench = connected(RetryPolicy::custom());
    let outputs = lose(&mut bench);
    assert_eq!(describe(&outputs), "Reconnecting ask-policy");
    let ask = |outputs: &[Output<Number>]| match outputs.last() {
        Some(Output::Retry(request, context)) => (*request, context.clone()),
        _ => panic!("{outputs:?}"),
    };
    let (request, context) = ask(&outputs);
    assert_eq!((context.previous_retry_count, context.elapsed), (0, Duration::ZERO));
    assert_eq!(context.reason, Error::new(ErrorKind::Network, "cut"));
    assert_eq!(bench.give(Input::RetryAfter(request, Some(7 * SECOND))).unwrap_delay(), 7 * SECOND);
    assert!(bench.give(Input::RetryAfter(request, None)).is_empty(), "answered already");
    bench.pass(7 * SECOND);
    let (request, context) = ask(&refuse(&mut bench));
    assert_eq!((context.previous_retry_count, context.elapsed), (1, 7 * SECOND));
    assert_eq!(describe(&bench.give(Input::RetryAfter(request, None))), "Disconnected");
    // One that does not answer is not the end of trying, and an absurd answer does not overflow.
    let mut bench = connected(RetryPolicy::custom());
    lose(&mut bench);
    assert_eq!(bench.pass(30 * SECOND).unwrap_delay(), 30 * SECOND);
    let mut bench = connected(RetryPolicy::custom());
    let (request, _) = ask(&lose(&mut bench));
    bench.give(Input::RetryAfter(request, Some(Duration::MAX)));
    // No timer is needed for a time that never comes.
    assert_eq!(bench.wait, None);
    assert_eq!(describe(&bench.command(Command::Stop)), "Disconnected");
}

#[test]
fn a_close_message_decides_whether_to_come_back_and_when() {
    let close =
        |allow_reconnect, retry_after| HubMessage::Close(Close { error: None, allow_reconnect, retry_after });
    let mut bench = connected(RetryPolicy::default());
    let outputs = bench.message(close(true, Some(7 * SECOND)));
    assert_eq!(
        outputs[1],
        Output::Event(Event::StateChanged {
            state: ConnectionState::Reconnecting,
            cause: Cause::ServerClosed { allow_reconnect: true }
        })
    );
    assert_eq!(outputs.unwrap_delay(), 7 * SECOND, "the server's hint wins");
    assert!(bench.give(Input::Hint(Hint::Online)).is_empty());
    assert!(bench.pass(6 * SECOND).is_empty(), "also over the platform's");
    assert_eq!(describe(&bench.pass(SECOND)), "negotiate");

    let mut bench = connected(RetryPolicy::default());
    let outputs = bench.message(close(true, Some(Duration::from_secs(1 << 40))));
    assert_eq!(outputs.unwrap_delay(), Duration::from_secs(3600), "but not for ever");

    let mut bench = connected(RetryPolicy::default());
    assert_eq!(describe(&bench.message(close(false, None))), "shut Disconnected");
    let mut bench = connected(RetryPolicy::never());
    assert_eq!(describe(&bench.message(close(true, Some(SECOND)))), "shut Disconnected");

    // Over HTTP the hint is the header.
    let mut bench = Bench::new(with(RetryPolicy::default()));
    bench.command(Command::Start);
    let busy = RequestFailure::Status { code: 503, text: String::new(), retry_after: Some(9 * SECOND) };
    let outputs = bench.give(Input::Negotiated(bench.request.unwrap(), Err(busy)));
    assert_eq!(outputs.unwrap_delay(), 9 * SECOND);
}

/// How many attempts a server sees in a minute that takes every connection and closes it at once.
fn attempts_in_a_minute(policy: RetryPolicy) -> u32 {
    let mut bench = Bench::new(with(policy));
    bench.command(Command::Start);
    let end = bench.now + Duration::from_secs(60);
    let mut attempts = 0;
    while bench.now < end {
        connect(&mut bench);
        attempts += 1;
        // What makes the client disconnect for good would end the loop too.
        let outputs = lose(&mut bench);
        if bench.state() == ConnectionState::Disconnected {
            break;
        }
        if !describe(&outputs).ends_with("negotiate") {
            bench.pass_to_deadline();
        }
    }
    attempts
}

#[test]
fn a_server_that_takes_every_connection_and_drops_it_is_not_called_without_a_pause() {
    for policy in [
        RetryPolicy::default(),
        RetryPolicy::signalr(),
        RetryPolicy::conduit(),
        RetryPolicy::table(vec![Duration::ZERO; 1000]),
    ] {
        let attempts = attempts_in_a_minute(policy.clone());
        assert!((3..=12).contains(&attempts), "{attempts} attempts with {policy:?}");
    }
    // Not even if it asks for that.
    let mut bench = connected(RetryPolicy::default());
    let began = bench.now;
    for _ in 0..10 {
        let retry_after = Some(Duration::ZERO);
        bench.message(HubMessage::Close(Close { error: None, allow_reconnect: true, retry_after }));
        if bench.wait.is_some_and(|wait| wait > bench.now) && bench.state() == ConnectionState::Reconnecting {
            bench.pass_to_deadline();
        }
        connect(&mut bench);
    }
    assert!(bench.now.since(began) > Duration::from_secs(60), "{:?}", bench.now.since(began));
    // Those that last may be lost any number of times.
    let mut bench = connected(RetryPolicy::signalr());
    for _ in 0..20 {
        assert_eq!(describe(&lose(&mut bench)), "Reconnecting retry negotiate");
        connect(&mut bench);
        bench.pass(5 * SECOND);
        bench.message(HubMessage::Ping);
    }
}

#[test]
fn hints_hurry_and_hold_back() {
    let waiting = || {
        let mut bench = connected(RetryPolicy::table(vec![20 * SECOND; 10]));
        lose(&mut bench);
        bench
    };
    for hint in [Hint::Online, Hint::Resumed, Hint::Foreground] {
        let mut bench = waiting();
        assert!(bench.give(Input::Hint(hint)).is_empty());
        assert_eq!(describe(&bench.pass(SECOND)), "negotiate", "{hint:?}");
    }
    for (hold, release) in [(Hint::Offline, Hint::Online), (Hint::Background, Hint::Foreground)] {
        let mut bench = connected(RetryPolicy::table(vec![Duration::ZERO; 10]));
        bench.give(Input::Hint(hold));
        // Not for ever: the platform may be wrong.
        assert_eq!(lose(&mut bench).unwrap_delay(), 30 * SECOND, "{hold:?}");
        bench.give(Input::Hint(release));
        assert_eq!(describe(&bench.pass(SECOND)), "negotiate", "{release:?}");
        assert_eq!(refuse(&mut bench).unwrap_delay(), Duration::ZERO);
    }
    // What has nothing to hurry.
    let mut bench = bench_in(Phase::Disconnected);
    assert!(bench.give(Input::Hint(Hint::Online)).is_empty());
    assert_eq!(bench.wait, None);
}

#[test]
fn stopping_while_waiting_ends_it_and_nothing_comes_back() {
    let mut bench = connected(RetryPolicy::default());
    lose(&mut bench);
    assert_eq!(describe(&bench.command(Command::Stop)), "Disconnected");
    assert_eq!(bench.wait, None);
    assert!(bench.pass(3600 * SECOND).is_empty());
    assert_eq!(describe(&bench.command(Command::Start)), "Connecting negotiate");
}

#[test]
fn two_clients_with_one_seed_agree_and_with_two_do_not() {
    let delays = |seed| {
        let mut client = hubwire::client::Client::<Number>::new(with(RetryPolicy::default()), seed);
        let mut delays = Vec::new();
        let mut now = Time::ZERO;
        client.handle(now, Input::Command(Command::Start)).unwrap();
        while delays.len() < 20 {
            let wait = loop {
                match client.poll() {
                    Output::Negotiate(request, _) => {
                        let refused = Err(RequestFailure::Network("refused".into()));
                        client.handle(now, Input::Negotiated(request, refused)).unwrap();
                    }
                    Output::Event(Event::RetryScheduled { delay, .. }) => delays.push(delay),
                    Output::Wait(deadline) => break deadline.unwrap(),
                    _ => {}
                }
            };
            now = wait;
            client.handle(now, Input::Tick).unwrap();
        }
        delays
    };
    assert_eq!(delays(1), delays(1));
    assert_ne!(delays(1), delays(2));
}
