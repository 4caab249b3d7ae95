//! Directories and files that only this user of the machine may read: embedded stores hold personal data, and keys that
//! sign tokens.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The permission bits of a file's group and of everybody else.
const OTHERS: u32 = 0o077;
/// The sticky bit, of directories that many users share, as `/tmp`.
const SHARED: u32 = 0o1000;

/// Creates the directory, and missing ones above it, for this user alone. Of an existing directory, the permissions of
/// other users are removed. Fails where that can't be done, and for a directory that is meant to be shared.
pub fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & SHARED != 0 {
        return Err(io::Error::other("it's shared with other users: a directory of its own is needed"));
    }
    close(path)
}

/// Opens a file for appending; creates it for this user alone, or removes other users' permissions of an existing one.
pub fn file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    close(path)?;
    Ok(file)
}

/// Removes other users' permissions of a file or a directory, if it exists.
pub fn close(path: &Path) -> io::Result<()> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    let mut permissions = metadata.permissions();
    let mode = permissions.mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    permissions.set_mode(mode & !OTHERS);
    let why = |error: io::Error| {
        let open = mode & 0o777;
        io::Error::new(
            error.kind(),
            format!("{} is open to others (mode {open:o}) and can't be closed to them: {error}", path.display()),
        )
    };
    fs::set_permissions(path, permissions).map_err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_and_what_is_there_is_closed_to_others() {
        let above = tempfile::tempdir().unwrap();
        let inner = above.path().join("a/b");
        directory(&inner).unwrap();
        assert_eq!((mode(&inner), mode(&above.path().join("a"))), (0o700, 0o700));
        set_mode(&inner, 0o755);
        directory(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);

        let kept = inner.join("kept");
        file(&kept).unwrap();
        assert_eq!(mode(&kept), 0o600);
        fs::write(&kept, "text").unwrap();
        set_mode(&kept, 0o664);
        file(&kept).unwrap();
        assert_eq!((mode(&kept), fs::read_to_string(&kept).unwrap()), (0o600, "text".to_owned()));
        close(&inner.join("isn't there")).unwrap();
    }

    #[test]
    fn a_directory_that_is_there_to_be_shared_is_left_as_it_is() {
        let above = tempfile::tempdir().unwrap();
        let shared = above.path().join("shared");
        fs::create_dir(&shared).unwrap();
        set_mode(&shared, 0o1777);
        assert!(directory(&shared).unwrap_err().to_string().contains("shared with other users"));
        assert_eq!(mode(&shared), 0o1777);
    }
}
