//! The TCP door: HTTP/1 with a limit on how long a sender may take over its head.
//!
//! axum's own `serve` sets no timer, and without one hyper waits for ever: whoever opens connections and sends
//! a byte now and then takes all of them. The operator socket has its owner alone at the other end, and keeps
//! axum's. A body's own limit is where it is read.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::shape::refuse;

/// From the connection, or the answer before, to the end of a request's head. Scrapers and senders that keep
/// a connection open for longer without a request make a new one.
pub(super) const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// From a command's head to the end of its body, of at most so many bytes.
pub(super) const COMMAND_WITHIN: Duration = Duration::from_secs(10);
const COMMAND: usize = 1 << 16;

/// Between two tries to accept, where the process has no room for a connection.
const NO_ROOM: Duration = Duration::from_secs(1);

/// Serves until told to stop; requests under way then get their answers.
pub(super) async fn serve(listener: TcpListener, router: Router, head: Duration, stop: CancellationToken) {
    let open = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => connection(stream, router.clone(), head, &open),
            // The other end went away before it was taken.
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot take a connection");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(NO_ROOM) => {}
                }
            }
        }
    }
    drop(listener);
    open.shutdown().await;
}

fn connection(stream: TcpStream, router: Router, head: Duration, open: &GracefulShutdown) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let watched = open.watch(serving);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection ended");
        }
    });
}

/// Passes a command on once all of it is here.
pub(super) async fn body_in_time(within: Duration, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match tokio::time::timeout(within, to_bytes(body, COMMAND)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => {
            let text = format!("the command broke off, or has more than {COMMAND} bytes; send it again");
            refuse(StatusCode::BAD_REQUEST, &text)
        }
        Err(_) => {
            let text = format!("the command did not come whole within {within:?}; send it again at once");
            refuse(StatusCode::REQUEST_TIMEOUT, &text)
        }
    }
}

fn is_of_the_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    async fn served(head: Duration, stop: &CancellationToken) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let body = axum::middleware::from_fn(|request, next| body_in_time(SHORT, request, next));
        let route = get(async || "here").post(async |text: String| text);
        let router = Router::new().route("/", route.layer(body));
        (addr, tokio::spawn(serve(listener, router, head, stop.clone())))
    }

    /// All that comes until the other end closes.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text));
        // A reset is an end too.
        let _ = read.await.expect("the connection stays open");
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn who_does_not_finish_its_head_loses_the_connection() {
        let (addr, _) = served(SHORT, &CancellationToken::new()).await;
        for begun in ["", "GET / HTTP/1.1\r\nhost: a\r\nx-slow: "] {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            let text = rest(&mut stream).await;
            assert!(!text.contains("200 OK"), "{text}");
        }
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(rest(&mut stream).await.ends_with("here"));
    }

    #[tokio::test]
    async fn a_command_that_does_not_come_whole_is_answered_408_and_what_to_do() {
        let (addr, _) = served(Duration::from_secs(30), &CancellationToken::new()).await;
        for (sent, want) in [
            ("whole", &["200 OK", "whole"][..]),
            ("part", &["408 Request Timeout", "did not come whole within 200ms; send it again at once"]),
        ] {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\n";
            stream.write_all(format!("{head}{sent}").as_bytes()).await.unwrap();
            let text = rest(&mut stream).await;
            assert!(want.iter().all(|want| text.contains(want)), "{text}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_only_stays_open_is_closed_and_holds_up_no_stop() {
        let stop = CancellationToken::new();
        let (addr, serving) = served(SHORT, &stop).await;
        let mut idle = TcpStream::connect(addr).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(rest(&mut idle).await.ends_with("here"));
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
    }
}
