//! Who or what a fact is about, and how far each field can be believed.
//!
//! A field is `Trusted` when the caller could not forge the evidence behind it (an IAM role, a token's
//! own scope, a namespace label), and `Asserted` when it is only what the caller said. Asserted fields
//! refine a breaker; they never select what is stopped (invariant 10).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a subject field: one of the known ones below, or a namespace label key.
pub type FieldName = Box<str>;

/// Names of the fields that the daemon itself fills; rules may also name any namespace label.
pub mod field {
    /// Who pays: the unit most budgets are written for.
    pub const TENANT: &str = "tenant";
    /// A group inside a tenant.
    pub const TEAM: &str = "team";
    /// The agent or application that made the call.
    pub const AGENT: &str = "agent";
    /// The person or customer behind the call.
    pub const END_USER: &str = "endUser";
    /// AWS account id.
    pub const ACCOUNT: &str = "account";
    /// AWS region in which the call was made.
    pub const REGION: &str = "region";
    /// Kubernetes cluster name.
    pub const CLUSTER: &str = "cluster";
    /// Kubernetes namespace.
    pub const NAMESPACE: &str = "namespace";
    /// `Kind/name` of the workload.
    pub const WORKLOAD: &str = "workload";
    /// Pod name.
    pub const POD: &str = "pod";
    /// Account-qualified principal, `111122223333:role/team-search-agent`.
    pub const PRINCIPAL: &str = "principal";
    /// The resolved model id (`us.anthropic.claude-sonnet-4-6`), else the id as invoked.
    pub const MODEL: &str = "model";
    /// `aws.bedrock`, `aws.ec2`, …
    pub const PROVIDER: &str = "provider";
    /// The source whose token or reader brought the fact.
    pub const SOURCE: &str = "source";

    /// All of the above, for "did you mean" and for completion.
    pub const ALL: [&str; 14] = [
        TENANT, TEAM, AGENT, END_USER, ACCOUNT, REGION, CLUSTER, NAMESPACE, WORKLOAD, POD, PRINCIPAL, MODEL,
        PROVIDER, SOURCE,
    ];
}

/// How far a field can be believed (inputs: identity that the caller cannot forge is trusted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Trust {
    /// Only the caller says so.
    #[default]
    Asserted,
    /// Evidence that the caller cannot forge.
    Trusted,
}

/// One field of a subject with the evidence that set it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attribute {
    /// Field name.
    pub name: FieldName,
    /// Never empty: an empty value is no value.
    pub value: Box<str>,
    /// How far to believe it.
    pub trust: Trust,
    /// The rule or evidence that set it, for people ("delegate 111122223333:role/gw, requestMetadata.tenant").
    pub evidence: Box<str>,
    /// A caller chose the value, so there may be any number of them; the others are as many as an operator,
    /// AWS or the cluster has.
    pub chosen: bool,
}

/// Who or what a fact is about: attributes sorted by name, at most one for each name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    attributes: Vec<Attribute>,
}

impl Subject {
    /// Sets a field. A trusted value is never replaced by an asserted one; an empty value is ignored.
    pub fn set(&mut self, name: &str, value: &str, trust: Trust, evidence: &str) {
        if value.is_empty() {
            return;
        }
        let attribute = Attribute {
            name: name.into(),
            value: value.into(),
            trust,
            evidence: evidence.into(),
            chosen: trust == Trust::Asserted,
        };
        match self.attributes.binary_search_by(|a| (*a.name).cmp(name)) {
            Ok(at) if self.attributes[at].trust <= trust => self.attributes[at] = attribute,
            Ok(_) => {}
            Err(at) => self.attributes.insert(at, attribute),
        }
    }

    /// Marks the value of a field as one that a caller chose, although it is believed.
    pub fn set_chosen(&mut self, name: &str) {
        if let Ok(at) = self.attributes.binary_search_by(|a| (*a.name).cmp(name)) {
            self.attributes[at].chosen = true;
        }
    }

    /// The attribute of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.attributes.binary_search_by(|a| (*a.name).cmp(name)).ok().map(|at| &self.attributes[at])
    }

    /// The value of that name, only where it is trusted.
    #[must_use]
    pub fn trusted(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|a| a.trust == Trust::Trusted).map(|a| &*a.value)
    }

    /// All attributes, sorted by name.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, a) in self.attributes.iter().enumerate() {
            let sep = if i == 0 { "" } else { " " };
            let mark = if a.trust == Trust::Asserted { "?" } else { "" };
            write!(f, "{sep}{}={}{mark}", a.name, a.value)?;
        }
        Ok(())
    }
}

/// An IAM or STS ARN as account and name: `arn:aws:sts::111122223333:assumed-role/search/session` is
/// `111122223333:role/search`. The session is dropped (its caller chooses it), and so is the path (names are
/// unique in an account without it, and STS does not show it). `None` for anything else.
#[must_use]
pub fn short_principal(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':');
    let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    if scheme != "arn" || !partition.starts_with("aws") || !region.is_empty() || !is_account(account) {
        return None;
    }
    let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
    let last = rest.rsplit('/').next().unwrap_or_default();
    let (kind, name) = match (service, kind) {
        ("sts", "assumed-role") => ("role", rest.split('/').next().unwrap_or_default()),
        ("iam", "role" | "user") => (kind, last),
        ("sts", "federated-user") => (kind, rest),
        ("iam" | "sts", "root") if rest.is_empty() => return Some(format!("{account}:root")),
        _ => return None,
    };
    (!name.is_empty() && !name.contains(':')).then(|| format!("{account}:{kind}/{name}"))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_asserts_never_replaces_what_is_trusted() {
        let mut subject = Subject::default();
        subject.set(field::TENANT, "acme", Trust::Trusted, "role map");
        subject.set(field::TENANT, "rival", Trust::Asserted, "requestMetadata.tenant");
        assert_eq!(subject.trusted(field::TENANT), Some("acme"));
        subject.set(field::AGENT, "researcher", Trust::Asserted, "requestMetadata.agent");
        assert_eq!(subject.trusted(field::AGENT), None);
        assert_eq!(subject.to_string(), "agent=researcher? tenant=acme");
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let mut subject = Subject::default();
        subject.set(field::TENANT, "", Trust::Trusted, "role map");
        assert!(subject.get(field::TENANT).is_none());
    }
}
