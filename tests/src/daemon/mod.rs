//! The real `breakerbox` binary, run as a person would: a configuration file, a rules folder, a port.
//!
//! Why the binary and not the library: `kill -9` is only true of a process. What each test wants to know
//! it asks over HTTP or the command line, as people and scripts do.

mod after;
mod http;
mod process;
mod rules;
mod site;
mod status;

pub use after::{Stage, notices_of, orders_of};
pub use http::{Answer, get, post};
pub use process::{Daemon, binary, cli};
pub use rules::stopping_rules;
pub use site::{PICOS_PER_TOKEN, Site, TOKEN, YEARLY_BUDGET, bedrock_record, breakers, now, usage_event};
pub use status::hold_of;
