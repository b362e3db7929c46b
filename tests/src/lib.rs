//! What tests over real sockets share. Nothing here is shipped.

pub mod proxy;
