//! What was promised, what arrived, and whether the two agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the server has seen, in order.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// The number of each connection, by its id.
    connections: HashMap<String, usize>,
    /// Connection and call.
    calls: Vec<(usize, u64)>,
}

impl Arrivals {
    pub(crate) fn connected(&mut self, id: &str) {
        let number = self.connections.len();
        self.connections.insert(id.to_owned(), number);
    }

    pub(crate) fn called(&mut self, id: &str, call: u64) {
        let connection = self.connections.get(id).copied().expect("a call comes after its connection");
        self.calls.push((connection, call));
    }

    /// Connections from now on have at least this number.
    pub(crate) fn next_connection(&self) -> usize {
        self.connections.len()
    }

    /// How many calls have arrived, repetitions included.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// The calls that have arrived since there were so many.
    pub(crate) fn since(&self, len: usize) -> impl Iterator<Item = u64> {
        self.calls[len..].iter().map(|(_, call)| *call)
    }

    pub(crate) fn has(&self, call: u64) -> bool {
        self.calls.iter().rev().any(|(_, arrived)| *arrived == call)
    }
}

/// What the clients have said.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    pub(crate) made: BTreeSet<u64>,
    pub(crate) accepted: BTreeSet<u64>,
    /// With the first connection that was opened after the test had read it.
    pub(crate) confirmed: BTreeMap<u64, usize>,
    pub(crate) failures: Vec<String>,
}

/// What became of the promises.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Calls that have arrived at least once.
    pub(crate) arrived: usize,
    /// Calls that have arrived more than once, each arrival but the first: allowed until they are confirmed.
    pub(crate) repeated: usize,
    /// Accepted, and never arrived.
    pub(crate) lost: Vec<u64>,
    /// Arrived on a connection that was opened when they were known to be confirmed.
    pub(crate) after_confirmation: Vec<u64>,
    /// Arrived behind a call that was made later, or twice on one connection.
    pub(crate) out_of_order: Vec<u64>,
    /// Nobody has made them.
    pub(crate) invented: Vec<u64>,
}

pub(crate) fn judge(promises: &Promises, arrivals: &Arrivals) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen = BTreeSet::new();
    let mut last: HashMap<usize, u64> = HashMap::new();
    for &(connection, call) in &arrivals.calls {
        if !seen.insert(call) {
            verdict.repeated += 1;
        }
        if promises.confirmed.get(&call).is_some_and(|&later| connection >= later) {
            verdict.after_confirmation.push(call);
        }
        // Later processes make higher numbers, and what is sent again goes before what is new.
        if last.insert(connection, call).is_some_and(|last| last >= call) {
            verdict.out_of_order.push(call);
        }
        if !promises.made.contains(&call) {
            verdict.invented.push(call);
        }
    }
    verdict.arrived = seen.len();
    verdict.lost = promises.accepted.difference(&seen).copied().collect();
    verdict
}

#[test]
fn the_verdict_finds_each_kind_of_wrong() {
    let mut arrivals = Arrivals::default();
    let promises = Promises {
        made: (1..=6).collect(),
        accepted: (1..=5).collect(),
        confirmed: BTreeMap::from([(1, 1), (2, 1)]),
        failures: Vec::new(),
    };
    arrivals.connected("a");
    for call in [1, 2, 4, 3] {
        arrivals.called("a", call);
    }
    arrivals.connected("b");
    // 1 was confirmed before this connection; 4 was not, and may come again.
    for call in [1, 4, 9] {
        arrivals.called("b", call);
    }
    let verdict = judge(&promises, &arrivals);
    assert_eq!((verdict.arrived, verdict.repeated), (5, 2));
    assert_eq!(verdict.lost, [5]);
    assert_eq!(verdict.after_confirmation, [1]);
    assert_eq!(verdict.out_of_order, [3]);
    assert_eq!(verdict.invented, [9]);
}
