//! Asking a running daemon: HTTP over its socket, or over TCP with an operator's token.

use std::path::PathBuf;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::http::shape::Refusal;

/// Longest answer that is read: 64 MiB.
const MOST_BYTES: usize = 64 << 20;

/// Where the daemon is.
#[derive(Clone, PartialEq, Eq)]
pub enum Daemon {
    /// Behind its socket.
    Socket(PathBuf),
    /// Behind its HTTP address.
    Http {
        /// `host:port`.
        address: String,
        /// The operator's token, where there is one.
        token: Option<String>,
    },
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "Socket({})", path.display()),
            Self::Http { address, .. } => write!(f, "Http({address})"),
        }
    }
}

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers there.
    #[error(
        "no daemon answers at {at}: is `breakerbox run` running there? name its socket with `--socket`, or its address with `--server`"
    )]
    Unreachable {
        /// Where.
        at: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke, or what came was no answer.
    #[error("the daemon's answer could not be read: {0}")]
    Broken(String),
    /// There is nothing of that name.
    #[error("{0}")]
    NotFound(String),
    /// It says no.
    #[error("{text}")]
    Refused {
        /// Status of the answer.
        status: StatusCode,
        /// Why.
        text: String,
    },
}

impl AskError {
    /// Whether there is no daemon to ask.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl Daemon {
    /// Asks whether its turn answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn answers(&self) -> Result<(), AskError> {
        let (status, body) = self.send(Method::GET, "/healthz", Bytes::new()).await?;
        if status.is_success() { Ok(()) } else { Err(refused(status, &body)) }
    }

    /// Asks a question.
    ///
    /// # Errors
    /// When nobody answers, or not with what was asked for.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        let (status, body) = self.send(Method::GET, path, Bytes::new()).await?;
        read(status, &body)
    }

    /// Says something; a refusal with a body of the wanted shape (409) is an answer too.
    ///
    /// # Errors
    /// When nobody answers, or not with what was asked for.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, value: &impl Serialize) -> Result<T, AskError> {
        let body = serde_json::to_vec(value).map_err(|error| AskError::Broken(error.to_string()))?;
        let (status, body) = self.send(Method::POST, path, body.into()).await?;
        let status = if status == StatusCode::CONFLICT { StatusCode::OK } else { status };
        read(status, &body)
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), AskError> {
        let (at, token) = match self {
            Self::Socket(path) => (format!("`{}`", path.display()), None),
            Self::Http { address, token } => (format!("`{address}`"), token.as_deref()),
        };
        let unreachable = |source| AskError::Unreachable { at, source };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "breakerbox")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).map_err(|error| AskError::Broken(error.to_string()))?;
        match self {
            Self::Socket(path) => {
                exchange(UnixStream::connect(path).await.map_err(unreachable)?, request).await
            }
            Self::Http { address, .. } => {
                exchange(TcpStream::connect(address).await.map_err(unreachable)?, request).await
            }
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), AskError> {
    let broken = |error: hyper::Error| AskError::Broken(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), MOST_BYTES)
        .collect()
        .await
        .map_err(|error| AskError::Broken(error.to_string()))?
        .to_bytes();
    connection.abort();
    Ok((status, body))
}

fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, AskError> {
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|error| AskError::Broken(error.to_string()));
    }
    Err(refused(status, body))
}

fn refused(status: StatusCode, body: &[u8]) -> AskError {
    let text = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.error,
        Err(_) => format!("{status}: {}", String::from_utf8_lossy(body).trim()),
    };
    match status {
        StatusCode::NOT_FOUND => AskError::NotFound(text),
        _ => AskError::Refused { status, text },
    }
}
