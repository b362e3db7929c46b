//! The server: one session for each connection, and what the hub keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytestring::ByteString;
use hubwire::Time;
use hubwire::protocol::delivery::{
    ACKNOWLEDGE, ACKNOWLEDGE_MANY, MESSAGE_HEADER, NACK, POSITION, POSITION_HEADER, Position, RECOVER,
    SNAPSHOT,
};
use hubwire::protocol::{Call, DeltaOrder, HandshakeRequest, Headers, HubMessage, Invocation, Outcome};
use hubwire_server::Dedupe;
use hubwire_server::delivery::calls::{Begin, Key, Table};
use hubwire_server::delivery::history::{self, History, Streams};
use hubwire_server::delivery::pending::{
    self, Deliveries, DeliveryConfig, EntryId, LinkKey, Message, RecipientId, StoreOp, StoredEntry,
};
use hubwire_server::session::{CallKey, Input, MethodCall, Output, Session, SessionConfig};

use super::load::{Fields, Load};
use super::mutation::Mutation;
use super::truth::STAMP;
use super::world::{Down, Up, World};

/// How many objects there are, and streams.
pub(super) const OBJECTS: u64 = 3;
pub(super) const STREAMS: u64 = 3;

/// The server's end of a connection.
pub(super) struct End {
    pub(super) session: Session<Load>,
    pub(super) wait: Option<Time>,
    client: usize,
}

/// An object that comes as changes.
#[derive(Clone, Default)]
struct Object {
    sequence: u64,
    fields: Fields,
    before: Fields,
}

/// A method that has not ended.
struct Running {
    link: u64,
    call: CallKey,
    key: Option<Key>,
    number: u64,
}

/// One life of the server process.
pub(super) struct Server {
    pub(super) ends: BTreeMap<u64, End>,
    pub(super) deliveries: Deliveries<Load>,
    pub(super) deliveries_wait: Option<Time>,
    streams: Streams<Load>,
    pub(super) streams_wait: Option<Time>,
    calls: Table<Load, Vec<(u64, CallKey)>>,
    pub(super) epoch: String,
    running: Vec<Running>,
    members: BTreeMap<ByteString, BTreeSet<u64>>,
    watchers: BTreeSet<u64>,
    objects: Vec<Object>,
    writing: Option<(pending::BatchId, Vec<StoreOp<Load>>)>,
    keeping: Option<(history::BatchId, Vec<history::Op<Load>>)>,
    config: Arc<SessionConfig>,
}

/// What survives the server process.
#[derive(Default)]
pub(super) struct Disk {
    entries: BTreeMap<EntryId, StoredEntry<Load>>,
    letters: BTreeMap<EntryId, pending::DeadLetter<Load>>,
    streams: BTreeMap<ByteString, history::StoredStream<Load>>,
}

impl Disk {
    fn write(&mut self, ops: Vec<StoreOp<Load>>) {
        for op in ops {
            match op {
                StoreOp::Put(stored) => {
                    self.letters.remove(&stored.entry);
                    self.entries.insert(stored.entry, stored);
                }
                StoreOp::Bury(letter) => {
                    self.entries.remove(&letter.entry);
                    self.letters.insert(letter.entry, letter);
                }
                StoreOp::Delete(entry) => {
                    self.entries.remove(&entry);
                    self.letters.remove(&entry);
                }
            }
        }
    }

    fn keep(&mut self, ops: Vec<history::Op<Load>>) {
        for op in ops {
            match op {
                history::Op::Open { stream, epoch } => {
                    let top = Position { epoch, offset: 0, stream: stream.clone() };
                    self.streams.insert(stream, history::StoredStream { top, entries: Vec::new() });
                }
                history::Op::Append { at, entry, bytes } => {
                    let history::Entry { position, target, payload } = entry;
                    if let Some(stream) = self.streams.get_mut(&position.stream)
                        && stream.top.epoch == position.epoch
                    {
                        stream.top = position;
                        stream.entries.push(history::StoredEntry { at, target, payload, bytes });
                    }
                }
                history::Op::Trim(position) => {
                    if let Some(stream) = self.streams.get_mut(&position.stream)
                        && stream.top.epoch == position.epoch
                    {
                        let first = stream.top.offset + 1 - stream.entries.len() as u64;
                        let gone = (position.offset + 1).saturating_sub(first);
                        stream.entries.drain(..usize::try_from(gone).unwrap_or(0).min(stream.entries.len()));
                    }
                }
                history::Op::Forget { stream, epoch } => {
                    if self.streams.get(&stream).is_some_and(|kept| kept.top.epoch == epoch) {
                        self.streams.remove(&stream);
                    }
                }
            }
        }
    }
}

