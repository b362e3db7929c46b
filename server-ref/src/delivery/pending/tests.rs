//! The engine, driven by hand: time is an input, and the store answers when the test says so.

mod breaking;
mod ends;
mod orders;
mod stores;

use std::collections::VecDeque;
use std::time::Duration;

use super::*;

type Engine = Deliveries<u32>;

const SECOND: Duration = Duration::from_secs(1);

fn session(name: &str) -> RecipientId {
    RecipientId::session(Some("user"), name)
}

/// What a delivery was, as far as tests compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Delivered {
    link: u64,
    id: String,
    retry: u32,
    repeated: bool,
}

fn delivered(link: u64, id: &str, retry: u32, repeated: bool) -> Delivered {
    Delivered { link, id: id.into(), retry, repeated }
}

/// An engine and everything that came out of it.
struct Bench {
    engine: Engine,
    now: Time,
    next: u64,
    delivered: VecDeque<Delivered>,
    accepted: Vec<u64>,
    confirmed: Vec<(u64, Outcome)>,
    requeued: Vec<usize>,
    stores: VecDeque<(BatchId, Vec<StoreOp<u32>>)>,
    deadline: Option<Time>,
}

impl Bench {
    fn new(config: DeliveryConfig) -> Self {
        Self::of(Engine::new(config))
    }

    fn of(engine: Engine) -> Self {
        Self {
            engine,
            now: Time::from_millis(1_000_000),
            next: 0,
            delivered: VecDeque::new(),
            accepted: Vec::new(),
            confirmed: Vec::new(),
            requeued: Vec::new(),
            stores: VecDeque::new(),
            deadline: None,
        }
    }

    fn input(&mut self, input: Input<u32>) {
        self.engine.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.engine.poll() {
                Output::Deliver { link, message, retry_count, repeated, .. } => {
                    self.delivered.push_back(delivered(link.0, &message.id, retry_count, repeated));
                }
                Output::Accepted(entry) => self.accepted.push(entry.0),
                Output::Confirmed(entry, outcome) => self.confirmed.push((entry.0, outcome)),
                Output::Requeued { entries, .. } => self.requeued.push(entries),
                Output::Store(batch, ops) => self.stores.push_back((batch, ops)),
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    fn message(&self, id: &str) -> Message<u32> {
        Message {
            id: id.into(),
            target: "Show".into(),
            payload: 7,
            bytes: 10,
            priority: 0,
            critical: true,
            expires_at: None,
            timeout: None,
            queued_at: self.now,
            ephemeral: false,
        }
    }

    fn send_message(&mut self, to: &str, message: Message<u32>) -> u64 {
        self.next += 1;
        let entry = EntryId(self.next);
        self.input(Input::Send { entry, recipient: session(to), message });
        entry.0
    }

    fn send(&mut self, to: &str, id: &str) -> u64 {
        self.send_message(to, self.message(id))
    }

    fn attach(&mut self, who: &str, link: u64) {
        self.input(Input::Attached { recipient: session(who), link: LinkKey(link) });
    }

    fn detach(&mut self, who: &str, link: u64) {
        self.input(Input::Detached { recipient: session(who), link: LinkKey(link) });
    }

    fn ack(&mut self, who: &str, id: &str) {
        let (recipient, message_id) = (session(who), id.into());
        self.input(Input::Acknowledged { link: LinkKey(0), recipient, message_id });
    }

    fn nack(&mut self, who: &str, id: &str) {
        let (recipient, message_id) = (session(who), id.into());
        self.input(Input::Nacked { link: LinkKey(0), recipient, message_id, reason: "no".into() });
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.input(Input::Tick);
    }

    /// Goes to the deadline that the engine named.
    fn wait_for_deadline(&mut self) {
        self.now = self.deadline.expect("something is to happen").max(self.now);
        self.input(Input::Tick);
    }

    fn take(&mut self) -> Vec<Delivered> {
        self.delivered.drain(..).collect()
    }

    fn took(&mut self) -> Vec<String> {
        self.take().into_iter().map(|delivered| delivered.id).collect()
    }

    /// The outcome of the only message that ended since the last look.
    fn ended(&mut self) -> Outcome {
        assert_eq!(self.confirmed.len(), 1, "{:?}", self.confirmed);
        self.confirmed.remove(0).1
    }

    fn status(&self, who: &str, id: &str) -> Option<Status> {
        self.engine.status(&session(who), &id.into())
    }

    fn reasons(&self) -> Vec<(String, u32, String)> {
        let letters = self.engine.dead_letters();
        letters
            .map(|letter| (letter.message.id.to_string(), letter.attempts, letter.reason.clone()))
            .collect()
    }
}
