//! The values of the core, as they cross the border. Times are in milliseconds.

use std::time::Duration;

use hubwire::client;

use crate::failure::Fault;

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Two enums with the same names. `else` is for those to which the core may add.
macro_rules! mirrored {
    (
        $(#[$doc:meta])*
        $name:ident = $core:path { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }
        $(else $other:ident)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl From<$name> for $core {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => <$core>::$variant),+ }
            }
        }

        impl From<$core> for $name {
            fn from(value: $core) -> Self {
                match value { $(<$core>::$variant => Self::$variant,)+ $(_ => Self::$other)? }
            }
        }
    };
}

mirrored! {
    /// How messages travel.
    Encoding = hubwire::protocol::Encoding {
        /// As JSON text.
        Json,
        /// As MessagePack.
        MessagePack,
    }
}

mirrored! {
    /// What carries the messages.
    Transport = hubwire::protocol::Transport {
        /// Both ways at once.
        WebSockets,
        /// A response without end, and requests.
        ServerSentEvents,
        /// Requests that wait for messages, and requests.
        LongPolling,
    }
}

mirrored! {
    /// Where a connection stands.
    ConnectionState = client::ConnectionState {
        /// There is none, and none is being made.
        Disconnected,
        /// The first one is being made.
        Connecting,
        /// Messages go both ways.
        Connected,
        /// It was lost and is made again.
        Reconnecting,
        /// It is being closed.
        Disconnecting,
    } else Disconnected
}

mirrored! {
    /// What is asked of a call.
    CallKind = client::CallKind {
        /// Nothing: the server does not answer.
        Send,
        /// A result.
        Invoke,
        /// Items.
        Stream,
    }
}

mirrored! {
    /// What leaves the outbox first.
    Priority = client::Priority {
        /// Last.
        Low,
        /// As everything else.
        Normal,
        /// Before those.
        High,
        /// First.
        Critical,
    }
}

mirrored! {
    /// Who acknowledges messages.
    AckMode = client::AckMode {
        /// The client, when the handlers have ended.
        Auto,
        /// The application.
        Manual,
        /// Nobody.
        Off,
    }
}

mirrored! {
    /// What happens to a call that does not fit into the outbox.
    FullPolicy = client::FullPolicy {
        /// It fails.
        Reject,
        /// The oldest fails instead.
        DropOldest,
        /// It is dropped: the newest fails.
        DropNewest,
    } else Reject
}

mirrored! {
    /// What the platform knows.
    Hint = client::Hint {
        /// There is a network.
        Online,
        /// There is none.
        Offline,
        /// The device slept.
        Resumed,
        /// The application is seen.
        Foreground,
        /// It is not.
        Background,
    }
}

mirrored! {
    /// How good a connection is.
    Grade = client::Grade {
        /// Nobody notices it.
        Good,
        /// One notices it.
        Fair,
        /// It disturbs.
        Poor,
        /// There is none.
        Lost,
    }
}

/// What made the state change.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum Cause {
    /// The application asked for it.
    Requested,
    /// The handshake succeeded.
    Established {
        /// The public id; unknown without negotiation.
        connection_id: Option<String>,
        /// Of the connection that this one replaces.
        previous_connection_id: Option<String>,
    },
    /// The server closed the connection in order.
    ServerClosed {
        /// Whether the client may come back.
        allow_reconnect: bool,
    },
    /// It could not be made, or was lost.
    Failed {
        /// Why.
        fault: Fault,
    },
}

/// A change of the state.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct StateChange {
    /// Before.
    pub old: ConnectionState,
    /// Now.
    pub new: ConnectionState,
    /// What made it change.
    pub cause: Cause,
}

impl From<hubwire::StateChange> for StateChange {
    fn from(change: hubwire::StateChange) -> Self {
        let cause = match change.cause {
            client::Cause::Established { connection_id, previous_connection_id } => {
                Cause::Established { connection_id, previous_connection_id }
            }
            client::Cause::ServerClosed { allow_reconnect } => Cause::ServerClosed { allow_reconnect },
            client::Cause::Failed(error) => Cause::Failed { fault: Fault::from(&error) },
            _ => Cause::Requested,
        };
        Self { old: change.from.into(), new: change.to.into(), cause }
    }
}

/// What waits in the outbox.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct OutboxProgress {
    /// How many calls.
    pub depth: u64,
    /// How many bytes they have, about.
    pub bytes: u64,
    /// How long the oldest has waited, in milliseconds.
    pub oldest_age: Option<f64>,
}

impl From<client::OutboxProgress> for OutboxProgress {
    fn from(progress: client::OutboxProgress) -> Self {
        Self {
            depth: progress.depth as u64,
            bytes: progress.bytes as u64,
            oldest_age: progress.oldest_age.map(millis),
        }
    }
}

/// How good the connection is.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Quality {
    /// In one word.
    pub grade: Grade,
    /// The smoothed round-trip time in milliseconds, once it was measured.
    pub rtt: Option<f64>,
    /// How much it varies, in milliseconds.
    pub jitter: f64,
}

