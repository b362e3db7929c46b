//! What is around the members of a batch. Members are encoded once and never read again.

use std::time::SystemTime;

use bytes::Bytes;
use hubwire::protocol::{Encoding, Payload, PayloadError};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::delivery::batcher::Method;
use crate::error::SendError;
use crate::registry::Target;
use crate::timestamp::iso;

/// How much a message matters, which a batch says of its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Importance {
    /// The higher the more. A batch has that of its highest member.
    pub priority: i32,
    /// Whether it must not be lost. A batch says whether a member is.
    pub critical: bool,
}

/// One call that waits in a batch.
#[derive(Debug)]
pub(super) struct Member {
    /// The argument, or the list of them.
    json: Box<RawValue>,
    /// The same.
    message_pack: Bytes,
    /// Whether it is the list.
    is_list: bool,
    pub(super) importance: Importance,
}

impl Member {
    pub(super) fn of_argument<A: Serialize + ?Sized>(argument: &A) -> Result<Self, SendError> {
        let message_pack = Payload::encode(Encoding::MessagePack, argument).map_err(SendError::Arguments)?;
        Self::new(argument, &message_pack, false)
    }

    /// With the number of arguments.
    pub(super) fn of_arguments<A: Serialize + ?Sized>(arguments: &A) -> Result<(Self, usize), SendError> {
        let list =
            Payload::encode_arguments(Encoding::MessagePack, arguments).map_err(SendError::Arguments)?;
        let count = list.arguments().map_err(SendError::Arguments)?.total();
        let member = match count {
            // `()` is a list, too.
            0 => Self::new(&[(); 0], &list, true)?,
            _ => Self::new(arguments, &list, true)?,
        };
        Ok((member, count))
    }

    fn new<A: Serialize + ?Sized>(
        value: &A,
        message_pack: &Payload,
        is_list: bool,
    ) -> Result<Self, SendError> {
        let json = serde_json::value::to_raw_value(value)
            .map_err(|error| SendError::Arguments(PayloadError::new(error.to_string())))?;
        Ok(Self {
            json,
            message_pack: message_pack.bytes().clone(),
            is_list,
            importance: Importance::default(),
        })
    }

    /// How long it is on the wire: that of the longer encoding.
    pub(super) fn len(&self) -> usize {
        self.json.get().len().max(self.message_pack.len())
    }

    /// The arguments of the call, if it leaves alone.
    pub(super) fn arguments(&self, encoding: Encoding) -> Result<Payload, SendError> {
        let payload = match (encoding, self.is_list) {
            (Encoding::Json, true) => Payload::encode_arguments(encoding, &self.json),
            (Encoding::Json, false) => Payload::encode_arguments(encoding, &(&self.json,)),
            (Encoding::MessagePack, true) => Payload::from_encoded(encoding, self.message_pack.clone()),
            (Encoding::MessagePack, false) => {
                let list = [&[ARRAY_OF_1][..], &self.message_pack].concat();
                Payload::from_encoded(encoding, list.into())
            }
        };
        payload.map_err(SendError::Arguments)
    }
}

/// The argument of a batch.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    members: &'a [Member],
    rest: Rest<'a>,
}

/// Without the members.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rest<'a> {
    count: usize,
    batch_id: String,
    timestamp: String,
    method_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<&'a str>,
    hub_name: &'a str,
    total_size_bytes: usize,
    priority: i32,
    contains_critical_messages: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_per_message: Option<usize>,
}

#[derive(Serialize)]
struct Json<'a> {
    messages: Vec<&'a RawValue>,
    #[serde(flatten)]
    rest: &'a Rest<'a>,
}

/// The headers of MessagePack lists: of one item, and with 16 and 32 bits for the number of items.
const ARRAY_OF_1: u8 = 0x91;
const ARRAY_16: u8 = 0xdc;
const ARRAY_32: u8 = 0xdd;
/// The headers of MessagePack maps with up to 15 entries.
const MAP_OF_0: u8 = 0x80;
const MAP_OF_15: u8 = 0x8f;

impl<'a> Envelope<'a> {
    pub(super) fn new(hub: &'a str, to: &'a Target, method: &'a Method, members: &'a [Member]) -> Self {
        let rest = Rest {
            count: members.len(),
            batch_id: guid(),
            timestamp: iso(SystemTime::now()),
            method_name: &method.name,
            connection_id: match to {
                Target::Connections(ids) if ids.len() == 1 => ids.first().map(|id| &**id),
                _ => None,
            },
            group_name: match to {
                Target::Group(group) => Some(group),
                _ => None,
            },
            hub_name: hub,
            total_size_bytes: members.iter().map(Member::len).sum(),
            priority: members.iter().map(|member| member.importance.priority).max().unwrap_or(0),
            contains_critical_messages: members.iter().any(|member| member.importance.critical),
            arguments_per_message: method.arguments,
        };
        Self { members, rest }
    }

