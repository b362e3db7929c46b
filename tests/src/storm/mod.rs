//! What the clients of a server do when it goes away: all of them at the same moment, and it takes a while to come back.
//!
//! The clients are the real state machine, [`hubwire::client::Client`], in virtual time. What is simulated is only the
//! world around it: while the server is down every attempt fails at once, later every attempt succeeds at once. Peers
//! take part with their schedules as custom policies of that client, since the schedule is all that matters here; how
//! their real clients would behave beyond it is not claimed.

mod policies;
mod population;
mod table;
mod tally;

use std::time::Duration;

pub use policies::{Contender, contenders};
pub use population::run;
pub use table::{Row, aligned, markdown};
pub use tally::Tally;

/// How long the server stays away in the published table.
pub const OUTAGES: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

/// The time over which a server that goes down in order asks its clients to come back.
pub const DRAIN_WINDOW: Duration = Duration::from_secs(30);
