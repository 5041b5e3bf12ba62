//! The command line. Every flag of `run` has an environment variable; flags hold over variables, variables
//! over the file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Overrides;

/// A circuit breaker for money: watches what AI workloads spend, and stops them when a budget goes.
#[derive(Debug, Parser)]
#[command(name = "breakerbox", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// What is common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0   done
  1   could not be done (the daemon is not reachable, a file cannot be read, the journal is of another version)
  2   the configuration, the rules or the command line are wrong
  3   the daemon refused the command; it says why
  4   there is nothing of that name
  70  a fault of breakerbox itself; holds stay
  74  a commit failed: nothing of it was acked or carried out; holds stay
  75  another breakerbox uses the data folder or the address
  76  the Lease was lost; another may be acting";

/// What is common to all commands.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Configuration file [default: /etc/breakerbox/config.yaml, where it exists]
    #[arg(long, global = true, env = "BREAKERBOX_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Form of the answer on stdout
    #[arg(long, global = true, env = "BREAKERBOX_FORMAT", value_enum, default_value = "human")]
    pub format: Format,
    /// Operator socket [default: breakerbox.sock in the data folder]
    #[arg(long, global = true, env = "BREAKERBOX_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Ask a daemon over HTTP instead, at this address, with the token in BREAKERBOX_TOKEN
    #[arg(long, global = true, env = "BREAKERBOX_SERVER", value_name = "HOST:PORT")]
    pub server: Option<String>,
    /// Data folder
    #[arg(long, global = true, env = "BREAKERBOX_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables and sentences, for people.
    #[default]
    Human,
    /// Tab-separated lines without headings, for shells.
    Plain,
    /// JSON.
    Json,
    /// Of `plan`: a comment for a pull request. Elsewhere as `human`
    Markdown,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Run(RunArgs),
    /// Check rule files; all mistakes at once, each with its place
    Check {
        /// The folder [default: rulesDir of the configuration]
        rules: Option<PathBuf>,
    },
    /// Print the JSON schema of rule files, for editors
    Schema,
    /// Show what the rules would do now: which breakers there are, what each would stop, what would refuse it. With
    /// `--rules` also what that folder would do otherwise. Changes nothing
    Plan(PlanArgs),
    /// Run the tests that stand beside the rules (`*.test.yaml`): exit code 0 when all pass, 2 when one fails, 1
    /// when one cannot be run
    Test {
        /// A test file, or a folder of them [default: rulesDir of the configuration]
        path: Option<PathBuf>,
        /// Only tests whose name has this in it
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
    },
    /// Show budgets that are not clear, holds, sources and what the daemon may do
    Status,
    /// Tell why a decision was made (d17), or why a tenant or breaker was not stopped
    Explain {
        /// A decision, a breaker (tenant-daily/acme) or a tenant
        #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
        what: String,
    },
    /// Say yes to a decision that waits (d17), that the wall clock is right (clock), or that the prices in shadow
    /// count from now on (prices)
    Approve {
        /// `d17`, `clock` or `prices`
        what: String,
    },
    /// Say that you look after what is critical, so that it is not said again and nobody else is told
    Ack {
        /// A decision (d17), a breaker (tenant-daily/acme) or `all`
        what: String,
    },
    /// Trip a breaker by hand
    Trip {
        /// The breaker, `tenant-daily/acme`
        breaker: String,
        /// Why, for the record
        #[arg(long)]
        reason: String,
    },
    /// Forgive what was spent, and give back
    Reset {
        /// The breaker, `tenant-daily/acme`
        breaker: String,
        /// Share of the limit that may still be spent in this window
        #[arg(long, default_value = "10%")]
        more: String,
    },
    /// Make no new stop; holds stay, restores continue. Works without the daemon
    Freeze {
        /// Why, for the record
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// End the freeze
    Unfreeze,
    /// Give an object back and exempt it for the window
    Release {
        /// The object, `checkout/api` or `ScaledObject/checkout/api`
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        object: Option<String>,
        /// Freeze, then give everything back. Works without the daemon
        #[arg(long)]
        all: bool,
    },
    /// Say that something may be idle, for as long as `ackFor` of an IdlePolicy lets such a word hold
    AckIdle {
        /// What, `checkout/api` (its ScaledObject) or `Deployment/checkout/api`
        object: String,
    },
    /// Tell what rules would have done on recorded spend: warnings, trips, money over the limit, money saved
    Backtest(BacktestArgs),
    /// Replay a month of four tenants, one of which runs away, through the daemon in observe mode; or stop one
    /// in a cluster
    Demo(DemoArgs),
    /// Show the version
    Version,
    /// Make a snapshot beside the daemon; the daemon's own way to have one made
    #[command(hide = true)]
    MakeSnapshot {
        /// Turn of the last one
        #[arg(long)]
        since: u64,
    },
}

