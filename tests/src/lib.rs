//! What the tests over real sockets and the programs of the interop suites share.

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
