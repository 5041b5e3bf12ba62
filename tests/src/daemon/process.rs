//! One process of the daemon: started, asked, killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policy::time::Timestamp;

use super::{Site, http, now};
use crate::servers::wait_until;

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    port: u16,
    started: Timestamp,
}

/// The binary, beside the tests that cargo built.
///
/// # Errors
/// When it was not built.
pub fn binary() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let profile = exe.ancestors().nth(2).context("a test has a target folder")?;
    let path = profile.join("breakerbox");
    if !path.exists() {
        bail!("`{}` is not there; build it with `cargo build -p daemon`", path.display());
    }
    Ok(path)
}

impl Daemon {
    /// Starts the daemon of a site; does not wait for it.
    ///
    /// # Errors
    /// When the binary is not there or cannot be started.
    pub fn spawn(site: &Site, environment: &[(&str, &str)]) -> Result<Self> {
        Self::spawn_with(site, environment, &[])
    }

    /// Starts the daemon of a site with further flags of `run`; does not wait for it.
    ///
    /// # Errors
    /// As [`Daemon::spawn`].
    pub fn spawn_with(site: &Site, environment: &[(&str, &str)], flags: &[&str]) -> Result<Self> {
        let log = site.path("daemon.log");
        let file = std::fs::File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(binary()?);
        command.arg("run").arg("--config").arg(site.config()?).args(flags);
        command.env_remove("KUBECONFIG").env("RUST_BACKTRACE", "1");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let started = Timestamp::parse_rfc3339(&now()?)?;
        Ok(Self { child: command.spawn()?, log, port: site.port, started })
    }

    /// Starts the daemon of a site with a failpoint armed: it ends by `SIGABRT` where `points` says, in the
    /// words of the crate `fail` (`pause::after_apply=return(abort)`).
    ///
    /// # Errors
    /// As [`Daemon::spawn`], and when the binary was built without failpoints.
    pub fn armed(site: &Site, points: &str) -> Result<Self> {
        static COMPILED_IN: OnceLock<bool> = OnceLock::new();
        let version = || Command::new(binary()?).arg("version").output().context("ask for the version");
        let there = match COMPILED_IN.get() {
            Some(there) => *there,
            None => {
                let said = String::from_utf8(version()?.stdout)?;
                *COMPILED_IN.get_or_init(|| said.contains("failpoints"))
            }
        };
        if !there {
            bail!(
                "`{}` was built without failpoints: `cargo test --workspace` builds it with them, and so does \
                 `cargo build -p daemon --features failpoints`",
                binary()?.display()
            );
        }
        Self::spawn(site, &[("FAILPOINTS", points)])
    }

    /// Starts the daemon of a site and waits until it is ready.
    ///
    /// # Errors
    /// When it is not ready in time; the end of its log is in the error.
    pub async fn start(site: &Site) -> Result<Self> {
        let mut daemon = Self::spawn(site, &[])?;
        daemon.wait_ready().await?;
        Ok(daemon)
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When it ends or does not become ready in 30 s.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let port = self.port;
        let waited = wait_until("the daemon to be ready", Duration::from_secs(30), async || {
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon ended: {status}");
            }
            Ok(http::get(port, "/readyz").await.is_ok_and(|answer| answer.status.is_success()))
        });
        match waited.await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.context(self.log_tail())),
        }
    }

    /// Ends it as the kernel would: at once, without a word.
    pub fn kill_9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// When it does not end in 20 s.
    pub async fn drain(&mut self) -> Result<std::process::ExitStatus> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(pid, Signal::SIGTERM)?;
        self.ended(Duration::from_secs(20)).await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn ended(&mut self, within: Duration) -> Result<std::process::ExitStatus> {
        let mut status = None;
        wait_until("the daemon to end", within, async || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })
        .await?;
        status.context("it ended")
    }

    /// When it was started, in whole seconds.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// All of its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill_9();
        if std::thread::panicking() {
            eprintln!("the daemon's log ends:\n{}", self.log_tail());
        }
    }
}

/// Runs a subcommand against a site, and gives its output.
///
/// # Errors
/// When the binary cannot be run.
pub fn cli(site: &Site, arguments: &[&str]) -> Result<Output> {
    let config: &Path = &site.config()?;
    let mut command = Command::new(binary()?);
    command.env_remove("KUBECONFIG").env("NO_COLOR", "1");
    Ok(command.args(arguments).arg("--config").arg(config).output()?)
}
