//! The JSON schema of a rule document, for editors.
//!
//! Which keys there are is taken from the tables that the compiler reads by, so a key that it knows is in the
//! schema and one that it refuses is not. What a schema cannot say (a route that must exist, a share below
//! another) it leaves to `check`; it never refuses what the compiler takes.

use serde_json::{Map, Value, json};

use super::super::read::Keys;
use super::{
    API_VERSION, DOCUMENT, KINDS, METADATA, act, approval, attribution, budget, freeze, guardrail, idle,
    limit, price, restore, route, select, source, spot, trigger, window,
};

/// The schema of one document of a rule file, JSON Schema draft-07.
#[must_use]
pub fn schema() -> Value {
    let specs = [
        ("Budget", of_budget()),
        ("Route", of_route()),
        ("Attribution", of_attribution()),
        ("Guardrail", of_guardrail()),
        ("PriceBook", of_prices()),
        ("IdlePolicy", object(&idle::IDLE, Vec::new(), &[])),
        ("SpotPolicy", object(&spot::SPOT, Vec::new(), &[])),
        ("Source", of_source()),
    ];
    let branches: Vec<Value> = specs
        .into_iter()
        .map(|(kind, spec)| {
            json!({
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"properties": {"spec": spec}},
            })
        })
        .collect();
    let metadata = object(
        &METADATA,
        vec![
            ("name", name()),
            ("namespace", text("unused")),
            ("labels", map(scalar())),
            ("annotations", map(scalar())),
        ],
        &["name"],
    );
    let fields = vec![
        ("apiVersion", json!({"const": API_VERSION})),
        ("kind", json!({"enum": KINDS})),
        ("metadata", metadata),
        ("spec", json!({"type": "object"})),
    ];
    let mut document = object(&DOCUMENT, fields, &["apiVersion", "kind", "metadata", "spec"]);
    if let Value::Object(members) = &mut document {
        members.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        members.insert("title".to_owned(), json!("breakerbox rules"));
        members.insert("allOf".to_owned(), Value::Array(branches));
    }
    document
}

