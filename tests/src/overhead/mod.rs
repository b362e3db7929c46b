//! What 10,000 updates of tasks cost on the wire: one by one, in batches, in MessagePack, and as what changed.
//!
//! A server sends them over a real WebSocket; the client is a socket that counts what it reads. Before the next update, or
//! the next batch, everything has been read: nothing shares a segment with what came before it, so each way to send pays
//! its full price.

mod table;
mod updates;
mod wire;

use std::sync::Arc;

use hubwire::protocol::Encoding;
use hubwire_server::delivery::delta::{StateKey, States};
use hubwire_server::testing::TestServer;
use hubwire_server::{Config, Context, DeltaKey, Deltas, Hub, HubError, Recipients, Server, State};
use serde_json::{Map, Value};
use tokio::sync::Notify;

pub use table::{Row, faults, table};
pub use updates::Updates;
pub use wire::{Cost, HEADERS_PER_SEGMENT, SEGMENT};

/// What a step came to; an error says what went wrong.
pub type Result<T> = std::result::Result<T, String>;

const GROUP: &str = "tasks";
const TARGET: &str = "TaskProgress";

/// A way to send updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What people call it.
    pub name: &'static str,
    /// How messages are written.
    pub encoding: Encoding,
    /// Members of a batch; `None` without batches.
    pub batch: Option<usize>,
    /// Whether only what changed is sent.
    pub delta: bool,
    /// Whether an update is a list of three arguments, as the hub of all tasks sends it to clients without changes, instead
    /// of an object with everything in it.
    pub positional: bool,
}

impl Way {
    const fn new(name: &'static str, encoding: Encoding, batch: Option<usize>, delta: bool) -> Self {
        Self { name, encoding, batch, delta, positional: false }
    }

    /// Those of short updates, of which most is overhead. The first is what the others are compared with.
    pub const fn short() -> [Self; 4] {
        use Encoding::{Json, MessagePack};
        let ways = [
            Self::new("one by one", Json, None, false),
            Self::new("batches of 10", Json, Some(10), false),
            Self::new("batches of 50", Json, Some(50), false),
            Self::new("MessagePack, batches of 50", MessagePack, Some(50), false),
        ];
        let [one, ten, fifty, packed] = ways;
        [one.as_list(), ten.as_list(), fifty.as_list(), packed.as_list()]
    }

    const fn as_list(mut self) -> Self {
        self.positional = true;
        self
    }

    /// All that are compared. The first is what the others are compared with.
    pub const fn all() -> [Self; 7] {
        use Encoding::{Json, MessagePack};
        [
            Self::new("one by one", Json, None, false),
            Self::new("batches of 10", Json, Some(10), false),
            Self::new("batches of 50", Json, Some(50), false),
            Self::new("MessagePack", MessagePack, None, false),
            Self::new("MessagePack, batches of 50", MessagePack, Some(50), false),
            Self::new("delta", Json, None, true),
            Self::new("delta, batches of 50", Json, Some(50), true),
        ]
    }
}

async fn joined(ctx: Context, State(joined): State<Arc<Notify>>) -> std::result::Result<(), HubError> {
    ctx.groups().add(ctx.connection_id(), GROUP)?;
    joined.notify_one();
    Ok(())
}

