//! Posting to Slack: incoming webhooks, `chat.postMessage` and `chat.update`, through slack-morphism.
//!
//! Slack takes no key against doubles: a try that times out may have been posted, and is tried again. Two
//! messages are better than none.

use std::error::Error;

use serde::{Deserialize, Serialize};
use slack_morphism::errors::SlackClientError;
use slack_morphism::prelude::{
    SlackApiChatPostMessageRequest, SlackApiChatUpdateRequest, SlackApiPostWebhookMessageRequest,
    SlackApiToken, SlackApiTokenValue, SlackChannelId, SlackClient, SlackClientHyperConnector,
    SlackMessageContent, SlackTs,
};
use url::Url;

use super::blocks::SlackPost;
use crate::notify::connect::Connector;
use crate::notify::error::{NotifyError, chain, was_connected};
use crate::notify::secret::Secret;

/// Characters of an answer that are shown.
const ANSWER: usize = 120;

/// A client of Slack.
pub(crate) struct Slack {
    client: SlackClient<SlackClientHyperConnector<Connector>>,
}

/// What an edit came to.
pub(crate) enum Edit {
    /// It is edited; this is its handle.
    Done(String),
    /// That message cannot be edited (any more): it is to be posted anew.
    Gone,
}

/// What we need of Slack's answer. slack-morphism's own type wants the whole message back, and a field that
/// it does not know would turn a delivered message into a failure.
#[derive(Deserialize)]
struct Posted {
    channel: String,
    ts: String,
}

impl Slack {
    pub(crate) fn new(connector: Connector, api_url: Option<&str>) -> Self {
        let mut connector = SlackClientHyperConnector::with_connector(connector);
        if let Some(url) = api_url {
            connector = connector.with_slack_api_url(url);
        }
        Self { client: SlackClient::new(connector) }
    }

    /// Posts by an incoming webhook.
    pub(crate) async fn by_webhook(
        &self,
        receiver: &str,
        url: &Secret,
        post: &SlackPost,
    ) -> Result<(), NotifyError> {
        let url = webhook_url(receiver, url)?;
        let request = SlackApiPostWebhookMessageRequest::new(content(post));
        let answer = self.client.post_webhook_message(&url, &request).await;
        answer.map(|_| ()).map_err(|error| failure(receiver, error))
    }

    /// Posts by `chat.postMessage`; answers the handle, `channel ts`.
    pub(crate) async fn post(
        &self,
        receiver: &str,
        token: &Secret,
        channel: &str,
        post: &SlackPost,
    ) -> Result<String, NotifyError> {
        let request = SlackApiChatPostMessageRequest::new(SlackChannelId(channel.to_owned()), content(post))
            .with_unfurl_links(false)
            .with_unfurl_media(false);
        self.call("chat.postMessage", token, &request).await.map_err(|error| failure(receiver, error))
    }

    /// Edits by `chat.update`.
    pub(crate) async fn edit(
        &self,
        receiver: &str,
        token: &Secret,
        handle: &str,
        post: &SlackPost,
    ) -> Result<Edit, NotifyError> {
        let Some((channel, ts)) = handle.split_once(' ') else { return Ok(Edit::Gone) };
        let (channel, ts) = (SlackChannelId(channel.to_owned()), SlackTs(ts.to_owned()));
        // An edit that says nothing of blocks leaves the old ones (docs.slack.dev, chat.update).
        let content = content(post).with_blocks(post.blocks.clone());
        let request = SlackApiChatUpdateRequest::new(channel, content, ts);
        match self.call("chat.update", token, &request).await {
            Ok(handle) => Ok(Edit::Done(handle)),
            Err(SlackClientError::ApiError(error)) if is_gone(&error.code) => Ok(Edit::Gone),
            Err(error) => Err(failure(receiver, error)),
        }
    }

    async fn call<R: Serialize + Send + Sync>(
        &self,
        method: &str,
        token: &Secret,
        request: &R,
    ) -> Result<String, SlackClientError> {
        let token = SlackApiToken::new(SlackApiTokenValue(token.reveal().to_owned()));
        let session = self.client.open_session(&token);
        let posted: Posted = session.http_session_api.http_post(method, request, None).await?;
        Ok(format!("{} {}", posted.channel, posted.ts))
    }
}

