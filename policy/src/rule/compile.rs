//! From documents to a checked [`RuleSet`].
//!
//! Two passes: each document is read by the module of its kind, and what it names elsewhere (a route, a
//! parent budget, a field) is looked up once all are read. The set is used whole or not at all; a set with
//! warnings is used. What the language has and this version has not is refused by name, never ignored: a
//! budget without its `burnRate` is another budget.

mod act;
mod approval;
mod attribution;
mod budget;
mod delivery;
mod freeze;
mod guardrail;
mod idle;
mod limit;
mod link;
mod lint;
mod price;
mod prices_file;
mod restore;
mod route;
mod schema;
mod select;
mod source;
mod spot;
mod trigger;
mod when;
mod window;

use std::collections::BTreeMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

pub use schema::schema;

use super::diagnose::{Diagnostic, DiagnosticKind as Kind, Diagnostics, Severity, one_of};
use super::file::documents;
use super::node::{Node, SourceFile, Spot};
use super::read::{Fields, Keys, Sink};
use super::{Budget, IdlePolicy, Place, Route, RuleSet, SpotPolicy};
use crate::time::Span;
use prices_file::PriceFiles;

/// A set that can be used, with what its author should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The set.
    pub rules: RuleSet,
    /// Warnings only.
    pub warnings: Diagnostics,
}

/// Longest grace and hold: a month.
const LONGEST: Span = Span::from_hours(31 * 24);

/// The version of the language that this crate reads.
const API_VERSION: &str = "breakerbox.dev/v1alpha1";

/// Kinds that are read.
const KINDS: [&str; 8] =
    ["Budget", "Route", "Attribution", "Guardrail", "PriceBook", "Source", "IdlePolicy", "SpotPolicy"];

/// Checks a rule set whole. The order of the files makes no difference.
///
/// # Errors
/// Everything that is wrong, errors and warnings, in the order of files and lines.
pub fn compile(files: &[SourceFile<'_>]) -> Result<Compiled, Diagnostics> {
    if files.is_empty() {
        return Err(Diagnostics::new(vec![no_file()]));
    }
    let mut files: Vec<SourceFile<'_>> = files.to_vec();
    files.sort_by_key(|file| file.path);
    let mut sinks: Vec<Sink<'_>> = files.iter().map(Sink::new).collect();
    let mut found = Found::default();
    for (at, (file, sink)) in files.iter().zip(&mut sinks).enumerate() {
        found.file = at;
        if !prices_file::is_one(file.path) {
            read_file(file, sink, &mut found);
        }
    }
    let mut rules = link::link(found, &PriceFiles { files: &files }, &mut sinks);
    let all = Diagnostics::new(sinks.into_iter().flat_map(Sink::finish).collect());
    if all.has_errors() {
        return Err(all);
    }
    rules.id = id_of(&rules);
    Ok(Compiled { rules, warnings: all })
}

fn no_file() -> Diagnostic {
    Diagnostic {
        kind: Kind::EmptySet,
        severity: Severity::Error,
        place: Place { file: "rules".into(), line: 1, column: 1 },
        width: 1,
        excerpt: None,
        message: "there is no rule file".to_owned(),
        help: "write at least one document, such as a Budget, into a `.yaml` file of the rules folder"
            .to_owned(),
    }
}

/// What the documents say, before it is linked.
#[derive(Default)]
struct Found {
    /// Index of the file that is being read.
    file: usize,
    documents: usize,
    /// Of kinds by which something is watched.
    watching_documents: usize,
    /// First place of each kind and name, also of documents that have mistakes of their own.
    names: BTreeMap<(&'static str, String), Place>,
    budgets: Vec<(Budget, Origin)>,
    routes: Vec<Route>,
    attribution: Vec<attribution::Part>,
    guardrails: Vec<guardrail::Part>,
    prices: Vec<price::Part>,
    sources: Vec<source::Part>,
    idle: Vec<IdlePolicy>,
    spot: Vec<SpotPolicy>,
}

/// Where a document is, for diagnostics of the second pass.
#[derive(Clone, Copy, Debug)]
struct Origin {
    file: usize,
    spot: Spot,
    /// Of `within`, where there is one.
    within: Option<Spot>,
}

/// What stands above `spec`.
struct Header {
    name: Box<str>,
    spot: Spot,
}

fn read_file(file: &SourceFile<'_>, sink: &mut Sink<'_>, found: &mut Found) {
    let trees = documents(file, sink);
    found.documents += trees.len();
    if trees.is_empty() && sink.errors() == 0 {
        let message = format!("`{}` has no document", file.path);
        sink.warn(Kind::EmptyFile, Spot::START, message, "write a rule in it, or delete it");
    }
    for tree in &trees {
        read_document(tree, sink, found);
    }
}

const DOCUMENT: Keys = Keys::of(&["apiVersion", "kind", "metadata", "spec"]);
const METADATA: Keys = Keys::of(&["name", "namespace", "labels", "annotations"]);

fn read_document(tree: &Node, sink: &mut Sink<'_>, found: &mut Found) {
    let Some(fields) = sink.object(tree, "the document", "kind: Budget", &DOCUMENT) else { return };
    check_api_version(&fields, sink);
    let kind = read_kind(&fields, sink);
    let header = read_header(&fields, kind, sink, found);
    let Some(kind) = kind else { return };
    found.watching_documents += usize::from(matches!(kind, "Budget" | "IdlePolicy"));
    let help = "see the reference for what this kind says";
    let Some(spec) = fields.required("spec", help, sink) else { return };
    let name = header.as_ref().map_or_else(|| "?".into(), |h| h.name.clone());
    let header = header.unwrap_or(Header { name, spot: fields.spot });
    match kind {
        "Budget" => found.budgets.extend(budget::read(&header, spec, sink, found.file)),
        "Route" => found.routes.extend(route::read(&header, spec, sink)),
        "Attribution" => found.attribution.extend(attribution::read(spec, sink)),
        "Guardrail" => found.guardrails.extend(guardrail::read(spec, sink, found.file)),
        "SpotPolicy" => found.spot.extend(spot::read(&header, spec, sink)),
        "PriceBook" => found.prices.extend(price::read(&header, spec, sink, found.file)),
        "IdlePolicy" => found.idle.extend(idle::read(&header, spec, sink)),
        _ => found.sources.extend(source::read(&header, spec, sink, found.file)),
    }
}

fn check_api_version(fields: &Fields<'_>, sink: &mut Sink<'_>) {
    let help = format!("write `apiVersion: {API_VERSION}`");
    let Some(node) = fields.get("apiVersion") else {
        return sink.error(Kind::ApiVersion, fields.spot, "the document has no `apiVersion`", help);
    };
    if let Some(text) = sink.text(node, "`apiVersion`")
        && text != API_VERSION
    {
        let message = format!("`{text}` is not an apiVersion that this version reads");
        sink.error(Kind::ApiVersion, node.spot, message, help);
    }
}

fn read_kind(fields: &Fields<'_>, sink: &mut Sink<'_>) -> Option<&'static str> {
    let help = format!("write for example `kind: Budget`; there are {}", one_of(KINDS));
    let node = fields.required("kind", &help, sink)?;
    let text = sink.text(node, "`kind`")?;
    if let Some(kind) = KINDS.into_iter().find(|kind| *kind == text) {
        return Some(kind);
    }
    let help = match sink.meant(text, KINDS) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("write {}", one_of(KINDS)),
    };
    sink.error(Kind::UnknownKind, node.spot, format!("there is no kind `{text}`"), help);
    None
}

