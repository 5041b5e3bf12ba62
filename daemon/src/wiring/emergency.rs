//! What works without a daemon and without a journal: freezing, and giving everything back.

use crate::config::{Config, Connect};

/// Name of the marker file in the data folder, where there is no cluster to keep it.
const MARKER: &str = "freeze";

/// Writes the freeze marker, or removes it; answers with what was done.
///
/// # Errors
/// When it could not be written: then nothing is frozen.
pub async fn freeze(config: &Config, frozen: bool, actor: &str, reason: &str) -> Result<String, String> {
    match config.cluster.connect {
        Connect::None => freeze_file(config, frozen, actor, reason),
        _ => Err("not wired yet".to_owned()),
    }
}

fn freeze_file(config: &Config, frozen: bool, actor: &str, reason: &str) -> Result<String, String> {
    let path = config.data_dir.join(MARKER);
    let shown = path.display();
    if frozen {
        std::fs::create_dir_all(&config.data_dir)
            .map_err(|e| format!("cannot make `{}`: {e}", config.data_dir.display()))?;
        std::fs::write(&path, format!("{reason} ({actor})\n"))
            .map_err(|e| format!("cannot write `{shown}`: {e}"))?;
        return Ok(format!("frozen by the file `{shown}`"));
    }
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(format!("the file `{shown}` is removed")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(format!("there was no file `{shown}`"))
        }
        Err(error) => Err(format!("cannot remove `{shown}`: {error}")),
    }
}

/// Freezes, then gives every marked object back; answers with a report.
///
/// # Errors
/// When there is no cluster, or it could not be done.
pub async fn release_all(config: &Config, actor: &str) -> Result<String, String> {
    let _ = actor;
    match config.cluster.connect {
        Connect::None => {
            Err("no cluster is configured, so nothing can be held: name one with `cluster:`".to_owned())
        }
        _ => Err("not wired yet".to_owned()),
    }
}
