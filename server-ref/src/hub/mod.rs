//! Hubs: methods by name, hooks, filters and policies.

mod dispatch;
mod filter;
mod handler;
mod parameter;
mod policy;
mod upload;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

pub(crate) use dispatch::{Dispatched, ItemStream};
pub use filter::{HubFilter, MethodInfo, Next, NextHook};
pub use handler::{Handler, Reply, StreamHandler};
pub use parameter::{Argument, DisconnectReason, Parameter, Special, State};
pub use policy::Policy;
pub(crate) use upload::RawUpload;
pub use upload::UploadStream;

use handler::ReplyFuture;
use hubwire::protocol::ArgumentsDecoder;
use parameter::{Arity, BindError, Binder};

use crate::Context;
use crate::error::BuildError;

/// A hub: what clients can call, and what happens when they come and go.
pub struct Hub {
    /// By name in lower case.
    methods: HashMap<Box<str>, Method>,
    connected: Option<Bind>,
    disconnected: Option<Bind>,
    filters: Vec<Arc<dyn HubFilter>>,
    policy: Option<Policy>,
}

struct Method {
    name: Arc<str>,
    streaming: bool,
    arity: Arity,
    policy: Option<Policy>,
    bind: Bind,
}

/// A handler without its types.
type Bind = Box<dyn Fn(Source<'_>) -> Result<ReplyFuture, BindError> + Send + Sync>;

/// What a call offers to the parameters.
struct Source<'a> {
    context: &'a Context,
    arguments: ArgumentsDecoder<'a>,
    uploads: Vec<RawUpload>,
    reason: Option<&'a str>,
}

impl<'a> Source<'a> {
    fn binder<S>(self, state: &'a S) -> Binder<'a, S> {
        Binder {
            context: self.context,
            state,
            arguments: self.arguments,
            uploads: self.uploads.into_iter(),
            reason: self.reason,
        }
    }
}

impl Hub {
    /// A hub without state, methods and hooks.
    pub fn builder() -> HubBuilder<()> {
        HubBuilder {
            state: (),
            hub: Self {
                methods: HashMap::new(),
                connected: None,
                disconnected: None,
                filters: Vec::new(),
                policy: None,
            },
            error: None,
        }
    }

    /// Whether it has a method of that name, which is compared without case.
    pub(crate) fn has_method(&self, name: &str) -> bool {
        self.methods.contains_key(&*name.to_lowercase())
    }

    pub(crate) const fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.methods.values().map(|method| &*method.name).collect();
        names.sort_unstable();
        f.debug_struct("Hub").field("methods", &names).finish_non_exhaustive()
    }
}

/// Puts a [`Hub`] together. `S` is the state that handlers get as [`State`].
#[must_use]
pub struct HubBuilder<S> {
    state: S,
    hub: Hub,
    /// The first mistake, reported by [`build`](Self::build).
    error: Option<BuildError>,
}

impl HubBuilder<()> {
    /// Sets the state; comes before the methods and hooks. Usually an `Arc`.
    pub fn state<S: Clone + Send + Sync + 'static>(self, state: S) -> HubBuilder<S> {
        HubBuilder { state, hub: self.hub, error: self.error }
    }
}

impl<S: Clone + Send + Sync + 'static> HubBuilder<S> {
    /// Adds a method. Clients find it without regard to case.
    pub fn method<H: Handler<S, M>, M>(self, name: &str, handler: H) -> Self {
        let state = self.state.clone();
        let bind: Bind = Box::new(move |source| handler.bind(&mut source.binder(&state)));
        self.add(name, false, H::ARITY, bind)
    }

    /// Adds a method that returns a stream.
    pub fn stream<H: StreamHandler<S, M>, M>(self, name: &str, handler: H) -> Self {
        let state = self.state.clone();
        let bind: Bind = Box::new(move |source| handler.bind(&mut source.binder(&state)));
        self.add(name, true, H::ARITY, bind)
    }

    /// Sets what runs when a client has connected; its messages wait until then. An error refuses the connection.
    pub fn on_connected<H: Handler<S, M>, M>(mut self, handler: H) -> Self {
        self.hub.connected = self.hook("on_connected", handler);
        self
    }

    /// Sets what runs when a connection is over; see [`DisconnectReason`]. The connection is in no group any more.
    pub fn on_disconnected<H: Handler<S, M>, M>(mut self, handler: H) -> Self {
        self.hub.disconnected = self.hook("on_disconnected", handler);
        self
    }

    /// Wraps everything in a filter, inside of the filters added before.
    pub fn filter(mut self, filter: impl HubFilter) -> Self {
        self.hub.filters.push(Arc::new(filter));
        self
    }

    /// Sets who may connect.
    pub fn authorize(mut self, policy: Policy) -> Self {
        self.hub.policy = Some(policy);
        self
    }

    /// Sets who may call a method, which must have been added before.
    pub fn authorize_method(mut self, name: &str, policy: Policy) -> Self {
        match self.hub.methods.get_mut(&*name.to_lowercase()) {
            Some(method) => method.policy = Some(policy),
            None => self.fail(BuildError::UnknownMethod(name.into())),
        }
        self
    }

    /// Completes the hub.
    ///
    /// # Errors
    /// The first mistake made on the way.
    pub fn build(self) -> Result<Hub, BuildError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.hub),
        }
    }

    fn hook<H: Handler<S, M>, M>(&mut self, name: &'static str, handler: H) -> Option<Bind> {
        if H::ARITY != Arity::default() {
            self.fail(BuildError::HookParameters(name));
            return None;
        }
        let state = self.state.clone();
        Some(Box::new(move |source| handler.bind(&mut source.binder(&state))))
    }

    fn add(mut self, name: &str, streaming: bool, arity: Arity, bind: Bind) -> Self {
        let method = Method { name: name.into(), streaming, arity, policy: None, bind };
        if self.hub.methods.insert(name.to_lowercase().into(), method).is_some() {
            self.fail(BuildError::DuplicateMethod(name.into()));
        }
        self
    }

    fn fail(&mut self, error: BuildError) {
        self.error.get_or_insert(error);
    }
}

impl<S> fmt::Debug for HubBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HubBuilder").field(&self.hub).finish()
    }
}
