//! Typing indicators that time out, by one task for all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hubwire::Time;
use parking_lot::Mutex;

use super::ChatHub;
use crate::clients::HubClients;

/// At most one timer for each conversation and user. The task runs only while there are timers.
#[derive(Debug, Default)]
pub(super) struct TypingTimers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: BTreeSet<(Time, Arc<Key>)>,
    armed: HashMap<Arc<Key>, Time>,
    runs: bool,
}

/// Conversation and user.
type Key = (String, String);

impl TypingTimers {
    /// Arms the timer, unless it is; then it looks at its time how long it has to go on.
    pub(super) fn start(
        &self,
        chat: &Arc<ChatHub>,
        clients: &HubClients,
        at: Time,
        conversation: &str,
        user: &str,
    ) {
        let key = Arc::new((conversation.to_owned(), user.to_owned()));
        let inner = &mut *self.inner.lock();
        if inner.armed.contains_key(&key) {
            return;
        }
        inner.armed.insert(key.clone(), at);
        inner.queue.insert((at, key));
        if !inner.runs {
            inner.runs = true;
            tokio::spawn(run(chat.clone(), clients.clone()));
        }
    }

    /// The next timer, or that the task ends.
    fn next(&self) -> Option<(Time, Arc<Key>)> {
        let mut inner = self.inner.lock();
        let next = inner.queue.first().cloned();
        inner.runs = next.is_some();
        next
    }

    /// The timer fired; it goes on if the user went on typing.
    fn fired(&self, at: Time, key: &Arc<Key>, again: Option<Time>) {
        let mut inner = self.inner.lock();
        inner.queue.remove(&(at, key.clone()));
        match again {
            Some(again) => {
                inner.armed.insert(key.clone(), again);
                inner.queue.insert((again, key.clone()));
            }
            None => {
                inner.armed.remove(key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let inner = self.inner.lock();
        assert_eq!(inner.queue.len(), inner.armed.len());
        inner.queue.len()
    }
}

/// Timers have all the same length, so a new one is never the next: it is enough to sleep until the first.
async fn run(chat: Arc<ChatHub>, clients: HubClients) {
    while let Some((at, key)) = chat.timers.next() {
        tokio::time::sleep_until(chat.instant(at)).await;
        let (id, user) = &*key;
        // The lock of the conversation is held to the end: whoever starts typing now finds the timer as it will be.
        let mut shard = chat.shard(id);
        let mut again = None;
        if let Some(conversation) = shard.get_mut(id) {
            let change = conversation.expire_typing(chat.now(), user);
            again = conversation.typing_until(user);
            if let Err(error) = ChatHub::send_typing(&clients, id, conversation, change) {
                tracing::warn!(%error, "a typing update was not sent");
            }
        }
        chat.timers.fired(at, &key, again);
    }
}
