//! The real `breakerbox` binary, run as a person would: a configuration file, a rules folder, a port.
//!
//! Why the binary and not the library: `kill -9` is only true of a process. What each test wants to know
//! it asks over HTTP or the command line, as people and scripts do.

mod http;
mod process;
mod site;

pub use http::{Answer, get, post};
pub use process::{Daemon, binary, cli};
pub use site::{Site, TOKEN, bedrock_record, usage_event};
