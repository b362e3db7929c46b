//! A client with a store that dies at any moment and is started again, against a server that loses connections: what
//! was accepted arrives, what was confirmed does not come again, and the order is kept. No sockets, virtual time.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use hubwire::Time;
use hubwire::client::{
    BatchId, CallId, CallKind, CallOptions, CallRequest, Client, Command, Config, ConnectionState, Event,
    Input, LinkId, Output, RequestFailure, Sequence, StoreOp, StoredCall,
};
use hubwire::protocol::{Completion, HandshakeResponse, HubMessage, Invocation, Outcome, Transport};

type Number = u32;

/// Xorshift (Marsaglia 2003): any sequence that a seed decides will do.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}

/// Survives everything.
#[derive(Default)]
struct Disk {
    calls: BTreeMap<Sequence, StoredCall<Number>>,
    next: u64,
}

impl Disk {
    fn apply(&mut self, ops: Vec<StoreOp<Number>>) {
        for op in ops {
            match op {
                StoreOp::Put(sequence, call) => {
                    self.next = self.next.max(sequence.0 + 1);
                    self.calls.insert(sequence, call);
                }
                StoreOp::Delete(sequence) => drop(self.calls.remove(&sequence)),
            }
        }
    }
}

/// What the application was told, and what the server saw.
#[derive(Default)]
struct History {
    accepted: BTreeSet<Number>,
    confirmed: BTreeSet<Number>,
    /// Every arrival, in order.
    arrivals: Vec<Number>,
}

/// Which rule is broken on purpose, to see that the oracles notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutation {
    None,
    /// The store says that it has written and has not.
    ForgetfulStore,
    /// The application is told of the end before the store has forgotten the call.
    ToldEarly,
    /// The last put of a batch is lost.
    TornBatch,
}

/// One life of the client process.
struct Process {
    client: Client<Number>,
    link: Option<LinkId>,
    /// On their way, in order.
    to_server: VecDeque<(LinkId, HubMessage<Number>)>,
    to_client: VecDeque<HubMessage<Number>>,
    writing: Option<(BatchId, Vec<StoreOp<Number>>)>,
    /// The argument of each call that has not ended.
    open: BTreeMap<CallId, Number>,
    wait: Option<Time>,
}

impl Process {
    fn new(seed: u64) -> Self {
        Self {
            client: Client::new(config(), seed),
            link: None,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            writing: None,
            open: BTreeMap::new(),
            wait: None,
        }
    }
}

struct World {
    random: Random,
    now: Time,
    disk: Disk,
    history: History,
    process: Process,
    next_number: Number,
    next_call: u64,
    mutation: Mutation,
}

fn config() -> Config {
    let mut config = Config::new("http://h/hub");
    config.transports = vec![Transport::WebSockets];
    config.skip_negotiation = true;
    config.has_store = true;
    config.outbox.window = 8;
    config
}

impl World {
    fn new(seed: u64, mutation: Mutation) -> Self {
        let random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut world = Self {
            random,
            now: Time::from_millis(1),
            disk: Disk::default(),
            history: History::default(),
            process: Process::new(seed),
            next_number: 0,
            next_call: 0,
            mutation,
        };
        world.boot(seed);
        world
    }

    /// Starts a process on what the disk has.
    fn boot(&mut self, seed: u64) {
        self.process = Process::new(seed);
        let mut calls = Vec::new();
        for (sequence, stored) in self.disk.calls.clone() {
            let call = CallId(self.next_call);
            self.next_call += 1;
            self.process.open.insert(call, stored.arguments);
            calls.push((call, sequence, stored));
        }
        self.give(Input::Restored { next: Sequence(self.disk.next), client_id: String::new(), calls });
        self.give(Input::Command(Command::Start));
    }

    fn give(&mut self, input: Input<Number>) {
        self.process.client.handle(self.now, input).unwrap();
        loop {
            match self.process.client.poll() {
                Output::Wait(deadline) => {
                    self.process.wait = deadline;
                    return;
                }
                Output::Open(link, _) => self.process.link = Some(link),
                Output::Transmit(link, message) => self.process.to_server.push_back((link, message)),
                Output::Store(batch, ops) => self.process.writing = Some((batch, ops)),
                Output::Event(Event::Queued(call)) => {
                    self.history.accepted.extend(self.process.open.get(&call));
                }
                Output::Event(Event::Completed { call, result }) => {
                    let number = self.process.open.remove(&call).expect("ends once");
                    result.unwrap();
                    self.history.confirmed.insert(number);
                }
                Output::Shut(_) | Output::Abandon(_) => {
                    self.process.to_server.clear();
                    self.process.to_client.clear();
                }
                _ => {}
            }
        }
    }

    fn step(&mut self) {
        self.now = self.now + Duration::from_millis(self.random.below(20));
        match self.random.below(100) {
            0..25 => {
                let number = self.next_number;
                self.next_number += 1;
                let call = CallId(self.next_call);
                self.next_call += 1;
                self.process.open.insert(call, number);
                let options = CallOptions { durable: true, ..CallOptions::default() };
                let request =
                    CallRequest { options, ..CallRequest::new(call, CallKind::Invoke, "Record", number) };
                self.give(Input::Command(Command::Call(request)));
            }
            25..50 => self.write(),
            50..65 => self.serve(),
            65..80 => {
                if let (Some(link), Some(message)) = (self.process.link, self.process.to_client.pop_front()) {
                    self.give(Input::Message(link, message));
                }
            }
            80..90 => self.advance_connection(),
            90..93 => self.cut(),
            93..95 => self.die(),
            _ => self.pass(),
        }
    }

