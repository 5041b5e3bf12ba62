//! Why a request to the API server came to nothing, and whether asking again can help.

use std::time::Duration;

use kube::core::Status;

/// A request that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No answer in time. A write may have been carried out all the same.
    #[error("no answer to `{what}` within {limit:?}")]
    Timeout {
        /// The request.
        what: String,
        /// How long we waited.
        limit: Duration,
    },
    /// The API server said no.
    #[error("`{what}` was refused with {}: {}", status.code, status.message)]
    Refused {
        /// The request.
        what: String,
        /// Its answer.
        status: Box<Status>,
    },
    /// It could not be asked, or its answer could not be read.
    #[error("`{what}` failed: {source}")]
    Transport {
        /// The request.
        what: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// What a 409 or 422 means for a write that named a UID and a resourceVersion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Somebody else owns the key with another value: their managers, in the server's words.
    Owned(String),
    /// The object changed since it was read.
    Stale,
    /// It is another object under the same name.
    Replaced(String),
}

impl ApiError {
    /// Asks, and waits no longer than `limit` for the answer.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn within<T>(
        limit: Duration,
        what: &str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Self> {
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| Self::of(what, error)),
            Err(_) => Err(Self::Timeout { what: what.to_owned(), limit }),
        }
    }

    pub(crate) fn of(what: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused { what: what.to_owned(), status },
            other => Self::Transport { what: what.to_owned(), source: Box::new(other) },
        }
    }

    /// The HTTP status of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(status.code),
            Self::Timeout { .. } | Self::Transport { .. } => None,
        }
    }

    /// Whether asking again can help: no answer, 401 (a token that is being renewed), 409, 429 and 5xx.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.code().is_none_or(|code| matches!(code, 401 | 409 | 429) || code >= 500)
    }

    /// What the refusal of a conditional write means.
    pub(crate) fn conflict(&self) -> Option<Conflict> {
        let Self::Refused { status, .. } = self else { return None };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let mut owned = causes.filter(|c| c.reason == "FieldManagerConflict").map(|c| &*c.message).peekable();
        match status.code {
            409 if owned.peek().is_some() => Some(Conflict::Owned(owned.collect::<Vec<_>>().join("; "))),
            409 => Some(Conflict::Stale),
            422 => Some(Conflict::Replaced(status.message.clone())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(status: serde_json::Value) -> ApiError {
        let status = serde_json::from_value(status).unwrap();
        ApiError::of("apply it", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_conflict_over_a_field_is_told_from_a_stale_version_by_its_cause() {
        let owned = refused(
            json!({"code": 409, "reason": "Conflict", "message": "m", "details": {"causes": [
            {"reason": "FieldManagerConflict", "message": "conflict with \"argo\"", "field": ".metadata"}]}}),
        );
        assert_eq!(owned.conflict(), Some(Conflict::Owned("conflict with \"argo\"".to_owned())));
        assert_eq!(refused(json!({"code": 409, "reason": "Conflict"})).conflict(), Some(Conflict::Stale));
        let other = refused(json!({"code": 422, "reason": "Invalid", "message": "uid"}));
        assert_eq!(other.conflict(), Some(Conflict::Replaced("uid".to_owned())));
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (code, want) in [(403, false), (404, false), (422, false), (429, true), (500, true), (503, true)]
        {
            assert_eq!(refused(json!({"code": code})).retryable(), want, "{code}");
        }
        let timeout = ApiError::Timeout { what: "read it".to_owned(), limit: Duration::from_secs(10) };
        assert!(timeout.retryable());
    }
}