fn read_header(
    fields: &Fields<'_>,
    kind: Option<&'static str>,
    sink: &mut Sink<'_>,
    found: &mut Found,
) -> Option<Header> {
    let metadata = fields.required("metadata", "write `metadata: {name: tenant-daily}`", sink)?;
    let metadata = sink.object(metadata, "`metadata`", "{name: tenant-daily}", &METADATA)?;
    let node = metadata.required("name", "write `name: tenant-daily`", sink)?;
    let name = sink.text(node, "`name`")?;
    if !is_name(name) {
        let help = "write 1 to 63 lower-case letters, digits, `-` or `.`, such as `tenant-daily`";
        sink.error(Kind::BadName, node.spot, format!("`{name}` cannot be a name"), help);
        return None;
    }
    if let Some(kind) = kind {
        let place = sink.place(node.spot);
        if let Some(first) = found.names.get(&(kind, name.to_owned())) {
            let help = format!("give one of them another name; the first is at {first}");
            sink.error(Kind::DuplicateName, node.spot, format!("there is a second {kind} `{name}`"), help);
        } else {
            found.names.insert((kind, name.to_owned()), place);
        }
    }
    Some(Header { name: name.into(), spot: fields.spot })
}

/// Kubernetes' names (RFC 1123 subdomain), and short enough for a metric label.
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&text.len()) && text.chars().all(inner) && text.starts_with(end) && text.ends_with(end)
}

/// 64 bits over all that the set says, places included: an order cites them.
fn id_of(rules: &RuleSet) -> Box<str> {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    // Plain data without floats or maps of unknown length: postcard has nothing to refuse.
    hasher.write(&postcard::to_stdvec(rules).unwrap_or_default());
    format!("{:016x}", hasher.finish()).into()
}
