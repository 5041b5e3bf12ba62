//! From what is written to what holds: units, references, and what does not go together.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use collector::bedrock::{Assume, CacheTtl};
use policy::price::Tier;
use policy::rule::{Mode, SecretRef};
use policy::subject::field;
use policy::time::Span;
use serde_saphyr::Spanned;

use super::file::{self, File, Text};
use super::report::{Mistake, Spot, nearest};
use super::{BedrockSource, Cluster, Config, Connect, Limits, LogFormat, Operator, Overrides, Poll, Token};

/// Longest path of a Unix socket on Linux, without the closing zero.
const SOCKET_PATH: usize = 107;

const MODES: [Mode; 4] = [Mode::Observe, Mode::Alert, Mode::Approve, Mode::Enforce];

/// A value with where it came from, so that a mistake in it can be told.
#[derive(Clone)]
struct Said {
    text: String,
    spot: Spot,
    /// Flag and variable, where it is from one of these.
    from: &'static str,
}

/// Collects mistakes; each reader gives a default after one, so that the next is found too.
#[derive(Default)]
struct Mistakes(Vec<Mistake>);

impl Mistakes {
    fn add(&mut self, spot: Spot, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(Mistake { spot, message: message.into(), help: help.into() });
    }

    fn say(&mut self, said: &Said, message: impl Display, help: impl Into<String>) {
        self.add(said.spot, format!("{}{message}", said.from), help);
    }

    fn span(&mut self, text: Option<&Text>, default: Span) -> Span {
        let Some(text) = text else { return default };
        match text.value.parse::<Span>() {
            Ok(span) if span > Span::ZERO => span,
            Ok(_) => {
                self.add(spot(text), format!("`{}` is no time at all", text.value), "write a span above 0s");
                default
            }
            Err(error) => {
                let error = error.to_string();
                let (message, help) = error.split_once("; ").unwrap_or((&error, "write it like 90s"));
                self.add(spot(text), message, help);
                default
            }
        }
    }

    fn duration(&mut self, text: Option<&Text>, default: Duration) -> Duration {
        let default = Span::from_millis(i64::try_from(default.as_millis()).unwrap_or(i64::MAX));
        Duration::from_millis(u64::try_from(self.span(text, default).millis()).unwrap_or(0))
    }

    fn bytes(&mut self, text: Option<&Text>, default: u64) -> u64 {
        let Some(text) = text else { return default };
        parse_bytes(&text.value).unwrap_or_else(|| {
            let message = format!("`{}` is no amount of bytes", text.value);
            self.add(spot(text), message, "write it like 256 MiB, 8 MiB or 1 GiB");
            default
        })
    }

    fn secret(&mut self, secret: &Spanned<file::Secret>) -> SecretRef {
        let at = Spot::from(secret.referenced);
        match (&secret.value.env, &secret.value.file) {
            (Some(env), None) if !env.is_empty() => SecretRef::Env(env.as_str().into()),
            (None, Some(file)) if !file.is_empty() => SecretRef::File(file.as_str().into()),
            _ => {
                let message = "a secret is named by exactly one of `env` and `file`";
                self.add(at, message, "write it like {env: LITELLM_TOKEN} or {file: /run/secrets/litellm}");
                SecretRef::Env("".into())
            }
        }
    }

    fn name(&mut self, text: &Text, seen: &mut BTreeSet<String>) -> String {
        let ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if text.value.is_empty() || !text.value.chars().all(ok) {
            let message = format!("`{}` is no name of a source", text.value);
            self.add(spot(text), message, "write letters, digits, `-`, `_` and `.` only");
        } else if !seen.insert(text.value.clone()) {
            let message = format!("`{}` names two sources", text.value);
            self.add(spot(text), message, "give each its own name: ids are told apart by it");
        }
        text.value.clone()
    }
}

fn spot(text: &Text) -> Spot {
    text.referenced.into()
}

fn said(flag: Option<&str>, from: &'static str, file: Option<&Text>) -> Option<Said> {
    match (flag, file) {
        (Some(text), _) => Some(Said { text: text.to_owned(), spot: Spot::default(), from }),
        (None, Some(text)) => Some(Said { text: text.value.clone(), spot: spot(text), from: "" }),
        (None, None) => None,
    }
}

