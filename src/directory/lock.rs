//! The lock of a data directory: one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::{Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::open::io_error;
use crate::journal::file;

/// A data directory that this process holds the lock of. The lock goes with the process, however it
/// ends.
///
/// The lock is on the folder itself: a LOCK file that somebody removes does not let a second process
/// in. The file only says who has it.
#[derive(Debug)]
pub struct LockedDir {
    path: PathBuf,
    _folder: File,
    lock: File,
}

impl LockedDir {
    /// Makes the folder if need be and takes its lock.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] names the process that has it; [`OpenError::Io`] if the folder cannot
    /// be written to.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        file::create_private_dir(path).map_err(io_error("create", path))?;
        let folder = File::open(path).map_err(io_error("open", path))?;
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(path)),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", path)(error)),
        }
        let file = path.join("LOCK");
        let lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(io_error("open", &file))?;
        let mut dir = Self { path: path.to_owned(), _folder: folder, lock };
        dir.announce(&[])?;
        Ok(dir)
    }

    /// Notes in the LOCK file where this process can be reached: a line `pid N`, then a line
    /// `listen ADDRESS` for each address.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] if it cannot be written.
    pub fn announce(&mut self, addresses: &[String]) -> Result<(), OpenError> {
        let mut text = format!("pid {}\n", std::process::id());
        for address in addresses {
            text.push_str(&format!("listen {address}\n"));
        }
        let mut write = || {
            self.lock.rewind()?;
            self.lock.write_all(text.as_bytes())?;
            self.lock.set_len(text.len() as u64)
        };
        write().map_err(io_error("write", &self.path.join("LOCK")))
    }

    /// Notes that nobody has the directory any more.
    pub(super) fn forget_holder(&self) -> std::io::Result<()> {
        self.lock.set_len(0)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub(super) fn keyspace(&self) -> PathBuf {
        self.path.join("keyspace")
    }

    pub(super) fn suspect(&self) -> PathBuf {
        self.path.join("suspect")
    }
}

fn locked(path: &Path) -> OpenError {
    // The message is only poorer without it.
    let text = fs::read_to_string(path.join("LOCK")).unwrap_or_default();
    let words = |key: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key));
        lines.collect::<Vec<_>>().join(", ")
    };
    OpenError::Locked { dir: path.to_owned(), pid: words("pid "), addresses: words("listen ") }
}

/// The pid of the process that says it holds the lock of a folder.
pub(super) fn holder(path: &Path) -> Option<u32> {
    let text = fs::read_to_string(path.join("LOCK")).ok()?;
    text.lines().next()?.strip_prefix("pid ")?.parse().ok()
}
