use std::pin::Pin;

use tokio::time::{Instant, Sleep, sleep_until};

use super::clock::Clock;
use crate::Time;

/// One timer, moved only when it has to ring earlier: most deadlines are pushed back before they are reached.
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    set: Option<Time>,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now())), set: None }
    }

    pub(super) const fn is_set(&self) -> bool {
        self.set.is_some()
    }

    pub(super) fn set(&mut self, deadline: Option<Time>, clock: &mut Clock) {
        if let Some(deadline) = deadline
            && self.set.is_none_or(|set| deadline < set)
        {
            self.sleep.as_mut().reset(clock.instant(deadline));
            self.set = Some(deadline);
        }
    }

    pub(super) async fn ring(&mut self) {
        self.sleep.as_mut().await;
        self.set = None;
    }
}
