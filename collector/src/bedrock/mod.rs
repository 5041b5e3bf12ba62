//! Amazon Bedrock: model invocation logs.

mod parse;
mod wire;

#[cfg(test)]
mod tests;

pub use parse::{Assume, CacheTtl, PROVIDER, Parser, RecordError};
