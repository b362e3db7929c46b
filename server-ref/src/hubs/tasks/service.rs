use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::events::{self, Kind};
use super::methods::{is_task_id, is_task_type};
use super::table::{End, Object, Progress, State, Task, TaskError};
use super::{IMAGE, TASKS, Tasks, VIDEO, task_group, type_group};
use crate::ServerHandle;
use crate::clients::Recipients;
use crate::error::SendError;
use crate::negotiate::random_id;
use crate::timestamp::iso;

/// Says what happens to tasks, and tells those who follow them. Cheap to clone.
///
/// The events of a task reach each client in the order of these calls.
#[derive(Clone, Debug)]
pub struct TaskService {
    tasks: Arc<Tasks>,
    server: ServerHandle,
}

impl TaskService {
    pub(super) const fn new(tasks: Arc<Tasks>, server: ServerHandle) -> Self {
        Self { tasks, server }
    }

    /// There will be a task of a virtual key. Returns its id, with which clients can follow it.
    ///
    /// `task_type` has letters, digits, `_` and `-`, at most 64; tasks that are `video_generation` or
    /// `image_generation` are on the hubs for those, too.
    ///
    /// # Errors
    /// When the type or the size of the metadata is not possible, or there are too many tasks.
    pub fn create(&self, owner: u64, task_type: &str, metadata: Object) -> Result<String, TaskError> {
        let id = random_id().map_err(|_| TaskError::Invalid("an id"))?;
        self.restore(&id, owner, task_type, metadata)?;
        Ok(id)
    }

    /// As [`create`](Self::create), for a task that has an id: tasks are forgotten when the server ends, so an application
    /// that keeps them makes them known again, and says how far they are, before it serves.
    ///
    /// # Errors
    /// When the id is known or not possible (blank, with control characters, above 128 bytes); and as `create`.
    pub fn restore(&self, id: &str, owner: u64, task_type: &str, metadata: Object) -> Result<(), TaskError> {
        if !is_task_id(id) {
            return Err(TaskError::Invalid("the id of the task"));
        }
        if !is_task_type(task_type) {
            return Err(TaskError::Invalid("the type of the task"));
        }
        self.check("the metadata", &metadata)?;
        self.purge();
        let now = self.tasks.now();
        self.tasks.table().create(now, id.into(), owner, task_type.into(), metadata)
    }

    /// The task has begun. `details` are for the hubs of its kind, such as `provider` and `estimatedSeconds`.
    ///
    /// # Errors
    /// When it is not known, has begun before, is over, or the details are too large.
    pub fn started(&self, id: &str, details: Object) -> Result<(), TaskError> {
        self.check("the details", &details)?;
        self.change(id, |task| match task.state {
            State::Pending => {
                task.started_at.clone_from(&task.changed_at);
                task.details = details;
                task.state = State::Running { progress: None };
                Ok(())
            }
            State::Running { .. } => Err(TaskError::AlreadyStarted),
            State::Ended(_) => Err(TaskError::Ended),
        })
    }

    /// The task has come so far. If that is what was said last, nothing is sent.
    ///
    /// # Errors
    /// When it is not known or over, the percentage is above 100, or a text or the details are too large.
    pub fn progress(&self, id: &str, progress: Progress) -> Result<(), TaskError> {
        if progress.percentage > 100 {
            return Err(TaskError::Invalid("the percentage"));
        }
        self.check("the details", &progress.details)?;
        self.check("the text", &(&progress.status, &progress.message))?;
        if let Some(Task { state: State::Running { progress: Some(before) }, .. }) =
            self.tasks.table().get(id)
            && *before == progress
        {
            return Ok(());
        }
        self.change(id, |task| {
            task.state = State::Running { progress: Some(progress) };
            Ok(())
        })
    }

