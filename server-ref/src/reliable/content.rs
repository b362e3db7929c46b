//! What is delivered: encoded once for all recipients, and once more only where an attempt is counted in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use bytes::Bytes;
use bytestring::ByteString;
use hubwire::protocol::delivery::{MAX_MESSAGE_ID, MESSAGE_HEADER};
use hubwire::protocol::{Call, Encoding, HubMessage, Invocation, Payload, PayloadError};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::SendError;
use crate::negotiate::random_id;
use crate::registry::encode;

/// A call of a client method with one object that has a message id.
#[derive(Debug)]
pub(crate) struct Content {
    pub(super) id: ByteString,
    pub(super) target: ByteString,
    /// The arguments. Both encodings, because who is away may come back with the other one.
    pub(super) json: Payload,
    pub(super) message_pack: Payload,
    /// Whether the object is the application's own, which counts attempts itself, and no wrapper around it.
    pub(super) inline: bool,
    /// The whole message: for each encoding without and with the header.
    frames: [OnceLock<Bytes>; 4],
}

/// What is around an object without a message id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wrapper<'a, T: ?Sized> {
    message_id: &'a str,
    data: &'a T,
}

impl Content {
    /// Encodes a message. Its id is its own `messageId`, if it has one that can be one and `wrapped` does not forbid it.
    pub(crate) fn new<T: Serialize + ?Sized>(
        target: &str,
        message: &T,
        wrapped: bool,
    ) -> Result<Self, SendError> {
        let whole = Payload::encode(Encoding::Json, message).map_err(SendError::Arguments)?;
        if whole.bytes().first() != Some(&b'{') {
            return Err(SendError::NoObject);
        }
        if let Some(id) = Some(&whole).filter(|_| !wrapped).and_then(own_id) {
            let arguments = |encoding| Payload::encode_arguments(encoding, &(message,));
            return Self::encoded(id, target, true, arguments);
        }
        let id =
            random_id().map_err(|error| SendError::Refused(format!("There is no randomness: {error}.")))?;
        let message = Wrapper { message_id: &id, data: message };
        let arguments = |encoding| Payload::encode_arguments(encoding, &(&message,));
        Self::encoded(id.clone().into(), target, false, arguments)
    }

    fn encoded(
        id: ByteString,
        target: &str,
        inline: bool,
        arguments: impl Fn(Encoding) -> Result<Payload, PayloadError>,
    ) -> Result<Self, SendError> {
        let json = arguments(Encoding::Json).map_err(SendError::Arguments)?;
        let message_pack = arguments(Encoding::MessagePack).map_err(SendError::Arguments)?;
        Ok(Self::from_parts(id, target.into(), json, message_pack, inline))
    }

    pub(super) fn from_parts(
        id: ByteString,
        target: ByteString,
        json: Payload,
        message_pack: Payload,
        inline: bool,
    ) -> Self {
        Self { id, target, json, message_pack, inline, frames: Default::default() }
    }

    pub(crate) const fn id(&self) -> &ByteString {
        &self.id
    }

    /// What it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.id.len() + self.target.len() + self.json.bytes().len() + self.message_pack.bytes().len()
    }

    /// The message as it leaves. Only who announced itself gets the header: others may fail on any.
    pub(super) fn frame(&self, encoding: Encoding, announced: bool, retry_count: u32) -> Bytes {
        if retry_count > 0
            && self.inline
            && let Ok(arguments) = counted(self.arguments(encoding), retry_count)
        {
            return self.encode(encoding, announced, arguments);
        }
        let index = usize::from(encoding == Encoding::MessagePack) * 2 + usize::from(announced);
        let frame = self.frames[index]
            .get_or_init(|| self.encode(encoding, announced, self.arguments(encoding).clone()));
        frame.clone()
    }

    const fn arguments(&self, encoding: Encoding) -> &Payload {
        match encoding {
            Encoding::Json => &self.json,
            Encoding::MessagePack => &self.message_pack,
        }
    }

    fn encode(&self, encoding: Encoding, announced: bool, arguments: Payload) -> Bytes {
        let mut call = Call::new(self.target.clone(), arguments);
        if announced {
            call.headers.push((MESSAGE_HEADER.into(), self.id.clone()));
        }
        encode(encoding, &HubMessage::Invocation(Invocation { invocation_id: None, call }))
    }
}

/// The `messageId` of an object, if it is one.
fn own_id(object: &Payload) -> Option<ByteString> {
    let fields: HashMap<String, &RawValue> = serde_json::from_slice(object.bytes()).ok()?;
    let id: String = serde_json::from_str(fields.get("messageId")?.get()).ok()?;
    (1..=MAX_MESSAGE_ID).contains(&id.len()).then(|| id.into())
}

