//! A client that is nothing but a socket, and counts what comes out of it.

use std::net::SocketAddr;

use hubwire::protocol::Encoding;
use hubwire::protocol::delivery::BATCH_SUFFIX;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Result, TARGET, needed};

/// How many bytes fit into one TCP segment: Ethernet's 1500 without 20 of IPv4, 20 of TCP and 12 of its timestamps.
pub const SEGMENT: u64 = 1448;
/// What comes before them: 14 bytes of Ethernet, 20 of IPv4, 20 of TCP and 12 of its timestamps.
pub const HEADERS_PER_SEGMENT: u64 = 66;

/// A frame of a hub has at most so many bytes here.
const MAX_FRAME: u64 = 1024 * 1024;
/// The same as in the example of RFC 6455: it need not be secret to be understood.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const RECORD: u8 = 0x1e;

/// What updates cost, from the server to the client. Acknowledgements of TCP are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Updates that arrived.
    pub updates: u64,
    /// WebSocket frames.
    pub frames: u64,
    /// Bytes of the updates themselves, as they were written into those frames: the objects alone.
    pub content: u64,
    /// Bytes in those frames.
    pub payload: u64,
    /// Bytes of their headers.
    pub frame_headers: u64,
    /// TCP segments. Each frame begins one, because nothing else waited when it left.
    pub segments: u64,
}

impl Cost {
    /// Bytes of Ethernet, IP and TCP headers.
    pub const fn segment_headers(&self) -> u64 {
        self.segments * HEADERS_PER_SEGMENT
    }

    /// All bytes.
    pub const fn total(&self) -> u64 {
        self.payload + self.frame_headers + self.segment_headers()
    }

    /// All bytes but those of the updates themselves.
    pub const fn overhead(&self) -> u64 {
        self.total() - self.content
    }

    fn frame(&mut self, header: u64, payload: u64) {
        self.frames += 1;
        self.frame_headers += header;
        self.payload += payload;
        self.segments += (header + payload).div_ceil(SEGMENT);
    }
}

pub(super) struct Client {
    socket: BufReader<TcpStream>,
    encoding: Encoding,
    cost: Cost,
}

impl Client {
    /// Connects and makes both handshakes, which are not counted.
    pub(super) async fn connect(server: SocketAddr, path: &str, encoding: Encoding) -> Result<Self> {
        let socket = needed("connect", TcpStream::connect(server).await)?;
        let mut client = Self { socket: BufReader::new(socket), encoding, cost: Cost::default() };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        needed("upgrade", client.socket.write_all(request.as_bytes()).await)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(needed("upgrade", client.socket.read_u8().await)?);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(format!("upgrade: {}", String::from_utf8_lossy(&head)));
        }
        let protocol = match encoding {
            Encoding::Json => "json",
            Encoding::MessagePack => "messagepack",
        };
        let hello = format!("{{\"protocol\":\"{protocol}\",\"version\":1}}\u{1e}");
        // A text frame of at most 125 bytes, with a mask that changes nothing.
        let mut frame = vec![0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0];
        frame.extend(hello.as_bytes());
        needed("handshake", client.socket.write_all(&frame).await)?;
        let (_, answer) = client.frame().await?;
        match &answer[..] {
            b"{}\x1e" => Ok(client),
            other => Err(format!("handshake: {}", String::from_utf8_lossy(other))),
        }
    }

    /// Reads until so many updates have arrived since the beginning.
    pub(super) async fn read_until(&mut self, updates: usize) -> Result<()> {
        let updates = updates as u64;
        while self.cost.updates < updates {
            let (header, payload) = self.frame().await?;
            let found = match self.encoding {
                Encoding::Json => json_updates(&payload)?,
                Encoding::MessagePack => message_pack_updates(&payload)?,
            };
            // A ping is of no update.
            if found.updates > 0 {
                self.cost.frame(header, payload.len() as u64);
                self.cost.updates += found.updates;
                self.cost.content += found.bytes;
            }
        }
        if self.cost.updates > updates {
            return Err(format!("{} updates arrived, {updates} were sent", self.cost.updates));
        }
        Ok(())
    }

    pub(super) const fn cost(&self) -> Cost {
        self.cost
    }

    /// The next frame: bytes of its header, and what is in it.
    async fn frame(&mut self) -> Result<(u64, Vec<u8>)> {
        let mut start = [0; 2];
        needed("read", self.socket.read_exact(&mut start).await)?;
        let [first, second] = start;
        // Whole, without extensions, not masked, and text or binary: the server has no reason to send others.
        if !matches!(first, 0x81 | 0x82) || second & 0x80 != 0 {
            return Err(format!("a frame begins with {first:#04x} {second:#04x}"));
        }
        let (header, length) = match second {
            126 => (4, u64::from(needed("read", self.socket.read_u16().await)?)),
            127 => (10, needed("read", self.socket.read_u64().await)?),
            short => (2, u64::from(short)),
        };
        if length > MAX_FRAME {
            return Err(format!("a frame of {length} bytes"));
        }
        let mut payload = vec![0; length as usize];
        needed("read", self.socket.read_exact(&mut payload).await)?;
        Ok((header, payload))
    }
}

