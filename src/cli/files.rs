//! The bound of open files, which connections share with the journal and the store.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections must leave to the directory and the log: a write that cannot open
/// its file is fatal, a connection that cannot be accepted waits.
const RESERVED: u64 = 256;

/// Raises the bound as far as this process may.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, "cannot raise the number of files that may be open");
    }
}

/// As many of the wanted connections as there are files for.
pub(super) fn connections_max(wanted: usize) -> usize {
    let max = bounded(wanted, getrlimit(Resource::Nofile).current);
    if max < wanted {
        tracing::warn!(
            connections_max = max,
            wanted,
            "few files may be open, so fewer connections are accepted; raise it with ulimit -n, \
             or LimitNOFILE= in the unit"
        );
    }
    max
}

/// Without a bound of files, as many as wanted. Never none.
fn bounded(wanted: usize, files: Option<u64>) -> usize {
    let room = files.map_or(u64::MAX, |files| files.saturating_sub(RESERVED).max(1));
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_directory() {
        for (wanted, files, expected) in [
            (10_000, None, 10_000),
            (10_000, Some(1_048_576), 10_000),
            (10_000, Some(1_024), 768),
            (10_000, Some(100), 1),
        ] {
            assert_eq!(bounded(wanted, files), expected, "{files:?}");
        }
    }
}
