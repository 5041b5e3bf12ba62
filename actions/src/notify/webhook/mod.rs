//! The generic webhook: a signed JSON POST. `docs/webhook.md` is its reference for receivers.

mod body;
mod send;

pub use body::{SCHEMA, webhook_body};
pub(crate) use send::Webhook;
pub use send::{NOTICE, SIGNATURE, TIMESTAMP};
