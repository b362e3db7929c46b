use std::fmt;

use hubwire::protocol::{ArgumentsDecoder, PayloadError};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::upload::{RawUpload, UploadStream};
use crate::Context;

/// A parameter of a hub method.
///
/// `K` tells the kinds apart: an [`Argument`] is any deserialisable type and takes one argument of the call, the
/// [`Special`] ones come from the server and take none.
pub trait Parameter<S, K>: Sized + Send + 'static {
    #[doc(hidden)]
    const ARITY: Arity;

    #[doc(hidden)]
    fn take(binder: &mut Binder<'_, S>) -> Result<Self, BindError>;
}

/// Marks parameters that are arguments of the call.
#[derive(Debug)]
pub enum Argument {}

/// Marks parameters that the server supplies: [`Context`], [`State`], [`UploadStream`], [`DisconnectReason`] and
/// [`CancellationToken`].
#[derive(Debug)]
pub enum Special {}

/// The state of the hub, as given to [`HubBuilder::state`](super::HubBuilder::state).
#[derive(Clone, Copy, Debug)]
pub struct State<S>(pub S);

/// In the disconnect hook: the error that ended the connection, if it was one.
#[derive(Clone, Debug)]
pub struct DisconnectReason(pub Option<String>);

#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arity {
    pub arguments: usize,
    pub streams: usize,
}

impl Arity {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self { arguments: self.arguments + other.arguments, streams: self.streams + other.streams }
    }
}

/// Where the parameters of one call come from.
#[doc(hidden)]
pub struct Binder<'a, S> {
    pub(super) context: &'a Context,
    pub(super) state: &'a S,
    pub(super) arguments: ArgumentsDecoder<'a>,
    pub(super) uploads: std::vec::IntoIter<RawUpload>,
    pub(super) reason: Option<&'a str>,
}

impl<S> fmt::Debug for Binder<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binder").finish_non_exhaustive()
    }
}

/// Which argument does not fit, counted from 1.
#[doc(hidden)]
#[derive(Debug)]
pub struct BindError {
    pub(super) argument: usize,
    pub(super) error: PayloadError,
}

impl<S, T: DeserializeOwned + Send + 'static> Parameter<S, Argument> for T {
    const ARITY: Arity = Arity { arguments: 1, streams: 0 };

    fn take(binder: &mut Binder<'_, S>) -> Result<Self, BindError> {
        let argument = binder.arguments.taken() + 1;
        binder.arguments.take().map_err(|error| BindError { argument, error })
    }
}

const NOTHING: Arity = Arity { arguments: 0, streams: 0 };

impl<S> Parameter<S, Special> for Context {
    const ARITY: Arity = NOTHING;

    fn take(binder: &mut Binder<'_, S>) -> Result<Self, BindError> {
        Ok(binder.context.clone())
    }
}

impl<S: Clone + Send + 'static> Parameter<S, Special> for State<S> {
    const ARITY: Arity = NOTHING;

    fn take(binder: &mut Binder<'_, S>) -> Result<Self, BindError> {
        Ok(Self(binder.state.clone()))
    }
}

impl<S> Parameter<S, Special> for CancellationToken {
    const ARITY: Arity = NOTHING;

    fn take(binder: &mut Binder<'_, S>) -> Result<Self, BindError> {
        Ok(binder.context.cancellation())
    }
}

impl<S> Parameter<S, Special> for DisconnectReason {
    const ARITY: Arity = NOTHING;

    fn take(binder: &mut Binder<'_, S>) -> Result<Self, BindError> {
        Ok(Self(binder.reason.map(Into::into)))
    }
}

impl<S, T: DeserializeOwned + Send + 'static> Parameter<S, Special> for UploadStream<T> {
    const ARITY: Arity = Arity { arguments: 0, streams: 1 };

    fn take(binder: &mut Binder<'_, S>) -> Result<Self, BindError> {
        // Their number was compared before.
        Ok(Self::new(binder.uploads.next()))
    }
}
