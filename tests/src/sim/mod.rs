//! Simulation of clients and a server that lose connections, processes and time, without sockets: the core of the client
//! against the sessions and the delivery engines of the server, in one thread, with everything decided by a seed.
//!
//! What really happened is written down beside it, and compared with what the peers believe:
//!
//! - every call and every message ends exactly once, also over the death of a process;
//! - a call runs at most once where the server remembers, and has run if it succeeded;
//! - streams come in order, and what is missing is told before the next message;
//! - objects that are put together of changes are those of the server;
//! - when nothing goes wrong any more everybody is connected, has what the server has, and is not woken without reason.

mod client;
mod load;
mod mutation;
mod script;
mod server;
mod truth;
mod world;

pub use mutation::Mutation;
pub use truth::Violation;
pub use world::{Summary, Weather, World};

/// As [`run`], and says on standard error what happens.
pub fn trace(seed: u64, steps: u64, weather: Weather, mutation: Mutation) -> Summary {
    World::new(seed, weather, mutation).traced().run(steps)
}

/// One run.
pub fn run(seed: u64, steps: u64, weather: Weather, mutation: Mutation) -> Summary {
    World::new(seed, weather, mutation).run(steps)
}
