//! When a server is ready, and what is told when it is not.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::process::{Server, keep_logs};
use super::wait::wait_for;

/// Each server is ready within 1 to 3 s on an idle machine of two cores; compilers may run beside.
const READY: Duration = Duration::from_secs(90);

pub(super) async fn client_from(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

/// Waits until `probe` says true, and gives up at once when one of `servers` has ended.
pub(super) async fn ready<F>(what: &str, servers: &mut [Server], mut probe: F) -> Result<()>
where
    F: AsyncFnMut() -> Result<bool>,
{
    let answer = wait_for(what, READY, async || {
        for server in servers.iter_mut() {
            if let Err(ended) = server.check() {
                return Ok(Some(Err(ended)));
            }
        }
        Ok(probe().await?.then_some(Ok(())))
    })
    .await;
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ended)) => {
            keep_logs();
            Err(ended.context(format!("waited until {what}")))
        }
        Err(late) => {
            let tail = servers.last().map(Server::tail).unwrap_or_default();
            Err(late.context(tail))
        }
    }
}

/// Whether the plain HTTP server at `port` answers 200 on `path`.
pub(super) async fn answers_ok(port: u16, path: &str) -> Result<bool> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}
