use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::ReliableOptions;
use crate::error::SendError;
use crate::negotiate::random_id;
use crate::timestamp;

/// A message with what many applications put around one. The fields of `body`, which is an object, stand beside the others.
///
/// It has an id, so that a reliable send does not wrap it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    /// What the recipient acknowledges: 1 to 128 bytes, another one for each message.
    pub message_id: String,
    /// When it was made, in RFC 3339.
    pub timestamp: String,
    /// Which other message it belongs to.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// How often its delivery failed. Set by the server when it is delivered again.
    #[serde(default)]
    pub retry_count: u32,
    /// What kind of message it is.
    #[serde(default)]
    pub message_type: String,
    /// Higher ones leave first. Say it in [`ReliableOptions`](crate::ReliableOptions), too: this is for the client.
    #[serde(default)]
    pub priority: i32,
    /// Whether it is delivered again. Say it in [`ReliableOptions`](crate::ReliableOptions), too.
    #[serde(default)]
    pub is_critical: bool,
    /// When it is of no use any more, in RFC 3339.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// The message itself.
    #[serde(flatten)]
    pub body: T,
}

impl<T> Envelope<T> {
    /// One with a new id, made now. It is not critical and has no priority, until that is set.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(message_type: impl Into<String>, body: T) -> Result<Self, SendError> {
        let id =
            random_id().map_err(|error| SendError::Refused(format!("There is no randomness: {error}.")))?;
        Ok(Self {
            message_id: id,
            timestamp: timestamp::iso(SystemTime::now()),
            correlation_id: None,
            retry_count: 0,
            message_type: message_type.into(),
            priority: 0,
            is_critical: false,
            expires_at: None,
            body,
        })
    }

    /// The options that say the same: priority, and whether it is critical.
    pub fn options(&self) -> ReliableOptions {
        ReliableOptions::default().priority(self.priority).critical(self.is_critical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_body_stands_beside_the_other_fields() {
        let mut envelope = Envelope::new("TaskProgress", json!({"taskId": 7})).unwrap();
        envelope.priority = 5;
        envelope.is_critical = true;
        assert_eq!(envelope.options(), ReliableOptions::default().priority(5));
        let value = serde_json::to_value(&envelope).unwrap();
        assert_eq!(
            (&value["taskId"], &value["priority"], &value["isCritical"]),
            (&json!(7), &json!(5), &json!(true))
        );
        assert_eq!(value["messageId"].as_str().unwrap().len(), 22);
        for name in ["timestamp", "correlationId", "retryCount", "messageType", "expiresAt"] {
            assert!(value.get(name).is_some(), "{name}");
        }
        assert_eq!(serde_json::from_value::<Envelope<Value>>(value).unwrap(), envelope);
        // Any subset that has an id and a time is one.
        let short = json!({"messageId": "m", "timestamp": "t", "x": 1});
        assert_eq!(serde_json::from_value::<Envelope<Value>>(short).unwrap().body, json!({"x": 1}));
    }
}
