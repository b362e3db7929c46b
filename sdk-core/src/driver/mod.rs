//! The drivers: what the [core](crate::client) needs of a platform. The native one has the public handle on top; that of
//! browsers has TypeScript on top.

// Only drivers may ask the machine for the time and start tasks.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[cfg(feature = "tokio")]
mod native;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub mod web;

#[cfg(feature = "tokio")]
pub use native::*;
