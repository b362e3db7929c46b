//! What the client does over plain HTTP, against a server that is scripted here: headers, cookies, tokens, and the two
//! transports that are made of requests.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod redirects;
mod script;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hubwire::HubConnection;
use hubwire::client::{ConnectionState, RetryPolicy};
use hubwire::protocol::Transport;
use hubwire::protocol::delivery::is_client_id;
use tokio::sync::mpsc;

use script::start;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("not in time")
}

const TRANSPORTS: [Transport; 2] = [Transport::ServerSentEvents, Transport::LongPolling];

#[tokio::test]
async fn both_transports_work_and_every_request_carries_what_it_should() {
    for transport in TRANSPORTS {
        let (url, script) = start().await;
        let connection = HubConnection::builder(url)
            .retry(RetryPolicy::never())
            .transports([transport])
            .access_token("t")
            .header("X-Custom", "mine")
            .build()
            .unwrap();
        let (sender, mut received) = mpsc::unbounded_channel();
        connection.on("Event", move |number: i64| sender.send(number).unwrap());
        soon(connection.start()).await.unwrap();
        assert_eq!(connection.connection_id().as_deref(), Some("public"));
        assert_eq!(soon(connection.invoke::<i64>("Add", (40, 2))).await, Ok(42));
        for number in 0..100 {
            script.push(&format!("{{\"type\":1,\"target\":\"event\",\"arguments\":[{number}]}}\u{1e}"));
        }
        for number in 0..100 {
            assert_eq!(soon(received.recv()).await, Some(number), "{transport:?}");
        }
        soon(connection.stop()).await;
        let log = script.log();
        assert!(
            log[0].starts_with(
                "POST /hub/negotiate?tenant=1&negotiateVersion=1&hubwire=1 Bearer t cookie=- x=mine"
            ),
            "{}",
            log[0]
        );
        for line in &log[1..] {
            let (method, rest) = line.split_once(' ').unwrap();
            // The name of the client is a secret, which only the transport says.
            let (path, rest) = rest.split_once("&clientId=").unwrap();
            assert_eq!(path, "/hub?tenant=1&id=secret&hubwire=1", "{method}");
            let (client, rest) = rest.split_once(' ').unwrap();
            assert!(is_client_id(client), "{client}");
            assert!(rest.starts_with("Bearer t cookie=node=7 x=mine"), "{method} {rest}");
            assert_eq!(rest.ends_with(" text/plain;charset=UTF-8"), method == "POST", "{line}");
        }
        // Only long polling says goodbye.
        assert_eq!(*script.over.lock().unwrap(), transport == Transport::LongPolling);
        assert_eq!(log.iter().any(|line| line.starts_with("DELETE")), transport == Transport::LongPolling);
    }
}

/// A token that has expired in the meantime is asked for again, once for each request.
#[tokio::test]
async fn a_401_is_answered_with_a_new_token_once() {
    for transport in TRANSPORTS {
        let (url, script) = start().await;
        let asked = Arc::new(Mutex::new(0));
        let factory = {
            let asked = asked.clone();
            move || {
                let mut asked = asked.lock().unwrap();
                *asked += 1;
                let token = ["first", "second", "third"][(*asked as usize - 1).min(2)];
                async move { Ok::<_, String>(Some(token.to_owned())) }
            }
        };
        *script.token.lock().unwrap() = Some("second");
        let connection = HubConnection::builder(url)
            .retry(RetryPolicy::never())
            .transports([transport])
            .access_token_factory(factory)
            .build()
            .unwrap();
        soon(connection.start()).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), 2);
        // The new one is kept for the requests that follow.
        assert_eq!(soon(connection.invoke::<i64>("Add", (1, 1))).await, Ok(42));
        assert_eq!(*asked.lock().unwrap(), 2);
        // One that is refused again is the end.
        *script.token.lock().unwrap() = Some("never");
        let error = soon(connection.invoke::<i64>("Add", (1, 1))).await.unwrap_err();
        assert!(error.detail().contains("401") && error.detail().contains("Unauthorized"), "{error}");
        soon(connection.wait_for(ConnectionState::Disconnected)).await;
    }
}

#[tokio::test]
async fn a_poll_that_says_it_is_over_ends_the_connection() {
    let (url, script) = start().await;
    let connection = HubConnection::builder(url)
        .retry(RetryPolicy::never())
        .transports([Transport::LongPolling])
        .build()
        .unwrap();
    soon(connection.start()).await.unwrap();
    // Answered with 204 by the script.
    script.push("");
    soon(connection.wait_for(ConnectionState::Disconnected)).await;
    assert!(!script.log().iter().any(|line| line.starts_with("DELETE")));
}

#[tokio::test]
async fn the_first_transport_that_works_is_taken() {
    // WebSockets are not offered; Server-Sent Events are refused by the token, long polling as well.
    let (url, script) = start().await;
    *script.token.lock().unwrap() = Some("never");
    let error = soon(HubConnection::builder(url).retry(RetryPolicy::never()).build().unwrap().start())
        .await
        .unwrap_err();
    let detail = error.detail();
    assert!(
        detail.contains("ServerSentEvents failed: ") && detail.contains("LongPolling failed: "),
        "{detail}"
    );
    let negotiations = script.log().iter().filter(|line| line.contains("/negotiate?")).count();
    assert_eq!(negotiations, 3, "a new negotiation after each failure");
}
