//! The hubs that come with the server.

pub mod chat;
mod rate_limit;
pub mod tasks;

pub use chat::{ChatConfig, ChatHub};
pub use tasks::{TaskHubs, TaskService, TasksConfig};
