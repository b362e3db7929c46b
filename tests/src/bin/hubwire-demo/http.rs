//! As much of an HTTP client as the checks need.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{PATIENCE, Result};

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) async fn get(url: &str, path: &str) -> Result<Answer> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0, for a body without chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut response)).await??;
    parse(&response).ok_or_else(|| format!("{url}{path}: the answer is not HTTP").into())
}

fn parse(response: &[u8]) -> Option<Answer> {
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&response[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let content_type = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = content_type.map(|(_, value)| value.to_owned()).unwrap_or_default();
    Some(Answer { status, content_type, body: response[end + 4..].to_vec() })
}
