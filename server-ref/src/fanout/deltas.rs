//! Objects that are sent as what changed in them: [`States`] with its lock and its clients.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use hubwire::protocol::delivery::DELTA_SUFFIX;
use hubwire::protocol::{Encoding, Payload, PayloadError};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::encoded::{Frames, call};
use super::{destination, is_subscribed};
use crate::clients::Recipients;
use crate::connection::Connection;
use crate::delivery::delta::{Delta, Deltas, Object, StateKey, States};
use crate::endpoint::Endpoint;
use crate::error::SendError;
use crate::outbox::WaitingDelta;

/// Which object it is, for [`Recipients::send_delta`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeltaKey {
    /// The property that names the object, such as `taskId`. The same for all objects of one client method.
    pub field: ByteString,
    /// Its value.
    pub value: ByteString,
}

impl DeltaKey {
    /// The object whose property `field` is `value`.
    pub fn new(field: impl Into<ByteString>, value: impl Into<ByteString>) -> Self {
        Self { field: field.into(), value: value.into() }
    }
}

/// The objects of one hub. The lock is held for a moment; what makes the order is the lock of the destination around
/// it.
#[derive(Debug)]
pub(super) struct Objects {
    inner: Mutex<States>,
}

/// What is not of the object, but of the delta.
const SEQUENCE: &str = "sequence";
const BASE_SEQUENCE: &str = "baseSequence";
const FULL: &str = "full";

impl Objects {
    pub(super) fn new(limits: Deltas) -> Self {
        Self { inner: Mutex::new(States::new(limits)) }
    }

    /// Sends a client all objects of a destination that it follows from now on.
    pub(super) fn send_all(&self, connection: &Connection, destination: &ByteString) {
        let snapshots = self.inner.lock().snapshots(destination);
        let (mut messages, mut bytes) = connection.outbox.free();
        (messages, bytes) = (messages / 2, bytes / 2);
        for (key, delta) in snapshots.into_iter().take(messages) {
            let Ok(frame) = encoded(connection.encoding, &key.target, &delta) else { continue };
            // The rest is asked for when it changes: what does not follow is noticed.
            let Some(left) = bytes.checked_sub(frame.len()) else { return };
            bytes = left;
            push(connection, frame, &Arc::new(key), &Arc::new(delta));
        }
    }
}

/// The call of a delta. The property that names the object is among the fields, see [`Recipients::send_delta`].
fn encoded(encoding: Encoding, target: &str, delta: &Delta) -> Result<Bytes, PayloadError> {
    let mut object = delta.fields.clone();
    for name in [SEQUENCE, BASE_SEQUENCE, FULL] {
        object.remove(name);
    }
    object.insert(SEQUENCE.into(), delta.sequence.into());
    match delta.base {
        Some(base) => object.insert(BASE_SEQUENCE.into(), base.into()),
        None => object.insert(FULL.into(), true.into()),
    };
    let arguments = Payload::encode_arguments(encoding, &(object,))?;
    Ok(call(encoding, format!("{target}{DELTA_SUFFIX}").into(), arguments, None))
}

/// Appends a delta. If the one before it still waits, the two become one.
fn push(connection: &Connection, frame: Bytes, key: &Arc<StateKey>, delta: &Arc<Delta>) -> bool {
    let merge = |before: &Delta| {
        let both = before.then(delta)?;
        let frame = encoded(connection.encoding, &key.target, &both).ok()?;
        Some((frame, Arc::new(both)))
    };
    connection.outbox.push_delta(frame, WaitingDelta { key: key.clone(), delta: delta.clone() }, merge)
}

impl super::Fanout {
    /// Whether the hub sends objects as changes.
    pub(crate) const fn has_deltas(&self) -> bool {
        self.objects.is_some()
    }

    /// Sends a client an object as a whole. `false` if there is none that goes to it.
    pub(crate) fn send_snapshot(
        &self,
        endpoint: &Endpoint,
        connection: &Connection,
        target: &str,
        key: &str,
    ) -> bool {
        let Some(objects) = &self.objects else { return false };
        let mut found = false;
        for destination in super::destinations(endpoint, connection) {
            let key = StateKey { destination, target: target.into(), key: key.into() };
            let _order = self.order.lock(&key.destination);
            let Some(delta) = objects.inner.lock().snapshot(&key) else { continue };
            // It may have left meanwhile.
            if is_subscribed(endpoint, connection, &key.destination)
                && let Ok(frame) = encoded(connection.encoding, target, &delta)
            {
                found = true;
                endpoint.stats.sent(u64::from(push(connection, frame, &Arc::new(key), &Arc::new(delta))));
            }
        }
        found
    }
}

