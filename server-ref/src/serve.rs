//! HTTP over the connections of a listener.
//!
//! Not `axum::serve`, which waits for the head of a request as long as it takes.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Shared};

/// Serves until `stopping`, and then what was begun.
pub(crate) async fn serve<L: Listener>(mut listener: L, shared: Arc<Shared>, stopping: CancellationToken) {
    let mut builder = http1::Builder::new();
    let settings = &shared.settings;
    builder
        .timer(TokioTimer::new())
        // The time between two requests on one connection is included.
        .header_read_timeout(settings.request_timeout)
        // Also what hyper keeps of a response that the client does not take.
        .max_buf_size(settings.header_bytes);
    // Closed when every connection has dropped its sender.
    let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
    loop {
        let io = tokio::select! {
            (io, _) = listener.accept() => io,
            () = stopping.cancelled() => break,
        };
        let service = {
            let shared = shared.clone();
            service_fn(move |request: ::http::Request<Incoming>| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(http::dispatch(State(shared), request.map(Body::new)).await) }
            })
        };
        let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
        let (stopping, open) = (stopping.clone(), open.clone());
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                tracing::debug!(%error, "an HTTP connection failed");
            }
            drop(open);
        });
    }
    drop((listener, open));
    all_closed.recv().await;
}
