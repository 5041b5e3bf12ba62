//! Amazon Bedrock: model invocation logs.

mod parse;
mod source;
mod wire;

#[cfg(test)]
mod tests;

pub use parse::{Assume, CacheTtl, PROVIDER, Parser, RecordError};
pub use source::LogFolder;
