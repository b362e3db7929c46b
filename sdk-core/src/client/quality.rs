//! How good the connection is, by the time that a question takes to be answered.

use core::time::Duration;

use crate::Time;

/// How good a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// In one word.
    pub grade: Grade,
    /// The round-trip time, smoothed (RFC 6298, section 2). None until one was measured on this connection.
    pub rtt: Option<Duration>,
    /// How much it varies, smoothed likewise.
    pub jitter: Duration,
}

/// The quality of a connection in one word, by its round-trip time plus twice its jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grade {
    /// There is no connection, or a question was not answered for too long.
    #[default]
    Lost,
    /// 400 ms and more.
    Poor,
    /// Less than 400 ms.
    Fair,
    /// Less than 150 ms, or not measured yet.
    Good,
}

// In nanoseconds, as everything that is computed here.
const GOOD: u64 = 150_000_000;
const FAIR: u64 = 400_000_000;

/// At most a year: nobody waits longer, and no sum of those is too large.
fn nanos(time: Duration) -> u64 {
    const YEAR: u64 = 365 * 24 * 60 * 60;
    time.as_secs().min(YEAR) * 1_000_000_000 + u64::from(time.subsec_nanos())
}

/// Measures one connection after the other.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    quality: Quality,
    asked: Option<(Probe, Time)>,
    last_asked: Option<Time>,
}

/// A question that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// A ping of the transport, with that number.
    Ping(u64),
    /// A call of the hub's method for it.
    Call,
}

impl Monitor {
    pub(super) const fn quality(&self) -> Quality {
        self.quality
    }

    /// A connection begins.
    pub(super) fn connected(&mut self) {
        *self = Self { quality: Quality { grade: Grade::Good, ..Quality::default() }, ..Self::default() };
    }

    /// It is over.
    pub(super) fn lost(&mut self) {
        *self = Self { quality: Quality { grade: Grade::Lost, ..self.quality }, ..Self::default() };
    }

    /// Whether a question should be asked now.
    pub(super) fn is_due(&self, now: Time, interval: Duration) -> bool {
        self.last_asked.is_none_or(|last| now.since(last) >= interval)
    }

    /// A question is asked. The one before it may still be without answer, which is a bad sign.
    pub(super) fn ask(&mut self, probe: Probe, now: Time, patience: Duration) {
        if self.asked.is_some_and(|(_, at)| now.since(at) >= patience) {
            self.quality.grade = Grade::Lost;
        }
        self.last_asked = Some(now);
        // A call is asked once; the time runs from then on.
        if !(probe == Probe::Call && self.is_asked(probe)) {
            self.asked = Some((probe, now));
        }
    }

    pub(super) fn is_asked(&self, probe: Probe) -> bool {
        self.asked.is_some_and(|(asked, _)| asked == probe)
    }

    /// An answer came.
    pub(super) fn answered(&mut self, probe: Probe, now: Time) {
        let Some((_, at)) = self.asked.take_if(|(asked, _)| *asked == probe) else { return };
        let sample = nanos(now.since(at));
        let (rtt, jitter) = match self.quality.rtt.map(nanos) {
            None => (sample, sample / 2),
            Some(rtt) => {
                ((rtt * 7 + sample) / 8, (nanos(self.quality.jitter) * 3 + sample.abs_diff(rtt)) / 4)
            }
        };
        let grade = match rtt + jitter * 2 {
            felt if felt < GOOD => Grade::Good,
            felt if felt < FAIR => Grade::Fair,
            _ => Grade::Poor,
        };
        let (rtt, jitter) = (Some(Duration::from_nanos(rtt)), Duration::from_nanos(jitter));
        self.quality = Quality { grade, rtt, jitter };
    }
}
