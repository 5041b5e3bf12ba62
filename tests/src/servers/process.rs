//! One server as a child process that cannot outlive us.
//!
//! Each server runs under a small `sh` in a process group of its own. The `sh` reads a pipe whose
//! other end only we hold: when we close it, or die by any signal, the read ends and the `sh`
//! kills its whole group. When the server itself ends, the group goes too, and we see that.
//! Why not PR_SET_PDEATHSIG: it fires when the *thread* that spawned the child ends, and every
//! test has its own thread; it is also Linux only.
//!
//! Never: a kill by name, or of a process that we did not start.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const WATCH: &str = r#"
{ "$@" </dev/null; echo "the server ended with status $?"; kill -KILL 0; } &
read -r _
kill -KILL 0
"#;

/// Waits for our end like the watcher, and then removes the folder unless it is to be kept. The
/// servers die at the same moment and may still be writing, hence the tries.
const SWEEP: &str = r#"
read -r _
[ -e "$1/KEEP" ] && exit
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit; sleep 0.2; done
"#;

/// A running server, killed with its whole process group when dropped.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, its output appended to `folder/NAME.log`.
    ///
    /// # Errors
    /// The log cannot be opened or `sh` cannot be started. A server that fails to start is seen
    /// by [`Server::check`].
    pub(super) fn start(name: &'static str, folder: &Path, command: &Command) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let mut watched = watched(WATCH, command.get_program());
        watched.args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                watched.env(key, value);
            }
        }
        let child = watched
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Fails if the server has ended, with the last lines of its log.
    ///
    /// # Errors
    /// The server has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            bail!("{} has ended; {}", self.name, self.tail());
        }
        Ok(())
    }

    /// The last lines of the log, for an error message.
    pub(super) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(12)..].join("\n  ");
        format!("the end of {}:\n  {tail}", self.log.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The group's id is the child's, and stays taken until we have waited for the child.
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// The folder of one cluster (data, keys, logs), removed when dropped or when we die, unless a
/// test has panicked or a wait has failed meanwhile.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    sweeper: Child,
}

impl Folder {
    /// # Errors
    /// The folder or its sweeper cannot be made.
    pub(super) fn create() -> Result<Self> {
        let path = tempfile::Builder::new().prefix("breakerbox-servers-").tempdir()?.keep();
        let sweeper = watched(SWEEP, path.as_os_str()).spawn()?;
        keep_on_panic();
        folders().push(path.clone());
        if std::env::var_os("BREAKERBOX_KEEP_LOGS").is_some() {
            keep_logs();
        }
        Ok(Self { path, sweeper })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        folders().retain(|path| *path != self.path);
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}

/// `sh` with `script`, in a process group of its own (so that a Ctrl-C at the terminal reaches it
/// only through the pipe), the pipe as its input.
fn watched(script: &str, first: &std::ffi::OsStr) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "breakerbox-servers"]).arg(first).process_group(0).stdin(Stdio::piped());
    command
}

static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn folders() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the folders of all clusters of this process and says where they are.
pub(super) fn keep_logs() {
    for path in folders().iter() {
        let keep = path.join("KEEP");
        if !keep.exists() && std::fs::write(&keep, "").is_ok() {
            eprintln!("servers: logs are kept in {}", path.display());
        }
    }
}

/// A failed assertion keeps the logs, in whichever test of the process it happens: a shared
/// cluster is a static and is never dropped, so its own drop could not tell.
fn keep_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            before(info);
            keep_logs();
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::wait::{wait_for, wait_until};
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// A server that ignores the polite signals, writes its process id and stays.
    fn stubborn(folder: &Folder) -> Result<Server> {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM INT HUP; echo $$; while :; do sleep 1000; done"]);
        Server::start("stubborn", folder.path(), &command)
    }

    async fn process_id(server: &Server) -> Result<i32> {
        wait_for("the server writes its process id", DEADLINE, async || {
            let text = std::fs::read_to_string(&server.log)?;
            Ok(Some(text.trim().parse()?))
        })
        .await
    }

    /// Whether a process runs; one that is dead but not yet reaped by init does not.
    fn runs(id: i32) -> bool {
        let ps = Command::new("ps").args(["-o", "stat=", "-p", &id.to_string()]).output();
        ps.is_ok_and(|out| {
            let state = String::from_utf8_lossy(&out.stdout);
            !state.trim().is_empty() && !state.starts_with('Z')
        })
    }

    #[tokio::test]
    async fn a_server_dies_when_our_end_of_its_pipe_closes_as_it_does_when_we_are_killed() -> Result<()> {
        let folder = Folder::create()?;
        let mut server = stubborn(&folder)?;
        let id = process_id(&server).await?;
        assert!(runs(id));
        drop(server.child.stdin.take());
        wait_until("the server is dead", DEADLINE, async || Ok(!runs(id))).await?;
        assert!(server.check().is_err());
        Ok(())
    }

    #[tokio::test]
    async fn a_dropped_server_is_dead_and_its_folder_gone() -> Result<()> {
        let folder = Folder::create()?;
        let path = folder.path().to_owned();
        let server = stubborn(&folder)?;
        let id = process_id(&server).await?;
        drop(server);
        wait_until("the server is dead", DEADLINE, async || Ok(!runs(id))).await?;
        drop(folder);
        assert!(!path.exists());
        Ok(())
    }

    #[tokio::test]
    async fn a_server_that_ends_by_itself_is_told_with_the_end_of_its_log() -> Result<()> {
        let folder = Folder::create()?;
        let mut command = Command::new("sh");
        command.args(["-c", "echo cannot bind; exit 3"]);
        let mut server = Server::start("brief", folder.path(), &command)?;
        let told = wait_for("the server has ended", DEADLINE, async || Ok(server.check().err())).await?;
        let told = told.to_string();
        assert!(told.contains("brief has ended") && told.contains("cannot bind"), "{told}");
        assert!(told.contains("status 3"), "{told}");
        Ok(())
    }
}
