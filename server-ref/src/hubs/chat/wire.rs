//! What chat clients send and get.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use crate::error::HubError;

/// A value that should be a text. What else it may be is not refused before the method can say which one it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Field {
    #[default]
    Absent,
    Text(String),
    Other,
}

impl Field {
    /// The text of a property that must be there.
    pub(super) fn required(self, name: &str) -> Result<String, HubError> {
        self.optional(name)?.ok_or_else(|| HubError::new(format!("{name} is required")))
    }

    /// The text of a property that may be left out.
    pub(super) fn optional(self, name: &str) -> Result<Option<String>, HubError> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Other => Err(HubError::new(format!("{name} must be a string"))),
        }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any(PhantomData<Field>);

        impl<'de> Visitor<'de> for Any {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Field, E> {
                Ok(Field::Text(text.into()))
            }

            fn visit_unit<E>(self) -> Result<Field, E> {
                Ok(Field::Absent)
            }

            fn visit_none<E>(self) -> Result<Field, E> {
                Ok(Field::Absent)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
                Ok(Field::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Field, E> {
                Ok(Field::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Field, E> {
                Ok(Field::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
                Ok(Field::Other)
            }

            fn visit_bytes<E>(self, _: &[u8]) -> Result<Field, E> {
                Ok(Field::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Field::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Field::Other)
            }
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}

// .NET clients write property names in PascalCase over MessagePack.

#[derive(Debug, Default, DeriveDeserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SendMessage {
    #[serde(alias = "ConversationId")]
    pub(super) conversation_id: Field,
    #[serde(alias = "Content")]
    pub(super) content: Field,
    #[serde(alias = "MessageId")]
    pub(super) message_id: Field,
}

#[derive(Debug, Default, DeriveDeserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EditMessage {
    #[serde(alias = "ConversationId")]
    pub(super) conversation_id: Field,
    #[serde(alias = "MessageId")]
    pub(super) message_id: Field,
    #[serde(alias = "NewContent")]
    pub(super) new_content: Field,
}

#[derive(Debug, Default, DeriveDeserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MessageRef {
    #[serde(alias = "ConversationId")]
    pub(super) conversation_id: Field,
    #[serde(alias = "MessageId")]
    pub(super) message_id: Field,
}

/// `ReceiveMessage`, `MessageEdited`, and the result of `SendMessage`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) message_id: String,
    pub(super) conversation_id: String,
    pub(super) user_id: String,
    pub(super) content: String,
    pub(super) timestamp: String,
    pub(super) edited: bool,
}

/// `UserJoined` and `UserLeft`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Presence<'a> {
    pub(super) conversation_id: &'a str,
    pub(super) user_id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) timestamp: String,
}

/// `TypingUpdate`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TypingUpdate<'a> {
    pub(super) conversation_id: &'a str,
    pub(super) typing_users: Vec<&'a str>,
    pub(super) timestamp: String,
}

/// `MessageDeleted`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageDeleted<'a> {
    pub(super) conversation_id: &'a str,
    pub(super) message_id: &'a str,
    pub(super) deleted_by: &'a str,
    pub(super) timestamp: String,
}

/// `ConversationUpdated`: how far a user has read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationUpdated<'a> {
    pub(super) conversation_id: &'a str,
    pub(super) user_id: &'a str,
    pub(super) last_read_message_id: &'a str,
    pub(super) timestamp: String,
}
