use std::time::Duration;

use serde_json::{Map, Value, json};

use super::*;
use crate::identity::Announcement;
use crate::transport::{MemoryClient, memory};
use crate::{Config, Deltas, History, Server, auth};

struct Fixture {
    hubs: TaskHubs,
    service: TaskService,
    handle: ServerHandle,
}

fn fixture_with(tasks: TasksConfig) -> Fixture {
    fixture_serving(tasks, HubOptions { history: Some(History::default()), ..HubOptions::default() })
}

fn fixture_serving(tasks: TasksConfig, options: HubOptions) -> Fixture {
    let hubs = TaskHubs::new(tasks);
    let mut config = Config::default();
    // The pings of the server would be in the way of virtual time.
    config.times.keep_alive = Duration::from_secs(1_000_000);
    config.times.client_timeout = Duration::from_secs(2_000_000);
    let authenticator = auth::Authenticator::hs256(b"", &config.auth);
    let builder = Server::builder().config(config).authenticator(authenticator);
    let handle = hubs.mount(builder, &options).unwrap().build().unwrap().handle();
    Fixture { service: hubs.service(handle.clone()), hubs, handle }
}

fn fixture() -> Fixture {
    fixture_with(TasksConfig::default())
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value}") };
    object
}

struct Caller {
    client: MemoryClient,
    waiting: Vec<Value>,
}

impl Fixture {
    async fn connect_with(&self, path: &str, claims: Value, announced: bool) -> Caller {
        let (transport, client) = memory(1000);
        let principal = Principal::from_claims(object(claims));
        let announcement = announced.then(Announcement::default);
        tokio::spawn(self.handle.accept_as(path, transport, principal, announcement).unwrap());
        client.send("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
        let mut caller = Caller { client, waiting: Vec::new() };
        assert_eq!(caller.receive().await, json!({}));
        caller
    }

    /// A client that is none of ours.
    async fn connect(&self, path: &str, key: u64) -> Caller {
        self.connect_with(path, json!({"VirtualKeyId": key.to_string()}), false).await
    }

    fn task(&self, owner: u64, kind: &str) -> String {
        self.service.create(owner, kind, object(json!({"model": "m"}))).unwrap()
    }

    fn advance(&self, id: &str, percentage: u8) {
        self.service.progress(id, Progress { percentage, ..Progress::default() }).unwrap();
    }
}

impl Caller {
    async fn receive(&mut self) -> Value {
        while self.waiting.is_empty() {
            let frame = self.client.receive().await.expect("the connection is open");
            let text = String::from_utf8(frame.to_vec()).unwrap();
            let records = text.split_terminator('\u{1e}');
            self.waiting.extend(records.map(|record| serde_json::from_str::<Value>(record).unwrap()));
        }
        self.waiting.remove(0)
    }

    /// The result of a method, and the events before it.
    async fn call(
        &mut self,
        target: &str,
        arguments: Value,
    ) -> (Result<Value, String>, Vec<(String, Value)>) {
        let message = json!({"type": 1, "invocationId": "1", "target": target, "arguments": arguments});
        self.client.send(format!("{message}\u{1e}")).await;
        let mut events = Vec::new();
        loop {
            let message = self.receive().await;
            if message["type"] != 3 {
                events.extend(event(&message));
                continue;
            }
            let result = match message.get("error") {
                Some(error) => Err(error.as_str().unwrap().into()),
                None => Ok(message["result"].clone()),
            };
            return (result, events);
        }
    }

    async fn subscribe(&mut self, id: &str) -> Vec<(String, Value)> {
        let (result, events) = self.call("SubscribeToTask", json!([id])).await;
        result.unwrap();
        events
    }

    /// The text of a refusal.
    async fn refused(&mut self, target: &str, arguments: Value) -> String {
        let error = self.call(target, arguments).await.0.unwrap_err();
        let prefix =
            format!("An unexpected error occurred invoking '{target}' on the server. HubException: ");
        error.strip_prefix(&prefix).unwrap_or_else(|| panic!("{error}")).into()
    }

