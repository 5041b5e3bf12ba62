//! The one HTTPS connector that all receivers share: rustls with aws-lc-rs and the system's roots.

use std::io;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;

/// HTTPS, and plain HTTP for receivers inside the cluster.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// # Errors
/// When the system has no root certificates.
pub(crate) fn connector() -> io::Result<Connector> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(Duration::from_secs(5)));
    Ok(HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}
