//! What a hub answers, over a real socket.

mod support;

use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use hubwire_server::{
    CancellationToken, Context, DisconnectReason, Hub, HubError, Policy, State, UploadStream,
};
use serde_json::{Value, json};
use support::{Socket, start, start_with};
use tokio::sync::{Notify, mpsc};

const PATH: &str = "/hubs/test";

async fn echo(value: Value) -> Result<Value, HubError> {
    Ok(value)
}

#[tokio::test]
async fn values_void_and_several_arguments() {
    let hub = Hub::builder()
        .method("Echo", echo)
        .method("Add", async |a: i64, b: i64| Ok::<_, HubError>(a + b))
        .method("Nothing", async || Ok::<_, HubError>(()))
        .build()
        .unwrap();
    let server = start(PATH, hub).await;
    let mut client = Socket::connect(&server, PATH).await;
    let value = json!({"text": "naïve 🎉 \"quoted\"", "list": [1, 2.5, null, true]});
    assert_eq!(client.call("Echo", json!([value])).await, Ok(value));
    // Names have no case.
    assert_eq!(client.call("aDD", json!([2, 40])).await, Ok(json!(42)));
    client.invoke("1", "Nothing", json!([])).await;
    assert_eq!(client.receive().await, json!({"type": 3, "invocationId": "1", "result": null}));
}
