//! What a message of the server goes through before the application gets it: streams with history, batches, changes of
//! objects, acknowledgements. `docs/delivery.md` is the specification.

mod acks;
mod config;
mod objects;
mod streams;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::ByteString;
use crate::text::numbered;

pub use config::{AckMode, DeliveryConfig};

use super::calls::{Owner, Pending};
use super::io::{DeliveryId, Event, ReplyId};
use super::timers::Timer;
use super::{Client, ConnectionState};
use crate::protocol::delivery::{
    ACKNOWLEDGE, ACKNOWLEDGE_MANY, BATCH_SUFFIX, DELTA_SUFFIX, MAX_LIST, MAX_MESSAGE_ID, MAX_REASON,
    MESSAGE_HEADER, NACK, POSITION, POSITION_HEADER, Position, RECOVER, SNAPSHOT, header,
};
use crate::protocol::{Argument, Call, Delta, Feature, HubMessage, Invocation, Member, OpaquePayload};
use crate::{Error, ErrorKind, Time};
use acks::{Acks, Receipt};
use objects::{ObjectId, Objects};
use streams::{Streams, Verdict};

/// How long a server that has no room for what is missing is left alone.
const STALL: Duration = Duration::from_secs(1);

/// Where messages are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapSource {
    /// In a stream with history.
    Stream(ByteString),
    /// Among the changes of an object.
    Object {
        /// The method it comes with.
        target: ByteString,
        /// Which one.
        key: ByteString,
    },
}

impl fmt::Display for GapSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "the stream '{stream}'"),
            Self::Object { target, key } => write!(f, "'{target}' of '{key}'"),
        }
    }
}

/// What the client asked the server for by itself.
#[derive(Debug)]
pub(super) enum Question {
    /// What is missing in these streams.
    Streams(Vec<ByteString>),
    /// That object, as a whole.
    Object(ObjectId),
}

/// All of it.
#[derive(Debug)]
pub(super) struct Inbox<P> {
    acks: Acks,
    streams: Streams,
    objects: Objects<P>,
    /// How many questions wait for an answer.
    questions: usize,
}

impl<P> Default for Inbox<P> {
    fn default() -> Self {
        Self { acks: Acks::default(), streams: Streams::default(), objects: Objects::default(), questions: 0 }
    }
}

impl<P: OpaquePayload> Client<P> {
    /// A call of the server.
    pub(super) fn receive(&mut self, call: Call<P>, reply: Option<ReplyId>) {
        if let Some(position) = header(&call.headers, POSITION_HEADER) {
            // What cannot be read is no position of a stream; the message itself may be all right.
            if let Some(position) = Position::parse(position)
                && !self.follow_stream(&call.target, &position)
            {
                return;
            }
        }
        if &*call.target == POSITION {
            return;
        }
        let id = header(&call.headers, MESSAGE_HEADER).cloned();
        // Who waits for an answer sends neither batches nor changes.
        if reply.is_none()
            && self.config.delivery.unpack_batches
            && let Some(target) = without_suffix(&call.target, BATCH_SUFFIX)
            && let Some(members) = call.arguments.members()
        {
            return self.receive_batch(&target, members);
        }
        self.receive_one(call.target, call.arguments, id, reply);
    }

    /// Whether calls of that method are never looked into unless they have headers: they are neither acknowledged by
    /// the client's own choice, nor batches, nor changes. Never changes.
    pub fn is_plain(&self, target: &str) -> bool {
        let delivery = &self.config.delivery;
        target != POSITION
            && delivery.mode_of(target).is_none_or(|mode| mode == AckMode::Off)
            && !(delivery.unpack_batches && target.ends_with(BATCH_SUFFIX))
            && !(delivery.merge_deltas && target.ends_with(DELTA_SUFFIX))
    }

    fn receive_batch(&mut self, target: &ByteString, members: Vec<Member<P>>) {
        let announced = self.has(Feature::Ack);
        for Member { arguments, message_id } in members {
            match arguments {
                Some(arguments) => {
                    let id = message_id.filter(|_| announced);
                    self.receive_one(target.clone(), arguments, id, None);
                }
                None => self.refuse_member(target, message_id),
            }
        }
    }

