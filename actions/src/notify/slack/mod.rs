//! Slack: how a message looks there, and how it gets there.

mod blocks;
mod send;

pub use blocks::{SlackPost, slack_post};
pub(crate) use send::{Edit, Slack};
