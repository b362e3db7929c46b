//! `/hubs/work`: what administrators and workers can call. Nobody else gets in.

use std::sync::Arc;

use hubwire_server::{BuildError, Context, Hub, HubError, Policy, State};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::board::{Board, End, Report, Task};

/// The path of the hub.
pub(crate) const PATH: &str = "/hubs/work";

const WORKER: &str = "worker";
const ADMIN: &str = "admin";
const WORKERS: &str = "workers";

type Shared = State<Arc<Board>>;

/// The hub. Roles are those of the token.
pub(crate) fn hub(board: Arc<Board>) -> Result<Hub, BuildError> {
    let (worker, admin) = (Policy::role(WORKER), Policy::role(ADMIN));
    Hub::builder()
        .state(board)
        .authorize(Policy::user().and(worker.clone().or(admin.clone())))
        .method("CreateTask", create)
        .method("Announce", announce)
        .method("TakeTask", take)
        .method("ReportProgress", report)
        .method("CompleteTask", complete)
        .method("FailTask", fail)
        .method("FollowAnnouncements", follow)
        .authorize_method("CreateTask", admin.clone())
        .authorize_method("Announce", admin)
        .authorize_method("TakeTask", worker.clone())
        .authorize_method("ReportProgress", worker.clone())
        .authorize_method("CompleteTask", worker.clone())
        .authorize_method("FailTask", worker)
        .build()
}

/// Whoever does it now is told that there is something to do.
async fn create(
    ctx: Context,
    State(board): Shared,
    task_id: String,
    owner: u64,
    task_type: String,
    metadata: Map<String, Value>,
) -> Result<(), HubError> {
    board.create(task_id, owner, task_type, metadata).await?;
    Ok(ctx.clients().group(WORKERS).send("TaskAvailable", ())?)
}

#[derive(Serialize)]
struct Announcement {
    text: String,
    from: String,
}

/// Everybody who follows announcements gets it, and who is away gets it later.
async fn announce(ctx: Context, text: String) -> Result<(), HubError> {
    let from = ctx.user_id().unwrap_or_default().to_owned();
    ctx.clients().group(WORKERS).publish("Announcement", (Announcement { text, from },))?;
    Ok(())
}

/// The group of those who hear of tasks and announcements.
async fn follow(ctx: Context) -> Result<(), HubError> {
    ctx.groups().add(ctx.connection_id(), WORKERS)?;
    Ok(())
}

async fn take(ctx: Context, State(board): Shared) -> Result<Option<Task>, HubError> {
    board.take(user(&ctx)?).await
}

async fn report(ctx: Context, State(board): Shared, task_id: String, report: Report) -> Result<(), HubError> {
    board.report(user(&ctx)?, &task_id, report).await
}

async fn complete(
    ctx: Context,
    State(board): Shared,
    task_id: String,
    result: Value,
) -> Result<(), HubError> {
    board.end(user(&ctx)?, &task_id, End::Completed { result }).await
}

async fn fail(
    ctx: Context,
    State(board): Shared,
    task_id: String,
    error: String,
    retryable: bool,
) -> Result<(), HubError> {
    board.end(user(&ctx)?, &task_id, End::Failed { error, retryable }).await
}

fn user(ctx: &Context) -> Result<&str, HubError> {
    // The policy of the hub demands one.
    ctx.user_id().ok_or_else(|| HubError::new("The token names no user"))
}
