//! What clients get, in the shapes that the hubs have: lists of arguments on the hub of all tasks, one object
//! elsewhere.

use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::{Value, json};

use super::ENHANCED;
use super::table::{End, Object, Progress, State, Task};
use crate::clients::{Client, Recipients, ReliableOptions, ReliableSend};
use crate::error::SendError;
use crate::fanout::DeltaKey;
use crate::negotiate::random_id;

/// What a task is for, if there are hubs for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Video,
    Image,
}

impl Kind {
    pub(super) fn of(task_type: &str) -> Option<Self> {
        match task_type {
            "video_generation" => Some(Self::Video),
            "image_generation" => Some(Self::Image),
            _ => None,
        }
    }

    pub(super) const fn group_prefix(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Image => "image",
        }
    }

    /// The name of an event, such as `VideoGenerationStarted`.
    fn event(self, what: &str) -> String {
        match self {
            Self::Video => format!("VideoGeneration{what}"),
            Self::Image => format!("ImageGeneration{what}"),
        }
    }
}

pub(super) const PROGRESS: &str = "TaskProgress";

/// How long one delivery waits for its acknowledgement.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);
const COMPLETED_TIMEOUT: Duration = Duration::from_secs(30);

/// The property that names a task.
pub(super) fn delta_key(task: &Task) -> DeltaKey {
    DeltaKey::new("taskId", task.id.as_str())
}

/// To whom an event goes.
pub(super) trait Sink {
    fn emit<A: Serialize>(&self, target: &str, arguments: A) -> Result<(), SendError>;

    /// A message that is to be acknowledged.
    fn reliable(&self, options: ReliableOptions) -> ReliableSend;
}

/// Those who follow the task, who can get it later, too.
impl Sink for Recipients {
    fn emit<A: Serialize>(&self, target: &str, arguments: A) -> Result<(), SendError> {
        match self.publish(target, &arguments) {
            Err(SendError::NoHistory) => self.send(target, &arguments),
            published => published.map(drop),
        }
    }

    fn reliable(&self, options: ReliableOptions) -> ReliableSend {
        self.reliable(options)
    }
}

/// One who begins to follow it.
impl Sink for Client {
    fn emit<A: Serialize>(&self, target: &str, arguments: A) -> Result<(), SendError> {
        self.send(target, &arguments)
    }

    fn reliable(&self, options: ReliableOptions) -> ReliableSend {
        self.reliable(options)
    }
}

/// `TaskStarted` of the hub of all tasks.
pub(super) fn started(to: &impl Sink, task: &Task) -> Result<(), SendError> {
    let mut metadata = task.metadata.clone();
    metadata.insert("virtualKeyId".into(), task.owner.into());
    to.emit("TaskStarted", (&task.id, &task.kind, metadata))
}

/// `TaskProgress` of the hub of all tasks, and what Hubwire clients get of it. If it is what they have, nothing is
/// sent.
pub(super) fn progress(followers: &Recipients, task: &Task, progress: &Progress) -> Result<(), SendError> {
    let (object, arguments) = (progress_object(task, progress), progress_arguments(task, progress));
    followers.send_delta_or(PROGRESS, &delta_key(task), &object, arguments)
}

/// `TaskProgress` of the hub of all tasks for clients without deltas: positional.
pub(super) fn progress_arguments<'a>(
    task: &'a Task,
    progress: &'a Progress,
) -> (&'a str, u8, Option<&'a str>) {
    (&task.id, progress.percentage, progress.message.as_deref())
}

/// The object behind `TaskProgressDelta`.
fn progress_object(task: &Task, progress: &Progress) -> Object {
    let mut object = progress.details.clone();
    object.insert("progressPercentage".into(), progress.percentage.into());
    object.insert("status".into(), status(progress).into());
    object.insert("message".into(), progress.message.clone().into());
    object.insert("timestamp".into(), task.changed_at.clone().into());
    object
}

fn status(progress: &Progress) -> &str {
    progress.status.as_deref().unwrap_or("running")
}

/// The end of a task on the hub of all tasks.
pub(super) fn ended(to: &impl Sink, task: &Task, end: &End) -> Result<(), SendError> {
    let id = &task.id;
    match end {
        End::Completed(result) => to.emit("TaskCompleted", (id, result)),
        End::Failed { error, retryable } => to.emit("TaskFailed", (id, error, retryable)),
        End::Cancelled(reason) => to.emit("TaskCancelled", (id, reason)),
        End::TimedOut(seconds) => to.emit("TaskTimedOut", (id, seconds)),
    }
}

