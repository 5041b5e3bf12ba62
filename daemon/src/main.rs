//! The `breakerbox` binary.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // One TLS provider for everything; an error means that one was installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let scenario = fail::FailScenario::setup();
    let code = daemon::cmd::main(daemon::args::Cli::parse());
    scenario.teardown();
    code
}
