//! The end of the server's life. The timeline of a stop:
//!
//! 1. A stop is asked for (SIGTERM, SIGINT, or the end of a test), or the directory would not open.
//! 2. At once: health says NOT_SERVING, and tells its watchers. The listeners close, the files of
//!    Unix sockets go. `draining` is cancelled: long-lived streams end themselves, connections that
//!    have asked for nothing are closed, all others get a GOAWAY and take no new calls.
//! 3. Up to `drain_timeout` (25 s): the calls in flight finish. A second signal cuts this short.
//! 4. `ended` is cancelled: the runtimes stop, and what is left is dropped and counted in the log.
//! 5. With no caller left, the directory is closed: queued writes finish, the keyspace becomes
//!    durable. This has no time limit of its own; kill -9 is safe at any moment, it only makes the
//!    next start slower.
//!
//! A stop while the directory is still being opened waits no longer than step 3 for that: what is
//! opening then is left behind, as kill -9 would.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::Shared;
use super::health::Phase;

/// Steps 2 to 4.
pub(super) async fn drain(shared: &Shared, hurried: &CancellationToken) {
    let (begun, timeout) = (Instant::now(), shared.limits.drain_timeout);
    tracing::info!(connections = shared.admission.open(), "draining");
    shared.phase.send_replace(Phase::Draining);
    shared.draining.cancel();
    let empty = tokio::time::timeout(timeout, shared.admission.empty());
    match hurried.run_until_cancelled(empty).await {
        Some(Ok(())) => tracing::info!(after = ?begun.elapsed(), "every call is done"),
        Some(Err(_)) | None => {
            let (connections, calls) = (shared.admission.open(), shared.in_flight.calls());
            tracing::warn!(after = ?begun.elapsed(), connections, calls, "dropping what is left");
        }
    }
    shared.ended.cancel();
}