fn content(post: &SlackPost) -> SlackMessageContent {
    let content = SlackMessageContent::new().with_text(post.text.clone());
    if post.blocks.is_empty() { content } else { content.with_blocks(post.blocks.clone()) }
}

/// The URL is the secret: it goes over TLS or stays on this machine.
fn webhook_url(receiver: &str, url: &Secret) -> Result<Url, NotifyError> {
    let wrong = |what| NotifyError::Address { receiver: receiver.to_owned(), what };
    let url = Url::parse(url.reveal()).map_err(|_| wrong("is not a URL"))?;
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err(wrong("must begin with https://")),
    }
}

/// Codes of `chat.update` after which only a new post helps.
fn is_gone(code: &str) -> bool {
    matches!(code, "message_not_found" | "cant_update_message" | "edit_window_closed")
}

/// Codes after which the same call can succeed later (docs.slack.dev, errors of chat.postMessage).
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "ratelimited"
            | "rate_limited"
            | "message_limit_exceeded"
            | "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
    )
}

/// Codes that say that the blocks are at fault: `invalid_blocks`, `invalid_blocks_format`,
/// `msg_blocks_too_long`. Incoming webhooks answer them as the body of a 400.
fn is_about_blocks(code: &str) -> bool {
    code.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "blocks")
}

fn help(code: &str) -> &'static str {
    match code {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            "; give the receiver a valid bot token"
        }
        "channel_not_found" | "not_in_channel" => "; name an existing channel and invite the bot to it",
        "is_archived" => "; name a channel that is not archived",
        "missing_scope" => "; give the bot the scope chat:write",
        _ => "",
    }
}

fn failure(receiver: &str, error: SlackClientError) -> NotifyError {
    let receiver = receiver.to_owned();
    let unreachable = |receiver, cause: Option<Box<dyn Error + Send + Sync>>| {
        let connected = cause.as_deref().is_none_or(|cause| was_connected(cause));
        let what = cause.map_or_else(|| "no answer".to_owned(), |cause| chain(&*cause));
        NotifyError::Unreachable { receiver, what, connected }
    };
    match error {
        SlackClientError::ApiError(error) if is_passing(&error.code) => {
            // Of these Slack says that a part may have succeeded.
            let perhaps_taken = matches!(&*error.code, "fatal_error" | "internal_error");
            NotifyError::Busy { receiver, answer: format!("`{}`", error.code), after: None, perhaps_taken }
        }
        SlackClientError::ApiError(error) if is_about_blocks(&error.code) => {
            NotifyError::Blocks { receiver, answer: format!("`{}`", error.code) }
        }
        SlackClientError::ApiError(error) => {
            let help = help(&error.code);
            NotifyError::Refused { receiver, answer: format!("`{}`", error.code), help }
        }
        SlackClientError::RateLimitError(error) => {
            let (answer, after) = ("429".to_owned(), error.retry_after);
            NotifyError::Busy { receiver, answer, after, perhaps_taken: false }
        }
        SlackClientError::HttpError(error) => {
            let status = error.status_code;
            let body: String = error.http_response_body.unwrap_or_default().chars().take(ANSWER).collect();
            let answer = if body.is_empty() { status.to_string() } else { format!("{status}, `{body}`") };
            if status.is_server_error() || status.as_u16() == 408 {
                NotifyError::Busy { receiver, answer, after: None, perhaps_taken: true }
            } else if is_about_blocks(&body) {
                NotifyError::Blocks { receiver, answer }
            } else {
                NotifyError::Refused { receiver, answer, help: "" }
            }
        }
        SlackClientError::HttpProtocolError(error) => unreachable(receiver, error.cause),
        SlackClientError::SystemError(error) => unreachable(receiver, error.cause),
        SlackClientError::ProtocolError(_)
        | SlackClientError::EndOfStream(_)
        | SlackClientError::SocketModeProtocolError(_) => {
            let what = "what answered is not Slack".to_owned();
            NotifyError::Unreachable { receiver, what, connected: true }
        }
    }
}
