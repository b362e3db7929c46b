//! Commands and notices, as a library in another language has them.
#![allow(clippy::unwrap_used, missing_docs)]

mod foreign;

use foreign::{Foreign, World, settings};
use hubwire_ffi::{
    CallKind, CallSettings, ConnectionState, Encoding, ErrorKind, HubFailure, LIMIT, Notice, OutboxSettings,
    RetrySchedule, Settings,
};
use serde_json::{Value, json};

const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

fn started(world: &World, encoding: Encoding) -> Foreign {
    let foreign = Foreign::open(settings(world.url.clone(), encoding)).unwrap();
    foreign.started();
    foreign
}

fn options() -> CallSettings {
    CallSettings {
        timeout: None,
        expires_after: None,
        priority: None,
        supersede_key: None,
        idempotent: false,
        durable: false,
        queue: true,
    }
}

#[test]
fn calls_end_with_their_ids() {
    let world = World::new();
    for encoding in ENCODINGS {
        let foreign = started(&world, encoding);
        let value = json!({"text": "ä\n", "list": [1, 2.5, null, true, -9_007_199_254_740_993_i64]});
        assert!(!foreign.call(1, CallKind::Invoke, "Echo", json!([value])).unwrap());
        foreign.call(2, CallKind::Invoke, "Refuse", json!(["no"])).unwrap();
        assert_eq!(foreign.end(1).unwrap(), value);
        let error = foreign.end(2).unwrap_err();
        assert!(error.starts_with("Refused:") && error.contains("no"), "{error}");
        assert!(foreign.call(3, CallKind::Send, "Echo", json!([1])).unwrap(), "a send is over at once");
    }
}

#[test]
fn what_cannot_be_sent_is_misuse() {
    let world = World::new();
    for encoding in ENCODINGS {
        let foreign = started(&world, encoding);
        for arguments in ["", "{}", "[1", "7"] {
            let call = foreign.connection.call(
                1,
                CallKind::Invoke,
                "Echo".into(),
                arguments.into(),
                Vec::new(),
                None,
            );
            let HubFailure::Failed { kind, .. } = call.unwrap_err();
            assert_eq!(kind, ErrorKind::Misuse, "{arguments}");
        }
        for (name, wrong) in [
            ("timeout", CallSettings { timeout: Some(-1.0), ..options() }),
            ("expiresAfter", CallSettings { expires_after: Some(f64::NAN), ..options() }),
        ] {
            let call = foreign.connection.call(
                1,
                CallKind::Invoke,
                "Echo".into(),
                "[1]".into(),
                Vec::new(),
                Some(wrong),
            );
            assert!(call.unwrap_err().to_string().contains(name));
        }
        foreign.call(1, CallKind::Invoke, "Echo", json!([1])).unwrap();
        assert_eq!(foreign.end(1), Ok(json!(1)), "the connection goes on");
    }
}

#[test]
fn settings_that_are_not_possible_are_named() {
    type Change = fn(&mut Settings);
    let wrong: [(&str, Change); 6] = [
        ("keepAliveInterval", |settings| settings.keep_alive_interval = Some(-1.0)),
        ("serverTimeout", |settings| settings.server_timeout = Some(f64::INFINITY)),
        ("delays", |settings| settings.retry = Some(RetrySchedule::Table { delays: vec![f64::NAN] })),
        ("window", |settings| {
            settings.outbox = Some(OutboxSettings { window: Some(0), ..OutboxSettings::default() });
        }),
        ("position", |settings| settings.positions = vec!["?".into()]),
        ("session id", |settings| settings.session_id = Some("two words".into())),
    ];
    for (name, change) in wrong {
        let mut settings = settings("http://127.0.0.1:1/hub".into(), Encoding::Json);
        change(&mut settings);
        let failure = Foreign::open(settings).err().unwrap();
        assert!(failure.to_string().contains(name), "{name}: {failure}");
    }
}

#[test]
fn a_start_that_comes_to_nothing_says_why() {
    let mut settings = settings("http://127.0.0.1:1/hub".into(), Encoding::Json);
    settings.retry = Some(RetrySchedule::Never);
    let foreign = Foreign::open(settings).unwrap();
    let ticket = foreign.connection.start().unwrap();
    let fault = foreign.find(|notice| match notice {
        Notice::Started { ticket: ended, fault } => Some((ended, fault)),
        _ => None,
    });
    assert_eq!((fault.0, fault.1.unwrap().kind), (ticket, ErrorKind::Network));
}

