//! A place for a daemon: data, rules, logs and a configuration, in a folder that goes with the test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use policy::money::Money;
use policy::time::Timestamp;
use serde_json::json;
use tempfile::TempDir;

use crate::servers::free_port;

/// The token that every site knows.
pub const TOKEN: &str = "a-token-for-tests";

/// A breaker for each tenant that nothing in a test trips: its sum is what the daemon counted.
pub const YEARLY_BUDGET: &str = r#"
apiVersion: breakerbox.dev/v1alpha1
kind: Budget
metadata: {name: tenant-yearly}
spec:
  select: {all: true}
  perEach: [tenant]
  limit: {amount: 1000000 USD}
  window: {calendar: year}
"#;
/// What [`bedrock_record`] and [`usage_event`] cost for each token: Sonnet 4.6 through `us.`, 3.30 USD per
/// million input tokens.
pub const PICOS_PER_TOKEN: i128 = 3_300_000;

/// A daemon's folder and configuration.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    /// Port of its HTTP server.
    pub port: u16,
    kubeconfig: Option<PathBuf>,
    ceiling: &'static str,
    extra: String,
}

impl Site {
    /// A site without a cluster, that may only observe, with those rules.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(rules: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("breakerbox-site-").tempdir()?;
        for name in ["data", "rules", "logs"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        let site =
            Self { folder, port: free_port()?, kubeconfig: None, ceiling: "observe", extra: String::new() };
        site.write_rules(rules)?;
        std::fs::write(site.path("token"), TOKEN)?;
        Ok(site)
    }

    /// May enforce, in that cluster.
    #[must_use]
    pub fn enforcing(mut self, kubeconfig: PathBuf) -> Self {
        self.kubeconfig = Some(kubeconfig);
        self.ceiling = "enforce";
        self
    }

    /// May alert, and stop nothing.
    #[must_use]
    pub fn alerting(mut self) -> Self {
        self.ceiling = "alert";
        self
    }

    /// Lines of YAML to be added to the configuration.
    #[must_use]
    pub fn with(mut self, yaml: &str) -> Self {
        self.extra.push_str(yaml);
        self.extra.push('\n');
        self
    }

    /// Lines of YAML in place of those that were added before, from the next start on.
    pub fn replace_extra(&mut self, yaml: &str) {
        self.extra = format!("{yaml}\n");
    }

    /// A path in the site's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the rules, in one step as git-sync does.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_rules(&self, rules: &str) -> Result<()> {
        let (next, now) = (self.path("rules.next"), self.path("rules/rules.yaml"));
        std::fs::write(&next, rules)?;
        Ok(std::fs::rename(next, now)?)
    }

    /// Adds a file to the Bedrock logs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_log(&self, name: &str, lines: &[String]) -> Result<()> {
        let next = self.path("log.next");
        std::fs::write(&next, lines.join("\n") + "\n")?;
        Ok(std::fs::rename(next, self.path("logs").join(name))?)
    }

    /// All dead letters, in order.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn letters(&self) -> Result<Vec<serde_json::Value>> {
        let mut letters = Vec::new();
        if let Ok(files) = std::fs::read_dir(self.path("data/dead-letter")) {
            for file in files {
                let text = std::fs::read_to_string(file?.path())?;
                letters.extend(text.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>()?);
            }
        }
        Ok(letters)
    }

    /// Writes the configuration and gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn config(&self) -> Result<PathBuf> {
        let show = |path: &Path| path.display().to_string();
        let mut yaml = String::new();
        writeln!(yaml, "dataDir: {}", show(&self.path("data")))?;
        writeln!(yaml, "rulesDir: {}", show(&self.path("rules")))?;
        writeln!(yaml, "http: {{listen: \"127.0.0.1:{}\"}}", self.port)?;
        writeln!(yaml, "socket: {}", show(&self.path("breakerbox.sock")))?;
        writeln!(yaml, "ceiling: {}", self.ceiling)?;
        writeln!(yaml, "installId: site-{}", self.port)?;
        writeln!(yaml, "poll: {{rules: 100ms, tick: 200ms}}")?;
        writeln!(yaml, "tokens:\n- name: gateway\n  secret: {{file: {}}}", show(&self.path("token")))?;
        writeln!(yaml, "sources:\n  bedrock:\n  - {{path: {}, poll: 50ms}}", show(&self.path("logs")))?;
        if let Some(kubeconfig) = &self.kubeconfig {
            writeln!(yaml, "cluster:\n  connect: kubeconfig\n  kubeconfig: {}", show(kubeconfig))?;
        }
        yaml.push_str(&self.extra);
        let path = self.path("config.yaml");
        std::fs::write(&path, yaml)?;
        Ok(path)
    }
}

/// A Bedrock invocation record of Sonnet 4.6 through its `us.` profile: `input` tokens cost 3.30 USD per
/// million, nothing else is used.
#[must_use]
pub fn bedrock_record(id: &str, role: &str, input: u64, at: &str) -> String {
    json!({
        "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": at,
        "accountId": "111122223333",
        "identity": {"arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/session")},
        "region": "us-east-1", "requestId": id, "operation": "Converse",
        "modelId": "us.anthropic.claude-sonnet-4-6",
        "input": {"inputContentType": "application/json", "inputTokenCount": input},
        "output": {"outputContentType": "application/json", "outputTokenCount": 0}
    })
    .to_string()
}

/// A `usage.v1` event of the same model for a principal's account.
#[must_use]
pub fn usage_event(id: &str, input: u64, at: &str) -> serde_json::Value {
    json!({
        "schema": "usage.v1", "id": id, "source": "gateway", "kind": "tokens", "fidelity": "request",
        "occurred_at": at, "observed_at": at, "provider": "aws.bedrock", "account": "111122223333",
        "region": "us-east-1", "model": {"raw": "us.anthropic.claude-sonnet-4-6"}, "tier": "default",
        "quantities": {"input_tokens": input}, "subject": {}, "status": "ok"
    })
}

/// The time now, in whole seconds, as records write it.
///
/// # Errors
/// When the machine's clock stands before 1970.
pub fn now() -> Result<String> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Timestamp::from_millis(i64::try_from(since.as_secs())? * 1000).to_string())
}

/// Names of all breakers of a daemon, with their sums and numbers of charges.
///
/// # Errors
/// When nobody answers, or not with breakers.
pub async fn breakers(port: u16) -> Result<Vec<(String, Money, u64)>> {
    let answer = super::get(port, "/v1/breakers").await?.json()?;
    let all = answer.as_array().or_else(|| answer["breakers"].as_array()).context("a list of breakers")?;
    all.iter()
        .map(|b| {
            let name = b["name"].as_str().context("a name")?.to_owned();
            Ok((name, b["sum"].as_str().context("a sum")?.parse()?, b["facts"].as_u64().context("facts")?))
        })
        .collect()
}
