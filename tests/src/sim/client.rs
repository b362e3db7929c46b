//! One client: the core, its store, and an application with a database of its own.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hubwire::Time;
use hubwire::client::{
    BatchId, CallId, CallKind, CallOptions, CallRequest, Client, Command, Config, ConnectionState,
    DeliveryId, Event, Hint, Input, JoinRule, LinkId, Output, RequestFailure, Sequence, StoreOp, StoredCall,
};
use hubwire::protocol::delivery::Position;
use hubwire::protocol::{
    AvailableTransport, Extensions, Feature, HandshakeResponse, HubMessage, NegotiateResponse, Negotiated,
    Transport,
};

use super::load::Load;
use super::mutation::Mutation;
use super::server::{OBJECTS, STREAMS};
use super::truth::{Call, Violation};
use super::world::{Up, Wire, World};

/// What survives the process.
#[derive(Default)]
struct Disk {
    calls: BTreeMap<Sequence, StoredCall<Load>>,
    next: u64,
    positions: Vec<Position>,
}

/// A client and its machine.
pub(super) struct SimClient {
    pub(super) core: Client<Load>,
    pub(super) wait: Option<Time>,
    /// The connection that it uses.
    pub(super) link: Option<u64>,
    links: BTreeMap<LinkId, u64>,
    life: u32,
    disk: Disk,
    writing: Option<(BatchId, Vec<StoreOp<Load>>)>,
    /// The numbers of the calls that have not ended.
    open: BTreeMap<CallId, u64>,
    /// Messages whose handlers run, one after the other.
    handling: VecDeque<(u64, Option<DeliveryId>)>,
    next_call: u64,
    /// How far its clock is ahead.
    pub(super) ahead: Duration,
    /// The machine sleeps, or the page is not scheduled.
    pub(super) frozen_until: Time,
    /// Timers come only once a minute.
    pub(super) throttled: bool,
    pub(super) ticks: u64,
    pub(super) longest_delay: Duration,
}

fn config(client: usize, seed: u64, positions: Vec<Position>) -> Config {
    let mut config = Config::new("http://h/hub");
    config.transports = vec![Transport::WebSockets];
    config.has_store = true;
    config.has_token_factory = client == 0;
    config.token_refresh = client == 0;
    config.client_id = Some(format!("process{seed}"));
    config.session_id = Some(format!("client{client}"));
    config.joins = ["Join", "Watch"].map(|join| JoinRule { join: join.into(), leave: None }).to_vec();
    config.outbox.window = 8;
    config.positions = positions;
    config
}

impl SimClient {
    fn new(client: usize, seed: u64, disk: Disk, life: u32) -> Self {
        Self {
            core: Client::new(config(client, seed, disk.positions.clone()), seed),
            wait: None,
            link: None,
            links: BTreeMap::new(),
            life,
            disk,
            writing: None,
            open: BTreeMap::new(),
            handling: VecDeque::new(),
            next_call: 0,
            ahead: Duration::ZERO,
            frozen_until: Time::ZERO,
            throttled: false,
            ticks: 0,
            longest_delay: Duration::ZERO,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.core.state() == ConnectionState::Connected
            && self.core.metrics().outbox.depth == 0
            && self.writing.is_none()
            && self.handling.is_empty()
            && self.open.is_empty()
    }

    /// What it still has to do, for people.
    pub(super) fn state(&self) -> String {
        let (state, depth) = (self.core.state(), self.core.metrics().outbox.depth);
        let (open, handling) = (self.open.values().collect::<Vec<_>>(), self.handling.len());
        format!(
            "{state}, {depth} queued, {handling} handled, calls {open:?}, writes {}",
            self.writing.is_some()
        )
    }

    fn take_call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }
}

impl World {
    pub(super) fn add_client(&mut self) {
        let client = self.clients.len();
        let seed = self.random.below(1 << 60);
        self.clients.push(SimClient::new(client, seed, Disk::default(), 1));
        self.start_client(client);
    }

