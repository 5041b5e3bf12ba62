//! Secrets: where they are, read at each use so that rotation works, and never shown.

use std::fmt;

use policy::rule::SecretRef;

/// A token, a signing secret or a secret URL. Its `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret as it was read; white space around it is no part of it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The secret itself, for the one request that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// Why there is no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set, or is empty.
    #[error("environment variable `{0}` is not set or empty; set it to the secret and restart")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("secret file `{path}` cannot be read: {because}")]
    NoFile {
        /// Path as in the rule.
        path: String,
        /// The system's word.
        because: String,
    },
    /// The file has nothing in it.
    #[error("secret file `{0}` is empty; write the secret into it")]
    EmptyFile(String),
}

impl SecretError {
    /// Whether it can be there later: a file can, a process's environment cannot.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        !matches!(self, Self::NoVariable(_))
    }
}

/// Where secrets come from.
pub trait Secrets: Send + Sync {
    /// Reads one.
    ///
    /// # Errors
    /// When it is not there or empty.
    fn read(&self, from: &SecretRef) -> Result<Secret, SecretError>;
}

/// The process's environment and files.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvironmentAndFiles;

impl Secrets for EnvironmentAndFiles {
    fn read(&self, from: &SecretRef) -> Result<Secret, SecretError> {
        match from {
            SecretRef::Env(name) => match std::env::var(&**name) {
                Ok(text) if !text.trim().is_empty() => Ok(Secret::new(&text)),
                _ => Err(SecretError::NoVariable(name.to_string())),
            },
            SecretRef::File(path) => {
                let text = std::fs::read_to_string(&**path).map_err(|error| SecretError::NoFile {
                    path: path.to_string(),
                    because: error.to_string(),
                })?;
                match text.trim().is_empty() {
                    true => Err(SecretError::EmptyFile(path.to_string())),
                    false => Ok(Secret::new(&text)),
                }
            }
        }
    }
}

/// Where a secret is, for people and for the names of receivers: never the secret itself.
pub(crate) fn place(of: &SecretRef) -> String {
    match of {
        SecretRef::Env(name) => format!("env {name}"),
        SecretRef::File(path) => format!("file {path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_in_its_debug() {
        let text = format!("{:?}", Secret::new("xoxb-123\n"));
        assert_eq!(text, "Secret(8 bytes)");
    }

    #[test]
    fn a_file_is_read_at_each_use_and_an_empty_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let from = SecretRef::File(path.to_string_lossy().into());
        let read = || EnvironmentAndFiles.read(&from);
        assert!(matches!(read(), Err(SecretError::NoFile { .. })));
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(read(), Err(SecretError::EmptyFile(_))));
        std::fs::write(&path, "first\n").unwrap();
        assert_eq!(read().unwrap().reveal(), "first");
        std::fs::write(&path, "second\n").unwrap();
        assert_eq!(read().unwrap().reveal(), "second");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named_and_never_tried_again() {
        let from = SecretRef::Env("BREAKERBOX_TEST_NO_SUCH_VARIABLE".into());
        let error = EnvironmentAndFiles.read(&from).unwrap_err();
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("`BREAKERBOX_TEST_NO_SUCH_VARIABLE`"));
    }
}
