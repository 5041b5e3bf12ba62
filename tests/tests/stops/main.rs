//! Stops on real servers, as people meet them: what the daemon does, what it leaves alone, and what it says.
//!
//! The real binary with exactly its own rights, a real API server, a real KEDA, Slack and a webhook at the
//! HTTP line. Each scene has tenants of its own.

mod no_false_stop;
mod operator;
mod others;
mod ours;
mod shared_targets;
mod stage;
mod taken;
