use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use hubwire::protocol::Payload;

use super::handler::{Reply, ReplyFuture};
use crate::Context;
use crate::error::HubError;

/// Wraps the methods and hooks of a hub. The filter that was added first is the outermost.
///
/// A filter that does not call `next` answers in its place.
pub trait HubFilter: Send + Sync + 'static {
    /// Around every method, after its policy and its arguments were checked. Streams are wrapped until they begin.
    fn invoke<'a>(&'a self, call: &'a MethodInfo, next: Next<'a>) -> BoxFuture<'a, Result<Reply, HubError>> {
        let _ = call;
        next.run()
    }

    /// Around the connect hook.
    fn connected<'a>(
        &'a self,
        context: &'a Context,
        next: NextHook<'a>,
    ) -> BoxFuture<'a, Result<(), HubError>> {
        let _ = context;
        next.run()
    }

    /// Around the disconnect hook; `error` is what ended the connection, if it was an error.
    fn disconnected<'a>(
        &'a self,
        context: &'a Context,
        error: Option<&'a str>,
        next: NextHook<'a>,
    ) -> BoxFuture<'a, Result<(), HubError>> {
        let _ = (context, error);
        next.run()
    }
}

/// The call that a filter wraps.
#[derive(Debug)]
pub struct MethodInfo {
    pub(super) context: Context,
    pub(super) name: Arc<str>,
    pub(super) arguments: Payload,
}

impl MethodInfo {
    /// The connection.
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// The method, as it was registered.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments, as they came.
    pub const fn arguments(&self) -> &Payload {
        &self.arguments
    }
}

/// What a filter wraps: further filters and the method.
pub struct Next<'a> {
    pub(super) filters: &'a [Arc<dyn HubFilter>],
    pub(super) call: &'a MethodInfo,
    pub(super) method: ReplyFuture,
}

impl<'a> Next<'a> {
    /// Goes on.
    pub fn run(self) -> BoxFuture<'a, Result<Reply, HubError>> {
        match self.filters.split_first() {
            Some((filter, filters)) => filter.invoke(self.call, Self { filters, ..self }),
            None => self.method,
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// What a filter wraps: further filters and the hook.
pub struct NextHook<'a> {
    pub(super) filters: &'a [Arc<dyn HubFilter>],
    pub(super) context: &'a Context,
    pub(super) moment: Moment<'a>,
    pub(super) hook: BoxFuture<'a, Result<(), HubError>>,
}

#[derive(Clone, Copy)]
pub(super) enum Moment<'a> {
    Connected,
    Disconnected(Option<&'a str>),
}

impl<'a> NextHook<'a> {
    /// Goes on.
    pub fn run(self) -> BoxFuture<'a, Result<(), HubError>> {
        let Some((filter, filters)) = self.filters.split_first() else { return self.hook };
        let (context, moment) = (self.context, self.moment);
        let next = Self { filters, ..self };
        match moment {
            Moment::Connected => filter.connected(context, next),
            Moment::Disconnected(error) => filter.disconnected(context, error, next),
        }
    }
}

impl fmt::Debug for NextHook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextHook").finish_non_exhaustive()
    }
}
