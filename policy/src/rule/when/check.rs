//! Which expressions are taken: what CEL's crate has no checker for.
//!
//! The tree is walked once with the type of each part. What is not in the table below is refused at its place,
//! so an expression that is taken has an answer for every charge, but for fields that the charge does not have.
//!
//! | of | there is |
//! |---|---|
//! | fields | `charge.kind`, `charge.model`, `charge.provider`, `subject.<field>`, `subject["any/label"]` |
//! | presence | `has(subject.tenant)`, `"any/label" in subject` |
//! | text | `==`, `!=`, `in [..]`, `startsWith`, `endsWith`, `contains`, `size` |
//! | numbers | whole ones, compared with one another |
//! | logic | `&&`, `||`, `!`, `? :` |
//! | loops | `[..].exists(x, ..)`, `[..].all(x, ..)` over a list of texts that is written out, not nested |

use std::ops::Range;

use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::super::ChargeKind;
use super::super::diagnose::{meant, one_of};
use super::bounds::{self, Beyond};
use super::facts::run;
use super::problem::{Problem, ProblemKind, floor, unreadable};
use crate::subject::{Subject, Trust, field};

/// Which of the two maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scope {
    Charge,
    Subject,
}

/// A field that the expression looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Read {
    pub(in super::super) of: Scope,
    pub(in super::super) name: String,
    /// Only asked for (`has`), and not read.
    pub(in super::super) asked: bool,
    pub(in super::super) at: Range<usize>,
}

/// An expression that can be used.
pub(in super::super) struct Checked {
    pub(in super::super) program: Program,
    pub(in super::super) reads: Vec<Read>,
    /// Texts that are written in it.
    pub(in super::super) texts: Vec<String>,
    /// It only compares whole texts.
    pub(in super::super) plain: bool,
}

/// The type of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ty {
    Bool,
    Text,
    Number,
    Texts,
}

impl Ty {
    const fn word(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Text => "text",
            Self::Number => "a number",
            Self::Texts => "a list",
        }
    }
}

/// Fields of a charge.
const CHARGE: [&str; 3] = ["kind", field::MODEL, field::PROVIDER];
/// Methods of a text that answer yes or no.
const METHODS: [&str; 3] = ["startsWith", "endsWith", "contains"];
/// Deepest tree that is walked; brackets and choices are counted before.
const MOST_DEPTH: usize = 48;
/// Problems of one expression that are told.
const MOST_PROBLEMS: usize = 8;

/// Reads an expression, checks it, and runs it on samples.
///
/// # Errors
/// All that is wrong with it, in its order.
pub(in super::super) fn check(text: &str) -> Result<Checked, Vec<Problem>> {
    if let Err(Beyond { too_much, message, at, help }) = bounds::look_through(text) {
        let kind = if too_much { ProblemKind::TooComplex } else { ProblemKind::Unreadable };
        return Err(vec![Problem { kind, at, message, help: help.to_owned() }]);
    }
    let program = Program::compile(text).map_err(|errors| unreadable(text, &errors.errors))?;
    let mut walk = Walk {
        text,
        info: program.source_info(),
        problems: Vec::new(),
        reads: Vec::new(),
        texts: Vec::new(),
        plain: true,
        bound: None,
        depth: 0,
    };
    walk.expect(program.expression(), Ty::Bool, "the expression");
    let Walk { mut problems, reads, mut texts, plain, .. } = walk;
    texts.sort_unstable();
    texts.dedup();
    if problems.is_empty() {
        problems.extend(try_on_samples(&program, &reads));
    }
    problems.sort_by_key(|problem| problem.at.start);
    problems.truncate(MOST_PROBLEMS);
    if problems.is_empty() { Ok(Checked { program, reads, texts, plain }) } else { Err(problems) }
}

