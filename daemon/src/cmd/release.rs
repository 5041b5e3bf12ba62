//! `freeze`, `unfreeze` and `release --all`: they go to the daemon where it answers, and work without it where
//! it does not.

use std::time::Duration;

use crate::args::{Common, RunArgs};
use crate::client::AskError;
use crate::http::socket::actor_of;
use crate::http::{Said, Saying};
use crate::wiring::emergency;

use super::{COULD_NOT, DONE, Failure, Outcome, WRONG, ask, command, config};

/// How long the daemon may take where people cannot wait: one that is stuck takes connections, and answers none.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a daemon that is there may take over giving everything back.
const RELEASING: Duration = Duration::from_secs(60);

pub(super) async fn freeze(common: &Common, reason: String) -> Outcome {
    let saying = Saying::Freeze { reason: reason.clone() };
    saying.parse().map_err(|error| Failure::new(WRONG, format!("error: {error}")))?;
    match in_time(PATIENCE, ask::daemon(common)?.post("/v1/commands", &saying)).await? {
        Some(said) => command::show(common.format, &said),
        None => {
            let config = config(common, &RunArgs::default())?;
            let done = emergency::freeze(&config, true, &actor(), &reason).await.map_err(could_not)?;
            tell(common, &format!("{done}; the daemon was not reached, and reads this before each write"));
            Ok(DONE)
        }
    }
}

pub(super) async fn unfreeze(common: &Common) -> Outcome {
    match said(common, &Saying::Unfreeze {}).await? {
        Some(said) => command::show(common.format, &said),
        None => {
            let config = config(common, &RunArgs::default())?;
            let done = emergency::freeze(&config, false, &actor(), "").await.map_err(could_not)?;
            tell(common, &format!("{done}; a freeze that the daemon itself keeps must be ended there"));
            Ok(DONE)
        }
    }
}

pub(super) async fn all(common: &Common) -> Outcome {
    let daemon = ask::daemon(common)?;
    let said = match in_time(PATIENCE, daemon.answers()).await? {
        Some(()) => in_time(RELEASING, daemon.post("/v1/commands", &Saying::ReleaseAll {})).await?,
        None => None,
    };
    match said {
        Some(Said { refused: Some(why), released, .. }) if released.is_empty() => {
            anstream::eprintln!("the daemon could give nothing back ({why}); doing it without it");
        }
        Some(said) => return command::show(common.format, &said),
        None => {}
    }
    let config = config(common, &RunArgs::default())?;
    let (report, all) = emergency::release_all(&config, &actor()).await.map_err(could_not)?;
    tell(common, &report);
    Ok(if all { DONE } else { COULD_NOT })
}

/// The daemon's answer; nothing where no daemon answers.
async fn said(common: &Common, saying: &Saying) -> Result<Option<Said>, Failure> {
    match ask::daemon(common)?.post("/v1/commands", saying).await {
        Ok(said) => Ok(Some(said)),
        Err(error @ AskError::Unreachable { .. }) => {
            tracing::warn!("{error}");
            anstream::eprintln!("no daemon answers; doing it without one");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The same, where a daemon that does not answer in time, or breaks off, counts as none.
async fn in_time<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, AskError>>,
) -> Result<Option<T>, Failure> {
    let error = match tokio::time::timeout(patience, asked).await {
        Ok(Ok(answer)) => return Ok(Some(answer)),
        Ok(Err(error)) if error.is_unreachable() => {
            tracing::warn!("{error}");
            anstream::eprintln!("no daemon answers; doing it without one");
            return Ok(None);
        }
        Ok(Err(error @ AskError::Broken(_))) => error.to_string(),
        Ok(Err(AskError::Refused { status, text })) if status.is_server_error() => text,
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => format!("nothing came within {patience:?}"),
    };
    anstream::eprintln!("the daemon did not answer ({}); doing it without it", error.trim());
    Ok(None)
}

fn actor() -> String {
    actor_of(nix::unistd::getuid().as_raw())
}

fn could_not(text: String) -> Failure {
    Failure::new(COULD_NOT, format!("error: {text}"))
}

fn tell(common: &Common, text: &str) {
    if common.format == crate::args::Format::Json {
        anstream::println!("{}", serde_json::json!({"done": text, "daemon": false}));
    } else {
        anstream::println!("{text}");
    }
}
