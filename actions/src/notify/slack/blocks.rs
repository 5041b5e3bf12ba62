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
use crate::notify::message::{Message, REPEAT};

/// Characters of a header (docs.slack.dev, header block).
const HEADER: usize = 150;
/// Characters of a section's text (docs.slack.dev, section block).
const SECTION: usize = 3000;
/// Fields of a section (the same page).
const FIELDS: usize = 10;
/// Characters of a field (the same page).
const FIELD: usize = 2000;
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
}

/// Writes a message as Slack blocks.
#[must_use]
pub fn slack_post(message: &Message) -> SlackPost {
    let title = format!("{} {}", sign(message.severity), message.title);
    let mut blocks = vec![header(&title)];
    if message.repeat {
        blocks.push(context(REPEAT));
    }
    let said: Vec<String> = message.lines.iter().map(|line| fit::escaped(line, SECTION / 2)).collect();
    blocks.extend(section(None, &said, usize::MAX));
    blocks.extend(figures(message));
    let targets: Vec<String> =
        message.targets.iter().map(|target| fit::escaped(&target.to_string(), SECTION / 4)).collect();
    blocks.extend(section(Some("Objects"), &targets, TARGETS));
    let charges: Vec<String> = message.charges.iter().map(|c| fit::escaped(c, SECTION / 4)).collect();
    blocks.extend(section(Some("Largest charges"), &charges, TARGETS));
    let actions: Vec<String> = message
        .actions
        .iter()
        .map(|a| {
            format!("• {}: `{}`", fit::escaped(&a.what, SECTION / 8), fit::escaped(&a.command, SECTION / 8))
        })
        .collect();
    blocks.extend(section(Some("What now"), &actions, TARGETS));
    if !message.footer.is_empty() {
        blocks.push(context(&message.footer));
    }
    SlackPost { text: fit::escaped(&title, FALLBACK), blocks }
}

/// A sign that is seen before the words are read.
const fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "🔵",
        Severity::Warning => "🟡",
        Severity::Critical => "🔴",
    }
}

fn header(title: &str) -> SlackBlock {
    let text = SlackBlockPlainText::new(fit::plain(title, HEADER)).with_emoji(true);
    SlackBlock::Header(SlackHeaderBlock::new(text.into()))
}

/// Text that is escaped already.
fn verbatim(text: String) -> SlackBlockMarkDownText {
    SlackBlockMarkDownText::new(text).with_verbatim(true)
}

fn context(text: &str) -> SlackBlock {
    let text = verbatim(fit::escaped(text, FIELD));
    SlackBlock::Context(SlackContextBlock::new(vec![SlackContextBlockElement::MarkDown(text)]))
}

/// A section of escaped lines under a heading; nothing where there is nothing to say.
fn section(heading: Option<&str>, lines: &[String], count: usize) -> Option<SlackBlock> {
    if lines.is_empty() {
        return None;
    }
    let heading = heading.map_or(String::new(), |heading| format!("*{heading}*\n"));
    let room = SECTION - heading.chars().count();
    let text = format!("{heading}{}", fit::lines(lines, room, count));
    Some(SlackBlock::Section(SlackSectionBlock::new().with_text(SlackBlockText::MarkDown(verbatim(text)))))
}

fn figures(message: &Message) -> Option<SlackBlock> {
    if message.fields.is_empty() {
        return None;
    }
    let field = |field: &crate::notify::message::Field| {
        let text = format!("*{}*\n{}", field.name, fit::escaped(&field.value, FIELD / 2));
        SlackBlockText::MarkDown(verbatim(text))
    };
    let fields = message.fields.iter().take(FIELDS).map(field).collect();
    Some(SlackBlock::Section(SlackSectionBlock::new().with_fields(fields)))
}
