//! Which hubs of a pool are connected, in virtual time. Each test is a script: what goes in, when, and what comes out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use hubwire::client::PoolInput::{
    Changed, Connect, ConnectAll, Disconnect, DisconnectAll, Release, Started, Stopped, Tick, Use, Work,
};
use hubwire::client::{
    CloseReason, ConnectionState, HubId, Pool, PoolConfig, PoolEvent, PoolInput, PoolOutput,
};
use hubwire::{Error, ErrorKind, Time};
use proptest::prelude::*;

const A: HubId = HubId(1);
const B: HubId = HubId(2);
const C: HubId = HubId(3);

const MINUTE: u64 = 60;

fn config(max_connections: usize) -> PoolConfig {
    let mut config = PoolConfig::default();
    config.max_connections = max_connections;
    config
}

fn failed() -> Error {
    Error::new(ErrorKind::Network, "no route")
}

/// In short: `start 1`, `stop 1`, `idle 1`, `limit 1`, `ok 1`, or the kind of the error and the hub.
fn describe(output: &PoolOutput) -> String {
    match output {
        PoolOutput::Start(id) => format!("start {}", id.0),
        PoolOutput::Stop(id) => format!("stop {}", id.0),
        PoolOutput::Event(PoolEvent::Closing(id, CloseReason::Idle)) => format!("idle {}", id.0),
        PoolOutput::Event(PoolEvent::Closing(id, _)) => format!("limit {}", id.0),
        PoolOutput::Event(PoolEvent::Answered(id, Ok(()))) => format!("ok {}", id.0),
        PoolOutput::Event(PoolEvent::Answered(id, Err(error))) => format!("{} {}", error.kind(), id.0),
        PoolOutput::Wait(_) => unreachable!("the bench takes the wait"),
    }
}

struct Bench {
    pool: Pool,
    wait: Option<Time>,
}

impl Bench {
    fn new(config: PoolConfig) -> Self {
        Self { pool: Pool::new(config), wait: None }
    }

    fn outputs(&mut self, seconds: u64, input: PoolInput) -> Vec<PoolOutput> {
        self.pool.handle(Time::from_millis(seconds * 1000), input);
        let mut outputs = Vec::new();
        loop {
            match self.pool.poll() {
                PoolOutput::Wait(deadline) => {
                    self.wait = deadline;
                    return outputs;
                }
                output => outputs.push(output),
            }
        }
    }

    fn give(&mut self, seconds: u64, input: PoolInput) -> String {
        let outputs = self.outputs(seconds, input);
        outputs.iter().map(describe).collect::<Vec<_>>().join(", ")
    }

