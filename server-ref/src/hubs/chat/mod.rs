//! The chat hub: conversations with members, messages and typing indicators.
//!
//! A conversation exists while somebody is in it. Whoever joined it on a connection can write into it from there; a user
//! with several devices joins once and leaves with the last one. The state is bounded by [`ChatConfig`].
//!
//! With [`HubOptions::history`](crate::HubOptions::history), messages and what becomes of them are published: clients that were away get
//! them later.

mod conversation;
mod typing;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hubwire::Time;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::rate_limit::RateLimiter;
use crate::clients::HubClients;
use crate::config::ConfigError;
use crate::error::{BuildError, HubError, SendError};
use crate::hub::{Hub, Policy, State};
use crate::negotiate::random_id;
use crate::timestamp::iso;
use crate::{Context, DisconnectReason};
use conversation::{Change, Conversation};
use typing::TypingTimers;
use wire::{
    ConversationUpdated, EditMessage, Field, Message, MessageDeleted, MessageRef, Presence, SendMessage,
    TypingUpdate,
};

/// Settings of the chat hub.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChatConfig {
    /// Messages that a user may send in [`rate_window`](Self::rate_window).
    pub rate_limit: usize,
    /// The span in which messages are counted.
    #[serde(deserialize_with = "crate::config::duration")]
    pub rate_window: Duration,
    /// A user who does not say so again counts as no longer typing after that long.
    #[serde(deserialize_with = "crate::config::duration")]
    pub typing_timeout: Duration,
    /// The longest text of a message, in bytes.
    pub content_bytes: usize,
    /// The longest id of a conversation or message, in bytes.
    pub id_bytes: usize,
    /// Messages of a conversation that can be edited and deleted.
    pub history: usize,
    /// Conversations at once.
    pub conversations: usize,
    /// Conversations that one connection can be in.
    pub conversations_per_connection: usize,
    /// Users in one conversation.
    pub members: usize,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            rate_limit: 100,
            rate_window: Duration::from_secs(60),
            typing_timeout: Duration::from_secs(5),
            content_bytes: 10 * 1024,
            id_bytes: 128,
            history: 1_000,
            conversations: 10_000,
            conversations_per_connection: 100,
            members: 5_000,
        }
    }
}

impl ChatConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let numbers = [
            ("chat.rate_limit", self.rate_limit),
            ("chat.content_bytes", self.content_bytes),
            ("chat.id_bytes", self.id_bytes),
            ("chat.history", self.history),
            ("chat.conversations", self.conversations),
            ("chat.conversations_per_connection", self.conversations_per_connection),
            ("chat.members", self.members),
        ];
        let zero = numbers.iter().find(|(_, number)| *number == 0).map(|(key, _)| *key);
        let zero = zero.or(self.rate_window.is_zero().then_some("chat.rate_window"));
        match zero.or(self.typing_timeout.is_zero().then_some("chat.typing_timeout")) {
            Some(key) => Err(ConfigError::new(key, "must be more than zero")),
            None => Ok(()),
        }
    }
}

/// The state of the chat hub.
#[derive(Debug)]
pub struct ChatHub {
    config: ChatConfig,
    started: Instant,
    /// Each lock covers a part of the conversations, and the order in which their events leave.
    shards: Box<[Mutex<Shard>]>,
    hasher: std::hash::RandomState,
    limiter: Mutex<RateLimiter>,
    timers: TypingTimers,
}

type Shard = HashMap<String, Conversation>;

const SHARDS: usize = 32;

/// The conversations that a connection has joined, kept with the connection.
#[derive(Clone, Debug, Default)]
struct Joined(Vec<String>);

