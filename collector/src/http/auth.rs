//! Who pushes: one bearer token for each source.
//!
//! Only hashes are kept, and all of them are compared, each in constant time: how long it takes says nothing
//! about any of them.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::usage::Fixed;

/// A source that may push.
#[derive(Clone)]
pub struct SourceToken {
    name: String,
    sha256: [u8; 32],
    fixed: Fixed,
}

impl std::fmt::Debug for SourceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceToken").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SourceToken {
    /// The source of that name, its token, and what is fixed for what it reports.
    #[must_use]
    pub fn new(name: &str, token: &str, fixed: Fixed) -> Self {
        Self { name: name.to_owned(), sha256: Sha256::digest(token.as_bytes()).into(), fixed }
    }

    /// Name of the source.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is fixed for it.
    #[must_use]
    pub const fn fixed(&self) -> &Fixed {
        &self.fixed
    }
}

/// All sources that may push.
#[derive(Clone, Debug, Default)]
pub struct TokenTable {
    tokens: Vec<SourceToken>,
}

impl TokenTable {
    /// A table of these. Two sources with one token would be one: the first has it.
    #[must_use]
    pub const fn new(tokens: Vec<SourceToken>) -> Self {
        Self { tokens }
    }

    /// The source whose token this is. An empty token is nobody's.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<&SourceToken> {
        let presented = Sha256::digest(token.as_bytes());
        let mut found = None;
        for known in &self.tokens {
            let same: bool = known.sha256.as_slice().ct_eq(presented.as_slice()).into();
            if same && found.is_none() {
                found = Some(known);
            }
        }
        found.filter(|_| !token.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_finds_its_source_and_nobody_else() {
        let table = TokenTable::new(vec![
            SourceToken::new("a", "one", Fixed::default()),
            SourceToken::new("b", "two", Fixed::default()),
            SourceToken::new("nobody", "", Fixed::default()),
        ]);
        assert_eq!(table.find("two").map(SourceToken::name), Some("b"));
        for wrong in ["", "On", "one ", "three"] {
            assert!(table.find(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{table:?}").contains("sha256"));
    }
}