/// Runs it for each kind of charge with every field there, with none, and with each one missing. The walk has
/// settled the types already; that the interpreter sees it the same way is shown and not assumed.
fn try_on_samples(program: &Program, reads: &[Read]) -> Option<Problem> {
    let mut names: Vec<&str> = reads.iter().map(|read| read.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let samples = [None, Some("")].into_iter().chain(names.iter().copied().map(Some));
    for missing in samples {
        let mut subject = Subject::default();
        for name in names.iter().filter(|name| missing != Some("") && missing != Some(**name)) {
            subject.set(name, "sample", Trust::Trusted, "sample");
        }
        for kind in [ChargeKind::Tokens, ChargeKind::Gpu, ChargeKind::Other] {
            if let Err(said) = run(program, &subject, kind)
                && !said.starts_with("the charge has no trusted ")
            {
                let message = format!("the expression cannot be run: {said}");
                let help = "compare texts with texts, and let the whole be true or false".to_owned();
                return Some(Problem { kind: ProblemKind::Type, at: 0..0, message, help });
            }
        }
    }
    None
}

struct Walk<'p> {
    text: &'p str,
    info: &'p SourceInfo,
    problems: Vec<Problem>,
    reads: Vec<Read>,
    texts: Vec<String>,
    plain: bool,
    /// The variable of the loop that is walked.
    bound: Option<&'p str>,
    depth: usize,
}

