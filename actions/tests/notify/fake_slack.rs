//! A Slack of our own, at the HTTP line: `auth.test`, `chat.postMessage`, `chat.update`, an incoming
//! webhook, and the troubles that it is told to have. Slack itself offers no server to test against; this
//! one is checked with Slack's own client in `tests/slack/validate.py`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The bot token that it takes.
pub const TOKEN: &str = "xoxb-1234-very-secret-token";
/// Path of its incoming webhook: the secret part of the URL.
pub const HOOK: &str = "/services/T0123/B0456/very-secret-hook";

/// A message that somebody can read in a channel.
#[derive(Clone, Debug)]
pub struct Posted {
    pub ts: String,
    pub body: Value,
    /// How often it was edited.
    pub edits: u32,
}

impl Posted {
    /// The header's text.
    pub fn title(&self) -> String {
        self.body["blocks"][0]["text"]["text"].as_str().unwrap().to_owned()
    }
}

/// What it answers instead, once each.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// 429 with `Retry-After` in seconds.
    TooMany(u64),
    /// A status with a text.
    Status(u16, &'static str),
    /// 200 with `ok: false` and this code.
    Code(&'static str),
    /// An answer that comes too late; the message is not posted.
    Late(Duration),
    /// A page of somebody else, as a captive portal gives.
    NotSlack,
}

#[derive(Default)]
struct State {
    posted: Vec<Posted>,
    hooked: Vec<Value>,
    troubles: VecDeque<Trouble>,
    calls: u32,
}

/// The fake; it ends when dropped.
pub struct FakeSlack {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy)]
enum Method {
    Auth,
    Post,
    Update,
    Hook,
}

struct Answers(Method, Arc<Mutex<State>>);

impl FakeSlack {
    pub async fn start() -> Self {
        let server = MockServer::start().await;
        let state = Arc::new(Mutex::new(State::default()));
        for (route, which) in [
            ("/api/auth.test", Method::Auth),
            ("/api/chat.postMessage", Method::Post),
            ("/api/chat.update", Method::Update),
            (HOOK, Method::Hook),
        ] {
            let mock = Mock::given(method("POST")).and(path(route));
            mock.respond_with(Answers(which, Arc::clone(&state))).mount(&server).await;
        }
        Self { server, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Where its methods are.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.server.uri())
    }

    /// Its incoming webhook.
    pub fn hook_url(&self) -> String {
        format!("{}{HOOK}", self.server.uri())
    }

    /// Will answer this to the next call.
    pub fn trouble(&self, trouble: Trouble) {
        self.state().troubles.push_back(trouble);
    }

    /// What the channel shows now.
    pub fn posted(&self) -> Vec<Posted> {
        self.state().posted.clone()
    }

    /// What came by the incoming webhook.
    pub fn hooked(&self) -> Vec<Value> {
        self.state().hooked.clone()
    }

    /// Calls so far, with those that met trouble.
    pub fn calls(&self) -> u32 {
        self.state().calls
    }

    /// Somebody deletes every message.
    pub fn delete_all(&self) {
        self.state().posted.clear();
    }
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.1.lock().unwrap();
        state.calls += 1;
        if let Some(trouble) = state.troubles.pop_front() {
            return troubled(&trouble);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        if matches!(self.0, Method::Hook) {
            return hook(&mut state, body);
        }
        let bearer = format!("Bearer {TOKEN}");
        if request.headers.get("authorization").and_then(|h| h.to_str().ok()) != Some(&bearer) {
            return refused("invalid_auth");
        }
        match self.0 {
            Method::Post => post(&mut state, body),
            Method::Update => update(&mut state, body),
            Method::Auth | Method::Hook => ok(json!({"ok": true, "user_id": "U0BOT", "team_id": "T0123"})),
        }
    }
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn refused(code: &str) -> ResponseTemplate {
    ok(json!({"ok": false, "error": code}))
}

fn troubled(trouble: &Trouble) -> ResponseTemplate {
    match trouble {
        Trouble::TooMany(seconds) => ResponseTemplate::new(429)
            .insert_header("retry-after", seconds.to_string().as_str())
            .set_body_json(json!({"ok": false, "error": "ratelimited"})),
        Trouble::Status(status, text) => ResponseTemplate::new(*status).set_body_string(*text),
        Trouble::Code(code) => refused(code),
        Trouble::Late(by) => ok(json!({"ok": true})).set_delay(*by),
        Trouble::NotSlack => ResponseTemplate::new(200).set_body_string("<html>please log in</html>"),
    }
}

/// Messages without anything to show are refused, as Slack does.
fn is_empty(body: &Value) -> bool {
    body["text"].as_str().is_none_or(str::is_empty) && body["blocks"].as_array().is_none_or(Vec::is_empty)
}

fn hook(state: &mut State, body: Value) -> ResponseTemplate {
    if is_empty(&body) {
        return ResponseTemplate::new(400).set_body_string("no_text");
    }
    state.hooked.push(body);
    ResponseTemplate::new(200).set_body_string("ok")
}

fn post(state: &mut State, body: Value) -> ResponseTemplate {
    if !matches!(body["channel"].as_str(), Some("#oncall" | "C0ONCALL")) {
        return refused("channel_not_found");
    }
    if is_empty(&body) {
        return refused("no_text");
    }
    let ts = format!("17951760{:02}.000100", state.posted.len());
    // Slack sends the message back with fields of its own.
    let message = json!({"type": "message", "subtype": "bot_message", "ts": ts, "text": body["text"],
        "blocks": body["blocks"], "bot_profile": {"unheard_of": [1, 2]}});
    state.posted.push(Posted { ts: ts.clone(), body, edits: 0 });
    ok(json!({"ok": true, "channel": "C0ONCALL", "ts": ts, "message": message}))
}

fn update(state: &mut State, body: Value) -> ResponseTemplate {
    // An edit needs the channel's id; its name is refused.
    if body["channel"] != "C0ONCALL" {
        return refused("channel_not_found");
    }
    let Some(posted) = state.posted.iter_mut().find(|p| body["ts"] == p.ts.as_str()) else {
        return refused("message_not_found");
    };
    posted.edits += 1;
    posted.body = body;
    ok(
        json!({"ok": true, "channel": "C0ONCALL", "ts": posted.ts, "text": posted.body["text"], "message": {}}),
    )
}
