//! Brings the keyspace to where the journal stands.
//!
//! Replay starts after the checkpoint, whatever the keyspace seems to hold, and ends with the last
//! frame. After a clean stop that is nothing. After an unclean one the store may panic or show
//! damage, and a process in which it did can trust no other store: so the first open and the replay
//! happen in a child process. If the child fails, the keyspace is suspect: it is set aside, and a
//! new one is built from the journal beside it. If the machine has booted since, the child also
//! reads everything and compares it with what the journal says it adds up to.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use super::open::io_error;
use super::{LockedDir, OpenError, Options, lock};
use crate::domain::{Revision, Totals};
use crate::fatal;
use crate::journal::{Groups, Journal, LastStop, file};
use crate::keyspace::{Keyspace, KeyspaceError};

/// The sub-command under which a child recovers a keyspace: data directory, name of the keyspace,
/// bytes of cache, `verify` or `trust`.
pub const RECOVER_COMMAND: &str = "recover-keyspace";

const SUSPECT: u8 = 65;
const REFUSED: u8 = 69;

/// The keyspace that is being built beside a suspect one.
const NEW: &str = "keyspace.new";

/// The newest keyspace that was found to be suspect.
const ASIDE: &str = "keyspace.suspect";

/// SIGINT, SIGKILL and SIGTERM.
const ENDED_FROM_OUTSIDE: [Option<i32>; 3] = [Some(2), Some(9), Some(15)];

/// Recovers the keyspace of a directory, if its last run did not close it.
pub(super) fn recover(
    dir: &LockedDir,
    journal: &Journal,
    stop: LastStop,
    options: &Options,
) -> Result<(), OpenError> {
    let is_new = journal.position().revision == Revision::ZERO && !dir.keyspace().exists();
    if is_new {
        return Ok(());
    }
    if dir.suspect().exists() || !dir.keyspace().exists() {
        return rebuild(dir, options);
    }
    if stop == LastStop::Clean {
        return Ok(());
    }
    match run_child(dir, "keyspace", stop == LastStop::Rebooted, options)? {
        Verdict::Recovered => Ok(()),
        Verdict::Suspect(_) => rebuild(dir, options),
    }
}

enum Verdict {
    Recovered,
    /// What the child said.
    Suspect(String),
}

fn run_child(
    dir: &LockedDir,
    keyspace: &str,
    verify: bool,
    options: &Options,
) -> Result<Verdict, OpenError> {
    let output = Command::new(&options.recoverer)
        .arg(RECOVER_COMMAND)
        .arg(dir.path())
        .arg(keyspace)
        .arg(options.cache_bytes.to_string())
        .arg(if verify { "verify" } else { "trust" })
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(io_error("start", &options.recoverer))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(Verdict::Recovered),
        Some(code) if code == i32::from(REFUSED) => Err(OpenError::Recovery(said)),
        // Somebody, or the kernel for want of memory, ended it: that says nothing of the keyspace.
        None if ENDED_FROM_OUTSIDE.contains(&output.status.signal()) => {
            Err(OpenError::Recovery(format!("its process ended with {}", output.status)))
        }
        // Suspect by its own word, by a panic, by `fatal`, or by a signal of its own making.
        Some(_) | None => {
            tracing::warn!(status = %output.status, "the keyspace is suspect: {said}");
            Ok(Verdict::Suspect(said))
        }
    }
}

/// Builds a new keyspace from the journal, and keeps the suspect one under another name.
fn rebuild(dir: &LockedDir, options: &Options) -> Result<(), OpenError> {
    let new = dir.path().join(NEW);
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(io_error("remove", &new))?;
    }
    tracing::warn!("the keyspace is rebuilt from the journal");
    if let Verdict::Suspect(said) = run_child(dir, NEW, true, options)? {
        let found = format!("one newly built from the journal fails, too: {said}");
        return Err(OpenError::Recovery(found));
    }
    if dir.keyspace().exists() {
        let aside = dir.path().join(ASIDE);
        if aside.exists() {
            std::fs::remove_dir_all(&aside).map_err(io_error("remove", &aside))?;
        }
        tracing::warn!(kept_as = %aside.display(), "the suspect keyspace is set aside");
        std::fs::rename(dir.keyspace(), &aside).map_err(io_error("rename to", &aside))?;
    }
    file::publish(&new, &dir.keyspace()).map_err(io_error("rename", &new))?;
    match std::fs::remove_file(dir.suspect()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io_error("remove", &dir.suspect())(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Applies what the journal holds after the checkpoint, and returns what the journal says the
/// directory adds up to.
pub(super) fn replay(
    keyspace: &Keyspace,
    journal: &Path,
    last: Revision,
) -> Result<Totals, OpenError> {
    let damaged = |error: crate::keyspace::RecordError| KeyspaceError::Damaged(error.to_string());
    let checkpoint = keyspace.checkpoint().map_err(damaged)?;
    let newest = keyspace.applied().map_err(damaged)?.max(checkpoint);
    if newest > last {
        return Err(OpenError::JournalBehind { keyspace: newest, journal: last });
    }
    let mut totals = Totals::default();
    // From the change before on, so that there is a group to learn the totals from.
    let after = Revision::new(checkpoint.get().saturating_sub(1));
    for group in Groups::after(journal, after)? {
        let group = group?;
        if group.changes.last().is_some_and(|change| change.revision > checkpoint) {
            keyspace.apply(&group.changes);
        }
        totals = group.totals;
    }
    Ok(totals)
}

/// The work of the child process: opens a keyspace, replays the journal into it, and closes it.
///
/// It refuses to run by hand: the process that holds the lock of the data directory must be its
/// parent.
pub fn recover_keyspace(arguments: &[String]) -> ExitCode {
    match child(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            eprintln!("{error}");
            ExitCode::from(code)
        }
    }
}

fn child(arguments: &[String]) -> Result<(), (u8, String)> {
    let refused = |error: String| (REFUSED, error);
    let [dir, keyspace, cache_bytes, mode] = arguments else {
        return Err(refused(format!("{RECOVER_COMMAND} is started by rosterd itself")));
    };
    let dir = Path::new(dir);
    // If the parent ends, the child must not go on writing beside a new parent.
    let signal = rustix::process::Signal::KILL;
    rustix::process::set_parent_process_death_signal(Some(signal))
        .map_err(|error| refused(error.to_string()))?;
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if parent.is_none() || lock::holder(dir) != parent {
        return Err(refused(format!("{RECOVER_COMMAND} is started by rosterd itself")));
    }
    let cache_bytes = cache_bytes.parse().map_err(|_| refused("bad cache size".to_owned()))?;
    fatal::mark_on_stop(dir.join("suspect"));
    let opened = Keyspace::open(&dir.join(keyspace), cache_bytes);
    let keyspace = opened.map_err(|error| match error {
        KeyspaceError::Damaged(_) => (SUSPECT, error.to_string()),
        KeyspaceError::Locked | KeyspaceError::Io(_) | KeyspaceError::NoSyncHook => {
            refused(error.to_string())
        }
    })?;
    let journal = dir.join("journal");
    let last = Journal::last_revision(&journal).map_err(|error| refused(error.to_string()))?;
    let totals = replay(&keyspace, &journal, last).map_err(|error| {
        let suspect = matches!(error, OpenError::Keyspace(_));
        (if suspect { SUSPECT } else { REFUSED }, error.to_string())
    })?;
    if mode == "verify" {
        let findings = keyspace.verify(&totals);
        if let Some(first) = findings.first() {
            return Err((SUSPECT, format!("{} findings, first: {first}", findings.len())));
        }
    }
    keyspace.close(last);
    Ok(())
}
