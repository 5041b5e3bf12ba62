//! Most files are under 300 lines; over 500 one needs a reason here. (Functions over 70: clippy.toml.)

use std::collections::BTreeMap;

use crate::none;
use crate::source::sources;

const MOST_LINES: usize = 500;

/// Longer files, each with its reason.
const LONGER: [(&str, &str); 3] = [
    ("actions/tests/flows.rs", "every flow of an order against one API server in memory"),
    ("daemon/src/app/tests.rs", "the whole daemon in-process: one world and its flows"),
    ("daemon/src/http/shape.rs", "the JSON of every answer in one place, field by field"),
];

#[test]
fn a_file_of_more_than_500_lines_has_a_reason() {
    let reasons: BTreeMap<&str, &str> = LONGER.into();
    let mut wrong = Vec::new();
    let mut longer = Vec::new();
    for source in sources().iter().filter(|source| source.is_code()) {
        let lines = source.text.lines().count();
        if lines > MOST_LINES {
            longer.push(source.path.clone());
            if !reasons.contains_key(source.path.as_str()) {
                wrong.push(format!("{}: {lines} lines: part it, or list it with the reason", source.path));
            }
        }
    }
    let stale = reasons.keys().filter(|path| !longer.iter().any(|long| long == *path));
    wrong.extend(stale.map(|path| format!("{path}: not longer any more: take it off the list")));
    none("sizes", &wrong);
}
