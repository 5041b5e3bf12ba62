//! What a ScaledObject is before a write: free, ours, somebody else's, or of a shape that we do not touch.
//!
//! Who paused it is judged by reading, before the write: an apply of an equal `"0"` meets no conflict and
//! would make somebody else's pause look like ours (actions, 3.3).

use policy::fact::PriorState;
use policy::inventory::ObjectKey;

use crate::operator::Version;
use crate::scaled_object::{Seen, is_false};
use crate::undo::{PAUSED, PAUSED_REPLICAS};
use crate::workload::ScaleSeen;

/// How an object stands, as far as a pause is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody paused it.
    Free(ObjectKey),
    /// It carries our marks, and our pause, unless somebody took the pause away.
    Ours { workload: ObjectKey, prior: Option<PriorState>, paused: bool },
    /// Somebody else paused it at zero.
    TheirsAtZero { workload: ObjectKey, by: String },
    /// It is not ours to stop, or cannot be stopped and given back.
    Untouchable(String),
}

/// Judges an object. `install` is ours; `version` is KEDA's.
pub(crate) fn judge(seen: &Seen, install: &str, version: Version) -> Standing {
    let workload = match shape(seen) {
        Ok(workload) => workload,
        Err(why) => return Standing::Untouchable(why),
    };
    let marks = seen.marks();
    if let Some(other) = marks.as_ref().filter(|marks| marks.install != install) {
        return Standing::Untouchable(format!("installation `{}` of breakerbox holds it", other.install));
    }
    let ours = marks.map(|marks| marks.prior);
    match (seen.paused_replicas(), ours) {
        (Some("0"), Some(prior)) => Standing::Ours { workload, prior, paused: true },
        (Some("0"), None) => Standing::TheirsAtZero { workload, by: seen.owners_of(PAUSED_REPLICAS) },
        (Some(value), _) => Standing::Untouchable(match value.parse::<i32>() {
            Ok(replicas) => format!("paused at {replicas} by {}", seen.owners_of(PAUSED_REPLICAS)),
            Err(_) => format!(
                "paused by {} at `{value}`, which KEDA cannot read: it stays at its size",
                seen.owners_of(PAUSED_REPLICAS)
            ),
        }),
        (None, ours) => match frozen_at_size(seen, version) {
            Some(by) => Standing::Untouchable(format!("frozen at its size by {by} (`{PAUSED}`)")),
            None => match ours {
                Some(prior) => Standing::Ours { workload, prior, paused: false },
                None => Standing::Free(workload),
            },
        },
    }
}

/// Whether our pause stands on an object.
pub(crate) fn holds(seen: &Seen, install: &str) -> bool {
    seen.paused_replicas() == Some("0") && seen.marks().is_some_and(|marks| marks.install == install)
}

/// Who set `autoscaling.keda.sh/paused`, where it holds.
fn frozen_at_size(seen: &Seen, version: Version) -> Option<String> {
    let value = seen.paused()?;
    let holds = !is_false(value) || version < Version::HEEDS_FALSE;
    holds.then(|| seen.owners_of(PAUSED))
}

/// Shapes of which a pause cannot be proven, or cannot be given back.
fn shape(seen: &Seen) -> Result<ObjectKey, String> {
    if seen.deleting && seen.restores_on_deletion() {
        return Err("it is being deleted, and its deletion brings the original replicas back".to_owned());
    }
    if seen.deleting {
        return Err("it is being deleted".to_owned());
    }
    if seen.owns_the_users_hpa() {
        return Err("it took over an HPA of the user's own, which a pause would delete \
                    (scaledobject.keda.sh/transfer-hpa-ownership)"
            .to_owned());
    }
    seen.workload.clone()
}

/// What an object is like before our first write.
pub(crate) fn prior(seen: &Seen, scale: &ScaleSeen) -> PriorState {
    PriorState {
        uid: seen.uid.clone(),
        resource_version: seen.resource_version.clone(),
        replicas: Some(scale.replicas()),
        paused_replicas: seen.paused_replicas().map(str::to_owned),
        paused: seen.paused().map(str::to_owned),
        hpa: Some(seen.hpa()),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use serde_json::{Value, json};

    use super::*;

    fn seen(metadata: Value, advanced: Value) -> Seen {
        let spec = json!({"scaleTargetRef": {"name": "web"}, "advanced": advanced});
        let object: DynamicObject =
            serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
        Seen::read(&ObjectKey::scaled_object("shop", "web"), object)
    }

    fn stand(annotations: Value) -> Standing {
        judge(&seen(json!({"annotations": annotations}), json!({})), "us", Version::new(2, 21))
    }

    fn workload() -> ObjectKey {
        "Deployment/shop/web".parse().unwrap()
    }

    #[test]
    fn who_paused_is_read_off_before_anything_is_written() {
        assert_eq!(stand(json!({})), Standing::Free(workload()));
        let theirs = stand(json!({PAUSED_REPLICAS: "0"}));
        assert_eq!(theirs, Standing::TheirsAtZero { workload: workload(), by: "somebody".to_owned() });
        let mark = |install: &str, pause: Option<&str>| {
            let mut all = json!({"breakerbox.dev/order": "o1", "breakerbox.dev/install": install});
            if let Some(pause) = pause {
                all[PAUSED_REPLICAS] = json!(pause);
            }
            stand(all)
        };
        let ours = |paused| Standing::Ours { workload: workload(), prior: None, paused };
        assert_eq!(mark("us", Some("0")), ours(true));
        assert_eq!(mark("us", None), ours(false));
        assert!(matches!(mark("us", Some("2")), Standing::Untouchable(_)));
        assert!(matches!(mark("them", Some("0")), Standing::Untouchable(_)));
    }

    #[test]
    fn every_other_pause_is_left_alone() {
        for value in ["1", "2", "", "zero", "false", "00x", "-1"] {
            assert!(matches!(stand(json!({PAUSED_REPLICAS: value})), Standing::Untouchable(_)), "{value}");
        }
        for value in ["true", "", "yes", "1"] {
            assert!(matches!(stand(json!({PAUSED: value})), Standing::Untouchable(_)), "{value}");
        }
    }

    #[test]
    fn paused_false_means_not_paused_only_where_keda_heeds_it() {
        let object = seen(json!({"annotations": {PAUSED: "false"}}), json!({}));
        assert_eq!(judge(&object, "us", Version::new(2, 13)), Standing::Free(workload()));
        assert!(matches!(judge(&object, "us", Version::new(2, 12)), Standing::Untouchable(_)));
    }

    #[test]
    fn a_shape_that_cannot_be_given_back_is_not_touched() {
        let restoring = json!({"restoreToOriginalReplicaCount": true});
        let gone = json!({"deletionTimestamp": "2026-11-20T10:00:00Z"});
        let transfer = json!({"annotations": {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}});
        for (metadata, advanced, word) in [
            (gone.clone(), restoring.clone(), "original replicas"),
            (gone, json!({}), "being deleted"),
            (transfer, json!({}), "transfer-hpa-ownership"),
        ] {
            match judge(&seen(metadata, advanced), "us", Version::new(2, 21)) {
                Standing::Untouchable(why) => assert!(why.contains(word), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        // Only its deletion is a way around us, so an object that would do so may be paused.
        assert_eq!(judge(&seen(json!({}), restoring), "us", Version::new(2, 21)), Standing::Free(workload()));
    }
}
