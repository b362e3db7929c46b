//! Plain JavaScript objects read as configuration, options of calls and stored calls, and written from them. The names are
//! those of `backend.ts`. What is missing has its default; the TypeScript above has checked the types.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ByteString;
use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::{JsCast, JsValue};

use super::outputs::number;
use super::payload::{Handle, count, strings, text};
use crate::Time;
use crate::client::{
    AckMode, CallId, CallKind, CallOptions, Config, FullPolicy, JoinRule, Priority, RetryPolicy, Sequence,
    StoreOp, StoredCall,
};
use crate::protocol::delivery::Position;
use crate::protocol::{Encoding, Transport};

/// A JavaScript object, read by names.
struct Object<'a>(&'a JsValue);

// Not inlined: each use would be a hundred bytes of WebAssembly.
impl Object<'_> {
    #[inline(never)]
    fn get(&self, name: &str) -> JsValue {
        Reflect::get(self.0, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
    }

    #[inline(never)]
    fn text(&self, name: &str) -> Option<ByteString> {
        text(&self.get(name))
    }

    #[inline(never)]
    fn string(&self, name: &str) -> Option<String> {
        self.get(name).as_string()
    }

    #[inline(never)]
    fn count(&self, name: &str) -> Option<u64> {
        count(&self.get(name))
    }

    #[inline(never)]
    fn duration(&self, name: &str) -> Option<Duration> {
        self.count(name).map(Duration::from_millis)
    }

    #[inline(never)]
    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).as_bool()
    }

    #[inline(never)]
    fn list(&self, name: &str) -> Option<Array> {
        self.get(name).dyn_into::<Array>().ok()
    }

    /// The items of a list; none if it is missing.
    #[inline(never)]
    fn each(&self, name: &str, take: &mut dyn FnMut(&JsValue)) {
        if let Some(list) = self.list(name) {
            for index in 0..list.length() {
                take(&list.get(index));
            }
        }
    }

    #[inline(never)]
    fn texts(&self, name: &str) -> Option<Vec<ByteString>> {
        self.list(name).map(|list| strings(&list))
    }

    /// An object inside, with nothing in it if it is missing.
    #[inline(never)]
    fn inner(&self, name: &str) -> JsValue {
        let inner = self.get(name);
        if inner.is_object() { inner } else { js_sys::Object::new().into() }
    }

    #[inline(never)]
    fn set_flag(&self, name: &str, to: &mut bool) {
        if let Some(value) = self.flag(name) {
            *to = value;
        }
    }

    #[inline(never)]
    fn set_duration(&self, name: &str, to: &mut Duration) {
        if let Some(value) = self.duration(name) {
            *to = value;
        }
    }

    #[inline(never)]
    fn size(&self, name: &str) -> Option<usize> {
        self.count(name).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
    }

    #[inline(never)]
    fn set_size(&self, name: &str, to: &mut usize) {
        if let Some(value) = self.size(name) {
            *to = value;
        }
    }
}

fn ack_mode(name: &str) -> AckMode {
    match name {
        "manual" => AckMode::Manual,
        "off" => AckMode::Off,
        _ => AckMode::Auto,
    }
}

fn priority(name: &str) -> Priority {
    match name {
        "low" => Priority::Low,
        "high" => Priority::High,
        "critical" => Priority::Critical,
        _ => Priority::Normal,
    }
}

const fn priority_name(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
        Priority::Critical => "critical",
    }
}

/// The configuration of a connection.
pub fn config(settings: &JsValue) -> Config {
    let from = Object(settings);
    let mut config = Config::new(from.string("url").unwrap_or_default());
    if from.string("encoding").is_some_and(|name| name == Encoding::MessagePack.name()) {
        config.encoding = Encoding::MessagePack;
    }
    if let Some(names) = from.texts("transports") {
        config.transports.clear();
        for name in names {
            if let Some(transport) = Transport::from_name(&name) {
                config.transports.push(transport);
            }
        }
    }
    from.set_flag("skipNegotiation", &mut config.skip_negotiation);
    from.set_flag("hasTokenFactory", &mut config.has_token_factory);
    from.set_duration("keepAliveInterval", &mut config.keep_alive_interval);
    from.set_duration("serverTimeout", &mut config.server_timeout);
    from.set_duration("handshakeTimeout", &mut config.handshake_timeout);
    from.set_duration("requestTimeout", &mut config.request_timeout);
    from.set_duration("closeTimeout", &mut config.close_timeout);
    config.stateful_reconnect = from.size("statefulReconnect");
    from.set_flag("tokenRefresh", &mut config.token_refresh);
    config.retry = retry(&from);
    let outbox = from.inner("outbox");
    let outbox = Object(&outbox);
    outbox.set_size("maxItems", &mut config.outbox.max_items);
    outbox.set_size("maxBytes", &mut config.outbox.max_bytes);
    outbox.set_size("window", &mut config.outbox.window);
    config.outbox.when_full = match outbox.string("whenFull").as_deref() {
        Some("dropOldest") => FullPolicy::DropOldest,
        Some("dropNewest") => FullPolicy::DropNewest,
        _ => FullPolicy::Reject,
    };
    config.has_store = from.string("store").is_some();
    delivery(&from, &mut config);
    for position in from.texts("positions").unwrap_or_default() {
        if let Some(position) = Position::parse(&position) {
            config.positions.push(position);
        }
    }
    from.each("joins", &mut |rule| {
        if let Some(rule) = join(rule) {
            config.joins.push(rule);
        }
    });
    config.call_timeout = from.duration("callTimeout");
    config.ping_method = from.text("pingMethod");
    config.client_id = from.string("clientId");
    config.session_id = from.string("sessionId");
    from.set_flag("announce", &mut config.announce);
    config
}

