//! `/hubs/delivery`: what only Hubwire servers do, on demand, for the scenarios of `tests/scenarios`; and tasks for the hubs of
//! tasks. `tests/interop/HUB.md` says what the methods do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use hubwire_server::config::Config;
use hubwire_server::hubs::tasks::Progress;
use hubwire_server::hubs::{ChatHub, TaskHubs, TaskService, TasksConfig};
use hubwire_server::{
    Acknowledgements, Context, DeltaKey, Hub, HubClients, HubError, HubOptions, Outcome, ReliableOptions,
    Server, ServerBuilder, State,
};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::{Done, locked};

const PATH: &str = "/hubs/delivery";

/// The virtual key that all tasks belong to.
const OWNER: u64 = 7;

/// What the methods need of the server, which is there when the first client is.
#[derive(Default)]
pub(crate) struct Scene {
    clients: OnceLock<HubClients>,
    tasks: OnceLock<TaskService>,
    /// What became of messages, by their ids.
    outcomes: Mutex<HashMap<String, watch::Receiver<Option<String>>>>,
}

type Shared = State<Arc<Scene>>;

fn failed(error: impl ToString) -> HubError {
    HubError::new(error.to_string())
}

impl Scene {
    fn clients(&self) -> Result<&HubClients, HubError> {
        self.clients.get().ok_or_else(|| HubError::new("The server is starting"))
    }

    fn tasks(&self) -> Result<&TaskService, HubError> {
        self.tasks.get().ok_or_else(|| HubError::new("The server is starting"))
    }
}

async fn join(ctx: Context, group: String) -> Done {
    ctx.groups().add(ctx.connection_id(), &group)?;
    Ok(())
}

async fn deliver(
    ctx: Context,
    State(scene): Shared,
    event: String,
    message: Value,
) -> Result<String, HubError> {
    // One attempt, so that a refusal is the end.
    let send = ctx.clients().caller().reliable(ReliableOptions::default().critical(false));
    let confirmation = send.send(&event, message).await?;
    let id = confirmation.message_id().to_owned();
    let (sender, receiver) = watch::channel(None);
    locked(&scene.outcomes).insert(id.clone(), receiver);
    tokio::spawn(async move {
        let outcomes = confirmation.outcomes().await;
        let outcome = match outcomes.into_iter().next() {
            Some((_, Outcome::Acknowledged)) => "acknowledged".to_owned(),
            Some((_, Outcome::Nacked(reason))) => format!("failed: {reason}"),
            Some((_, other)) => format!("failed: {other:?}"),
            None => "failed: nobody was there".to_owned(),
        };
        let _ = sender.send(Some(outcome));
    });
    Ok(id)
}

async fn outcome(ctx: Context, State(scene): Shared, id: String) -> Result<String, HubError> {
    let receiver = locked(&scene.outcomes).get(&id).cloned();
    let mut receiver = receiver.ok_or_else(|| HubError::new("There is no such message"))?;
    // The client acknowledges with a call, which must not wait for this one.
    ctx.release_turn();
    let known = receiver.wait_for(Option::is_some);
    let gone = ctx.cancellation();
    tokio::select! {
        outcome = known => Ok(outcome.map_err(failed)?.clone().unwrap_or_default()),
        () = gone.cancelled() => Err(HubError::new("The caller is gone")),
    }
}

async fn batch(State(scene): Shared, group: String, event: String, values: Vec<Value>) -> Done {
    let group = scene.clients()?.group(&group);
    for value in &values {
        group.send_batched(&event, value)?;
    }
    Ok(())
}

async fn change(State(scene): Shared, group: String, event: String, key: String, object: Value) -> Done {
    scene.clients()?.group(&group).send_delta(&event, &DeltaKey::new("taskId", key), &object)?;
    Ok(())
}

async fn start_task(State(scene): Shared, id: String, task_type: String) -> Done {
    let tasks = scene.tasks()?;
    tasks.restore(&id, OWNER, &task_type, Map::new()).map_err(failed)?;
    tasks.started(&id, Map::new()).map_err(failed)
}

async fn progress(State(scene): Shared, id: String, percentage: u8) -> Done {
    let progress = Progress { percentage, ..Progress::default() };
    scene.tasks()?.progress(&id, progress).map_err(failed)
}

async fn complete_task(State(scene): Shared, id: String, result: Value) -> Done {
    scene.tasks()?.completed(&id, result).map_err(failed)
}

/// The server with these hubs and those of chat and tasks.
pub(crate) struct Extras {
    scene: Arc<Scene>,
    tasks: TaskHubs,
}

impl Extras {
    pub(crate) fn new() -> Self {
        Self { scene: Arc::default(), tasks: TaskHubs::new(TasksConfig::default()) }
    }

    pub(crate) fn mount(
        &self,
        builder: ServerBuilder,
        config: &Config,
    ) -> Result<ServerBuilder, Box<dyn std::error::Error>> {
        let hub = Hub::builder()
            .state(self.scene.clone())
            .method("Join", join)
            .method("Deliver", deliver)
            .method("Outcome", outcome)
            .method("Batch", batch)
            .method("Change", change)
            .method("StartTask", start_task)
            .method("Progress", progress)
            .method("CompleteTask", complete_task)
            .build()?;
        let options =
            HubOptions { acknowledgements: Some(Acknowledgements::default()), ..HubOptions::default() };
        let chat = ChatHub::new(config.chat.clone()).hub()?;
        let builder = builder.hub_with(PATH, hub, options).hub("/hubs/chat", chat);
        Ok(self.tasks.mount(builder, &HubOptions::default())?)
    }

    /// The server is there.
    pub(crate) fn begin(&self, server: &Server) -> Result<(), Box<dyn std::error::Error>> {
        let clients = server.handle().hub(PATH).ok_or("the hub is not there")?;
        if self.scene.clients.set(clients).is_err()
            || self.scene.tasks.set(self.tasks.service(server.handle())).is_err()
        {
            return Err("the server begins twice".into());
        }
        Ok(())
    }
}
