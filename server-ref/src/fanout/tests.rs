use hubwire::protocol::delivery::POSITION_HEADER;
use hubwire::protocol::frame::FrameDecoder;
use hubwire::protocol::{Call, Encoding, HubMessage, Invocation, Outcome, Payload};
use serde::{Serialize, Serializer};

use crate::transport::{MemoryClient, memory};
use crate::{Context, History, Hub, HubError, HubOptions, Principal, SendError, Server, ServerHandle};

/// What only MessagePack has.
struct Binary(&'static [u8]);

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct Client {
    client: MemoryClient,
    encoding: Encoding,
    decoder: FrameDecoder,
}

async fn join(ctx: Context, group: String) -> Result<(), HubError> {
    ctx.groups().add(ctx.connection_id(), &group)?;
    Ok(())
}

fn server(options: HubOptions) -> ServerHandle {
    let hub = Hub::builder().method("Join", join).build().unwrap();
    Server::builder().hub_with("/hub", hub, options).build().unwrap().handle()
}

impl Client {
    async fn connect(server: &ServerHandle, encoding: Encoding) -> Self {
        let (transport, mut client) = memory(100);
        tokio::spawn(server.accept("/hub", transport, Principal::anonymous()).unwrap());
        client.send(format!("{{\"protocol\":\"{}\",\"version\":1}}\u{1e}", encoding.name())).await;
        assert_eq!(client.receive().await.unwrap(), "{}\u{1e}");
        let mut decoder = FrameDecoder::new(1_000_000);
        decoder.begin(encoding);
        Self { client, encoding, decoder }
    }

    async fn receive(&mut self) -> HubMessage<Payload> {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return self.encoding.decode(&frame).unwrap().unwrap();
            }
            self.decoder.push(self.client.receive().await.unwrap());
        }
    }

    async fn call(&mut self) -> Call<Payload> {
        let HubMessage::Invocation(Invocation { call, .. }) = self.receive().await else { panic!() };
        call
    }

    async fn invoke<A: Serialize>(
        &mut self,
        target: &str,
        arguments: A,
    ) -> (Outcome<Payload>, Vec<Call<Payload>>) {
        let arguments = Payload::encode_arguments(self.encoding, &arguments).unwrap();
        let call = Call::new(target, arguments);
        let message = HubMessage::Invocation(Invocation { invocation_id: Some("1".into()), call });
        let mut frame = Vec::new();
        self.encoding.encode(&message, &mut frame).unwrap();
        self.client.send(frame).await;
        let mut before = Vec::new();
        loop {
            match self.receive().await {
                HubMessage::Completion(completion) => return (completion.outcome, before),
                HubMessage::Invocation(invocation) => before.push(invocation.call),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_is_the_same_when_it_is_had_again() {
    let server = server(HubOptions { history: Some(History::default()), ..HubOptions::default() });
    let group = server.hub("/hub").unwrap().group("room");
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let mut client = Client::connect(&server, encoding).await;
        let (_, before) = client.invoke("Join", ("room",)).await;
        let start = before[0].headers[0].clone();
        assert_eq!(start.0, POSITION_HEADER);
        group.publish("Blob", (Binary(&[1, 2, 255]), 1.5)).unwrap();
        let live = client.call().await;
        if encoding == Encoding::MessagePack {
            assert_eq!(live.arguments.bytes()[..6], [0x92, 0xc4, 3, 1, 2, 255]);
        }
        let (_, before) = client.invoke("HubwireRecover", ([&*start.1],)).await;
        assert_eq!(before, [live]);
        // Not only the first argument counts.
        for arguments in [vec![], vec![vec![&*start.1], vec![]]] {
            let (outcome, before) = client.invoke("HubwireRecover", arguments).await;
            let Outcome::Error(error) = outcome else { panic!("{outcome:?}") };
            assert!(error.contains("takes 1 arguments") && before.is_empty(), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_refused_before_anything_happens() {
    let server = server(HubOptions { history: Some(History::default()), ..HubOptions::default() });
    let hub = server.hub("/hub").unwrap();
    // Keys that are no texts are something that JSON does not have.
    let odd = std::collections::BTreeMap::from([(vec![1], 1)]);
    for result in [
        hub.group("room").publish("Odd", (&odd,)).map(drop),
        hub.group("room").send_batched("Odd", &odd),
        hub.group("room").send_batched_arguments("Odd", 1),
    ] {
        assert!(matches!(result, Err(SendError::Arguments(_))), "{result:?}");
    }
    let statistics = server.statistics().hubs[0].history.unwrap();
    assert_eq!((statistics.streams, statistics.messages), (0, 0));
    assert_eq!(server.batching("/hub").unwrap().statistics().current_pending_messages, 0);
}

#[tokio::test(start_paused = true)]
async fn old_messages_are_forgotten_where_nobody_asks() {
    let server = server(HubOptions { history: Some(History::default()), ..HubOptions::default() });
    server.hub("/hub").unwrap().group("room").publish("Said", (1,)).unwrap();
    let messages = || server.shared_history_messages();
    assert_eq!(messages(), 1);
    tokio::time::sleep(std::time::Duration::from_secs(599)).await;
    assert_eq!(messages(), 1);
    tokio::time::sleep(std::time::Duration::from_secs(152)).await;
    assert_eq!(messages(), 0);
}

impl ServerHandle {
    fn shared_history_messages(&self) -> usize {
        self.statistics().hubs[0].history.unwrap().messages
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_one_window_and_no_longer() {
    let server = server(HubOptions::default());
    let mut client = Client::connect(&server, Encoding::MessagePack).await;
    let all = server.hub("/hub").unwrap().all();
    let begin = tokio::time::Instant::now();
    let millis = |begin: tokio::time::Instant| begin.elapsed().as_millis();
    all.send_batched("Step", &1).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(99)).await;
    all.send_batched("Step", &2).unwrap();
    let call = client.call().await;
    assert_eq!((&*call.target, millis(begin)), ("StepBatch", 100));
    // The next one has a window of its own, from its first member on.
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    let begin = tokio::time::Instant::now();
    all.send_batched("Step", &3).unwrap();
    let call = client.call().await;
    assert_eq!((&*call.target, millis(begin)), ("Step", 100));
    assert_eq!(call.arguments.bytes()[..], [0x91, 3]);
}
