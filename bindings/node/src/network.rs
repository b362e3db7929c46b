//! How connections reach their servers. Certificates are large, so connections with the same settings share them.

use hubwire::{Error, Proxy, TcpConnector};
use parking_lot::Mutex;
use serde::Deserialize;

/// What JavaScript may say of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Network {
    /// The URL of a proxy; empty for none, whatever the environment says.
    proxy: Option<String>,
    /// Root certificates as PEM.
    ca: Vec<String>,
    /// The well-known ones count, too.
    well_known: bool,
}

/// The connector for these settings: that of the last connection if they are the same.
pub(crate) fn connector(network: Network) -> Result<TcpConnector, Error> {
    static LAST: Mutex<Option<(Network, TcpConnector)>> = Mutex::new(None);
    let mut last = LAST.lock();
    if let Some((known, connector)) = &*last
        && *known == network
    {
        return Ok(connector.clone());
    }
    let mut builder = TcpConnector::builder().only_root_certificates(!network.well_known);
    builder = match network.proxy.as_deref() {
        None => builder.proxy(Proxy::from_environment()),
        Some("") => builder.proxy(Proxy::none()),
        Some(url) => builder.proxy(Proxy::parse(url)?),
    };
    for pem in &network.ca {
        builder = builder.add_root_certificates(pem.as_bytes())?;
    }
    let connector = builder.build()?;
    *last = Some((network, connector.clone()));
    Ok(connector)
}