fn path(flag: Option<&PathBuf>, file: Option<&Text>, default: impl Into<PathBuf>) -> PathBuf {
    flag.cloned().or_else(|| file.map(|t| PathBuf::from(&t.value))).unwrap_or_else(|| default.into())
}

pub(super) fn check(file: &File, over: &Overrides) -> Result<Config, Vec<Mistake>> {
    let mut wrong = Mistakes::default();
    let data_dir = path(over.data_dir.as_ref(), file.data_dir.as_ref(), "/var/lib/breakerbox");
    let socket = path(over.socket.as_ref(), file.socket.as_ref(), data_dir.join("breakerbox.sock"));
    check_socket(&socket, file, &mut wrong);
    let mut names = BTreeSet::new();
    let bedrock = file.sources.bedrock.iter().map(|b| bedrock(b, &mut names, &mut wrong)).collect();
    let tokens = file.tokens.iter().map(|t| token(t, &mut names, &mut wrong)).collect();
    let mut actors = BTreeSet::new();
    let operators = file
        .operators
        .iter()
        .map(|o| Operator { name: wrong.name(&o.name, &mut actors), secret: wrong.secret(&o.secret) })
        .collect();
    let cluster = cluster(&file.cluster, &mut wrong);
    let ceiling = said(over.ceiling.as_deref(), "--ceiling (BREAKERBOX_CEILING): ", file.ceiling.as_ref());
    let install =
        said(over.install_id.as_deref(), "--install-id (BREAKERBOX_INSTALL_ID): ", file.install_id.as_ref());
    let (mode, install_id) = authority(ceiling.as_ref(), install.as_ref(), &cluster, &mut wrong);
    let config = Config {
        rules_dir: path(over.rules_dir.as_ref(), file.rules_dir.as_ref(), "/etc/breakerbox/rules"),
        listen: listen(over, file, &mut wrong),
        socket,
        ceiling: mode,
        install_id,
        cluster,
        bedrock,
        tokens,
        operators,
        slack_api: file.slack.api.as_ref().and_then(|api| slack_api(api, &mut wrong)),
        limits: limits(&file.limits, &mut wrong),
        dead_letter_dir: path(None, file.dead_letter_dir.as_ref(), data_dir.join("dead-letter")),
        data_dir,
        poll: Poll {
            rules: wrong.duration(file.poll.rules.as_ref(), Duration::from_secs(2)),
            tick: wrong.duration(file.poll.tick.as_ref(), Duration::from_secs(1)),
        },
        max_series: series(file, &mut wrong),
        log: log(over, file, &mut wrong),
    };
    if wrong.0.is_empty() { Ok(config) } else { Err(wrong.0) }
}

fn check_socket(socket: &Path, file: &File, wrong: &mut Mistakes) {
    let length = socket.as_os_str().len();
    if length > SOCKET_PATH {
        let at = file.socket.as_ref().or(file.data_dir.as_ref()).map(spot).unwrap_or_default();
        let message = format!(
            "the socket path `{}` has {length} bytes, and a socket's has {SOCKET_PATH} at most",
            socket.display()
        );
        wrong.add(at, message, "name a shorter one with `socket:` or `--socket`");
    }
}

fn bedrock(source: &file::Bedrock, names: &mut BTreeSet<String>, wrong: &mut Mistakes) -> BedrockSource {
    let name = match &source.name {
        Some(name) => wrong.name(name, names),
        None => {
            let default = "bedrock-log".to_owned();
            if !names.insert(default.clone()) {
                let help = "give the second one a `name:`: ids are told apart by it";
                wrong.add(spot(&source.path), "two sources are called `bedrock-log` by default", help);
            }
            default
        }
    };
    if source.path.value.trim().is_empty() {
        wrong.add(
            spot(&source.path),
            "`path` is empty",
            "name a folder, or a glob such as /logs/**/*.json.gz",
        );
    }
    let poll = wrong.duration(source.poll.as_ref(), Duration::from_millis(500));
    let settle = wrong.duration(source.settle.as_ref(), Duration::from_secs(30));
    BedrockSource {
        name,
        path: source.path.value.clone(),
        poll,
        settle,
        assume: assume(&source.assume, wrong),
    }
}

