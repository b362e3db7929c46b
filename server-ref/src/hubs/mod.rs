//! The hubs that come with the server.

pub mod chat;
mod rate_limit;

pub use chat::{ChatConfig, ChatHub};
