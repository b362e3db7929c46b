//! What a scenario can make happen.

use std::time::Duration;

use hubwire::client::Metrics;

use super::mutation::Mutation;
use super::world::{Summary, Weather, World};

impl World {
    /// A world in which nothing goes wrong by itself, with everybody connected.
    pub fn calm(history_messages: usize) -> Self {
        let weather = Weather { history_messages, ..Weather::calm() };
        let mut world = Self::new(1, weather, Mutation::None);
        world.faults = false;
        world.catch_up();
        world
    }

    /// Lets everything come to rest.
    ///
    /// # Panics
    /// When it does not.
    pub fn catch_up(&mut self) {
        assert!(self.settle(), "it never came to rest");
    }

    /// Lets time pass, with everything working.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.round();
            let next = self.next_deadline().unwrap_or(end).max(self.now + Duration::from_millis(10));
            self.now = next.min(end);
        }
        self.round();
    }

    /// Publishes that many messages to a stream.
    pub fn publish_many(&mut self, stream: u64, count: u64) {
        for _ in 0..count {
            self.publish(stream);
            self.server_writes();
        }
    }

    /// Sends that many messages that are to be acknowledged.
    pub fn send_many(&mut self, client: usize, count: u64) {
        for _ in 0..count {
            self.send_reliable(client);
        }
        self.server_writes();
    }

    /// Makes that many calls.
    pub fn call_many(&mut self, client: usize, count: u64) {
        for _ in 0..count {
            self.make_call(client);
        }
    }

    /// Changes an object that many times in a row.
    pub fn change_many(&mut self, key: u64, count: u64) {
        for _ in 0..count {
            self.change(key);
        }
    }

    /// Cuts the connection of a client.
    pub fn cut_client(&mut self, client: usize) {
        if let Some(link) = self.clients[client].link {
            self.cut(link);
        }
    }

    /// The connection of a client goes dead; nobody is told.
    pub fn half_open(&mut self, client: usize) {
        if let Some(link) = self.clients[client].link
            && let Some(wire) = self.net.get_mut(&link)
        {
            wire.dead = true;
            wire.up.clear();
            wire.down.clear();
        }
    }

    /// A client does nothing for that long; its clock goes on.
    pub fn sleep(&mut self, client: usize, time: Duration) {
        self.clients[client].frozen_until = self.now + time;
    }

    /// Timers of a client come once a minute, or in time.
    pub fn throttle(&mut self, client: usize, throttled: bool) {
        self.clients[client].throttled = throttled;
    }

    /// Kills the server and starts it again. Without its disk it has forgotten everything.
    pub fn restart_server(&mut self, keep_disk: bool) {
        self.kill_server();
        if !keep_disk {
            self.disk = Default::default();
        }
        self.boot_server();
    }

    /// Kills a client and starts it again.
    pub fn restart_client(&mut self, client: usize) {
        self.kill_client(client);
    }

    /// What a client says of itself.
    pub fn metrics(&self, client: usize) -> Metrics {
        self.clients[client].core.metrics()
    }

    /// How many messages of a stream a client lacks.
    pub fn lacks(&self, client: usize, stream: u64) -> usize {
        let last = self.truth.views.get(&(client, stream)).and_then(|view| view.last).unwrap_or_default();
        self.truth.published.get(&stream).map_or(0, |all| all.range(last + 1..).count())
    }

    /// How many messages for a client were not handled.
    pub fn unhandled(&self, client: usize) -> usize {
        let mine = self.truth.messages.values().filter(|message| message.client == client);
        mine.filter(|message| message.handled_in.is_none()).count()
    }

    /// Lets everything heal, and says what was wrong.
    pub fn verdict(mut self) -> Summary {
        self.heal();
        self.summary()
    }
}
