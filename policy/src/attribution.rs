//! Attribution: how evidence becomes the fields of a subject.
//!
//! One rule decides all: *what the caller cannot forge fixes; what the caller says only refines inside it*.
//! Each field keeps the evidence that set it. In order, and what is fixed stays fixed:
//!
//! | evidence | sets | trust |
//! |---|---|---|
//! | the source | `source` | trusted |
//! | the vendor's own record | `provider`, `account`, `region`, `model`, `principal` | trusted |
//! | the scope of a source's token | what the token is for | trusted |
//! | what a delegate says of the fields that it may set | those fields | trusted |
//! | a principal rule | the fields of its `set` | trusted |
//! | labels of a namespace that is trusted by the above | mapped fields, and each label under its own key | trusted |
//! | what anybody says (requestMetadata, an event's own region, model and subject) | any other field but `tenant` | asserted |
//!
//! Never: `tenant` from what is only asserted (it stays unattributed); an asserted word against a trusted
//! one (it is dropped); LiteLLM's reserved `user_api_key_*` from anybody but a delegate; a session name (its
//! caller chooses it). A value that is empty is no value.
//!
//! Principals are qualified by their account, and so are the patterns: the same role name in two accounts is
//! two roles (F12). A pattern without an account matches nobody (the compiler refuses it); `*:role/x` says
//! "in every account" on purpose.

use crate::fact::Origin;
use crate::inventory::Inventory;
use crate::rule::{Attribution, Delegate};
use crate::subject::{Subject, Trust, field, short_principal};

pub use crate::rule::glob_matches;

/// Claims that are read without a rule, by every spelling that vendors and people use for them.
const CLAIMS: [(&str, &str); 19] = [
    ("tenant", field::TENANT),
    ("team", field::TEAM),
    ("agent", field::AGENT),
    ("end_user", field::END_USER),
    ("endUser", field::END_USER),
    ("cluster", field::CLUSTER),
    ("namespace", field::NAMESPACE),
    ("workload", field::WORKLOAD),
    ("pod", field::POD),
    ("principal", field::PRINCIPAL),
    ("account", field::ACCOUNT),
    ("region", field::REGION),
    ("model", field::MODEL),
    ("provider", field::PROVIDER),
    ("source", field::SOURCE),
    ("user_api_key_team_id", field::TEAM),
    ("user_api_key_team_alias", field::TEAM),
    ("user_api_key_alias", field::AGENT),
    ("user_api_key_end_user_id", field::END_USER),
];

/// LiteLLM keeps callers from writing keys with this prefix, so where LiteLLM is the caller they are its own.
const RESERVED: &str = "user_api_key";

/// Who or what a usage is about. `model` is the resolved model id, or the id as invoked.
///
/// `origin.record` says whether the source vouches for the origin's own fields (a vendor's record) or an
/// event said them of itself; then only a trusted claim (a token's scope) fixes one of them.
#[must_use]
pub fn attribute(
    rules: &Attribution,
    origin: &Origin,
    source: &str,
    model: &str,
    inventory: &Inventory,
) -> Subject {
    let mut subject = Subject::default();
    fix(&mut subject, field::SOURCE, source, "source");
    let record = record(origin, model);
    if origin.record == Trust::Trusted {
        for (name, value) in record {
            fix(&mut subject, name, value, "record");
        }
    }
    for (claim, value, _) in origin.claims.iter().filter(|(_, _, trust)| *trust == Trust::Trusted) {
        // A token's fields are named as such: what a rule says of claims is about what callers assert.
        let name = spelled(claim).unwrap_or(claim);
        fix(&mut subject, name, value, &format!("scope of source {source}"));
    }
    let principal = subject.trusted(field::PRINCIPAL).unwrap_or_default().to_owned();
    let principal = principal.as_str();
    let delegate = rules.delegates.iter().find(|d| principal_matches(&d.principal, principal));
    if let Some(delegate) = delegate {
        believe(&mut subject, rules, delegate, principal, origin);
    }
    if let Some(rule) = rules.principals.iter().find(|p| principal_matches(&p.principal, principal)) {
        for (name, value) in &rule.set {
            fix(&mut subject, name, value, &format!("principal {principal}, rule {}", rule.place));
        }
    }
    take_labels(&mut subject, rules, inventory);
    // What an event says of itself decides its price, but not whose money it is.
    for (name, value) in record {
        assert(&mut subject, name, value, "asserted by the event");
    }
    for (claim, value, _) in origin.claims.iter().filter(|(_, _, trust)| *trust == Trust::Asserted) {
        if claim.starts_with(RESERVED) && delegate.is_none() {
            continue;
        }
        let Some(name) = field_of(rules, claim).filter(|name| *name != field::TENANT) else { continue };
        assert(&mut subject, name, value, &format!("asserted {claim}"));
    }
    subject
}

