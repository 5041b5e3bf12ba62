//! Signed webhook.

mod body;

pub use body::{SCHEMA, webhook_body};
