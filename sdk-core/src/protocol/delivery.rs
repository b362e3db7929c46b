//! The names and texts of what Hubwire peers do for each other beyond SignalR; `docs/delivery.md` is the specification.

use alloc::string::String;
use core::fmt;

use crate::ByteString;

use super::Headers;
use crate::text::{cut, decimal, joined, number};

/// The header of a call that runs once, however often it comes: `<clientId>/<n>`.
pub const ID_HEADER: &str = "hubwire-id";
/// The header of a message of the server that is to be acknowledged: its message id.
pub const MESSAGE_HEADER: &str = "hubwire-message";
/// The header of a message that belongs to a stream with history: a [`Position`].
pub const POSITION_HEADER: &str = "hubwire-position";

/// Hub method: the message with that id was handled.
pub const ACKNOWLEDGE: &str = "AcknowledgeMessage";
/// Hub method: the messages with those ids were handled. Only where the server has [`Feature::Ack`](super::Feature::Ack).
pub const ACKNOWLEDGE_MANY: &str = "AcknowledgeMessages";
/// Hub method: the message with that id could not be handled, and why.
pub const NACK: &str = "NackMessage";
/// Hub method: what became of the message with that id, as a number.
pub const MESSAGE_STATUS: &str = "GetMessageStatus";
/// Hub method: sends what came in streams after those positions.
pub const RECOVER: &str = "HubwireRecover";
/// Hub method: sends the whole state of a key of a method with deltas.
pub const SNAPSHOT: &str = "HubwireSnapshot";
/// Client method: where a stream stands that the client was subscribed to just now.
pub const POSITION: &str = "HubwirePosition";

/// What a method's name has at its end when several messages come as one.
pub const BATCH_SUFFIX: &str = "Batch";
/// What a method's name has at its end when only what changed comes.
pub const DELTA_SUFFIX: &str = "Delta";

/// The longest message id, in bytes. Longer ones are those of nobody.
pub const MAX_MESSAGE_ID: usize = 128;
/// The longest reason of a [`NACK`], in bytes; what is longer is cut.
pub const MAX_REASON: usize = 1024;
/// How many positions one [`RECOVER`] takes, and how many ids one [`ACKNOWLEDGE_MANY`].
pub const MAX_LIST: usize = 100;

/// The value of that header, if the message has it.
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a ByteString> {
    headers.iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

/// A place in a stream with history: `<epoch>/<offset>/<stream>`.
///
/// The first message of an epoch has offset 1; the position before it is 0. Positions of different epochs cannot be
/// compared: the server has lost what it knew of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Names one life of the stream: 1 to 64 characters without `/`.
    pub epoch: ByteString,
    /// Counts its messages.
    pub offset: u64,
    /// The stream: not empty, any characters.
    pub stream: ByteString,
}

impl Position {
    /// Reads a position. `None` if it is none.
    pub fn parse(text: &ByteString) -> Option<Self> {
        let (epoch, rest) = cut(text, b'/')?;
        let (offset, stream) = cut(rest, b'/')?;
        let offset = number(offset)?;
        if epoch.is_empty() || epoch.len() > 64 || stream.is_empty() {
            return None;
        }
        Some(Self { epoch: text.slice_ref(epoch), offset, stream: text.slice_ref(stream) })
    }

    /// The text that [`parse`](Self::parse) reads.
    pub fn to_text(&self) -> String {
        joined(&[&self.epoch, "/", &decimal(self.offset), "/", &self.stream])
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// What a server answers for one position of a [`RECOVER`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Everything up to that position was sent, and what follows comes by itself.
    Complete(Position),
    /// Everything up to that position was sent; there is more to ask for.
    More(Position),
    /// What is missing cannot be had any more. What follows that position comes by itself.
    Lost(Position),
    /// The client is not subscribed to the stream.
    Unsubscribed,
}

impl Recovery {
    /// Reads an answer. `None` if it is none.
    pub fn parse(text: &ByteString) -> Option<Self> {
        if &**text == "unsubscribed" {
            return Some(Self::Unsubscribed);
        }
        let (word, position) = cut(text, b':')?;
        let position = Position::parse(&text.slice_ref(position))?;
        match word {
            "complete" => Some(Self::Complete(position)),
            "more" => Some(Self::More(position)),
            "lost" => Some(Self::Lost(position)),
            _ => None,
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete(position) => write!(f, "complete:{position}"),
            Self::More(position) => write!(f, "more:{position}"),
            Self::Lost(position) => write!(f, "lost:{position}"),
            Self::Unsubscribed => f.write_str("unsubscribed"),
        }
    }
}

/// Whether that may be the name of a client: 1 to 64 of `A-Z`, `a-z`, `0-9`, `-` and `_`.
pub fn is_client_id(text: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_have_one_form() {
        for text in ["e/0/s", "e/1/s", "aB9/18446744073709551615/group:a/b:c", "e/7/ä"] {
            let position = Position::parse(&text.into()).expect(text);
            assert_eq!(position.to_string(), text);
        }
        for text in
            ["", "e", "e/1", "e/1/", "/1/s", "e//s", "e/01/s", "e/-1/s", "e/+1/s", "e/18446744073709551616/s"]
        {
            assert_eq!(Position::parse(&text.into()), None, "{text}");
        }
    }

    #[test]
    fn recoveries_are_read_as_they_are_written() {
        for text in ["complete:e/1/s", "more:e/1/s:t", "lost:e/0/s", "unsubscribed"] {
            let recovery = Recovery::parse(&text.into()).expect(text);
            assert_eq!(recovery.to_string(), text);
        }
        for text in ["", "complete", "complete:", "complete:e/1", "other:e/1/s", "Unsubscribed"] {
            assert_eq!(Recovery::parse(&text.into()), None, "{text}");
        }
    }

    #[test]
    fn names_of_clients() {
        assert!(is_client_id("Az09_-"));
        assert!(is_client_id(&"x".repeat(64)));
        for text in ["", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(!is_client_id(text), "{text}");
        }
    }
}
