//! The hubs that come with the server.

pub mod chat;
mod rate_limit;
mod timestamp;

pub use chat::{ChatConfig, ChatHub};
