//! What is refused before it is parsed. The parser recurses at brackets and at `? :`, kilobytes of stack for each,
//! so their depth is counted here first; and what this language does not need of CEL's
//! quotes and comments is refused, so that what is inside a text is known for certain.

use std::ops::Range;

/// Longest expression, in bytes.
pub(super) const MOST_BYTES: usize = 1000;
/// Deepest nesting of brackets.
const MOST_BRACKETS: usize = 8;
/// `? :` in one expression.
const MOST_CHOICES: usize = 8;

/// What is not taken.
pub(super) struct Beyond {
    /// Beyond a bound; else a sign of CEL's that is not taken.
    pub(super) too_much: bool,
    pub(super) message: String,
    pub(super) at: Range<usize>,
    pub(super) help: &'static str,
}

fn sign(message: impl Into<String>, at: Range<usize>, help: &'static str) -> Result<(), Beyond> {
    Err(Beyond { too_much: false, message: message.into(), at, help })
}

const PLAIN_QUOTES: &str = "write text in plain quotes, 'like this'";

/// Looks through the text once.
pub(super) fn look_through(text: &str) -> Result<(), Beyond> {
    if text.len() > MOST_BYTES {
        let message = format!("the expression has {} bytes; the most is {MOST_BYTES}", text.len());
        let help = "write several budgets, or set a field in an Attribution";
        return Err(Beyond { too_much: true, message, at: 0..0, help });
    }
    let (mut depth, mut choices) = (0_usize, 0_usize);
    let mut rest = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, c)) = rest.next() {
        let here = at..at + c.len_utf8();
        match c {
            '\'' | '"' => {
                if before.is_alphanumeric() {
                    return sign(format!("`{before}{c}` begins no plain text"), here, PLAIN_QUOTES);
                }
                skip_text(c, &mut rest);
                if rest.peek().is_some_and(|(_, next)| *next == c) {
                    return sign("three quotes begin no plain text", here, PLAIN_QUOTES);
                }
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '?' => choices += 1,
            '`' => return sign("a backtick quotes nothing here", here, "write `subject[\"a/key\"]`"),
            '/' if before == '/' => {
                return sign("a comment inside the expression", here, "write it beside, after `#`");
            }
            _ => {}
        }
        if depth > MOST_BRACKETS || choices > MOST_CHOICES {
            let message = "the expression is nested too deep".to_owned();
            let help = "write it flatter: lists, `&&` and `||` need no brackets";
            return Err(Beyond { too_much: true, message, at: here, help });
        }
        before = c;
    }
    Ok(())
}

/// Goes to the end of a text that has begun with that quote.
fn skip_text(quote: char, rest: &mut impl Iterator<Item = (usize, char)>) {
    while let Some((_, c)) = rest.next() {
        if c == quote {
            return;
        }
        if c == '\\' {
            rest.next();
        }
    }
}