impl<'p> Walk<'p> {
    fn refuse(
        &mut self,
        kind: ProblemKind,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem { kind, at, message: message.into(), help: help.into() });
        }
    }

    /// Where a node's own token stands.
    fn token(&self, node: &IdedExpr) -> Range<usize> {
        let (start, last) = self.info.offset_for(node.id).unwrap_or((0, 0));
        let start = floor(self.text, usize::try_from(start).unwrap_or(0));
        let end = usize::try_from(last).unwrap_or(0).saturating_add(1).min(self.text.len());
        start..floor(self.text, end).max(start)
    }

    /// Where a node begins and ends, for those whose token is in their middle.
    fn span(&self, node: &IdedExpr) -> Range<usize> {
        let token = self.token(node);
        match &node.expr {
            Expr::Select(select) if !select.test => {
                let end = token.end.saturating_add(select.field.len()).min(self.text.len());
                self.token(&select.operand).start..floor(self.text, end)
            }
            // The token of a call is its bracket; its name stands before it.
            Expr::Call(call) if call.func_name.chars().all(char::is_alphanumeric) => {
                floor(self.text, token.start.saturating_sub(call.func_name.len()))..token.start
            }
            Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::INDEX => {
                let end = args.last().map_or(token.end, |key| self.token(key).end);
                args.first().map_or(token.start, |map| self.token(map).start)
                    ..floor(self.text, end.saturating_add(1).min(self.text.len()))
            }
            _ => token,
        }
    }

    fn expect(&mut self, node: &'p IdedExpr, wanted: Ty, what: &str) {
        if let Some(found) = self.ty(node)
            && found != wanted
        {
            let message = format!("{what} must be {}, not {}", wanted.word(), found.word());
            let help = match wanted {
                Ty::Bool => "compare it, such as `charge.model == 'a-model'`",
                Ty::Text => "write text in quotes, or a field such as `subject.tenant`",
                Ty::Number => "write a whole number, or `size(..)`",
                Ty::Texts => "write a list of texts, such as `['a', 'b']`",
            };
            let at = self.span(node);
            self.refuse(ProblemKind::Type, at, message, help);
        }
    }

    fn ty(&mut self, node: &'p IdedExpr) -> Option<Ty> {
        if self.depth >= MOST_DEPTH {
            let at = self.token(node);
            self.refuse(ProblemKind::TooComplex, at, "the expression is nested too deep", "write it flatter");
            return None;
        }
        self.depth = self.depth.saturating_add(1);
        let found = self.ty_within(node);
        self.depth = self.depth.saturating_sub(1);
        found
    }

    fn ty_within(&mut self, node: &'p IdedExpr) -> Option<Ty> {
        match &node.expr {
            Expr::Literal(LiteralValue::Boolean(_)) => Some(Ty::Bool),
            Expr::Literal(LiteralValue::String(text)) => {
                self.texts.push(text.inner().to_owned());
                Some(Ty::Text)
            }
            Expr::Literal(LiteralValue::Int(_)) => Some(Ty::Number),
            Expr::Ident(name) => self.ident(node, name),
            Expr::Select(select) => {
                let at = self.span(node);
                let Some(of) = self.map(&select.operand) else {
                    self.not_taken(at, "a field of anything but `charge` and `subject`");
                    return None;
                };
                self.read(of, &select.field, select.test, at);
                Some(if select.test { Ty::Bool } else { Ty::Text })
            }
            Expr::List(list) if list.optional_indices.is_empty() => {
                for item in &list.elements {
                    self.expect(item, Ty::Text, "an item of the list");
                }
                Some(Ty::Texts)
            }
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(each) => self.each(node, each),
            _ => {
                let at = self.token(node);
                self.not_taken(at, "a value of this kind");
                None
            }
        }
    }

    fn not_taken(&mut self, at: Range<usize>, what: &str) {
        let help = "write fields of `charge` and `subject`, texts, whole numbers and written lists, joined by \
                    comparisons, `&&`, `||`, `!`, `in`, `has` or what a text can be asked";
        self.refuse(ProblemKind::Unreadable, at, format!("{what} is not taken here"), help);
    }

    fn ident(&mut self, node: &'p IdedExpr, name: &'p str) -> Option<Ty> {
        if self.bound == Some(name) {
            return Some(Ty::Text);
        }
        let at = self.token(node);
        if self.map(node).is_some() {
            let one = if name == "charge" { field::MODEL } else { field::TENANT };
            let help = format!("name one of its fields, such as `{name}.{one}`");
            self.refuse(ProblemKind::Type, at, format!("`{name}` is no value by itself"), help);
            return None;
        }
        let help = match field::ALL.iter().chain(&CHARGE).find(|known| **known == name) {
            Some(known) if CHARGE.contains(known) => format!("write `charge.{known}`"),
            Some(known) => format!("write `subject.{known}`"),
            None => format!("write `charge.` or `subject.` with a field, or '{name}' in quotes for a text"),
        };
        self.refuse(ProblemKind::Unreadable, at, format!("there is no `{name}`"), help);
        None
    }

    fn map(&self, node: &IdedExpr) -> Option<Scope> {
        match &node.expr {
            Expr::Ident(name) if self.bound == Some(name.as_str()) => None,
            Expr::Ident(name) if name == "charge" => Some(Scope::Charge),
            Expr::Ident(name) if name == "subject" => Some(Scope::Subject),
            _ => None,
        }
    }

    fn read(&mut self, of: Scope, name: &str, asked: bool, at: Range<usize>) {
        if of == Scope::Charge && !CHARGE.contains(&name) {
            let help = match meant(name, CHARGE) {
                Some(close) => format!("did you mean `charge.{close}`?"),
                None => format!("a charge has {}; amounts are for `limit`", one_of(CHARGE)),
            };
            return self.refuse(ProblemKind::Unreadable, at, format!("a charge has no field `{name}`"), help);
        }
        self.reads.push(Read { of, name: name.to_owned(), asked, at });
    }

    fn call(&mut self, node: &'p IdedExpr, call: &'p CallExpr) -> Option<Ty> {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, None, [one]) => {
                self.expect(one, Ty::Bool, "what `!` turns round");
                Some(Ty::Bool)
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, None, [left, right]) => {
                let sign = if name == operators::LOGICAL_AND { "`&&`" } else { "`||`" };
                self.expect(left, Ty::Bool, &format!("what stands left of {sign}"));
                self.expect(right, Ty::Bool, &format!("what stands right of {sign}"));
                Some(Ty::Bool)
            }
            (operators::CONDITIONAL, None, [question, yes, no]) => {
                self.expect(question, Ty::Bool, "what stands before `?`");
                let found = self.ty(yes)?;
                self.expect(no, found, "what stands after `:`");
                Some(found)
            }
            (operators::EQUALS | operators::NOT_EQUALS, None, [left, right]) => {
                self.equal(left, right);
                Some(Ty::Bool)
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => {
                self.expect(left, Ty::Number, "what is compared");
                self.expect(right, Ty::Number, "what is compared");
                Some(Ty::Bool)
            }
            (operators::IN, None, [value, list]) => Some(self.within(value, list)),
            (operators::INDEX, None, [map, key]) => self.index(node, map, key),
            (method, Some(target), [argument]) if METHODS.contains(&method) => {
                self.plain = false;
                self.expect(target, Ty::Text, &format!("what `{method}` is asked of"));
                self.expect(argument, Ty::Text, &format!("what `{method}` asks for"));
                Some(Ty::Bool)
            }
            ("size", None, [one]) | ("size", Some(one), []) => {
                self.plain = false;
                self.expect(one, Ty::Text, "what `size` counts");
                Some(Ty::Number)
            }
            _ => {
                self.refuse_call(node, call);
                None
            }
        }
    }

    fn refuse_call(&mut self, node: &'p IdedExpr, call: &CallExpr) {
        let name = call.func_name.as_str();
        let at = self.span(node);
        let known = METHODS.into_iter().chain(["size", "exists", "all", "has"]);
        if name == "matches" {
            let help = "write `startsWith`, `endsWith`, `contains`, or globs under `subjects`";
            self.refuse(ProblemKind::Unreadable, at, "regular expressions are not taken here", help);
        } else if METHODS.contains(&name) {
            let help = format!("write it like `charge.model.{name}('text')`");
            self.refuse(ProblemKind::Unreadable, at, format!("`{name}` is asked of one text"), help);
        } else if name.chars().all(char::is_alphanumeric) {
            let help = match meant(name, known.clone()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("there is {}", one_of(known)),
            };
            self.refuse(ProblemKind::Unreadable, at, format!("there is no function `{name}`"), help);
        } else {
            let sign = name.replace(['_', '@'], "");
            self.not_taken(at, &format!("`{sign}`"));
        }
    }

    fn equal(&mut self, left: &'p IdedExpr, right: &'p IdedExpr) {
        let (Some(a), Some(b)) = (self.ty(left), self.ty(right)) else { return };
        if a != b || a == Ty::Texts {
            let message = format!("{} is never equal to {}", a.word(), b.word());
            let at = self.span(right);
            self.refuse(ProblemKind::Type, at, message, "compare text with text, a number with a number");
        }
        for (field, value) in [(left, right), (right, left)] {
            self.kind(field, value);
        }
    }

    /// `charge.kind` has three values: another one is a slip, and never true.
    fn kind(&mut self, field: &IdedExpr, value: &IdedExpr) {
        let Expr::Select(select) = &field.expr else { return };
        let Expr::Literal(LiteralValue::String(text)) = &value.expr else { return };
        let words = [ChargeKind::Tokens, ChargeKind::Gpu, ChargeKind::Other].map(ChargeKind::word);
        if self.map(&select.operand) == Some(Scope::Charge)
            && select.field == "kind"
            && !words.contains(&text.inner())
        {
            let at = self.token(value);
            let message = format!("`charge.kind` is never `{}`", text.inner());
            self.refuse(ProblemKind::Type, at, message, format!("write {}", one_of(words)));
        }
    }

    fn within(&mut self, value: &'p IdedExpr, list: &'p IdedExpr) -> Ty {
        match (self.map(list), &value.expr) {
            (Some(of), Expr::Literal(LiteralValue::String(name))) => {
                let at = self.token(value);
                self.read(of, name.inner(), true, at);
            }
            (Some(_), _) => {
                let at = self.span(value);
                self.not_taken(at, "a field whose name is not written out");
            }
            (None, _) => {
                self.expect(value, Ty::Text, "what stands left of `in`");
                self.expect(list, Ty::Texts, "what stands right of `in`");
                if let Expr::List(items) = &list.expr {
                    items.elements.iter().for_each(|item| self.kind(value, item));
                }
            }
        }
        Ty::Bool
    }

    fn index(&mut self, node: &'p IdedExpr, map: &'p IdedExpr, key: &'p IdedExpr) -> Option<Ty> {
        let at = self.span(node);
        match (self.map(map), &key.expr) {
            (Some(of), Expr::Literal(LiteralValue::String(name))) => self.read(of, name.inner(), false, at),
            (Some(_), _) => {
                self.not_taken(at, "a field whose name is not written out");
                return None;
            }
            (None, _) => {
                self.not_taken(at, "`[..]` behind anything but `charge` and `subject`");
                return None;
            }
        }
        Some(Ty::Text)
    }

    /// `exists` and `all`, as the parser writes them out.
    fn each(&mut self, node: &'p IdedExpr, each: &'p ComprehensionExpr) -> Option<Ty> {
        let at = self.token(node);
        let step = match &each.loop_step.expr {
            Expr::Call(CallExpr { func_name, args, target: None })
                if func_name == operators::LOGICAL_OR || func_name == operators::LOGICAL_AND =>
            {
                args.get(1)
            }
            _ => None,
        };
        let written = matches!(&each.iter_range.expr, Expr::List(_));
        let (Some(step), true, true, None) = (step, written, self.bound.is_none(), &each.iter_var2) else {
            self.not_taken(at, "a loop but `exists` or `all` over a written list of texts, one at a time,");
            return None;
        };
        self.expect(&each.iter_range, Ty::Texts, "what is gone through");
        self.bound = Some(&each.iter_var);
        self.expect(step, Ty::Bool, "the condition of each item");
        self.bound = None;
        Some(Ty::Bool)
    }
}
