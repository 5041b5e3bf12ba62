//! One file for each subcommand. Each answers on stdout and logs on stderr; each error has its exit code.

mod ask;
mod backtest;
mod check;
mod command;
mod demo;
mod explain;
mod plan;
mod release;
mod run;
mod status;
mod test;

use std::process::ExitCode;

use crate::args::{Cli, Command, RunArgs};
use crate::client::AskError;
use crate::config::Config;

/// Done.
pub const DONE: u8 = 0;
/// Could not be done.
pub const COULD_NOT: u8 = 1;
/// Configuration, rules or command line are wrong.
pub const WRONG: u8 = 2;
/// The daemon refused.
pub const REFUSED: u8 = 3;
/// There is nothing of that name.
pub const NOTHING: u8 = 4;
/// A fault of breakerbox itself.
pub const FAULT: u8 = 70;
/// A commit failed.
pub const COMMIT: u8 = 74;
/// Another breakerbox is there.
pub const IN_USE: u8 = 75;
/// The Lease was lost.
pub const LEASE: u8 = 76;

/// An error with its exit code. What it says is already whole: no prefix, no chain.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// For people.
    pub text: String,
}

impl Failure {
    /// A failure with that code.
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// An error with its causes, on one line each.
    #[must_use]
    pub fn chain(code: u8, error: &dyn std::error::Error) -> Self {
        let mut text = format!("error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(&format!("\n  because: {error}"));
            cause = error.source();
        }
        Self { code, text }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let code = match &error {
            AskError::Unreachable { .. } | AskError::Broken(_) => COULD_NOT,
            AskError::NotFound(_) => NOTHING,
            AskError::Refused { .. } => REFUSED,
        };
        Self::chain(code, &error)
    }
}

/// What a command comes to: its exit code, or a failure.
pub type Outcome = Result<u8, Failure>;

/// Runs a command line.
#[must_use]
pub fn main(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("error: cannot start a thread: {error}");
            return ExitCode::from(COULD_NOT);
        }
    };
    let code = match runtime.block_on(dispatch(cli)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            anstream::eprintln!("{}", failure.text.trim_end());
            ExitCode::from(failure.code)
        }
    };
    // A process that must end (its Lease is lost) does not wait for a folder that hangs.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

async fn dispatch(cli: Cli) -> Outcome {
    let Cli { common, command } = cli;
    match command {
        Command::Run(args) => run::run(&common, &args).await,
        Command::Check { rules } => check::run(&common, rules),
        Command::Schema => {
            ask::json(&policy::rule::schema())?;
            Ok(DONE)
        }
        Command::Plan(args) => plan::run(&common, &args).await,
        Command::Test { path, filter } => test::run(&common, path, filter.as_deref()),
        Command::Status => status::run(&common).await,
        Command::Explain { what } => explain::run(&common, &what).await,
        Command::Approve { what } => command::approve(&common, what).await,
        Command::Ack { what } => command::ack(&common, what).await,
        Command::Trip { breaker, reason } => command::trip(&common, breaker, reason).await,
        Command::Reset { breaker, more } => command::reset(&common, breaker, more).await,
        Command::Freeze { reason } => release::freeze(&common, reason).await,
        Command::Unfreeze => release::unfreeze(&common).await,
        Command::Release { object: Some(object), .. } => command::release(&common, object).await,
        Command::Release { object: None, .. } => release::all(&common).await,
        Command::AckIdle { object } => command::ack_idle(&common, object).await,
        Command::Backtest(args) => backtest::run(&common, args),
        Command::Demo(args) => demo::run(&common, args).await,
        Command::MakeSnapshot { since } => {
            let folder = common.data_dir.as_deref().unwrap_or(std::path::Path::new("."));
            let said = crate::keeper::apart::answer(folder, since);
            anstream::println!("{}", said.map_err(|error| Failure::new(COULD_NOT, error))?);
            Ok(DONE)
        }
        Command::Version => {
            let build = if fail::has_failpoints() { " (with failpoints, for tests only)" } else { "" };
            anstream::println!("breakerbox {}{build}", env!("CARGO_PKG_VERSION"));
            Ok(DONE)
        }
    }
}

/// The configuration as a command other than `run` needs it.
fn config(common: &crate::args::Common, run: &RunArgs) -> Result<Config, Failure> {
    Config::load(common.config.as_deref(), &common.overrides(run))
        .map_err(|error| Failure::new(WRONG, error.to_string()))
}
