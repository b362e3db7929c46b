//! The fault proxy, each fault over real sockets.
#![allow(clippy::unwrap_used, missing_docs)]

use std::future::Future;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::proxy::{Accept, BUFFER, EndAfter, Ending, Faults, Lane, Proxy, Slice, Traffic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Long enough for any machine; what is waited for comes at once or never.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("it did not happen within 20 s")
}

/// A proxy, a client behind it, and the server's end of the client's connection.
struct Pair {
    proxy: Proxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Pair {
    async fn new(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
        proxy.set(faults);
        let (client, server) = pair(&proxy, &listener).await;
        Self { proxy, listener, client, server }
    }

    async fn another(&self) -> (TcpStream, TcpStream) {
        pair(&self.proxy, &self.listener).await
    }
}

async fn pair(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.address());
    let (client, server) = soon(async { tokio::join!(client, listener.accept()) }).await;
    (client.unwrap(), server.unwrap().0)
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.unwrap();
    let mut got = vec![0; bytes.len()];
    soon(to.read_exact(&mut got)).await.unwrap();
    assert!(got == bytes, "the bytes arrived changed");
}

/// What comes until the stream ends, and the error if it does not end well.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut got = Vec::new();
    let result = soon(stream.read_to_end(&mut got)).await;
    (got, result.err().map(|error| error.kind()))
}

/// Nothing may come, and the stream may not end, for a moment. The only wait here that cannot be for a condition.
async fn nothing_from(stream: &mut TcpStream) {
    let mut byte = [0];
    let got = timeout(Duration::from_millis(100), stream.read(&mut byte)).await;
    assert!(got.is_err(), "expected silence, got {got:?}");
}

fn lane(change: impl FnOnce(&mut Lane)) -> Lane {
    let mut lane = Lane::default();
    change(&mut lane);
    lane
}

fn to_client(change: impl FnOnce(&mut Lane)) -> Faults {
    Faults { to_client: lane(change), ..Faults::default() }
}

fn to_upstream(change: impl FnOnce(&mut Lane)) -> Faults {
    Faults { to_upstream: lane(change), ..Faults::default() }
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8).collect()
}

#[tokio::test]
async fn without_faults_everything_passes_in_both_directions() {
    let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::default()).await;
    let sent = numbers(3 * BUFFER);
    let (mut read, mut write) = client.split();
    let (mut server_read, mut server_write) = server.split();
    let (mut up, mut down) = (vec![0; sent.len()], vec![0; sent.len()]);
    soon(async {
        tokio::try_join!(
            write.write_all(&sent),
            server_write.write_all(&sent),
            async { server_read.read_exact(&mut up).await.map(drop) },
            async { read.read_exact(&mut down).await.map(drop) },
        )
    })
    .await
    .unwrap();
    assert!(up == sent && down == sent, "the bytes arrived changed");
    let all = Traffic { to_upstream: sent.len() as u64, to_client: sent.len() as u64 };
    soon(proxy.until(|proxy| proxy.traffic() == all)).await;
    assert_eq!((proxy.accepted(), proxy.connections().len()), (1, 1));
}

#[tokio::test]
async fn each_side_may_end_its_stream_first() {
    let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::default()).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await, (b"question".to_vec(), None));
    pass(&mut server, &mut client, b"answer").await;
    drop(server);
    assert_eq!(rest(&mut client).await, (Vec::new(), None));
    soon(proxy.until(|proxy| proxy.connections().is_empty())).await;
    assert_eq!(proxy.traffic(), Traffic { to_upstream: 8, to_client: 6 }, "counted beyond the end");
}

