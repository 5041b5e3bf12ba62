//! The freeze marker: how people stop us without the daemon and without the journal.
//!
//! In a cluster it is the ConfigMap `breakerbox-freeze` in our namespace, outside one a file. It is read
//! just before each write that stops something. Only an absent marker, or one that says `frozen: "false"`,
//! means that there is no freeze; whatever else it says, and a marker that cannot be read, is a freeze.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use policy::time::Timestamp;

use crate::api_error::ApiError;
use crate::guard::FreezeSeen;
use crate::undo::MANAGER;

/// Name of the ConfigMap.
pub const CONFIG_MAP: &str = "breakerbox-freeze";
/// How often a write of the marker is tried when somebody else writes it too.
const TRIES: usize = 5;

/// Where the marker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The ConfigMap in this namespace.
    ConfigMap {
        /// Our own namespace.
        namespace: String,
    },
    /// This file; it is there while frozen.
    File(PathBuf),
}

/// Why the marker could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The file.
    #[error("cannot write `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else writes it all the time.
    #[error("the freeze marker changed {TRIES} times while it was written; try again")]
    Contended,
}

/// Who freezes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreezeNote<'a> {
    /// Who.
    pub by: &'a str,
    /// For people.
    pub reason: &'a str,
    /// When.
    pub at: Timestamp,
}

/// Reads the marker.
pub(crate) async fn read(client: &Client, marker: &Marker) -> FreezeSeen {
    match marker {
        Marker::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => FreezeSeen::Frozen(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => FreezeSeen::None,
            Err(error) => FreezeSeen::Unreadable(error.to_string()),
        },
        Marker::ConfigMap { namespace } => {
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            match maps.get_opt(CONFIG_MAP).await {
                Ok(map) => map.map_or(FreezeSeen::None, |map| seen(&map)),
                Err(error) => {
                    FreezeSeen::Unreadable(ApiError::of("read the freeze marker", error).to_string())
                }
            }
        }
    }
}

fn seen(map: &ConfigMap) -> FreezeSeen {
    let data = |key: &str| map.data.as_ref().and_then(|data| data.get(key)).map_or("", String::as_str);
    match data("frozen") {
        "false" => FreezeSeen::None,
        _ => FreezeSeen::Frozen(format!("{} ({})", data("reason"), data("by"))),
    }
}

/// Freezes (with a note), or ends the freeze. Works with nothing but a client.
///
/// # Errors
/// The marker could not be written: then nothing is known to be frozen.
pub async fn write(
    client: &Client,
    marker: &Marker,
    frozen: bool,
    note: &FreezeNote<'_>,
) -> Result<(), FreezeError> {
    match marker {
        Marker::File(path) => {
            let done = match frozen {
                true => std::fs::write(path, format!("{} ({}, {})\n", note.reason, note.by, note.at)),
                false => std::fs::remove_file(path).or_else(|e| match e.kind() {
                    ErrorKind::NotFound => Ok(()),
                    _ => Err(e),
                }),
            };
            done.map_err(|source| FreezeError::File { path: path.clone(), source })
        }
        Marker::ConfigMap { namespace } => write_map(client, namespace, frozen, note).await,
    }
}

async fn write_map(
    client: &Client,
    namespace: &str,
    frozen: bool,
    note: &FreezeNote<'_>,
) -> Result<(), FreezeError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let what = "write the freeze marker";
    for _ in 0..TRIES {
        let old = maps.get_opt(CONFIG_MAP).await.map_err(|e| ApiError::of(what, e))?;
        let is_new = old.is_none();
        let mut map = old.unwrap_or_else(|| ConfigMap {
            metadata: ObjectMeta { name: Some(CONFIG_MAP.to_owned()), ..ObjectMeta::default() },
            ..ConfigMap::default()
        });
        map.data = Some(data(frozen, note));
        let written = match is_new {
            true => maps.create(&params, &map).await,
            false => maps.replace(CONFIG_MAP, &params, &map).await,
        };
        match written.map_err(|e| ApiError::of(what, e)) {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some(409) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(FreezeError::Contended)
}

fn data(frozen: bool, note: &FreezeNote<'_>) -> BTreeMap<String, String> {
    [
        ("frozen", frozen.to_string()),
        ("by", note.by.to_owned()),
        ("reason", note.reason.to_owned()),
        ("at", note.at.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> ConfigMap {
        let data = entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ConfigMap { data: Some(data), ..ConfigMap::default() }
    }

    #[test]
    fn only_the_word_false_ends_a_freeze() {
        assert_eq!(seen(&map(&[("frozen", "false")])), FreezeSeen::None);
        for entries in [&[][..], &[("frozen", "")], &[("frozen", "no")], &[("frozen", "true")], &[("x", "y")]]
        {
            assert!(matches!(seen(&map(entries)), FreezeSeen::Frozen(_)), "{entries:?}");
        }
        assert!(matches!(seen(&ConfigMap::default()), FreezeSeen::Frozen(_)));
    }
}