    /// kill -9: what the store was busy with is there, or it is not. Then the process starts again.
    pub(super) fn kill_client(&mut self, client: usize) {
        self.note(|| format!("client {client} is killed"));
        let seed = self.random.below(1 << 60);
        let torn = self.random.below(2) == 0;
        let own = &mut self.clients[client];
        let mut disk = std::mem::take(&mut own.disk);
        if let Some((_, ops)) = own.writing.take()
            && torn
        {
            write(&mut disk, ops);
        }
        // In one transaction with what the messages brought.
        disk.positions = own.core.positions();
        let life = own.life + 1;
        for (_, link) in std::mem::take(&mut own.links) {
            self.leave(link);
        }
        for number in std::mem::take(&mut self.clients[client].open).into_values() {
            if let Some(call) = self.truth.calls.get_mut(&number)
                && !(call.durable && call.accepted)
            {
                // Nobody is left who could be told.
                call.ended = Some(false);
            }
        }
        let kept: Vec<u64> = disk
            .calls
            .values()
            .map(|call| match call.arguments {
                Load::Number(number) => number,
                _ => 0,
            })
            .collect();
        for (number, call) in self.truth.calls.iter_mut().filter(|(_, call)| call.client == client) {
            if call.durable && call.accepted && call.runs > 0 && !kept.contains(number) {
                // It was forgotten because it is done; only that was not told.
                call.ended.get_or_insert(true);
            }
        }
        // A durable call that the disk has is accepted, whether or not somebody heard of it.
        for stored in disk.calls.values() {
            if let Load::Number(number) = stored.arguments
                && let Some(call) = self.truth.calls.get_mut(&number)
            {
                call.accepted = true;
                call.ended = None;
            }
        }
        self.clients[client] = SimClient::new(client, seed, disk, life);
        self.start_client(client);
    }

    fn start_client(&mut self, client: usize) {
        let own = &mut self.clients[client];
        let stored: Vec<_> =
            own.disk.calls.iter().map(|(sequence, call)| (*sequence, call.clone())).collect();
        let next = Sequence(own.disk.next);
        let mut calls = Vec::new();
        for (sequence, call) in stored {
            let id = own.take_call();
            if let Load::Number(number) = call.arguments {
                own.open.insert(id, number);
            }
            calls.push((id, sequence, call));
        }
        self.give(client, Input::Restored { next, client_id: format!("store{client}"), calls });
        self.give(client, Input::Command(Command::Start));
        for stream in 0..STREAMS {
            self.call(client, "Join", Load::Number(stream), CallOptions::default());
        }
        self.call(client, "Watch", Load::Empty, CallOptions::default());
        let _ = OBJECTS;
    }

    fn call(&mut self, client: usize, target: &'static str, load: Load, options: CallOptions) {
        let id = self.clients[client].take_call();
        let request = CallRequest { options, ..CallRequest::new(id, CallKind::Invoke, target, load) };
        self.give(client, Input::Command(Command::Call(request)));
    }

    /// The application calls a method.
    pub(super) fn make_call(&mut self, client: usize) {
        let number = self.take_number();
        let (durable, idempotent) = match self.random.below(4) {
            0 => (true, false),
            1 => (false, true),
            _ => (false, false),
        };
        let own = &mut self.clients[client];
        let id = own.take_call();
        own.open.insert(id, number);
        let call = Call {
            client,
            durable,
            repeatable: durable || idempotent,
            accepted: false,
            ended: None,
            runs: 0,
            server_lives: self.server_lives,
        };
        self.truth.calls.insert(number, call);
        let options = CallOptions { durable, idempotent, ..CallOptions::default() };
        let request =
            CallRequest { options, ..CallRequest::new(id, CallKind::Invoke, "Do", Load::Number(number)) };
        self.give(client, Input::Command(Command::Call(request)));
    }

    fn client_now(&self, client: usize) -> Time {
        self.now + self.clients[client].ahead
    }

    /// When the client wants to be woken, on the clock of the world.
    pub(super) fn client_deadline(&self, client: usize) -> Option<Time> {
        const MINUTE: u64 = 60_000;
        let own = &self.clients[client];
        let mut at = Time::from_millis(own.wait?.as_millis().saturating_sub(own.ahead.as_millis() as u64));
        if own.throttled {
            at = Time::from_millis(at.as_millis().div_ceil(MINUTE) * MINUTE);
        }
        Some(at.max(own.frozen_until))
    }

