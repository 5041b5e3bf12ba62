//! Configuration: one YAML file, then the environment, then flags; the later word holds.
//!
//! Everything is read and checked before anything is opened, and all mistakes are told at once, each with
//! its place and what to write instead. Secrets are never in the file: only the name of the variable or file
//! that holds one.

mod check;
mod file;
mod report;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use collector::bedrock::Assume;
use policy::engine::Settings;
use policy::fact::IdKey;
use policy::rule::{Mode, SecretRef};
use policy::time::Span;

pub use report::{ConfigError, Mistake};

/// Where the file is looked for when nothing names one.
pub const DEFAULT_FILE: &str = "/etc/breakerbox/config.yaml";

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Journal, snapshots and dead letters. Default `/var/lib/breakerbox`.
    pub data_dir: PathBuf,
    /// Rule files. Default `/etc/breakerbox/rules`.
    pub rules_dir: PathBuf,
    /// Address of the HTTP server. Default `127.0.0.1:9464`.
    pub listen: SocketAddr,
    /// Operator socket. Default `<dataDir>/breakerbox.sock`.
    pub socket: PathBuf,
    /// Highest mode that any rule may have. Default `observe`.
    pub ceiling: Mode,
    /// Name of this installation, on every object that it marks; empty where none is configured.
    pub install_id: String,
    /// Where the objects are.
    pub cluster: Cluster,
    /// Bedrock invocation logs.
    pub bedrock: Vec<BedrockSource>,
    /// Who may push usage.
    pub tokens: Vec<Token>,
    /// Who may command over HTTP.
    pub operators: Vec<Operator>,
    /// Where Slack's methods are, without a slash at the end, for routes that post with a bot token; by default
    /// Slack's own, `https://slack.com/api`. GovSlack's is `https://slack-gov.com/api`.
    pub slack_api: Option<String>,
    /// Limits.
    pub limits: Limits,
    /// Where what cannot be used is kept. Default `<dataDir>/dead-letter`.
    pub dead_letter_dir: PathBuf,
    /// How often things are looked at.
    pub poll: Poll,
    /// Series that one metric family has at most. Default 2000.
    pub max_series: usize,
    /// The log.
    pub log: LogFormat,
}

/// How to reach a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// By which credentials.
    pub connect: Connect,
    /// Our own namespace: the Lease and the freeze marker are there. Default `breakerbox`.
    pub namespace: String,
    /// Namespace of KEDA's operator. Default `keda`.
    pub keda_namespace: String,
    /// Name of KEDA's operator Deployment. Default `keda-operator`.
    pub keda_deployment: String,
    /// KEDA's version, where it cannot be read from its Deployment.
    pub keda_version: Option<String>,
}

/// Credentials for a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connect {
    /// There is no cluster: nothing can be stopped.
    #[default]
    None,
    /// A kubeconfig file.
    Kubeconfig {
        /// The file; by default what `KUBECONFIG` or the home folder say.
        file: Option<PathBuf>,
        /// The context; by default the current one.
        context: Option<String>,
    },
    /// The service account of the pod.
    InCluster,
}

/// Files of Bedrock model invocation logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BedrockSource {
    /// Name of the source. Default `bedrock-log`.
    pub name: String,
    /// A folder or a glob. Files may be renamed, compressed and copied (`copytruncate`): what was read of one is
    /// not read again under another name. Old files may be removed; what is brought back, or comes for the first
    /// time, more than 35 days late may be refused as `too_late`, with its price.
    pub path: String,
    /// How often the folder is listed. Default 500 ms.
    pub poll: Duration,
    /// For how long the beginning of a record, or of a gzip, waits for its end before it is a dead letter.
    /// Default 30 s: longer than a copy over a network pauses, short enough that a person hears of it.
    pub settle: Duration,
    /// What a record is taken for where it does not say: `assume.tier`, default `default` (on demand), and
    /// `assume.cacheTtl`, `5m` or `1h`, default `5m` (cache writes at 1.25 times the input price; `1h` is 2
    /// times). Such usage is flagged as assumed.
    pub assume: Assume,
}

/// Who may push usage, and what is fixed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Name of the source.
    pub name: String,
    /// Where its bearer token is.
    pub secret: SecretRef,
    /// Fields that everything it reports has, whatever the event says.
    pub fields: BTreeMap<String, String>,
    /// AWS account of everything it reports.
    pub account: Option<String>,
}

/// Who may command over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The actor in the record.
    pub name: String,
    /// Where the bearer token is.
    pub secret: SecretRef,
}

/// Limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Older than this, a fact adds up but trips nothing. Default 15 m.
    pub on_time: Span,
    /// For how long ids are remembered, in event time. Default 48 h.
    pub horizon: Span,
    /// Further ahead of the clock than this, a fact is refused. Default 5 m.
    pub max_ahead: Span,
    /// Bytes of one request. Default 8 MiB.
    pub body_bytes: usize,
    /// Free bytes below which intake stops. Default 256 MiB.
    pub disk_reserve: u64,
    /// For how long hourly sums and the facts of lifetime budgets are kept. Default 400 d.
    pub keep: Span,
}

/// How often things are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The rules folder. Default 2 s.
    pub rules: Duration,
    /// The tick of an idle engine. Default 1 s.
    pub tick: Duration,
}

/// Form of the log on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What flags and environment say; each holds over the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--data-dir`, `BREAKERBOX_DATA_DIR`.
    pub data_dir: Option<PathBuf>,
    /// `--rules-dir`, `BREAKERBOX_RULES_DIR`.
    pub rules_dir: Option<PathBuf>,
    /// `--listen`, `BREAKERBOX_LISTEN`.
    pub listen: Option<String>,
    /// `--socket`, `BREAKERBOX_SOCKET`.
    pub socket: Option<PathBuf>,
    /// `--ceiling`, `BREAKERBOX_CEILING`.
    pub ceiling: Option<String>,
    /// `--install-id`, `BREAKERBOX_INSTALL_ID`.
    pub install_id: Option<String>,
    /// `--log-format`, `BREAKERBOX_LOG_FORMAT`.
    pub log: Option<String>,
}

impl Config {
    /// Reads `file`; without one, [`DEFAULT_FILE`] where it exists, else nothing but defaults.
    ///
    /// # Errors
    /// All mistakes at once, each with its place.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let (path, must_exist) = match file {
            Some(path) => (path, true),
            None => (Path::new(DEFAULT_FILE), false),
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&path.display().to_string(), &text, overrides),
            Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => {
                Self::parse(&path.display().to_string(), "", overrides)
            }
            Err(error) => Err(ConfigError::unreadable(path, &error)),
        }
    }

    /// Checks a text; `name` is what its places are called by.
    ///
    /// # Errors
    /// All mistakes at once, each with its place.
    pub fn parse(name: &str, text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        let file = file::read(name, text)?;
        check::check(&file, overrides).map_err(|mistakes| ConfigError::new(name, text, mistakes))
    }

    /// What a new journal is made with.
    #[must_use]
    pub fn settings(&self, id_key: IdKey) -> Settings {
        Settings {
            horizon: self.limits.horizon,
            on_time: self.limits.on_time,
            max_ahead: self.limits.max_ahead,
            ..Settings::new(id_key, &self.install_id)
        }
    }
}
