//! The task hubs over real sockets: who may connect, and what a client learns that was away.
#![allow(clippy::unwrap_used, missing_docs)]

mod raw;

use std::time::Duration;

use hubwire_server::hubs::tasks::{IMAGE, Progress, TASKS, VIDEO};
use hubwire_server::hubs::{TaskHubs, TaskService, TasksConfig};
use hubwire_server::testing::TestServer;
use hubwire_server::{Config, History, HubOptions, Server, auth};
use raw::{Raw, offset, position};
use serde_json::{Map, Value, json};
use tokio_tungstenite::tungstenite::Error;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

async fn start() -> (TestServer, TaskService) {
    let tasks = TaskHubs::new(TasksConfig::default());
    let mut config = Config::default();
    config.auth.signing_key = Some(String::from_utf8(KEY.to_vec()).unwrap());
    let options =
        HubOptions { history: Some(History::default()), stateful_reconnect: true, ..HubOptions::default() };
    let server = tasks.mount(Server::builder().config(config), &options).unwrap().build().unwrap();
    let service = tasks.service(server.handle());
    (TestServer::start(server).await.unwrap(), service)
}

fn token(claims: Value) -> String {
    let Value::Object(claims) = claims else { panic!() };
    auth::sign(KEY, claims, Duration::from_secs(60)).unwrap()
}

#[tokio::test]
async fn only_virtual_keys_connect() {
    let (server, _) = start().await;
    for path in [TASKS, VIDEO[0], VIDEO[1], IMAGE] {
        for (query, status) in [
            (String::new(), 401),
            (format!("access_token={}", token(json!({"sub": "alice"}))), 403),
            (format!("access_token={}", token(json!({"VirtualKeyId": "x-7"}))), 403),
        ] {
            let url = format!("{}?{query}", server.ws_url(path));
            let error = tokio_tungstenite::connect_async(url).await.unwrap_err();
            let Error::Http(response) = error else { panic!("{error}") };
            assert_eq!(response.status(), status, "{path} {query}");
        }
        let query = format!("access_token={}", token(json!({"VirtualKeyId": "7"})));
        let mut client = Raw::connect(&server, path, &query).await;
        assert!(client.invoke("Ping", json!([])).await.0.is_u64());
    }
}

#[tokio::test]
async fn what_happened_meanwhile_is_recovered() {
    let (server, service) = start().await;
    let query = format!("hubwire=1&access_token={}", token(json!({"VirtualKeyId": 7})));
    let id = service.create(7, "research", Map::new()).unwrap();
    let mut client = Raw::connect(&server, TASKS, &query).await;
    let of_key = position(&client.expect("HubwirePosition").await);
    assert!(of_key.ends_with("/0/group:vkey-7"), "{of_key}");
    let (_, before) = client.invoke("SubscribeToTask", json!([id])).await;
    let start = position(&before[0]);
    assert_eq!((before.len(), offset(&start)), (1, 0));
    drop(client);
    service.started(&id, Map::new()).unwrap();
    service.progress(&id, Progress { percentage: 50, ..Progress::default() }).unwrap();
    service.completed(&id, json!("done")).unwrap();

    let mut client = Raw::connect(&server, TASKS, &query).await;
    client.expect("HubwirePosition").await;
    // Nobody gets what was missed without following the task.
    let (answers, before) = client.invoke("HubwireRecover", json!([[start]])).await;
    assert_eq!((answers, before), (json!(["unsubscribed"]), vec![]));
    let (_, before) = client.invoke("SubscribeToTask", json!([id])).await;
    let names: Vec<_> = before.iter().map(|message| message["target"].as_str().unwrap()).collect();
    assert_eq!(names, ["HubwirePosition", "TaskCompleted"], "how it is now");
    let (answers, before) = client.invoke("HubwireRecover", json!([[start]])).await;
    assert!(answers[0].as_str().unwrap().starts_with("complete:"), "{answers}");
    let names: Vec<_> = before.iter().map(|message| message["target"].as_str().unwrap()).collect();
    assert_eq!(names, ["TaskStarted", "TaskCompleted"], "progress is a state and no message of the stream");
    assert_eq!(before[1]["arguments"], json!([id, "done"]));
}

/// The next call of that method.
async fn until(client: &mut Raw, target: &str) -> Value {
    loop {
        let message = client.receive().await;
        if message["target"] == target {
            return message;
        }
    }
}

#[tokio::test]
async fn the_enhanced_hub_waits_for_acknowledgements() {
    let (server, service) = start().await;
    let query = format!("hubwire=1&clientId=me&access_token={}", token(json!({"VirtualKeyId": 7})));
    let id = service.create(7, "video_generation", Map::new()).unwrap();
    let mut client = Raw::connect(&server, VIDEO[1], &query).await;
    client.invoke("SubscribeToTask", json!([id])).await;
    service.started(&id, Map::new()).unwrap();
    service.progress(&id, Progress { percentage: 50, ..Progress::default() }).unwrap();
    let message = until(&mut client, "TaskProgress").await;
    let object = &message["arguments"][0];
    let message_id = object["messageId"].as_str().unwrap().to_owned();
    assert_eq!(message["headers"]["hubwire-message"], json!(message_id));
    assert_eq!((&object["progressPercentage"], &object["priority"]), (&json!(50), &json!(5)));
    let status = |id: &str| json!([id]);
    assert_eq!(client.invoke("GetMessageStatus", status(&message_id)).await.0, json!(0), "pending");
    client.invoke("AcknowledgeMessage", status(&message_id)).await;
    assert_eq!(client.invoke("GetMessageStatus", status(&message_id)).await.0, json!(1));
    // What is not acknowledged comes again over the next connection.
    service.completed(&id, json!("done")).unwrap();
    let first = until(&mut client, "TaskCompleted").await["arguments"][0]["messageId"].clone();
    drop(client);
    let mut client = Raw::connect(&server, VIDEO[1], &query).await;
    assert_eq!(until(&mut client, "TaskCompleted").await["arguments"][0]["messageId"], first);
}
