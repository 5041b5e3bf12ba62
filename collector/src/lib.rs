//! Turns the outside into facts.
//!
//! One folder for each outside system. What cannot be understood goes to the dead letters, never to
//! nowhere; what is durable is acked, never before.

pub mod bedrock;
pub mod envelope;
mod instant;
mod json;
pub mod kube;
mod records;
