//! placeholder until the rules branch lands
use crate::fact::Origin;
use crate::inventory::Inventory;
use crate::rule::Attribution;
use crate::subject::{Subject, Trust};
/// x
#[must_use]
pub fn attribute(_r: &Attribution, o: &Origin, source: &str, model: &str, _i: &Inventory) -> Subject {
    let mut s = Subject::default();
    for (n, v, t) in &o.claims {
        if *t == Trust::Trusted {
            s.set(n, v, *t, "token");
        } else if &**n != "tenant" {
            s.set(n, v, *t, "claim");
        }
    }
    s.set("model", model, Trust::Trusted, "price book");
    s.set("source", source, Trust::Trusted, "source");
    s
}
/// x
#[must_use]
pub fn glob_matches(p: &str, t: &str) -> bool {
    p == t || p == "*"
}