impl Recipients {
    /// Says how an object is now to each of the clients, which are those of a group or of a user.
    ///
    /// Hubwire clients get `<Method>Delta` with what has changed since the last time, the first time and when they
    /// join with all of it; others get the method with the whole object. If nothing has changed nothing is sent.
    /// Where the hub has no [`HubOptions::deltas`](crate::HubOptions::deltas), everybody gets the whole object each
    /// time.
    ///
    /// The property that names the object is added to it. Properties that are null count as not there. `sequence`,
    /// `baseSequence` and `full` are the names of the delta: those of the object do not reach Hubwire clients.
    ///
    /// # Errors
    /// When the value is no object or cannot be encoded, a group has no name, or the recipients are not one group or
    /// user.
    pub fn send_delta<T: Serialize + ?Sized>(
        &self,
        target: &str,
        key: &DeltaKey,
        value: &T,
    ) -> Result<(), SendError> {
        let object = object(key, value)?;
        self.send_object(target, key, object.clone(), &(object,))
    }

    /// As [`send_delta`](Self::send_delta), but others get the method with these arguments in place of the object.
    ///
    /// # Errors
    /// As [`send_delta`](Self::send_delta), and when the arguments cannot be encoded.
    pub fn send_delta_or<T: Serialize + ?Sized, A: Serialize>(
        &self,
        target: &str,
        key: &DeltaKey,
        value: &T,
        others: A,
    ) -> Result<(), SendError> {
        self.send_object(target, key, object(key, value)?, &others)
    }

    fn send_object<A: Serialize>(
        &self,
        target: &str,
        key: &DeltaKey,
        object: Object,
        others: &A,
    ) -> Result<(), SendError> {
        let (endpoint, to) = self.check()?;
        let destination = destination(to).ok_or(SendError::NoStream)?;
        let fanout = &endpoint.fanout;
        let Some(objects) = &fanout.objects else { return self.send(target, others) };
        let bytes = Payload::encode(Encoding::Json, &object).map_err(SendError::Arguments)?.bytes().len();
        let state = StateKey { destination, target: target.into(), key: key.value.clone() };
        fanout.barrier(endpoint, to);
        let _order = fanout.order.lock(&state.destination);
        let updated = objects.inner.lock().update(&state, object, bytes);
        let Some(mut delta) = updated else { return Ok(()) };
        // It does not change, but it says which object it is.
        delta.fields.insert(key.field.to_string(), Value::String(key.value.to_string()));
        let (state, delta) = (Arc::new(state), Arc::new(delta));
        let mut frames = Frames::default();
        let mut sent = 0;
        for connection in endpoint.registry.recipients(to) {
            let frame = frames.get(&connection, |encoding, announced| {
                if announced {
                    return encoded(encoding, target, &delta).map_err(SendError::Arguments);
                }
                let whole = Payload::encode_arguments(encoding, others).map_err(SendError::Arguments)?;
                Ok(call(encoding, target.into(), whole, None))
            })?;
            sent += u64::from(match connection.identity.is_announced() {
                true => push(&connection, frame, &state, &delta),
                false => connection.outbox.push_best_effort(frame),
            });
        }
        endpoint.stats.sent(sent);
        Ok(())
    }

    /// Forgets how an object was, because it will not change any more: who joins does not get it. Returns whether it
    /// was known.
    pub fn forget_delta(&self, target: &str, key: &DeltaKey) -> bool {
        let Ok((endpoint, to)) = self.check() else { return false };
        let (Some(destination), Some(objects)) = (destination(to), &endpoint.fanout.objects) else {
            return false;
        };
        let _order = endpoint.fanout.order.lock(&destination);
        let state = StateKey { destination, target: target.into(), key: key.value.clone() };
        objects.inner.lock().forget(&state)
    }
}

fn object<T: Serialize + ?Sized>(key: &DeltaKey, value: &T) -> Result<Object, SendError> {
    let value = serde_json::to_value(value)
        .map_err(|error| SendError::Arguments(PayloadError::new(error.to_string())))?;
    let Value::Object(mut object) = value else {
        return Err(SendError::Arguments(PayloadError::new("only objects can be sent as changes")));
    };
    object.insert(key.field.to_string(), Value::String(key.value.to_string()));
    Ok(object)
}
