//! Turns the outside into facts.
//!
//! One folder for each outside system. What cannot be understood goes to the dead letters, never to
//! nowhere; what is durable is acked, never before.

pub mod bedrock;
mod blocking;
pub mod deadletter;
pub mod envelope;
pub mod health;
pub mod http;
mod instant;
mod json;
pub mod kube;
mod records;
pub mod spot;
pub mod usage;