/// The fields of the record itself.
fn record<'a>(origin: &'a Origin, model: &'a str) -> [(&'static str, &'a str); 5] {
    [
        (field::PROVIDER, &origin.provider),
        (field::ACCOUNT, &origin.account),
        (field::REGION, &origin.region),
        (field::MODEL, model),
        (field::PRINCIPAL, &origin.principal),
    ]
}

/// Sets a trusted field, unless stronger evidence has fixed it already.
fn fix(subject: &mut Subject, name: &str, value: &str, evidence: &str) {
    if subject.trusted(name).is_some() {
        return;
    }
    let short = if name == field::PRINCIPAL { short_principal(value.trim()) } else { None };
    subject.set(name, short.as_deref().unwrap_or(value.trim()), Trust::Trusted, evidence);
}

/// Sets an asserted field where nothing is known.
fn assert(subject: &mut Subject, name: &str, value: &str, evidence: &str) {
    if subject.get(name).is_none() {
        subject.set(name, value.trim(), Trust::Asserted, evidence);
    }
}

/// The field that a claim is about: as a rule says, else as everybody spells it.
fn field_of<'a>(rules: &'a Attribution, claim: &str) -> Option<&'a str> {
    let ruled = rules.claims.iter().find(|(key, _)| **key == *claim).map(|(_, name)| &**name);
    ruled.or_else(|| spelled(claim))
}

/// The field that everybody spells so.
fn spelled(claim: &str) -> Option<&'static str> {
    CLAIMS.iter().find(|(key, _)| *key == claim).map(|(_, name)| *name)
}

/// Takes a delegate's word for the fields that it may set. Where it says a field twice (its own key and
/// LiteLLM's reserved one), the reserved one holds: callers cannot write that.
fn believe(
    subject: &mut Subject,
    rules: &Attribution,
    delegate: &Delegate,
    principal: &str,
    origin: &Origin,
) {
    let asserted = || origin.claims.iter().filter(|(_, _, trust)| *trust == Trust::Asserted);
    let reserved = asserted().filter(|(claim, _, _)| claim.starts_with(RESERVED));
    let others = asserted().filter(|(claim, _, _)| !claim.starts_with(RESERVED));
    for (claim, value, _) in reserved.chain(others) {
        let Some(name) = field_of(rules, claim) else { continue };
        if delegate.fields.iter().any(|f| **f == *name) && subject.trusted(name).is_none() {
            fix(subject, name, value, &format!("delegate {principal}, {claim}"));
            subject.set_chosen(name);
        }
    }
}

/// Labels of a namespace count once the namespace itself is trusted. A label whose key is the name of one
/// of our own fields counts only where a rule maps it: a label `account` is no AWS account.
fn take_labels(subject: &mut Subject, rules: &Attribution, inventory: &Inventory) {
    let Some(namespace) = subject.trusted(field::NAMESPACE).map(ToOwned::to_owned) else { return };
    let Some(labels) = inventory.labels_of(&namespace) else { return };
    for (key, name) in &rules.namespace_labels {
        if let Some(value) = labels.get(key) {
            fix(subject, name, value, &format!("label {key} of namespace {namespace}"));
        }
    }
    for (key, value) in labels {
        if !field::ALL.contains(&&**key) {
            fix(subject, key, value, &format!("label {key} of namespace {namespace}"));
        }
    }
}

/// Whether a pattern names a principal. Account and name are matched apart, so that a `*` in one never
/// reaches into the other; a principal that is a raw ARN (of a form that we do not know) is nobody's.
fn principal_matches(pattern: &str, principal: &str) -> bool {
    let (Some((accounts, names)), Some((account, name))) =
        (pattern.split_once(':'), principal.split_once(':'))
    else {
        return false;
    };
    account != "arn" && glob_matches(accounts, account) && glob_matches(names, name)
}
