//! Any sequence of inputs against the client. Whatever happens: no panic, every call ends exactly once, nothing is
//! sent on a link that is not connected, and a client that is told to stop does stop.
#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use arbitrary::Arbitrary;
use hubwire::Time;
use hubwire::client::{
    CallId, Client, Command, Config, ConnectionState, Event, Input, LinkId, Output, Reply, ReplyId,
    RequestFailure, RequestId, UploadId,
};
use hubwire::protocol::{
    AvailableTransport, Call, CancelInvocation, Close, Completion, HandshakeResponse, HubMessage, Invocation,
    NegotiateResponse, Negotiated, Outcome, ProtocolError, Redirect, StreamInvocation, StreamItem, Transport,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Op {
    Start,
    Stop,
    Send {
        call: u8,
        uploads: Vec<u8>,
    },
    Invoke {
        call: u8,
        uploads: Vec<u8>,
    },
    Stream {
        call: u8,
        uploads: Vec<u8>,
    },
    Item(u8),
    EndUpload(u8, bool),
    Cancel(u8),
    Reply(u8, u8),
    Token(bool),
    Accepted(u8),
    Redirected,
    NegotiateFailed,
    Refreshed(Option<u8>),
    Opened,
    Handshake(bool),
    Message(Message),
    Malformed,
    Closed(bool),
    Paused,
    Resumed,
    Pass(u16),
    PassToDeadline,
    /// The next inputs carry the ids of the connection before.
    UseOldIds(bool),
}

#[derive(Arbitrary, Debug)]
enum Message {
    Call(Option<u8>),
    Stream(u8),
    Item(u8),
    Completion(u8, u8),
    Cancel(u8),
    Ping,
    Close(bool, bool),
    Ack(u8),
    Sequence(u8),
}

fn message(message: &Message) -> HubMessage<u8> {
    let id = |id: &u8| id.to_string().into();
    match message {
        Message::Call(invocation) => HubMessage::Invocation(Invocation {
            invocation_id: invocation.as_ref().map(id),
            call: Call::new("M", 1),
        }),
        Message::Stream(invocation) => HubMessage::StreamInvocation(StreamInvocation {
            invocation_id: id(invocation),
            call: Call::new("M", 1),
        }),
        Message::Item(invocation) => {
            HubMessage::StreamItem(StreamItem { headers: vec![], invocation_id: id(invocation), item: 1 })
        }
        Message::Completion(invocation, kind) => HubMessage::Completion(Completion {
            headers: vec![],
            invocation_id: id(invocation),
            outcome: match kind % 3 {
                0 => Outcome::Void,
                1 => Outcome::Value(1),
                _ => Outcome::Error("no".into()),
            },
        }),
        Message::Cancel(invocation) => {
            HubMessage::CancelInvocation(CancelInvocation { headers: vec![], invocation_id: id(invocation) })
        }
        Message::Ping => HubMessage::Ping,
        Message::Close(error, allow_reconnect) => {
            HubMessage::Close(Close { error: error.then(|| "bye".into()), allow_reconnect: *allow_reconnect })
        }
        Message::Ack(id) => HubMessage::Ack { sequence_id: (*id).into() },
        Message::Sequence(id) => HubMessage::Sequence { sequence_id: (*id).into() },
    }
}

struct Run {
    client: Client<u8>,
    now: Time,
    wait: Option<Time>,
    links: Vec<LinkId>,
    requests: Vec<RequestId>,
    replies: Vec<ReplyId>,
    /// Calls that have not ended.
    open: BTreeSet<CallId>,
    state: ConnectionState,
    shut: BTreeSet<LinkId>,
    abandoned: BTreeSet<LinkId>,
    old_ids: bool,
}

impl Run {
    fn give(&mut self, input: Input<u8>) {
        let new_call = match &input {
            Input::Command(
                Command::Send { call, .. } | Command::Invoke { call, .. } | Command::Stream { call, .. },
            ) => Some(*call),
            _ => None,
        };
        match self.client.handle(self.now, input) {
            Ok(()) => self.open.extend(new_call),
            Err(_) => assert_eq!(self.client.poll(), Output::Wait(self.wait), "misuse changes nothing"),
        }
        loop {
            match self.client.poll() {
                Output::Wait(deadline) => {
                    assert!(deadline.is_none_or(|deadline| deadline > self.now), "a deadline that is over");
                    self.wait = deadline;
                    break;
                }
                Output::Token(request) | Output::Negotiate(request, _) | Output::Refresh(request, _) => {
                    self.requests.push(request);
                }
                Output::Open(link, _) => self.links.push(link),
                Output::Handshake(link, _) | Output::Transmit(link, _) => {
                    assert_eq!(Some(&link), self.links.last());
                    assert!(!self.shut.contains(&link), "sent on a link that was shut");
                    assert!(!self.abandoned.contains(&link), "sent on a link that was abandoned");
                }
                Output::Shut(link) => assert!(self.shut.insert(link), "shut twice"),
                Output::Abandon(link) => assert!(self.abandoned.insert(link), "abandoned twice"),
                Output::Event(Event::Completed { call, .. }) => {
                    assert!(self.open.remove(&call), "a call ended twice");
                }
                Output::Event(Event::Item { call, .. }) => assert!(self.open.contains(&call)),
                Output::Event(Event::StateChanged { state, .. }) => self.state = state,
                Output::Event(Event::Invocation { reply, .. }) => self.replies.extend(reply),
                Output::Event(_) => {}
            }
        }
        assert_eq!(self.client.state(), self.state, "every change is told");
        if self.state != ConnectionState::Connected {
            assert!(self.open.is_empty(), "calls without a connection");
        }
        if self.state == ConnectionState::Disconnected {
            assert_eq!(self.wait, None, "nothing to wait for");
        }
    }

    fn id<T: Copy>(&self, ids: &[T]) -> Option<T> {
        let back = if self.old_ids { 2 } else { 1 };
        ids.len().checked_sub(back).map(|at| ids[at])
    }
}

fuzz_target!(|case: (bool, Vec<Op>)| {
    let (stateful, ops) = case;
    let mut config = Config::new("http://h/hub");
    config.has_token_factory = true;
    config.transports = Transport::ALL.to_vec();
    config.max_pending_calls = 4;
    config.max_pending_replies = 2;
    config.max_redirects = 3;
    config.stateful_reconnect = stateful.then_some(300);
    config.token_refresh = true;
    let mut run = Run {
        client: Client::new(config),
        now: Time::ZERO,
        wait: None,
        links: vec![],
        requests: vec![],
        replies: vec![],
        open: BTreeSet::new(),
        state: ConnectionState::Disconnected,
        shut: BTreeSet::new(),
        abandoned: BTreeSet::new(),
        old_ids: false,
    };
    let uploads = |ids: &[u8]| ids.iter().map(|id| UploadId(u64::from(id % 4))).collect::<Vec<_>>();
    for op in ops {
        let link = run.id(&run.links);
        let request = run.id(&run.requests);
        let command = |command| Some(Input::Command(command));
        let input = match op {
            Op::Start => command(Command::Start),
            Op::Stop => command(Command::Stop),
            Op::Send { call, uploads: ids } => command(Command::Send {
                call: CallId((call % 8).into()),
                target: "M".into(),
                arguments: 1,
                uploads: uploads(&ids),
            }),
            Op::Invoke { call, uploads: ids } => command(Command::Invoke {
                call: CallId((call % 8).into()),
                target: "M".into(),
                arguments: 1,
                uploads: uploads(&ids),
            }),
            Op::Stream { call, uploads: ids } => command(Command::Stream {
                call: CallId((call % 8).into()),
                target: "M".into(),
                arguments: 1,
                uploads: uploads(&ids),
            }),
            Op::Item(upload) => command(Command::Item { upload: UploadId((upload % 4).into()), item: 1 }),
            Op::EndUpload(upload, failed) => command(Command::EndUpload {
                upload: UploadId((upload % 4).into()),
                error: failed.then(String::new),
            }),
            Op::Cancel(call) => command(Command::Cancel(CallId((call % 8).into()))),
            Op::Reply(at, kind) => run.replies.get(usize::from(at)).copied().and_then(|reply| {
                command(Command::Reply(
                    reply,
                    match kind % 5 {
                        0 => Reply::Void,
                        1 => Reply::Value(1),
                        2 => Reply::Error(String::new()),
                        3 => Reply::NoHandler,
                        _ => Reply::ManyHandlers,
                    },
                ))
            }),
            Op::Token(ok) => {
                request.map(|request| Input::Token(request, if ok { Ok(None) } else { Err("no".into()) }))
            }
            Op::Accepted(mask) => request.map(|request| {
                let offered = Transport::ALL.into_iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
                let transports = offered
                    .map(|(_, transport)| AvailableTransport { transport, formats: transport.formats() });
                let negotiated = Negotiated {
                    connection_id: "id".into(),
                    transports: transports.collect(),
                    stateful_reconnect: mask & 0x80 != 0,
                    token_lifetime_seconds: (mask & 0x40 != 0).then_some(5),
                    ..Negotiated::default()
                };
                Input::Negotiated(request, Ok(NegotiateResponse::Accepted(negotiated)))
            }),
            Op::Redirected => request.map(|request| {
                let redirect = Redirect { url: String::new(), access_token: None };
                Input::Negotiated(request, Ok(NegotiateResponse::Redirect(redirect)))
            }),
            Op::NegotiateFailed => {
                let failure = RequestFailure::Status { code: 401, text: String::new() };
                request.map(|request| Input::Negotiated(request, Err(failure)))
            }
            Op::Refreshed(lifetime) => {
                request.map(|request| Input::Refreshed(request, Ok(lifetime.map(u64::from))))
            }
            Op::Opened => link.map(Input::Opened),
            Op::Handshake(ok) => link.map(|link| {
                Input::Handshake(link, Ok(HandshakeResponse { error: (!ok).then(|| "no".into()) }))
            }),
            Op::Message(kind) => link.map(|link| Input::Message(link, message(&kind))),
            Op::Malformed => link.map(|link| Input::Malformed(link, ProtocolError::ErrorAndResult)),
            Op::Closed(clean) => link.map(|link| {
                // What is closed cannot be shut any more.
                let failure = RequestFailure::Network("cut".into());
                Input::Closed(link, if clean { Ok(()) } else { Err(failure) })
            }),
            Op::Paused => Some(Input::Paused),
            Op::Resumed => Some(Input::Resumed),
            Op::Pass(millis) => {
                run.now = run.now + Duration::from_millis(millis.into());
                Some(Input::Tick)
            }
            Op::PassToDeadline => {
                run.now = run.wait.unwrap_or(run.now).max(run.now);
                Some(Input::Tick)
            }
            Op::UseOldIds(old) => {
                run.old_ids = old;
                None
            }
        };
        if let Some(input) = input {
            run.give(input);
        }
    }
    run.give(Input::Command(Command::Stop));
    while let Some(deadline) = run.wait {
        run.now = deadline;
        run.give(Input::Tick);
    }
    assert_eq!(run.state, ConnectionState::Disconnected);
});