fn assume(said: &file::Assume, wrong: &mut Mistakes) -> Assume {
    let mut assume = Assume::default();
    if let Some(tier) = &said.tier {
        match Tier::ALL.into_iter().find(|known| known.word() == tier.value) {
            Some(known) => assume.tier = known,
            None => {
                let help = match nearest(&tier.value, Tier::ALL.into_iter().map(Tier::word)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write one of {}", Tier::ALL.map(Tier::word).join(", ")),
                };
                wrong.add(spot(tier), format!("`{}` is no service tier", tier.value), help);
            }
        }
    }
    match said.cache_ttl.as_ref().map(|ttl| (ttl, ttl.value.as_str())) {
        None => {}
        Some((_, "5m")) => assume.cache_ttl = CacheTtl::FiveMinutes,
        Some((_, "1h")) => assume.cache_ttl = CacheTtl::OneHour,
        Some((ttl, other)) => {
            wrong.add(spot(ttl), format!("`{other}` is no TTL of a cache"), "write `5m` or `1h`");
        }
    }
    assume
}

fn token(token: &file::Token, names: &mut BTreeSet<String>, wrong: &mut Mistakes) -> Token {
    for (name, value) in &token.fields {
        if !field::ALL.contains(&name.as_str()) {
            let help = match nearest(name, field::ALL.into_iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the fields are {}", field::ALL.join(", ")),
            };
            wrong.add(spot(value), format!("`{name}` is no field of a subject"), help);
        } else if value.value.trim().is_empty() {
            wrong.add(
                spot(value),
                format!("`{name}` is empty"),
                "an empty name is no name: leave the field out",
            );
        }
    }
    if let Some(account) = &token.account
        && (account.value.len() != 12 || !account.value.bytes().all(|b| b.is_ascii_digit()))
    {
        let message = format!("`{}` is no AWS account id", account.value);
        wrong.add(spot(account), message, "write its twelve digits in quotes, \"111122223333\"");
    }
    Token {
        name: wrong.name(&token.name, names),
        secret: wrong.secret(&token.secret),
        fields: token.fields.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
        account: token.account.as_ref().map(|a| a.value.clone()),
    }
}

fn cluster(cluster: &file::Cluster, wrong: &mut Mistakes) -> Cluster {
    let text = |value: &Option<Text>, default: &str| {
        value.as_ref().map_or_else(|| default.to_owned(), |v| v.value.clone())
    };
    let connect = match cluster.connect.as_ref().map(|c| (c, c.value.as_str())) {
        None | Some((_, "none")) => Connect::None,
        Some((_, "kubeconfig")) => Connect::Kubeconfig {
            file: cluster.kubeconfig.as_ref().map(|k| PathBuf::from(&k.value)),
            context: cluster.context.as_ref().map(|c| c.value.clone()),
        },
        Some((_, "in-cluster")) => Connect::InCluster,
        Some((text, other)) => {
            let message = format!("`{other}` is no way to reach a cluster");
            wrong.add(spot(text), message, "write `none`, `kubeconfig` or `in-cluster`");
            Connect::None
        }
    };
    if !matches!(connect, Connect::Kubeconfig { .. })
        && let Some(stray) = cluster.kubeconfig.as_ref().or(cluster.context.as_ref())
    {
        wrong.add(
            spot(stray),
            format!("`{}` is used only with `connect: kubeconfig`", stray.value),
            "write `connect: kubeconfig`, or leave this out",
        );
    }
    Cluster {
        connect,
        namespace: text(&cluster.namespace, "breakerbox"),
        keda_namespace: text(&cluster.keda_namespace, "keda"),
        keda_deployment: text(&cluster.keda_deployment, "keda-operator"),
        keda_version: cluster.keda_version.as_ref().map(|v| v.value.clone()),
    }
}

/// A bot token goes there with every message, so it goes in the clear to this machine alone.
fn slack_api(api: &Text, wrong: &mut Mistakes) -> Option<String> {
    let url = url::Url::parse(&api.value).ok();
    let here = |url: &url::Url| match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let safe = url.filter(|url| {
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        plain && (url.scheme() == "https" || (url.scheme() == "http" && here(url)))
    });
    if safe.is_none() {
        let message = format!("`{}` is no address for a bot token to go to", api.value);
        wrong.add(
            spot(api),
            message,
            "write `https://slack.com/api`, or leave it out; `http` only to this machine",
        );
    }
    safe.map(|url| url.as_str().trim_end_matches('/').to_owned())
}

