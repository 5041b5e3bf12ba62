//! Whether a pod may be moved at all.

use crate::idle::{Fleet, PodRef};
use crate::inventory::ObjectKey;
use crate::rule::{Guardrail, glob_matches};

/// Why a pod is never moved, where it is not. What a disruption budget still allows is counted by the plan.
#[must_use]
pub fn immovable((key, pod): PodRef<'_>, fleet: &Fleet<'_>, rail: &Guardrail) -> Option<String> {
    if let Some(pattern) = rail.protected_namespaces.iter().find(|p| glob_matches(p, &key.namespace)) {
        return Some(format!("namespace `{}` is protected (`{pattern}`)", key.namespace));
    }
    let inventory = fleet.inventory;
    let workload = pod.owner.as_ref().and_then(|owner| inventory.workloads.get(owner));
    let scalers = pod.owner.as_ref().map_or(&[] as &[_], |owner| fleet.scalers_of(owner));
    let listed = |object: &ObjectKey| rail.protected_objects.contains(object);
    if pod.owner.as_ref().is_some_and(listed) || scalers.iter().any(|(scaler, _)| listed(scaler)) {
        return Some("it is on the protected list".to_owned());
    }
    let carriers = [Some(&pod.labels), workload.map(|w| &w.labels), inventory.labels_of(&key.namespace)];
    let scalers = scalers.iter().map(|(_, object)| &object.labels);
    let mut carriers = carriers.into_iter().flatten().chain(scalers);
    let protecting = carriers.find_map(|labels| {
        rail.protected_labels.iter().find(|(name, value)| labels.get(name) == Some(value))
    });
    if let Some((name, value)) = protecting {
        return Some(format!("label {name}={value} protects it"));
    }
    if pod.do_not_disrupt {
        return Some("it says do-not-disrupt".to_owned());
    }
    if let Some(pinned) = &pod.pinned {
        return Some(pinned.to_string());
    }
    if pod.deleting {
        return Some("it is going away".to_owned());
    }
    match pod.budgets.as_slice() {
        _ if pod.owner.is_none() => Some("nothing brings it back elsewhere".to_owned()),
        [] | [_] => None,
        // Kubernetes refuses such an eviction.
        _ => Some("more than one disruption budget selects it".to_owned()),
    }
}
