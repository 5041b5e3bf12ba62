//! `kind: Attribution`. Several documents add up, in the order of files and lines.

use super::super::diagnose::DiagnosticKind as Kind;
use super::super::node::{Node, Shape, Spot};
use super::super::read::{Keys, RefKind, Sink, all_of, shortened};
use super::super::{Attribution, Delegate, PrincipalRule};
use crate::subject::{FieldName, short_principal};

pub(super) const ATTRIBUTION: Keys = Keys {
    known: &["delegates", "principals", "namespaceLabels", "claims", "maxNewSubjectsPerSource"],
    later: &[
        ("inferenceProfiles", "name the model of a profile in a PriceBook, its tenant under `principals`"),
        ("roleTags", "write the roles under `principals`"),
        ("podIdentity", "write the roles under `principals`, with `set: {namespace: …}`"),
    ],
};

/// What one document says.
pub(super) struct Part {
    delegates: Vec<Delegate>,
    principals: Vec<PrincipalRule>,
    namespace_labels: Option<Vec<(Box<str>, FieldName)>>,
    claims: Vec<(Box<str>, FieldName)>,
    max_new_subjects: Option<u32>,
}

/// All documents in one. Namespace labels that are stated replace the default ones.
pub(super) fn join(parts: Vec<Part>) -> Attribution {
    let mut whole = Attribution::default();
    let mut labels: Option<Vec<(Box<str>, FieldName)>> = None;
    let mut most: Option<u32> = None;
    for part in parts {
        whole.delegates.extend(part.delegates);
        whole.principals.extend(part.principals);
        whole.claims.extend(part.claims);
        if let Some(more) = part.namespace_labels {
            labels.get_or_insert_default().extend(more);
        }
        most = match (most, part.max_new_subjects) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    whole.namespace_labels = labels.unwrap_or(whole.namespace_labels);
    whole.max_new_subjects_per_source = most.unwrap_or(whole.max_new_subjects_per_source);
    whole
}

/// Fields that some evidence sets because this says so.
pub(super) fn fields(whole: &Attribution) -> impl Iterator<Item = &str> {
    let set = whole.principals.iter().flat_map(|p| p.set.iter().map(|(field, _)| &**field));
    let delegated = whole.delegates.iter().flat_map(|d| d.fields.iter().map(|f| &**f));
    let mapped = whole.namespace_labels.iter().chain(&whole.claims).map(|(_, field)| &**field);
    set.chain(delegated).chain(mapped)
}

pub(super) fn read(spec: &Node, sink: &mut Sink<'_>) -> Option<Part> {
    let fields = sink.object(spec, "attribution", "delegates: []", &ATTRIBUTION)?;
    let delegates = fields.get("delegates").map_or(Some(Vec::new()), |n| each(n, DELEGATE, sink, delegate));
    let principals =
        fields.get("principals").map_or(Some(Vec::new()), |n| each(n, PRINCIPAL, sink, principal_rule));
    let labels = match fields.get("namespaceLabels") {
        None => Some(None),
        Some(n) => mapping(n, "`namespaceLabels`", "{tenant: tenant}", sink).map(Some),
    };
    let claims =
        fields.get("claims").map_or(Some(Vec::new()), |n| mapping(n, "`claims`", "{feature: feature}", sink));
    let most = match fields.get("maxNewSubjectsPerSource") {
        None => Some(None),
        Some(n) => sink.count(n, "`maxNewSubjectsPerSource`", 1, 1_000_000).map(Some),
    };
    Some(Part {
        delegates: delegates?,
        principals: principals?,
        namespace_labels: labels?,
        claims: claims?,
        max_new_subjects: most?,
    })
}

const DELEGATE: &str = "{principal: \"111122223333:role/litellm\", fields: [tenant, team]}";
const PRINCIPAL: &str = "{principal: \"111122223333:role/search\", set: {tenant: acme}}";

fn each<'a, T>(
    node: &Node,
    example: &str,
    sink: &mut Sink<'a>,
    read: impl Fn(&Node, &mut Sink<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let items = sink.list(node, "this", &format!("[{example}]"))?;
    all_of(items.iter().map(|item| read(item, sink)))
}

fn delegate(node: &Node, sink: &mut Sink<'_>) -> Option<Delegate> {
    const KEYS: Keys = Keys::of(&["principal", "fields"]);
    let fields = sink.object(node, "a delegate", DELEGATE, &KEYS)?;
    let principal = fields
        .required("principal", &format!("write `{DELEGATE}`"), sink)
        .and_then(|node| pattern(node, sink));
    let names = fields.required("fields", &format!("write `{DELEGATE}`"), sink)?;
    let named = sink.texts(names, "`fields`", "fields: [tenant, team]")?;
    if matches!(&names.shape, Shape::List(items) if items.is_empty()) {
        let message = "a delegate without fields is believed in nothing";
        sink.error(Kind::EmptyValue, names.spot, message, "write `fields: [tenant, team]`");
    }
    for (name, spot) in &named {
        declared(name, *spot, sink);
    }
    let fields = named.into_iter().map(|(name, _)| name.into()).collect();
    Some(Delegate { principal: principal?, fields, place: sink.place(node.spot) })
}

fn principal_rule(node: &Node, sink: &mut Sink<'_>) -> Option<PrincipalRule> {
    const KEYS: Keys = Keys::of(&["principal", "set"]);
    let fields = sink.object(node, "a principal", PRINCIPAL, &KEYS)?;
    let principal = fields
        .required("principal", &format!("write `{PRINCIPAL}`"), sink)
        .and_then(|node| pattern(node, sink));
    let set = fields.required("set", &format!("write `{PRINCIPAL}`"), sink)?;
    let pairs = sink.pairs(set, "`set`", "{tenant: acme}")?;
    if matches!(&set.shape, Shape::Map(entries) if entries.is_empty()) {
        sink.error(Kind::EmptyValue, set.spot, "`set` sets nothing", "write `set: {tenant: acme}`");
    }
    let mut list: Vec<(FieldName, Box<str>)> = Vec::new();
    for (entry, value) in pairs {
        declared(&entry.key, entry.spot, sink);
        if value.contains(['*', '?']) || value.contains("${") {
            let help = "write the value itself";
            sink.error(Kind::BadGlob, entry.value.spot, format!("`{value}` is not expanded here"), help);
        } else {
            list.push((entry.key.as_str().into(), value.into()));
        }
    }
    Some(PrincipalRule { principal: principal?, set: list, place: sink.place(node.spot) })
}

/// A map from a label or claim to the field that it sets.
fn mapping(
    node: &Node,
    what: &str,
    example: &str,
    sink: &mut Sink<'_>,
) -> Option<Vec<(Box<str>, FieldName)>> {
    let pairs = sink.pairs(node, what, example)?;
    let mut list = Vec::new();
    for (entry, field) in pairs {
        declared(field, entry.value.spot, sink);
        list.push((entry.key.as_str().into(), field.into()));
    }
    Some(list)
}

/// A field that is named where fields are declared: any name is right, one that is nearly a known one is
/// looked at by the second pass.
fn declared(name: &str, spot: Spot, sink: &mut Sink<'_>) {
    sink.refer(RefKind::Declared, name, spot);
}

/// A glob over account-qualified principals. The account is never left out: the same role name in two
/// accounts is two roles (F12), and `*:` says "in every account" on purpose.
fn pattern(node: &Node, sink: &mut Sink<'_>) -> Option<Box<str>> {
    let text = sink.text(node, "`principal`")?;
    let problem = if let Some(short) = short_principal(text) {
        Some((
            "is an ARN".to_owned(),
            format!("write `{short}`: the account and the name, without path and session"),
        ))
    } else if text.starts_with("arn:") {
        Some((
            "is an ARN".to_owned(),
            "write the account and the name, such as `111122223333:role/team-search-agent`".to_owned(),
        ))
    } else if text.chars().all(|c| matches!(c, '*' | '?' | ':' | '/')) {
        Some((
            "is everybody".to_owned(),
            "name the principal, such as `111122223333:role/litellm`".to_owned(),
        ))
    } else if !text.contains(':') {
        let help = format!("write `111122223333:{text}`, or `*:{text}` for every account on purpose");
        Some(("has no account".to_owned(), help))
    } else {
        None
    };
    if let Some((problem, help)) = problem {
        let message = format!("principal `{}` {problem}", shortened(text));
        sink.error(Kind::BadPrincipal, node.spot, message, help);
        return None;
    }
    sink.glob(text, node.spot)
}