/// Flags of `backtest`.
#[derive(Clone, Debug, Default, Args)]
pub struct BacktestArgs {
    /// Files and folders: Bedrock invocation logs, `usage.v1` events, FOCUS or CUR tables (.csv), all of them
    /// also as gzip; or the data folder of a daemon, for what it took in
    #[arg(required = true, value_name = "PATH")]
    pub inputs: Vec<PathBuf>,
    /// Folder of the rules [default: rulesDir of the configuration]
    #[arg(long = "rules", value_name = "DIR")]
    pub rules_dir: Option<PathBuf>,
    /// Folder of other rules: tell by which day, hour and money the two differ
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,
    /// Write a page with charts to this file too; it needs no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Take facts as they stand in their files, late ones late, as the daemon met them; else in the order of time
    #[arg(long)]
    pub as_they_came: bool,
    /// Take what `usage.v1` events say of themselves as the daemon takes it from a token that fixes nothing: then
    /// it chooses no tenant
    #[arg(long)]
    pub doubt_events: bool,
}

/// Flags of `plan`.
#[derive(Clone, Debug, Default, Args)]
pub struct PlanArgs {
    /// A folder of rules to try [default: the rules in force]
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// Ask no daemon: read the journal in the data folder, and list the cluster of the configuration
    #[arg(long)]
    pub offline: bool,
    /// Without a daemon, do not list the cluster: what the journal last knew of it holds
    #[arg(long)]
    pub no_cluster: bool,
}

/// Flags of `demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct DemoArgs {
    /// Another seed, another month
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Write the raw log to this folder too
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Stop a tenant in a real cluster: says what it would do, asks, and writes only to the namespace
    /// `breakerbox-demo`, which it makes and deletes
    #[arg(long, conflicts_with_all = ["seed", "log"])]
    pub cluster: bool,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, requires = "cluster", value_name = "NAME")]
    pub context: Option<String>,
    /// Do not ask
    #[arg(long, requires = "cluster")]
    pub yes: bool,
    /// Leave the namespace at the end
    #[arg(long, requires = "cluster")]
    pub keep: bool,
}

/// Flags of `run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Folder of rule files
    #[arg(long, env = "BREAKERBOX_RULES_DIR", value_name = "DIR")]
    pub rules_dir: Option<PathBuf>,
    /// Address of the HTTP server
    #[arg(long, env = "BREAKERBOX_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Highest mode that any rule may have: observe, alert, approve or enforce
    #[arg(long, env = "BREAKERBOX_CEILING", value_name = "MODE")]
    pub ceiling: Option<String>,
    /// Name of this installation
    #[arg(long, env = "BREAKERBOX_INSTALL_ID", value_name = "ID")]
    pub install_id: Option<String>,
    /// Form of the log on stderr: text or json
    #[arg(long, env = "BREAKERBOX_LOG_FORMAT", value_name = "FORM")]
    pub log_format: Option<String>,
    /// The journal was lost, and a person has looked at the objects that carry our marks
    #[arg(long)]
    pub accept_lost_journal: bool,
}

impl Common {
    /// What the command line and the environment say over the file.
    #[must_use]
    pub fn overrides(&self, run: &RunArgs) -> Overrides {
        Overrides {
            data_dir: self.data_dir.clone(),
            rules_dir: run.rules_dir.clone(),
            listen: run.listen.clone(),
            socket: self.socket.clone(),
            ceiling: run.ceiling.clone(),
            install_id: run.install_id.clone(),
            log: run.log_format.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn release_needs_an_object_or_all_and_not_both() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["breakerbox", "release"], args].concat());
        assert!(parse(&["checkout/api"]).is_ok());
        assert!(parse(&["--all"]).is_ok());
        assert!(parse(&[]).is_err());
        assert!(parse(&["checkout/api", "--all"]).is_err());
    }
}
