//! Requests that are redirected go where `fetch` would go, with what it would send.

use std::sync::Arc;

use hubwire::protocol::Transport;
use hubwire::{Error, ErrorKind, HubConnection, HubConnectionBuilder};

use super::script::{Script, start};
use super::{RetryPolicy, TRANSPORTS, soon};

fn builder(url: &str) -> HubConnectionBuilder {
    HubConnection::builder(url).retry(RetryPolicy::never()).access_token("t").header("X-Custom", "mine")
}

async fn add(builder: HubConnectionBuilder) {
    let connection = builder.build().unwrap();
    soon(connection.start()).await.unwrap();
    assert_eq!(soon(connection.invoke::<i64>("Add", (40, 2))).await, Ok(42));
    soon(connection.stop()).await;
}

async fn failure(builder: HubConnectionBuilder) -> Error {
    soon(builder.build().unwrap().start()).await.unwrap_err()
}

/// What was asked for: method, path and what followed the query.
fn requests(script: &Script) -> Vec<String> {
    let line = |line: String| {
        let (before, rest) = line.split_once('?').unwrap();
        format!("{before} {}", rest.split_once(' ').unwrap().1)
    };
    script.log().into_iter().map(line).collect()
}

/// The transport goes to where the application said, wherever the negotiation was answered.
#[tokio::test]
async fn a_negotiation_that_is_moved_moves_nothing_else() {
    for transport in TRANSPORTS {
        let (url, script) = start().await;
        script.redirect("/hub/negotiate", 307, "/once/negotiate");
        script.redirect("/once/negotiate", 308, "../twice/negotiate");
        add(builder(&url).transports([transport])).await;
        let requests = requests(&script);
        let to =
            |path, cookie| format!("POST {path} Bearer t cookie={cookie} x=mine text/plain;charset=UTF-8");
        assert_eq!(requests[0], to("/hub/negotiate", "-"));
        assert_eq!(requests[1], to("/once/negotiate", "sent=away"));
        assert_eq!(requests[2], to("/twice/negotiate", "sent=away"));
        assert!(
            requests.len() > 5 && requests[3..].iter().all(|line| line.contains(" /hub Bearer t cookie="))
        );
        // The query went along, because the script said so.
        assert!(script.log()[2].contains("?tenant=1&negotiateVersion=1&hubwire=1 "), "{}", script.log()[2]);
    }
}

/// To another origin everything goes along but what says who we are.
#[tokio::test]
async fn the_requests_of_a_transport_follow_to_another_server() {
    for transport in TRANSPORTS {
        let (url, front) = start().await;
        let (elsewhere, back) = start().await;
        // By name, so that cookies tell the two apart.
        let elsewhere = elsewhere.replace("127.0.0.1", "localhost");
        let origin = elsewhere.split("/hub").next().unwrap();
        front.redirect("/hub", 307, format!("{origin}/moved"));
        back.redirect("/moved", 307, "/again");
        add(builder(&url).transports([transport])).await;
        let requests = requests(&back);
        for line in &requests {
            let (request, rest) = line.split_once(' ').unwrap();
            let (path, rest) = rest.split_once(' ').unwrap();
            let kind = if request == "POST" { "text/plain;charset=UTF-8" } else { "-" };
            // The cookies are those of this server, not those of the one before.
            let [first, later] = ["-", "sent=away"].map(|cookie| format!("- cookie={cookie} x=mine {kind}"));
            assert!(rest == later || (path == "/moved" && rest == first), "{line}");
        }
        let moved = requests.iter().filter(|line| line.contains(" /moved ")).count();
        assert!(moved > 1 && requests.len() == 2 * moved, "{requests:?}");
        for line in &self::requests(&front)[1..] {
            assert!(line.contains(" /hub Bearer t cookie=") && line.contains("node=7"), "{line}");
        }
    }
}

/// Headers of the application that say who it is stay with the server that they are for, also after a way back.
#[tokio::test]
async fn custom_headers_with_secrets_do_not_leave() {
    let (url, front) = start().await;
    let (elsewhere, back) = start().await;
    front.redirect("/hub/negotiate", 307, elsewhere.replace("/hub?tenant=1", "/away"));
    back.redirect("/away", 307, url.replace("/hub?tenant=1", "/home/negotiate"));
    let builder = builder(&url).header("Cookie", "mine=1").header("Authorization", "Basic mine");
    add(builder.transports(TRANSPORTS)).await;
    assert_eq!(requests(&back), ["POST /away - cookie=- x=mine text/plain;charset=UTF-8"]);
    let requests = requests(&front);
    assert_eq!(requests[0], "POST /hub/negotiate Basic mine cookie=mine=1 x=mine text/plain;charset=UTF-8");
    assert_eq!(requests[1], "POST /home/negotiate - cookie=- x=mine text/plain;charset=UTF-8");
    assert!(requests[2].contains(" /hub Basic mine cookie=mine=1 "), "{}", requests[2]);
}

/// As `fetch` has it, a POST that is moved becomes a GET, and has no body any more.
#[tokio::test]
async fn a_post_becomes_a_get() {
    for status in [301, 302, 303] {
        let (url, script) = start().await;
        script.redirect("/hub/negotiate", status, "/other/negotiate");
        // The script answers a negotiation with any method.
        add(builder(&url).transports(TRANSPORTS)).await;
        assert_eq!(requests(&script)[1], "GET /other/negotiate Bearer t cookie=sent=away x=mine -");
    }
}

async fn redirected(status: u16, location: &str) -> (Error, Arc<Script>) {
    let (url, script) = start().await;
    script.redirect("/hub/negotiate", status, location);
    let error = failure(builder(&url)).await;
    assert_eq!(error.kind(), ErrorKind::Network);
    (error, script)
}

#[tokio::test]
async fn a_loop_and_a_wrong_location_are_named() {
    let (error, script) = redirected(307, "/hub/negotiate").await;
    let detail = error.detail();
    assert!(detail.contains("redirected more than 10 times, at last to 'http://127.0.0.1:"), "{detail}");
    assert!(detail.contains("/hub/negotiate'") && !detail.contains("tenant"), "{detail}");
    assert_eq!(script.log().len(), 11);
    for (location, wanted) in [
        ("ftp://example.org/hub", "(status 302) to 'ftp://example.org/hub'"),
        ("http://[nowhere/hub", "to 'http://[nowhere/hub', which is no address"),
    ] {
        let (error, script) = redirected(302, location).await;
        assert!(error.detail().contains(wanted), "{error}");
        assert_eq!(script.log().len(), 1);
    }
    let (error, _) = redirected(301, "http://127.0.0.1:1/hub/negotiate").await;
    assert!(error.detail().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_websocket_is_not_redirected() {
    let (url, script) = start().await;
    script.redirect("/hub", 302, "/moved");
    let error = failure(builder(&url).transports([Transport::WebSockets]).skip_negotiation(true)).await;
    let detail = error.detail();
    assert!(detail.contains("redirects to '/moved', but a WebSocket is not redirected"), "{detail}");
    assert!(detail.contains("Status code '302'") && error.kind() == ErrorKind::Refused, "{error}");
    assert_eq!(script.log().len(), 1);
}
