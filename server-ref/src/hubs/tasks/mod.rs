//! The task hubs: long-running tasks of somebody, and how far they are.
//!
//! Tasks belong to virtual keys: the claim `VirtualKeyId` of a token, a number. Clients follow their own tasks, and
//! with the claim `IsAdmin` those of all keys. What happens to tasks is said by the application, through
//! [`TaskService`]: no client can make up events.
//!
//! | path | groups | events |
//! |---|---|---|
//! | `/hubs/tasks` | `task-{id}`, `vkey-{key}-{type}` | `TaskStarted`, `TaskProgress`, `TaskCompleted`, … with a list of arguments |
//! | `/hubs/video-generation`, `/hubs/enhanced-video-generation` | `video-{id}` | `VideoGenerationStarted`, …, `TaskProgress` and `TaskCompleted`, with one object |
//! | `/hubs/image-generation` | `image-{id}` | the same with `ImageGeneration` |
//!
//! ```
//! use hubwire_server::hubs::tasks::{TaskHubs, TasksConfig};
//! use hubwire_server::{Config, HubOptions, Server};
//! use serde_json::Map;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let tasks = TaskHubs::new(TasksConfig::default());
//! let mut config = Config::default();
//! config.auth.signing_key = Some("0123456789abcdef0123456789abcdef".into());
//! let server = tasks.mount(Server::builder().config(config), &HubOptions::default())?.build()?;
//! let service = tasks.service(server.handle());
//! let id = service.create(7, "video_generation", Map::new())?;
//! service.started(&id, Map::new())?;
//! # Ok(())
//! # }
//! ```

mod events;
mod methods;
mod service;
mod table;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use hubwire::Time;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::time::Instant;

use crate::error::BuildError;
use crate::{HubOptions, Principal, ServerBuilder, ServerHandle};
use events::Kind;
use methods::{View, hub};
pub use service::TaskService;
use table::Table;
pub use table::{Progress, TaskError};

/// How many tasks are known, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TasksConfig {
    /// Tasks at once. With more, those that ended first are forgotten; if none has ended, no other can be created.
    pub tasks: usize,
    /// How long a task is known after its end.
    pub kept: Duration,
    /// How long a task is known of which nothing is heard.
    pub idle: Duration,
    /// Bytes of each object and text that the application gives for a task, as JSON.
    pub object_bytes: usize,
}

impl Default for TasksConfig {
    fn default() -> Self {
        Self {
            tasks: 10_000,
            kept: Duration::from_secs(3_600),
            idle: Duration::from_secs(24 * 3_600),
            object_bytes: 16 * 1024,
        }
    }
}

/// The hub of all tasks.
pub const TASKS: &str = "/hubs/tasks";
/// The hubs of tasks that make videos.
pub const VIDEO: [&str; 2] = ["/hubs/video-generation", ENHANCED];

/// The one of them whose messages are acknowledged.
pub const ENHANCED: &str = "/hubs/enhanced-video-generation";
/// The hub of tasks that make images.
pub const IMAGE: &str = "/hubs/image-generation";

/// What all task hubs of a server share.
#[derive(Debug)]
struct Tasks {
    started: Instant,
    /// Held while events leave, so that they leave in the order in which things happened.
    table: Mutex<Table>,
    config: TasksConfig,
}

impl Tasks {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }

    fn now(&self) -> Time {
        Time::from_millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// The task hubs of a server.
#[derive(Clone, Debug)]
pub struct TaskHubs {
    tasks: Arc<Tasks>,
}

impl TaskHubs {
    /// No tasks yet. Times are those of the tokio clock.
    pub fn new(config: TasksConfig) -> Self {
        let tasks = Tasks { started: Instant::now(), table: Mutex::new(Table::new(config)), config };
        Self { tasks: Arc::new(tasks) }
    }

    /// Adds the hubs to a server, all with the same options.
    ///
    /// # Errors
    /// None in practice; the signature is that of [`HubBuilder::build`](crate::HubBuilder::build).
    pub fn mount(
        &self,
        mut server: ServerBuilder,
        options: &HubOptions,
    ) -> Result<ServerBuilder, BuildError> {
        let [video, enhanced] = VIDEO;
        for (path, kind) in [
            (TASKS, None),
            (video, Some(Kind::Video)),
            (enhanced, Some(Kind::Video)),
            (IMAGE, Some(Kind::Image)),
        ] {
            let hub = hub(View { tasks: self.tasks.clone(), kind })?;
            server = server.hub_with(path, hub, options.clone());
        }
        Ok(server)
    }

    /// The way to say what happens to tasks, once the server is built.
    pub fn service(&self, server: ServerHandle) -> TaskService {
        TaskService::new(self.tasks.clone(), server)
    }

    /// How many tasks are known.
    pub fn len(&self) -> usize {
        self.tasks.table().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn task_group(kind: Option<Kind>, id: &str) -> String {
    format!("{}-{id}", kind.map_or("task", Kind::group_prefix))
}

fn type_group(key: u64, task_type: &str) -> String {
    format!("vkey-{key}-{task_type}")
}

/// The virtual key of a token. Only a number is one: with anything else in the names of groups, those of two keys
/// could be the same.
fn key_id(principal: &Principal) -> Option<u64> {
    match principal.claim("VirtualKeyId")? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}
