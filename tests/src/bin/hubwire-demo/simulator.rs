//! Tasks that do nothing but take time, so that there is something to follow, and the hub that starts them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hubwire_server::hubs::tasks::{Progress, TaskService};
use hubwire_server::{BuildError, Context, Hub, HubError, Policy, State};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The path of the hub.
pub(crate) const PATH: &str = "/hubs/demo";

/// All users of the demo see the same tasks.
pub(crate) const KEY: u64 = 1;

/// Tasks at once.
const MOST: usize = 20;

/// What a kind of task pretends to do.
struct Kind {
    name: &'static str,
    title: &'static str,
    /// What is counted, and how many there are.
    unit: &'static str,
    total: u32,
    steps: u32,
    step: Duration,
    stages: [&'static str; 3],
    /// It fails after that many steps.
    fails: Option<u32>,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "render",
        title: "Render trailer",
        unit: "frames",
        total: 1_440,
        steps: 40,
        step: Duration::from_millis(300),
        stages: ["Loading the scene", "Rendering", "Encoding"],
        fails: None,
    },
    Kind {
        name: "index",
        title: "Index documents",
        unit: "documents",
        total: 5_200,
        steps: 50,
        step: Duration::from_millis(400),
        stages: ["Reading", "Building the index", "Merging segments"],
        fails: None,
    },
    Kind {
        name: "train",
        title: "Train classifier",
        unit: "batches",
        total: 900,
        steps: 60,
        step: Duration::from_millis(500),
        stages: ["Preparing samples", "Training", "Evaluating"],
        fails: Some(45),
    },
];

/// A task that runs, for whoever was not there when it began.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Running {
    task_id: String,
    task_type: &'static str,
    title: &'static str,
}

/// The tasks of this process.
#[derive(Debug, Default)]
pub(crate) struct Simulator {
    /// Set when the server is built.
    service: OnceLock<TaskService>,
    running: Mutex<Vec<Running>>,
}

impl Simulator {
    pub(crate) fn serve(&self, service: TaskService) {
        // There is one server in a process.
        let _ = self.service.set(service);
    }

    /// The hub, for everybody with a name.
    pub(crate) fn hub(self: &Arc<Self>) -> Result<Hub, BuildError> {
        Hub::builder()
            .state(self.clone())
            .authorize(Policy::user())
            .method("StartTask", start)
            .method("CancelTask", cancel)
            .method("ListTasks", list)
            .build()
    }

    fn service(&self) -> Result<&TaskService, HubError> {
        self.service.get().ok_or_else(|| HubError::new("The server is not ready"))
    }

    async fn run(self: Arc<Self>, id: String, kind: &'static Kind) {
        let mut clock = tokio::time::interval(kind.step);
        clock.tick().await;
        for step in 1..kind.steps {
            clock.tick().await;
            let Ok(service) = self.service() else { return };
            let told = match kind.fails {
                Some(last) if step == last => service.failed(&id, "The samples do not fit into memory", true),
                _ => service.progress(&id, progress(kind, step)),
            };
            // It was cancelled, or has failed.
            if told.is_err() || kind.fails == Some(step) {
                self.forget(&id);
                return;
            }
        }
        clock.tick().await;
        if let Ok(service) = self.service() {
            // It may just have been cancelled.
            let _ = service.completed(&id, json!({ kind.unit: kind.total }));
        }
        self.forget(&id);
    }

    fn forget(&self, id: &str) {
        self.running.lock().retain(|task| task.task_id != id);
    }
}

fn progress(kind: &Kind, step: u32) -> Progress {
    let percentage = step * 100 / kind.steps;
    let stage = match percentage {
        0..10 => 0,
        10..85 => 1,
        _ => 2,
    };
    let mut details = Map::new();
    details.insert("title".into(), kind.title.into());
    details.insert("unit".into(), kind.unit.into());
    details.insert("total".into(), kind.total.into());
    details.insert("done".into(), (kind.total * step / kind.steps).into());
    Progress {
        percentage: u8::try_from(percentage).unwrap_or(100),
        status: Some("running".into()),
        message: Some(kind.stages[stage].into()),
        details,
    }
}

type Tasks = State<Arc<Simulator>>;

async fn start(State(tasks): Tasks, name: String) -> Result<String, HubError> {
    let kind = KINDS.iter().find(|kind| kind.name == name);
    let kind = kind.ok_or_else(|| HubError::new("There are tasks of the kinds render, index and train"))?;
    let service = tasks.service()?;
    let mut running = tasks.running.lock();
    if running.len() >= MOST {
        return Err(HubError::new(format!("At most {MOST} tasks run at once")));
    }
    let failed = |error| HubError::new(format!("The task could not be started: {error}"));
    let metadata = Map::from_iter([("title".into(), Value::from(kind.title))]);
    let id = service.create(KEY, kind.name, metadata).map_err(failed)?;
    service.started(&id, Map::new()).map_err(failed)?;
    running.push(Running { task_id: id.clone(), task_type: kind.name, title: kind.title });
    tokio::spawn(tasks.clone().run(id.clone(), kind));
    Ok(id)
}

async fn cancel(ctx: Context, State(tasks): Tasks, id: String) -> Result<(), HubError> {
    let who = ctx.user_id().unwrap_or("somebody");
    let reason = format!("by {who}");
    tasks.service()?.cancelled(&id, Some(&reason)).map_err(|error| HubError::new(error.to_string()))?;
    tasks.forget(&id);
    Ok(())
}

async fn list(State(tasks): Tasks) -> Result<Vec<Running>, HubError> {
    Ok(tasks.running.lock().clone())
}
