//! The world: clients, a server, the network between them, and whatever can go wrong.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hubwire::Time;
use hubwire::client::{ConnectionState, Hint, Input, LinkId};
use hubwire::protocol::{HandshakeRequest, HandshakeResponse, HubMessage};
use hubwire_server::delivery::pending;
use hubwire_server::session;

use super::client::SimClient;
use super::load::Load;
use super::mutation::Mutation;
use super::server::{Disk, OBJECTS, STREAMS, Server};
use super::truth::{Truth, Violation};
use crate::random::Random;

const CLIENTS: usize = 3;

/// Something on its way to the server.
#[derive(Debug)]
pub(super) enum Up {
    Handshake(HandshakeRequest),
    Message(HubMessage<Load>),
}

/// Something on its way to a client.
#[derive(Debug)]
pub(super) enum Down {
    Handshake(HandshakeResponse),
    Message(HubMessage<Load>),
}

/// One connection of the network, with what is under way on it.
#[derive(Debug)]
pub(super) struct Wire {
    client: usize,
    link: LinkId,
    pub(super) up: VecDeque<Up>,
    pub(super) down: VecDeque<Down>,
    /// Nothing arrives any more, and nobody is told.
    pub(super) dead: bool,
    pub(super) client_gone: bool,
    pub(super) server_gone: bool,
}

impl Wire {
    pub(super) const fn new(client: usize, link: LinkId) -> Self {
        Self {
            client,
            link,
            up: VecDeque::new(),
            down: VecDeque::new(),
            dead: false,
            client_gone: false,
            server_gone: false,
        }
    }
}

/// How often things go wrong, in a thousand steps.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// A connection is cut; both ends are told.
    pub cuts: u64,
    /// A connection goes dead, and nobody is told.
    pub half_open: u64,
    /// A client is killed and started again.
    pub client_deaths: u64,
    /// The server is killed and started again.
    pub server_deaths: u64,
    /// A client sleeps, its clock jumps, its timers are throttled.
    pub sleeps: u64,
    /// Time passes until something is due.
    pub leaps: u64,
    /// How many messages of a stream the server keeps.
    pub history_messages: usize,
}

impl Weather {
    /// Nothing goes wrong.
    pub const fn calm() -> Self {
        Self {
            cuts: 0,
            half_open: 0,
            client_deaths: 0,
            server_deaths: 0,
            sleeps: 0,
            leaps: 0,
            history_messages: 60,
        }
    }
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            cuts: 6,
            half_open: 2,
            client_deaths: 1,
            server_deaths: 1,
            sleeps: 2,
            leaps: 10,
            history_messages: 60,
        }
    }
}

/// What came out of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Messages that were handled by the clients and by the server.
    pub messages: u64,
    /// Times that somebody was told that messages are missing.
    pub gaps: u64,
    /// Calls and messages that were repeated to a peer that had forgotten.
    pub repetitions: u64,
    /// What is wrong.
    pub violations: Vec<Violation>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).finish_non_exhaustive()
    }
}

/// A simulated world. See the [module documentation](super).
pub struct World {
    pub(super) random: Random,
    pub(super) now: Time,
    pub(super) net: BTreeMap<u64, Wire>,
    pub(super) server: Option<Server>,
    pub(super) server_lives: u32,
    pub(super) disk: Disk,
    pub(super) clients: Vec<SimClient>,
    pub(super) truth: Truth,
    pub(super) mutation: Mutation,
    pub(super) faults: bool,
    pub(super) last_wire: u64,
    last_number: u64,
    pub(super) weather: Weather,
    messages: u64,
    server_down_until: Time,
    trace: bool,
}

impl World {
    /// A world in which that seed decides everything.
    pub fn new(seed: u64, weather: Weather, mutation: Mutation) -> Self {
        let mut world = Self {
            random: Random::new(seed, 5),
            now: Time::from_millis(1_000),
            net: BTreeMap::new(),
            server: None,
            server_lives: 0,
            disk: Disk::default(),
            clients: Vec::new(),
            truth: Truth::default(),
            mutation,
            faults: true,
            last_wire: 0,
            last_number: 0,
            weather,
            messages: 0,
            server_down_until: Time::ZERO,
            trace: false,
        };
        world.boot_server();
        for _ in 0..CLIENTS {
            world.add_client();
        }
        world
    }

