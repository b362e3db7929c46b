//! Any sequence of inputs against the client. Whatever happens: no panic, every call ends exactly once, nothing is
//! sent on a link that is not connected, a durable call is accepted only when the store has it and ended only when the
//! store has it no more, the outbox keeps its bounds, and a client that is told to stop does stop.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::Arbitrary;
use hubwire::Time;
use hubwire::client::{
    BatchId, CallId, CallKind, CallOptions, CallRequest, Client, Command, Config, ConnectionState, Event,
    FullPolicy, Hint, Input, JoinRule, LinkId, Output, Priority, Reply, ReplyId, RequestFailure, RequestId,
    RetryPolicy, Sequence, StoreOp, StoredCall, UploadId,
};
use hubwire::protocol::{
    AvailableTransport, Call, CancelInvocation, Close, Completion, Extensions, Feature, HandshakeResponse,
    HubMessage, Invocation, NegotiateResponse, Negotiated, Outcome, ProtocolError, Redirect,
    StreamInvocation, StreamItem, Transport,
};
use hubwire::{Error, ErrorKind};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Op {
    Start,
    Stop,
    Call(NewCall),
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
    ClosedWith(u8),
    Paused,
    Resumed,
    Pass(u16),
    PassToDeadline,
    RetryAfter(Option<u8>),
    Hint(u8),
    Pong(u8),
    Stored(bool),
    Restored(Vec<u8>),
    /// The next inputs carry the ids of the connection before.
    UseOldIds(bool),
}

#[derive(Arbitrary, Debug)]
struct NewCall {
    call: u8,
    kind: u8,
    target: u8,
    uploads: Vec<u8>,
    flags: u8,
    timeout: Option<u8>,
    expires: Option<u8>,
    key: Option<bool>,
}

