//! What can be wrong with a network, as data.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The faults of a connection. The default has none: every byte is passed on as it comes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Faults {
    /// What happens to new connections.
    pub accept: Accept,
    /// From the client to the upstream server.
    pub to_upstream: Lane,
    /// From the upstream server to the client.
    pub to_client: Lane,
    /// Where everything drawn by chance comes from: jitter, slices, corruption. Each direction of each connection draws a
    /// sequence of its own, which depends on nothing but this and the connection's number.
    pub seed: u64,
}

impl Faults {
    /// The same faults in both directions.
    pub fn both(lane: Lane) -> Self {
        Self { to_upstream: lane, to_client: lane, ..Self::default() }
    }

    /// Both sockets stay open and nothing gets through, as with a pulled cable.
    pub fn black_hole() -> Self {
        Self::both(Lane { hole: true, ..Lane::default() })
    }

    /// With this kind of answer to new connections.
    pub fn accept(accept: Accept) -> Self {
        Self { accept, ..Self::default() }
    }
}

/// What happens to new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Accept {
    /// They are connected with the upstream server.
    #[default]
    Forward,
    /// Nobody listens: the client's system says "connection refused".
    Refuse,
    /// They are accepted and closed at once.
    Close,
    /// They are accepted and reset at once.
    Reset,
}

/// The faults of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Lane {
    /// How much later bytes go out than they came in.
    #[serde(rename = "delayMs", with = "milliseconds")]
    pub delay: Duration,
    /// Up to this much is added to each delay. Bytes stay in order, so one late chunk holds up those behind it.
    #[serde(rename = "jitterMs", with = "milliseconds")]
    pub jitter: Duration,
    /// How fast bytes may go out.
    pub bytes_per_second: Option<NonZeroU32>,
    /// Bytes go out in small writes.
    pub slice: Option<Slice>,
    /// Nothing goes out, neither bytes nor the end of the connection. What came in goes out when this is over, as TCP would
    /// send it again; so much is taken in as fits the buffer.
    pub hole: bool,
    /// The connection ends after so many more bytes in this direction, counted from when this was set.
    pub end_after: Option<EndAfter>,
    /// About one byte of so many gets a wrong bit. No network does this to TCP; broken middleboxes and tests do.
    pub corrupt_one_in: Option<NonZeroU64>,
}

/// Small writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slice {
    /// The longest write; each is between one byte and this, by chance.
    pub longest: NonZeroUsize,
    /// The time between two writes. Without it the receiver may get several at once.
    #[serde(rename = "pauseMs", with = "milliseconds", default)]
    pub pause: Duration,
}

/// The end of a connection in the midst of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndAfter {
    /// How many bytes still go out.
    pub bytes: u64,
    /// How it ends then.
    #[serde(default)]
    pub how: Ending,
}

/// How the proxy ends a connection, towards both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// With FIN: both sides read the end of the stream.
    #[default]
    Cut,
    /// With RST: both sides get an error.
    Reset,
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_in_json_have_units_in_their_names() {
        let faults: Faults = serde_json::from_str(
            r#"{"toClient":{"delayMs":20,"slice":{"longest":3},"endAfter":{"bytes":7,"how":"reset"}},"accept":"close"}"#,
        )
        .unwrap();
        assert_eq!(faults.to_client.delay, Duration::from_millis(20));
        assert_eq!(faults.to_client.slice.map(|slice| slice.longest.get()), Some(3));
        assert_eq!(faults.to_client.end_after, Some(EndAfter { bytes: 7, how: Ending::Reset }));
        assert_eq!((faults.accept, faults.to_upstream), (Accept::Close, Lane::default()));
        assert_eq!(serde_json::from_str::<Faults>(&serde_json::to_string(&faults).unwrap()).unwrap(), faults);
    }

    #[test]
    fn a_misspelt_fault_is_refused() {
        let error = serde_json::from_str::<Faults>(r#"{"toClient":{"delay":20}}"#).unwrap_err().to_string();
        assert!(error.contains("`delay`") && error.contains("`delayMs`"), "{error}");
        assert!(serde_json::from_str::<Faults>(r#"{"toClient":{"bytesPerSecond":0}}"#).is_err());
    }
}