/// Ceiling and install id: who may write must say who it is.
fn authority(
    ceiling: Option<&Said>,
    install: Option<&Said>,
    cluster: &Cluster,
    wrong: &mut Mistakes,
) -> (Mode, String) {
    let mode = match ceiling {
        None => Mode::Observe,
        Some(said) => MODES.into_iter().find(|m| m.word() == said.text).unwrap_or_else(|| {
            let near = nearest(&said.text, MODES.iter().map(|m| m.word()));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `observe`, `alert`, `approve` or `enforce`".to_owned(),
            };
            wrong.say(said, format!("`{}` is no mode", said.text), help);
            Mode::Observe
        }),
    };
    if let Some(said) = install {
        let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if said.text.is_empty() || said.text.len() > 63 || !said.text.chars().all(ok) {
            let help = "write up to 63 lower-case letters, digits and `-`, such as prod-eu-1";
            wrong.say(said, format!("`{}` is no install id", said.text), help);
        }
    }
    if mode >= Mode::Approve {
        let at = ceiling.map(|c| c.spot).unwrap_or_default();
        if install.is_none() {
            let message = format!("the ceiling `{}` needs an `installId`", mode.word());
            let help = "name this installation, `installId: prod-eu-1`: it marks every object that is held, and \
                        must stay the same when the journal is lost";
            wrong.add(at, message, help);
        }
        if cluster.connect == Connect::None {
            let message = format!("the ceiling `{}` needs a cluster", mode.word());
            let help =
                "write `cluster: {connect: in-cluster}` (or kubeconfig), or lower the ceiling to `alert`";
            wrong.add(at, message, help);
        }
    }
    (mode, install.map(|said| said.text.clone()).unwrap_or_default())
}

fn listen(over: &Overrides, file: &File, wrong: &mut Mistakes) -> std::net::SocketAddr {
    let default = std::net::SocketAddr::from(([127, 0, 0, 1], 9464));
    let from = "--listen (BREAKERBOX_LISTEN): ";
    let Some(said) = said(over.listen.as_deref(), from, file.http.listen.as_ref()) else { return default };
    said.text.parse().unwrap_or_else(|_| {
        let help = "write address and port, 127.0.0.1:9464 or [::]:9464";
        wrong.say(&said, format!("`{}` is no address to listen on", said.text), help);
        default
    })
}

fn limits(limits: &file::Limits, wrong: &mut Mistakes) -> Limits {
    let found = Limits {
        on_time: wrong.span(limits.on_time.as_ref(), Span::from_mins(15)),
        horizon: wrong.span(limits.horizon.as_ref(), Span::from_hours(48)),
        max_ahead: wrong.span(limits.max_ahead.as_ref(), Span::from_mins(5)),
        body_bytes: usize::try_from(wrong.bytes(limits.body.as_ref(), 8 << 20)).unwrap_or(usize::MAX),
        disk_reserve: wrong.bytes(limits.disk_reserve.as_ref(), 256 << 20),
        keep: wrong.span(limits.keep.as_ref(), Span::from_hours(400 * 24)),
    };
    if found.horizon < found.on_time {
        let at = limits.horizon.as_ref().or(limits.on_time.as_ref()).map(spot).unwrap_or_default();
        let message = format!(
            "the horizon of {} is shorter than the on-time limit of {}",
            found.horizon, found.on_time
        );
        wrong.add(at, message, "an id must be remembered for as long as its fact may act: raise `horizon`");
    }
    found
}

fn series(file: &File, wrong: &mut Mistakes) -> usize {
    let Some(most) = &file.metrics.max_series else { return 2000 };
    if !(10..=100_000).contains(&most.value) {
        let message = format!("`{}` series are too few or too many", most.value);
        wrong.add(most.referenced.into(), message, "write a number from 10 to 100000");
    }
    usize::try_from(most.value).unwrap_or(2000)
}

fn log(over: &Overrides, file: &File, wrong: &mut Mistakes) -> LogFormat {
    let from = "--log-format (BREAKERBOX_LOG_FORMAT): ";
    match said(over.log.as_deref(), from, file.log.format.as_ref()) {
        None => LogFormat::Text,
        Some(said) if said.text == "text" => LogFormat::Text,
        Some(said) if said.text == "json" => LogFormat::Json,
        Some(said) => {
            wrong.say(&said, format!("`{}` is no log format", said.text), "write `text` or `json`");
            LogFormat::Text
        }
    }
}

/// "256 MiB", "8MiB", "1 GiB", "4096 B".
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)?.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}