    /// All events so far, as target and arguments.
    async fn settle(&mut self) -> Vec<(String, Value)> {
        // In virtual time nothing else is left to happen after that.
        let mut events = Vec::new();
        while let Ok(message) = tokio::time::timeout(Duration::from_millis(10), self.receive()).await {
            events.extend(event(&message));
        }
        events
    }
}

fn event(message: &Value) -> Option<(String, Value)> {
    assert_eq!(message["type"], 1, "{message}");
    let target = message["target"].as_str().unwrap();
    (target != "HubwirePosition").then(|| (target.to_owned(), message["arguments"].clone()))
}

fn named(name: &str, arguments: Value) -> (String, Value) {
    (name.to_owned(), arguments)
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_a_task_reaches_those_who_follow_it() {
    let fixture = fixture();
    let id = fixture.task(7, "research");
    let mut caller = fixture.connect(TASKS, 7).await;
    let mut other = fixture.connect(TASKS, 8).await;
    assert_eq!(caller.subscribe(&id).await, []);
    fixture.service.started(&id, Map::new()).unwrap();
    let progress = Progress { percentage: 40, message: Some("on it".into()), ..Progress::default() };
    fixture.service.progress(&id, progress.clone()).unwrap();
    fixture.service.progress(&id, progress).unwrap();
    fixture.service.completed(&id, json!({"answer": 42})).unwrap();
    let metadata = json!({"model": "m", "virtualKeyId": 7});
    assert_eq!(
        caller.settle().await,
        [
            named("TaskStarted", json!([id, "research", metadata])),
            named("TaskProgress", json!([id, 40, "on it"])),
            named("TaskCompleted", json!([id, {"answer": 42}])),
        ]
    );
    assert_eq!(other.settle().await, []);
    // What is over stays as it is.
    for result in [
        fixture.service.started(&id, Map::new()),
        fixture.service.progress(&id, Progress::default()),
        fixture.service.failed(&id, "x", true),
    ] {
        assert_eq!(result, Err(TaskError::Ended));
    }
    assert_eq!(caller.settle().await, []);
}

#[tokio::test(start_paused = true)]
async fn every_end_has_its_event() {
    let fixture = fixture();
    let mut caller = fixture.connect(TASKS, 7).await;
    let ids: Vec<_> = (0..4).map(|_| fixture.task(7, "x")).collect();
    for id in &ids {
        caller.subscribe(id).await;
    }
    fixture.service.failed(&ids[0], "broken", true).unwrap();
    fixture.service.cancelled(&ids[1], None).unwrap();
    fixture.service.cancelled(&ids[2], Some("why not")).unwrap();
    fixture.service.timed_out(&ids[3], 30).unwrap();
    let expected = [
        named("TaskFailed", json!([ids[0], "broken", true])),
        named("TaskCancelled", json!([ids[1], null])),
        named("TaskCancelled", json!([ids[2], "why not"])),
        named("TaskTimedOut", json!([ids[3], 30])),
    ];
    assert_eq!(caller.settle().await, expected);
    // Who comes later gets the end as well.
    let mut late = fixture.connect(TASKS, 7).await;
    for (id, expected) in ids.iter().zip(expected) {
        assert_eq!(late.subscribe(id).await, [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_follows_a_task_later_learns_how_it_is() {
    let fixture = fixture();
    let id = fixture.task(7, "research");
    fixture.service.started(&id, Map::new()).unwrap();
    let mut first = fixture.connect(TASKS, 7).await;
    let metadata = json!({"model": "m", "virtualKeyId": 7});
    assert_eq!(first.subscribe(&id).await, [named("TaskStarted", json!([id, "research", metadata]))]);
    fixture.advance(&id, 10);
    fixture.advance(&id, 20);
    let mut second = fixture.connect(TASKS, 7).await;
    assert_eq!(second.subscribe(&id).await, [named("TaskProgress", json!([id, 20, null]))]);
    // Ours get the whole object once, and then what changed.
    let mut ours = fixture.connect_with(TASKS, json!({"VirtualKeyId": 7}), true).await;
    let events = ours.subscribe(&id).await;
    let [(target, arguments)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&**target, arguments[0]["full"].clone()), ("TaskProgressDelta", json!(true)));
    assert_eq!((&arguments[0]["taskId"], &arguments[0]["progressPercentage"]), (&json!(id), &json!(20)));
    fixture.advance(&id, 30);
    let events = ours.settle().await;
    let mut delta = object(events[0].1[0].clone());
    // It may be the same millisecond.
    delta.remove("timestamp");
    assert_eq!(
        Value::Object(delta),
        json!({"taskId": id, "progressPercentage": 30, "sequence": 3, "baseSequence": 2})
    );
    assert_eq!(second.settle().await, [named("TaskProgress", json!([id, 30, null]))]);
    second.call("UnsubscribeFromTask", json!([id])).await.0.unwrap();
    fixture.advance(&id, 40);
    assert_eq!(second.settle().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_had_to_give_way_is_sent_again() {
    let deltas = Some(Deltas { max_keys: 1, ..Deltas::default() });
    let fixture = fixture_serving(TasksConfig::default(), HubOptions { deltas, ..HubOptions::default() });
    let (id, other) = (fixture.task(7, "x"), fixture.task(7, "x"));
    let mut ours = fixture.connect_with(TASKS, json!({"VirtualKeyId": 7}), true).await;
    fixture.advance(&id, 10);
    for full in [true, false] {
        let events = ours.subscribe(&id).await;
        assert_eq!(events.len(), usize::from(full), "only who does not have it gets it");
    }
    fixture.advance(&other, 20);
    let events = ours.subscribe(&id).await;
    assert_eq!((&events[0].1[0]["full"], &events[0].1[0]["progressPercentage"]), (&json!(true), &json!(10)));
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_and_admins_follow_a_task() {
    let fixture = fixture();
    let id = fixture.task(7, "video_generation");
    let [video, enhanced] = VIDEO;
    for (path, unknown) in [
        (TASKS, "Task not found"),
        (video, "Unauthorized access to task"),
        (enhanced, "Unauthorized access to task"),
        (IMAGE, "Unauthorized access to task"),
    ] {
        let mut foreign = fixture.connect(path, 8).await;
        assert_eq!(foreign.refused("SubscribeToTask", json!([id])).await, "Unauthorized access to task");
        assert_eq!(foreign.refused("SubscribeToTask", json!(["x"])).await, unknown, "{path}");
        for bad in [json!(""), json!(" "), json!(null), json!(5), json!("a\nb"), json!("x".repeat(129))] {
            assert_eq!(foreign.refused("SubscribeToTask", json!([bad])).await, "Invalid task ID");
            assert_eq!(foreign.refused("UnsubscribeFromTask", json!([bad])).await, "Invalid task ID");
        }
        let claims = json!({"VirtualKeyId": "8", "IsAdmin": "true"});
        let mut admin = fixture.connect_with(path, claims, false).await;
        match path == IMAGE {
            true => assert!(admin.refused("SubscribeToTask", json!([id])).await.contains("Unauthorized")),
            false => assert_eq!(admin.subscribe(&id).await, []),
        }
    }
    // Nobody can make up events.
    let mut caller = fixture.connect(TASKS, 7).await;
    for method in ["TaskStarted", "TaskProgress", "TaskCompleted", "TaskFailed", "SendTaskProgressWithAck"] {
        let error = caller.call(method, json!([id, 1, null])).await.0.unwrap_err();
        assert!(error.contains("Unknown hub method") || error.contains("does not exist"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_of_an_earlier_server_goes_on_where_it_was() {
    let fixture = fixture();
    fixture.service.restore("before", 7, "research", Map::new()).unwrap();
    fixture.service.started("before", Map::new()).unwrap();
    fixture.advance("before", 60);
    let mut caller = fixture.connect(TASKS, 7).await;
    assert_eq!(caller.subscribe("before").await, [named("TaskProgress", json!(["before", 60, null]))]);
    fixture.advance("before", 70);
    assert_eq!(caller.settle().await, [named("TaskProgress", json!(["before", 70, null]))]);
    let again = fixture.service.restore("before", 8, "research", Map::new());
    assert_eq!(again, Err(TaskError::Known), "it stays whose it is");
    for bad in ["", " ", "a\nb", &"x".repeat(129)] {
        let refused = fixture.service.restore(bad, 7, "research", Map::new());
        assert_eq!(refused, Err(TaskError::Invalid("the id of the task")), "{bad:?}");
    }
}

#[test]
fn a_key_is_a_number() {
    let key = |claim: Value| key_id(&Principal::from_claims(object(json!({"VirtualKeyId": claim}))));
    assert_eq!((key(json!("7")), key(json!(7))), (Some(7), Some(7)));
    for other in [json!(""), json!("-7"), json!("+7"), json!("7-video"), json!(-7), json!(7.5), json!(null)] {
        assert_eq!(key(other.clone()), None, "{other}");
    }
    assert_eq!(key_id(&Principal::anonymous()), None);
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_a_type_are_those_of_the_own_key() {
    let fixture = fixture();
    let (mut caller, mut other) = (fixture.connect(TASKS, 7).await, fixture.connect(TASKS, 8).await);
    for client in [&mut caller, &mut other] {
        client.call("SubscribeToTaskType", json!(["research"])).await.0.unwrap();
        assert_eq!(client.refused("SubscribeToTaskType", json!(["a b"])).await, "Invalid task type");
    }
    let id = fixture.task(7, "research");
    fixture.service.started(&id, Map::new()).unwrap();
    let elsewhere = fixture.task(7, "cooking");
    fixture.service.started(&elsewhere, Map::new()).unwrap();
    let events = caller.settle().await;
    assert_eq!((events.len(), &events[0].1[0]), (1, &json!(id)));
    assert_eq!(other.settle().await, []);
    caller.call("UnsubscribeFromTaskType", json!(["research"])).await.0.unwrap();
    let again = fixture.task(7, "research");
    fixture.service.started(&again, Map::new()).unwrap();
    assert_eq!(caller.settle().await, []);
}

#[tokio::test(start_paused = true)]
async fn the_hubs_of_a_kind_send_one_object() {
    let fixture = fixture();
    let id = fixture.task(7, "video_generation");
    let mut clients = Vec::new();
    for path in VIDEO {
        let mut client = fixture.connect(path, 7).await;
        assert_eq!(client.subscribe(&id).await, []);
        clients.push(client);
    }
    fixture.service.started(&id, object(json!({"provider": "p", "estimatedSeconds": null}))).unwrap();
    fixture.advance(&id, 50);
    fixture.service.completed(&id, json!({"videoUrl": "u", "cost": 1.5})).unwrap();
    for client in &mut clients {
        let events = client.settle().await;
        let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "VideoGenerationStarted",
            "VideoGenerationProgress",
            "TaskProgress",
            "VideoGenerationCompleted",
            "TaskCompleted",
        ];
        assert_eq!(names, expected);
        let keys = |index: usize| -> Vec<String> {
            assert_eq!(events[index].1.as_array().unwrap().len(), 1);
            assert_eq!(events[index].1[0]["taskId"], id.as_str());
            object(events[index].1[0].clone()).keys().cloned().collect()
        };
        assert_eq!(keys(0), ["provider", "startedAt", "taskId"]);
        assert_eq!(keys(1), ["progressPercentage", "status", "taskId", "timestamp"]);
        assert_eq!(keys(3), ["completedAt", "cost", "taskId", "videoUrl"]);
        let (progress, completed) = (&events[2].1[0], &events[4].1[0]);
        assert_eq!((&progress["progressPercentage"], &progress["priority"]), (&json!(50), &json!(5)));
        assert_eq!((&completed["isSuccess"], &completed["result"]["videoUrl"]), (&json!(true), &json!("u")));
        assert_ne!(progress["messageId"], completed["messageId"]);
    }
    let mut late = fixture.connect(VIDEO[0], 7).await;
    let names: Vec<_> = late.subscribe(&id).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["VideoGenerationCompleted", "TaskCompleted"]);
    // Images have names of their own.
    let image = fixture.task(7, "image_generation");
    let mut client = fixture.connect(IMAGE, 7).await;
    client.subscribe(&image).await;
    fixture.service.cancelled(&image, Some("no")).unwrap();
    let events = client.settle().await;
    assert_eq!((&*events[0].0, &events[0].1[0]["reason"]), ("ImageGenerationCancelled", &json!("no")));
    assert_eq!((&*events[1].0, &events[1].1[0]["isSuccess"]), ("TaskCompleted", &json!(false)));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_on_every_hub() {
    let fixture = fixture();
    for path in [TASKS, VIDEO[0], VIDEO[1], IMAGE] {
        let time = fixture.connect(path, 7).await.call("Ping", json!([])).await.0.unwrap();
        assert!(time.as_u64().unwrap() > 1_600_000_000_000, "{time}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_tasks_are_known_and_for_so_long() {
    let config = TasksConfig {
        tasks: 2,
        kept: Duration::from_secs(10),
        idle: Duration::from_secs(100),
        object_bytes: 30,
    };
    let fixture = fixture_with(config);
    let (first, second) = (fixture.task(7, "x"), fixture.task(7, "x"));
    assert_eq!(fixture.service.create(7, "x", Map::new()), Err(TaskError::Full));
    fixture.service.completed(&second, json!(1)).unwrap();
    let third = fixture.task(7, "x");
    assert_eq!(fixture.hubs.len(), 2);
    assert_eq!(fixture.service.failed(&second, "x", true), Err(TaskError::Unknown));
    fixture.service.completed(&third, json!(1)).unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    fixture.advance(&first, 1);
    assert_eq!(fixture.hubs.len(), 1, "the third is over for long enough");
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(
        fixture.service.progress(&first, Progress::default()),
        Err(TaskError::Unknown),
        "nothing was heard of it for too long"
    );
    assert!(fixture.hubs.is_empty());
    let long = "x".repeat(30);
    let id = fixture.task(7, "x");
    let invalid =
        |result: Result<(), TaskError>| assert!(matches!(result, Err(TaskError::Invalid(_))), "{result:?}");
    invalid(fixture.service.failed(&id, &long, true));
    invalid(fixture.service.completed(&id, json!(long)));
    invalid(fixture.service.progress(&id, Progress { percentage: 101, ..Progress::default() }));
    invalid(fixture.service.progress(&id, Progress { message: Some(long), ..Progress::default() }));
    invalid(fixture.service.create(7, "a b", Map::new()).map(drop));
}
