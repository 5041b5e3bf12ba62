//! Which node an instance is, as far as a notice needs it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A node with the instance that it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Name of the node.
    pub node: Box<str>,
    /// EC2 instance id.
    pub instance: Box<str>,
    /// Karpenter's NodePool, or the node group; empty where it is not known.
    pub pool: Box<str>,
    /// `metadata.labels`.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// Keys of `spec.taints`.
    pub taints: Vec<Box<str>>,
    /// `app.kubernetes.io/name` of the DaemonSets' pods on it.
    pub daemons: Vec<Box<str>>,
}

/// A change of what nodes there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostChange {
    /// A node is there.
    There(Host),
    /// The node of that name is gone.
    Gone(Box<str>),
    /// These are all.
    All(Vec<Host>),
}

/// The instance id of a `spec.providerID`, `aws:///us-east-1a/i-0123456789abcdef0`.
#[must_use]
pub fn instance_of(provider_id: &str) -> Option<&str> {
    let id = provider_id.strip_prefix("aws://")?.rsplit('/').next()?;
    let hex = id.strip_prefix("i-")?;
    (!hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_read_off_the_provider_id_and_off_nothing_else() {
        assert_eq!(instance_of("aws:///us-east-1a/i-0123456789abcdef0"), Some("i-0123456789abcdef0"));
        assert_eq!(instance_of("aws://us-east-1/i-1234abcd"), Some("i-1234abcd"));
        for other in ["", "i-0123", "gce://p/z/i-0123", "aws:///us-east-1a/", "aws:///z/i-", "aws:///z/i-xyz"]
        {
            assert_eq!(instance_of(other), None, "{other}");
        }
    }
}