impl ChatHub {
    /// No conversations yet. Times are those of the tokio clock.
    pub fn new(config: ChatConfig) -> Arc<Self> {
        let limiter = Mutex::new(RateLimiter::new(config.rate_limit, config.rate_window));
        Arc::new(Self {
            config,
            started: Instant::now(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: std::hash::RandomState::new(),
            limiter,
            timers: TypingTimers::default(),
        })
    }

    /// The hub on this state. Clients must have a token that names a user.
    ///
    /// # Errors
    /// None in practice; the signature is that of [`HubBuilder::build`](crate::HubBuilder::build).
    pub fn hub(self: &Arc<Self>) -> Result<Hub, BuildError> {
        Hub::builder()
            .state(self.clone())
            .authorize(Policy::user())
            .method("SendMessage", send_message)
            .method("JoinConversation", join)
            .method("LeaveConversation", leave)
            .method("StartTyping", start_typing)
            .method("StopTyping", stop_typing)
            .method("EditMessage", edit_message)
            .method("DeleteMessage", delete_message)
            .method("MarkAsRead", mark_as_read)
            .on_disconnected(disconnected)
            .build()
    }

    /// How many conversations there are.
    pub fn conversations(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn now(&self) -> Time {
        Time::from_millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn instant(&self, time: Time) -> Instant {
        self.started + time.since(Time::ZERO)
    }

    fn shard(&self, conversation: &str) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(conversation) as usize % SHARDS;
        self.shards[index].lock()
    }

    /// An id as clients may choose them.
    fn id(&self, field: Field, name: &str) -> Result<String, HubError> {
        let id = field.required(name)?;
        self.check_id(&id, name)?;
        Ok(id)
    }

    fn check_id(&self, id: &str, name: &str) -> Result<(), HubError> {
        let limit = self.config.id_bytes;
        if id.trim().is_empty() {
            return Err(HubError::new(format!("{name} must not be empty")));
        }
        if id.len() > limit {
            return Err(HubError::new(format!("{name} must not be longer than {limit} bytes")));
        }
        if id.chars().any(char::is_control) {
            return Err(HubError::new(format!("{name} must not have control characters")));
        }
        Ok(())
    }

    fn content(&self, field: Field, name: &str) -> Result<String, HubError> {
        let content = field.required(name)?;
        let limit = self.config.content_bytes;
        if content.trim().is_empty() {
            return Err(HubError::new(format!("{name} must not be empty")));
        }
        if content.len() > limit {
            return Err(HubError::new(format!("{name} must not be longer than {limit} bytes")));
        }
        Ok(content)
    }

    /// Sends who types, if that has changed.
    fn send_typing(
        clients: &HubClients,
        id: &str,
        conversation: &Conversation,
        change: Change,
    ) -> Result<(), HubError> {
        if change == Change::None {
            return Ok(());
        }
        let update = TypingUpdate {
            conversation_id: id,
            typing_users: conversation.typing_users(),
            timestamp: iso(SystemTime::now()),
        };
        Ok(clients.group(id).send("TypingUpdate", (update,))?)
    }

    /// Takes a connection out of a conversation, which ends when it was the last.
    fn remove(&self, ctx: &Context, user: &str, id: &str) -> Result<(), HubError> {
        let mut shard = self.shard(id);
        ctx.groups().remove(ctx.connection_id(), id);
        let Some(conversation) = shard.get_mut(id) else { return Ok(()) };
        let typing = conversation.stop_typing(self.now(), user, ctx.connection_id());
        let left = conversation.leave(user, ctx.connection_id());
        Self::send_typing(&ctx.clients(), id, conversation, typing)?;
        if left == Change::Visible {
            let timestamp = iso(SystemTime::now());
            let event = Presence { conversation_id: id, user_id: user, kind: "user_left", timestamp };
            ctx.clients().group(id).send("UserLeft", (event,))?;
        }
        if conversation.is_empty() {
            shard.remove(id);
        }
        Ok(())
    }
}

/// The conversation, if the connection is in it.
fn member<'a>(
    shard: &'a mut Shard,
    ctx: &Context,
    user: &str,
    id: &str,
) -> Result<&'a mut Conversation, HubError> {
    let conversation = shard.get_mut(id).filter(|conversation| conversation.has(user, ctx.connection_id()));
    conversation.ok_or_else(|| HubError::new("Join the conversation first"))
}

fn user(ctx: &Context) -> Result<&str, HubError> {
    // The policy of the hub demands one.
    ctx.user_id().ok_or_else(|| HubError::new("The token names no user"))
}

/// Tells a conversation of what was said. Who is away gets it later, if the hub keeps history.
fn tell<E: Serialize>(ctx: &Context, id: &str, target: &str, event: &E) -> Result<(), HubError> {
    let members = ctx.clients().group(id);
    match members.publish(target, (event,)) {
        Err(SendError::NoHistory) => Ok(members.send(target, (event,))?),
        published => Ok(published.map(drop)?),
    }
}

type Chat = State<Arc<ChatHub>>;

async fn send_message(ctx: Context, State(chat): Chat, request: SendMessage) -> Result<Message, HubError> {
    let user = user(&ctx)?;
    if !chat.limiter.lock().allow(chat.now(), user) {
        return Err(HubError::new("Rate limit exceeded"));
    }
    let id = chat.id(request.conversation_id, "conversationId")?;
    let content = chat.content(request.content, "content")?;
    let message_id = match request.message_id.optional("messageId")? {
        Some(message_id) => {
            chat.check_id(&message_id, "messageId")?;
            message_id
        }
        None => random_id()?,
    };
    let mut shard = chat.shard(&id);
    let conversation = member(&mut shard, &ctx, user, &id)?;
    let timestamp = iso(SystemTime::now());
    conversation.add_message(&message_id, user, &timestamp, chat.config.history)?;
    let message = Message {
        message_id,
        conversation_id: id.clone(),
        user_id: user.into(),
        content,
        timestamp,
        edited: false,
    };
    tell(&ctx, &id, "ReceiveMessage", &message)?;
    let typing = conversation.clear_typing(user);
    ChatHub::send_typing(&ctx.clients(), &id, conversation, typing)?;
    Ok(message)
}