#[test]
fn a_second_start_is_misuse_and_a_stop_ends_the_first() {
    // Nobody is there, and it is tried again for ever.
    let foreign = Foreign::open(settings("http://127.0.0.1:1/hub".into(), Encoding::Json)).unwrap();
    let (first, second) = (foreign.connection.start().unwrap(), foreign.connection.start().unwrap());
    let ended = || {
        foreign.find(|notice| match notice {
            Notice::Started { ticket, fault } => Some((ticket, fault.unwrap().kind)),
            _ => None,
        })
    };
    assert_eq!(ended(), (second, ErrorKind::Misuse));
    let stop = foreign.connection.stop();
    assert_eq!(ended(), (first, ErrorKind::Cancelled));
    foreign.find(|notice| (notice == Notice::Stopped { ticket: stop }).then_some(()));
}

#[test]
fn what_was_not_released_holds_back_the_server() {
    const MESSAGES: u32 = 40_000;
    let world = World::new();
    let foreign = started(&world, Encoding::Json);
    foreign.call(1, CallKind::Send, "Flood", json!([MESSAGES])).unwrap();
    let (mut held, mut number) = (0usize, 0u32);
    let mut take = |notice| {
        if let Notice::Invocation { arguments, cost, .. } = notice {
            assert_eq!(serde_json::from_slice::<u32>(&arguments[0]).unwrap(), number, "in order");
            (held, number) = (held + cost as usize, number + 1);
        }
        held
    };
    while take(foreign.next()) < LIMIT {}
    // The other connections go on meanwhile, and nothing more comes of this one.
    let other = started(&world, Encoding::Json);
    for call in 1..200 {
        other.call(call, CallKind::Invoke, "Echo", json!([call])).unwrap();
        assert_eq!(other.end(call), Ok(json!(call)));
    }
    for notice in foreign.notices.try_iter() {
        take(notice);
    }
    assert!(held < LIMIT + 2_000 && number < MESSAGES, "the rest is with the server: {held}, {number}");
    foreign.connection.release(held as u64);
    while number < MESSAGES {
        if let Notice::Invocation { arguments, cost, .. } = foreign.next() {
            assert_eq!(serde_json::from_slice::<u32>(&arguments[0]).unwrap(), number);
            number += 1;
            foreign.connection.release(cost.into());
        }
    }
}

/// A handler that nothing gets on without may wait for a call, whose end is behind more messages than are held back otherwise.
#[test]
fn the_end_of_a_call_is_read_behind_what_waits_for_handlers() {
    let world = World::new();
    let foreign = started(&world, Encoding::Json);
    foreign.call(1, CallKind::Send, "Flood", json!([12_000])).unwrap();
    let mut held = 0;
    while held < LIMIT {
        if let Notice::Invocation { cost, .. } = foreign.next() {
            held += cost as usize;
        }
    }
    // Made while the connection does not read.
    foreign.call(2, CallKind::Invoke, "Echo", json!(["there"])).unwrap();
    assert_eq!(foreign.end(2), Ok(json!("there")));
}

/// Those that the connection has not come to yet are not ended by the stop before them.
#[test]
fn a_stop_ends_no_later_start() {
    // Nobody answers there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hub", silent.local_addr().unwrap());
    let foreign = Foreign::open(settings(url, Encoding::Json)).unwrap();
    let first = foreign.connection.start().unwrap();
    foreign.connection.stop();
    // Some come too early, one does not, and those behind it are too many.
    let (mut later, mut ended) = (0, Vec::new());
    let mut has_begun = false;
    while !has_begun {
        for _ in 0..50 {
            foreign.connection.start().unwrap();
        }
        later += 50;
        while !has_begun && ended.len() < later {
            match foreign.next() {
                Notice::State { change } => {
                    has_begun = change.new == ConnectionState::Connecting && !ended.is_empty();
                }
                Notice::Started { ticket, fault } => ended.push((ticket, fault.unwrap().kind)),
                _ => {}
            }
        }
    }
    foreign.connection.stop();
    while ended.len() < 1 + later {
        if let Notice::Started { ticket, fault } = foreign.next() {
            ended.push((ticket, fault.unwrap().kind));
        }
    }
    let cancelled: Vec<u64> =
        ended.iter().filter(|(_, kind)| *kind == ErrorKind::Cancelled).map(|(ticket, _)| *ticket).collect();
    assert_eq!((cancelled.len(), cancelled[0]), (2, first), "each stop has ended one: {ended:?}");
    assert!(
        ended.iter().all(|(_, kind)| matches!(kind, ErrorKind::Cancelled | ErrorKind::Misuse)),
        "{ended:?}"
    );
}