#[tokio::test]
async fn a_reset_by_one_side_reaches_the_other() {
    let Pair { proxy: _proxy, client, mut server, .. } = Pair::new(Faults::default()).await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(rest(&mut server).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_delay_holds_back_one_direction() {
    let wait = Duration::from_millis(80);
    let Pair { proxy: _proxy, mut client, mut server, .. } =
        Pair::new(to_client(|lane| lane.delay = wait)).await;
    let started = Instant::now();
    pass(&mut server, &mut client, b"late").await;
    assert!(started.elapsed() >= wait, "after {:?}", started.elapsed());
}

#[tokio::test]
async fn jitter_is_a_delay_by_chance() {
    let faults = Faults { seed: 3, ..to_client(|lane| lane.jitter = Duration::from_millis(30)) };
    let Pair { proxy: _proxy, mut client, mut server, .. } = Pair::new(faults).await;
    let mut longest = Duration::ZERO;
    for number in 0..20 {
        let started = Instant::now();
        pass(&mut server, &mut client, &[number]).await;
        longest = longest.max(started.elapsed());
    }
    assert!(longest >= Duration::from_millis(15), "the longest took {longest:?}");
}

#[tokio::test]
async fn a_throttle_limits_the_speed() {
    let speed = NonZeroU32::new(100_000);
    let Pair { proxy: _proxy, mut client, mut server, .. } =
        Pair::new(to_client(|lane| lane.bytes_per_second = speed)).await;
    let started = Instant::now();
    pass(&mut server, &mut client, &numbers(20_000)).await;
    // 0.2 s, less the last pace.
    assert!(started.elapsed() >= Duration::from_millis(180), "after {:?}", started.elapsed());
    pass(&mut client, &mut server, b"the other direction").await;
}

#[tokio::test]
async fn slices_arrive_one_by_one() {
    let slice = Slice { longest: NonZeroUsize::new(3).unwrap(), pause: Duration::from_millis(5) };
    let Pair { proxy: _proxy, mut client, mut server, .. } =
        Pair::new(to_client(|lane| lane.slice = Some(slice))).await;
    server.write_all(&numbers(60)).await.unwrap();
    let (mut got, mut reads) = (Vec::new(), 0);
    while got.len() < 60 {
        let mut some = [0; 64];
        let length = soon(client.read(&mut some)).await.unwrap();
        got.extend_from_slice(&some[..length]);
        reads += 1;
    }
    assert_eq!(got, numbers(60));
    // At least 20 writes; a busy machine may read a few of them together.
    assert!(reads >= 10, "read in {reads} pieces");
}

#[tokio::test]
async fn a_hole_keeps_both_sockets_and_lets_nothing_through() {
    let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::default()).await;
    pass(&mut client, &mut server, b"before").await;
    proxy.set(Faults::black_hole());
    client.write_all(b"into the hole").await.unwrap();
    nothing_from(&mut server).await;
    // The end of one side does not get through either: the other one is half open.
    client.shutdown().await.unwrap();
    nothing_from(&mut server).await;
    assert_eq!(proxy.connections().len(), 1);
    proxy.set(Faults::default());
    assert_eq!(rest(&mut server).await, (b"into the hole".to_vec(), None), "what TCP would have sent again");
}

#[tokio::test]
async fn a_hole_may_be_in_one_direction_and_of_one_connection() {
    let one = Pair::new(Faults::default()).await;
    let (mut other_client, mut other_server) = one.another().await;
    let Pair { proxy, mut client, mut server, .. } = one;
    proxy.connections()[0].set(&to_client(|lane| lane.hole = true));
    server.write_all(b"x").await.unwrap();
    nothing_from(&mut client).await;
    pass(&mut client, &mut server, b"the other direction").await;
    pass(&mut other_server, &mut other_client, b"the other connection").await;
}

#[tokio::test]
async fn a_new_connection_can_fall_into_a_hole() {
    let Pair { mut client, mut server, proxy, .. } = Pair::new(Faults::black_hole()).await;
    client.write_all(b"x").await.unwrap();
    nothing_from(&mut server).await;
    assert_eq!(proxy.connections()[0].traffic(), Traffic::default());
}

/// A sender that nobody reads from has to wait: the proxy holds a bounded part.
#[tokio::test]
async fn the_buffer_is_bounded() {
    let Pair { proxy, mut client, server, .. } = Pair::new(to_client(|lane| lane.hole = true)).await;
    let chunk = vec![0; 64 * 1024];
    let mut written = 0;
    while soon_or_never(server.writable()).await {
        match server.try_write(&chunk) {
            Ok(length) => written += length,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        // The proxy's part, and what the system keeps for two sockets.
        assert!(written < 64 * 1024 * 1024, "the sender was never stopped");
    }
    assert!(written >= BUFFER / 2);
    proxy.set(Faults::default());
    drop(server);
    assert_eq!(rest(&mut client).await.0.len(), written, "nothing of it is lost");
}

/// Whether it happens within a time in which it would have happened.
async fn soon_or_never<T>(what: impl Future<Output = T>) -> bool {
    timeout(Duration::from_millis(500), what).await.is_ok()
}

#[tokio::test]
async fn a_cut_is_a_clean_end_for_both_sides() {
    let one = Pair::new(Faults::default()).await;
    let (mut other_client, mut other_server) = one.another().await;
    let Pair { proxy, mut client, mut server, .. } = one;
    pass(&mut client, &mut server, b"x").await;
    let connection = proxy.connections()[0].clone();
    connection.cut();
    assert_eq!(rest(&mut client).await, (Vec::new(), None));
    assert_eq!(rest(&mut server).await, (Vec::new(), None));
    soon(connection.until_closed()).await;
    assert!(!connection.is_open());
    pass(&mut other_client, &mut other_server, b"the other connection").await;
    assert_eq!(proxy.cut_all(), 1);
    assert_eq!(rest(&mut other_client).await, (Vec::new(), None));
}

/// Closing a socket with unread bytes makes the system send RST; a cut must not.
#[tokio::test]
async fn a_cut_is_clean_with_bytes_on_the_way() {
    let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::black_hole()).await;
    for stream in [&mut client, &mut server] {
        stream.write_all(&numbers(100_000)).await.unwrap();
    }
    proxy.cut_all();
    assert_eq!(rest(&mut client).await, (Vec::new(), None));
    assert_eq!(rest(&mut server).await, (Vec::new(), None));
}

#[tokio::test]
async fn a_reset_is_an_error_for_both_sides() {
    let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::default()).await;
    assert_eq!(proxy.reset_all(), 1);
    assert_eq!(rest(&mut client).await.1, Some(ErrorKind::ConnectionReset));
    assert_eq!(rest(&mut server).await.1, Some(ErrorKind::ConnectionReset));
    soon(proxy.until(|proxy| proxy.connections().is_empty())).await;
}