async fn join(ctx: Context, State(chat): Chat, id: Field) -> Result<(), HubError> {
    let user = user(&ctx)?;
    let id = chat.id(id, "conversationId")?;
    let limit = chat.config.conversations_per_connection;
    let joined = ctx.items().get::<Joined>().unwrap_or_default();
    if !joined.0.contains(&id) && joined.0.len() >= limit {
        return Err(HubError::new(format!("A connection can be in at most {limit} conversations")));
    }
    // Counted outside of the lock: that it may be exceeded by as many as join at this moment does not matter.
    let full = chat.conversations() >= chat.config.conversations;
    let mut shard = chat.shard(&id);
    if full && !shard.contains_key(&id) {
        return Err(HubError::new("There are too many conversations"));
    }
    let conversation = shard.entry(id.clone()).or_default();
    let change = conversation.join(user, ctx.connection_id(), chat.config.members)?;
    if let Err(error) = ctx.groups().add(ctx.connection_id(), &id) {
        conversation.leave(user, ctx.connection_id());
        if conversation.is_empty() {
            shard.remove(&id);
        }
        return Err(error);
    }
    ctx.items().update(|joined: &mut Joined| {
        if !joined.0.contains(&id) {
            joined.0.push(id.clone());
        }
    });
    if change == Change::Visible {
        let timestamp = iso(SystemTime::now());
        let event = Presence { conversation_id: &id, user_id: user, kind: "user_joined", timestamp };
        ctx.clients().group(&id).send("UserJoined", (event,))?;
    }
    Ok(())
}

async fn leave(ctx: Context, State(chat): Chat, id: Field) -> Result<(), HubError> {
    let user = user(&ctx)?;
    let id = chat.id(id, "conversationId")?;
    ctx.items().update(|joined: &mut Joined| joined.0.retain(|other| *other != id));
    chat.remove(&ctx, user, &id)
}

async fn start_typing(ctx: Context, State(chat): Chat, id: Field) -> Result<(), HubError> {
    let user = user(&ctx)?;
    let id = chat.id(id, "conversationId")?;
    let mut shard = chat.shard(&id);
    let conversation = member(&mut shard, &ctx, user, &id)?;
    let until = chat.now() + chat.config.typing_timeout;
    let change = conversation.start_typing(user, ctx.connection_id(), until);
    chat.timers.start(&chat, &ctx.clients(), until, &id, user);
    ChatHub::send_typing(&ctx.clients(), &id, conversation, change)
}

async fn stop_typing(ctx: Context, State(chat): Chat, id: Field) -> Result<(), HubError> {
    let user = user(&ctx)?;
    let id = chat.id(id, "conversationId")?;
    let mut shard = chat.shard(&id);
    let conversation = member(&mut shard, &ctx, user, &id)?;
    let change = conversation.stop_typing(chat.now(), user, ctx.connection_id());
    ChatHub::send_typing(&ctx.clients(), &id, conversation, change)
}

async fn edit_message(ctx: Context, State(chat): Chat, request: EditMessage) -> Result<(), HubError> {
    let user = user(&ctx)?;
    let id = chat.id(request.conversation_id, "conversationId")?;
    let message_id = chat.id(request.message_id, "messageId")?;
    let content = chat.content(request.new_content, "newContent")?;
    let mut shard = chat.shard(&id);
    let timestamp = member(&mut shard, &ctx, user, &id)?.edit_message(&message_id, user)?;
    let event = Message {
        message_id,
        conversation_id: id.clone(),
        user_id: user.into(),
        content,
        timestamp,
        edited: true,
    };
    tell(&ctx, &id, "MessageEdited", &event)
}

async fn delete_message(ctx: Context, State(chat): Chat, request: MessageRef) -> Result<(), HubError> {
    let user = user(&ctx)?;
    let id = chat.id(request.conversation_id, "conversationId")?;
    let message_id = chat.id(request.message_id, "messageId")?;
    let mut shard = chat.shard(&id);
    let is_moderator = ctx.principal().has_role("admin");
    member(&mut shard, &ctx, user, &id)?.delete_message(&message_id, user, is_moderator)?;
    let event = MessageDeleted {
        conversation_id: &id,
        message_id: &message_id,
        deleted_by: user,
        timestamp: iso(SystemTime::now()),
    };
    tell(&ctx, &id, "MessageDeleted", &event)
}

async fn mark_as_read(ctx: Context, State(chat): Chat, request: MessageRef) -> Result<(), HubError> {
    let user = user(&ctx)?;
    let id = chat.id(request.conversation_id, "conversationId")?;
    let message_id = chat.id(request.message_id, "messageId")?;
    let mut shard = chat.shard(&id);
    let change = member(&mut shard, &ctx, user, &id)?.mark_read(&message_id, user)?;
    if change == Change::Visible {
        let event = ConversationUpdated {
            conversation_id: &id,
            user_id: user,
            last_read_message_id: &message_id,
            timestamp: iso(SystemTime::now()),
        };
        ctx.clients().group(&id).send("ConversationUpdated", (event,))?;
    }
    Ok(())
}

async fn disconnected(ctx: Context, State(chat): Chat, _: DisconnectReason) -> Result<(), HubError> {
    let user = user(&ctx)?;
    for id in ctx.items().remove::<Joined>().unwrap_or_default().0 {
        chat.remove(&ctx, user, &id)?;
    }
    Ok(())
}
