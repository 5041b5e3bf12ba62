//! The loader, given anything: it answers within bounds, and nothing is selected by omission.

mod corpus;
mod entry;
mod hostile;
mod omitted;

/// A set that uses every part of the language.
const WHOLE: &str = include_str!("../rules/whole.yaml");