impl NewCall {
    fn request(&self) -> CallRequest<u8> {
        let kind = [CallKind::Send, CallKind::Invoke, CallKind::Stream][usize::from(self.kind % 3)];
        let target = ["M", "Join", "Leave"][usize::from(self.target % 3)];
        CallRequest {
            uploads: self.uploads.iter().map(|id| UploadId(u64::from(id % 4))).collect(),
            options: CallOptions {
                timeout: self.timeout.map(|millis| Duration::from_millis(u64::from(millis) * 100)),
                expires_after: self.expires.map(|millis| Duration::from_millis(u64::from(millis) * 100)),
                priority: Priority::ALL[usize::from(self.flags >> 6)],
                supersede_key: self.key.map(|key| if key { "a".into() } else { "b".into() }),
                idempotent: self.flags & 1 != 0,
                durable: self.flags & 2 != 0,
                queue: self.flags & 4 == 0,
            },
            ..CallRequest::new(CallId((self.call % 8).into()), kind, target, 1)
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Message {
    Call(Option<u8>),
    Stream(u8),
    Item(u8),
    Completion(u8, u8),
    Cancel(u8),
    Ping,
    Close(bool, bool, Option<u8>),
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
        Message::Close(error, allow_reconnect, retry_after) => HubMessage::Close(Close {
            error: error.then(|| "bye".into()),
            allow_reconnect: *allow_reconnect,
            retry_after: retry_after.map(|seconds| Duration::from_secs(seconds.into())),
        }),
        Message::Ack(id) => HubMessage::Ack { sequence_id: (*id).into() },
        Message::Sequence(id) => HubMessage::Sequence { sequence_id: (*id).into() },
    }
}

const MAX_ITEMS: usize = 4;

struct Run {
    client: Client<u8>,
    now: Time,
    wait: Option<Time>,
    links: Vec<LinkId>,
    requests: Vec<RequestId>,
    replies: Vec<ReplyId>,
    /// Calls that have not ended.
    open: BTreeSet<CallId>,
    durable: BTreeSet<CallId>,
    /// What the store has, and the batch that it is busy with.
    store: BTreeMap<Sequence, u8>,
    writing: Option<(BatchId, Vec<StoreOp<u8>>)>,
    written: BTreeSet<Sequence>,
    called: bool,
    restored: usize,
    store_failed: bool,
    state: ConnectionState,
    shut: BTreeSet<LinkId>,
    abandoned: BTreeSet<LinkId>,
    old_ids: bool,
}

impl Run {
    fn give(&mut self, input: Input<u8>) {
        let new_call = match &input {
            Input::Command(Command::Call(request)) => Some((request.call, request.options.durable)),
            _ => None,
        };
        self.called |= new_call.is_some();
        let restored = match &input {
            Input::Restored { calls, .. } => calls.iter().map(|(call, ..)| *call).collect(),
            _ => Vec::new(),
        };
        match self.client.handle(self.now, input) {
            Ok(()) => {
                if let Some((call, durable)) = new_call {
                    self.open.insert(call);
                    if durable {
                        self.durable.insert(call);
                    }
                }
                self.open.extend(&restored);
                self.durable.extend(restored);
            }
            Err(_) => assert_eq!(self.client.poll(), Output::Wait(self.wait), "misuse changes nothing"),
        }
        loop {
            match self.client.poll() {
                Output::Wait(deadline) => {
                    assert!(deadline.is_none_or(|deadline| deadline > self.now), "a deadline that is over");
                    self.wait = deadline;
                    break;
                }
                Output::Token(request)
                | Output::Negotiate(request, _)
                | Output::Refresh(request, _)
                | Output::Retry(request, _) => {
                    self.requests.push(request);
                }
                Output::Store(batch, ops) => {
                    assert!(self.writing.is_none(), "one batch at a time");
                    for op in &ops {
                        if let StoreOp::Put(sequence, _) = op {
                            assert!(self.written.insert(*sequence), "a sequence was used twice");
                        }
                    }
                    self.writing = Some((batch, ops));
                }
                Output::Probe(link, _) => assert_eq!(Some(&link), self.links.last()),
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
                    self.durable.remove(&call);
                }
                Output::Event(Event::Item { call, .. }) => assert!(self.open.contains(&call)),
                Output::Event(Event::StateChanged { state, .. }) => self.state = state,
                Output::Event(Event::Invocation { reply, .. }) => self.replies.extend(reply),
                Output::Event(_) => {}
            }
        }
        assert_eq!(self.client.state(), self.state, "every change is told");
        let outbox = self.client.metrics().outbox;
        assert!(outbox.depth <= MAX_ITEMS + self.restored, "the outbox is over its limit");
        // Each durable call that has not ended is in the store, or on its way there.
        let putting = self.writing.iter().flat_map(|(_, ops)| ops);
        let putting = putting.filter(|op| matches!(op, StoreOp::Put(..))).count();
        if self.writing.is_none() && !self.store_failed {
            assert_eq!(
                self.durable.len(),
                self.store.len(),
                "calls that no store has, or the other way round"
            );
        } else {
            assert!(self.durable.len() >= self.store.len().saturating_sub(putting), "forgotten too early");
        }
    }

    fn answer_store(&mut self, ok: bool) -> Option<Input<u8>> {
        let (batch, ops) = self.writing.take()?;
        if !ok {
            self.store_failed = true;
            return Some(Input::Stored(batch, Err(Error::new(ErrorKind::Overflow, "full"))));
        }
        for op in ops {
            match op {
                StoreOp::Put(sequence, call) => drop(self.store.insert(sequence, call.arguments)),
                StoreOp::Delete(sequence) => drop(self.store.remove(&sequence)),
            }
        }
        Some(Input::Stored(batch, Ok(())))
    }

    fn restore(&mut self, calls: Vec<(CallId, Sequence, StoredCall<u8>)>) {
        let next = Sequence(calls.len() as u64);
        let sequences: Vec<_> = calls.iter().map(|(_, sequence, _)| *sequence).collect();
        let input = Input::Restored { next, client_id: "store".into(), calls };
        if self.client.state() != ConnectionState::Disconnected || self.called {
            // Too late, or not, if the calls that were made did not wait.
            return;
        }
        self.restored = sequences.len();
        self.written.extend(&sequences);
        self.store.extend(sequences.into_iter().map(|sequence| (sequence, 1)));
        self.give(input);
    }

    fn id<T: Copy>(&self, ids: &[T]) -> Option<T> {
        let back = if self.old_ids { 2 } else { 1 };
        ids.len().checked_sub(back).map(|at| ids[at])
    }
}

fuzz_target!(|case: (bool, u8, Vec<Op>)| {
    let (stateful, variant, ops) = case;
    let mut config = Config::new("http://h/hub");
    config.has_token_factory = true;
    config.transports = Transport::ALL.to_vec();
    config.max_pending_calls = 4;
    config.max_pending_replies = 2;
    config.max_redirects = 3;
    config.stateful_reconnect = stateful.then_some(300);
    config.token_refresh = true;
    config.retry = match variant % 4 {
        0 => RetryPolicy::never(),
        1 => RetryPolicy::default(),
        2 => RetryPolicy::custom().with_first_start(true),
        _ => RetryPolicy::signalr(),
    };
    config.has_store = variant & 0x04 != 0;
    config.can_probe = variant & 0x08 != 0;
    config.ping_method = (variant & 0x10 != 0).then(|| "Ping".into());
    config.outbox.max_items = if variant & 0x20 != 0 { MAX_ITEMS } else { 0 };
    config.outbox.when_full =
        [FullPolicy::Reject, FullPolicy::DropOldest, FullPolicy::DropNewest][usize::from(variant >> 6) % 3];
    config.outbox.window = 2;
    config.client_id = Some("me".into());
    config.joins = vec![JoinRule::new("Join", "Leave")];
    let mut run = Run {
        client: Client::new(config, 1),
        now: Time::ZERO,
        wait: None,
        links: vec![],
        requests: vec![],
        replies: vec![],
        open: BTreeSet::new(),
        durable: BTreeSet::new(),
        store: BTreeMap::new(),
        writing: None,
        written: BTreeSet::new(),
        called: false,
        restored: 0,
        store_failed: false,
        state: ConnectionState::Disconnected,
        shut: BTreeSet::new(),
        abandoned: BTreeSet::new(),
        old_ids: false,
    };
    for op in ops {
        let link = run.id(&run.links);
        let request = run.id(&run.requests);
        let command = |command| Some(Input::Command(command));
        let input = match op {
            Op::Start => command(Command::Start),
            Op::Stop => command(Command::Stop),
            Op::Call(call) => command(Command::Call(call.request())),
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
                    extensions: (mask & 0x20 != 0).then(|| Extensions {
                        version: 1,
                        features: vec![Feature::Dedupe],
                        epoch: Some(if mask & 0x10 != 0 { "a".into() } else { "b".into() }),
                        dedupe_window: Some(Duration::from_secs(20)),
                    }),
                    ..Negotiated::default()
                };
                Input::Negotiated(request, Ok(NegotiateResponse::Accepted(negotiated)))
            }),
            Op::Redirected => request.map(|request| {
                let redirect = Redirect { url: String::new(), access_token: None };
                Input::Negotiated(request, Ok(NegotiateResponse::Redirect(redirect)))
            }),
            Op::NegotiateFailed => {
                let failure = RequestFailure::Status { code: 401, text: String::new(), retry_after: None };
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
            Op::RetryAfter(delay) => request.map(|request| {
                Input::RetryAfter(request, delay.map(|seconds| Duration::from_secs(seconds.into())))
            }),
            Op::Hint(hint) => {
                let hints = [Hint::Online, Hint::Offline, Hint::Resumed, Hint::Foreground, Hint::Background];
                Some(Input::Hint(hints[usize::from(hint) % hints.len()]))
            }
            Op::Pong(number) => link.map(|link| Input::Pong(link, number.into())),
            Op::Stored(ok) => run.answer_store(ok),
            Op::Restored(calls) if run.written.is_empty() && run.restored == 0 => {
                let calls: Vec<_> = (0_u64..)
                    .zip(calls.into_iter().take(4))
                    .map(|(index, expires)| {
                        let stored = StoredCall {
                            kind: CallKind::Invoke,
                            target: "M".into(),
                            arguments: 1,
                            priority: Priority::Normal,
                            supersede_key: None,
                            queued_at: Time::ZERO,
                            expires_at: Some(Time::from_millis(u64::from(expires) * 100)),
                        };
                        (CallId(100 + index), Sequence(index), stored)
                    })
                    .collect();
                run.restore(calls);
                None
            }
            Op::Restored(_) => None,
            Op::ClosedWith(code) => link.map(|link| {
                let code = 1000 + u16::from(code % 16);
                Input::Closed(link, Err(RequestFailure::Closed { code, reason: String::new() }))
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
        while let Some(input) = run.answer_store(true) {
            run.give(input);
        }
    }
    while let Some(input) = run.answer_store(true) {
        run.give(input);
    }
    assert_eq!(run.state, ConnectionState::Disconnected);
    // What is left waits for the next start, or for the next process.
    assert_eq!(run.client.metrics().outbox.depth, run.open.len(), "calls that nobody knows of");
});
