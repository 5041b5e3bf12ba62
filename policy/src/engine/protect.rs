//! What must never be touched: by its namespace, its name, a label, or its kind.

use std::collections::BTreeMap;

use crate::attribution::glob_matches;
use crate::inventory::ObjectKey;
use crate::rule::{Guardrail, TargetSelector};

type Labels = BTreeMap<Box<str>, Box<str>>;

/// Why an object must never be touched, where it must not. `labels` are its own, those of its workload and
/// those of its namespace: any of them protects.
#[must_use]
pub fn protection(rail: &Guardrail, key: &ObjectKey, labels: &[&Labels]) -> Option<String> {
    if let Some(pattern) = rail.protected_namespaces.iter().find(|p| glob_matches(p, &key.namespace)) {
        return Some(format!("namespace `{}` is protected (`{pattern}`)", key.namespace));
    }
    if rail.protected_objects.contains(key) {
        return Some("it is on the protected list".to_owned());
    }
    carried(&rail.protected_labels, labels).map(|(name, value)| format!("label {name}={value} protects it"))
}

/// Why nothing may stop an object because of what it is or scales, where nothing may.
pub(super) fn protection_of_kind(
    rail: &Guardrail,
    key: &ObjectKey,
    workload: Option<&ObjectKey>,
) -> Option<String> {
    if let Some(workload) = workload.filter(|workload| rail.protected_objects.contains(workload)) {
        return Some(format!("{workload}, which it scales, is on the protected list"));
    }
    let kinds = [Some(key), workload].into_iter().flatten().map(|key| key.kind);
    let protected = kinds.flat_map(|kind| rail.protected_kinds.iter().filter(move |p| p.is(kind))).next()?;
    Some(format!("objects of kind {} are protected", protected.word()))
}

pub(super) fn exception(selector: &TargetSelector, labels: &[&Labels]) -> Option<String> {
    carried(&selector.except, labels).map(|(name, value)| format!("the rule excepts {name}={value}"))
}

/// The first of the wanted labels that somebody carries.
fn carried<'a>(wanted: &'a [(Box<str>, Box<str>)], labels: &[&Labels]) -> Option<&'a (Box<str>, Box<str>)> {
    wanted.iter().find(|(name, value)| labels.iter().any(|carried| carried.get(name) == Some(value)))
}
