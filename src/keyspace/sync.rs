//! Makes the store's own syncs real.
//!
//! sled 0.34 syncs with `sync_file_range`, which writes pages but no metadata and does not flush the
//! disk's cache; it then reuses space whose replacement is not durable. This module defines the
//! symbol for the whole program, so that each such call is an fdatasync. A sync that fails ends the
//! process: after it the kernel may call the same pages clean. See [`self_check`].

#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fatal;

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Takes the place of the C library's function of this name.
///
/// # Safety
///
/// As for the function it replaces: `fd` must be open for the length of the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn sync_file_range(fd: c_int, _from: i64, _bytes: i64, _how: c_uint) -> c_int {
    CALLS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the caller keeps `fd` open during the call.
    let file = unsafe { BorrowedFd::borrow_raw(fd) };
    loop {
        match rustix::fs::fdatasync(file) {
            Ok(()) => return 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => fatal::stop(&format!("the store's file could not be synced: {error}")),
        }
    }
}

/// Whether a call of the C function, as the store makes it, arrives here.
pub(super) fn self_check(file: &std::fs::File) -> bool {
    let before = CALLS.load(Ordering::Relaxed);
    // SAFETY: the file is open.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, 0) };
    result == 0 && CALLS.load(Ordering::Relaxed) > before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_function_is_ours() {
        assert!(self_check(&tempfile::tempfile().unwrap()));
    }
}
