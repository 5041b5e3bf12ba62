//! What works without a daemon and without a journal: freezing, and giving everything back.
//!
//! In a cluster the marker is a ConfigMap and the marked objects themselves say how they were before; a person
//! who can reach the API server needs nothing else of ours. Without a cluster there is a file in the data
//! folder, which the daemon takes for a freeze when it starts.

use std::fmt::Write as _;
use std::sync::Arc;

use actions::gateway::Gateway;
use actions::keda::release::{ReleaseOutcome, ReleaseReport};
use actions::live::Live;
use actions::now::SystemNow;

use super::edges::client;
use super::hands::gateway_settings;
use crate::config::Config;
use crate::marker;

/// Writes the freeze marker, or removes it; answers with what was done.
///
/// # Errors
/// When it could not be written: then nothing is frozen.
pub async fn freeze(config: &Config, frozen: bool, actor: &str, reason: &str) -> Result<String, String> {
    let Some(gateway) = gateway(config).await? else { return freeze_file(config, frozen, actor, reason) };
    gateway.write_freeze(frozen, actor, reason).await.map_err(|error| error.to_string())?;
    let namespace = &config.cluster.namespace;
    let name = actions::freeze::CONFIG_MAP;
    Ok(match frozen {
        true => format!("frozen by the ConfigMap `{name}` in `{namespace}`"),
        false => format!("the ConfigMap `{name}` in `{namespace}` says frozen no more"),
    })
}

/// Freezes, then gives every marked object back; answers with a report, and whether all came free.
///
/// # Errors
/// When there is no cluster or install id to go by, or nothing could be given back.
pub async fn release_all(config: &Config, actor: &str) -> Result<(String, bool), String> {
    let Some(gateway) = gateway(config).await? else {
        return Err("no cluster is configured, so nothing can be held: name one with `cluster:`".to_owned());
    };
    if config.install_id.is_empty() {
        return Err(
            "without an `installId` nobody knows which objects are ours: write the one that stopped \
                    them into the configuration"
                .to_owned(),
        );
    }
    let report = gateway.release_all(actor, marker::RELEASE_ALL).await.map_err(|error| error.to_string())?;
    Ok(told(&report))
}

/// A gateway of this process's own; nothing without a cluster.
async fn gateway(config: &Config) -> Result<Option<Gateway>, String> {
    let client = client(&config.cluster.connect).await.map_err(|error| format!("{error:#}"))?;
    let make = |client| Gateway::new(client, Live::new(), Arc::new(SystemNow), gateway_settings(config));
    Ok(client.map(make))
}

fn told(report: &ReleaseReport) -> (String, bool) {
    let mut text = String::from("frozen; ");
    let mut all = true;
    // Writing to a string cannot fail.
    let _ = match report.objects.len() {
        0 => write!(text, "no object carries our marks"),
        n => write!(text, "{n} object(s) carried our marks"),
    };
    for (key, outcome) in &report.objects {
        let what = match outcome {
            ReleaseOutcome::Released => "given back".to_owned(),
            ReleaseOutcome::AlreadyReleased => "was given back before".to_owned(),
            ReleaseOutcome::StillHeld(why) => {
                all = false;
                format!("STILL HELD: {why}")
            }
        };
        let _ = write!(text, "\n  {key}: {what}");
    }
    (text, all)
}

fn freeze_file(config: &Config, frozen: bool, actor: &str, reason: &str) -> Result<String, String> {
    let path = marker::file(config);
    let shown = path.display();
    if frozen {
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|e| format!("cannot make `{}`: {e}", config.data_dir.display()))?;
        crate::durable::write(&path, format!("{reason} ({actor})\n").as_bytes())
            .map_err(|e| format!("cannot write `{shown}`: {e}"))?;
        return Ok(format!("frozen by the file `{shown}`"));
    }
    match crate::durable::remove(&path) {
        Ok(()) => Ok(format!("the file `{shown}` is removed")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(format!("there was no file `{shown}`"))
        }
        Err(error) => Err(format!("cannot remove `{shown}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use policy::inventory::ObjectKey;

    use super::*;

    #[test]
    fn what_is_still_held_is_said_aloud_and_counts_as_not_done() {
        let key = |name| ObjectKey::scaled_object("acme", name);
        let released = ReleaseReport { objects: vec![(key("a"), ReleaseOutcome::Released)] };
        assert_eq!(
            told(&released),
            ("frozen; 1 object(s) carried our marks\n  ScaledObject/acme/a: given back".into(), true)
        );
        let held = ReleaseReport { objects: vec![(key("b"), ReleaseOutcome::StillHeld("protected".into()))] };
        let (text, all) = told(&held);
        assert!(!all && text.contains("ScaledObject/acme/b: STILL HELD: protected"), "{text}");
        assert_eq!(
            told(&ReleaseReport { objects: vec![] }),
            ("frozen; no object carries our marks".into(), true)
        );
    }
}
