//! `kind: Route`. Secrets are named, never written: rule files are in Git.

use super::super::diagnose::{DiagnosticKind as Kind, one_of};
use super::super::node::{Entry, Node, Shape};
use super::super::read::{Fields, Keys, Sink, all_of};
use super::super::{Receiver, Route, SecretRef};
use super::{Header, delivery};

pub(super) const ROUTE: Keys = Keys::of(&[
    "receivers",
    "groupBy",
    "groupWait",
    "groupInterval",
    "quietHours",
    "repeatInterval",
    "escalation",
]);
const EXAMPLE: &str = "receivers: [{slackWebhook: {url: {env: SLACK_URL}}}]";
pub(super) const RECEIVERS: [&str; 3] = ["slackWebhook", "slackChat", "webhook"];
const LATER_RECEIVERS: [&str; 3] = ["sns", "pagerDuty", "alertmanager"];

pub(super) fn read(header: &Header, spec: &Node, sink: &mut Sink<'_>) -> Option<Route> {
    hide_values(spec, false, sink);
    let fields = sink.object(spec, "a route", EXAMPLE, &ROUTE)?;
    let delivery = delivery::read(&fields, &header.name, sink);
    let node = fields.required("receivers", &format!("write `{EXAMPLE}`"), sink)?;
    let items = sink.list(node, "`receivers`", EXAMPLE)?;
    if items.is_empty() {
        let message = format!("route `{}` reaches nobody", header.name);
        sink.error(Kind::NoReceiver, node.spot, message, format!("write `{EXAMPLE}`"));
    }
    let receivers = all_of(items.iter().map(|item| receiver(item, sink)))?;
    Some(Route { name: header.name.clone(), place: sink.place(header.spot), receivers, delivery: delivery? })
}

/// A secret may stand under any key that is not one of the language, or twice under one that is. So every
/// line of a route with a value is kept out of reports, but for values that are never secret.
fn hide_values(node: &Node, is_webhook: bool, sink: &mut Sink<'_>) {
    match &node.shape {
        Shape::Map(entries) => {
            for entry in entries {
                let open = match entry.key.as_str() {
                    "env" | "file" | "channel" => true,
                    "url" => is_webhook,
                    key if delivery::KEYS.contains(&key) => true,
                    _ => false,
                };
                if !open {
                    hide_values(&entry.value, entry.key == "webhook", sink);
                }
            }
        }
        Shape::List(items) => items.iter().for_each(|item| hide_values(item, false, sink)),
        Shape::Null => {}
        Shape::Bool(_) | Shape::Number(_) | Shape::Text(_) => sink.hide(node.spot),
    }
}

fn receiver(node: &Node, sink: &mut Sink<'_>) -> Option<Receiver> {
    let entries = sink.map(node, "a receiver", "slackWebhook: {url: {env: SLACK_URL}}")?;
    let [entry] = entries else {
        let message = format!("a receiver has one key, this has {}", entries.len());
        sink.error(Kind::Conflict, node.spot, message, "write one list item for each receiver");
        return None;
    };
    match entry.key.as_str() {
        "slackWebhook" => slack_webhook(entry, sink),
        "slackChat" => slack_chat(entry, sink),
        "webhook" => webhook(entry, sink),
        other if LATER_RECEIVERS.contains(&other) => {
            let message = format!("`{other}` is not supported by this version");
            sink.error(Kind::Unsupported, entry.spot, message, format!("write {}", one_of(RECEIVERS)));
            None
        }
        other => {
            let help = match sink.meant(other, RECEIVERS.into_iter().chain(LATER_RECEIVERS)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("write {}", one_of(RECEIVERS)),
            };
            sink.error(Kind::UnknownKey, entry.spot, format!("there is no receiver `{other}`"), help);
            None
        }
    }
}