    fn has(&self, feature: Feature) -> bool {
        self.established.features.contains(&feature)
    }

    /// A message of a stream. Returns whether it is for the application.
    fn follow_stream(&mut self, target: &str, position: &Position) -> bool {
        let limit = self.config.delivery.max_streams;
        if target == POSITION {
            let (gap, forgotten) = self.inbox.streams.subscribed(position, limit);
            self.report_forgotten(forgotten);
            if gap {
                self.report_lost(position.stream.clone());
            }
            self.ask_streams();
            return false;
        }
        let (verdict, forgotten) = self.inbox.streams.message(position, limit);
        self.report_forgotten(forgotten);
        match verdict {
            Verdict::Deliver => true,
            Verdict::DeliverAfterGap => {
                self.report_lost(position.stream.clone());
                true
            }
            Verdict::Duplicate => {
                self.metrics.duplicates_dropped += 1;
                false
            }
            Verdict::Early => {
                self.ask_streams();
                false
            }
        }
    }

    /// Asks for what is missing.
    fn ask_streams(&mut self) {
        let positions = self.inbox.streams.ask();
        if positions.is_empty() {
            return;
        }
        let (mut texts, mut streams) = (Vec::<ByteString>::new(), Vec::new());
        for position in positions {
            texts.push(position.to_text().into());
            streams.push(position.stream);
        }
        self.metrics.recoveries += 1;
        let arguments = P::from_arguments(self.config.encoding, &[Argument::Texts(&texts)]);
        self.ask_server(Question::Streams(streams), RECOVER, arguments);
    }

    fn ask_server(&mut self, question: Question, target: &'static str, arguments: P) {
        self.inbox.questions += 1;
        // From the last question on: each answer shows that the server is at it.
        self.timers.set(Timer::Question, self.patience());
        let invocation_id = Some(self.calls.open(Pending::own(Owner::Delivery(question))));
        let call = Call::new(ByteString::from_static(target), arguments);
        self.send(HubMessage::Invocation(Invocation { invocation_id, call }));
    }

    /// Until when a question may be without answer. A connection that is dead is found to be so before that.
    fn patience(&self) -> Time {
        self.now + self.config.request_timeout + self.config.server_timeout
    }

    /// The answer to a question.
    pub(super) fn question_answered(&mut self, question: Question, result: Result<Option<P>, Error>) {
        self.inbox.questions = self.inbox.questions.saturating_sub(1);
        match self.inbox.questions {
            0 => self.timers.stop(Timer::Question),
            _ => self.timers.set(Timer::Question, self.patience()),
        }
        match question {
            Question::Streams(streams) => {
                let answers = result.ok().flatten().and_then(|value| value.texts());
                let (gaps, stalled) = self.inbox.streams.answered(&streams, answers.as_deref());
                for stream in gaps {
                    self.report_lost(stream);
                }
                match stalled {
                    true if self.inbox.questions == 0 => {
                        self.set_timer(Timer::Question, STALL);
                    }
                    true => {}
                    false => self.ask_streams(),
                }
            }
            Question::Object(id) => self.object_answered(id),
        }
    }

    fn object_answered(&mut self, id: ObjectId) {
        if self.inbox.objects.answered(&id) {
            let (target, key) = id;
            let text = "Changes were lost, and the server did not send the whole object.";
            self.report_gap(GapSource::Object { target, key }, text.into());
        }
    }

    /// The server answers pings but not questions: what was asked for cannot be had.
    pub(super) fn questions_timed_out(&mut self) {
        if self.inbox.questions == 0 {
            // The server had no room.
            return self.ask_streams();
        }
        self.inbox.questions = 0;
        for question in self.calls.take_questions() {
            self.question_answered(question, Ok(None));
        }
    }