/// Updates in a frame, and the bytes of their objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    updates: u64,
    bytes: u64,
}

fn json_updates(payload: &[u8]) -> Result<Found> {
    let mut found = Found::default();
    for record in payload.split(|byte| *byte == RECORD).filter(|record| !record.is_empty()) {
        let message: Value = needed("JSON", serde_json::from_slice(record))?;
        if message["type"] == 1 {
            for object in objects_of(message["target"].as_str(), &message["arguments"])? {
                found.updates += 1;
                found.bytes += object.to_string().len() as u64;
            }
        }
    }
    Ok(found)
}

fn message_pack_updates(mut payload: &[u8]) -> Result<Found> {
    let mut found = Found::default();
    while let Some((length, rest)) = prefix(payload) {
        let (mut message, rest) = rest.split_at_checked(length).ok_or("a message is cut off")?;
        payload = rest;
        let value = needed("MessagePack", rmpv::decode::read_value(&mut message))?;
        let message: Value = needed("MessagePack", rmpv::ext::from_value(value))?;
        // Type, headers, invocation id, target, arguments.
        if message[0] == 1 {
            for object in objects_of(message[3].as_str(), &message[4])? {
                let mut bytes = Vec::new();
                let value = needed("MessagePack", rmpv::ext::to_value(object))?;
                needed("MessagePack", rmpv::encode::write_value(&mut bytes, &value))?;
                found.updates += 1;
                found.bytes += bytes.len() as u64;
            }
        }
    }
    Ok(found)
}

/// The length in front of a message: seven bits in a byte, the lowest first.
fn prefix(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((length, &bytes[index + 1..]));
        }
    }
    None
}

fn objects_of<'a>(target: Option<&str>, arguments: &'a Value) -> Result<Vec<&'a Value>> {
    match target {
        Some(target) if !target.starts_with(TARGET) => Err(format!("a call of {target}")),
        Some(target) if target.ends_with(BATCH_SUFFIX) => {
            let members = arguments[0]["messages"].as_array().ok_or("a batch without messages")?;
            Ok(members.iter().collect())
        }
        _ if arguments.as_array().is_some_and(|all| all.len() > 1) => Ok(vec![arguments]),
        _ => Ok(vec![&arguments[0]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_by_frame() {
        let mut cost = Cost::default();
        cost.frame(2, 100);
        cost.frame(4, SEGMENT - 4);
        cost.frame(4, SEGMENT);
        assert_eq!((cost.frames, cost.segments), (3, 4));
        assert_eq!(cost.total(), 10 + 100 + 2 * SEGMENT - 4 + 4 * HEADERS_PER_SEGMENT);
    }

    #[test]
    fn lengths_in_front_of_messages() {
        assert_eq!(prefix(&[5, 9]), Some((5, &[9_u8][..])));
        assert_eq!(prefix(&[0x80, 1]), Some((128, &[][..])));
        assert_eq!(prefix(&[0x80]), None);
    }
}
