//! Reaching clients from hub methods: addressing and client results.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use hubwire_server::{Context, Hub, HubError};
use serde_json::json;
use support::{Socket, config, start, start_with, token};

const PATH: &str = "/hubs/test";

fn asking() -> Hub {
    Hub::builder()
        .method("Id", async |ctx: Context| Ok::<_, HubError>(ctx.connection_id().to_owned()))
        .method("Ask", async |ctx: Context, id: String, question: String| {
            ctx.clients().client(id).invoke::<u32>("Answer", (question,)).await
        })
        .method("AskBriefly", async |ctx: Context| {
            let limit = std::time::Duration::from_millis(1);
            ctx.clients().caller().invoke_within::<u32>(limit, "Answer", ("?",)).await
        })
        .on_connected(async |ctx: Context| {
            if ctx.claim("ask").is_some() {
                let answer: u32 = ctx.clients().caller().invoke("Who", ()).await?;
                ctx.clients().caller().send("Welcome", (answer,))?;
            }
            Ok::<_, HubError>(())
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn clients_answer() {
    let mut config = config();
    config.detailed_errors = true;
    let server = start_with(config, PATH, asking()).await;
    let (mut alice, mut bob) = (Socket::connect(&server, PATH).await, Socket::connect(&server, PATH).await);
    let id = bob.call("Id", json!([])).await.unwrap();
    alice.invoke("1", "Ask", json!([id, "6*7"])).await;
    let question = bob.receive().await;
    assert_eq!((&question["target"], &question["arguments"]), (&json!("Answer"), &json!(["6*7"])));
    bob.send(json!({"type": 3, "invocationId": question["invocationId"], "result": 42})).await;
    assert_eq!(alice.receive().await["result"], 42);
    let failed = "An unexpected error occurred invoking 'Ask' on the server.";
    // The client's own error.
    alice.invoke("2", "Ask", json!([id, "?"])).await;
    let question = bob.receive().await;
    bob.send(json!({"type": 3, "invocationId": question["invocationId"], "error": "no idea"})).await;
    assert_eq!(alice.receive().await["error"], format!("{failed} HubException: no idea"));
    // Nobody there.
    assert_eq!(
        alice.call("Ask", json!(["nobody", "?"])).await.unwrap_err(),
        format!("{failed} IOException: Connection 'nobody' does not exist.")
    );
    // One connection asks itself: waiting for the answer does not take the only turn.
    let own = alice.call("Id", json!([])).await.unwrap();
    alice.invoke("3", "Ask", json!([own, "self"])).await;
    let question = alice.receive().await;
    assert_eq!(alice.call("Id", json!([])).await.unwrap(), own);
    alice.send(json!({"type": 3, "invocationId": question["invocationId"], "result": 1})).await;
    assert_eq!(alice.receive().await["result"], 1);
    // No answer in time; when it comes after all, nothing happens.
    let error = alice.call("AskBriefly", json!([])).await.unwrap_err();
    assert!(error.contains("TimeoutException: Connection '"), "{error}");
    let question = alice.receive().await;
    alice.send(json!({"type": 3, "invocationId": question["invocationId"], "result": 1})).await;
    assert_eq!(alice.call("Id", json!([])).await.unwrap(), own);
    // Gone while it is asked.
    alice.invoke("4", "Ask", json!([id, "?"])).await;
    bob.receive().await;
    bob.cut();
    let gone = format!("{failed} IOException: Connection '{}' disconnected.", id.as_str().unwrap());
    assert_eq!(alice.receive().await["error"], gone);
    // In the connect hook, although no method can run yet.
    let asked = token(json!({"ask": true}));
    let mut carol = Socket::connect(&server, &format!("{PATH}?access_token={asked}")).await;
    carol.invoke("1", "Id", json!([])).await;
    let question = carol.receive().await;
    assert_eq!(question["target"], "Who");
    carol.send(json!({"type": 3, "invocationId": question["invocationId"], "result": 7})).await;
    assert_eq!(carol.event().await, ("Welcome".into(), json!([7])));
    assert_eq!(carol.receive().await["invocationId"], "1");
}

#[tokio::test]
async fn everybody_can_be_addressed() {
    let hub = Hub::builder()
        .method("Id", async |ctx: Context| Ok::<_, HubError>(ctx.connection_id().to_owned()))
        .method("Join", async |ctx: Context, group: String| ctx.groups().add(ctx.connection_id(), group))
        .method("Leave", async |ctx: Context, group: String| {
            Ok::<_, HubError>(ctx.groups().remove(ctx.connection_id(), group))
        })
        .method("Send", async |ctx: Context, to: String, name: String, ids: Vec<String>| {
            let clients = ctx.clients();
            let message = (to.clone(),);
            match to.as_str() {
                "all" => clients.all().send("M", message)?,
                "all except" => clients.all_except(ids).send("M", message)?,
                "caller" => clients.caller().send("M", message)?,
                "others" => clients.others().send("M", message)?,
                "client" => clients.client(name).send("M", message)?,
                "clients" => clients.clients(ids).send("M", message)?,
                "group" => clients.group(name).send("M", message)?,
                "group except" => clients.group_except(name, ids).send("M", message)?,
                "groups" => clients.groups(ids).send("M", message)?,
                "others in group" => clients.others_in_group(name).send("M", message)?,
                "user" => clients.user(name).send("M", message)?,
                "users" => clients.users(ids).send("M", message)?,
                _ => unreachable!("the test has no other"),
            }
            Ok::<_, HubError>(())
        })
        .build()
        .unwrap();
    let server = start(PATH, hub).await;
    let mut sockets = Vec::new();
    let mut ids = Vec::new();
    // 0 and 1 are alice, 2 is bob, 3 is nobody.
    for name in [Some("alice"), Some("alice"), Some("bob"), None] {
        let mut socket = match name {
            Some(name) => Socket::connect_as(&server, PATH, name).await,
            None => Socket::connect(&server, PATH).await,
        };
        ids.push(socket.call("Id", json!([])).await.unwrap());
        sockets.push(socket);
    }
    for (member, group) in [(0, "g"), (2, "g"), (2, "h"), (3, "h")] {
        assert_eq!(sockets[member].call("Join", json!([group])).await, Ok(json!(true)));
    }
    assert_eq!(sockets[0].call("Join", json!(["g"])).await, Ok(json!(false)), "again");
    assert!(sockets[0].call("Join", json!([""])).await.is_err());
    let none = json!([]);
    for (to, name, list, expected) in [
        ("all", json!(""), none.clone(), &[0, 1, 2, 3][..]),
        ("all except", json!(""), json!([ids[0], ids[3], "unknown"]), &[1, 2]),
        ("caller", json!(""), none.clone(), &[0]),
        ("others", json!(""), none.clone(), &[1, 2, 3]),
        ("client", ids[2].clone(), none.clone(), &[2]),
        ("client", json!("unknown"), none.clone(), &[]),
        ("clients", json!(""), json!([ids[1], "unknown", ids[3]]), &[1, 3]),
        ("group", json!("g"), none.clone(), &[0, 2]),
        ("group", json!("G"), none.clone(), &[]),
        ("group except", json!("g"), json!([ids[2]]), &[0]),
        // Who is in both gets it once.
        ("groups", json!(""), json!(["g", "h"]), &[0, 2, 3]),
        ("others in group", json!("g"), none.clone(), &[2]),
        ("user", json!("alice"), none.clone(), &[0, 1]),
        ("users", json!(""), json!(["alice", "bob", "carol"]), &[0, 1, 2]),
    ] {
        sockets[0].call("Send", json!([to, name, list])).await.unwrap();
        for (index, socket) in sockets.iter_mut().enumerate() {
            // What a call brings along shows that nothing else was on the way.
            socket.invoke("done", "Id", json!([])).await;
            let mut got = 0;
            while socket.receive().await["type"] == 1 {
                got += 1;
            }
            assert_eq!(got, usize::from(expected.contains(&index)), "{to}: client {index}");
        }
    }
    let error = sockets[0].call("Send", json!(["groups", "", ["g", ""]])).await.unwrap_err();
    assert!(error.starts_with("An unexpected error occurred"), "{error}");
    sockets[2].call("Leave", json!(["h"])).await.unwrap();
    sockets[3].call("Leave", json!(["h"])).await.unwrap();
    assert_eq!(server.handle().statistics().hubs[0].groups, 1);
}
