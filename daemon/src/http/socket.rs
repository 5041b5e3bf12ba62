//! The operator socket: a file of mode 0600, and the kernel's word for who is at the other end.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use nix::unistd::{Uid, User};
use tokio::net::UnixListener;

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The actor in the record, `uid:1000 (alice)`; nothing when the kernel would not say.
    pub actor: Option<String>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let actor = stream.io().peer_cred().ok().map(|peer| actor_of(peer.uid()));
        Self { actor }
    }
}

/// `uid:1000 (alice)`, or `uid:1000` where the system has no name for it.
#[must_use]
pub fn actor_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("uid:{uid} ({})", user.name),
        _ => format!("uid:{uid}"),
    }
}

/// Binds the socket, mode 0600 from its first moment. What is left of an earlier daemon is replaced; a socket
/// that answers, or a file that is no socket, is not.
///
/// # Errors
/// When it cannot be bound, or something else is there.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let text = "there is a file that is no socket: name another path with `socket:`";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(_) if BlockingStream::connect(path).is_ok() => {
            let text = "another breakerbox answers there: stop it first, or name another path with `socket:`";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Bound under a name that nobody knows and opened to its owner only before it gets its own: there is no
    // moment in which others could connect, whatever the umask.
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
    fs::rename(&draft, path)?;
    Ok(listener)
}
