//! Finds the JSON objects in a text, whatever holds them together: lines, one pretty-printed object after
//! another, or the elements of an array.
//!
//! A record is read straight into its type; only when that fails is the text scanned for where the bad
//! record ends, so that one bad line costs itself and nothing else. What tells that a record was cut off and
//! another begins: a line break inside a string, or an opening brace in the first column of a line (both
//! cannot stand in a record that the parser had to give up on). It holds no state but a position, and keeps
//! nothing.

use serde::de::Deserialize;

/// What comes next in a text.
#[derive(Debug)]
pub(crate) enum Piece<'a, T> {
    /// A record.
    Record(T),
    /// A stretch that is no record of that type, and why.
    Broken {
        /// The stretch.
        text: &'a str,
        /// What the parser said.
        error: serde_json::Error,
    },
    /// What is left is the beginning of a record, or nothing.
    Incomplete,
}

/// A walk through a text.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    text: &'a str,
    at: usize,
    began: usize,
}

impl<'a> Pieces<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, began: 0 }
    }

    /// Bytes that are dealt with: up to here nothing need be read again.
    pub(crate) const fn consumed(&self) -> usize {
        self.at
    }

    /// Where the last piece began.
    pub(crate) const fn began(&self) -> usize {
        self.began
    }

    /// What is not dealt with.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next piece.
    pub(crate) fn next<T: Deserialize<'a>>(&mut self) -> Piece<'a, T> {
        self.skip_between();
        self.began = self.at;
        let rest = self.rest();
        if rest.is_empty() {
            return Piece::Incomplete;
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        let error = match values.next() {
            Some(Ok(record)) if rest.starts_with('{') => {
                self.at += values.byte_offset();
                return Piece::Record(record);
            }
            // A type that reads anything would take a bare number for a record.
            Some(Ok(_)) => serde::de::Error::custom("expected an object in braces"),
            Some(Err(error)) if error.is_eof() => return Piece::Incomplete,
            Some(Err(error)) => error,
            None => return Piece::Incomplete,
        };
        let Some(end) = end_of_broken(rest.as_bytes()) else { return Piece::Incomplete };
        let text = &rest[..end];
        self.at += end;
        Piece::Broken { text: text.trim_end(), error }
    }

    /// Gives up what is left, where nothing more will come.
    pub(crate) fn abandon(&mut self) -> &'a str {
        let rest = self.rest().trim_end();
        self.at = self.text.len();
        rest
    }

    /// White space, commas, the brackets of an array around records, and a byte order mark.
    fn skip_between(&mut self) {
        let between = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n' | ',' | '[' | ']' | '\u{feff}');
        self.at = self.text.len() - self.rest().trim_start_matches(between).len();
    }
}

/// Where a record that cannot be read ends; `None` when that is further on.
fn end_of_broken(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'{') {
        return text.iter().position(|b| *b == b'\n').map(|at| at + 1);
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            // Neither can a string hold a line break, nor does a record begin inside another.
            b'\n' if in_string => return Some(at + 1),
            b'{' if at > 0 && text[at - 1] == b'\n' => return Some(at),
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Row {
        n: u32,
    }

    /// What a walk finds: `n` of a record, the text of a broken stretch, and what is left.
    fn walk(text: &str) -> (Vec<Result<u32, String>>, String) {
        let mut pieces = Pieces::new(text);
        let mut found = Vec::new();
        loop {
            match pieces.next::<Row>() {
                Piece::Record(row) => found.push(Ok(row.n)),
                Piece::Broken { text, .. } => found.push(Err(text.to_owned())),
                Piece::Incomplete => return (found, pieces.rest().to_owned()),
            }
        }
    }

    #[test]
    fn lines_arrays_and_pretty_printed_objects_give_the_same_records() {
        for text in [
            "{\"n\":1}\n{\"n\":2}\n",
            "{\"n\":1}\r\n\r\n{\"n\":2}",
            "[{\"n\":1},{\"n\":2}]",
            "[\n  {\n    \"n\": 1\n  },\n  {\n    \"n\": 2\n  }\n]\n",
            "{\n  \"n\": 1\n}\n{\n  \"n\": 2\n}",
            "\u{feff}{\"n\":1}{\"n\":2}",
        ] {
            assert_eq!(walk(text), (vec![Ok(1), Ok(2)], String::new()), "{text}");
        }
    }

    #[test]
    fn a_bad_line_costs_itself_and_nothing_else() {
        for (bad, kept) in [
            ("not json\n", "not json"),
            ("{\"n\":\"x\"}\n", "{\"n\":\"x\"}"),
            ("{\"n\": \"cut off in a str\n", "{\"n\": \"cut off in a str"),
            ("{\"n\": {\"m\": 1\n", "{\"n\": {\"m\": 1"),
            ("{\"n\":1]\n", "{\"n\":1]"),
            ("7\n", "7"),
            ("{\"m\": \"} \\\" {\"}\n", "{\"m\": \"} \\\" {\"}"),
        ] {
            let text = format!("{{\"n\":1}}\n{bad}{{\"n\":2}}\n");
            assert_eq!(walk(&text), (vec![Ok(1), Err(kept.to_owned()), Ok(2)], String::new()), "{bad}");
        }
    }

    #[test]
    fn a_record_that_is_not_all_there_waits() {
        for tail in ["{\"n\":", "{", "{\"n\":3", "nonsense without an end", "{\"n\":\"x", "7"] {
            let text = format!("{{\"n\":1}}\n{tail}");
            assert_eq!(walk(&text), (vec![Ok(1)], tail.to_owned()), "{tail}");
        }
    }

    #[test]
    fn any_text_is_walked_to_its_end_without_a_panic() {
        // Every text of up to six of these bytes.
        const ALPHABET: [char; 7] = ['{', '}', '"', '\n', '[', '\\', '1'];
        for number in 0..7_usize.pow(6) {
            let text: String = (0..6).map(|place| ALPHABET[number / 7_usize.pow(place) % 7]).collect();
            walk(&text);
        }
    }
}
