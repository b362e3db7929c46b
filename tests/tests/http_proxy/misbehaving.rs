//! Proxies that close, talk nonsense, or say nothing at all.

use hubwire::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::hub::{Authority, EchoHub};
use super::{Duration, failure, soon, through};

/// A server nobody gets to.
const URL: &str = "https://server.example/hub";

/// A proxy that does to each connection what the script says, after it got the request. Gives its URL.
async fn scripted<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n")
                && let Ok(byte) = tcp.read_u8().await
            {
                request.push(byte);
            }
            let request = String::from_utf8(request).unwrap();
            assert!(request.starts_with("CONNECT server.example:443 HTTP/1.1\r\n"), "{request}");
            assert!(request.to_lowercase().contains("\r\nhost: server.example:443\r\n"), "{request}");
            tokio::spawn(script(tcp));
        }
    });
    url
}

/// Says this, and then closes.
async fn saying(answer: &'static [u8]) -> String {
    scripted(move |mut tcp| async move {
        // The client may have closed already.
        let _ = tcp.write_all(answer).await;
        let _ = tcp.shutdown().await;
    })
    .await
}

/// What the client says of a proxy, the same with and without negotiation.
async fn said_of(proxy: &str, wanted: &[&str]) {
    for skip_negotiation in [false, true] {
        let error = failure(through(URL, proxy).skip_negotiation(skip_negotiation)).await;
        assert_eq!(error.kind(), ErrorKind::Network);
        let address = proxy.trim_start_matches("http://");
        for wanted in [&[address, "server.example:443"], wanted].concat() {
            assert!(error.detail().contains(wanted), "{error}, without {wanted:?}");
        }
    }
}

#[tokio::test]
async fn answers_that_are_no_tunnel() {
    for (answer, wanted) in [
        (&b""[..], "gave no tunnel"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "gave no tunnel"),
        (b"\xff\xfe\x00\x01\r\n\r\n", "gave no tunnel"),
        (b"HTTP/1.1 200 Connection", "gave no tunnel"),
        (b"HTTP/1.1 407 Nope\r\nContent-Length: 0\r\n\r\n", "status 407 (it wants credentials)"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 100\r\n\r\n<html>", "status 502 (Bad Gateway)"),
        (b"HTTP/1.1 302 Login\r\nLocation: http://login.example/\r\n\r\n", "status 302 (Found)"),
        (b"HTTP/1.1 799 What\r\n\r\n", "status 799 (unknown)"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "TLS with server.example:443 through the proxy"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwelcome!\n",
            "TLS with server.example:443 through the proxy",
        ),
    ] {
        said_of(&saying(answer).await, &[wanted]).await;
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let error = failure(through(URL, &format!("http://user:secret@{address}"))).await;
    assert!(error.detail().contains(&format!("The proxy {address} cannot be reached: ")), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// The head of its answer is read up to a limit, and the connection is closed then.
#[tokio::test]
async fn a_head_that_does_not_end_is_bounded() {
    let (sender, mut ended) = mpsc::unbounded_channel();
    let proxy = scripted(move |mut tcp| {
        let sender = sender.clone();
        async move {
            let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\n").await;
            let mut written = 0_usize;
            while tcp.write_all(b"X-More: and more and more\r\n").await.is_ok() {
                written += 27;
            }
            sender.send(written).unwrap();
        }
    })
    .await;
    said_of(&proxy, &["gave no tunnel", "too large"]).await;
    for _ in 0..2 {
        // What the client had read, and what the two sockets had room for.
        let written = soon(ended.recv()).await.unwrap();
        assert!(written < 16 << 20, "{written}");
    }
}

/// One that takes the request and says nothing is given up after the time for requests, and let go.
#[tokio::test]
async fn a_proxy_that_never_answers_is_given_up() {
    let (sender, mut ended) = mpsc::unbounded_channel();
    let proxy = scripted(move |mut tcp| {
        let sender = sender.clone();
        async move { sender.send(tcp.read(&mut [0]).await.unwrap()).unwrap() }
    })
    .await;
    for skip_negotiation in [false, true] {
        let builder = through(URL, &proxy).request_timeout(Duration::from_millis(500));
        let error = failure(builder.skip_negotiation(skip_negotiation)).await;
        assert!(error.detail().contains("in time") || error.kind() == ErrorKind::Timeout, "{error}");
        assert_eq!(soon(ended.recv()).await, Some(0), "the client has closed");
    }
}

/// A proxy that answers for the server itself is found out by its certificate.
#[tokio::test]
async fn a_tunnel_to_somebody_else_is_found_out() {
    let (ours, other) = (Authority::new(), Authority::new());
    let impostor = EchoHub::start(Some(&other)).await;
    let to = impostor.address.clone();
    let proxy = scripted(move |mut tcp| {
        let to = to.clone();
        async move {
            tcp.write_all(b"HTTP/1.0 200 Connection established\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut tcp, &mut server).await;
        }
    })
    .await;
    let error = failure(through(URL, &proxy).root_certificates(ours.pem)).await;
    assert!(error.detail().contains("certificate"), "{error}");
}