    pub(super) fn give(&mut self, client: usize, input: Input<Load>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.client_now(client);
            if self.clients[client].core.handle(now, input).is_err() {
                self.truth.wrong(Violation::Broken("the core calls that misuse".into()));
            }
            loop {
                match self.clients[client].core.poll() {
                    Output::Wait(deadline) => {
                        self.clients[client].wait = deadline;
                        break;
                    }
                    Output::Token(request) => {
                        inputs.push_back(Input::Token(request, Ok(Some("token".into()))))
                    }
                    Output::Refresh(request, _) => inputs.push_back(Input::Refreshed(request, Ok(Some(120)))),
                    Output::Negotiate(request, _) => {
                        let answer = self.negotiate();
                        inputs.push_back(Input::Negotiated(request, answer));
                    }
                    Output::Open(link, _) => {
                        if let Some(input) = self.open(client, link) {
                            inputs.push_back(input);
                        }
                    }
                    Output::Handshake(link, request) => self.up(client, link, Up::Handshake(request)),
                    Output::Transmit(link, message) => self.up(client, link, Up::Message(message)),
                    Output::Shut(link) | Output::Abandon(link) => {
                        if let Some(link) = self.clients[client].links.remove(&link) {
                            self.leave(link);
                        }
                    }
                    Output::Store(batch, ops) => {
                        self.clients[client].writing = Some((batch, ops));
                        if self.mutation == Mutation::OutboxEarly {
                            inputs.push_back(Input::Stored(batch, Ok(())));
                        }
                    }
                    Output::Event(event) => {
                        if let Some(input) = self.event(client, event) {
                            inputs.push_back(input);
                        }
                    }
                    Output::Retry(..) | Output::Probe(..) => {}
                }
            }
        }
    }

    fn event(&mut self, client: usize, event: Event<Load>) -> Option<Input<Load>> {
        self.note(|| format!("client {client}: {event:?}"));
        match event {
            Event::Invocation { arguments: Load::Message(number), delivery, .. } => {
                if delivery.is_none() {
                    self.truth.wrong(Violation::Broken(format!("nobody waits for the end of {number}")));
                }
                if self.mutation == Mutation::AckBeforeHandler
                    && let Some(delivery) = delivery
                {
                    self.clients[client].handling.push_back((number, None));
                    return Some(Input::Command(Command::Handled(delivery, Ok(()))));
                }
                self.clients[client].handling.push_back((number, delivery));
            }
            Event::Invocation { arguments: Load::Number(number), target, .. } if &*target == "S" => {
                let stream = self.stream_of(number);
                self.truth.received(client, stream, number);
            }
            Event::Invocation { arguments: Load::Object(object), .. } => self.truth.merged(client, &object),
            Event::Queued(call) => {
                if let Some(number) = self.clients[client].open.get(&call)
                    && let Some(call) = self.truth.calls.get_mut(number)
                {
                    call.accepted = true;
                }
            }
            Event::Completed { call, result } => {
                if let Some(number) = self.clients[client].open.remove(&call) {
                    self.truth.ended(number, result.is_ok());
                }
            }
            Event::Gap { source, .. } if self.mutation != Mutation::SilentGaps => {
                self.truth.gap(client, &source)
            }
            Event::RetryScheduled { delay, .. } => {
                let own = &mut self.clients[client];
                own.longest_delay = own.longest_delay.max(delay);
            }
            _ => {}
        }
        None
    }

    /// The first handler that runs ends.
    pub(super) fn finish_handler(&mut self, client: usize) {
        let fails = self.faults && self.random.below(100) == 0;
        let own = &mut self.clients[client];
        let life = own.life;
        let Some((number, delivery)) = own.handling.pop_front() else { return };
        if fails && delivery.is_some() {
            if let Some(message) = self.truth.messages.get_mut(&number) {
                message.retried = true;
            }
        } else {
            self.truth.handled(client, life, number);
        }
        if let Some(delivery) = delivery {
            let result = if fails { Err("the handler failed".into()) } else { Ok(()) };
            self.give(client, Input::Command(Command::Handled(delivery, result)));
        }
    }

    pub(super) fn client_writes(&mut self, client: usize) {
        let fails = self.faults && self.random.below(50) == 0;
        let own = &mut self.clients[client];
        let Some((batch, mut ops)) = own.writing.take() else { return };
        if self.mutation == Mutation::OutboxEarly {
            return write(&mut own.disk, ops);
        }
        if fails {
            let error = hubwire::Error::new(hubwire::ErrorKind::Overflow, "the disk is full");
            return self.give(client, Input::Stored(batch, Err(error)));
        }
        if self.mutation == Mutation::OutboxTail && ops.len() > 1 {
            ops.pop();
        }
        write(&mut own.disk, ops);
        self.give(client, Input::Stored(batch, Ok(())));
    }

    fn negotiate(&mut self) -> Result<NegotiateResponse, RequestFailure> {
        let fails = self.faults && self.random.below(10) == 0;
        let Some(server) = self.server.as_ref().filter(|_| !fails) else {
            return Err(RequestFailure::Network("refused".into()));
        };
        let extensions = Extensions {
            version: 1,
            features: vec![Feature::Dedupe, Feature::Ack, Feature::History, Feature::Delta],
            epoch: Some(server.epoch.clone()),
            dedupe_window: Some(Duration::from_secs(600)),
        };
        Ok(NegotiateResponse::Accepted(Negotiated {
            connection_id: "c".into(),
            connection_token: Some("t".into()),
            version: 1,
            transports: vec![AvailableTransport {
                transport: Transport::WebSockets,
                formats: Transport::WebSockets.formats(),
            }],
            token_lifetime_seconds: Some(120),
            extensions: Some(extensions).filter(|_| self.mutation != Mutation::NoRepeat),
            ..Negotiated::default()
        }))
    }

    fn open(&mut self, client: usize, link: LinkId) -> Option<Input<Load>> {
        if self.server.is_none() {
            return Some(Input::Closed(link, Err(RequestFailure::Network("refused".into()))));
        }
        if self.faults && self.random.below(20) == 0 {
            // It never opens.
            return None;
        }
        self.last_wire += 1;
        let wire = self.last_wire;
        self.net.insert(wire, Wire::new(client, link));
        self.clients[client].links.insert(link, wire);
        self.clients[client].link = Some(wire);
        self.accept(wire, client);
        Some(Input::Opened(link))
    }

    fn up(&mut self, client: usize, link: LinkId, up: Up) {
        let Some(link) = self.clients[client].links.get(&link) else { return };
        if let Some(wire) = self.net.get_mut(link).filter(|wire| !wire.dead && !wire.server_gone) {
            wire.up.push_back(up);
        }
    }

    /// The client has nothing to do with that connection any more. What it had sent may still arrive.
    pub(super) fn leave(&mut self, link: u64) {
        if let Some(wire) = self.net.get_mut(&link) {
            wire.client_gone = true;
            wire.down.clear();
        }
    }

    /// The transport is closed.
    pub(super) fn closed(&mut self, client: usize, link: LinkId) {
        if self.clients[client].links.remove(&link).is_some() {
            if self.mutation == Mutation::ForgetPositions {
                self.forget_positions(client);
            }
            if self.mutation == Mutation::NoMessageWindow {
                self.forget_messages(client);
            }
            self.give(client, Input::Closed(link, Err(RequestFailure::Network("cut".into()))));
        }
    }

    /// Another core in the same process: what it remembered is gone.
    fn forget_positions(&mut self, client: usize) {
        self.replace_core(client, Vec::new());
    }

    fn forget_messages(&mut self, client: usize) {
        let positions = self.clients[client].core.positions();
        self.replace_core(client, positions);
    }

    fn replace_core(&mut self, client: usize, positions: Vec<Position>) {
        let seed = self.random.below(1 << 60);
        let own = &mut self.clients[client];
        let mut disk = std::mem::take(&mut own.disk);
        if let Some((_, ops)) = own.writing.take() {
            write(&mut disk, ops);
        }
        disk.positions = positions;
        let (life, ahead) = (own.life, own.ahead);
        for number in std::mem::take(&mut own.open).into_values() {
            if let Some(call) = self.truth.calls.get_mut(&number)
                && !(call.durable && call.accepted)
            {
                call.ended = Some(false);
            }
        }
        for (_, link) in std::mem::take(&mut self.clients[client].links) {
            self.leave(link);
        }
        self.clients[client] = SimClient::new(client, seed, disk, life);
        self.clients[client].ahead = ahead;
        self.start_client(client);
    }

    /// Something came from the server.
    pub(super) fn hear(&mut self, client: usize, link: LinkId, message: HubMessage<Load>) {
        self.give(client, Input::Message(link, message));
    }

    pub(super) fn hear_handshake(&mut self, client: usize, link: LinkId, response: HandshakeResponse) {
        self.give(client, Input::Handshake(link, Ok(response)));
    }

    pub(super) fn hint(&mut self, client: usize, hint: Hint) {
        self.give(client, Input::Hint(hint));
    }
}

fn write(disk: &mut Disk, ops: Vec<StoreOp<Load>>) {
    for op in ops {
        match op {
            StoreOp::Put(sequence, call) => {
                disk.next = disk.next.max(sequence.0 + 1);
                disk.calls.insert(sequence, call);
            }
            StoreOp::Delete(sequence) => drop(disk.calls.remove(&sequence)),
        }
    }
}
