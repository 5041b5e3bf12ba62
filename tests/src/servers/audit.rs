//! The API server's audit log: what each user really asked for.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use serde::Deserialize;

use super::wait::wait_until;

/// One request as the API server logged it, with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditWrite {
    /// `create`, `update`, `patch`, `delete`, `deletecollection` (or a read's verb).
    pub verb: String,
    /// The plural, for example `scaledobjects`; empty for a path that is not a resource.
    pub resource: String,
    /// For example `scale` or `status`; empty for the object itself.
    pub subresource: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// Empty where the request names no object.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

/// Reads the requests of `user` from `log`, up to a marker that is written now: an answer may
/// reach its client a moment before its line reaches the log.
pub(super) async fn requests_by(client: &Client, log: &Path, user: &str) -> Result<Vec<AuditWrite>> {
    write_marker(client, log).await?;
    let text = tokio::fs::read_to_string(log).await?;
    let mut found = Vec::new();
    // Most lines are other users': parse only what may be this one's. The last line may be half.
    let needle = format!("\"username\":\"{user}\"");
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in complete.lines().filter(|line| line.contains(&needle)) {
        let event: Event =
            serde_json::from_str(line).with_context(|| format!("cannot read the audit log line `{line}`"))?;
        if event.user.username == user && event.object_ref.resource != MARKER {
            found.push(AuditWrite {
                verb: event.verb,
                resource: event.object_ref.resource,
                subresource: event.object_ref.subresource,
                namespace: event.object_ref.namespace,
                name: event.object_ref.name,
                code: event.response_status.code,
            });
        }
    }
    Ok(found)
}

/// What the marker asks for: a review of oneself, which stores nothing.
const MARKER: &str = "selfsubjectreviews";

async fn write_marker(client: &Client, log: &Path) -> Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!("marker-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let body = br#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
    let request = http::Request::post(format!("/apis/authentication.k8s.io/v1/{MARKER}"))
        .header("Audit-ID", &id)
        .header("Content-Type", "application/json")
        .body(body.to_vec())?;
    client.request_text(request).await?;
    let needle = format!("\"auditID\":\"{id}\"");
    wait_until("the audit log reaches up to now", Duration::from_secs(10), async || {
        Ok(tokio::fs::read_to_string(log).await?.contains(&needle))
    })
    .await?;
    Ok(())
}
