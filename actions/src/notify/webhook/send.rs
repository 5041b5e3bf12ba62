//! Posting to a webhook, signed so that the receiver can tell us from others and a replay from news.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;
use url::Url;

use crate::notify::connect::Connector;
use crate::notify::error::{NotifyError, chain, was_connected};
use crate::notify::secret::Secret;

/// Header with `v1=` and the hexadecimal HMAC-SHA256 of `timestamp.body`.
pub const SIGNATURE: &str = "x-breakerbox-signature";
/// Header with the seconds since 1970 at which the try was made.
pub const TIMESTAMP: &str = "x-breakerbox-timestamp";
/// Header with the notice's key: equal keys are the same message.
pub const NOTICE: &str = "x-breakerbox-notice";

/// A client of webhooks.
pub(crate) struct Webhook {
    client: Client<Connector, Full<Bytes>>,
}

impl Webhook {
    pub(crate) fn new(connector: Connector) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Posts once. Redirects are not followed: a signed body goes where the rule says.
    pub(crate) async fn post(
        &self,
        receiver: &str,
        url: &str,
        secret: &Secret,
        key: &str,
        body: &str,
    ) -> Result<(), NotifyError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let request = request(url, secret, key, body, now)
            .map_err(|what| NotifyError::Address { receiver: receiver.to_owned(), what })?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| NotifyError::Unreachable {
            receiver: receiver.to_owned(),
            what: chain(&error),
            connected: was_connected(&error),
        })?;
        judge(receiver, answer.status(), retry_after(answer.headers()))
    }
}

fn request(
    url: &str,
    secret: &Secret,
    key: &str,
    body: &str,
    now: u64,
) -> Result<Request<Full<Bytes>>, &'static str> {
    let url = Url::parse(url).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("must begin with https:// or http://");
    }
    Request::post(url.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("breakerbox/", env!("CARGO_PKG_VERSION")))
        .header(SIGNATURE, format!("v1={}", sign(secret, now, body)))
        .header(TIMESTAMP, now)
        .header(NOTICE, header_text(key))
        .body(Full::new(Bytes::from(body.to_owned())))
        .map_err(|_| "cannot be requested")
}

/// A key is made of names from outside: what a header cannot carry, and `%`, is percent-encoded.
fn header_text(key: &str) -> String {
    let letter = |byte: u8| match byte {
        b'!'..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    key.bytes().map(letter).collect()
}

/// Hexadecimal HMAC-SHA256 of `timestamp.body`.
fn sign(secret: &Secret, timestamp: u64, body: &str) -> String {
    // An HMAC takes a key of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn judge(receiver: &str, status: StatusCode, after: Option<Duration>) -> Result<(), NotifyError> {
    let (receiver, answer) = (receiver.to_owned(), status.to_string());
    if status.is_success() {
        Ok(())
    } else if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
        let perhaps_taken = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
        Err(NotifyError::Busy { receiver, answer, after, perhaps_taken })
    } else if status.is_redirection() {
        Err(NotifyError::Refused {
            receiver,
            answer,
            help: "; redirects are not followed, name its final URL",
        })
    } else {
        Err(NotifyError::Refused { receiver, answer, help: "" })
    }
}

/// `Retry-After` in seconds; a date is taken as no answer.
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_anybody_can_compute() {
        // printf '1795176000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let want = "7793a99dbb49930dae51f1a258a4e0581f8319f4fd60b81d4a0b719b07630924";
        assert_eq!(sign(&Secret::new("secret"), 1_795_176_000, r#"{"a":1}"#), want);
    }

    #[test]
    fn only_what_can_pass_is_worth_another_try() {
        for (status, retryable) in [(500, true), (503, true), (429, true), (408, true), (425, true)]
            .into_iter()
            .chain([(400, false), (401, false), (404, false), (410, false), (302, false)])
        {
            let error = judge("r", StatusCode::from_u16(status).unwrap(), None).unwrap_err();
            assert_eq!(error.is_retryable(), retryable, "{status}");
        }
        assert!(judge("r", StatusCode::NO_CONTENT, None).is_ok());
    }

    #[test]
    fn a_key_with_any_letter_becomes_a_header() {
        let request = request("http://h/", &Secret::new("s"), "a/ä\n#1%", "{}", 1).unwrap();
        assert_eq!(request.headers()[NOTICE], "a/%C3%A4%0A#1%25");
        assert!(super::request("ftp://h/", &Secret::new("s"), "k", "{}", 1).is_err());
    }
}
