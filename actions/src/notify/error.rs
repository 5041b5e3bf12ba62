//! Why a message did not get there. Never holds a token, a signing secret or a secret URL.

use std::time::Duration;

use super::secret::SecretError;

/// Why a receiver did not get a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// Its secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The route is not in the rules, and there is no page route to stand in for it.
    #[error("route `{route}` is not in the rules any more, and the guardrail names no page route")]
    NoRoute {
        /// Name of the route.
        route: String,
    },
    /// The address cannot be used.
    #[error("the address of {receiver} {what}")]
    Address {
        /// The receiver.
        receiver: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It answered that it will not take the message; the same again would not help.
    #[error("{receiver} refused it: {answer}{help}")]
    Refused {
        /// The receiver.
        receiver: String,
        /// Its answer.
        answer: String,
        /// What to do about it, after a semicolon; may be empty.
        help: &'static str,
    },
    /// It answered that it cannot take the message now.
    #[error("{receiver} cannot take it now: {answer}")]
    Busy {
        /// The receiver.
        receiver: String,
        /// Its answer.
        answer: String,
        /// How long it asked us to wait (`Retry-After`).
        after: Option<Duration>,
        /// Whether it may have taken the message before it broke: what answers 5xx does not say how far it got.
        perhaps_taken: bool,
    },
    /// Slack will not take the message's blocks; its plain text it may.
    #[error("{receiver} refused its blocks: {answer}")]
    Blocks {
        /// The receiver.
        receiver: String,
        /// Its answer.
        answer: String,
    },
    /// It could not be reached, or did not answer as it should.
    #[error("{receiver} cannot be reached: {what}")]
    Unreachable {
        /// The receiver.
        receiver: String,
        /// What happened.
        what: String,
        /// Whether there was a connection, so that the message may have arrived.
        connected: bool,
    },
    /// It did not answer in time. The message may have arrived.
    #[error("{receiver} did not answer within {} s", .within.as_secs())]
    TimedOut {
        /// The receiver.
        receiver: String,
        /// How long it was given.
        within: Duration,
    },
}

impl NotifyError {
    /// Whether the same message can get there later without anybody changing anything here.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Secret(error) => error.is_retryable(),
            Self::NoRoute { .. } | Self::Address { .. } | Self::Refused { .. } | Self::Blocks { .. } => false,
        }
    }

    /// Whether the message may be there all the same: nobody said yes, and nobody said no.
    pub(crate) const fn may_have_arrived(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::Unreachable { connected: true, .. }
                | Self::Busy { perhaps_taken: true, .. }
        )
    }

    /// How long the receiver asked us to wait.
    pub(crate) const fn after(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => *after,
            _ => None,
        }
    }
}

/// An error with all its causes, without anything that was in a URL.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Whether a request failed after there was a connection for it. What nobody can tell counts as connected.
pub(crate) fn was_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(client) = cause.downcast_ref::<hyper_util::client::legacy::Error>() {
            return !client.is_connect();
        }
        next = cause.source();
    }
    true
}