    fn report_lost(&mut self, stream: ByteString) {
        let text = "Messages were lost that the server does not have any more.";
        self.report_gap(GapSource::Stream(stream), text.into());
    }

    fn report_forgotten(&mut self, stream: Option<ByteString>) {
        if let Some(stream) = stream {
            let limit = self.config.delivery.max_streams;
            let text = "The client follows more than # streams; messages may get lost unnoticed.";
            let text = numbered(text, &[limit as u64]);
            self.report_gap(GapSource::Stream(stream), text.into());
        }
    }

    fn report_gap(&mut self, source: GapSource, text: Cow<'static, str>) {
        self.metrics.gaps += 1;
        self.event(Event::Gap { source, error: Error::new(ErrorKind::Gap, text) });
    }

    /// One message, out of its batch.
    fn receive_one(
        &mut self,
        target: ByteString,
        arguments: P,
        id: Option<ByteString>,
        reply: Option<ReplyId>,
    ) {
        let named = self.config.delivery.mode_of(&target);
        let mode = named.unwrap_or(self.config.delivery.acks);
        let id = match (mode, named) {
            (AckMode::Off, _) => None,
            // Whoever names a method knows that its messages have ids, whatever the server says of itself.
            (_, Some(_)) => id.or_else(|| arguments.message_id()),
            (_, None) => id,
        };
        let id = id.filter(|id| (1..=MAX_MESSAGE_ID).contains(&id.len()));
        let mut delivery = None;
        if let Some(id) = id {
            match self.inbox.acks.receive(&id, self.config.delivery.max_unacknowledged) {
                Receipt::New(new) => delivery = Some(new).filter(|_| mode == AckMode::Auto),
                Receipt::Open => return self.metrics.duplicates_dropped += 1,
                Receipt::Handled => {
                    self.metrics.duplicates_dropped += 1;
                    return self.acknowledge(id);
                }
                Receipt::Full => {
                    return self
                        .send_nack(&id, "The client has too many messages that it has not handled yet.");
                }
            }
        }
        if reply.is_none()
            && self.config.delivery.merge_deltas
            && let Some(base) = without_suffix(&target, DELTA_SUFFIX)
            && let Some(delta) = arguments.delta(&self.config.delivery.delta_keys)
        {
            return self.receive_change(base, target, &delta, arguments, delivery);
        }
        self.event(Event::Invocation { target, arguments, reply, delivery });
    }

    /// A change of an object: for the handlers of changes, and the whole object for the others.
    fn receive_change(
        &mut self,
        base: ByteString,
        target: ByteString,
        delta: &Delta,
        change: P,
        delivery: Option<DeliveryId>,
    ) {
        let merged = self.inbox.objects.change(&base, delta, &change, &self.config.delivery);
        self.event(Event::Invocation { target, arguments: change, reply: None, delivery: None });
        let last = merged.states.len().checked_sub(1);
        for (index, arguments) in merged.states.into_iter().enumerate() {
            let delivery = delivery.filter(|_| Some(index) == last);
            self.event(Event::Invocation { target: base.clone(), arguments, reply: None, delivery });
        }
        // A change that waits is in good hands.
        if let (None, Some(delivery)) = (last, delivery) {
            self.handled(delivery, Ok(()));
        }
        if merged.ask {
            let id = ((&*base).into(), (&*delta.key).into());
            if self.has(Feature::Delta) {
                self.inbox.objects.asked(&id);
                self.metrics.snapshots += 1;
                let arguments = [Argument::Text(&base), Argument::Text(&delta.key)];
                let arguments = P::from_arguments(self.config.encoding, &arguments);
                self.ask_server(Question::Object(id), SNAPSHOT, arguments);
            } else {
                self.object_answered(id);
            }
        }
    }

    /// A member of a batch that is no message.
    fn refuse_member(&mut self, target: &str, id: Option<ByteString>) {
        self.metrics.malformed += 1;
        if let Some(id) =
            id.filter(|_| self.has(Feature::Ack) || self.config.delivery.mode_of(target).is_some())
        {
            self.send_nack(&id, "The member of the batch is malformed.");
        }
    }

