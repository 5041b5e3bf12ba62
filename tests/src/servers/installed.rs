//! Where `tests/servers/install` has put the servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The folder with everything that `tests/servers/install` built for the pinned versions.
#[derive(Clone, Debug)]
pub struct Installed {
    root: PathBuf,
}

impl Installed {
    /// Asks `tests/servers/install --where`; builds nothing, since a build takes minutes and its
    /// progress would be hidden inside a test.
    ///
    /// # Errors
    /// Something is not installed; the message says what to run.
    pub fn find() -> Result<Self> {
        let script = sources().join("install");
        let output = Command::new(&script)
            .arg("--where")
            .output()
            .with_context(|| format!("cannot run {}", script.display()))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let root = PathBuf::from(String::from_utf8(output.stdout)?.trim());
        Ok(Self { root })
    }

    /// The path of one server, for example `etcd`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// A file or folder beside the binaries, for example `stages.yaml`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The Python with slack_sdk, Slack's own validators for our blocks.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.root.join("venv/bin/python")
    }
}

/// The folder `tests/servers` of this work tree: pins, install script and the YAML we apply.
pub(super) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers")
}
