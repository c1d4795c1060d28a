//! Stop on doubt: the one place that ends the process.
//!
//! After a failed sync, a failed apply or a panic of the store, nothing that this process knows about
//! its disk can be trusted, and nothing is retried in place. The process leaves a mark that the
//! keyspace is suspect and ends with code 74; the next start rebuilds what needs rebuilding. Waiting
//! callers get no answer rather than a wrong one.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// The exit code of an input or output error (`EX_IOERR` of sysexits.h).
pub(crate) const EXIT_IO: u8 = 74;

/// How long the marks and the message may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The marks to leave, one for each directory that this process has open.
static MARKS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Has [`stop`] leave a mark at this path, from now on.
pub(crate) fn mark_on_stop(path: PathBuf) {
    MARKS.lock().unwrap_or_else(PoisonError::into_inner).push(path);
}

/// Takes back a [`mark_on_stop`].
pub(crate) fn forget_mark(path: &std::path::Path) {
    MARKS.lock().unwrap_or_else(PoisonError::into_inner).retain(|mark| mark != path);
}

/// Ends the process because its disk or its store is in doubt.
#[allow(clippy::disallowed_methods)] // This is the place.
pub(crate) fn stop(why: &str) -> ! {
    // The disk that is in doubt may hang; the end of the process must not wait for it for long.
    let (done, leaving) = mpsc::channel();
    let why = why.to_owned();
    let leave = move || {
        leave_word(&why);
        // The receiver may have given up waiting.
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(leave).is_ok() {
        // Either way the process ends now.
        let _ = leaving.recv_timeout(PATIENCE);
    }
    std::process::exit(EXIT_IO.into())
}

fn leave_word(why: &str) {
    for mark in MARKS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // The mark is a precaution on a disk that may refuse everything.
        let _ = std::fs::write(mark, why).and_then(|()| std::fs::File::open(mark)?.sync_all());
    }
    // Written past the log, whose queue would be lost; a stderr that is gone is no reason to stay.
    let _ = writeln!(
        std::io::stderr(),
        "rosterd stops: {why}. Nothing that was acknowledged is lost; the next start recovers it \
         from the journal. Look at the disk before that."
    );
}
