//! What clients can call. Nothing of it emits an event to others.

use std::sync::Arc;

use serde_json::Value;

use super::events::{self, Kind};
use super::table::{State as TaskState, Task};
use super::{Tasks, key_id, task_group, type_group};
use crate::Context;
use crate::error::{BuildError, HubError};
use crate::hub::{Hub, Policy, State};
use crate::stats::now_millis;

/// What a hub shows of the tasks.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) tasks: Arc<Tasks>,
    /// `None` on the hub of all tasks.
    pub(super) kind: Option<Kind>,
}

/// A hub for all tasks, or for those of one kind.
pub(super) fn hub(view: View) -> Result<Hub, BuildError> {
    let all = view.kind.is_none();
    let hub = Hub::builder()
        .state(view)
        .authorize(Policy::predicate(|principal| key_id(principal).is_some()))
        .on_connected(connected)
        .method("SubscribeToTask", subscribe)
        .method("UnsubscribeFromTask", unsubscribe)
        .method("Ping", ping);
    match all {
        true => hub
            .method("SubscribeToTaskType", subscribe_to_type)
            .method("UnsubscribeFromTaskType", unsubscribe_from_type)
            .build(),
        false => hub.build(),
    }
}

/// The longest name of a kind of task, in bytes.
pub(super) const TYPE_BYTES: usize = 64;

/// The longest id of a task, in bytes. Ours have 22.
const ID_BYTES: usize = 128;

async fn connected(ctx: Context) -> Result<(), HubError> {
    let key = key(&ctx)?;
    ctx.groups().add(ctx.connection_id(), format!("vkey-{key}"))?;
    Ok(())
}

async fn subscribe(ctx: Context, State(view): State<View>, id: Value) -> Result<(), HubError> {
    let (id, key) = (task_id(&id)?, key(&ctx)?);
    let is_admin = ctx.principal().has_claim("IsAdmin", "true");
    let denied = || HubError::new("Unauthorized access to task");
    // Held until the state was sent, so that what happens next comes behind it.
    let table = view.tasks.table();
    let task = match (table.get(id), view.kind) {
        (Some(task), None) => task,
        (Some(task), kind) if Kind::of(&task.kind) == kind => task,
        (None, None) => return Err(HubError::new("Task not found")),
        // On these hubs nobody learns which tasks there are.
        _ => return Err(denied()),
    };
    if task.owner != key && !is_admin {
        return Err(denied());
    }
    ctx.groups().add(ctx.connection_id(), task_group(view.kind, id))?;
    send_state(&ctx, view.kind, task)
}

/// Tells a client how a task is that it follows from now on.
fn send_state(ctx: &Context, kind: Option<Kind>, task: &Task) -> Result<(), HubError> {
    let caller = ctx.clients().caller();
    if let Some(kind) = kind {
        return Ok(events::generation(&caller, ctx.hub(), kind, task)?);
    }
    match &task.state {
        TaskState::Pending => {}
        TaskState::Running { progress: None } => events::started(&caller, task)?,
        // It came as a whole with the group; and who was in that already has it. Only if it had to give way to others
        // is it sent again, to all who follow it.
        TaskState::Running { progress: Some(progress) } if ctx.reads_deltas() => {
            events::progress(&ctx.clients().group(task_group(None, &task.id)), task, progress)?;
        }
        TaskState::Running { progress: Some(progress) } => {
            caller.send(events::PROGRESS, events::progress_arguments(task, progress))?;
        }
        TaskState::Ended(end) => events::ended(&caller, task, end)?,
    }
    Ok(())
}

async fn unsubscribe(ctx: Context, State(view): State<View>, id: Value) -> Result<(), HubError> {
    ctx.groups().remove(ctx.connection_id(), task_group(view.kind, task_id(&id)?));
    Ok(())
}

async fn subscribe_to_type(ctx: Context, kind: Value) -> Result<(), HubError> {
    ctx.groups().add(ctx.connection_id(), type_group(key(&ctx)?, task_type(&kind)?))?;
    Ok(())
}

async fn unsubscribe_from_type(ctx: Context, kind: Value) -> Result<(), HubError> {
    ctx.groups().remove(ctx.connection_id(), type_group(key(&ctx)?, task_type(&kind)?));
    Ok(())
}

/// The time of the server, in milliseconds since 1970.
async fn ping() -> Result<u64, HubError> {
    Ok(now_millis())
}

fn key(ctx: &Context) -> Result<u64, HubError> {
    // The policy of the hub demands one.
    key_id(ctx.principal()).ok_or_else(|| HubError::new("Authentication required"))
}

fn task_id(id: &Value) -> Result<&str, HubError> {
    id.as_str().filter(|id| is_task_id(id)).ok_or_else(|| HubError::new("Invalid task ID"))
}

/// What can be the id of a task.
pub(super) fn is_task_id(id: &str) -> bool {
    !id.trim().is_empty() && id.len() <= ID_BYTES && !id.chars().any(char::is_control)
}

fn task_type(kind: &Value) -> Result<&str, HubError> {
    kind.as_str().filter(|kind| is_task_type(kind)).ok_or_else(|| HubError::new("Invalid task type"))
}

/// Letters, digits, underscores and hyphens.
pub(super) fn is_task_type(kind: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=TYPE_BYTES).contains(&kind.len()) && kind.bytes().all(is_name)
}
