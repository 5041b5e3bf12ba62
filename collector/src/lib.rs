//! Turns the outside into facts.
//!
//! One folder for each outside system. What cannot be understood goes to the dead letters, never to
//! nowhere; what is durable is acked, never before.

pub mod envelope;
pub mod kube;
