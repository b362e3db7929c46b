//! Updates as services send them that make videos.

use serde_json::{Value, json};

use crate::random::Random;

/// How many tasks run at the same time.
const TASKS: u64 = 20;
/// How many updates a task has before the next one takes its place.
const STEPS: u64 = 200;

/// Updates of tasks, one task after the other, without end. The same for the same seed.
#[derive(Clone, Debug)]
pub struct Updates {
    random: Random,
    next: u64,
}

impl Updates {
    /// Those of that seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed, 0), next: 0 }
    }

    /// 128 bits by chance, as services name things.
    fn guid(&mut self) -> String {
        let (one, other) = (self.random.next(), self.random.next());
        let (a, b, c, d) = (one >> 32, one >> 16 & 0xffff, one & 0xfff, other >> 48 & 0x3fff | 0x8000);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{:012x}", other & 0xffff_ffff_ffff)
    }
}

impl Iterator for Updates {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let (round, task) = (self.next / TASKS, self.next % TASKS);
        // Each began at another time, so that they are not all at the same point.
        let position = round + task * STEPS / TASKS;
        let (generation, step) = (position / STEPS, position % STEPS);
        let mut of_task = Self::new(1_000 + generation * TASKS + task);
        let (task_id, correlation) = (of_task.guid(), of_task.guid());
        let at = self.next * 5 + self.random.below(5);
        let (minute, second, milli) = (at / 60_000 % 60, at / 1_000 % 60, at % 1_000);
        self.next += 1;
        let percent = step * 100 / STEPS;
        let (status, message) = match percent {
            0..5 => ("queued", "Waiting for a worker".to_owned()),
            5..90 => ("running", format!("Rendering frame {} of 240", step * 240 / STEPS)),
            _ => ("finishing", "Encoding the video".to_owned()),
        };
        Some(json!({
            "messageId": self.guid(),
            "timestamp": format!("2026-03-01T12:{minute:02}:{second:02}.{milli:03}Z"),
            "correlationId": correlation,
            "retryCount": 0,
            "messageType": "TaskProgress",
            "priority": 5,
            "isCritical": true,
            "taskId": task_id,
            "progressPercentage": percent,
            "status": status,
            "statusMessage": message,
            "estimatedSecondsRemaining": (STEPS - step) / 4,
            "metadata": {
                "virtualKeyId": 1_000 + task,
                "taskType": "video",
                "provider": "render-farm",
                "model": "scene-xl-2",
                "resolution": "1920x1080",
                "durationSeconds": 10,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_those_of_the_seed_and_no_two_are_the_same() {
        let some: Vec<_> = Updates::new(1).take(500).collect();
        assert_eq!(Updates::new(1).take(500).collect::<Vec<_>>(), some);
        assert_ne!(Updates::new(2).next().unwrap(), some[0]);
        let ids: std::collections::BTreeSet<_> =
            some.iter().map(|update| update["messageId"].to_string()).collect();
        assert_eq!(ids.len(), some.len());
        assert_eq!(some[0]["taskId"], some[20]["taskId"]);
        assert_eq!(some[0]["messageId"].as_str().map(str::len), Some(36));
    }
}
