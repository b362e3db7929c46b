//! The native module of the npm package `@hubwire/node`: connections of the [`hubwire`] core for the TypeScript in `js/`.
//!
//! The border is narrow. JavaScript makes one `Courier` per thread, and connections with it. Commands are
//! methods of a `Connection` and return at once. What happens on all connections of a thread is
//! collected while JavaScript is busy, and fetched as one text, or one buffer for MessagePack, per turn of its event
//! loop: what is in it is written in `news`, and JavaScript reads it with one `JSON.parse` or one decoding.
//!
//! While more waits than `mailbox::LIMIT` the connections do not read from their sockets, so a server feels how slow
//! JavaScript is.

mod chunk;
mod connection;
mod courier;
mod mailbox;
mod network;
mod news;
mod runtime;
mod settings;
