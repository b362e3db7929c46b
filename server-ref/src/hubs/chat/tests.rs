use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{ChatConfig, ChatHub};
use crate::transport::{MemoryClient, memory};
use crate::{Config, History, HubOptions, Principal, Server, ServerHandle, auth};

const PATH: &str = "/hubs/chat";

struct Fixture {
    chat: Arc<ChatHub>,
    handle: ServerHandle,
}

fn fixture_with(config: ChatConfig) -> Fixture {
    fixture_as(config, HubOptions::default())
}

fn fixture_as(config: ChatConfig, options: HubOptions) -> Fixture {
    let chat = ChatHub::new(config);
    let mut config = Config::default();
    // The pings of the server would be in the way of virtual time.
    config.times.keep_alive = Duration::from_secs(100_000);
    config.times.client_timeout = Duration::from_secs(200_000);
    let authenticator = auth::Authenticator::hs256(b"", &config.auth);
    let builder = Server::builder().config(config).authenticator(authenticator);
    let server = builder.hub_with(PATH, chat.hub().unwrap(), options).build().unwrap();
    Fixture { chat, handle: server.handle() }
}

fn fixture() -> Fixture {
    fixture_with(ChatConfig::default())
}

struct User {
    client: MemoryClient,
    waiting: Vec<Value>,
}

impl Fixture {
    async fn connect(&self, user: &str) -> User {
        self.connect_with(json!({ "sub": user })).await
    }

    async fn connect_with(&self, claims: Value) -> User {
        let Value::Object(claims) = claims else { panic!("{claims}") };
        let (transport, client) = memory(1000);
        let principal = Principal::from_claims(claims);
        tokio::spawn(self.handle.accept(PATH, transport, principal).unwrap());
        client.send("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
        let mut user = User { client, waiting: Vec::new() };
        assert_eq!(user.receive().await, json!({}));
        user
    }

    async fn member(&self, user: &str, conversation: &str) -> User {
        let mut user = self.connect(user).await;
        user.call("JoinConversation", json!([conversation])).await.unwrap();
        user.settle().await;
        user
    }
}

impl User {
    async fn receive(&mut self) -> Value {
        while self.waiting.is_empty() {
            let frame = self.client.receive().await.expect("the connection is open");
            let text = String::from_utf8(frame.to_vec()).unwrap();
            self.waiting.extend(
                text.split_terminator('\u{1e}').map(|record| serde_json::from_str::<Value>(record).unwrap()),
            );
        }
        self.waiting.remove(0)
    }

    async fn call(&mut self, target: &str, arguments: Value) -> Result<Value, String> {
        let message = json!({"type": 1, "invocationId": "1", "target": target, "arguments": arguments});
        self.client.send(format!("{message}\u{1e}")).await;
        let mut before = Vec::new();
        loop {
            let message = self.receive().await;
            if message["type"] == 3 {
                before.append(&mut self.waiting);
                self.waiting = before;
                return match message.get("error") {
                    Some(error) => Err(error.as_str().unwrap().into()),
                    None => Ok(message["result"].clone()),
                };
            }
            before.push(message);
        }
    }

    /// The text of a refusal.
    async fn refused(&mut self, target: &str, arguments: Value) -> String {
        let error = self.call(target, arguments).await.unwrap_err();
        let prefix =
            format!("An unexpected error occurred invoking '{target}' on the server. HubException: ");
        error.strip_prefix(&prefix).unwrap_or_else(|| panic!("{error}")).into()
    }

    /// All events so far, as target and argument.
    async fn settle(&mut self) -> Vec<(String, Value)> {
        // In virtual time nothing else is left to happen after that.
        let mut events = Vec::new();
        while let Ok(message) = tokio::time::timeout(Duration::from_millis(10), self.receive()).await {
            assert_eq!(message["type"], 1, "{message}");
            if message["target"] == "HubwirePosition" {
                continue;
            }
            assert_eq!(message["arguments"].as_array().unwrap().len(), 1);
            events.push((message["target"].as_str().unwrap().into(), message["arguments"][0].clone()));
        }
        events
    }

