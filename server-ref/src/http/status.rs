//! Health, and the page that shows what the server does. Numbers and names only.

use std::time::Duration;

use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::Shared;
use crate::delivery::pending::DeliveryStatistics;
use crate::stats::Event;
use crate::{DedupeStatistics, HistoryStatistics};

/// Rates, measured between requests for the status.
#[derive(Debug)]
pub(crate) struct Status {
    started: Instant,
    rates: Mutex<Rates>,
}

#[derive(Clone, Copy, Debug)]
struct Rates {
    at: Instant,
    received: u64,
    sent: u64,
    received_per_second: f64,
    sent_per_second: f64,
}

impl Status {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        let rates = Rates { at: now, received: 0, sent: 0, received_per_second: 0.0, sent_per_second: 0.0 };
        Self { started: now, rates: Mutex::new(rates) }
    }

    fn rates(&self, received: u64, sent: u64) -> Rates {
        let mut rates = self.rates.lock();
        let elapsed = rates.at.elapsed();
        // Several pages may ask; shorter spans would only show noise.
        if elapsed >= Duration::from_millis(900) {
            let per_second =
                |now: u64, before: u64| now.saturating_sub(before) as f64 / elapsed.as_secs_f64();
            *rates = Rates {
                at: Instant::now(),
                received,
                sent,
                received_per_second: per_second(received, rates.received),
                sent_per_second: per_second(sent, rates.sent),
            };
        }
        *rates
    }
}

/// What the server does now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Milliseconds since the server was built.
    pub uptime_ms: u64,
    /// Open connections, those before their handshake included.
    pub connections: usize,
    /// Messages received since the start, pings included.
    pub received: u64,
    /// Messages sent since the start, pings not included.
    pub sent: u64,
    /// Messages received per second, lately.
    pub received_per_second: f64,
    /// Messages sent per second, lately.
    pub sent_per_second: f64,
    /// Bytes that wait for clients now, in all queues. A message counts once for each client, though its bytes are
    /// shared.
    pub queued_bytes: u64,
    /// The most there were at once since the start.
    pub queued_bytes_peak: u64,
    /// Messages dropped for slow clients since the start.
    pub dropped: u64,
    /// Each hub.
    pub hubs: Vec<HubStatistics>,
    /// The last events, the newest first.
    pub events: Vec<Event>,
}

/// What one hub does now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HubStatistics {
    /// Its path.
    pub path: String,
    /// Connections after their handshake.
    pub connections: usize,
    /// Users with at least one connection.
    pub users: usize,
    /// Groups with at least one member.
    pub groups: usize,
    /// Connections since the start.
    pub opened: u64,
    /// Messages received since the start.
    pub received: u64,
    /// Messages sent since the start.
    pub sent: u64,
    /// Calls that must not run twice, if the hub has [`HubOptions::dedupe`](crate::HubOptions::dedupe).
    pub dedupe: Option<DedupeStatistics>,
    /// Messages that are to be acknowledged, if the hub has
    /// [`HubOptions::acknowledgements`](crate::HubOptions::acknowledgements).
    pub reliable: Option<DeliveryStatistics>,
    /// What is kept of streams, if the hub has [`HubOptions::history`](crate::HubOptions::history).
    pub history: Option<HistoryStatistics>,
}

impl Shared {
    pub(crate) fn statistics(&self) -> Statistics {
        let mut hubs: Vec<_> = self
            .hubs
            .values()
            .map(|hub| {
                let endpoint = &hub.endpoint;
                let (received, sent, opened) = endpoint.stats.totals();
                HubStatistics {
                    path: endpoint.path.clone(),
                    connections: endpoint.registry.connections(),
                    users: endpoint.registry.users(),
                    groups: endpoint.registry.groups(),
                    opened,
                    received,
                    sent,
                    dedupe: endpoint.deduper.as_ref().map(|deduper| deduper.statistics()),
                    reliable: endpoint.reliable.as_ref().map(|reliable| reliable.statistics()),
                    history: endpoint.fanout.history_statistics(),
                }
            })
            .collect();
        hubs.sort_by(|a, b| a.path.cmp(&b.path));
        let received = hubs.iter().map(|hub| hub.received).sum();
        let sent = hubs.iter().map(|hub| hub.sent).sum();
        let rates = self.status.rates(received, sent);
        let (queued_bytes, queued_bytes_peak, dropped) = self.queued.totals();
        Statistics {
            uptime_ms: u64::try_from(self.status.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            connections: self.admission.total(),
            received,
            sent,
            received_per_second: rates.received_per_second,
            sent_per_second: rates.sent_per_second,
            queued_bytes,
            queued_bytes_peak,
            dropped,
            hubs,
            events: self.events.recent(),
        }
    }
}

pub(super) fn health(shared: &Shared) -> Response {
    match shared.shutdown.has_begun() {
        false => (StatusCode::OK, "healthy\n").into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n").into_response(),
    }
}

pub(super) fn json(shared: &Shared) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(shared.statistics())).into_response()
}

pub(super) fn page() -> Response {
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    let headers = [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")];
    (headers, Html(include_str!("status.html"))).into_response()
}
