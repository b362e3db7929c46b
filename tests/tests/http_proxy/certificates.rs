//! Whom the client trusts.

use hubwire::{ErrorKind, HubConnection, Proxy, TcpConnector};

use super::hub::{Authority, EchoHub};
use super::{RetryPolicy, echoes, failure};

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named() {
    let (ours, other) = (Authority::new(), Authority::new());
    let hub = EchoHub::start(Some(&ours)).await;
    let direct = || HubConnection::builder(&hub.url).retry(RetryPolicy::never()).proxy(Proxy::none());
    // One text may have several, and there may be several texts.
    let bundle = format!("{}{}", other.pem, ours.pem);
    echoes(direct().root_certificates(bundle)).await;
    echoes(direct().root_certificates(other.pem.as_str()).root_certificates(ours.pem.as_str())).await;
    for distrusting in [direct(), direct().root_certificates(other.pem.as_str())] {
        let error = failure(distrusting).await;
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.detail().contains("certificate"), "{error}");
    }

    let connector = |pem: &str| {
        let builder = TcpConnector::builder().add_root_certificates(pem.as_bytes()).unwrap();
        builder.only_root_certificates(true).proxy(Proxy::none()).build().unwrap()
    };
    let with = |pem| HubConnection::builder(&hub.url).retry(RetryPolicy::never()).connector(connector(pem));
    echoes(with(&ours.pem)).await;
    assert!(failure(with(&other.pem)).await.detail().contains("certificate"));
}

#[tokio::test]
async fn what_cannot_be_meant_is_misuse() {
    let builder = || HubConnection::builder("https://localhost/hub");
    let connector = || TcpConnector::builder().proxy(Proxy::none()).build().unwrap();
    for (built, wanted) in [
        (builder().root_certificates("nonsense").build(), "not PEM"),
        (builder().connector(connector()).proxy(Proxy::none()).build(), "another one is set"),
        (
            builder().root_certificates(Authority::new().pem).connector(connector()).build(),
            "another one is set",
        ),
    ] {
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.detail().contains(wanted), "{error}");
    }
    let error = TcpConnector::builder().only_root_certificates(true).build().unwrap_err();
    assert!(error.kind() == ErrorKind::Misuse && error.detail().contains("none was added"), "{error}");
}