/// The state of a task on a hub for its kind. Progress and end have a message of their own, which is acknowledged on the hub
/// that is for that.
pub(super) fn generation(to: &impl Sink, path: &str, kind: Kind, task: &Task) -> Result<(), SendError> {
    match &task.state {
        State::Pending => Ok(()),
        State::Running { progress: None } => {
            let mut event = task.details.clone();
            event.insert("startedAt".into(), task.started_at.clone().into());
            to.emit(&kind.event("Started"), (with_id(task, event),))
        }
        State::Running { progress: Some(progress) } => {
            to.emit(&kind.event("Progress"), (with_id(task, progress_object(task, progress)),))?;
            let options = ReliableOptions::default().priority(5).timeout(PROGRESS_TIMEOUT);
            deliver(to, path, PROGRESS, with_id(task, progress_message(task, progress)), options)
        }
        State::Ended(end) => {
            let (what, event) = ending(task, end);
            to.emit(&kind.event(what), (with_id(task, event),))?;
            let options = ReliableOptions::default().priority(10).timeout(COMPLETED_TIMEOUT);
            deliver(to, path, "TaskCompleted", with_id(task, completed_message(task, end)), options)
        }
    }
}

/// Sends what a client acknowledges on the hub for that; elsewhere it is a message like others.
fn deliver(
    to: &impl Sink,
    path: &str,
    target: &str,
    message: Object,
    options: ReliableOptions,
) -> Result<(), SendError> {
    if !path.eq_ignore_ascii_case(ENHANCED) {
        return to.emit(target, (message,));
    }
    // Nobody waits for the store or the acknowledgements: the message is on its way, or its end is a dead letter.
    match to.reliable(options).send(target, &message).now_or_never() {
        Some(Err(SendError::NoAcknowledgements)) => to.emit(target, (message,)),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn with_id(task: &Task, mut event: Object) -> Object {
    event.insert("taskId".into(), task.id.clone().into());
    // Absent and null are the same to clients.
    event.retain(|_, value| !value.is_null());
    event
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

/// What the event of a kind of task says at the end, and how it is called.
fn ending(task: &Task, end: &End) -> (&'static str, Object) {
    let at = &task.changed_at;
    match end {
        End::Completed(result) => {
            let mut event = object(result.clone());
            event.insert("completedAt".into(), at.clone().into());
            ("Completed", event)
        }
        End::Failed { error, retryable } => {
            ("Failed", object(json!({"error": error, "isRetryable": retryable, "failedAt": at})))
        }
        End::Cancelled(reason) => ("Cancelled", object(json!({"reason": reason, "cancelledAt": at}))),
        End::TimedOut(seconds) => {
            let error = format!("Timed out after {seconds} s");
            ("Failed", object(json!({"error": error, "isRetryable": true, "failedAt": at})))
        }
    }
}

/// What all messages have that clients acknowledge.
fn envelope(task: &Task, kind: &str, priority: u8) -> Object {
    object(json!({
        // Without randomness there is nothing to acknowledge.
        "messageId": random_id().ok(),
        "timestamp": task.changed_at,
        "retryCount": 0,
        "messageType": kind,
        "priority": priority,
        "isCritical": true,
    }))
}

fn progress_message(task: &Task, progress: &Progress) -> Object {
    let mut message = envelope(task, PROGRESS, 5);
    message.insert("progressPercentage".into(), progress.percentage.into());
    let text = progress.message.clone().unwrap_or_else(|| status(progress).into());
    message.insert("statusMessage".into(), text.into());
    if let Some(left) = progress.details.get("estimatedSecondsRemaining") {
        message.insert("estimatedSecondsRemaining".into(), left.clone());
    }
    message
}

fn completed_message(task: &Task, end: &End) -> Object {
    let mut message = envelope(task, "TaskCompleted", 10);
    let (success, result, error, code) = match end {
        End::Completed(result) => (true, result.clone(), None, None),
        End::Failed { error, .. } => (false, Value::Null, Some(error.clone()), Some("failed")),
        End::Cancelled(reason) => (false, Value::Null, reason.clone(), Some("cancelled")),
        End::TimedOut(seconds) => {
            (false, Value::Null, Some(format!("Timed out after {seconds} s")), Some("timeout"))
        }
    };
    message.insert("isSuccess".into(), success.into());
    message.insert("result".into(), result);
    message.insert("errorMessage".into(), error.into());
    message.insert("errorCode".into(), code.into());
    message
}