/// The arguments with the number of failed attempts in their object. What else is in it stays as it is.
fn counted(arguments: &Payload, retry_count: u32) -> Result<Payload, PayloadError> {
    const FIELD: &str = "retryCount";
    let other = || PayloadError::new("not a list with one object");
    match arguments.encoding() {
        Encoding::Json => {
            let (mut fields,): (BTreeMap<String, Box<RawValue>>,) = arguments.decode()?;
            let number = RawValue::from_string(retry_count.to_string())
                .map_err(|error| PayloadError::new(error.to_string()))?;
            fields.insert(FIELD.into(), number);
            Payload::encode_arguments(Encoding::Json, &(fields,))
        }
        Encoding::MessagePack => {
            let mut value: rmpv::Value = arguments.decode()?;
            let rmpv::Value::Array(list) = &mut value else { return Err(other()) };
            let Some(rmpv::Value::Map(fields)) = list.first_mut() else { return Err(other()) };
            let number = rmpv::Value::from(retry_count);
            match fields.iter_mut().find(|(name, _)| name.as_str() == Some(FIELD)) {
                Some((_, value)) => *value = number,
                None => fields.push((FIELD.into(), number)),
            }
            Payload::encode_arguments(Encoding::MessagePack, &value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(content: &Content, encoding: Encoding) -> serde_json::Value {
        let (value,): (serde_json::Value,) = content.arguments(encoding).decode().unwrap();
        value
    }

    #[test]
    fn an_object_with_an_id_is_sent_as_it_is_and_others_are_wrapped() {
        let long = "x".repeat(129);
        for (message, forced, inline) in [
            (json!({"messageId": "m", "a": 1}), false, true),
            (json!({"messageId": "m"}), true, false),
            (json!({"a": 1}), false, false),
            (json!({"messageId": 5}), false, false),
            (json!({"messageId": ""}), false, false),
            (json!({"messageId": long}), false, false),
        ] {
            let content = Content::new("Show", &message, forced).unwrap();
            assert_eq!(content.inline, inline, "{message}");
            for encoding in [Encoding::Json, Encoding::MessagePack] {
                match inline {
                    true => assert_eq!((&**content.id(), object(&content, encoding)), ("m", message.clone())),
                    false => {
                        let wrapper = json!({"messageId": &**content.id(), "data": message});
                        assert_eq!(object(&content, encoding), wrapper);
                        assert_ne!(&**content.id(), "m");
                    }
                }
            }
        }
        for message in [json!(1), json!([1]), json!("x"), json!(null)] {
            assert_eq!(Content::new("Show", &message, false).unwrap_err(), SendError::NoObject);
        }
    }

    #[test]
    fn frames_are_made_once_and_the_header_is_for_those_who_know_it() {
        let content = Content::new("Show", &json!({"messageId": "m"}), false).unwrap();
        let text = |announced| content.frame(Encoding::Json, announced, 0);
        assert_eq!(
            text(false),
            "{\"type\":1,\"target\":\"Show\",\"arguments\":[{\"messageId\":\"m\"}]}\u{1e}"
        );
        let announced = String::from_utf8(text(true).to_vec()).unwrap();
        assert!(announced.contains("\"headers\":{\"hubwire-message\":\"m\"}"), "{announced}");
        assert_eq!(text(true).as_ptr(), text(true).as_ptr());
    }

    #[test]
    fn a_retry_is_counted_in_the_object_and_nothing_else_changes() {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Own {
            message_id: &'static str,
            retry_count: u32,
            big: u64,
            bytes: Binary,
        }
        struct Binary;
        impl Serialize for Binary {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&[1, 2])
            }
        }
        let own = Own { message_id: "m", retry_count: 0, big: u64::MAX, bytes: Binary };
        let content = Content::new("Show", &own, false).unwrap();
        let (value,): (serde_json::Value,) = counted(&content.json, 2).unwrap().decode().unwrap();
        assert_eq!(value, json!({"messageId": "m", "retryCount": 2, "big": u64::MAX, "bytes": [1, 2]}));
        let value: rmpv::Value = counted(&content.message_pack, 2).unwrap().decode().unwrap();
        let fields = value[0].as_map().unwrap();
        assert_eq!((fields[1].1.as_u64(), fields[2].1.as_u64()), (Some(2), Some(u64::MAX)));
        assert_eq!(fields[3].1, rmpv::Value::Binary(vec![1, 2]));
        // A wrapper has nothing to count in.
        let wrapped = Content::new("Show", &own, true).unwrap();
        assert_eq!(wrapped.frame(Encoding::Json, true, 2), wrapped.frame(Encoding::Json, true, 0));
    }
}