fn slack_webhook(entry: &Entry, sink: &mut Sink<'_>) -> Option<Receiver> {
    const KEYS: Keys = Keys::of(&["url"]);
    let fields = sink.object(&entry.value, "`slackWebhook`", "{url: {env: SLACK_URL}}", &KEYS)?;
    let url = secret_of(&fields, "url", "SLACK_URL", sink)?;
    Some(Receiver::SlackWebhook { url })
}

fn slack_chat(entry: &Entry, sink: &mut Sink<'_>) -> Option<Receiver> {
    const KEYS: Keys = Keys::of(&["token", "channel"]);
    let example = "{token: {env: SLACK_TOKEN}, channel: \"#finops\"}";
    let fields = sink.object(&entry.value, "`slackChat`", example, &KEYS)?;
    let token = secret_of(&fields, "token", "SLACK_TOKEN", sink);
    let channel = fields.required("channel", "write `channel: \"#finops\"`", sink);
    let channel = channel.and_then(|node| sink.text(node, "`channel`"));
    Some(Receiver::SlackChat { token: token?, channel: channel?.into() })
}

fn webhook(entry: &Entry, sink: &mut Sink<'_>) -> Option<Receiver> {
    const KEYS: Keys = Keys::of(&["url", "secret"]);
    let example = "{url: \"https://hooks.example.com/x\", secret: {env: HOOK_SECRET}}";
    let fields = sink.object(&entry.value, "`webhook`", example, &KEYS)?;
    let help = "write `url: \"https://hooks.example.com/x\"`";
    let url = fields.required("url", help, sink).and_then(|node| url(node, sink));
    let secret = secret_of(&fields, "secret", "HOOK_SECRET", sink);
    Some(Receiver::Webhook { url: url?, secret: secret? })
}

fn url(node: &Node, sink: &mut Sink<'_>) -> Option<Box<str>> {
    let text = sink.text(node, "`url`")?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if authority.is_some_and(|a| a.contains('@')) {
        sink.secret(node.spot, "the URL has a password in it", "take it out; the message is signed instead");
        return None;
    }
    let good = authority.is_some_and(|a| !a.is_empty() && !a.starts_with(':'))
        && text.chars().all(|c| c.is_ascii_graphic());
    if !good {
        let help = "write one that begins with `https://` or `http://` and a host";
        sink.error(Kind::BadUrl, node.spot, format!("`{text}` is not an http URL"), help);
        return None;
    }
    Some(text.into())
}

/// A secret that must be there: `{env: NAME}` or `{file: path}`.
fn secret_of(fields: &Fields<'_>, key: &str, example: &str, sink: &mut Sink<'_>) -> Option<SecretRef> {
    const KEYS: Keys = Keys::of(&["env", "file"]);
    let instead =
        format!("write `{key}: {{env: {example}}}`, or `{{file: …}}` with the path of a mounted secret");
    let node = fields.required(key, &instead, sink)?;
    if let Shape::Text(_) | Shape::Number(_) = node.shape {
        sink.secret(node.spot, &format!("`{key}` is written in the rule file"), &instead);
        return None;
    }
    let secret = sink.object(node, &format!("`{key}`"), &format!("{{env: {example}}}"), &KEYS)?;
    match (secret.get("env"), secret.get("file")) {
        (Some(env), None) => {
            let name = sink.text(env, "`env`")?;
            if is_variable(name) {
                return Some(SecretRef::Env(name.into()));
            }
            // What is no name may be the secret itself: it is not repeated.
            let help = format!("write the name of an environment variable, such as `{{env: {example}}}`");
            sink.secret(env.spot, "`env` does not hold the name of an environment variable", &help);
            None
        }
        (None, Some(file)) => Some(SecretRef::File(sink.text(file, "`file`")?.into())),
        _ => {
            let message = format!("`{key}` needs exactly one of `env` and `file`");
            sink.error(Kind::Conflict, secret.spot, message, instead);
            None
        }
    }
}

/// POSIX: letters, digits and `_`, not a digit first. Slack's tokens have `-` and URLs have `:`.
fn is_variable(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
