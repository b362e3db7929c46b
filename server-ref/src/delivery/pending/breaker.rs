//! Stops deliveries while nobody seems to be able to take them.

use std::collections::HashSet;
use std::time::Duration;

use hubwire::Time;

use super::io::{EntryId, RecipientId};

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CircuitState {
    /// Everything.
    Closed = 0,
    /// Nothing, for a while.
    Open = 1,
    /// One message, to see.
    HalfOpen = 2,
    /// Nothing, until it is reset by hand.
    Isolated = 3,
}

/// Opens when several recipients in a row fail. One that fails over and over counts once: a single broken client must
/// not stop the deliveries to all others.
#[derive(Debug)]
pub(super) struct Breaker {
    threshold: usize,
    open_for: Duration,
    state: CircuitState,
    /// Those that failed since the last success; never more than the threshold.
    failed: HashSet<RecipientId>,
    /// What was let through while half open.
    trial: Option<EntryId>,
    /// Until when it is open.
    until: Time,
}

impl Breaker {
    pub(super) fn new(threshold: usize, open_for: Duration) -> Self {
        Self {
            threshold,
            open_for,
            state: CircuitState::Closed,
            failed: HashSet::new(),
            trial: None,
            until: Time::ZERO,
        }
    }

    pub(super) const fn state(&self) -> CircuitState {
        self.state
    }

    pub(super) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Whether a message may leave.
    pub(super) const fn permits(&self) -> bool {
        match self.state {
            CircuitState::Closed => true,
            CircuitState::HalfOpen => self.trial.is_none(),
            CircuitState::Open | CircuitState::Isolated => false,
        }
    }

    /// A message leaves that was permitted.
    pub(super) fn left(&mut self, entry: EntryId) {
        if self.state == CircuitState::HalfOpen {
            self.trial = Some(entry);
        }
    }

    pub(super) fn is_trial(&self, entry: EntryId) -> bool {
        self.trial == Some(entry)
    }

    /// The trial came to nothing, neither good nor bad: another one may leave.
    pub(super) const fn void(&mut self) {
        self.trial = None;
    }

    /// A message was handled. Returns whether the breaker closes.
    pub(super) fn success(&mut self) -> bool {
        match self.state {
            CircuitState::Closed => {
                self.failed.clear();
                false
            }
            CircuitState::HalfOpen => {
                self.reset();
                true
            }
            // It left before, and says nothing of now.
            CircuitState::Open | CircuitState::Isolated => false,
        }
    }

    /// A delivery failed. Returns until when the breaker is open, if it opens now.
    pub(super) fn failure(&mut self, now: Time, recipient: &RecipientId, entry: EntryId) -> Option<Time> {
        let opens = match self.state {
            CircuitState::Closed => {
                self.failed.insert(recipient.clone());
                self.threshold > 0 && self.failed.len() >= self.threshold
            }
            CircuitState::HalfOpen => self.is_trial(entry),
            CircuitState::Open | CircuitState::Isolated => false,
        };
        // Without a threshold nobody asks how many there were.
        if self.threshold == 0 {
            self.failed.clear();
        }
        if !opens {
            return None;
        }
        self.state = CircuitState::Open;
        self.trial = None;
        self.until = now + self.open_for;
        Some(self.until)
    }

    /// It was open long enough.
    pub(super) fn try_again(&mut self, now: Time) {
        // It may have been reset and have opened once more since somebody set the clock.
        if self.state == CircuitState::Open && self.until <= now {
            self.state = CircuitState::HalfOpen;
            self.trial = None;
        }
    }

    pub(super) fn isolate(&mut self) {
        self.state = CircuitState::Isolated;
        self.trial = None;
    }

    pub(super) fn reset(&mut self) {
        self.state = CircuitState::Closed;
        self.trial = None;
        self.failed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(30);

    fn breaker() -> Breaker {
        Breaker::new(2, OPEN_FOR)
    }

    fn recipient(number: u64) -> RecipientId {
        RecipientId::connection(&number.to_string(), None)
    }

    fn fail(breaker: &mut Breaker, number: u64) -> Option<Time> {
        breaker.failure(Time::ZERO, &recipient(number), EntryId(number))
    }

    /// A breaker in each state; the half open one has the trial 9.
    fn in_state(state: CircuitState) -> Breaker {
        let mut breaker = breaker();
        match state {
            CircuitState::Closed => {}
            CircuitState::Isolated => breaker.isolate(),
            CircuitState::Open | CircuitState::HalfOpen => {
                fail(&mut breaker, 1);
                fail(&mut breaker, 2);
                if state == CircuitState::HalfOpen {
                    breaker.try_again(Time::ZERO + OPEN_FOR);
                    breaker.left(EntryId(9));
                }
            }
        }
        assert_eq!(breaker.state(), state);
        breaker
    }

    #[test]
    fn the_table_of_transitions() {
        use CircuitState::{Closed, HalfOpen, Isolated, Open};
        type Step = fn(&mut Breaker);
        let success: Step = |breaker| _ = breaker.success();
        let trial_failed: Step = |breaker| _ = fail(breaker, 9);
        let other_failed: Step = |breaker| _ = fail(breaker, 8);
        let time: Step = |breaker| breaker.try_again(Time::ZERO + OPEN_FOR);
        let isolate: Step = Breaker::isolate;
        let reset: Step = Breaker::reset;
        for (state, step, after) in [
            (Closed, success, Closed),
            (Closed, other_failed, Closed),
            (Closed, time, Closed),
            (Closed, isolate, Isolated),
            (Closed, reset, Closed),
            (Open, success, Open),
            (Open, other_failed, Open),
            (Open, time, HalfOpen),
            (Open, isolate, Isolated),
            (Open, reset, Closed),
            (HalfOpen, success, Closed),
            (HalfOpen, trial_failed, Open),
            (HalfOpen, other_failed, HalfOpen),
            (HalfOpen, time, HalfOpen),
            (HalfOpen, isolate, Isolated),
            (HalfOpen, reset, Closed),
            (Isolated, success, Isolated),
            (Isolated, other_failed, Isolated),
            (Isolated, time, Isolated),
            (Isolated, isolate, Isolated),
            (Isolated, reset, Closed),
        ] {
            let mut breaker = in_state(state);
            step(&mut breaker);
            assert_eq!(breaker.state(), after, "from {state:?}");
        }
    }

    #[test]
    fn it_opens_for_different_recipients_in_a_row_only() {
        let mut breaker = breaker();
        for _ in 0..100 {
            assert_eq!(fail(&mut breaker, 1), None);
        }
        assert_eq!(breaker.failures(), 1);
        breaker.success();
        assert_eq!(fail(&mut breaker, 2), None, "the one before is forgotten");
        assert_eq!(fail(&mut breaker, 3), Some(Time::ZERO + OPEN_FOR));
        breaker.try_again(Time::ZERO);
        assert_eq!(breaker.state(), CircuitState::Open, "it is not time yet");
        assert!(!breaker.permits());
        let mut never = Breaker::new(0, OPEN_FOR);
        assert!((0..100).all(|number| fail(&mut never, number).is_none()));
    }

    #[test]
    fn half_open_is_one_at_a_time() {
        let mut breaker = in_state(CircuitState::HalfOpen);
        assert!(!breaker.permits());
        breaker.void();
        assert!(breaker.permits());
    }
}
