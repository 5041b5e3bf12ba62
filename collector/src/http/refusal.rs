//! What a sender is told when nothing of a request was taken.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request of which nothing was taken.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    message: String,
    help: String,
    retry_after: Option<u64>,
}

pub(super) fn refusal(status: StatusCode, message: impl Into<String>, help: impl Into<String>) -> Refusal {
    Refusal { status, message: message.into(), help: help.into(), retry_after: None }
}

impl Refusal {
    /// The same, to be tried again after so many seconds.
    pub(super) fn retry(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(super) fn response(self) -> Response {
        let body = Json(json!({"error": self.message, "help": self.help}));
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
