//! Any bytes as a rule file: refused with a bounded report, or a set that selects only what it names.
#![no_main]

#[path = "../../tests/loader/entry.rs"]
mod entry;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = entry::read(text);
    }
});
