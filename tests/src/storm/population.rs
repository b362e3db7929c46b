//! Many clients and one clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use hubwire::Time;
use hubwire::client::{Client, Command, Config, ConnectionState, Input, LinkId, Output, RequestFailure};
use hubwire::protocol::{Close, HandshakeResponse, HubMessage, Transport};

use super::policies::{Contender, Farewell};
use super::tally::Tally;
use crate::random::Random;

/// When the connections are lost. They were made at the origin and lasted long enough to count as good ones, but not
/// so long that a ping was due.
const DROP: Time = Time::from_millis(10_000);

/// One client and the place where its policy takes its jitter from.
struct Member {
    client: Client<u8>,
    random: Random,
    link: Option<LinkId>,
}

/// What became of a client.
enum Fate {
    /// It waits, until then at most.
    Waits(Time),
    /// There is nothing left to simulate.
    Done,
}

struct Population<'a> {
    contender: &'a Contender,
    outage: Duration,
    /// None once they are done, to free the memory.
    members: Vec<Option<Member>>,
    deadlines: BinaryHeap<Reverse<(Time, usize)>>,
    tally: Tally,
}

/// Lets that many clients lose their connections at one moment and come back to a server that is away for `outage`.
/// The same seed gives the same result.
pub fn run(contender: &Contender, clients: u64, outage: Duration, seed: u64) -> Tally {
    let mut population = Population {
        contender,
        outage,
        members: Vec::new(),
        deadlines: BinaryHeap::new(),
        tally: Tally::new(clients, outage),
    };
    population.connect(seed);
    population.drop_all();
    population.play();
    population.tally.finish()
}

impl Population<'_> {
    fn connect(&mut self, seed: u64) {
        let mut config = Config::new("http://localhost/hub");
        config.transports = vec![Transport::WebSockets];
        config.skip_negotiation = true;
        config.announce = false;
        config.retry = self.contender.retry.clone();
        for index in 0..self.tally.clients {
            let mut random = Random::new(seed, index);
            let client = Client::new(config.clone(), random.next());
            let mut member = Member { client, random, link: None };
            member.handle(Time::ZERO, Input::Command(Command::Start), self.contender, |_| true);
            assert_eq!(
                member.client.state(),
                ConnectionState::Connected,
                "a client that starts is connected"
            );
            self.members.push(Some(member));
        }
    }

    fn drop_all(&mut self) {
        for index in 0..self.members.len() {
            let Some(member) = &mut self.members[index] else { continue };
            let Some(link) = member.link else { continue };
            let slot = self.contender.farewell.slot(index as u64, &mut member.random);
            let input = match self.contender.farewell {
                Farewell::Crash => Input::Closed(link, Err(failure())),
                Farewell::DrawnSlots | Farewell::EvenSlots => {
                    let close = Close { allow_reconnect: true, retry_after: slot, ..Close::default() };
                    Input::Message(link, HubMessage::Close(close))
                }
            };
            self.step(index, DROP, input);
        }
    }

    /// From deadline to deadline, until nobody waits any more.
    fn play(&mut self) {
        while let Some(Reverse((now, index))) = self.deadlines.pop() {
            self.step(index, now, Input::Tick);
        }
    }

    fn step(&mut self, index: usize, now: Time, input: Input<u8>) {
        let Some(member) = &mut self.members[index] else { return };
        let (tally, outage) = (&mut self.tally, self.outage);
        let since_drop = now.since(DROP);
        let fate = member.handle(now, input, self.contender, |attempted| {
            let is_up = attempted.since(DROP) >= outage;
            tally.attempted(attempted.since(DROP), is_up);
            is_up
        });
        match (fate, member.client.state()) {
            (Fate::Waits(deadline), _) => return self.deadlines.push(Reverse((deadline, index))),
            (Fate::Done, ConnectionState::Connected) => tally.came_back(since_drop),
            (Fate::Done, _) => tally.gave_up += 1,
        }
        self.members[index] = None;
    }
}

impl Member {
    /// Gives the client the input and does what it says, until it waits. `server` is asked at every attempt whether it
    /// is up.
    fn handle(
        &mut self,
        now: Time,
        input: Input<u8>,
        contender: &Contender,
        mut server: impl FnMut(Time) -> bool,
    ) -> Fate {
        let mut answer = Some(input);
        let mut deadline = None;
        // One answer at most is open: a client that connects waits for one thing at a time.
        while let Some(input) = answer.take() {
            self.client.handle(now, input).expect("the simulation uses the client as it is meant");
            loop {
                match self.client.poll() {
                    Output::Wait(time) => {
                        deadline = time;
                        break;
                    }
                    Output::Open(link, _) => {
                        self.link = Some(link);
                        answer = Some(match server(now) {
                            true => Input::Opened(link),
                            false => Input::Closed(link, Err(failure())),
                        });
                    }
                    Output::Handshake(link, _) => {
                        answer = Some(Input::Handshake(link, Ok(HandshakeResponse::default())));
                    }
                    Output::Retry(request, context) => {
                        let delay = contender.schedule.map(|schedule| schedule(&context, &mut self.random));
                        answer = Some(Input::RetryAfter(request, delay));
                    }
                    _ => {}
                }
            }
        }
        match (self.client.state(), deadline) {
            (ConnectionState::Reconnecting, Some(deadline)) => Fate::Waits(deadline),
            _ => Fate::Done,
        }
    }
}

fn failure() -> RequestFailure {
    RequestFailure::Network("connection refused".into())
}
