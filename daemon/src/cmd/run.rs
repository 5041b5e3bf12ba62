//! `breakerbox run`: the daemon, until a signal or a fault ends it.

use std::io::IsTerminal;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app::{App, Ended, StartError};
use crate::args::{Common, RunArgs};
use crate::config::{Config, LogFormat};
use crate::journal::JournalError;
use crate::replay::ReplayError;
use crate::wiring;

use super::{COMMIT, COULD_NOT, DONE, FAULT, Failure, IN_USE, LEASE, Outcome, WRONG, config};

pub(super) async fn run(common: &Common, args: &RunArgs) -> Outcome {
    let config = config(common, args)?;
    log(&config);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        ceiling = config.ceiling.word(),
        data = %config.data_dir.display(),
        rules = %config.rules_dir.display(),
        "starting"
    );
    let mut deps = wiring::deps(&config, args.accept_lost_journal)
        .await
        .map_err(|error| Failure::new(COULD_NOT, format!("error: {error:#}")))?;
    deps.every.apart = true;
    // Awaited from here on: who is told that it runs may end it at once, and that is to be a drain too.
    let signals =
        signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let mut running = App::new(config, deps).start().await.map_err(|error| failed_start(&error))?;
    tracing::info!(listen = %running.addr, socket = %running.socket.display(), "running");
    let stop = async {
        match signals {
            Ok((mut term, mut int)) => {
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            }
            Err(error) => {
                tracing::warn!(%error, "signals cannot be awaited; the process ends at once on one");
                std::future::pending().await
            }
        }
    };
    tokio::select! {
        // Not drained: what is broken must not go on acting, and the journal has all that is acked.
        ended = running.broken() => return Err(failed(&ended)),
        () = stop => {}
    }
    running.drain().await.map_err(|ended| failed(&ended))?;
    Ok(DONE)
}

fn failed(ended: &Ended) -> Failure {
    let code = match ended {
        Ended::Turn(_) => COMMIT,
        Ended::Panicked => FAULT,
        Ended::LeaseLost(_) => LEASE,
    };
    Failure::chain(code, ended)
}

fn failed_start(error: &StartError) -> Failure {
    let code = match error {
        StartError::Replay(ReplayError::Journal(JournalError::InUse { .. })) | StartError::Listen(..) => {
            IN_USE
        }
        StartError::Replay(_) | StartError::Thread(_) => COULD_NOT,
        StartError::Rules(_) => WRONG,
        StartError::Ended(_) => FAULT,
    };
    Failure::chain(code, error)
}

/// Logs to stderr. `BREAKERBOX_LOG` filters as `RUST_LOG` does; other crates never go below `debug`, since
/// at `trace` some print secrets (RUSTSEC-2022-0086).
fn log(config: &Config) {
    let filter = EnvFilter::try_from_env("BREAKERBOX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = filter.to_string();
    let capped = if filter.contains("trace") { filter.replace("trace", "debug") } else { filter };
    let builder =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(EnvFilter::new(capped));
    let set = match config.log {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(coloured()).try_init(),
    };
    if let Err(error) = set {
        anstream::eprintln!("the log was set up before: {error}");
    }
}

/// Colours are for a person at a terminal; in a file or a pod's log they are noise.
fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