    fn play(&mut self, script: impl IntoIterator<Item = (u64, PoolInput, &'static str)>) {
        for (line, (seconds, input, expected)) in script.into_iter().enumerate() {
            let text = format!("line {line}: {input:?} at {seconds} s");
            assert_eq!(self.give(seconds, input), expected, "{text}");
        }
    }

    fn state(&self, id: HubId) -> ConnectionState {
        self.pool.states().find(|(hub, _)| *hub == id).unwrap().1
    }

    fn wait(&self) -> Option<u64> {
        self.wait.map(|time| time.as_millis() / 1000)
    }
}

fn play(config: PoolConfig, script: impl IntoIterator<Item = (u64, PoolInput, &'static str)>) -> Bench {
    let mut bench = Bench::new(config);
    bench.play(script);
    bench
}

#[test]
fn the_defaults_are_those_asked_for() {
    let config = PoolConfig::default();
    assert_eq!(config.max_connections, 100);
    assert_eq!(config.idle_after, Some(Duration::from_secs(5 * MINUTE)));
    assert_eq!(config.connect_timeout, Duration::from_secs(30));
}

#[test]
fn all_start_at_once_and_each_is_answered_by_itself() {
    let bench = play(
        config(100),
        [
            (0, ConnectAll(vec![A, B, C]), "start 1, start 2, start 3"),
            (1, Started(B, Err(failed())), "Network 2"),
            (2, Started(A, Ok(())), "ok 1"),
            // What was asked for already is not asked for again.
            (2, ConnectAll(vec![A, C]), "ok 1"),
            (3, Started(C, Ok(())), "ok 3"),
            (4, Connect(B), "start 2"),
        ],
    );
    assert_eq!(bench.state(A), ConnectionState::Connected);
    assert_eq!(bench.state(B), ConnectionState::Connecting);
}

#[test]
fn a_late_connection_is_answered_and_still_made() {
    let mut bench = play(config(100), [(0, Use(A), ""), (0, Connect(A), "start 1")]);
    assert_eq!(bench.wait(), Some(30));
    bench.play([
        (29, Tick, ""),
        (30, Tick, "Timeout 1"),
        (31, Tick, ""),
        // Nobody is waiting for the answer any more.
        (40, Started(A, Ok(())), ""),
    ]);
    assert_eq!(bench.state(A), ConnectionState::Connected);
    // Whoever asks while it is late waits another 30 s, and those who join do not make it later.
    let mut bench = play(
        config(100),
        [
            (0, Use(A), ""),
            (0, Connect(A), "start 1"),
            (30, Tick, "Timeout 1"),
            (40, Connect(A), ""),
            (60, Connect(A), ""),
        ],
    );
    assert_eq!(bench.wait(), Some(70));
    bench.play([(70, Tick, "Timeout 1")]);
}

#[test]
fn idle_hubs_are_closed_and_start_again_when_they_are_used() {
    let mut bench = play(
        config(100),
        [(0, Use(A), ""), (0, Connect(A), "start 1"), (0, Started(A, Ok(())), "ok 1"), (1_000, Tick, "")],
    );
    assert_eq!(bench.wait(), None, "in use");
    bench.play([(1_000, Release(A), "")]);
    assert_eq!(bench.wait(), Some(1_300));
    bench.play([(1_299, Tick, ""), (1_300, Tick, "idle 1, stop 1"), (1_300, Stopped(A), "")]);
    assert_eq!((bench.state(A), bench.wait()), (ConnectionState::Disconnected, None));
    bench.play([
        (2_000, Use(A), "start 1"),
        // Nobody has asked to be told.
        (2_001, Started(A, Ok(())), ""),
    ]);
    assert_eq!(bench.wait(), None);
}

#[test]
fn a_hub_that_is_not_used_at_all_is_idle_from_its_answer_on() {
    let mut bench = play(config(100), [(0, Connect(A), "start 1"), (20, Started(A, Ok(())), "ok 1")]);
    assert_eq!(bench.wait(), Some(320));
    bench.play([(319, Tick, ""), (320, Tick, "idle 1, stop 1")]);
}

/// As many uses as releases, and work without use: queued calls, or handlers that listen.
#[test]
fn uses_and_work_keep_a_hub() {
    let mut bench = play(
        config(100),
        [
            (0, Use(A), ""),
            (0, Use(A), ""),
            (0, Connect(A), "start 1"),
            (0, Started(A, Ok(())), "ok 1"),
            (10, Release(A), ""),
            (1_000, Tick, ""),
            (1_000, Work(A, true), ""),
            (1_000, Release(A), ""),
            (2_000, Tick, ""),
            (2_000, Work(A, false), ""),
            // The same again is no news.
            (2_200, Work(A, false), ""),
        ],
    );
    assert_eq!(bench.wait(), Some(2_300));
    bench.play([
        (2_299, Use(A), ""),
        (2_299, Release(A), ""),
        (2_300, Tick, ""),
        (2_599, Tick, "idle 1, stop 1"),
    ]);
}

#[test]
fn a_hub_that_is_reconnecting_may_be_idle_too() {
    play(
        config(100),
        [
            (0, Connect(A), "start 1"),
            (0, Started(A, Ok(())), "ok 1"),
            (10, Changed(A, ConnectionState::Reconnecting), ""),
            (300, Tick, "idle 1, stop 1"),
            // On its way out its state says nothing.
            (300, Changed(A, ConnectionState::Connected), ""),
            (300, Changed(A, ConnectionState::Disconnected), ""),
            (301, Stopped(A), ""),
        ],
    );
}

#[test]
fn without_a_time_nothing_is_idle() {
    let mut config = config(100);
    config.idle_after = None;
    let bench =
        play(config, [(0, Connect(A), "start 1"), (0, Started(A, Ok(())), "ok 1"), (1_000_000, Tick, "")]);
    assert_eq!(bench.wait(), None);
}

#[test]
fn a_use_while_it_stops_starts_it_again_afterwards() {
    let open = [(0, Connect(A), "start 1"), (0, Started(A, Ok(())), "ok 1"), (300, Tick, "idle 1, stop 1")];
    play(config(1), open).play([(300, Use(A), ""), (301, Stopped(A), "start 1")]);
    let open = [(0, Connect(A), "start 1"), (0, Started(A, Ok(())), "ok 1"), (9, Disconnect(A), "stop 1")];
    // What was disconnected is not started by being used, only by being asked for.
    play(config(1), open).play([
        (9, Use(A), ""),
        (10, Stopped(A), ""),
        (11, Use(A), ""),
        (12, Connect(A), "start 1"),
    ]);
    let open = [(0, Connect(A), "start 1"), (0, Started(A, Ok(())), "ok 1"), (9, Disconnect(A), "stop 1")];
    play(config(1), open).play([(9, Connect(A), ""), (10, Stopped(A), "start 1")]);
}

#[test]
fn at_the_limit_the_longest_idle_makes_room() {
    let mut bench = play(
        config(2),
        [
            (0, ConnectAll(vec![A, B]), "start 1, start 2"),
            (1, Started(A, Ok(())), "ok 1"),
            (2, Started(B, Ok(())), "ok 2"),
            (3, Use(A), ""),
            (4, Release(A), ""),
            // B, not A: it is idle since 2 s. C waits until B is gone: there are never more than two.
            (5, Connect(C), "limit 2, stop 2"),
        ],
    );
    assert_eq!(bench.state(C), ConnectionState::Connecting);
    bench.play([
        (6, Stopped(B), "start 3"),
        (7, Started(C, Ok(())), "ok 3"),
        // It was the pool that closed B.
        (8, Use(B), "limit 1, stop 1"),
        (9, Stopped(A), "start 2"),
    ]);
}

#[test]
fn at_the_limit_nothing_in_use_gives_way() {
    let mut bench = play(
        config(2),
        [
            (0, ConnectAll(vec![A, B]), "start 1, start 2"),
            (0, Started(A, Ok(())), "ok 1"),
            (0, Started(B, Ok(())), "ok 2"),
            (0, Use(A), ""),
            (0, Work(B, true), ""),
        ],
    );
    let outputs = bench.outputs(1, Connect(C));
    let [PoolOutput::Event(PoolEvent::Answered(C, Err(error)))] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(error.kind(), ErrorKind::Overflow);
    let text = "There are as many connections as max_connections allows, 2, and none of them is idle.";
    assert_eq!(error.detail(), text);
    assert_eq!(bench.state(C), ConnectionState::Disconnected);
    // As soon as there is room it can be had.
    bench.play([(2, Work(B, false), ""), (3, Connect(C), "limit 2, stop 2"), (3, Stopped(B), "start 3")]);
    // A use that would start a hub is refused, too, though nobody waits.
    bench.play([(4, Started(C, Ok(())), "ok 3"), (4, Use(C), ""), (5, Use(B), "Overflow 2")]);
}

/// Those that wait for a connection do not give way: somebody would hear of it.
#[test]
fn at_the_limit_nothing_that_is_waited_for_gives_way() {
    play(
        config(1),
        [
            (0, Connect(A), "start 1"),
            (1, Connect(B), "Overflow 2"),
            (30, Tick, "Timeout 1"),
            // Nobody waits any more.
            (31, Connect(B), "limit 1, stop 1"),
            (32, Stopped(A), "start 2"),
        ],
    );
}

#[test]
fn a_hub_that_waits_for_its_place_may_be_late_or_disconnected() {
    play(
        config(1),
        [
            (0, Connect(A), "start 1"),
            (0, Started(A, Ok(())), "ok 1"),
            (1, Use(B), ""),
            (1, Connect(B), "limit 1, stop 1"),
            (31, Tick, "Timeout 2"),
            (40, Disconnect(B), ""),
            (41, Stopped(A), ""),
            (42, Connect(B), "start 2"),
        ],
    );
}

#[test]
fn a_place_that_becomes_free_goes_to_the_first_that_waits() {
    play(
        config(2),
        [
            (0, ConnectAll(vec![A, B]), "start 1, start 2"),
            (0, Started(A, Ok(())), "ok 1"),
            (0, Started(B, Ok(())), "ok 2"),
            (1, ConnectAll(vec![HubId(4), C]), "limit 1, stop 1, limit 2, stop 2"),
            (2, Stopped(B), "start 4"),
            (3, Stopped(A), "start 3"),
            // One that cannot be made frees its place as well.
            (4, Started(C, Err(failed())), "Network 3"),
            (5, Connect(A), "start 1"),
        ],
    );
}

#[test]
fn disconnect_all_ends_everything_once() {
    let bench = play(
        config(2),
        [
            (0, ConnectAll(vec![A, B]), "start 1, start 2"),
            (0, Started(A, Ok(())), "ok 1"),
            (0, Use(A), ""),
            (1, DisconnectAll, "stop 1, stop 2, Cancelled 2"),
            (1, DisconnectAll, ""),
            // What comes late changes nothing.
            (1, Started(B, Ok(())), ""),
            (2, Stopped(A), ""),
            (2, Stopped(B), ""),
            (3, Use(A), ""),
        ],
    );
    let states: Vec<_> = bench.pool.states().collect();
    assert_eq!(states, [(A, ConnectionState::Disconnected), (B, ConnectionState::Disconnected)]);
}

#[test]
fn connections_end_and_begin_without_the_pool() {
    let mut bench = play(
        config(1),
        [
            (0, Connect(A), "start 1"),
            // From before the start: only its answer counts.
            (0, Changed(A, ConnectionState::Disconnected), ""),
            (1, Changed(A, ConnectionState::Connected), "ok 1"),
            (1, Started(A, Ok(())), ""),
            (2, Changed(A, ConnectionState::Reconnecting), ""),
            // There is one that may come back: whoever asks waits for it.
            (3, Connect(A), ""),
            (4, Changed(A, ConnectionState::Connected), "ok 1"),
            (5, Changed(A, ConnectionState::Reconnecting), ""),
            (6, Connect(A), ""),
            // The server has said that it must not, or the policy has given up.
            (7, Changed(A, ConnectionState::Disconnected), "Network 1"),
            // Not the pool's doing: a use does not start it.
            (8, Use(A), ""),
            (8, Release(A), ""),
            // The application has started it itself. It counts.
            (9, Changed(A, ConnectionState::Connecting), ""),
            (10, Changed(A, ConnectionState::Connected), ""),
            (11, Connect(B), "limit 1, stop 1"),
            (12, Stopped(A), "start 2"),
            // Over the limit: it takes two to make room for one.
            (13, Started(B, Ok(())), "ok 2"),
            (14, Changed(A, ConnectionState::Connected), ""),
            (15, Connect(C), "limit 2, stop 2, limit 1, stop 1"),
            (16, Stopped(A), ""),
            (17, Stopped(B), "start 3"),
        ],
    );
    bench.play([(18, Started(C, Ok(())), "ok 3")]);
}

#[test]
fn time_does_not_go_back() {
    let mut bench = play(config(1), [(100, Connect(A), "start 1"), (10, Started(A, Ok(())), "ok 1")]);
    assert_eq!(bench.wait(), Some(400));
    bench.play([(0, Tick, ""), (400, Tick, "idle 1, stop 1")]);
}

/// What a driver may do to a pool, in any order.
#[derive(Clone, Debug)]
enum Step {
    Use(u32),
    Release(u32),
    Work(u32, bool),
    Connect(u32),
    Disconnect(u32),
    Finish(usize, bool),
    Lose(u32),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let hub = || 0..6_u32;
    prop_oneof![
        1 => hub().prop_map(Step::Use),
        1 => hub().prop_map(Step::Release),
        1 => (hub(), any::<bool>()).prop_map(|(hub, work)| Step::Work(hub, work)),
        4 => hub().prop_map(Step::Connect),
        1 => hub().prop_map(Step::Disconnect),
        6 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(which, ok)| Step::Finish(which, ok)),
        1 => hub().prop_map(Step::Lose),
        2 => (0..200_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever happens: never more connections than allowed, none is started twice, nothing that is used or has work is
    /// stopped unless it was disconnected, and when everything has ended nobody waits for a place or an answer.
    #[test]
    fn the_limit_holds_and_nothing_in_use_is_stopped(
        max in 1..4_usize,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut bench = Bench::new(config(max));
        let mut seconds = 0;
        // What the driver knows: jobs under way, running connections, uses and work by hub.
        let mut jobs: Vec<PoolOutput> = Vec::new();
        let mut running = [false; 6];
        let mut uses = [0_u32; 6];
        let mut work = [false; 6];
        let mut waiting = [0_i32; 6];
        let mut check = |bench: &mut Bench, seconds, input: PoolInput, jobs: &mut Vec<PoolOutput>,
                         running: &mut [bool; 6], uses: &[u32; 6], work: &[bool; 6]| {
            let asked = match &input {
                Connect(hub) => Some(hub.0 as usize),
                _ => None,
            };
            if let Some(hub) = asked {
                waiting[hub] = 1;
            }
            let requested = matches!(input, Disconnect(_) | DisconnectAll);
            for output in bench.outputs(seconds, input) {
                match &output {
                    PoolOutput::Start(hub) => {
                        let hub = hub.0 as usize;
                        assert!(!running[hub], "started twice");
                        running[hub] = true;
                        jobs.push(output);
                    }
                    PoolOutput::Stop(hub) => {
                        let id = hub.0 as usize;
                        assert!(running[id], "stopped without a connection");
                        assert!(requested || (uses[id] == 0 && !work[id]), "stopped in use");
                        jobs.retain(|job| *job != PoolOutput::Start(*hub));
                        jobs.push(output);
                    }
                    PoolOutput::Event(PoolEvent::Answered(hub, result)) => {
                        let overflow = matches!(result, Err(error) if error.kind() == ErrorKind::Overflow);
                        assert!(waiting[hub.0 as usize] == 1 || overflow, "answered without being asked");
                        waiting[hub.0 as usize] = 0;
                    }
                    _ => {}
                }
            }
            assert!(running.iter().filter(|running| **running).count() <= max, "more than allowed");
        };
        let finish = |job: PoolOutput, ok: bool, running: &mut [bool; 6]| match job {
            PoolOutput::Start(hub) => {
                running[hub.0 as usize] = ok;
                Started(hub, if ok { Ok(()) } else { Err(failed()) })
            }
            PoolOutput::Stop(hub) => {
                running[hub.0 as usize] = false;
                Stopped(hub)
            }
            other => unreachable!("{other:?} is no job"),
        };
        for step in steps {
            let input = match step {
                Step::Use(hub) => {
                    uses[hub as usize] += 1;
                    Use(HubId(hub))
                }
                Step::Release(hub) if uses[hub as usize] == 0 => continue,
                Step::Release(hub) => {
                    uses[hub as usize] -= 1;
                    Release(HubId(hub))
                }
                Step::Work(hub, has_work) => {
                    work[hub as usize] = has_work;
                    Work(HubId(hub), has_work)
                }
                Step::Connect(hub) => Connect(HubId(hub)),
                Step::Disconnect(hub) => Disconnect(HubId(hub)),
                Step::Finish(_, _) if jobs.is_empty() => continue,
                Step::Finish(which, ok) => {
                    let job = jobs.remove(which % jobs.len());
                    finish(job, ok, &mut running)
                }
                Step::Lose(hub) => {
                    let busy = jobs.iter().any(|job| matches!(job,
                        PoolOutput::Start(id) | PoolOutput::Stop(id) if id.0 == hub));
                    if busy || !running[hub as usize] {
                        continue;
                    }
                    running[hub as usize] = false;
                    Changed(HubId(hub), ConnectionState::Disconnected)
                }
                Step::Pass(time) => {
                    seconds += time;
                    Tick
                }
            };
            check(&mut bench, seconds, input, &mut jobs, &mut running, &uses, &work);
        }
        check(&mut bench, seconds, DisconnectAll, &mut jobs, &mut running, &uses, &work);
        while let Some(job) = jobs.pop() {
            let input = finish(job, true, &mut running);
            check(&mut bench, seconds, input, &mut jobs, &mut running, &uses, &work);
        }
        prop_assert_eq!(running, [false; 6]);
        prop_assert!(bench.pool.states().all(|(_, state)| state == ConnectionState::Disconnected));
        prop_assert_eq!(waiting, [0; 6]);
        prop_assert_eq!(bench.wait, None);
    }
}