    pub(super) fn arguments(&self, encoding: Encoding) -> Result<Payload, SendError> {
        let payload = match encoding {
            Encoding::Json => {
                let messages = self.members.iter().map(|member| &*member.json).collect();
                Payload::encode_arguments(encoding, &(Json { messages, rest: &self.rest },))
            }
            Encoding::MessagePack => self.message_pack(),
        };
        payload.map_err(SendError::Arguments)
    }

    fn message_pack(&self) -> Result<Payload, PayloadError> {
        let rest = Payload::encode(Encoding::MessagePack, &self.rest)?;
        let (header, rest) = match &rest.bytes()[..] {
            [header @ MAP_OF_0..MAP_OF_15, rest @ ..] => (*header, rest),
            _ => return Err(PayloadError::new("a batch has too many properties")),
        };
        let members: usize = self.members.iter().map(|member| member.message_pack.len()).sum();
        let mut out = Vec::with_capacity(members + rest.len() + 32);
        out.extend([ARRAY_OF_1, header + 1]);
        out.extend_from_slice(Payload::encode(Encoding::MessagePack, "messages")?.bytes());
        let count = self.members.len();
        match u16::try_from(count) {
            Ok(count) => {
                out.push(ARRAY_16);
                out.extend(count.to_be_bytes());
            }
            Err(_) => {
                out.push(ARRAY_32);
                out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
        for member in self.members {
            out.extend_from_slice(&member.message_pack);
        }
        out.extend_from_slice(rest);
        Payload::from_encoded(Encoding::MessagePack, out.into())
    }
}

/// A random GUID (RFC 9562, version 4).
fn guid() -> String {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // The name of a batch is for logs only.
        tracing::debug!(%error, "a batch has no id of its own");
    }
    let value = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let text = format!("{value:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn guids_say_that_they_are_random() {
        let guid = guid();
        let lengths: Vec<_> = guid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&guid[14..15], "4");
        assert!("89ab".contains(&guid[19..20]), "{guid}");
        assert_ne!(guid, self::guid());
    }

    #[test]
    fn both_encodings_say_the_same() {
        for count in [2, 20, 70_000] {
            let members: Vec<_> =
                (0..count).map(|n| Member::of_argument(&json!({"n": n})).unwrap()).collect();
            let method = Method { name: "Step".into(), arguments: None };
            let to = Target::Group("room".into());
            let envelope = Envelope::new("/hub", &to, &method, &members);
            let read = |encoding| envelope.arguments(encoding).unwrap().decode::<Value>().unwrap();
            let value = read(Encoding::Json);
            assert_eq!(value, read(Encoding::MessagePack));
            let batch = value[0].as_object().unwrap();
            assert_eq!((&batch["count"], &batch["groupName"]), (&json!(count), &json!("room")));
            assert_eq!(batch["messages"][count - 1], json!({"n": count - 1}));
            assert!(!batch.contains_key("connectionId") && !batch.contains_key("argumentsPerMessage"));
        }
    }

    #[test]
    fn a_batch_matters_as_much_as_its_members() {
        let of = |importances: &[(i32, bool)]| {
            let member = |&(priority, critical): &(i32, bool)| {
                let importance = Importance { priority, critical };
                Member { importance, ..Member::of_argument("x").unwrap() }
            };
            let members: Vec<_> = importances.iter().map(member).collect();
            let method = Method { name: "Step".into(), arguments: None };
            let arguments = Envelope::new("/hub", &Target::All, &method, &members).arguments(Encoding::Json);
            let batch = arguments.unwrap().decode::<Value>().unwrap();
            (batch[0]["priority"].as_i64(), batch[0]["containsCriticalMessages"].as_bool())
        };
        assert_eq!(of(&[(0, false), (0, false)]), (Some(0), Some(false)));
        assert_eq!(of(&[(-3, false), (-5, true)]), (Some(-3), Some(true)));
    }

    #[test]
    fn lists_of_arguments_stay_lists() {
        let (member, count) = Member::of_arguments(&(1, "x")).unwrap();
        assert_eq!(count, 2);
        let (none, zero) = Member::of_arguments(&()).unwrap();
        assert_eq!(zero, 0);
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            assert_eq!(member.arguments(encoding).unwrap().decode::<Value>().unwrap(), json!([1, "x"]));
            assert_eq!(none.arguments(encoding).unwrap().decode::<Value>().unwrap(), json!([]));
            let single = Member::of_argument("x").unwrap();
            assert_eq!(single.arguments(encoding).unwrap().decode::<Value>().unwrap(), json!(["x"]));
        }
        assert!(Member::of_arguments(&1).is_err());
    }
}
