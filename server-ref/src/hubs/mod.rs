//! The hubs that come with the server.

/// Settings of the chat hub.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChatConfig {}

impl ChatConfig {
    pub(crate) fn validate(&self) -> Result<(), crate::config::ConfigError> {
        Ok(())
    }
}