    /// The store finishes what it is busy with.
    fn write(&mut self) {
        let Some((batch, mut ops)) = self.process.writing.take() else { return };
        match self.mutation {
            Mutation::ForgetfulStore => ops.retain(|op| matches!(op, StoreOp::Delete(_))),
            Mutation::TornBatch if ops.len() > 1 => drop(ops.pop()),
            _ => {}
        }
        self.disk.apply(ops);
        self.give(Input::Stored(batch, Ok(())));
    }

    /// The server reads one message.
    fn serve(&mut self) {
        let Some((link, message)) = self.process.to_server.pop_front() else { return };
        if Some(link) != self.process.link {
            return;
        }
        if let HubMessage::Invocation(Invocation { invocation_id: Some(id), call }) = message {
            self.history.arrivals.push(call.arguments);
            let completion = Completion::new(id, Outcome::Void);
            self.process.to_client.push_back(HubMessage::Completion(completion));
            if self.mutation == Mutation::ToldEarly {
                self.history.confirmed.insert(call.arguments);
            }
        }
    }

    fn advance_connection(&mut self) {
        let Some(link) = self.process.link else { return };
        if self.process.client.state() != ConnectionState::Connected {
            self.give(Input::Opened(link));
            self.give(Input::Handshake(link, Ok(HandshakeResponse::default())));
        }
    }

    fn cut(&mut self) {
        self.process.to_server.clear();
        self.process.to_client.clear();
        if let Some(link) = self.process.link {
            self.give(Input::Closed(link, Err(RequestFailure::Network("cut".into()))));
        }
    }

    /// kill -9: what the store was busy with is there, or it is not.
    fn die(&mut self) {
        if let Some((_, ops)) = self.process.writing.take()
            && self.random.below(2) == 0
        {
            self.disk.apply(ops);
        }
        let seed = self.random.below(1 << 40);
        self.check();
        self.boot(seed);
    }

    fn pass(&mut self) {
        if let Some(deadline) = self.process.wait {
            self.now = self.now.max(deadline);
            self.give(Input::Tick);
        }
    }

    /// Everything works until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.process.client.metrics().outbox.depth == 0 && self.process.writing.is_none() {
                return;
            }
            self.write();
            self.advance_connection();
            self.serve();
            if let (Some(link), Some(message)) = (self.process.link, self.process.to_client.pop_front()) {
                self.give(Input::Message(link, message));
            }
            if self.process.client.state() != ConnectionState::Connected {
                self.pass();
            }
        }
        panic!("never done");
    }

    /// What was confirmed is nowhere any more.
    fn check(&self) {
        for call in self.disk.calls.values() {
            assert!(!self.history.confirmed.contains(&call.arguments), "repeated: {}", call.arguments);
        }
    }

    fn finish(mut self) -> (usize, usize, usize) {
        self.settle();
        let arrived: BTreeSet<_> = self.history.arrivals.iter().copied().collect();
        let lost: Vec<_> = self.history.accepted.difference(&arrived).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        assert!(self.disk.calls.is_empty(), "left behind: {:?}", self.disk.calls.keys());
        // First arrivals are in the order of the calls: they have one priority.
        let mut seen = BTreeSet::new();
        let firsts: Vec<_> =
            self.history.arrivals.iter().copied().filter(|number| seen.insert(*number)).collect();
        assert!(firsts.is_sorted(), "out of order: {firsts:?}");
        (self.history.accepted.len(), self.history.confirmed.len(), self.history.arrivals.len())
    }
}

fn run(seed: u64, steps: usize, mutation: Mutation) -> (usize, usize, usize) {
    let mut world = World::new(seed, mutation);
    for _ in 0..steps {
        world.step();
    }
    world.finish()
}

#[test]
fn nothing_accepted_is_lost_and_nothing_confirmed_comes_again() {
    let mut total = (0, 0, 0);
    for seed in 0..400 {
        let (accepted, confirmed, arrived) = run(seed, 1000, Mutation::None);
        total = (total.0 + accepted, total.1 + confirmed, total.2 + arrived);
    }
    assert!(total.0 > 50_000, "little was tried: {total:?}");
    assert!(total.2 > total.0, "nothing was ever repeated, so nothing was ever at stake: {total:?}");
}

/// Each broken rule is noticed within a few seeds, or the test above would prove nothing.
#[test]
fn broken_rules_are_noticed() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let noticed =
        |mutation| (0..5).any(|seed| std::panic::catch_unwind(|| run(seed, 1000, mutation)).is_err());
    let results =
        [Mutation::ForgetfulStore, Mutation::ToldEarly, Mutation::TornBatch].map(|m| (m, noticed(m)));
    std::panic::set_hook(hook);
    for (mutation, noticed) in results {
        assert!(noticed, "{mutation:?}");
    }
}