    /// Says what happens, on standard error.
    pub fn traced(mut self) -> Self {
        self.trace = true;
        self
    }

    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>9} {}", self.now.as_millis(), what());
        }
    }

    /// Lets that many things happen, then everything heal, and says what was wrong.
    pub fn run(mut self, steps: u64) -> Summary {
        for _ in 0..steps {
            self.step();
            if !self.truth.violations.is_empty() {
                break;
            }
        }
        if self.truth.violations.is_empty() {
            self.heal();
        }
        self.summary()
    }

    pub(super) fn summary(self) -> Summary {
        Summary {
            messages: self.messages,
            gaps: self.truth.gaps,
            repetitions: self.truth.repetitions,
            violations: self.truth.violations,
        }
    }

    pub(super) fn take_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The stream a number was published to.
    pub(super) fn stream_of(&self, number: u64) -> u64 {
        let mut streams = self.truth.published.iter();
        streams.find(|(_, numbers)| numbers.contains(&number)).map_or(u64::MAX, |(stream, _)| *stream)
    }

    fn any_client(&mut self) -> usize {
        self.random.below(self.clients.len() as u64) as usize
    }

    fn any_wire(&mut self) -> Option<u64> {
        let place = self.random.below(self.net.len() as u64) as usize;
        self.net.keys().nth(place).copied()
    }

    /// One thing happens.
    pub(super) fn step(&mut self) {
        self.now = self.now + Duration::from_millis(self.random.below(4));
        self.wake();
        if self.server.is_none() && self.now >= self.server_down_until {
            self.boot_server();
        }
        let weather = self.weather;
        let mut dice = self.random.below(1000);
        let mut happens = |chance: u64| {
            let happens = dice < chance;
            dice = dice.wrapping_sub(chance);
            happens
        };
        if happens(weather.cuts) {
            if let Some(link) = self.any_wire() {
                self.cut(link);
            }
        } else if happens(weather.half_open) {
            if let Some(link) = self.any_wire()
                && let Some(wire) = self.net.get_mut(&link)
            {
                wire.dead = true;
                wire.up.clear();
                wire.down.clear();
            }
        } else if happens(weather.client_deaths) {
            let client = self.any_client();
            self.kill_client(client);
        } else if happens(weather.server_deaths) {
            self.kill_server();
            self.server_down_until = self.now + Duration::from_millis(self.random.below(5_000));
        } else if happens(weather.sleeps) {
            self.disturb();
        } else if happens(weather.leaps) {
            self.leap();
        } else {
            self.work();
        }
    }

    /// Nothing goes wrong.
    fn work(&mut self) {
        match self.random.below(100) {
            0..8 => {
                let client = self.any_client();
                self.make_call(client);
            }
            8..16 => {
                let client = self.any_client();
                for _ in 0..=self.random.below(3) {
                    self.send_reliable(client);
                }
            }
            16..22 => {
                let stream = self.random.below(STREAMS);
                for _ in 0..=self.random.below(3) {
                    self.publish(stream);
                }
            }
            22..26 => {
                let key = self.random.below(OBJECTS);
                self.change(key);
            }
            26..34 => self.server_writes(),
            34..42 => {
                let client = self.any_client();
                self.client_writes(client);
            }
            42..50 => {
                let client = self.any_client();
                self.finish_handler(client);
            }
            50..56 => self.finish_method(),
            56..78 => {
                if let Some(link) = self.any_wire() {
                    self.carry_up(link, 8);
                }
            }
            _ => {
                if let Some(link) = self.any_wire() {
                    self.carry_down(link, 8);
                }
            }
        }
    }

    /// Everything that is due.
    fn wake(&mut self) {
        for client in 0..self.clients.len() {
            if self.client_deadline(client).is_some_and(|at| at <= self.now) {
                self.clients[client].ticks += 1;
                self.give(client, Input::Tick);
            }
        }
        let Some(server) = &self.server else { return };
        let now = self.now;
        let due = |wait: Option<Time>| wait.is_some_and(|at| at <= now);
        let (deliveries, streams) = (due(server.deliveries_wait), due(server.streams_wait));
        let late: Vec<u64> =
            server.ends.iter().filter(|(_, end)| due(end.wait)).map(|(link, _)| *link).collect();
        if deliveries {
            self.deliveries(pending::Input::Tick);
        }
        if streams {
            self.tick_streams();
        }
        for link in late {
            self.session(link, session::Input::Tick);
        }
    }

    /// The next deadline of anybody.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let clients = (0..self.clients.len()).filter_map(|client| self.client_deadline(client));
        let server = self.server.iter().flat_map(|server| {
            let ends = server.ends.values().filter_map(|end| end.wait);
            ends.chain(server.deliveries_wait)
        });
        clients.chain(server).min()
    }

    fn leap(&mut self) {
        if let Some(at) = self.next_deadline() {
            self.now = self.now.max(at);
        }
    }

    /// A client's machine or page does not get its time.
    fn disturb(&mut self) {
        let client = self.any_client();
        match self.random.below(5) {
            0 => {
                let millis = self.random.below(180_000);
                self.clients[client].frozen_until = self.now + Duration::from_millis(millis);
            }
            1 => {
                let millis = self.random.below(3_600_000);
                self.clients[client].ahead += Duration::from_millis(millis);
            }
            2 => self.clients[client].throttled = true,
            3 => self.clients[client].throttled = false,
            _ => {
                let hint = [Hint::Online, Hint::Offline, Hint::Resumed, Hint::Foreground, Hint::Background];
                let hint = hint[self.random.below(5) as usize];
                self.hint(client, hint);
            }
        }
    }

    fn is_frozen(&self, client: usize) -> bool {
        self.clients[client].frozen_until > self.now
    }

    fn carry_up(&mut self, link: u64, limit: usize) {
        for _ in 0..limit {
            if !self.wants_input(link) {
                return;
            }
            let Some(wire) = self.net.get_mut(&link) else { return };
            if wire.dead {
                return self.sweep(link);
            }
            match wire.up.pop_front() {
                Some(up) if !wire.server_gone => {
                    self.messages += 1;
                    self.note(|| format!("to the server on {link}: {up:?}"));
                    self.serve(link, up);
                }
                Some(_) => {}
                None => {
                    if wire.client_gone && !wire.server_gone {
                        self.session(link, session::Input::LinkLost(Some("reset".into())));
                    }
                    return self.sweep(link);
                }
            }
        }
    }

    fn carry_down(&mut self, link: u64, limit: usize) {
        for _ in 0..limit {
            let Some(wire) = self.net.get_mut(&link) else { return };
            let (client, id) = (wire.client, wire.link);
            if wire.dead {
                return self.sweep(link);
            }
            if self.clients[client].frozen_until > self.now {
                return;
            }
            match wire.down.pop_front() {
                Some(_) if wire.client_gone => {}
                Some(Down::Message(message)) => {
                    self.messages += 1;
                    self.note(|| format!("to client {client} on {link}: {message:?}"));
                    self.hear(client, id, message);
                }
                Some(Down::Handshake(response)) => self.hear_handshake(client, id, response),
                None => {
                    if wire.server_gone && !wire.client_gone {
                        wire.client_gone = true;
                        self.closed(client, id);
                    }
                    return self.sweep(link);
                }
            }
        }
    }

    /// Forgets a connection that is over on both sides.
    fn sweep(&mut self, link: u64) {
        if self
            .net
            .get(&link)
            .is_some_and(|wire| wire.client_gone && (wire.server_gone || self.server.is_none()))
        {
            self.net.remove(&link);
        } else if let Some(wire) = self.net.get(&link)
            && wire.dead
            && wire.client_gone
            && !self.server.as_ref().is_some_and(|server| server.ends.contains_key(&link))
        {
            self.net.remove(&link);
        }
    }

    /// Both ends are told, sooner or later; what was on its way to the server may still get there.
    pub(super) fn cut(&mut self, link: u64) {
        self.note(|| format!("cut of connection {link}"));
        let Some(wire) = self.net.get_mut(&link) else { return };
        let (client, id) = (wire.client, wire.link);
        let kept = self.random.below(wire.up.len() as u64 + 1) as usize;
        wire.up.truncate(kept);
        wire.down.clear();
        wire.client_gone = true;
        if !self.is_frozen(client) {
            self.closed(client, id);
        } else if let Some(wire) = self.net.get_mut(&link) {
            wire.client_gone = false;
            wire.dead = true;
        }
    }

    fn is_quiet(&self) -> bool {
        self.clients.iter().all(SimClient::is_idle)
            && self.server_is_idle()
            && self.net.values().all(|wire| wire.up.is_empty() && wire.down.is_empty())
    }

    /// Everybody does what there is to do.
    pub(super) fn round(&mut self) {
        self.wake();
        self.server_writes();
        self.finish_method();
        for client in 0..self.clients.len() {
            if !self.is_frozen(client) {
                self.client_writes(client);
                self.finish_handler(client);
            }
        }
        for link in self.net.keys().copied().collect::<Vec<_>>() {
            self.carry_up(link, 100);
            self.carry_down(link, 100);
        }
    }

    /// Everything works, until nothing is left to do. Returns whether that came.
    pub(super) fn settle(&mut self) -> bool {
        const LONG: Duration = Duration::from_secs(2 * 3600);
        let deadline = self.now + LONG;
        while self.now < deadline {
            let before = self.messages;
            self.round();
            if self.is_quiet() {
                return true;
            }
            if before == self.messages {
                // Handlers and methods end one at a time, without a message.
                let busy = !self.clients.iter().all(SimClient::is_idle) || !self.server_is_idle();
                match self.next_deadline() {
                    Some(at) if busy && at <= self.now + Duration::from_millis(100) => {
                        self.now = self.now.max(at)
                    }
                    _ => self.now = self.now + Duration::from_millis(100),
                }
            }
        }
        false
    }

    /// The end of all faults: what was promised must be kept now.
    pub(super) fn heal(&mut self) {
        self.faults = false;
        if self.server.is_none() {
            self.boot_server();
        }
        for client in 0..self.clients.len() {
            self.clients[client].throttled = false;
            self.clients[client].frozen_until = Time::ZERO;
            self.hint(client, Hint::Online);
            self.hint(client, Hint::Foreground);
        }
        if !self.settle() {
            let states: Vec<_> = self.clients.iter().map(SimClient::state).collect();
            let server = self.server_state();
            return self
                .truth
                .wrong(Violation::Broken(format!("never done: {states:?}, {server}, {:?}", self.net)));
        }
        for stream in 0..STREAMS {
            self.publish(stream);
        }
        for key in 0..OBJECTS {
            self.change(key);
        }
        for client in 0..self.clients.len() {
            self.send_reliable(client);
            self.make_call(client);
        }
        if !self.settle() {
            return self.truth.wrong(Violation::Broken("never done, with nothing going wrong".into()));
        }
        self.compare();
        self.truth.finish(self.server_lives);
        self.idle();
    }

    /// Everybody has what the server has.
    fn compare(&mut self) {
        for client in 0..self.clients.len() {
            for stream in 0..STREAMS {
                let last = self.truth.published.get(&stream).and_then(|numbers| numbers.last().copied());
                let seen = self.truth.views.get(&(client, stream)).and_then(|view| view.last);
                if last != seen {
                    let text =
                        format!("client {client} has {seen:?} of stream {stream}, which is at {last:?}");
                    self.truth.wrong(Violation::Lost(text));
                }
            }
            for key in 0..OBJECTS {
                let (stamp, seen) = (self.stamp(key), self.truth.last_object.get(&(client, key)).copied());
                if stamp != seen && !self.truth.object_gaps.contains(&(client, key)) {
                    let text = format!("client {client} has object {key} as of {seen:?}, it is at {stamp:?}");
                    self.truth.wrong(Violation::Lost(text));
                }
            }
            let delay = self.clients[client].longest_delay;
            if delay > Duration::from_secs(60) {
                self.truth.wrong(Violation::Broken(format!("a delay of {delay:?}")));
            }
        }
    }

    /// Nobody is woken more often than keeping the connection alive takes.
    fn idle(&mut self) {
        const PERIODS: u64 = 40;
        let before: Vec<_> = self.clients.iter().map(|client| client.ticks).collect();
        let end = self.now + Duration::from_secs(15 * PERIODS);
        while self.now < end {
            self.wake();
            for link in self.net.keys().copied().collect::<Vec<_>>() {
                self.carry_up(link, 100);
                self.carry_down(link, 100);
            }
            let next = self.next_deadline().unwrap_or(end).max(self.now + Duration::from_millis(1));
            self.now = next.min(end);
        }
        for (client, before) in before.into_iter().enumerate() {
            let woken = self.clients[client].ticks - before;
            // A ping each period, and the token of one of them that is renewed.
            if woken > 2 * PERIODS {
                self.truth
                    .wrong(Violation::Broken(format!("client {client} was woken {woken} times while idle")));
            }
            if self.clients[client].core.state() != ConnectionState::Connected {
                self.truth.wrong(Violation::Broken(format!("client {client} did not stay connected")));
            }
        }
    }
}
