use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use hubwire::protocol::{Encoding, Payload};
use serde::Serialize;

use super::parameter::{Arity, BindError, Binder, Parameter};
use crate::error::HubError;

/// What a hub method returned, encoded for its caller.
pub struct Reply(pub(super) ReplyKind);

pub(super) enum ReplyKind {
    Value(Payload),
    Stream(BoxStream<'static, Result<Payload, HubError>>),
}

impl Reply {
    /// A value, encoded for the caller.
    ///
    /// # Errors
    /// When the encoding cannot express it.
    pub fn value<T: Serialize>(encoding: Encoding, value: &T) -> Result<Self, HubError> {
        encode(encoding, value).map(|value| Self(ReplyKind::Value(value)))
    }

    /// The encoded value, unless it is a stream.
    pub const fn payload(&self) -> Option<&Payload> {
        match &self.0 {
            ReplyKind::Value(value) => Some(value),
            ReplyKind::Stream(_) => None,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ReplyKind::Value(_) => "Reply::Value",
            ReplyKind::Stream(_) => "Reply::Stream",
        })
    }
}

fn encode<T: Serialize>(encoding: Encoding, value: &T) -> Result<Payload, HubError> {
    Payload::encode(encoding, value).map_err(|error| {
        HubError::named("InvalidDataException", format!("The result cannot be serialised: {error}."))
    })
}

pub(super) type ReplyFuture = BoxFuture<'static, Result<Reply, HubError>>;

/// A function that serves as a hub method.
///
/// That is every `async fn` with up to 13 [`Parameter`]s that returns `Result<T, E>`, where `T` is serialisable and
/// `E` turns into a [`HubError`]. `M` is the list of its parameters, which the compiler infers.
pub trait Handler<S, M>: Send + Sync + 'static {
    #[doc(hidden)]
    const ARITY: Arity;

    #[doc(hidden)]
    fn bind(&self, binder: &mut Binder<'_, S>) -> Result<ReplyFuture, BindError>;
}

/// A function that serves as a streaming hub method: like a [`Handler`], but `T` is a [`Stream`] of
/// `Result<Item, E>`.
pub trait StreamHandler<S, M>: Send + Sync + 'static {
    #[doc(hidden)]
    const ARITY: Arity;

    #[doc(hidden)]
    fn bind(&self, binder: &mut Binder<'_, S>) -> Result<ReplyFuture, BindError>;
}

macro_rules! handlers {
    ($($P:ident $K:ident),*) => {
        impl<F, Fut, S, T, E, $($P, $K,)*> Handler<S, ($(($P, $K),)*)> for F
        where
            F: Fn($($P),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<T, E>> + Send + 'static,
            T: Serialize,
            E: Into<HubError>,
            $($P: Parameter<S, $K>,)*
        {
            const ARITY: Arity = Arity { arguments: 0, streams: 0 }$(.plus($P::ARITY))*;

            #[allow(non_snake_case)]
            fn bind(&self, binder: &mut Binder<'_, S>) -> Result<ReplyFuture, BindError> {
                let encoding = binder.context.connection().encoding;
                $(let $P = $P::take(binder)?;)*
                let future = self($($P),*);
                Ok(Box::pin(async move {
                    Reply::value(encoding, &future.await.map_err(Into::into)?)
                }))
            }
        }

        impl<F, Fut, S, St, T, E, E2, $($P, $K,)*> StreamHandler<S, ($(($P, $K),)*)> for F
        where
            F: Fn($($P),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<St, E>> + Send + 'static,
            St: Stream<Item = Result<T, E2>> + Send + 'static,
            T: Serialize,
            E: Into<HubError>,
            E2: Into<HubError>,
            $($P: Parameter<S, $K>,)*
        {
            const ARITY: Arity = Arity { arguments: 0, streams: 0 }$(.plus($P::ARITY))*;

            #[allow(non_snake_case)]
            fn bind(&self, binder: &mut Binder<'_, S>) -> Result<ReplyFuture, BindError> {
                let encoding = binder.context.connection().encoding;
                $(let $P = $P::take(binder)?;)*
                let future = self($($P),*);
                Ok(Box::pin(async move {
                    let items = future.await.map_err(Into::into)?;
                    let items = items.map(move |item| encode(encoding, &item.map_err(Into::into)?));
                    Ok(Reply(ReplyKind::Stream(items.boxed())))
                }))
            }
        }
    };
}

handlers!();
handlers!(P1 K1);
handlers!(P1 K1, P2 K2);
handlers!(P1 K1, P2 K2, P3 K3);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5, P6 K6);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5, P6 K6, P7 K7);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5, P6 K6, P7 K7, P8 K8);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5, P6 K6, P7 K7, P8 K8, P9 K9);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5, P6 K6, P7 K7, P8 K8, P9 K9, P10 K10);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5, P6 K6, P7 K7, P8 K8, P9 K9, P10 K10, P11 K11);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5, P6 K6, P7 K7, P8 K8, P9 K9, P10 K10, P11 K11, P12 K12);
handlers!(P1 K1, P2 K2, P3 K3, P4 K4, P5 K5, P6 K6, P7 K7, P8 K8, P9 K9, P10 K10, P11 K11, P12 K12, P13 K13);