/// An object with the keys of a table and no others. A key without a schema of its own may hold anything.
fn object(keys: &Keys, known: Vec<(&str, Value)>, required: &[&str]) -> Value {
    let mut properties = Map::new();
    for key in keys.known {
        let schema = known.iter().find(|(name, _)| name == key).map(|(_, schema)| schema.clone());
        properties.insert((*key).to_owned(), schema.unwrap_or_else(|| json!({})));
    }
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

fn described(mut schema: Value, what: &str) -> Value {
    if let Value::Object(members) = &mut schema {
        members.insert("description".to_owned(), json!(what));
    }
    schema
}

/// One value: a number or a boolean counts as what was written.
fn scalar() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

fn text(what: &str) -> Value {
    described(scalar(), what)
}

fn name() -> Value {
    described(
        json!({"type": ["string", "number"]}),
        "1 to 63 lower-case letters, digits, - or .; once for each kind",
    )
}

/// A number with its unit.
fn unit(what: &str, example: &str) -> Value {
    json!({"type": "string", "description": what, "examples": [example]})
}

fn money(what: &str) -> Value {
    unit(what, "50 USD")
}

fn share(what: &str) -> Value {
    unit(what, "80%")
}

fn span(what: &str) -> Value {
    unit(what, "5m")
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn map(values: Value) -> Value {
    json!({"type": "object", "additionalProperties": values})
}

fn one_of(words: impl IntoIterator<Item = &'static str>) -> Value {
    json!({"enum": words.into_iter().collect::<Vec<_>>()})
}

/// A map with exactly one of some keys.
fn one_key(choices: Vec<(&str, Value)>) -> Value {
    let properties: Map<String, Value> = choices.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    json!({
        "type": "object", "properties": properties, "additionalProperties": false,
        "minProperties": 1, "maxProperties": 1,
    })
}

fn of_budget() -> Value {
    let modes = budget::MODES.map(|(word, _)| word);
    object(
        &budget::BUDGET,
        vec![
            ("description", text("for people")),
            ("select", of_select()),
            (
                "perEach",
                described(list(scalar()), "one breaker for each combination of the values of these fields"),
            ),
            ("limit", of_limit()),
            ("window", of_window()),
            ("within", text("name of the parent budget: a charge counts in both")),
            ("warnAt", described(list(share("a share of the limit")), "rising shares below tripAt")),
            ("tripAt", share("share of the limit at which it trips; 100% where it is left out")),
            ("grace", span("how long it stays Arming before it trips")),
            ("onWarn", list(of_act())),
            ("onTrip", list(of_act())),
            ("restore", of_restore()),
            ("mode", described(one_of(modes), "how far it may go; observe where it is left out")),
            ("burnRate", list(trigger(&trigger::BURN_RATE))),
            ("delta", list(trigger(&trigger::DELTA))),
            ("forecast", trigger(&trigger::FORECAST)),
        ],
        &["select", "limit", "window"],
    )
}

/// A trigger: all of its keys must be there.
fn trigger(keys: &Keys) -> Value {
    let known = vec![
        ("long", span("the long window")),
        ("short", span("the short window")),
        ("over", span("the time that is looked at")),
        ("exceeds", scalar()),
        ("then", one_of(trigger::THEN.map(|(word, _)| word))),
    ];
    object(keys, known, keys.known)
}

fn of_select() -> Value {
    let values = || json!({"anyOf": [list(scalar()), scalar()]});
    let test = object(
        &select::TEST,
        vec![("in", list(scalar())), ("notIn", list(scalar())), ("exists", json!({"type": "boolean"}))],
        &[],
    );
    let condition = json!({"anyOf": [values(), test]});
    object(
        &select::SELECT,
        vec![
            ("all", described(json!({"type": "boolean"}), "every charge, on purpose")),
            ("subjects", described(map(condition), "all of these, on trusted values")),
            ("when", text("a condition in CEL on charge and subject")),
            ("charges", list(one_of(select::CHARGES.map(|(word, _)| word)))),
        ],
        &[],
    )
}

fn of_limit() -> Value {
    let exception = object(
        &limit::OVERRIDE,
        vec![
            ("match", map(scalar())),
            ("amount", money("the limit instead")),
            ("until", text("to the end of that day, or an instant")),
        ],
        &["match"],
    );
    object(
        &limit::LIMIT,
        vec![
            ("amount", money("money above 0")),
            ("tokens", unit("tokens instead of money", "2B")),
            ("gpuHours", scalar()),
            ("overrides", list(exception)),
            ("fromLabel", text("namespace label that holds the limit")),
            ("rollover", share("unused share that moves to the next window")),
        ],
        &[],
    )
}

fn of_window() -> Value {
    object(
        &window::WINDOW,
        vec![
            ("calendar", one_of(window::UNITS.map(|(word, _)| word))),
            ("timezone", text("an IANA name, such as Europe/Berlin; UTC where it is left out")),
            ("fiscalStart", json!({"type": "integer", "minimum": 1, "maximum": 12})),
            ("rolling", span("1m to 90d")),
            ("lifetime", json!({"const": true})),
        ],
        &[],
    )
}

fn of_restore() -> Value {
    object(
        &restore::RESTORE,
        vec![
            ("when", text("window-rolls or manual")),
            ("below", share("of a rolling window: gives back below this share")),
            ("minHold", span("not before it was tripped for so long")),
            ("maxTripsPerWindow", json!({"type": "integer", "minimum": 1, "maximum": 1000})),
        ],
        &[],
    )
}

fn of_act() -> Value {
    let places =
        object(&act::IN, vec![("namespaces", list(scalar())), ("namespaceLabels", map(scalar()))], &[]);
    let pause = object(
        &act::PAUSE,
        vec![
            ("all", described(json!({"type": "boolean"}), "every ScaledObject, on purpose")),
            ("in", places),
            ("matching", described(map(scalar()), "labels that the object has")),
            ("except", described(map(scalar()), "labels that exempt")),
        ],
        &[],
    );
    let notify = object(&act::NOTIFY, vec![("route", text("name of a Route"))], &["route"]);
    let known = [("notify", notify), ("pauseScaledObjects", pause)];
    let all = act::ACTS.iter().map(|act| {
        let schema = known.iter().find(|(name, _)| name == act).map(|(_, schema)| schema.clone());
        (*act, schema.unwrap_or_else(|| json!({})))
    });
    one_key(all.collect())
}

fn secret() -> Value {
    described(
        one_key(vec![("env", json!({"type": "string"})), ("file", json!({"type": "string"}))]),
        "where the secret is",
    )
}

fn of_route() -> Value {
    let plain = |fields: Vec<(&str, Value)>| {
        let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let properties: Map<String, Value> =
            fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    };
    let known = [
        ("slackWebhook", plain(vec![("url", secret())])),
        ("slackChat", plain(vec![("token", secret()), ("channel", scalar())])),
        ("webhook", plain(vec![("url", json!({"type": "string"})), ("secret", secret())])),
    ];
    let all = route::RECEIVERS.iter().map(|receiver| {
        let schema = known.iter().find(|(name, _)| name == receiver).map(|(_, schema)| schema.clone());
        (*receiver, schema.unwrap_or_else(|| json!({})))
    });
    object(&route::ROUTE, vec![("receivers", list(one_key(all.collect())))], &["receivers"])
}

fn of_source() -> Value {
    let authority = object(
        &source::AUTHORITY,
        vec![
            ("for", json!({"type": "object"})),
            ("all", json!({"type": "boolean"})),
            ("over", list(text("name of a source"))),
            ("from", text("first day, or instant")),
            ("until", text("last day, or instant")),
        ],
        &["over"],
    );
    object(
        &source::SOURCE,
        vec![
            ("staleAfter", span("longest silence")),
            ("freshness", span("how old its newest usage may be")),
            ("enabled", json!({"type": "boolean"})),
            ("authoritative", list(authority)),
        ],
        &[],
    )
}

fn of_attribution() -> Value {
    let entry = |second: &str, schema: Value| {
        json!({
            "type": "object", "required": ["principal", second], "additionalProperties": false,
            "properties": {"principal": scalar(), second: schema},
        })
    };
    object(
        &attribution::ATTRIBUTION,
        vec![
            ("delegates", list(entry("fields", list(scalar())))),
            ("principals", list(entry("set", map(scalar())))),
            ("namespaceLabels", described(map(scalar()), "label: field")),
            ("claims", described(map(scalar()), "key of requestMetadata or of an event: field")),
            ("maxNewSubjectsPerSource", json!({"type": "integer", "minimum": 1})),
        ],
        &[],
    )
}

fn of_guardrail() -> Value {
    let protect = object(
        &guardrail::PROTECT,
        vec![
            ("namespaces", list(scalar())),
            ("labels", map(scalar())),
            ("objects", list(scalar())),
            ("kinds", list(scalar())),
        ],
        &[],
    );
    let blast = object(
        &guardrail::BLAST,
        vec![
            ("perRule", unit("newly stopped by one rule", "10% of eligible targets per 10m")),
            ("atLeast", json!({"type": "integer"})),
            ("overall", unit("newly stopped by all rules", "20 per 10m")),
        ],
        &[],
    );
    let approval = object(
        &approval::APPROVAL,
        vec![
            ("expires", span("1m to 24h")),
            ("targetsOver", json!({"type": "integer"})),
            ("from", list(scalar())),
        ],
        &[],
    );
    let freeze = object(&freeze::FREEZE, Vec::new(), &[]);
    let modes = || one_of(guardrail::FIRST_MODES.map(|(word, _)| word));
    let first_days = object(&guardrail::FIRST_DAYS, vec![("mode", modes())], &["mode"]);
    object(
        &guardrail::GUARDRAIL,
        vec![
            ("protect", protect),
            ("blastRadius", blast),
            ("approval", approval),
            ("freeze", list(freeze)),
            ("groups", map(list(scalar()))),
            ("firstDays", json!({"anyOf": [first_days, modes()]})),
            ("page", text("route of pages about ourselves")),
        ],
        &[],
    )
}

fn of_prices() -> Value {
    let rate = || unit("price of tokens", "3.00 USD per 1M tokens");
    let classes = ["input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"];
    let mut fields: Vec<(&str, Value)> = classes.into_iter().map(|class| (class, rate())).collect();
    fields.push(("tier", scalar()));
    let instance = object(
        &price::INSTANCE,
        vec![
            ("type", scalar()),
            ("capacityType", scalar()),
            ("region", scalar()),
            ("price", unit("price of an instance", "0.4387 USD per hour")),
        ],
        &["type", "price"],
    );
    let shadow = object(&price::SHADOW, vec![("until", text("the day after which they count"))], &["until"]);
    object(
        &price::PRICE_BOOK,
        vec![
            ("asOf", text("the day on which the prices were read")),
            ("litellm", text("a file in LiteLLM's format, by its path from this one")),
            ("shadow", json!({"anyOf": [{"type": "boolean"}, shadow]})),
            ("models", map(object(&price::MODEL, fields, &[]))),
            ("profiles", map(scalar())),
            ("instances", list(instance)),
            ("accept", list(scalar())),
            ("spotShare", share("of on demand")),
        ],
        &[],
    )
}