pub(super) fn recipient(client: usize) -> RecipientId {
    RecipientId::session(Some("user"), &format!("store{client}"))
}

fn invocation(
    target: &'static str,
    arguments: Load,
    header: Option<(&'static str, ByteString)>,
) -> HubMessage<Load> {
    let headers: Headers =
        header.map(|(name, value)| (ByteString::from_static(name), value)).into_iter().collect();
    let call = Call { headers, ..Call::new(ByteString::from_static(target), arguments) };
    HubMessage::Invocation(Invocation { invocation_id: None, call })
}

fn stream_name(stream: u64) -> ByteString {
    format!("group:{stream}").into()
}

impl World {
    /// The server process starts with what the disk has.
    pub(super) fn boot_server(&mut self) {
        self.server_lives += 1;
        self.note(|| "the server starts".into());
        let instance = format!("{:x}", self.random.below(1 << 40));
        let limits =
            History { max_messages: self.weather.history_messages, page_messages: 10, ..History::default() };
        let mut config = DeliveryConfig::default();
        config.window = 16;
        let epoch = match self.mutation {
            Mutation::SameEpoch => "same".into(),
            _ => instance.clone(),
        };
        self.server = Some(Server {
            ends: BTreeMap::new(),
            deliveries: Deliveries::with_store(config),
            deliveries_wait: None,
            streams: Streams::new(limits, instance.into(), true),
            streams_wait: None,
            calls: Table::new(Dedupe::default()),
            epoch,
            running: Vec::new(),
            members: BTreeMap::new(),
            watchers: BTreeSet::new(),
            objects: vec![Object::default(); OBJECTS as usize],
            writing: None,
            keeping: None,
            config: Arc::new(SessionConfig::default()),
        });
        let entries: Vec<_> = self.disk.entries.values().cloned().collect();
        let dead_letters = self.disk.letters.values().cloned().collect();
        for stored in &entries {
            if let Some(number) = self.truth.entries.get(&stored.entry)
                && let Some(message) = self.truth.messages.get_mut(number)
            {
                message.accepted = true;
            }
        }
        self.deliveries(pending::Input::Restored { entries, dead_letters });
        let mut streams: Vec<_> = self.disk.streams.values().cloned().collect();
        if self.mutation == Mutation::StreamTail {
            for stream in &mut streams {
                if stream.entries.pop().is_some() {
                    stream.top.offset -= 1;
                }
            }
        }
        for stream in &streams {
            let Some(name) = stream.top.stream.strip_prefix("group:").and_then(|name| name.parse().ok())
            else {
                continue;
            };
            for entry in &stream.entries {
                if let Load::Number(number) = entry.payload {
                    self.truth.published.entry(name).or_default().insert(number);
                }
            }
        }
        self.streams(history::Input::Restored(streams));
    }

    /// kill -9: what the stores were busy with is there, or it is not.
    pub(super) fn kill_server(&mut self) {
        let Some(server) = self.server.take() else { return };
        self.note(|| "the server is killed".into());
        if let Some((_, ops)) = server.writing
            && self.random.below(2) == 0
        {
            self.disk.write(ops);
        }
        if let Some((_, ops)) = server.keeping
            && self.random.below(2) == 0
        {
            self.disk.keep(ops);
        }
        for wire in self.net.values_mut() {
            wire.up.clear();
            wire.server_gone = true;
            let kept = self.random.below(wire.down.len() as u64 + 1) as usize;
            wire.down.truncate(kept);
        }
    }

    /// A transport is open.
    pub(super) fn accept(&mut self, link: u64, client: usize) {
        let now = self.now;
        if let Some(server) = &mut self.server {
            let session = Session::new(now, server.config.clone());
            server.ends.insert(link, End { session, wait: None, client });
        }
        // Its first deadline is that of the handshake.
        self.session(link, Input::Tick);
    }

    /// Something came from a client.
    pub(super) fn serve(&mut self, link: u64, up: Up) {
        let input = match up {
            Up::Handshake(request) => Input::Handshake(Ok::<HandshakeRequest, _>(request)),
            Up::Message(message) => Input::Message(message),
        };
        self.session(link, input);
    }

    pub(super) fn wants_input(&self, link: u64) -> bool {
        let end = self.server.as_ref().and_then(|server| server.ends.get(&link));
        end.is_none_or(|end| end.session.wants_input())
    }

    pub(super) fn session(&mut self, link: u64, input: Input<Load>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let now = self.now;
            let Some(end) = self.server.as_mut().and_then(|server| server.ends.get_mut(&link)) else {
                return;
            };
            end.session.handle(now, input);
            let mut outputs = Vec::new();
            loop {
                match end.session.poll() {
                    Output::Wait(deadline) => {
                        end.wait = deadline;
                        break;
                    }
                    output => outputs.push(output),
                }
            }
            for output in outputs {
                match output {
                    Output::Handshake(response) => self.push(link, Down::Handshake(response)),
                    Output::Connect => {
                        self.attach(link);
                        inputs.push(Input::Connected(Ok(())));
                    }
                    Output::Transmit(message) => self.push(link, Down::Message(message)),
                    Output::Run(call) => {
                        let key = call.key;
                        if let Some(outcome) = self.run_method(link, call) {
                            inputs.push(Input::Finished { call: key, outcome });
                        }
                    }
                    Output::End(_) => self.end(link),
                    _ => {}
                }
            }
        }
    }

    fn push(&mut self, link: u64, down: Down) {
        if let Some(wire) = self.net.get_mut(&link).filter(|wire| !wire.client_gone && !wire.dead) {
            wire.down.push_back(down);
        }
    }

    fn tell(&mut self, link: u64, message: HubMessage<Load>) {
        self.push(link, Down::Message(message));
    }

    fn attach(&mut self, link: u64) {
        let Some(end) = self.server.as_ref().and_then(|server| server.ends.get(&link)) else { return };
        let recipient = recipient(end.client);
        self.deliveries(pending::Input::Attached { recipient, link: LinkKey(link) });
    }

    /// A connection is over on this side.
    fn end(&mut self, link: u64) {
        let Some(server) = &mut self.server else { return };
        let Some(end) = server.ends.remove(&link) else { return };
        for members in server.members.values_mut() {
            members.remove(&link);
        }
        server.watchers.remove(&link);
        if let Some(wire) = self.net.get_mut(&link) {
            wire.server_gone = true;
        }
        self.deliveries(pending::Input::Detached { recipient: recipient(end.client), link: LinkKey(link) });
    }

    fn run_method(&mut self, link: u64, call: MethodCall<Load>) -> Option<Outcome<Load>> {
        let client = self.server.as_ref()?.ends.get(&link)?.client;
        let texts = match &call.arguments {
            Load::Texts(texts) => texts.clone(),
            _ => Arc::from([]),
        };
        let number = match call.arguments {
            Load::Number(number) => number,
            _ => 0,
        };
        let done = |outcome| Some(outcome);
        match &*call.target {
            ACKNOWLEDGE | ACKNOWLEDGE_MANY => {
                for id in texts.iter() {
                    let mut message_id = id.clone();
                    if self.mutation == Mutation::WrongAck
                        && let Ok(number) = id.parse::<u64>()
                    {
                        message_id = (number + 1).to_string().into();
                    }
                    let (link, recipient) = (LinkKey(link), recipient(client));
                    self.deliveries(pending::Input::Acknowledged { link, recipient, message_id });
                }
                done(Outcome::Void)
            }
            NACK => {
                if let [message_id, reason] = &*texts {
                    let (message_id, reason) = (message_id.clone(), reason.clone());
                    let (link, recipient) = (LinkKey(link), recipient(client));
                    self.deliveries(pending::Input::Nacked { link, recipient, message_id, reason });
                }
                done(Outcome::Void)
            }
            RECOVER => done(Outcome::Value(Load::Texts(self.recover(link, &texts)))),
            SNAPSHOT => {
                if let Some(key) = texts.get(1).and_then(|key| key.parse().ok()) {
                    self.snapshot(link, key);
                }
                done(Outcome::Void)
            }
            "Join" => {
                let (now, stream) = (self.now, stream_name(number));
                let server = self.server.as_mut()?;
                server.members.entry(stream.clone()).or_default().insert(link);
                let position = server.streams.position(now, &stream).to_string();
                self.drain_streams();
                if self.mutation != Mutation::NoPositions {
                    self.tell(
                        link,
                        invocation(POSITION, Load::Empty, Some((POSITION_HEADER, position.into()))),
                    );
                }
                done(Outcome::Void)
            }
            "Watch" => {
                self.server.as_mut()?.watchers.insert(link);
                (0..OBJECTS).for_each(|key| self.snapshot(link, key));
                done(Outcome::Void)
            }
            _ => self.perform(link, call, number),
        }
    }

    /// The method whose runs are counted.
    fn perform(&mut self, link: u64, call: MethodCall<Load>, number: u64) -> Option<Outcome<Load>> {
        let now = self.now;
        let server = self.server.as_mut()?;
        let key = Key::of(Some("user"), &call.headers).ok().flatten().filter(|_| call.blocking);
        let key = key.filter(|_| self.mutation != Mutation::NoDedupe);
        if let Some(key) = &key {
            match server.calls.begin(now, key, Vec::new) {
                Begin::Started => {}
                Begin::Running(waiting) => {
                    waiting.push((link, call.key));
                    return None;
                }
                Begin::Done(outcome) => return Some(outcome),
                Begin::Full => return Some(Outcome::Error("full".into())),
            }
        }
        self.truth.ran(number);
        server.running.push(Running { link, call: call.key, key, number });
        None
    }

    /// A method ends.
    pub(super) fn finish_method(&mut self) {
        let now = self.now;
        let Some(server) = self.server.as_mut().filter(|server| !server.running.is_empty()) else { return };
        let place = self.random.below(server.running.len() as u64) as usize;
        let Running { link, call, key, number } = server.running.swap_remove(place);
        let outcome = Outcome::Value(Load::Number(number));
        let waiting = key.and_then(|key| server.calls.finish(now, &key, outcome.clone()));
        self.session(link, Input::Finished { call, outcome: outcome.clone() });
        for (link, call) in waiting.unwrap_or_default() {
            self.session(link, Input::Finished { call, outcome: outcome.clone() });
        }
    }

    fn recover(&mut self, link: u64, positions: &[ByteString]) -> Arc<[ByteString]> {
        let now = self.now;
        let mut answers = Vec::new();
        let Some(server) = &mut self.server else { return answers.into() };
        let mut room = server.streams.room();
        let mut messages = Vec::new();
        for position in positions.iter().filter_map(Position::parse) {
            if !server.members.get(&position.stream).is_some_and(|members| members.contains(&link)) {
                answers.push("unsubscribed".into());
                continue;
            }
            let mut page = server.streams.page(now, &position, &mut room);
            if self.mutation == Mutation::PageTail {
                page.entries.pop();
            }
            answers.push(page.recovery.to_string().into());
            messages.extend(page.entries);
        }
        for entry in messages {
            let header = Some((POSITION_HEADER, entry.position.to_string().into()));
            self.tell(link, invocation("S", entry.payload, header));
        }
        self.drain_streams();
        answers.into()
    }

    /// The application publishes to a stream.
    pub(super) fn publish(&mut self, stream: u64) {
        let number = self.take_number();
        let now = self.now;
        let Some(server) = &mut self.server else { return };
        let load = Load::Number(number);
        // Refused publications are told to whoever publishes.
        let _ = server.streams.publish(now, &stream_name(stream), ByteString::from_static("S"), load, 32);
        self.drain_streams();
    }

    fn streams(&mut self, input: history::Input<Load>) {
        let now = self.now;
        if let Some(server) = &mut self.server {
            server.streams.handle(now, input);
        }
        self.drain_streams();
    }

    pub(super) fn tick_streams(&mut self) {
        self.streams(history::Input::Tick);
    }

    fn drain_streams(&mut self) {
        let mut out = Vec::new();
        let Some(server) = &mut self.server else { return };
        loop {
            match server.streams.poll() {
                history::Output::Wait(deadline) => {
                    server.streams_wait = deadline;
                    break;
                }
                history::Output::Store(batch, ops) => server.keeping = Some((batch, ops)),
                history::Output::Publish { stream, position, payload, .. } => {
                    let members =
                        server.members.get(&stream).into_iter().flatten().copied().collect::<Vec<_>>();
                    out.push((stream, position, payload, members));
                }
            }
        }
        for (stream, position, payload, members) in out {
            self.note(|| format!("published {position:?} {payload:?} to {members:?}"));
            let name = stream.strip_prefix("group:").and_then(|stream| stream.parse::<u64>().ok());
            if let (Some(stream), Load::Number(number)) = (name, &payload) {
                self.truth.published.entry(stream).or_default().insert(*number);
            }
            let position = position.map(|position| ByteString::from(position.to_string()));
            for link in members {
                let header = position.clone().map(|position| (POSITION_HEADER, position));
                self.tell(link, invocation("S", payload.clone(), header));
            }
        }
    }

    /// The application changes an object.
    pub(super) fn change(&mut self, key: u64) {
        let stamp = self.take_number();
        let (field, value) = (self.random.below(5) as u8, self.random.below(100));
        let gone = self.random.below(4) == 0;
        let Some(server) = &mut self.server else { return };
        let object = &mut server.objects[key as usize];
        let before = object.sequence;
        object.before.clone_from(&object.fields);
        object.sequence += 1;
        let mut fields = BTreeMap::from([(STAMP, Some(stamp))]);
        match gone {
            true => {
                object.fields.remove(&field);
                fields.insert(field, None);
            }
            false => {
                object.fields.insert(field, value);
                fields.insert(field, Some(value));
            }
        }
        object.fields.insert(STAMP, stamp);
        self.truth.objects.insert(stamp, (key, object.fields.clone()));
        let order = match self.mutation {
            Mutation::NoBaseSequence => DeltaOrder::Unordered,
            _ if before == 0 => DeltaOrder::Full(object.sequence),
            _ => DeltaOrder::Next { base: before, sequence: object.sequence },
        };
        let change = Load::Change { key, order, fields: fields.into() };
        for link in server.watchers.iter().copied().collect::<Vec<_>>() {
            // What a slow consumer does not get.
            if self.faults && self.random.below(50) == 0 {
                continue;
            }
            self.tell(link, invocation("ObjectDelta", change.clone(), None));
        }
    }

    fn snapshot(&mut self, link: u64, key: u64) {
        let Some(object) = self.server.as_ref().and_then(|server| server.objects.get(key as usize)) else {
            return;
        };
        if object.sequence == 0 {
            return;
        }
        let stale = self.mutation == Mutation::StaleSnapshot;
        let fields = if stale { &object.before } else { &object.fields };
        let fields: BTreeMap<_, _> = fields.iter().map(|(field, value)| (*field, Some(*value))).collect();
        let change = Load::Change { key, order: DeltaOrder::Full(object.sequence), fields: fields.into() };
        self.tell(link, invocation("ObjectDelta", change, None));
    }

    /// The stamp of an object now.
    pub(super) fn stamp(&self, key: u64) -> Option<u64> {
        self.server.as_ref()?.objects.get(key as usize)?.fields.get(&STAMP).copied()
    }

    /// The application sends a message that is to be acknowledged.
    pub(super) fn send_reliable(&mut self, client: usize) {
        let number = self.take_number();
        if self.server.is_none() {
            return;
        }
        let entry = EntryId(number);
        self.truth.entries.insert(entry, number);
        let message = super::truth::Message {
            client,
            accepted: false,
            outcome: None,
            handled_in: None,
            retried: false,
            buried: false,
            confirmed_in: 0,
        };
        self.truth.messages.insert(number, message);
        let message = Message {
            id: number.to_string().into(),
            target: ByteString::from_static("R"),
            payload: Load::Message(number),
            bytes: 32,
            priority: 0,
            critical: true,
            expires_at: None,
            timeout: None,
            queued_at: self.now,
            ephemeral: false,
        };
        self.deliveries(pending::Input::Send { entry, recipient: recipient(client), message });
    }

    pub(super) fn deliveries(&mut self, input: pending::Input<Load>) {
        let now = self.now;
        let Some(server) = &mut self.server else { return };
        server.deliveries.handle(now, input);
        let mut out: Vec<(u64, u64, bool)> = Vec::new();
        loop {
            match server.deliveries.poll() {
                pending::Output::Wait(deadline) => {
                    server.deliveries_wait = deadline;
                    break;
                }
                pending::Output::Store(batch, ops) => {
                    for op in &ops {
                        if let StoreOp::Bury(letter) = op
                            && let Some(number) = self.truth.entries.get(&letter.entry)
                            && let Some(message) = self.truth.messages.get_mut(number)
                        {
                            message.buried = true;
                        }
                    }
                    server.writing = Some((batch, ops));
                }
                pending::Output::Accepted(entry) => {
                    if let Some(number) = self.truth.entries.get(&entry)
                        && let Some(message) = self.truth.messages.get_mut(number)
                    {
                        message.accepted = true;
                    }
                }
                pending::Output::Confirmed(entry, outcome) => {
                    self.truth.confirmed(self.server_lives, entry, outcome)
                }
                pending::Output::Deliver { link, entry, retry_count, repeated, .. } => {
                    if let Some(number) = self.truth.entries.get(&entry).copied() {
                        if retry_count > 0
                            && let Some(message) = self.truth.messages.get_mut(&number)
                        {
                            message.retried = true;
                        }
                        out.push((link.0, number, repeated));
                    }
                }
                _ => {}
            }
        }
        match self.mutation {
            Mutation::NoResend => out.retain(|(_, _, repeated)| !repeated),
            Mutation::ResendBackwards if out.iter().all(|(_, _, repeated)| *repeated) => out.reverse(),
            _ => {}
        }
        let mut rest = &out[..];
        while let Some((link, number, _)) = rest.first().copied() {
            let run = rest.iter().take_while(|(other, _, _)| *other == link).count();
            if run > 1 {
                let mut members: Vec<_> =
                    rest[..run].iter().map(|(_, number, _)| Some(Load::Message(*number))).collect();
                if self.random.below(4) == 0 {
                    members.insert(self.random.below(run as u64 + 1) as usize, None);
                }
                match self.mutation {
                    Mutation::BatchTail => drop(members.pop()),
                    Mutation::BatchStops => {
                        let good = members.iter().position(Option::is_none).unwrap_or(members.len());
                        members.truncate(good);
                    }
                    _ => {}
                }
                self.tell(link, invocation("RBatch", Load::Batch(members.into()), None));
                rest = &rest[run..];
            } else {
                let header = Some((MESSAGE_HEADER, number.to_string().into()));
                self.tell(link, invocation("R", Load::Message(number), header));
                rest = &rest[1..];
            }
        }
    }

    /// The stores finish what they are busy with, or fail.
    pub(super) fn server_writes(&mut self) {
        let fails = self.faults && self.random.below(50) == 0;
        let Some(server) = &mut self.server else { return };
        if let Some((batch, ops)) = server.writing.take() {
            let result = match fails {
                true => Err("the disk is full".to_owned()),
                false => {
                    if self.mutation != Mutation::ServerEarly {
                        self.disk.write(ops);
                    } else if self.random.below(8) > 0 {
                        // It said so, and the machine went on.
                        self.disk.write(ops);
                    }
                    Ok(())
                }
            };
            self.deliveries(pending::Input::Stored(batch, result));
        }
        let Some(server) = &mut self.server else { return };
        if let Some((batch, ops)) = server.keeping.take() {
            if !fails {
                self.disk.keep(ops);
            }
            self.streams(history::Input::Stored { batch, stored: !fails });
        }
    }

    /// What the server still has to do, for people.
    pub(super) fn server_state(&self) -> String {
        let Some(server) = &self.server else { return "no server".into() };
        let (running, deliveries) = (server.running.len(), server.deliveries.statistics());
        let written = (server.streams.is_written(), server.deliveries.is_written());
        format!("{running} methods, written {written:?}, {deliveries:?}")
    }

    pub(super) fn server_is_idle(&self) -> bool {
        self.server.as_ref().is_some_and(|server| {
            server.running.is_empty()
                && server.writing.is_none()
                && server.keeping.is_none()
                && server.streams.is_written()
                && server.deliveries.is_written()
                && server.deliveries.statistics().pending_messages == 0
        })
    }
}