    /// The handlers of a message have ended.
    pub(super) fn handled(&mut self, delivery: DeliveryId, result: Result<(), String>) {
        match result {
            Ok(()) => {
                if let Some(id) = self.inbox.acks.handled(delivery, self.config.delivery.ack_window) {
                    self.acknowledge(id);
                }
            }
            Err(reason) => {
                if let Some(id) = self.inbox.acks.failed(delivery) {
                    self.send_nack(&id, &reason);
                }
            }
        }
    }

    /// The application says how it went.
    pub(super) fn handled_by_id(&mut self, id: &str, result: Result<(), String>) {
        if let Some(delivery) = self.inbox.acks.delivery(id) {
            self.handled(delivery, result);
        } else if !id.is_empty() && id.len() <= MAX_MESSAGE_ID {
            // Nothing is known of it here: the server may know more.
            match result {
                Ok(()) => self.acknowledge(id.into()),
                Err(reason) => self.send_nack(id, &reason),
            }
        }
    }

    /// Tells the server soon. Without a connection the message comes again, and is acknowledged then.
    fn acknowledge(&mut self, id: ByteString) {
        if self.state() != ConnectionState::Connected {
            return;
        }
        let waiting = self.inbox.acks.tell(id);
        if waiting >= MAX_LIST || self.config.delivery.ack_delay.is_zero() || self.hints.is_background() {
            self.send_acks();
        } else if !self.timers.is_set(Timer::Confirm) {
            self.set_timer(Timer::Confirm, self.config.delivery.ack_delay);
        }
    }

    pub(super) fn send_acks(&mut self) {
        self.timers.stop(Timer::Confirm);
        let ids = self.inbox.acks.take_waiting();
        self.metrics.acknowledged += ids.len() as u64;
        if ids.len() > 1 && self.has(Feature::Ack) {
            for ids in ids.chunks(MAX_LIST) {
                self.tell(ACKNOWLEDGE_MANY, &[Argument::Texts(ids)]);
            }
        } else {
            for id in &ids {
                self.tell(ACKNOWLEDGE, &[Argument::Text(id)]);
            }
        }
    }

    fn send_nack(&mut self, id: &str, reason: &str) {
        // What was handled before it is told before it.
        self.send_acks();
        self.metrics.nacked += 1;
        self.tell(NACK, &[Argument::Text(id), Argument::Text(cut(reason))]);
    }

    fn tell(&mut self, target: &'static str, arguments: &[Argument<'_>]) {
        let arguments = P::from_arguments(self.config.encoding, arguments);
        let call = Call::new(ByteString::from_static(target), arguments);
        self.send(HubMessage::Invocation(Invocation { invocation_id: None, call }));
    }

    /// The connection is gone.
    pub(super) fn lose_deliveries(&mut self) {
        // What was handled comes again, and is acknowledged then.
        self.inbox.acks.take_waiting();
        self.inbox.streams.disconnected();
        self.inbox.objects.disconnected();
        self.inbox.questions = 0;
    }

    /// The connection is gone, and will not be made again by itself.
    pub(super) fn forget_objects(&mut self) {
        self.inbox.objects.forget();
    }

    /// Where the client stands in the streams that it follows: what was given to the application so far.
    pub fn positions(&self) -> Vec<Position> {
        self.inbox.streams.positions()
    }
}

impl<P: OpaquePayload> Inbox<P> {
    pub(super) fn new(config: &DeliveryConfig, positions: &[Position]) -> Self {
        let mut inbox = Self::default();
        inbox.streams.restore(positions, config.max_streams);
        inbox
    }
}

/// The name of the method of which that is a form.
fn without_suffix(target: &ByteString, suffix: &str) -> Option<ByteString> {
    target.strip_suffix(suffix).filter(|base| !base.is_empty()).map(|base| target.slice_ref(base))
}

/// As much of a text as fits.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_REASON)).unwrap_or_default()
}
