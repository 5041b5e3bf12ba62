//! The freeze marker beside the engine's own freeze.
//!
//! The engine's freeze is journalled and holds at once; the marker is what a person can set without a daemon,
//! and what every daemon of this install reads just before each write. The two are kept in step here: what a
//! person says to the daemon is written to the marker too, and the end of a freeze ends both. What a person says
//! to the marker alone the engine hears within seconds: it orders nothing that would be refused, `status` shows
//! the freeze, and what `release --all` gave back stays given back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use policy::fact::{Command, CommandKind};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::edge::{Actuator, GivenBack};
use crate::turn::{Gone, Handle};

/// Name of the marker file in the data folder.
const FILE: &str = "freeze";

/// Between two looks at the cluster's marker.
const LOOK: Duration = Duration::from_secs(3);
/// How long the start waits for the first look.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Who speaks where the marker does.
pub const ACTOR: &str = "the freeze marker";
/// The reason that `release --all` writes into the marker.
pub const RELEASE_ALL: &str = "release --all";

/// The file that says frozen. Where there is no cluster it is the only marker.
#[must_use]
pub fn file(config: &Config) -> PathBuf {
    config.data_dir.join(FILE)
}

/// The marker, in the cluster where there is one, and a file in the data folder.
#[derive(Clone)]
pub struct FreezeMarker {
    actuator: Option<Arc<dyn Actuator>>,
    file: PathBuf,
}

impl std::fmt::Debug for FreezeMarker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FreezeMarker({})", self.file.display())
    }
}

impl FreezeMarker {
    /// The marker of that daemon.
    #[must_use]
    pub fn new(config: &Config, actuator: Option<Arc<dyn Actuator>>) -> Self {
        Self { actuator, file: file(config) }
    }

    /// A file that a person wrote while no daemon ran freezes the engine, with its words.
    ///
    /// # Errors
    /// The turn has ended.
    pub async fn take_file(&self, handle: &Handle) -> Result<(), Gone> {
        let reason = match std::fs::read_to_string(&self.file) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // Like a marker that cannot be read in the cluster: somebody may have meant to freeze.
            Err(error) => format!("the file cannot be read ({error})"),
        };
        if handle.look(|engine, _| engine.freeze().is_some()).await? {
            return Ok(());
        }
        let actor = format!("file:{}", self.file.display());
        handle.command(Command { actor, kind: CommandKind::Freeze { reason } }).await.map(|_| ())
    }

    /// Hears what the cluster's marker says before anything else is done.
    ///
    /// # Errors
    /// The turn has ended.
    pub async fn take_cluster(&self, handle: &Handle) -> Result<(), Gone> {
        match tokio::time::timeout(FIRST_LOOK, self.look(handle)).await {
            Ok(done) => done,
            // The gateway reads it again before each write.
            Err(_) => Ok(()),
        }
    }

    /// Follows the cluster's marker until told to stop.
    pub async fn follow(self, handle: Handle, stop: CancellationToken) {
        while self.actuator.is_some() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.look(&handle).await.is_err() {
                return;
            }
        }
    }

    /// Tells the engine what the cluster's marker says, where it does not know it.
    async fn look(&self, handle: &Handle) -> Result<(), Gone> {
        let Some(actuator) = &self.actuator else { return Ok(()) };
        let said = match actuator.freeze_mark().await {
            Ok(said) => said,
            Err(why) => {
                tracing::debug!(why, "the freeze marker cannot be read");
                return Ok(());
            }
        };
        let frozen = handle.look(|engine, _| engine.freeze().map(str::to_owned)).await?;
        let kind = match (said, frozen) {
            (Some(words), frozen) if words.starts_with(RELEASE_ALL) => {
                let known = frozen.is_some_and(|words| words.contains(RELEASE_ALL));
                (!known).then_some(CommandKind::ReleaseAll)
            }
            (Some(words), None) => Some(CommandKind::Freeze { reason: words }),
            (None, Some(words)) if words.contains(ACTOR) => Some(CommandKind::Unfreeze),
            _ => None,
        };
        match kind {
            Some(kind) => handle.command(Command { actor: ACTOR.to_owned(), kind }).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Says frozen, where there is a cluster to say it in.
    ///
    /// # Errors
    /// When it could not be written, for people.
    pub async fn set(&self, actor: &str, reason: &str) -> Result<(), String> {
        match &self.actuator {
            Some(actuator) => actuator.mark_freeze(true, actor, reason).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Says frozen, and gives back everything that carries our marks; nothing where there is no cluster.
    ///
    /// # Errors
    /// When nothing could be given back, for people.
    pub async fn release_all(&self, actor: &str) -> Option<Result<Vec<GivenBack>, String>> {
        Some(self.actuator.as_ref()?.release_all(actor).await)
    }

    /// Says frozen no more, everywhere; answers whether anything said so before.
    ///
    /// # Errors
    /// When it could not be cleared, for people: then it still freezes.
    pub async fn clear(&self, actor: &str) -> Result<bool, String> {
        let file = match std::fs::remove_file(&self.file) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(format!("cannot remove `{}`: {error}", self.file.display())),
        };
        let cluster = match &self.actuator {
            Some(actuator) => actuator.mark_freeze(false, actor, "unfreeze").await?,
            None => false,
        };
        Ok(file || cluster)
    }
}
