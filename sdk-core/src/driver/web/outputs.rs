//! What the client says, done.

use core::time::Duration;

use js_sys::Array;
use wasm_bindgen::prelude::JsValue;

use super::host::texts;
use super::link::{Link, Request, Want};
use super::payload::{Handle, list};
use super::{Driver, Purpose};
use crate::client::{
    Cause, ConnectionState, Event, GapSource, Grade, HttpRequest, Input, LinkId, LinkRequest, Output,
};
use crate::protocol::{Headers, HubMessage, Outcome};
use crate::{Error, Time};

/// Numbers of the client in a double: ids are counted from 1 and never come near 2^53.
#[allow(clippy::cast_precision_loss)]
pub(super) const fn number(id: u64) -> f64 {
    id as f64
}

pub(super) const fn millis(time: Duration) -> f64 {
    // Not `as_millis`, whose 128 bits are a kilobyte of WebAssembly.
    number(time.as_secs()) * 1000.0 + number(time.subsec_millis() as u64)
}

/// A time that may be missing; -1 if it is.
fn optional(time: Option<Duration>) -> f64 {
    time.map_or(-1.0, millis)
}

const fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "good",
        Grade::Fair => "fair",
        Grade::Poor => "poor",
        Grade::Lost => "lost",
    }
}

fn error_texts(error: &Error) -> [&str; 2] {
    [error.kind().name(), error.detail()]
}

fn flat(headers: &Headers) -> Option<Array> {
    if headers.is_empty() {
        return None;
    }
    let array = Array::new();
    for (name, value) in headers {
        array.push(&JsValue::from_str(name));
        array.push(&JsValue::from_str(value));
    }
    Some(array)
}

impl Driver {
    /// Does what the client says, until it says to wait.
    pub(super) fn drain(&mut self) {
        loop {
            // Looked at where it is, and dropped at the end: to take each kind apart would be code for each.
            let mut output = self.client.poll();
            match &mut output {
                Output::Wait(deadline) => return self.wait(*deadline),
                Output::Event(event) => self.tell(event),
                Output::Transmit(id, message) => self.transmit(*id, message),
                Output::Handshake(id, request) => {
                    if let Some(link) = self.link.as_mut().filter(|link| link.id == *id) {
                        let (number, want) = (link.number, link.send(&self.host, request.to_text().into()));
                        self.satisfy(number, want);
                    }
                }
                Output::Token(request) => self.host.token(number(request.get())),
                Output::Negotiate(request, http) => {
                    self.request_at(Purpose::Negotiate(*request), Request::Negotiate, http);
                }
                Output::Refresh(request, http) => {
                    self.request_at(Purpose::Refresh(*request), Request::Refresh, http);
                }
                Output::Open(id, request) => self.open(*id, request),
                Output::Shut(id) => self.shut(*id),
                Output::Abandon(id) => {
                    if let Some(link) = self.link.take_if(|link| link.id == *id) {
                        link.abandon(&self.host);
                    }
                }
                Output::Retry(request, context) => {
                    let elapsed = millis(context.elapsed);
                    let reason = texts(&error_texts(&context.reason));
                    self.host.retry(number(request.get()), context.previous_retry_count, elapsed, reason);
                }
                // Browsers cannot ping; `Config::can_probe` is off.
                Output::Probe(..) => {}
                Output::Store(batch, changes) => {
                    let array = Array::new();
                    for op in changes {
                        array.push(&super::settings::change(op));
                    }
                    self.host.store(number(batch.get()), &array);
                }
            }
        }
    }

