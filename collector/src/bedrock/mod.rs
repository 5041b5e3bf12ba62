//! Amazon Bedrock: model invocation logs.

mod parse;
mod pattern;
mod places;
mod source;
mod tail;
mod wire;

#[cfg(test)]
mod tests;

pub use parse::{Assume, CacheTtl, PROVIDER, Parser, RecordError};
pub use source::LogFolder;
pub(crate) use wire::Record;