#[tokio::test]
async fn it_ends_after_so_many_bytes() {
    for (how, error) in [(Ending::Cut, None), (Ending::Reset, Some(ErrorKind::ConnectionReset))] {
        let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::default()).await;
        pass(&mut client, &mut server, b"not counted").await;
        let end_after = Some(EndAfter { bytes: 10, how });
        proxy.set(to_upstream(|lane| lane.end_after = end_after));
        pass(&mut client, &mut server, b"0123").await;
        client.write_all(&numbers(50_000)).await.unwrap();
        // A reset may overtake bytes, so only their number in the proxy is certain then.
        let (got, ended) = rest(&mut server).await;
        assert_eq!(ended, error);
        if how == Ending::Cut {
            assert_eq!(got, numbers(6));
        }
        soon(proxy.until(|proxy| proxy.connections().is_empty())).await;
        assert_eq!(proxy.traffic().to_upstream, 11 + 10);
        assert_eq!(rest(&mut client).await.1, error);
    }
}

#[tokio::test]
async fn an_end_after_nothing_ends_at_once() {
    let Pair { proxy, mut client, .. } = Pair::new(Faults::default()).await;
    proxy.set(to_client(|lane| lane.end_after = Some(EndAfter { bytes: 0, how: Ending::Cut })));
    assert_eq!(rest(&mut client).await, (Vec::new(), None));
}

#[tokio::test]
async fn corruption_changes_bits_and_not_the_length() {
    let faults = Faults { seed: 5, ..to_client(|lane| lane.corrupt_one_in = NonZeroU64::new(100)) };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let Pair { proxy: _proxy, mut client, mut server, .. } = Pair::new(faults.clone()).await;
        let sent = numbers(10_000);
        server.write_all(&sent).await.unwrap();
        let mut got = vec![0; sent.len()];
        soon(client.read_exact(&mut got)).await.unwrap();
        let wrong: Vec<u32> = got
            .iter()
            .zip(&sent)
            .map(|(got, sent)| (got ^ sent).count_ones())
            .filter(|&bits| bits > 0)
            .collect();
        assert!(wrong.iter().all(|&bits| bits == 1));
        assert!((50..200).contains(&wrong.len()), "{} of 10,000 bytes are wrong", wrong.len());
        runs.push(got);
        pass(&mut client, &mut server, &sent).await;
    }
    assert!(runs[0] == runs[1], "the same seed breaks the same bits");
}

