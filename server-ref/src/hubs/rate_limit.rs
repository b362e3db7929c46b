use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use hubwire::Time;

/// So many requests of a user in any span of a certain length.
#[derive(Debug)]
pub(super) struct RateLimiter {
    limit: usize,
    window: Duration,
    users: HashMap<Box<str>, VecDeque<Time>>,
    /// Requests until users without any in the window are forgotten.
    until_purge: usize,
}

impl RateLimiter {
    pub(super) fn new(limit: usize, window: Duration) -> Self {
        Self { limit, window, users: HashMap::new(), until_purge: 0 }
    }

    /// Whether the user may go on; counts the request if so.
    pub(super) fn allow(&mut self, now: Time, user: &str) -> bool {
        self.purge(now);
        let window = self.window;
        let requests = match self.users.get_mut(user) {
            Some(requests) => requests,
            None => self.users.entry(user.into()).or_default(),
        };
        while requests.pop_front_if(|at| *at + window <= now).is_some() {}
        if requests.len() >= self.limit {
            return false;
        }
        requests.push_back(now);
        true
    }

    /// Once per as many requests as there are users, so that it costs little and the table stays in proportion.
    fn purge(&mut self, now: Time) {
        if self.until_purge == 0 {
            let window = self.window;
            self.users.retain(|_, requests| requests.back().is_some_and(|at| *at + window > now));
            self.until_purge = self.users.len().max(16);
        }
        self.until_purge -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides_and_users_do_not_share_it() {
        let mut limiter = RateLimiter::new(2, Duration::from_secs(60));
        let at = |seconds: u64| Time::from_millis(seconds * 1000);
        assert!(limiter.allow(at(0), "alice"));
        assert!(limiter.allow(at(30), "alice"));
        assert!(!limiter.allow(at(59), "alice"));
        assert!(limiter.allow(at(59), "bob"));
        // The first one has left the window, the second has not; what was refused did not count.
        assert!(limiter.allow(at(60), "alice"));
        assert!(!limiter.allow(at(89), "alice"));
        assert!(limiter.allow(at(90), "alice"));
    }

    #[test]
    fn idle_users_are_forgotten() {
        let mut limiter = RateLimiter::new(2, Duration::from_secs(60));
        for user in 0..1000 {
            assert!(limiter.allow(Time::ZERO, &user.to_string()));
        }
        for request in 0..1000 {
            limiter.allow(Time::from_millis(61_000 + request), "alice");
        }
        assert_eq!(limiter.users.len(), 1);
    }
}
