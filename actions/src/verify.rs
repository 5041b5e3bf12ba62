//! Looks until an effect is proven, or a deadline passes. What a condition says is no proof.
//!
//! KEDA writes `Paused=True` before it deletes the HPA and scales (A1), so a stop is proven by four other
//! signs together: `status.pausedReplicaCount` is 0, the HPA answers 404, the workload's `/scale` says 0
//! wanted and 0 running, and no pod of its selector lives. A restore is proven by the opposite: our keys
//! gone, the condition not `True`, the HPA there, and replicas where KEDA must give some.

use policy::fact::Observation;
use policy::inventory::ObjectKey;

use crate::api_error::ApiError;
use crate::gateway::Gateway;
use crate::scaled_object::Seen;
use crate::undo::{ORDER, PAUSED_REPLICAS};
use crate::workload::ScaleSeen;

/// What was seen of a stop at one look.
#[derive(Debug)]
pub(crate) struct StopView {
    pub(crate) signs: Vec<Observation>,
    /// The object, where it is there.
    pub(crate) seen: Option<Seen>,
    /// The workload, where it is there.
    pub(crate) scale: Option<ScaleSeen>,
    /// The HPA answers 404.
    pub(crate) hpa_gone: bool,
}

/// Whether all signs prove, and there are any.
pub(crate) fn proven(signs: &[Observation]) -> bool {
    !signs.is_empty() && signs.iter().all(|sign| sign.proves)
}

fn sign(sign: impl Into<String>, seen: impl ToString, proves: bool) -> Observation {
    Observation { sign: sign.into(), seen: seen.to_string(), proves }
}

fn count(number: Option<i64>) -> String {
    number.map_or_else(|| "absent".to_owned(), |n| n.to_string())
}

/// Looks at the four signs of a stop.
pub(crate) async fn look_at_stop(
    gateway: &Gateway,
    target: &ObjectKey,
    workload: &ObjectKey,
) -> Result<StopView, ApiError> {
    let Some(seen) = gateway.scaled_object(target).await? else {
        let signs = vec![sign(target.to_string(), "absent", false)];
        return Ok(StopView { signs, seen: None, scale: None, hpa_gone: false });
    };
    let hpa = seen.hpa();
    let hpa_gone = !gateway.hpa_exists(&target.namespace, &hpa).await?;
    let scale = gateway.scale(workload).await?;
    let paused = seen.paused_replica_count();
    let mut signs = vec![
        sign("status.pausedReplicaCount", count(paused), paused == Some(0)),
        sign(format!("HPA {hpa}"), if hpa_gone { "absent" } else { "exists" }, hpa_gone),
    ];
    match &scale {
        None => signs.push(sign(workload.to_string(), "absent", false)),
        Some(scale) => signs.extend(scale_signs(gateway, scale).await?),
    }
    Ok(StopView { signs, seen: Some(seen), scale, hpa_gone })
}

async fn scale_signs(gateway: &Gateway, scale: &ScaleSeen) -> Result<[Observation; 3], ApiError> {
    let workload = &scale.key;
    let pods = match &scale.selector {
        None => sign("pods", "no selector to find them by", false),
        Some(selector) => {
            let alive = gateway.pods(&workload.namespace, selector).await?;
            sign(format!("pods of {selector}"), alive, alive == 0)
        }
    };
    Ok([
        sign(format!("spec.replicas of {workload}"), scale.wanted, scale.wanted == 0),
        sign(format!("status.replicas of {workload}"), scale.running, scale.running == 0),
        pods,
    ])
}

/// What was seen of a restore at one look.
#[derive(Debug)]
pub(crate) struct RestoreView {
    pub(crate) signs: Vec<Observation>,
    pub(crate) seen: Option<Seen>,
}

/// Looks at the signs of a restore.
pub(crate) async fn look_at_restore(gateway: &Gateway, target: &ObjectKey) -> Result<RestoreView, ApiError> {
    let Some(seen) = gateway.scaled_object(target).await? else {
        return Ok(RestoreView { signs: vec![sign(target.to_string(), "absent", false)], seen: None });
    };
    let hpa = seen.hpa();
    let exists = gateway.hpa_exists(&target.namespace, &hpa).await?;
    let condition = seen.condition("Paused");
    let mut signs = vec![
        match seen.paused_replicas() {
            None => sign(PAUSED_REPLICAS, "absent", true),
            Some(value) => {
                sign(PAUSED_REPLICAS, format!("{value} by {}", seen.owners_of(PAUSED_REPLICAS)), false)
            }
        },
        match seen.annotations.get(ORDER) {
            None => sign(ORDER, "absent", true),
            Some(value) => sign(ORDER, format!("{value} by {}", seen.owners_of(ORDER)), false),
        },
        sign("condition Paused", condition.unwrap_or("absent"), condition != Some("True")),
        sign(
            "status.pausedReplicaCount",
            count(seen.paused_replica_count()),
            seen.paused_replica_count().is_none(),
        ),
        sign(format!("HPA {hpa}"), if exists { "exists" } else { "absent" }, exists),
    ];
    signs.extend(replicas_back(gateway, &seen).await?);
    Ok(RestoreView { signs, seen: Some(seen) })
}

/// The sign that replicas are back, where KEDA must give some: below its floor it never stays, and with an
/// active trigger it gives at least one.
async fn replicas_back(gateway: &Gateway, seen: &Seen) -> Result<Option<Observation>, ApiError> {
    let must = seen.floor() > 0 || seen.condition("Active") == Some("True");
    let workload = match &seen.workload {
        Ok(workload) if must => workload,
        _ => return Ok(None),
    };
    let wanted = gateway.scale(workload).await?.map(|scale| i64::from(scale.wanted));
    Ok(Some(sign(format!("spec.replicas of {workload}"), count(wanted), wanted.is_some_and(|n| n >= 1))))
}

/// A look that failed, as a sign.
pub(crate) fn unreadable(error: &ApiError) -> Vec<Observation> {
    vec![sign("a look at it", error, false)]
}