impl From<client::Quality> for Quality {
    fn from(quality: client::Quality) -> Self {
        Self { grade: quality.grade.into(), rtt: quality.rtt.map(millis), jitter: millis(quality.jitter) }
    }
}

/// Counters since the connection object was made, and where it stands.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Metrics {
    /// Connections that were made, the first included.
    pub connections: u64,
    /// Those that replaced a lost one.
    pub reconnections: u64,
    /// Transports that were replaced with nothing missing.
    pub resumes: u64,
    /// Attempts after one that failed.
    pub retries: u64,
    /// Messages written.
    pub messages_sent: u64,
    /// Messages read.
    pub messages_received: u64,
    /// Messages that came again and were not handed out again.
    pub duplicates_dropped: u64,
    /// Times that messages were lost for good.
    pub gaps: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages refused.
    pub nacked: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Times that missing messages were asked for.
    pub recoveries: u64,
    /// Times that whole objects were asked for.
    pub snapshots: u64,
    /// How long the last connection took to be made, in milliseconds.
    pub connect_latency: Option<f64>,
    /// What waits.
    pub outbox: OutboxProgress,
    /// How good the connection is.
    pub quality: Quality,
}

impl From<client::Metrics> for Metrics {
    fn from(metrics: client::Metrics) -> Self {
        Self {
            connections: metrics.connections,
            reconnections: metrics.reconnections,
            resumes: metrics.resumes,
            retries: metrics.retries,
            messages_sent: metrics.messages_sent,
            messages_received: metrics.messages_received,
            duplicates_dropped: metrics.duplicates_dropped,
            gaps: metrics.gaps,
            acknowledged: metrics.acknowledged,
            nacked: metrics.nacked,
            malformed: metrics.malformed,
            recoveries: metrics.recoveries,
            snapshots: metrics.snapshots,
            connect_latency: metrics.connect_latency.map(millis),
            outbox: metrics.outbox.into(),
            quality: metrics.quality.into(),
        }
    }
}

/// Where messages were lost.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum GapSource {
    /// In a stream with history.
    Stream {
        /// Its name.
        stream: String,
    },
    /// Among the changes of an object.
    Object {
        /// The method.
        target: String,
        /// The object.
        key: String,
    },
}

/// Something that happened besides messages and changes of the state.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum ConnectionEvent {
    /// There will be another attempt.
    RetryScheduled {
        /// How many attempts have failed before.
        previous_retry_count: u32,
        /// In how many milliseconds.
        delay: f64,
        /// What went wrong.
        fault: Fault,
    },
    /// A lost transport was replaced, with nothing missing.
    Resumed,
    /// What waits in the outbox has changed.
    OutboxChanged {
        /// What it is now.
        outbox: OutboxProgress,
    },
    /// The store of the outbox could not be written.
    StoreFailed {
        /// Why.
        fault: Fault,
    },
    /// A group could not be joined again.
    RejoinFailed {
        /// The method that was called.
        target: String,
        /// Why.
        fault: Fault,
    },
    /// Messages were lost for good.
    Gap {
        /// Where.
        source: GapSource,
        /// Why.
        fault: Fault,
    },
    /// The grade of the connection has changed.
    QualityChanged {
        /// What it is now.
        quality: Quality,
    },
    /// The token was refreshed in place, or could not be.
    TokenRefreshed {
        /// Why not.
        fault: Option<Fault>,
    },
}

impl ConnectionEvent {
    /// None for events that this version does not know.
    pub(crate) fn of(event: hubwire::ConnectionEvent) -> Option<Self> {
        use hubwire::ConnectionEvent as Core;
        Some(match event {
            Core::RetryScheduled { previous_retry_count, delay, reason } => Self::RetryScheduled {
                previous_retry_count,
                delay: millis(delay),
                fault: Fault::from(&reason),
            },
            Core::Resumed => Self::Resumed,
            Core::OutboxChanged(outbox) => Self::OutboxChanged { outbox: outbox.into() },
            Core::StoreFailed(error) => Self::StoreFailed { fault: Fault::from(&error) },
            Core::RejoinFailed { target, error } => Self::RejoinFailed { target, fault: Fault::from(&error) },
            Core::Gap { source, error } => {
                let source = match source {
                    client::GapSource::Stream(stream) => GapSource::Stream { stream: stream.to_string() },
                    client::GapSource::Object { target, key } => {
                        GapSource::Object { target: target.to_string(), key: key.to_string() }
                    }
                };
                Self::Gap { source, fault: Fault::from(&error) }
            }
            Core::QualityChanged(quality) => Self::QualityChanged { quality: quality.into() },
            Core::TokenRefreshed(result) => {
                Self::TokenRefreshed { fault: result.as_ref().err().map(Fault::from) }
            }
            _ => return None,
        })
    }
}

/// A durable call that an earlier process left in the store.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct RestoredCall {
    /// Its id, far above those of this process.
    pub call: u64,
    /// The method.
    pub target: String,
}
