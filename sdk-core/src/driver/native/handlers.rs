//! What the application registered, by method name.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::StateChange;
use super::event::ConnectionEvent;
use crate::protocol::{ArgumentsDecoder, Payload, PayloadError};

/// A function that takes the arguments of a message by type.
///
/// Implemented for functions and closures of up to eight arguments that implement `serde::Deserialize`. Arguments
/// beyond those that it takes are left out, as in the official clients.
pub trait Handler<Args>: Send + Sync + 'static {
    /// Decodes the arguments and runs it.
    ///
    /// # Errors
    /// When the arguments are too few or of other types; it did not run then.
    fn call(&self, arguments: &Payload) -> Result<(), PayloadError>;
}

/// As [`Handler`], for functions that return a future.
pub trait AsyncHandler<Args>: Send + Sync + 'static {
    /// What the future gives.
    type Output;

    /// Decodes the arguments and makes the future.
    ///
    /// # Errors
    /// When the arguments are too few or of other types; it did not run then.
    fn call(&self, arguments: &Payload) -> Result<BoxFuture<'static, Self::Output>, PayloadError>;
}

type Run = dyn Fn(&Payload) -> Result<BoxFuture<'static, Result<(), String>>, PayloadError> + Send + Sync;
type RunForResult =
    dyn Fn(&Payload) -> Result<BoxFuture<'static, Result<Payload, String>>, PayloadError> + Send + Sync;

/// A registered handler.
#[derive(Clone)]
pub(super) enum Entry {
    /// For messages.
    Plain(Arc<Run>),
    /// For calls that want a result.
    Result(Arc<RunForResult>),
}

impl Entry {
    pub(super) fn plain<Args>(handler: impl Handler<Args>) -> Self {
        Self::Plain(Arc::new(move |arguments| {
            handler.call(arguments)?;
            Ok(std::future::ready(Ok(())).boxed())
        }))
    }

    pub(super) fn plain_async<Args>(handler: impl AsyncHandler<Args, Output = ()>) -> Self {
        Self::Plain(Arc::new(move |arguments| Ok(handler.call(arguments)?.map(Ok).boxed())))
    }

    pub(super) fn fallible<Args, E>(handler: impl AsyncHandler<Args, Output = Result<(), E>>) -> Self
    where
        E: fmt::Display + 'static,
    {
        Self::Plain(Arc::new(move |arguments| {
            let text = |result: Result<(), E>| result.map_err(|error| error.to_string());
            Ok(handler.call(arguments)?.map(text).boxed())
        }))
    }

    pub(super) fn result<Args, T, E>(handler: impl AsyncHandler<Args, Output = Result<T, E>>) -> Self
    where
        T: Serialize + 'static,
        E: fmt::Display + 'static,
    {
        Self::Result(Arc::new(move |arguments| {
            let encoding = arguments.encoding();
            let encode = move |result: Result<T, E>| {
                let value = result.map_err(|error| error.to_string())?;
                Payload::encode(encoding, &value).map_err(|error| error.to_string())
            };
            Ok(handler.call(arguments)?.map(encode).boxed())
        }))
    }
}

fn decoder(arguments: &Payload, takes: usize) -> Result<ArgumentsDecoder<'_>, PayloadError> {
    let decoder = arguments.arguments()?;
    let total = decoder.total();
    if total < takes {
        return Err(PayloadError::new(format!(
            "the message has {total} arguments, the handler takes {takes}"
        )));
    }
    Ok(decoder)
}

