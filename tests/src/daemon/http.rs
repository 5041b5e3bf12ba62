//! Requests to the daemon, one connection each: a daemon that is killed leaves no pool behind.

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What the daemon said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Body.
    pub body: String,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// `GET` of a path.
///
/// # Errors
/// When nobody answers.
pub async fn get(port: u16, path: &str) -> Result<Answer> {
    let request = Request::get(path).header("host", "127.0.0.1").body(Full::new(Bytes::new()))?;
    send(port, request).await
}

/// `POST` of a body under a bearer token.
///
/// # Errors
/// When nobody answers: what was sent may or may not be durable then.
pub async fn post(port: u16, path: &str, token: &str, body: String) -> Result<Answer> {
    let request = Request::post(path)
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(Bytes::from(body)))?;
    send(port, request).await
}

async fn send(port: u16, request: Request<Full<Bytes>>) -> Result<Answer> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let retry = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let retry_after = retry.and_then(|value| value.parse().ok());
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), retry_after })
}