#[tokio::test]
async fn refused_connections_can_be_let_in_again() {
    let pair = Pair::new(Faults::default()).await;
    let address = pair.proxy.address();
    pair.proxy.set(Faults::accept(Accept::Refuse));
    soon(async {
        // The listener is closed by a task of its own.
        while let Ok(mut stream) = TcpStream::connect(address).await {
            let _ = stream.read(&mut [0]).await;
        }
    })
    .await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    pair.proxy.set(Faults::default());
    let client = soon(async {
        loop {
            match TcpStream::connect(address).await {
                Ok(client) => break client,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let (mut client, mut server) = (client, soon(pair.listener.accept()).await.unwrap().0);
    pass(&mut client, &mut server, b"back").await;
}

#[tokio::test]
async fn new_connections_can_be_closed_or_reset_while_old_ones_live() {
    for (accept, error) in [(Accept::Close, None), (Accept::Reset, Some(ErrorKind::ConnectionReset))] {
        let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::default()).await;
        proxy.set(Faults::accept(accept));
        let mut rejected = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(rest(&mut rejected).await.1, error, "{accept:?}");
        pass(&mut client, &mut server, b"still there").await;
        assert_eq!(proxy.accepted(), 2);
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_resets_the_client() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(gone).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(rest(&mut client).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_connections() {
    let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::default()).await;
    pass(&mut client, &mut server, b"x").await;
    drop(proxy);
    assert_eq!(rest(&mut client).await.1, Some(ErrorKind::ConnectionReset));
}

/// The program's language: one JSON object in, one out.
#[tokio::test]
async fn commands_do_what_the_methods_do() {
    let Pair { proxy, mut client, mut server, .. } = Pair::new(Faults::default()).await;
    pass(&mut client, &mut server, b"four").await;
    soon(proxy.until(|proxy| proxy.traffic().to_upstream == 4)).await;
    let run = |line: &str| serde_json::from_str::<serde_json::Value>(&proxy.command(line)).unwrap();
    let want = serde_json::json!({
        "ok": true, "accepted": 1, "traffic": { "toUpstream": 4, "toClient": 0 },
        "connections": [{ "connection": 1, "toUpstream": 4, "toClient": 0 }],
    });
    assert_eq!(run(r#"{"status":true}"#), want);
    assert_eq!(run(r#"{"faults":{"toClient":{"hole":true}}}"#)["ok"], true);
    assert!(proxy.faults().to_client.hole);
    for wrong in
        ["", "{}", r#"{"cut":true,"reset":true}"#, r#"{"connection":9,"cut":true}"#, r#"{"fault":{}}"#]
    {
        let answer = run(wrong);
        assert!(answer["ok"] == false && answer["error"].is_string(), "{wrong}: {answer}");
    }
    assert_eq!(run(r#"{"connection":1,"cut":true}"#)["ok"], true);
    assert_eq!(rest(&mut client).await, (Vec::new(), None));
}

#[tokio::test]
async fn the_program_takes_commands_and_ends_with_its_input() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_fault-proxy"))
        .args(["--upstream", &listener.local_addr().unwrap().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let address = first.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{first}")).to_owned();
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut server = soon(listener.accept()).await.unwrap().0;
    pass(&mut client, &mut server, b"x").await;
    let mut stdin = program.stdin.take().unwrap();
    for (command, ok) in [("nonsense", false), (r#"{"status":true}"#, true), (r#"{"cut":true}"#, true)] {
        writeln!(stdin, "{command}").unwrap();
        let answer: serde_json::Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
        assert_eq!(answer["ok"], ok, "{answer}");
    }
    assert_eq!(rest(&mut client).await, (Vec::new(), None));
    drop(stdin);
    assert!(program.wait().unwrap().success());
}
