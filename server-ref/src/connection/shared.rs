//! What everyone else sees of a connection.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;
use hubwire::protocol::Encoding;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::identity::Identity;
use crate::outbox::{Outbox, OutboxLimits, Queued};
use crate::session::CallKey;

/// An open connection: shared by its task, the registry and the contexts of its methods.
pub(crate) struct Connection {
    /// Unique in this process, and cheaper to hash than the id.
    pub(crate) key: u64,
    pub(crate) id: ByteString,
    pub(crate) identity: Arc<Identity>,
    pub(crate) encoding: Encoding,
    pub(crate) outbox: Outbox,
    pub(crate) items: Items,
    pub(crate) tokens: CallTokens,
}

impl Connection {
    pub(crate) fn new(
        key: u64,
        id: ByteString,
        identity: Arc<Identity>,
        encoding: Encoding,
        limits: OutboxLimits,
        queued: Arc<Queued>,
    ) -> Self {
        Self {
            key,
            id,
            identity,
            encoding,
            outbox: Outbox::new(limits, queued),
            items: Items::default(),
            tokens: CallTokens::default(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Values that the application keeps with a connection, at most one of each type.
#[derive(Default)]
pub struct Items(Mutex<HashMap<TypeId, Box<dyn Any + Send>>>);

impl Items {
    /// Sets the value of its type and returns the one before.
    pub fn insert<T: Send + 'static>(&self, value: T) -> Option<T> {
        let before = self.0.lock().insert(TypeId::of::<T>(), Box::new(value));
        before.and_then(|before| before.downcast().ok()).map(|before| *before)
    }

    /// A copy of the value of this type.
    pub fn get<T: Clone + Send + 'static>(&self) -> Option<T> {
        self.0.lock().get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref()).cloned()
    }

    /// Takes the value of this type out.
    pub fn remove<T: Send + 'static>(&self) -> Option<T> {
        let value = self.0.lock().remove(&TypeId::of::<T>());
        value.and_then(|value| value.downcast().ok()).map(|value| *value)
    }

    /// Changes the value of this type, which is created first if there is none.
    pub fn update<T: Default + Send + 'static, R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut items = self.0.lock();
        let value = items.entry(TypeId::of::<T>()).or_insert_with(|| Box::<T>::default());
        match value.downcast_mut() {
            Some(value) => change(value),
            // The key is the type, so this does not happen.
            None => change(&mut T::default()),
        }
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Items({})", self.0.lock().len())
    }
}

/// The cancellation tokens of running methods, made only for those that ask.
#[derive(Debug, Default)]
pub(crate) struct CallTokens(Mutex<Tokens>);

#[derive(Debug, Default)]
struct Tokens {
    /// `None` is the connection itself.
    tokens: HashMap<Option<CallKey>, CancellationToken>,
    /// Of calls that go on without the connection.
    kept: HashMap<CallKey, CancellationToken>,
    closed: bool,
}

impl CallTokens {
    pub(crate) fn get(&self, call: Option<CallKey>) -> CancellationToken {
        let mut tokens = self.0.lock();
        if let Some(token) = call.and_then(|call| tokens.kept.get(&call)) {
            return token.clone();
        }
        if tokens.closed {
            let token = CancellationToken::new();
            token.cancel();
            return token;
        }
        tokens.tokens.entry(call).or_default().clone()
    }

    /// The call has that token, which does not fire with the end of the connection.
    pub(crate) fn keep(&self, call: CallKey, token: CancellationToken) {
        self.0.lock().kept.insert(call, token);
    }

    /// The caller takes the call back.
    pub(crate) fn cancel(&self, call: CallKey) {
        self.get(Some(call)).cancel();
    }

    /// The call is over.
    pub(crate) fn remove(&self, call: CallKey) {
        let mut tokens = self.0.lock();
        if !tokens.tokens.is_empty() {
            tokens.tokens.remove(&Some(call));
        }
        if !tokens.kept.is_empty() {
            tokens.kept.remove(&call);
        }
    }

    /// The connection is over.
    pub(crate) fn close(&self) {
        let mut tokens = self.0.lock();
        tokens.closed = true;
        let all = std::mem::take(&mut tokens.tokens);
        drop(tokens);
        for token in all.values() {
            token.cancel();
        }
    }
}
