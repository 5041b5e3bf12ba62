//! Small files that must be there after a power cut, whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file so that after a crash there is the old one or the new one, never a part, and once this
/// returns it is the new one: a draft beside it, made durable, renamed, and the folder made durable.
///
/// # Errors
/// When any of it fails; the old file may then still be there.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.part", std::process::id()));
    let written = || -> io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        sync_folder(path)
    };
    written().inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })
}

/// Removes a file so that it stays away after a crash.
///
/// # Errors
/// When it cannot be removed, as where there is none.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("freeze");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        // A folder in the place of the file: the rename fails after the draft was written.
        let blocked = dir.path().join("blocked");
        fs::create_dir_all(blocked.join("in")).unwrap();
        write(&blocked, b"x").unwrap_err();
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["blocked", "freeze"]);
        remove(&path).unwrap();
        assert_eq!(remove(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_write_replaces_the_file_and_never_writes_into_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("freeze");
        write(&path, b"one").unwrap();
        let old = dir.path().join("old");
        fs::hard_link(&path, &old).unwrap();
        write(&path, b"two").unwrap();
        assert_eq!((fs::read(&old).unwrap(), fs::read(&path).unwrap()), (b"one".to_vec(), b"two".to_vec()));
    }
}
