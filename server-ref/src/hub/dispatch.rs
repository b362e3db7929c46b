//! From the name a client called to the result it gets.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytestring::ByteString;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use hubwire::protocol::{Outcome, Payload};

use super::filter::{MethodInfo, Moment, Next, NextHook};
use super::handler::{ReplyFuture, ReplyKind};
use super::upload::RawUpload;
use super::{Bind, Hub, Method, Source};
use crate::Context;
use crate::endpoint::Endpoint;
use crate::error::HubError;
use crate::session::MethodCall;

/// The items of a streaming method; an error is the text for the client and the last item.
pub(crate) type ItemStream = BoxStream<'static, Result<Payload, ByteString>>;

/// How far a method came.
pub(crate) enum Dispatched {
    Done(Outcome<Payload>),
    Stream(ItemStream),
}

/// A panic, as an error whose text stays on the server.
fn panicked() -> HubError {
    HubError::named("Panic", "The method panicked.")
}

impl Hub {
    /// Finds, checks and starts the method of a call. What refuses it at once is the text for the client.
    pub(crate) fn dispatch(
        &self,
        endpoint: &Arc<Endpoint>,
        context: Context,
        call: MethodCall<Payload>,
        uploads: Vec<RawUpload>,
    ) -> Result<BoxFuture<'static, Dispatched>, String> {
        let target = &call.target;
        let detailed = endpoint.settings.detailed_errors;
        let Some(method) = self.find(target) else {
            return Err(format!("Unknown hub method '{target}'"));
        };
        if method.policy.as_ref().is_some_and(|policy| !policy.allows(context.principal())) {
            return Err(format!("Failed to invoke '{target}' because user is unauthorized"));
        }
        match (method.streaming, call.streaming) {
            (true, false) => {
                return Err(format!(
                    "The client attempted to invoke the streaming '{target}' method with a non-streaming \
                     invocation."
                ));
            }
            (false, true) => {
                return Err(format!(
                    "The client attempted to invoke the non-streaming '{target}' method with a streaming \
                     invocation."
                ));
            }
            (true, true) | (false, false) => {}
        }
        let (sent, expected) = (uploads.len(), method.arity.streams);
        if sent != expected {
            let error =
                HubError::new(format!("Client sent {sent} stream(s), Hub method expects {expected}."));
            return Err(error.text_for_client(&unexpected(target), detailed));
        }
        let future = bind(method, &context, &call.arguments, uploads)
            .map_err(|error| error.text_for_client(&failed(target), detailed))?;

        let endpoint = endpoint.clone();
        let target = call.target.clone();
        let info = MethodInfo { context, name: method.name.clone(), arguments: call.arguments };
        Ok(Box::pin(async move {
            let filtered = async {
                match endpoint.hub.filters.as_slice() {
                    [] => future.await,
                    filters => Next { filters, call: &info, method: future }.run().await,
                }
            };
            let result = AssertUnwindSafe(filtered).catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
            match result {
                Ok(reply) => match reply.0 {
                    ReplyKind::Value(value) => Dispatched::Done(Outcome::Value(value)),
                    ReplyKind::Stream(items) => Dispatched::Stream(texts(items, &info, detailed)),
                },
                Err(error) => {
                    log(&info.name, &error);
                    let text = error.text_for_client(&unexpected(&target), detailed);
                    Dispatched::Done(Outcome::Error(text.into()))
                }
            }
        }))
    }

    /// Runs the connect hook. An error is the text of the Close message.
    pub(crate) async fn connected(&self, context: Context, detailed: bool) -> Result<(), String> {
        self.run_hook(self.connected.as_ref(), &context, Moment::Connected).await.map_err(|error| {
            log("on_connected", &error);
            error.text_for_client(crate::session::CONNECTION_ERROR, detailed)
        })
    }

    /// Runs the disconnect hook. Nobody is left to be told of an error.
    pub(crate) async fn disconnected(&self, context: Context, error: Option<String>) {
        let moment = Moment::Disconnected(error.as_deref());
        if let Err(error) = self.run_hook(self.disconnected.as_ref(), &context, moment).await {
            log("on_disconnected", &error);
        }
    }

    pub(crate) fn has_connected_hook(&self) -> bool {
        self.connected.is_some() || !self.filters.is_empty()
    }

    async fn run_hook(
        &self,
        hook: Option<&Bind>,
        context: &Context,
        moment: Moment<'_>,
    ) -> Result<(), HubError> {
        let reason = match moment {
            Moment::Connected => None,
            Moment::Disconnected(reason) => reason,
        };
        let future = async {
            let Some(hook) = hook else { return Ok(()) };
            let none = Payload::no_arguments(context.connection().encoding);
            let source = Source { context, arguments: none.arguments()?, uploads: Vec::new(), reason };
            let future = hook(source).map_err(|error| HubError::from(error.error))?;
            future.await.map(|_| ())
        };
        let hook = NextHook { filters: &self.filters, context, moment, hook: Box::pin(future) };
        AssertUnwindSafe(async { hook.run().await }).catch_unwind().await.unwrap_or_else(|_| Err(panicked()))
    }

    fn find(&self, target: &str) -> Option<&Method> {
        // Most names are short; none that is found is longer than what was registered.
        self.methods.get(&*target.to_lowercase())
    }
}

fn bind(
    method: &Method,
    context: &Context,
    arguments: &Payload,
    uploads: Vec<RawUpload>,
) -> Result<ReplyFuture, HubError> {
    const EXCEPTION: &str = "InvalidDataException";
    let arguments = arguments.arguments().map_err(|error| HubError::named(EXCEPTION, error.to_string()))?;
    let (sent, expected) = (arguments.total(), method.arity.arguments);
    if sent != expected {
        return Err(HubError::named(
            EXCEPTION,
            format!("Invocation provides {sent} argument(s) but target expects {expected}."),
        ));
    }
    let source = Source { context, arguments, uploads, reason: None };
    // The function that makes the method's future may panic, too.
    std::panic::catch_unwind(AssertUnwindSafe(|| (method.bind)(source)))
        .map_err(|_| panicked())?
        .map_err(|error| {
            HubError::named(
                EXCEPTION,
                format!(
                    "Error binding arguments. Make sure that the types of the provided values match the types of \
                     the hub method being invoked. Argument {}: {}.",
                    error.argument, error.error
                ),
            )
        })
}

/// Turns the errors of a stream into their texts, ends it after the first, and catches its panics.
fn texts(
    items: BoxStream<'static, Result<Payload, HubError>>,
    info: &MethodInfo,
    detailed: bool,
) -> ItemStream {
    let name = info.name.clone();
    let items = AssertUnwindSafe(items).catch_unwind();
    let items = items.map(|item| item.unwrap_or_else(|_| Err(panicked())));
    let items = items.scan(false, move |over, item| {
        let item =
            (!*over).then(|| {
                item.map_err(|error| {
                    *over = true;
                    log(&name, &error);
                    ByteString::from(error.text_for_client(
                        "An error occurred on the server while streaming results.",
                        detailed,
                    ))
                })
            });
        std::future::ready(item)
    });
    items.boxed()
}

fn log(method: &str, error: &HubError) {
    // The text of an unexpected error is for whoever runs the server; those for clients may quote their input.
    match error.is_for_client() {
        true => tracing::debug!(method, "a hub method refused a call"),
        false => tracing::warn!(method, %error, "a hub method failed"),
    }
}

fn unexpected(target: &str) -> String {
    format!("An unexpected error occurred invoking '{target}' on the server.")
}

fn failed(target: &str) -> String {
    format!("Failed to invoke '{target}' due to an error on the server.")
}