    /// The task is done. If the result is an object, its properties are those of the event on the hubs of its kind.
    ///
    /// # Errors
    /// When it is not known or over, or the result is too large.
    pub fn completed(&self, id: &str, result: serde_json::Value) -> Result<(), TaskError> {
        self.check("the result", &result)?;
        self.end(id, End::Completed(result))
    }

    /// The task has failed.
    ///
    /// # Errors
    /// When it is not known or over, or the text is too long.
    pub fn failed(&self, id: &str, error: &str, retryable: bool) -> Result<(), TaskError> {
        self.check("the error", error)?;
        self.end(id, End::Failed { error: error.into(), retryable })
    }

    /// Somebody does not want the task any more.
    ///
    /// # Errors
    /// When it is not known or over, or the text is too long.
    pub fn cancelled(&self, id: &str, reason: Option<&str>) -> Result<(), TaskError> {
        self.check("the reason", &reason)?;
        self.end(id, End::Cancelled(reason.map(Into::into)))
    }

    /// The task took too long.
    ///
    /// # Errors
    /// When it is not known or over.
    pub fn timed_out(&self, id: &str, timeout_seconds: u64) -> Result<(), TaskError> {
        self.end(id, End::TimedOut(timeout_seconds))
    }

    fn end(&self, id: &str, end: End) -> Result<(), TaskError> {
        self.change(id, |task| {
            task.state = State::Ended(end);
            Ok(())
        })
    }

    fn change(
        &self,
        id: &str,
        change: impl FnOnce(&mut Task) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        self.purge();
        let now = self.tasks.now();
        let mut table = self.tasks.table();
        let task = table.change(now, id, |task| {
            task.changed_at = iso(SystemTime::now());
            change(task)
        })?;
        if let Err(error) = self.emit(task) {
            // Everything comes from JSON values, so this does not happen; and the task is as it is.
            tracing::error!(%error, "an event of a task was not sent");
        }
        Ok(())
    }

    /// Tells everybody who follows the task how it is now.
    fn emit(&self, task: &Task) -> Result<(), SendError> {
        if let Some(followers) = self.followers(TASKS, None, task) {
            match &task.state {
                State::Pending => {}
                State::Running { progress: None } => {
                    events::started(&followers, task)?;
                    if let Some(hub) = self.server.hub(TASKS) {
                        events::started(&hub.group(type_group(task.owner, &task.kind)), task)?;
                    }
                }
                State::Running { progress: Some(progress) } => events::progress(&followers, task, progress)?,
                State::Ended(end) => {
                    events::ended(&followers, task, end)?;
                    followers.forget_delta(events::PROGRESS, &events::delta_key(task));
                }
            }
        }
        let hubs: &[&str] = match Kind::of(&task.kind) {
            Some(Kind::Video) => &VIDEO,
            Some(Kind::Image) => &[IMAGE],
            None => &[],
        };
        for path in hubs {
            if let Some(kind) = Kind::of(&task.kind)
                && let Some(followers) = self.followers(path, Some(kind), task)
            {
                events::generation(&followers, path, kind, task)?;
            }
        }
        Ok(())
    }

    fn followers(&self, path: &str, kind: Option<Kind>, task: &Task) -> Option<Recipients> {
        Some(self.server.hub(path)?.group(task_group(kind, &task.id)))
    }

    /// Forgets tasks whose time is over.
    fn purge(&self) {
        let abandoned = self.tasks.table().purge(self.tasks.now());
        for task in abandoned {
            if let Some(followers) = self.followers(TASKS, None, &task) {
                followers.forget_delta(events::PROGRESS, &events::delta_key(&task));
            }
        }
    }

    fn check<T: Serialize + ?Sized>(&self, what: &'static str, value: &T) -> Result<(), TaskError> {
        match serde_json::to_vec(value) {
            Ok(bytes) if bytes.len() <= self.tasks.config.object_bytes => Ok(()),
            _ => Err(TaskError::Invalid(what)),
        }
    }
}
