//! A message as Slack Block Kit, within Slack's limits.
//!
//! Names come from outside (a tenant, a model, a caller's claim), so everything is escaped and sent
//! `verbatim`: nothing in it can call a channel, link or format. There are no buttons: a click would need
//! a way in from Slack, and a command line has an actor.

use policy::decision::Severity;
use slack_morphism::prelude::{
    SlackBlock, SlackBlockMarkDownText, SlackBlockPlainText, SlackBlockText, SlackContextBlock,
    SlackContextBlockElement, SlackHeaderBlock, SlackSectionBlock,
};

use crate::notify::fit;
use crate::notify::message::{Action, Message, REPEAT};

/// Characters of a header (docs.slack.dev, header block).
const HEADER: usize = 150;
/// Characters of a section's text (docs.slack.dev, section block).
const SECTION: usize = 3000;
/// Fields of a section (the same page).
const FIELDS: usize = 10;
/// Characters of a field (the same page).
const FIELD: usize = 2000;
/// Characters of a command that is shown: with seven of them the section still has room.
const COMMAND: usize = 400;
/// Characters of the text that notifications show. Slack cuts at 40,000; nobody reads more than this.
const FALLBACK: usize = 1000;
/// Objects that a message lists: more is a wall that hides the commands below it.
const TARGETS: usize = 20;

/// What is posted: blocks, and a text for notifications and for readers that show no blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct SlackPost {
    /// For notifications; escaped.
    pub text: String,
    /// Header, what happened, figures, objects, charges, what now, footer: at most eight blocks.
    pub blocks: Vec<SlackBlock>,
    /// All of it without blocks; escaped.
    plain: String,
}

impl SlackPost {
    /// The same without blocks, for where Slack will not have these.
    #[must_use]
    pub fn as_plain_text(self) -> Self {
        Self { text: self.plain.clone(), blocks: Vec::new(), plain: self.plain }
    }
}

/// A block, before it is one; all but the header is escaped.
enum Part {
    Header(String),
    Context(String),
    Section(String),
    Figures(Vec<String>),
}

impl Part {
    fn text(&self) -> String {
        match self {
            Self::Header(text) => fit::escaped(text, HEADER * 2),
            Self::Context(text) | Self::Section(text) => text.clone(),
            Self::Figures(fields) => {
                fields.iter().map(|f| f.replace("*\n", "* ")).collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn block(self) -> SlackBlock {
        match self {
            Self::Header(text) => {
                let text = SlackBlockPlainText::new(text).with_emoji(true);
                SlackBlock::Header(SlackHeaderBlock::new(text.into()))
            }
            Self::Context(text) => {
                let element = SlackContextBlockElement::MarkDown(verbatim(text));
                SlackBlock::Context(SlackContextBlock::new(vec![element]))
            }
            Self::Section(text) => {
                let text = SlackBlockText::MarkDown(verbatim(text));
                SlackBlock::Section(SlackSectionBlock::new().with_text(text))
            }
            Self::Figures(fields) => {
                let fields = fields.into_iter().map(|f| SlackBlockText::MarkDown(verbatim(f))).collect();
                SlackBlock::Section(SlackSectionBlock::new().with_fields(fields))
            }
        }
    }
}

/// Writes a message as Slack blocks, and as the same in plain text.
#[must_use]
pub fn slack_post(message: &Message) -> SlackPost {
    let title = format!("{} {}", sign(message.severity), message.title);
    let parts = parts(message, &title);
    let plain = parts.iter().map(Part::text).collect::<Vec<_>>().join("\n\n");
    let blocks = parts.into_iter().map(Part::block).collect();
    SlackPost { text: fit::escaped(&title, FALLBACK), blocks, plain }
}

fn parts(message: &Message, title: &str) -> Vec<Part> {
    let mut parts = vec![Part::Header(fit::plain(title, HEADER))];
    if message.repeat {
        parts.push(context(REPEAT));
    }
    let said: Vec<String> = message.lines.iter().map(|line| fit::escaped(line, SECTION / 2)).collect();
    parts.extend(section(None, &said, usize::MAX));
    parts.extend(figures(message));
    let targets: Vec<String> =
        message.targets.iter().map(|target| fit::escaped(&target.to_string(), SECTION / 4)).collect();
    parts.extend(section(Some("Objects"), &targets, TARGETS));
    let charges: Vec<String> = message.charges.iter().map(|c| fit::escaped(c, SECTION / 4)).collect();
    parts.extend(section(Some("Largest charges"), &charges, TARGETS));
    let actions: Vec<String> = message.actions.iter().map(|action| offered(message, action)).collect();
    parts.extend(section(Some("What now"), &actions, TARGETS));
    if !message.footer.is_empty() {
        parts.push(context(&message.footer));
    }
    parts
}

/// An action with its command. A command is whole or not there: a part of one, pasted, does something else.
fn offered(message: &Message, action: &Action) -> String {
    let what = fit::escaped(&action.what, SECTION / 8);
    match fit::whole(&action.command, COMMAND) {
        Some(command) => format!("• {what}: `{command}`"),
        None => format!("• {what}: too long to show here, see `{}`", message.everything()),
    }
}

/// A sign that is seen before the words are read.
const fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "🔵",
        Severity::Warning => "🟡",
        Severity::Critical => "🔴",
    }
}

/// Text that is escaped already.
fn verbatim(text: String) -> SlackBlockMarkDownText {
    SlackBlockMarkDownText::new(text).with_verbatim(true)
}

fn context(text: &str) -> Part {
    Part::Context(fit::escaped(text, FIELD))
}

/// A section of escaped lines under a heading; nothing where there is nothing to say.
fn section(heading: Option<&str>, lines: &[String], count: usize) -> Option<Part> {
    if lines.is_empty() {
        return None;
    }
    let heading = heading.map_or(String::new(), |heading| format!("*{heading}*\n"));
    let room = SECTION - heading.chars().count();
    Some(Part::Section(format!("{heading}{}", fit::lines(lines, room, count))))
}

fn figures(message: &Message) -> Option<Part> {
    if message.fields.is_empty() {
        return None;
    }
    let field = |field: &crate::notify::message::Field| {
        format!("*{}*\n{}", field.name, fit::escaped(&field.value, FIELD / 2))
    };
    Some(Part::Figures(message.fields.iter().take(FIELDS).map(field).collect()))
}