/// Sends so many updates and counts what arrives.
///
/// # Errors
/// When something fails, or other updates arrive than were sent.
pub async fn measure(way: Way, count: usize) -> Result<Cost> {
    let arrived = Arc::new(Notify::new());
    let hub = Hub::builder().state(arrived.clone()).on_connected(joined).build();
    let mut config = Config::default();
    // A batch leaves because it is full, so that the time that this takes has no part in it.
    config.signalr.batching.window_ms = 600_000;
    config.signalr.batching.max_batch_size = way.batch.unwrap_or(1);
    let server = Server::builder().config(config).hub("/hub", needed("hub", hub)?).build();
    let server = needed("start", TestServer::start(needed("server", server)?).await)?;
    let mut client = wire::Client::connect(server.address(), "/hub?hubwire=1", way.encoding).await?;
    arrived.notified().await;
    let group = server.handle().hub("/hub").ok_or("there is no hub")?.group(GROUP);
    let mut changes = Changes::default();
    let mut sent = 0;
    for update in Updates::new(7).take(count) {
        let list = (&update["taskId"], &update["progressPercentage"], &update["statusMessage"]);
        match (way.delta, way.batch) {
            (_, None) if way.positional => needed("send", group.send(TARGET, list))?,
            (_, Some(_)) if way.positional => {
                needed("send", group.send_batched_arguments(TARGET, list))?;
            }
            (false, None) => needed("send", group.send(TARGET, (&update,)))?,
            (false, Some(_)) => needed("send", group.send_batched(TARGET, &update))?,
            (true, None) => needed("send", group.send_delta(TARGET, &key(&update)?, &update))?,
            (true, Some(_)) => changes.send(&group, update)?,
        }
        sent += 1;
        if sent % way.batch.unwrap_or(1) == 0 || sent == count {
            if let Some(batching) = server.handle().batching("/hub") {
                batching.flush();
            }
            client.read_until(sent).await?;
        }
    }
    let cost = client.cost();
    // The server would wait for it.
    drop(client);
    needed("stop", server.stop().await)?;
    Ok(cost)
}

/// `Ok`, or what went wrong at what.
fn needed<T, E: std::fmt::Display>(what: &str, result: std::result::Result<T, E>) -> Result<T> {
    result.map_err(|error| format!("{what}: {error}"))
}

fn key(update: &Value) -> Result<DeltaKey> {
    let id = update["taskId"].as_str().ok_or("an update has no task")?;
    Ok(DeltaKey::new("taskId", id))
}

/// Changes in batches. The server has no such call, because changes that wait become one there; an application that wants
/// every step can make them with the same [`States`] and send them in batches.
struct Changes(States);

impl Default for Changes {
    fn default() -> Self {
        Self(States::new(Deltas::default()))
    }
}

impl Changes {
    fn send(&mut self, group: &Recipients, update: Value) -> Result<()> {
        let id = update["taskId"].as_str().unwrap_or_default().to_owned();
        let state = StateKey { destination: GROUP.into(), target: TARGET.into(), key: id.as_str().into() };
        let bytes = update.to_string().len();
        let Value::Object(object) = update else { return Err("an update is no object".to_owned()) };
        let delta = self.0.update(&state, object, bytes).ok_or("an update changes nothing")?;
        let mut fields = Map::from_iter([
            ("taskId".to_owned(), id.into()),
            ("sequence".to_owned(), delta.sequence.into()),
        ]);
        match delta.base {
            Some(base) => fields.insert("baseSequence".to_owned(), base.into()),
            None => fields.insert("full".to_owned(), true.into()),
        };
        fields.extend(delta.fields);
        needed("send", group.send_batched(&format!("{TARGET}Delta"), &fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_way_brings_every_update() {
        let mut rows = Vec::new();
        for way in Way::all() {
            rows.push(Row { way, cost: measure(way, 200).await.unwrap() });
        }
        let frames: Vec<u64> = rows.iter().map(|row| row.cost.frames).collect();
        assert_eq!(frames, [200, 20, 4, 200, 4, 200, 4]);
        assert!(rows.iter().all(|row| row.cost.updates == 200));
        assert_eq!(faults(&rows), [] as [String; 0]);
        let mut rows = Vec::new();
        for way in Way::short() {
            rows.push(Row { way, cost: measure(way, 200).await.unwrap() });
        }
        let frames: Vec<u64> = rows.iter().map(|row| row.cost.frames).collect();
        assert_eq!(frames, [200, 20, 4, 4]);
        assert_eq!(faults(&rows), [] as [String; 0]);
    }
}
