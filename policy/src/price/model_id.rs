//! The forms in which AWS writes a model id, taken apart.
//!
//! Only taken apart: this module knows no prices and follows no map. A scope prefix is split off only if
//! the first segment is a known scope and the rest still has a dot, so that `us.example` or a vendor called
//! `in` is not mistaken for one.

use super::Scope;

/// Prefixes of geographic profiles; `global` is apart.
pub(super) const GEO_SCOPES: [&str; 8] = ["us", "eu", "apac", "jp", "au", "us-gov", "in", "ca"];
/// Prefix of global profiles.
pub(super) const GLOBAL_SCOPE: &str = "global";

/// What a raw model id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelRef<'a> {
    /// A model or a system profile: an id that the book can be asked for.
    Model {
        /// Bare or with a scope prefix.
        id: &'a str,
        /// Region named by the ARN, where it was one and named it.
        region: Option<&'a str>,
    },
    /// An application inference profile.
    Profile {
        /// The opaque id.
        id: &'a str,
    },
    /// Provisioned throughput.
    Provisioned {
        /// The id of the throughput.
        id: &'a str,
    },
    /// Something whose price only a person can declare.
    Declared {
        /// The id within its resource type.
        id: &'a str,
    },
}

/// Takes a raw id apart. Text that is not an ARN is an id as it stands.
pub(super) fn parse(raw: &str) -> ModelRef<'_> {
    let mut parts = raw.splitn(6, ':');
    let mut next = || parts.next().unwrap_or("");
    if next() != "arn" {
        return ModelRef::Model { id: raw, region: None };
    }
    let (_partition, service, region, _account, resource) = (next(), next(), next(), next(), next());
    let (kind, id) = resource.split_once('/').unwrap_or(("", resource));
    if service != "bedrock" {
        return ModelRef::Declared { id };
    }
    match kind {
        "foundation-model" => ModelRef::Model { id, region: Some(region).filter(|r| !r.is_empty()) },
        // A system profile's id is its model's; an application profile's has no dot and says nothing.
        "inference-profile" if id.contains('.') => ModelRef::Model { id, region: None },
        "inference-profile" | "application-inference-profile" => ModelRef::Profile { id },
        "provisioned-model" => ModelRef::Provisioned { id },
        _ => ModelRef::Declared { id },
    }
}

/// The scope of an id, and the id without it.
pub(super) fn split_scope(id: &str) -> (Scope, &str) {
    match id.split_once('.') {
        Some((GLOBAL_SCOPE, bare)) if bare.contains('.') => (Scope::Global, bare),
        Some((scope, bare)) if bare.contains('.') && GEO_SCOPES.contains(&scope) => (Scope::Geo, bare),
        _ => (Scope::InRegion, id),
    }
}