    async fn targets(&mut self) -> Vec<String> {
        self.settle().await.into_iter().map(|(target, _)| target).collect()
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(target, _)| target.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_reach_the_members_with_all_fields() {
    let fixture = fixture();
    let (mut alice, mut bob) = (fixture.member("alice", "room").await, fixture.member("bob", "room").await);
    let mut stranger = fixture.member("eve", "elsewhere").await;
    alice.settle().await;
    let request = json!([{"conversationId": "room", "content": "héllo", "messageId": "m1"}]);
    let result = alice.call("SendMessage", request).await.unwrap();
    assert_eq!(
        (&result["messageId"], &result["userId"], &result["content"], &result["edited"]),
        (&json!("m1"), &json!("alice"), &json!("héllo"), &json!(false))
    );
    assert_eq!(keys(&result), ["content", "conversationId", "edited", "messageId", "timestamp", "userId"]);
    for user in [&mut alice, &mut bob] {
        assert_eq!(user.settle().await, [("ReceiveMessage".into(), result.clone())]);
    }
    assert_eq!(stranger.settle().await, []);
    // Without an id the server makes one.
    let request = json!([{"conversationId": "room", "content": "2"}]);
    assert_eq!(alice.call("SendMessage", request).await.unwrap()["messageId"].as_str().unwrap().len(), 22);
}

#[tokio::test(start_paused = true)]
async fn with_history_a_member_who_was_away_gets_what_was_said() {
    let options = HubOptions { history: Some(History::default()), ..HubOptions::default() };
    let fixture = fixture_as(ChatConfig::default(), options);
    let mut alice = fixture.member("alice", "c").await;
    let mut bob = fixture.connect("bob").await;
    bob.call("JoinConversation", json!(["c"])).await.unwrap();
    let position = loop {
        let position = bob.receive().await["headers"]["hubwire-position"].clone();
        if position.as_str().is_some_and(|position| position.ends_with("/group:c")) {
            break position;
        }
    };
    drop(bob);
    let message = json!({"conversationId": "c", "content": "hello", "messageId": "m"});
    alice.call("SendMessage", json!([message])).await.unwrap();
    let edit = json!({"conversationId": "c", "messageId": "m", "newContent": "hello, bob"});
    alice.call("EditMessage", json!([edit])).await.unwrap();

    let mut bob = fixture.member("bob", "c").await;
    bob.call("HubwireRecover", json!([[position]])).await.unwrap();
    let events = bob.settle().await;
    assert_eq!(names(&events), ["ReceiveMessage", "MessageEdited"]);
    assert_eq!(events[1].1["content"], "hello, bob");
}

#[tokio::test(start_paused = true)]
async fn joining_and_leaving_are_seen_once_per_user() {
    let fixture = fixture();
    let mut bob = fixture.member("bob", "room").await;
    let mut phone = fixture.connect("alice").await;
    phone.call("JoinConversation", json!(["room"])).await.unwrap();
    for user in [&mut bob, &mut phone] {
        let events = user.settle().await;
        assert_eq!(names(&events), ["UserJoined"]);
        assert_eq!(keys(&events[0].1), ["conversationId", "timestamp", "type", "userId"]);
        assert_eq!((&events[0].1["type"], &events[0].1["userId"]), (&json!("user_joined"), &json!("alice")));
    }
    // Again, and with a second device: nothing to see.
    phone.call("JoinConversation", json!(["room"])).await.unwrap();
    let mut laptop = fixture.member("alice", "room").await;
    phone.call("LeaveConversation", json!(["room"])).await.unwrap();
    phone.call("LeaveConversation", json!(["room"])).await.unwrap();
    assert_eq!(bob.settle().await, []);
    // The laptop is still in it, the phone is not.
    let request = json!([{"conversationId": "room", "content": "x"}]);
    assert_eq!(phone.refused("SendMessage", request.clone()).await, "Join the conversation first");
    laptop.call("SendMessage", request).await.unwrap();
    assert_eq!(bob.targets().await, ["ReceiveMessage"]);
    drop(laptop);
    let events = bob.settle().await;
    assert_eq!(names(&events), ["UserLeft"]);
    assert_eq!(events[0].1["type"], "user_left");
    assert_eq!(phone.settle().await, []);
    // A conversation without members is gone, with everything in it.
    drop(bob);
    phone.settle().await;
    assert_eq!(fixture.chat.conversations(), 0);
    assert_eq!(fixture.handle.statistics().hubs[0].groups, 0);
}

#[tokio::test(start_paused = true)]
async fn typing_ends_by_itself_and_is_sent_only_on_change() {
    let fixture = fixture();
    let (mut alice, mut bob) = (fixture.member("alice", "room").await, fixture.member("bob", "room").await);
    alice.settle().await;
    alice.call("StartTyping", json!(["room"])).await.unwrap();
    let events = bob.settle().await;
    assert_eq!(names(&events), ["TypingUpdate"]);
    assert_eq!(keys(&events[0].1), ["conversationId", "timestamp", "typingUsers"]);
    assert_eq!(events[0].1["typingUsers"], json!(["alice"]));
    // Said again after 3 s, it counts from then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    alice.call("StartTyping", json!(["room"])).await.unwrap();
    assert_eq!(fixture.chat.timers.len(), 1, "one timer");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(bob.settle().await, []);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let events = bob.settle().await;
    assert_eq!(names(&events), ["TypingUpdate"]);
    assert_eq!(events[0].1["typingUsers"], json!([]));
    assert_eq!(fixture.chat.timers.len(), 0);
    // Stopping without having started changes nothing.
    bob.call("StopTyping", json!(["room"])).await.unwrap();
    alice.settle().await;
    assert_eq!(bob.settle().await, []);
}

#[tokio::test(start_paused = true)]
async fn an_old_timer_does_not_end_new_typing() {
    let fixture = fixture();
    let (mut alice, mut bob) = (fixture.member("alice", "room").await, fixture.member("bob", "room").await);
    alice.call("StartTyping", json!(["room"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    alice.call("StopTyping", json!(["room"])).await.unwrap();
    alice.call("StartTyping", json!(["room"])).await.unwrap();
    assert_eq!(bob.targets().await.len(), 3);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(bob.settle().await, [], "the first timer would have fired 2 s ago");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bob.targets().await, ["TypingUpdate"]);
}

#[tokio::test(start_paused = true)]
async fn typing_on_one_device_is_not_ended_by_another() {
    let fixture = fixture();
    let mut bob = fixture.member("bob", "room").await;
    let (mut phone, mut laptop) =
        (fixture.member("alice", "room").await, fixture.member("alice", "room").await);
    phone.call("StartTyping", json!(["room"])).await.unwrap();
    laptop.call("StartTyping", json!(["room"])).await.unwrap();
    bob.settle().await;
    drop(laptop);
    assert_eq!(bob.settle().await, [], "the phone types on");
    // A message ends it; so does a disconnect.
    let request = json!([{"conversationId": "room", "content": "x"}]);
    phone.call("SendMessage", request).await.unwrap();
    assert_eq!(bob.targets().await, ["ReceiveMessage", "TypingUpdate"]);
    phone.call("StartTyping", json!(["room"])).await.unwrap();
    drop(phone);
    assert_eq!(bob.targets().await, ["TypingUpdate", "TypingUpdate", "UserLeft"]);
}

#[tokio::test(start_paused = true)]
async fn only_authors_edit_and_delete() {
    let fixture = fixture();
    let (mut alice, mut bob) = (fixture.member("alice", "room").await, fixture.member("bob", "room").await);
    alice.settle().await;
    let sent = json!([{"conversationId": "room", "content": "a", "messageId": "m"}]);
    let original = alice.call("SendMessage", sent.clone()).await.unwrap();
    assert_eq!(bob.refused("SendMessage", sent.clone()).await, "messageId is in use already");
    bob.settle().await;
    let edit = json!([{"conversationId": "room", "messageId": "m", "newContent": "b"}]);
    let delete = json!([{"conversationId": "room", "messageId": "m"}]);
    assert_eq!(bob.refused("EditMessage", edit.clone()).await, "Only the author of a message can edit it");
    assert_eq!(
        bob.refused("DeleteMessage", delete.clone()).await,
        "Only the author of a message can delete it"
    );
    alice.call("EditMessage", edit.clone()).await.unwrap();
    let events = bob.settle().await;
    assert_eq!(names(&events), ["MessageEdited"]);
    let mut expected = original;
    expected["content"] = json!("b");
    expected["edited"] = json!(true);
    assert_eq!(events[0].1, expected);
    alice.call("DeleteMessage", delete.clone()).await.unwrap();
    let events = bob.settle().await;
    assert_eq!(names(&events), ["MessageDeleted"]);
    assert_eq!(keys(&events[0].1), ["conversationId", "deletedBy", "messageId", "timestamp"]);
    assert_eq!(events[0].1["deletedBy"], "alice");
    for (target, request) in [("EditMessage", &edit), ("DeleteMessage", &delete), ("MarkAsRead", &delete)] {
        assert_eq!(alice.refused(target, request.clone()).await, "Message not found");
    }
    // The id of a deleted message stays taken.
    assert_eq!(alice.refused("SendMessage", sent).await, "messageId is in use already");
    // Moderators delete what others wrote.
    let mut admin = fixture.connect_with(json!({"sub": "root", "role": "admin"})).await;
    admin.call("JoinConversation", json!(["room"])).await.unwrap();
    let sent = json!([{"conversationId": "room", "content": "a", "messageId": "n"}]);
    alice.call("SendMessage", sent).await.unwrap();
    admin.call("DeleteMessage", json!([{"conversationId": "room", "messageId": "n"}])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn everything_needs_membership() {
    let fixture = fixture();
    let mut alice = fixture.member("alice", "room").await;
    let sent = json!([{"conversationId": "room", "content": "a", "messageId": "m"}]);
    alice.call("SendMessage", sent.clone()).await.unwrap();
    let mut eve = fixture.connect("eve").await;
    for (target, arguments) in [
        ("SendMessage", sent),
        ("StartTyping", json!(["room"])),
        ("StopTyping", json!(["room"])),
        ("EditMessage", json!([{"conversationId": "room", "messageId": "m", "newContent": "b"}])),
        ("DeleteMessage", json!([{"conversationId": "room", "messageId": "m"}])),
        ("MarkAsRead", json!([{"conversationId": "room", "messageId": "m"}])),
    ] {
        assert_eq!(eve.refused(target, arguments).await, "Join the conversation first", "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn input_is_checked_and_the_error_names_what_is_wrong() {
    let config = ChatConfig { conversations_per_connection: 2, members: 1, ..ChatConfig::default() };
    let fixture = fixture_with(config);
    let mut alice = fixture.member("alice", "room").await;
    for (request, expected) in [
        (json!({"content": "x"}), "conversationId is required"),
        (json!({"conversationId": null, "content": "x"}), "conversationId is required"),
        (json!({"conversationId": "room"}), "content is required"),
        (json!({"conversationId": "room", "content": 5}), "content must be a string"),
        (json!({"conversationId": "room", "content": ["x"]}), "content must be a string"),
        (json!({"conversationId": {"a": 1}, "content": "x"}), "conversationId must be a string"),
        (json!({"conversationId": "room", "content": " \n"}), "content must not be empty"),
        (json!({"conversationId": "room", "content": "x", "messageId": true}), "messageId must be a string"),
        (json!({"conversationId": "room", "content": "x", "messageId": ""}), "messageId must not be empty"),
        (
            json!({"conversationId": "room", "content": "x", "messageId": "a\u{0}b"}),
            "messageId must not have control characters",
        ),
        (
            json!({"conversationId": "r".repeat(129), "content": "x"}),
            "conversationId must not be longer than 128 bytes",
        ),
        (
            json!({"conversationId": "room", "content": "x".repeat(10_241)}),
            "content must not be longer than 10240 bytes",
        ),
    ] {
        assert_eq!(alice.refused("SendMessage", json!([request])).await, expected);
    }
    assert_eq!(alice.refused("JoinConversation", json!([7])).await, "conversationId must be a string");
    assert_eq!(alice.refused("StartTyping", json!([""])).await, "conversationId must not be empty");
    alice.call("JoinConversation", json!(["second"])).await.unwrap();
    assert_eq!(
        alice.refused("JoinConversation", json!(["third"])).await,
        "A connection can be in at most 2 conversations"
    );
    let mut bob = fixture.connect("bob").await;
    let full = bob.refused("JoinConversation", json!(["room"])).await;
    assert_eq!(full, "The conversation is full: it has 1 members");
    assert_eq!(fixture.chat.conversations(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_user_sends_at_most_so_many_messages_in_a_minute() {
    let fixture = fixture();
    let (mut phone, mut laptop) =
        (fixture.member("alice", "room").await, fixture.member("alice", "room").await);
    let request = json!([{"conversationId": "room", "content": "x"}]);
    for _ in 0..50 {
        phone.call("SendMessage", request.clone()).await.unwrap();
        laptop.call("SendMessage", request.clone()).await.unwrap();
    }
    assert_eq!(phone.refused("SendMessage", request.clone()).await, "Rate limit exceeded");
    assert_eq!(laptop.refused("SendMessage", request.clone()).await, "Rate limit exceeded");
    let mut bob = fixture.member("bob", "room").await;
    bob.call("SendMessage", request.clone()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    phone.call("SendMessage", request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reading_is_told_and_history_is_bounded() {
    let fixture = fixture_with(ChatConfig { history: 2, ..ChatConfig::default() });
    let (mut alice, mut bob) = (fixture.member("alice", "room").await, fixture.member("bob", "room").await);
    for id in ["1", "2", "3"] {
        let request = json!([{"conversationId": "room", "content": "x", "messageId": id}]);
        alice.call("SendMessage", request).await.unwrap();
    }
    bob.settle().await;
    alice.settle().await;
    let read = json!([{"conversationId": "room", "messageId": "3"}]);
    bob.call("MarkAsRead", read.clone()).await.unwrap();
    bob.call("MarkAsRead", read).await.unwrap();
    let events = alice.settle().await;
    assert_eq!(names(&events), ["ConversationUpdated"]);
    assert_eq!(events[0].1["lastReadMessageId"], "3");
    let forgotten = json!([{"conversationId": "room", "messageId": "1"}]);
    assert_eq!(alice.refused("DeleteMessage", forgotten).await, "Message not found");
}

#[test]
fn settings_are_checked() {
    let config = ChatConfig { history: 0, ..ChatConfig::default() };
    assert_eq!(config.validate().unwrap_err().key(), "chat.history");
    let config = ChatConfig { typing_timeout: Duration::ZERO, ..ChatConfig::default() };
    assert_eq!(config.validate().unwrap_err().key(), "chat.typing_timeout");
}

#[test]
fn claims_without_a_user_are_no_user() {
    assert_eq!(Principal::from_claims(Map::new()).user_id(), None);
}
