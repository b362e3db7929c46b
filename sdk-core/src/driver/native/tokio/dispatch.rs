//! Runs the application's handlers, one message after the other, beside the driver's loop.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::Control;
use crate::client::{Reply, ReplyId};
use crate::driver::native::handlers::{Entry, Handlers};
use crate::driver::native::raw::Notice;
use crate::protocol::Payload;
use crate::protocol::delivery::DELTA_SUFFIX;

/// Runs until the driver is gone.
pub(super) async fn run(
    handlers: Arc<Handlers>,
    mut notices: mpsc::Receiver<Notice>,
    control: mpsc::WeakUnboundedSender<Control>,
) {
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::State(change) => tell(handlers.state_handlers(), &change),
            Notice::Event(event) => tell(handlers.event_handlers(), &event),
            Notice::Invocation { target, arguments, reply, delivery } => {
                let (answer, handled) =
                    invoke(handlers.of(&target), &target, &arguments, reply.is_some()).await;
                if let (Some(delivery), Some(control)) = (delivery, control.upgrade()) {
                    let _ = control.send(Control::Handled(delivery, handled));
                }
                if let Some(reply) = reply {
                    answer_with(reply, answer, control.clone());
                }
            }
            // Told to whoever waits for it.
            _ => {}
        }
    }
}

fn tell<T, H: Fn(&T) + ?Sized>(handlers: Vec<Arc<H>>, what: &T) {
    for handler in handlers {
        // A handler that panics must not take the others, and every later message, with it.
        if std::panic::catch_unwind(AssertUnwindSafe(|| handler(what))).is_err() {
            tracing::error!("a handler panicked");
        }
    }
}

enum Answer {
    Now(Reply<Payload>),
    Later(futures_util::future::BoxFuture<'static, Result<Payload, String>>),
}

/// Runs the plain handlers, and finds what gives the answer.
async fn invoke(
    entries: Vec<Entry>,
    target: &str,
    arguments: &Payload,
    wants_result: bool,
) -> (Answer, Result<(), String>) {
    let mut answer = None;
    let mut handled = Ok(());
    if entries.is_empty() {
        // Most applications want the objects and not their changes.
        if !target.ends_with(DELTA_SUFFIX) {
            tracing::warn!(target, "no handler for a message of the server");
        }
        handled = Err(format!("No handler is registered for '{target}'."));
    }
    // The first failure is the reason; the other handlers run all the same.
    let mut fail = |reason: String| {
        if handled.is_ok() {
            handled = Err(reason);
        }
    };
    for entry in entries {
        match entry {
            Entry::Plain(run) => {
                let started = std::panic::catch_unwind(AssertUnwindSafe(|| run(arguments)));
                let finished = match started {
                    Ok(Ok(future)) => AssertUnwindSafe(future).catch_unwind().await,
                    Ok(Err(error)) => {
                        tracing::warn!(target, %error, "the arguments of a message are of another type");
                        fail(error.to_string());
                        continue;
                    }
                    Err(panic) => Err(panic),
                };
                match finished {
                    Ok(Ok(())) => {}
                    Ok(Err(reason)) => {
                        tracing::warn!(target, reason, "a handler failed");
                        fail(reason);
                    }
                    Err(_) => {
                        tracing::error!(target, "a handler panicked");
                        fail(PANICKED.into());
                    }
                }
            }
            Entry::Result(_) if !wants_result => {
                tracing::warn!(target, "a handler gives a result, but the server did not ask for one");
            }
            Entry::Result(_) if answer.is_some() => answer = Some(Answer::Now(Reply::ManyHandlers)),
            Entry::Result(run) => {
                answer = Some(match std::panic::catch_unwind(AssertUnwindSafe(|| run(arguments))) {
                    Ok(Ok(future)) => Answer::Later(future),
                    // The first part is what .NET clients answer.
                    Ok(Err(error)) => {
                        Answer::Now(Reply::Error(format!("Client failed to parse argument(s). {error}")))
                    }
                    Err(_) => Answer::Now(Reply::Error(PANICKED.into())),
                });
            }
        }
    }
    (answer.unwrap_or(Answer::Now(Reply::NoHandler)), handled)
}

const PANICKED: &str = "The handler panicked.";

/// Results are awaited beside the messages that follow: the handler may need them.
fn answer_with(reply: ReplyId, answer: Answer, control: mpsc::WeakUnboundedSender<Control>) {
    let send = move |answer| {
        if let Some(control) = control.upgrade() {
            let _ = control.send(Control::Reply(reply, answer));
        }
    };
    match answer {
        Answer::Now(answer) => send(answer),
        Answer::Later(future) => {
            tokio::spawn(async move {
                send(match AssertUnwindSafe(future).catch_unwind().await {
                    Ok(Ok(value)) => Reply::Value(value),
                    Ok(Err(text)) => Reply::Error(text),
                    Err(_) => Reply::Error(PANICKED.into()),
                });
            });
        }
    }
}
