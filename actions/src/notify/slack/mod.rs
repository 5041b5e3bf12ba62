//! Slack.

mod blocks;

pub use blocks::{SlackPost, slack_post};
