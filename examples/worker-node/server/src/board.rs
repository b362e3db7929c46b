//! The tasks that were given, who does them, and how far they are: on the disk before anybody is told of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use hubwire_server::HubError;
use hubwire_server::hubs::tasks::{Progress, TaskService};
use hubwire_server::store::{Change, DeliveryStore};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

type Object = Map<String, Value>;

/// Tasks that are not over, at once.
const MOST: usize = 1_000;

/// What a worker says of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// From 1 on, without holes.
    step: u64,
    progress_percentage: u8,
    status: Option<String>,
    message: Option<String>,
    #[serde(flatten)]
    details: Object,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum End {
    Completed { result: Value },
    Failed { error: String, retryable: bool },
}

/// A task, as workers get it and as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task {
    task_id: String,
    task_type: String,
    metadata: Object,
    /// The virtual key whose task it is.
    owner: u64,
    /// Tasks are done in the order of their numbers.
    number: u64,
    /// The user who does it.
    worker: Option<String>,
    /// The last step that was reported.
    step: u64,
    report: Option<Report>,
    end: Option<End>,
}

type Tasks = BTreeMap<String, Task>;

/// All tasks. One change at a time: its order in the store is that in which people hear of it.
#[derive(Debug)]
pub(crate) struct Board {
    store: Arc<dyn DeliveryStore>,
    table: Arc<str>,
    tasks: Mutex<Tasks>,
    /// Set when the server is built.
    service: OnceLock<TaskService>,
}

impl Board {
    /// Reads what an earlier server has left.
    pub(crate) fn open(store: impl DeliveryStore) -> Result<Self, Box<dyn Error>> {
        let table: Arc<str> = "tasks".into();
        let mut tasks = Tasks::new();
        for (_, record) in store.load(&table)?.records {
            let task: Task = serde_json::from_slice(&record)?;
            tasks.insert(task.task_id.clone(), task);
        }
        Ok(Self { store: Arc::new(store), table, tasks: Mutex::new(tasks), service: OnceLock::new() })
    }

    /// Makes the tasks known to those who will follow them.
    pub(crate) async fn serve(&self, service: TaskService) -> Result<(), Box<dyn Error>> {
        for task in self.tasks.lock().await.values() {
            service.restore(&task.task_id, task.owner, &task.task_type, task.metadata.clone())?;
            if task.worker.is_some() {
                service.started(&task.task_id, Map::new())?;
            }
            if let Some(report) = &task.report {
                service.progress(&task.task_id, report.progress())?;
            }
            if let Some(end) = &task.end {
                tell_end(&service, &task.task_id, end)?;
            }
        }
        // There is one server in a process.
        let _ = self.service.set(service);
        Ok(())
    }

    /// A new task. Its id is said by who gives it, so that giving it twice is giving it once.
    pub(crate) async fn create(
        &self,
        task_id: String,
        owner: u64,
        task_type: String,
        metadata: Object,
    ) -> Result<(), HubError> {
        let service = self.service()?;
        let mut tasks = self.tasks.lock().await;
        if let Some(known) = tasks.get(&task_id) {
            let same = known.owner == owner && known.task_type == task_type && known.metadata == metadata;
            return if same { Ok(()) } else { Err(HubError::new("There is another task with that id")) };
        }
        if tasks.values().filter(|task| task.end.is_none()).count() >= MOST {
            return Err(HubError::new(format!("At most {MOST} tasks can wait")));
        }
        let number = tasks.values().map(|task| task.number + 1).max().unwrap_or(1);
        service.restore(&task_id, owner, &task_type, metadata.clone()).map_err(refused)?;
        let task = Task {
            task_id,
            task_type,
            metadata,
            owner,
            number,
            worker: None,
            step: 0,
            report: None,
            end: None,
        };
        self.keep(&task).await?;
        tasks.insert(task.task_id.clone(), task);
        Ok(())
    }

