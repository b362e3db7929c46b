//! The proxy of the environment, each in a process of its own.

use std::process::Stdio;

use tokio::process::Command;

use super::hub::{Authority, EchoHub};
use super::tinyproxy::Tinyproxy;
use super::{CREDENTIALS, soon};

/// What the client says, with this environment and no other word of proxies.
async fn client(hub: &EchoHub, args: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connect-child"));
    for name in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.arg(&hub.url).args(args).envs(environment.iter().copied());
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output();
    String::from_utf8(soon(output).await.unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_variables_of_curl_are_respected() {
    let Some(mut proxy) = Tinyproxy::start(CREDENTIALS).await else { return };
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, &authority.pem).unwrap();
    let args = ["--roots", roots.to_str().unwrap()];
    let through = format!("http://user:%70.s-s@{}", proxy.address);
    let through = through.as_str();
    let (plain, secured) = (EchoHub::start(None).await, EchoHub::start(Some(&authority)).await);

    let mut expected = 0;
    for (hub, environment) in [
        (&plain, vec![("http_proxy", through)]),
        (&plain, vec![("HTTP_PROXY", through), ("HTTPS_PROXY", "http://127.0.0.1:1")]),
        (&plain, vec![("ALL_PROXY", through), ("NO_PROXY", "example.org, 10.0.0.0/8")]),
        (&secured, vec![("HTTPS_PROXY", through)]),
        (&secured, vec![("https_proxy", through), ("ALL_PROXY", "http://127.0.0.1:1")]),
    ] {
        let before = hub.accepted();
        assert_eq!(client(hub, &args, &environment).await, "connected", "{environment:?}");
        assert!(hub.accepted() > before);
        expected += hub.accepted() - before;
        proxy.tunnels(expected).await;
    }

    // None of these has a word to say: nobody listens at port 1.
    let nowhere = "http://127.0.0.1:1";
    for (hub, environment) in [
        (&plain, vec![("HTTPS_PROXY", nowhere)]),
        (&secured, vec![("HTTP_PROXY", nowhere)]),
        (&plain, vec![("ALL_PROXY", nowhere), ("NO_PROXY", "127.0.0.0/8")]),
        (&secured, vec![("ALL_PROXY", nowhere), ("no_proxy", "*")]),
    ] {
        assert_eq!(client(hub, &args, &environment).await, "connected", "{environment:?}");
    }
    let environment = [("ALL_PROXY", nowhere)];
    assert_eq!(client(&plain, &["--no-proxy"], &environment).await, "connected");
    let said = client(&plain, &[], &environment).await;
    assert!(
        said.starts_with("failed: ") && said.contains("The proxy 127.0.0.1:1 cannot be reached"),
        "{said}"
    );

    // What it is not able to do is not passed over in silence.
    let said = client(&plain, &[], &[("ALL_PROXY", "socks5://user:secret@127.0.0.1:1")]).await;
    assert!(said.starts_with("failed: ") && said.contains("'socks5'") && !said.contains("secret"), "{said}");
}