    fn wait(&mut self, deadline: Option<Time>) {
        let Some(deadline) = deadline else { return };
        // A timer that comes too early costs a tick; setting one with every message would cost more.
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.armed = Some(deadline);
            self.host.wake(millis(deadline.since(self.now)));
        }
    }

    fn request_at(&mut self, purpose: Purpose, kind: Request, request: &HttpRequest) {
        let id = self.purpose(purpose);
        self.host.request_at(id, kind as u8, &request.url, request.token.as_deref());
    }

    fn open(&mut self, id: LinkId, request: &LinkRequest) {
        self.last_link = self.last_link.wrapping_add(1);
        let number = self.last_link;
        match Link::open(&self.host, id, number, request) {
            Ok(link) => {
                let polls = link.polls();
                self.link = Some(link);
                if polls {
                    self.poll(number);
                }
            }
            // Part of a drain: what this puts out is taken by the same one.
            Err(failure) => drop(self.client.handle(self.now, Input::Closed(id, Err(failure)))),
        }
    }

    fn shut(&mut self, id: LinkId) {
        if self.client.state() == ConnectionState::Disconnecting {
            let Some(link) = self.link.as_mut().filter(|link| link.id == id) else { return };
            let (number, want) = (link.number, link.close(&self.host));
            self.satisfy(number, want);
        } else if let Some(link) = self.link.take_if(|link| link.id == id) {
            // The client does not wait for it.
            link.abandon(&self.host);
        }
    }

    fn transmit(&mut self, id: LinkId, message: &HubMessage<Handle>) {
        let Some(link) = self.link.as_mut().filter(|link| link.id == id) else { return };
        let frame = encode(&self.host, message);
        let (number, want) = (link.number, link.send(&self.host, frame));
        if want != Want::Nothing {
            self.satisfy(number, want);
        }
    }

    /// Tells JavaScript, which tells the application when this is over.
    fn tell(&mut self, event: &mut Event<Handle>) {
        let host = &self.host;
        let plain = |name: &str, a: u64| host.event(name, number(a), 0.0, 0.0, Array::new());
        match event {
            Event::Invocation { target, arguments, reply, delivery } => {
                let reply = reply.map_or(-1.0, |reply| number(reply.get()));
                let delivery = delivery.map_or(-1.0, |delivery| number(delivery.get()));
                host.invocation(target, arguments.take(), reply, delivery);
            }
            Event::Completed { call, result } => match result {
                Ok(value) => {
                    host.completed(number(call.0), value.as_mut().map_or(0, Handle::take), None, None);
                }
                Err(error) => {
                    let [kind, text] = error_texts(error);
                    host.completed(number(call.0), 0, Some(kind), Some(text));
                }
            },
            Event::Item { call, item } => host.item(number(call.0), item.take()),
            Event::StateChanged { state: new, cause } => self.tell_state(*new, cause),
            Event::InvocationCancelled(reply) => plain("invocationCancelled", reply.get()),
            Event::Queued(call) => plain("queued", call.0),
            Event::UploadStarted(upload) => plain("uploadStarted", upload.0),
            Event::UploadStopped(upload) => plain("uploadStopped", upload.0),
            Event::Resumed => plain("resumed", 0),
            Event::RetryScheduled { previous_retry_count, delay, reason } => {
                let (count, delay) = (f64::from(*previous_retry_count), millis(*delay));
                host.event("retryScheduled", count, delay, 0.0, texts(&error_texts(reason)));
            }
            Event::OutboxChanged(progress) => {
                let (depth, bytes) = (number(progress.depth as u64), number(progress.bytes as u64));
                host.event("outboxChanged", depth, bytes, optional(progress.oldest_age), Array::new());
            }
            Event::StoreFailed(error) => {
                host.event("storeFailed", 0.0, 0.0, 0.0, texts(&error_texts(error)));
            }
            Event::RejoinFailed { target, error } => {
                let [kind, text] = error_texts(error);
                host.event("rejoinFailed", 0.0, 0.0, 0.0, texts(&[kind, text, target]));
            }
            Event::Gap { source, error } => {
                let [kind, text] = error_texts(error);
                let texts = match source {
                    GapSource::Stream(stream) => texts(&[kind, text, stream]),
                    GapSource::Object { target, key } => texts(&[kind, text, target, key]),
                };
                host.event("gap", 0.0, 0.0, 0.0, texts);
            }
            Event::QualityChanged(quality) => {
                let (rtt, jitter) = (optional(quality.rtt), millis(quality.jitter));
                host.event("qualityChanged", rtt, jitter, 0.0, texts(&[grade(quality.grade)]));
            }
            Event::TokenRefreshed(result) => {
                let texts = match result {
                    Ok(()) => Array::new(),
                    Err(error) => texts(&error_texts(error)),
                };
                host.event("tokenRefreshed", 0.0, 0.0, 0.0, texts);
            }
        }
    }

    fn tell_state(&self, new: ConnectionState, cause: &Cause) {
        let (mut allow, mut ids, mut error) = (false, (None, None), None);
        let cause = match cause {
            Cause::Requested => "requested",
            Cause::Established { connection_id, previous_connection_id } => {
                ids = (connection_id.as_deref(), previous_connection_id.as_deref());
                "established"
            }
            Cause::ServerClosed { allow_reconnect } => {
                allow = *allow_reconnect;
                "serverClosed"
            }
            Cause::Failed(reason) => {
                error = Some(reason);
                "failed"
            }
        };
        let [kind, text] = error.map_or([None; 2], |error| error_texts(error).map(Some));
        let array = Array::new();
        for text in [Some(new.name()), Some(cause), ids.0, ids.1, kind, text] {
            array.push(&text.map_or(JsValue::UNDEFINED, JsValue::from_str));
        }
        self.host.state(allow, array);
    }

    /// How it stands, in the order in which `metrics.ts` reads it; times that are not known are -1.
    pub fn metrics_numbers(&self) -> Array {
        let metrics = self.metrics();
        let counts = [
            metrics.connections,
            metrics.reconnections,
            metrics.resumes,
            metrics.retries,
            metrics.messages_sent,
            metrics.messages_received,
            metrics.duplicates_dropped,
            metrics.gaps,
            metrics.acknowledged,
            metrics.nacked,
            metrics.malformed,
            metrics.recoveries,
            metrics.snapshots,
            metrics.outbox.depth as u64,
            metrics.outbox.bytes as u64,
        ];
        let times = [
            optional(metrics.connect_latency),
            optional(metrics.outbox.oldest_age),
            optional(metrics.quality.rtt),
            millis(metrics.quality.jitter),
        ];
        let array = Array::new();
        for count in counts {
            array.push(&number(count).into());
        }
        for time in times {
            array.push(&time.into());
        }
        array.push(&grade(metrics.quality.grade).into());
        array
    }
}