    /// The task that this worker has begun, else the one that waits for longest.
    pub(crate) async fn take(&self, worker: &str) -> Result<Option<Task>, HubError> {
        let service = self.service()?;
        let mut tasks = self.tasks.lock().await;
        let open = || tasks.values().filter(|task| task.end.is_none());
        if let Some(begun) = open().find(|task| task.worker.as_deref() == Some(worker)) {
            return Ok(Some(begun.clone()));
        }
        let Some(mut task) =
            open().filter(|task| task.worker.is_none()).min_by_key(|task| task.number).cloned()
        else {
            return Ok(None);
        };
        task.worker = Some(worker.to_owned());
        self.keep(&task).await?;
        tasks.insert(task.task_id.clone(), task.clone());
        service.started(&task.task_id, Map::new()).map_err(refused)?;
        Ok(Some(task))
    }

    /// How far a task is. A step that is known is one that was sent again; a step that is missing is lost, and an error.
    pub(crate) async fn report(&self, worker: &str, task_id: &str, report: Report) -> Result<(), HubError> {
        let service = self.service()?;
        let mut tasks = self.tasks.lock().await;
        let mut task = own(&tasks, worker, task_id)?;
        if report.step <= task.step {
            return Ok(());
        }
        if report.step != task.step + 1 || task.end.is_some() {
            let (step, last) = (report.step, task.step);
            return Err(HubError::new(format!("Step {step} comes after step {last}")));
        }
        task.step = report.step;
        let progress = report.progress();
        task.report = Some(report);
        self.keep(&task).await?;
        tasks.insert(task.task_id.clone(), task);
        service.progress(task_id, progress).map_err(refused)
    }

    /// The end of a task. Only the first one counts.
    pub(crate) async fn end(&self, worker: &str, task_id: &str, end: End) -> Result<(), HubError> {
        let service = self.service()?;
        let mut tasks = self.tasks.lock().await;
        let mut task = own(&tasks, worker, task_id)?;
        if task.end.is_some() {
            return Ok(());
        }
        task.end = Some(end.clone());
        self.keep(&task).await?;
        tasks.insert(task.task_id.clone(), task);
        tell_end(service, task_id, &end).map_err(refused)
    }

    fn service(&self) -> Result<&TaskService, HubError> {
        self.service.get().ok_or_else(|| HubError::new("The server is not ready"))
    }

    async fn keep(&self, task: &Task) -> Result<(), HubError> {
        let failed =
            |error: &dyn std::fmt::Display| HubError::new(format!("The task cannot be kept: {error}"));
        let value = serde_json::to_vec(task).map_err(|error| failed(&error))?;
        let change = Change::Put { table: self.table.clone(), key: task.task_id.clone().into_bytes(), value };
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.apply(&[change]))
            .await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))
    }
}

impl Report {
    fn progress(&self) -> Progress {
        let mut details = self.details.clone();
        details.insert("step".into(), self.step.into());
        Progress {
            percentage: self.progress_percentage,
            status: self.status.clone(),
            message: self.message.clone(),
            details,
        }
    }
}

/// The task, if it is this worker's.
fn own(tasks: &Tasks, worker: &str, task_id: &str) -> Result<Task, HubError> {
    let own = tasks.get(task_id).filter(|task| task.worker.as_deref() == Some(worker));
    own.cloned().ok_or_else(|| HubError::new("That is no task of yours"))
}

fn tell_end(
    service: &TaskService,
    task_id: &str,
    end: &End,
) -> Result<(), hubwire_server::hubs::tasks::TaskError> {
    match end {
        End::Completed { result } => service.completed(task_id, result.clone()),
        End::Failed { error, retryable } => service.failed(task_id, error, *retryable),
    }
}

#[allow(clippy::needless_pass_by_value)]
fn refused(error: hubwire_server::hubs::tasks::TaskError) -> HubError {
    HubError::new(error.to_string())
}
