//! What a process says that it did.

use std::fmt;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process began.
    Began,
    /// The server is about to send a message of that number, and perhaps those below: they are never used again.
    Attempted,
    /// The server took it for a recipient: from now on it must arrive.
    Accepted,
    /// The server knew no recipient.
    Declined,
    /// The server refused it.
    Failed,
    /// The server put it into the stream.
    Published,
    /// A call ran.
    Ran,
    /// The client is connected.
    Connected,
    /// The client handled a message.
    Handled,
    /// The client's handler failed: the message has to come again.
    Refused,
    /// A message of the stream came.
    Streamed,
    /// The client was told that messages of the stream are missing.
    Gap,
    /// The client is about to make a call.
    Called,
    /// A call was completed.
    Completed,
    /// A call ended with an error: it ran once or not at all.
    Unresolved,
}

const NAMES: [(Kind, &str); 15] = [
    (Kind::Began, "began"),
    (Kind::Attempted, "attempted"),
    (Kind::Accepted, "accepted"),
    (Kind::Declined, "declined"),
    (Kind::Failed, "failed"),
    (Kind::Published, "published"),
    (Kind::Ran, "ran"),
    (Kind::Connected, "connected"),
    (Kind::Handled, "handled"),
    (Kind::Refused, "refused"),
    (Kind::Streamed, "streamed"),
    (Kind::Gap, "gap"),
    (Kind::Called, "called"),
    (Kind::Completed, "completed"),
    (Kind::Unresolved, "unresolved"),
];

/// What happened, and to which number; 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What.
    pub kind: Kind,
    /// Of which message or call. Messages, those of the stream, and calls are counted apart.
    pub number: u64,
}

/// A fact, and when it was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Microseconds of the Unix epoch; 0 in simulations.
    pub at: u64,
    /// What happened.
    pub fact: Fact,
}

impl Noted {
    /// Reads a line. `None` if it is none: torn, because its process was killed.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (at, name, number) = (words.next()?, words.next()?, words.next()?);
        let kind = NAMES.iter().find(|(_, known)| *known == name)?.0;
        let fact = Fact { kind, number: number.parse().ok()? };
        // A number that was cut off would be another one.
        (words.next() == Some(".")).then_some(Self { at: at.parse().ok()?, fact })
    }
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, fact } = self;
        let name = NAMES.iter().find(|(kind, _)| *kind == fact.kind).map_or("", |(_, name)| name);
        write!(f, "{at} {name} {} .", fact.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_as_they_are_written_and_torn_ones_are_not() {
        for (kind, _) in NAMES {
            let noted = Noted { at: 17, fact: Fact { kind, number: 123 } };
            let line = noted.to_string();
            assert_eq!(Noted::parse(&line), Some(noted));
            for end in 0..line.len() {
                assert_eq!(Noted::parse(&line[..end]), None, "{}", &line[..end]);
            }
        }
    }
}