#[test]
fn what_json_cannot_say_is_written_in_another_way() {
    let world = World::new();
    let foreign = started(&world, Encoding::MessagePack);
    let values = json!([[1, {"$binary": "AAE="}, {"$timestamp": "2024-01-01T00:00:00Z"}]]);
    foreign.call(1, CallKind::Send, "Tell", values).unwrap();
    let mut values = Vec::<Value>::new();
    while values.len() < 3 {
        if let Notice::Invocation { arguments, .. } = foreign.next() {
            values.push(serde_json::from_slice(&arguments[0]).unwrap());
        }
    }
    assert_eq!(values, [json!(1), json!("AAE="), json!("2024-01-01T00:00:00Z")]);
}

#[test]
fn an_argument_that_cannot_be_read_is_refused_alone() {
    let world = World::new();
    let foreign = started(&world, Encoding::MessagePack);
    foreign.call(1, CallKind::Invoke, "AskTooDeep", json!([])).unwrap();
    let (target, reason) = foreign.find(|notice| match notice {
        Notice::Unreadable { target, reason } => Some((target, reason)),
        _ => None,
    });
    assert!(target == "question" && reason.contains("argument 1") && reason.contains("128"), "{reason}");
    let told = foreign.end(1).unwrap();
    assert!(told.as_str().unwrap().ends_with(&reason), "the server was told: {told}");
    foreign.call(2, CallKind::Invoke, "Echo", json!([1])).unwrap();
    assert_eq!(foreign.end(2), Ok(json!(1)), "the connection goes on");
}

#[test]
fn a_token_is_asked_for_and_may_not_be_had() {
    let world = World::new();
    let mut settings = settings(world.url.clone(), Encoding::Json);
    (settings.has_token_factory, settings.retry) = (true, Some(RetrySchedule::Never));
    let foreign = Foreign::open(settings).unwrap();
    let ticket = foreign.connection.start().unwrap();
    let question = |foreign: &Foreign| {
        foreign.find(|notice| match notice {
            Notice::Token { question } => Some(question),
            _ => None,
        })
    };
    let asked = question(&foreign);
    foreign.connection.token(asked, None, Some("no key".into()));
    let fault = foreign.find(|notice| match notice {
        Notice::Started { ticket: ended, fault } if ended == ticket => fault,
        _ => None,
    });
    assert!(fault.reason.contains("no key"), "{fault:?}");
    foreign.connection.start().unwrap();
    foreign.connection.token(question(&foreign), None, None);
    foreign.find(|notice| matches!(notice, Notice::Started { fault: None, .. }).then_some(()));
}

#[test]
fn calls_of_the_server_are_answered() {
    let world = World::new();
    for encoding in ENCODINGS {
        let foreign = started(&world, encoding);
        for (call, answer) in [(1, "value"), (2, "error"), (3, "none"), (4, "wrong")] {
            foreign.call(call, CallKind::Invoke, "Ask", json!([7])).unwrap();
            let reply = foreign.find(|notice| match notice {
                Notice::Invocation { reply, .. } => reply,
                _ => None,
            });
            match answer {
                "value" => foreign.connection.reply(reply, b"{\"a\":1}".to_vec()).unwrap(),
                "error" => foreign.connection.reply_error(reply, "not now".into()),
                "none" => foreign.connection.reply_none(reply),
                _ => {
                    foreign.connection.reply(reply, b"{".to_vec()).unwrap_err();
                    foreign.connection.reply(reply, b"8".to_vec()).unwrap();
                }
            }
            let end = foreign.end(call);
            match answer {
                "value" => assert_eq!(end, Ok(json!({"a": 1}))),
                "wrong" => assert_eq!(end, Ok(json!(8)), "it was still to be answered"),
                _ => assert!(end.unwrap_err().starts_with("Refused"), "{answer}"),
            }
        }
    }
}
