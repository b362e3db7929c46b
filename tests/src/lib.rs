//! What the tests over real sockets and the programs of the interop suites share. Nothing here is shipped.

pub mod delivery;
pub mod overhead;
pub mod proxy;
pub mod random;
pub mod recovery;
pub mod storm;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/connection.md")]
struct Readme;
pub mod sim;