fn encode(host: &super::Host, message: &HubMessage<Handle>) -> JsValue {
    let (mut id, mut slot, mut error, mut count) = (None, 0, None, 0);
    match message {
        HubMessage::Invocation(message) => {
            return encode_call(host, 1, message.invocation_id.as_deref(), &message.call);
        }
        HubMessage::StreamInvocation(message) => {
            return encode_call(host, 4, Some(&message.invocation_id), &message.call);
        }
        HubMessage::StreamItem(message) => {
            (id, slot) = (Some(&*message.invocation_id), message.item.slot());
        }
        HubMessage::Completion(message) => {
            id = Some(&*message.invocation_id);
            match &message.outcome {
                Outcome::Void => {}
                Outcome::Value(value) => slot = value.slot(),
                Outcome::Error(text) => error = Some(&**text),
            }
        }
        HubMessage::CancelInvocation(message) => id = Some(&*message.invocation_id),
        HubMessage::Close(close) => id = close.error.as_deref(),
        HubMessage::Ack { sequence_id } | HubMessage::Sequence { sequence_id } => count = *sequence_id,
        HubMessage::Ping => {}
    }
    host.encode(message.message_type(), id, slot, error, number(count))
}

fn encode_call(
    host: &super::Host,
    kind: u8,
    id: Option<&str>,
    call: &crate::protocol::Call<Handle>,
) -> JsValue {
    let streams = (!call.stream_ids.is_empty()).then(|| list(&call.stream_ids));
    host.encode_call(kind, id, &call.target, call.arguments.slot(), streams, flat(&call.headers))
}