macro_rules! handlers {
    ($count:literal $($argument:ident)*) => {
        impl<F, $($argument,)*> Handler<($($argument,)*)> for F
        where
            F: Fn($($argument),*) + Send + Sync + 'static,
            $($argument: DeserializeOwned + 'static,)*
        {
            #[allow(non_snake_case, unused_variables, unused_mut)]
            fn call(&self, arguments: &Payload) -> Result<(), PayloadError> {
                let mut decoder = decoder(arguments, $count)?;
                $(let $argument: $argument = decoder.take()?;)*
                self($($argument),*);
                Ok(())
            }
        }

        impl<F, Fut, $($argument,)*> AsyncHandler<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut + Send + Sync + 'static,
            Fut: Future + Send + 'static,
            $($argument: DeserializeOwned + 'static,)*
        {
            type Output = Fut::Output;

            #[allow(non_snake_case, unused_variables, unused_mut)]
            fn call(&self, arguments: &Payload) -> Result<BoxFuture<'static, Fut::Output>, PayloadError> {
                let mut decoder = decoder(arguments, $count)?;
                $(let $argument: $argument = decoder.take()?;)*
                Ok(self($($argument),*).boxed())
            }
        }
    };
}

handlers!(0);
handlers!(1 A1);
handlers!(2 A1 A2);
handlers!(3 A1 A2 A3);
handlers!(4 A1 A2 A3 A4);
handlers!(5 A1 A2 A3 A4 A5);
handlers!(6 A1 A2 A3 A4 A5 A6);
handlers!(7 A1 A2 A3 A4 A5 A6 A7);
handlers!(8 A1 A2 A3 A4 A5 A6 A7 A8);

type StateHandler = Arc<dyn Fn(&StateChange) + Send + Sync>;
type EventHandler = Arc<dyn Fn(&ConnectionEvent) + Send + Sync>;

#[derive(Default)]
pub(super) struct Handlers {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// By name in lower case: names are compared without regard to case.
    methods: HashMap<String, Vec<(u64, Entry)>>,
    state: Vec<(u64, StateHandler)>,
    events: Vec<(u64, EventHandler)>,
    next: u64,
}

impl Handlers {
    fn table(&self) -> MutexGuard<'_, Table> {
        // No user code runs under the lock, so a panic cannot leave it half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(self: &Arc<Self>, target: &str, entry: Entry) -> Subscription {
        let mut table = self.table();
        let id = table.take_id();
        table.methods.entry(target.to_lowercase()).or_default().push((id, entry));
        Subscription { handlers: Arc::downgrade(self), id }
    }

    pub(super) fn on_state_change(
        self: &Arc<Self>,
        handler: impl Fn(&StateChange) + Send + Sync + 'static,
    ) -> Subscription {
        let mut table = self.table();
        let id = table.take_id();
        table.state.push((id, Arc::new(handler)));
        Subscription { handlers: Arc::downgrade(self), id }
    }

    pub(super) fn on_event(
        self: &Arc<Self>,
        handler: impl Fn(&ConnectionEvent) + Send + Sync + 'static,
    ) -> Subscription {
        let mut table = self.table();
        let id = table.take_id();
        table.events.push((id, Arc::new(handler)));
        Subscription { handlers: Arc::downgrade(self), id }
    }

    pub(super) fn remove_all(&self, target: &str) {
        let removed = self.table().methods.remove(&target.to_lowercase());
        // Dropped without the lock: what a handler captured may call back.
        drop(removed);
    }

    fn remove(&self, id: u64) {
        let mut table = self.table();
        let mut removed = Vec::new();
        for entries in table.methods.values_mut() {
            if let Some(index) = entries.iter().position(|(entry_id, _)| *entry_id == id) {
                removed.push(entries.remove(index));
            }
        }
        table.methods.retain(|_, entries| !entries.is_empty());
        let state = table.state.iter().position(|(entry_id, _)| *entry_id == id);
        let state = state.map(|index| table.state.remove(index));
        let event = table.events.iter().position(|(entry_id, _)| *entry_id == id);
        let event = event.map(|index| table.events.remove(index));
        drop(table);
        drop((removed, state, event));
    }

    pub(super) fn of(&self, target: &str) -> Vec<Entry> {
        let table = self.table();
        let exact = table.methods.get(target);
        let entries = exact.or_else(|| table.methods.get(&target.to_lowercase()));
        entries.map(|entries| entries.iter().map(|(_, entry)| entry.clone()).collect()).unwrap_or_default()
    }

    pub(super) fn is_listening(&self) -> bool {
        !self.table().methods.is_empty()
    }

    pub(super) fn event_handlers(&self) -> Vec<EventHandler> {
        self.table().events.iter().map(|(_, handler)| handler.clone()).collect()
    }

    pub(super) fn has_event_handlers(&self) -> bool {
        !self.table().events.is_empty()
    }

    pub(super) fn state_handlers(&self) -> Vec<StateHandler> {
        self.table().state.iter().map(|(_, handler)| handler.clone()).collect()
    }
}

impl Table {
    const fn take_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// A registered handler. Dropping it changes nothing; [`unsubscribe`](Self::unsubscribe) removes the handler.
#[derive(Debug)]
pub struct Subscription {
    handlers: Weak<Handlers>,
    id: u64,
}

impl Subscription {
    /// Removes the handler. A call of it that runs already goes on.
    pub fn unsubscribe(self) {
        if let Some(handlers) = self.handlers.upgrade() {
            handlers.remove(self.id);
        }
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
}
