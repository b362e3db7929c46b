//! The tasks that are known, without clock and lock.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use hubwire::Time;
use serde_json::{Map, Value};

use super::TasksConfig;

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// Why something cannot be done with a task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskError {
    /// There is no such task, or it is forgotten.
    Unknown,
    /// There is a task with that id.
    Known,
    /// It was started before.
    AlreadyStarted,
    /// It is over; nothing happens to it any more.
    Ended,
    /// As many tasks run as may be known.
    Full,
    /// Something is too long, or not possible; the text names it.
    Invalid(&'static str),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such task"),
            Self::Known => f.write_str("there is a task with that id"),
            Self::AlreadyStarted => f.write_str("the task was started before"),
            Self::Ended => f.write_str("the task is over"),
            Self::Full => f.write_str("there are too many tasks"),
            Self::Invalid(what) => write!(f, "{what} is not possible"),
        }
    }
}

impl std::error::Error for TaskError {}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    Completed(Value),
    Failed { error: String, retryable: bool },
    Cancelled(Option<String>),
    TimedOut(u64),
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Pending,
    Running { progress: Option<Progress> },
    Ended(End),
}

/// How far a task is, for [`TaskService::progress`](super::TaskService::progress).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// From 0 to 100.
    pub percentage: u8,
    /// A word for it, such as `rendering`; `running` if there is none.
    pub status: Option<String>,
    /// A sentence for people.
    pub message: Option<String>,
    /// What is known besides, such as `framesCompleted`.
    pub details: Object,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) owner: u64,
    pub(super) kind: String,
    pub(super) metadata: Object,
    /// What was said when it started.
    pub(super) details: Object,
    pub(super) started_at: String,
    pub(super) state: State,
    /// When the state was reached, as it is sent.
    pub(super) changed_at: String,
    /// Where it is in the order in which tasks are forgotten.
    slot: (Time, u64),
}

/// The tasks by id.
#[derive(Debug)]
pub(super) struct Table {
    config: TasksConfig,
    tasks: HashMap<String, Task>,
    /// By when they are forgotten: those that may still change, and those that are over.
    open: BTreeMap<(Time, u64), String>,
    ended: BTreeMap<(Time, u64), String>,
    ticks: u64,
}

impl Table {
    pub(super) fn new(config: TasksConfig) -> Self {
        Self { config, tasks: HashMap::new(), open: BTreeMap::new(), ended: BTreeMap::new(), ticks: 0 }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Task> {
        self.tasks.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// A task that nobody has begun yet.
    pub(super) fn create(
        &mut self,
        now: Time,
        id: String,
        owner: u64,
        kind: String,
        metadata: Object,
    ) -> Result<(), TaskError> {
        if self.tasks.contains_key(&id) {
            return Err(TaskError::Known);
        }
        if self.tasks.len() >= self.config.tasks {
            // What is over was told to everybody who wanted to know.
            let Some((_, oldest)) = self.ended.pop_first() else { return Err(TaskError::Full) };
            self.tasks.remove(&oldest);
        }
        self.ticks += 1;
        let slot = (now + self.config.idle, self.ticks);
        self.open.insert(slot, id.clone());
        let (details, started_at, changed_at) = (Object::new(), String::new(), String::new());
        let state = State::Pending;
        let task =
            Task { id: id.clone(), owner, kind, metadata, details, started_at, state, changed_at, slot };
        self.tasks.insert(id, task);
        Ok(())
    }

    /// Changes a task that is not over.
    pub(super) fn change(
        &mut self,
        now: Time,
        id: &str,
        change: impl FnOnce(&mut Task) -> Result<(), TaskError>,
    ) -> Result<&Task, TaskError> {
        let task = self.tasks.get_mut(id).ok_or(TaskError::Unknown)?;
        if let State::Ended(_) = task.state {
            return Err(TaskError::Ended);
        }
        change(task)?;
        self.ticks += 1;
        self.open.remove(&task.slot);
        let (kept, order) = match task.state {
            State::Ended(_) => (self.config.kept, &mut self.ended),
            State::Pending | State::Running { .. } => (self.config.idle, &mut self.open),
        };
        task.slot = (now + kept, self.ticks);
        order.insert(task.slot, id.to_owned());
        Ok(task)
    }

    /// Forgets tasks whose time is over. Returns those of them that had not ended.
    pub(super) fn purge(&mut self, now: Time) -> Vec<Task> {
        while let Some((_, id)) = pop_due(&mut self.ended, now) {
            self.tasks.remove(&id);
        }
        let mut abandoned = Vec::new();
        while let Some((_, id)) = pop_due(&mut self.open, now) {
            abandoned.extend(self.tasks.remove(&id));
        }
        abandoned
    }
}

fn pop_due(order: &mut BTreeMap<(Time, u64), String>, now: Time) -> Option<((Time, u64), String)> {
    let entry = order.first_entry().filter(|entry| entry.key().0 <= now)?;
    Some(entry.remove_entry())
}