fn delivery(from: &Object<'_>, config: &mut Config) {
    let from = from.inner("delivery");
    let from = Object(&from);
    let delivery = &mut config.delivery;
    if let Some(mode) = from.string("acks") {
        delivery.acks = ack_mode(&mode);
    }
    from.each("targets", &mut |pair| {
        let pair = Array::from(pair);
        if let (Some(name), Some(mode)) = (text(&pair.get(0)), pair.get(1).as_string()) {
            delivery.targets.push((name, ack_mode(&mode)));
        }
    });
    from.set_duration("ackDelay", &mut delivery.ack_delay);
    from.set_size("ackWindow", &mut delivery.ack_window);
    from.set_size("maxUnacknowledged", &mut delivery.max_unacknowledged);
    from.set_flag("unpackBatches", &mut delivery.unpack_batches);
    from.set_flag("mergeDeltas", &mut delivery.merge_deltas);
    if let Some(keys) = from.texts("deltaKeys") {
        delivery.delta_keys = keys;
    }
    from.set_size("maxObjects", &mut delivery.max_objects);
    from.set_size("maxObjectBytes", &mut delivery.max_object_bytes);
    from.set_size("maxHeldDeltas", &mut delivery.max_held_deltas);
    from.set_size("maxStreams", &mut delivery.max_streams);
}

fn retry(from: &Object<'_>) -> RetryPolicy {
    let schedule = from.inner("retry");
    let schedule = Object(&schedule);
    let mut policy = match schedule.string("type").as_deref() {
        Some("fullJitter") => RetryPolicy::full_jitter(
            schedule.duration("base").unwrap_or(Duration::from_secs(1)),
            schedule.duration("cap").unwrap_or(Duration::from_secs(30)),
        ),
        Some("conduit") => RetryPolicy::conduit(),
        Some("table") => {
            let mut delays = Vec::new();
            schedule.each("delays", &mut |delay| {
                if let Some(delay) = count(delay) {
                    delays.push(Duration::from_millis(delay));
                }
            });
            RetryPolicy::table(delays)
        }
        Some("custom") => RetryPolicy::custom(),
        Some("never") => RetryPolicy::never(),
        _ => RetryPolicy::default(),
    };
    if let Some(jitter) = from.flag("retryJitter") {
        policy = policy.with_jitter(jitter);
    }
    if let Some(retried) = from.flag("retryFirstStart") {
        policy = policy.with_first_start(retried);
    }
    if let Some(retries) = from.count("maxRetries") {
        policy = policy.with_max_retries(u32::try_from(retries).unwrap_or(u32::MAX));
    }
    policy
}

fn join(rule: &JsValue) -> Option<JoinRule> {
    let from = Object(rule);
    Some(JoinRule { join: from.text("join")?, leave: from.text("leave") })
}

/// The options of a call.
pub fn call_options(options: &JsValue) -> CallOptions {
    let mut call = CallOptions::default();
    if !options.is_object() {
        return call;
    }
    let from = Object(options);
    call.timeout = from.duration("timeout");
    call.expires_after = from.duration("expiresAfter");
    call.priority = from.string("priority").map_or_else(Priority::default, |name| priority(&name));
    call.supersede_key = from.text("supersedeKey");
    from.set_flag("idempotent", &mut call.idempotent);
    from.set_flag("durable", &mut call.durable);
    from.set_flag("queue", &mut call.queue);
    call
}

/// A call that a store held, with an id for its events.
pub(super) fn stored_call(stored: &JsValue) -> Option<(CallId, Sequence, StoredCall<Handle>)> {
    let from = Object(stored);
    let part = |name| from.count(name).and_then(|part| u32::try_from(part).ok());
    let call = StoredCall {
        kind: if from.string("kind")? == "send" { CallKind::Send } else { CallKind::Invoke },
        target: from.text("target")?,
        arguments: Handle::new(part("slot")?, part("size")?),
        priority: priority(&from.string("priority")?),
        supersede_key: from.text("supersedeKey"),
        queued_at: Time::from_millis(from.count("queuedAt")?),
        expires_at: from.count("expiresAt").map(Time::from_millis),
    };
    Some((CallId(from.count("call")?), Sequence(from.count("sequence")?), call))
}

/// A change of a store: an object as [`stored_call`] reads it, whose slot is JavaScript's, or a sequence to forget.
pub(super) fn change(op: &mut StoreOp<Handle>) -> JsValue {
    let (sequence, call) = match op {
        StoreOp::Delete(sequence) => return number(sequence.0).into(),
        StoreOp::Put(sequence, call) => (sequence, call),
    };
    let object = js_sys::Object::new();
    let set = |name: &str, value: JsValue| drop(Reflect::set(&object, &name.into(), &value));
    set("sequence", number(sequence.0).into());
    set("kind", if call.kind == CallKind::Send { "send" } else { "invoke" }.into());
    set("target", JsValue::from_str(&call.target));
    set("priority", priority_name(call.priority).into());
    if let Some(key) = &call.supersede_key {
        set("supersedeKey", JsValue::from_str(key));
    }
    set("queuedAt", number(call.queued_at.as_millis()).into());
    if let Some(time) = call.expires_at {
        set("expiresAt", number(time.as_millis()).into());
    }
    set("slot", call.arguments.take().into());
    object.into()
}
