//! The end of the server's life. The timeline of a stop:
//!
//! 1. A stop is asked for (SIGTERM, SIGINT, or the end of a test), or the directory would not open.
//! 2. At once: health says NOT_SERVING, and tells its watchers. The listeners close, the files of
//!    Unix sockets go. `draining` is cancelled: long-lived streams end themselves, connections that
//!    have asked for nothing are closed, all others get a GOAWAY and take no new calls.
//! 3. Up to `drain_timeout` (25 s): the calls in flight finish, until every connection is closed or
//!    none has had a call for 2 s: a client that is frozen never takes its leave, and must not hold
//!    the stop. A second signal cuts this short.
//! 4. `ended` is cancelled: the runtimes stop, and what is left is dropped and counted in the log.
//! 5. With no caller left, the directory is closed: queued writes finish, the keyspace becomes
//!    durable. This has no time limit of its own; kill -9 is safe at any moment, it only makes the
//!    next start slower.
//!
//! A stop while the directory is still being opened waits no longer than step 3 for that: what is
//! opening then is left behind, as kill -9 would.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Shared;
use super::health::Phase;
use super::layer::InFlight;

/// How long no call must have been in flight. The last answers are on their way to clients meanwhile,
/// and calls that were begun before their client saw the GOAWAY arrive.
const QUIET: Duration = Duration::from_secs(2);

/// How often the calls in flight are counted for that: their count is a plain number, as every call
/// touches it.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Steps 2 to 4.
pub(super) async fn drain(shared: &Shared, hurried: &CancellationToken) {
    let (begun, timeout) = (Instant::now(), shared.limits.drain_timeout);
    tracing::info!(connections = shared.admission.open(), "draining");
    shared.phase.send_replace(Phase::Draining);
    shared.draining.cancel();
    let done = async {
        tokio::select! {
            () = shared.admission.empty() => {}
            () = quiet(&shared.in_flight) => {}
        }
    };
    match hurried.run_until_cancelled(tokio::time::timeout(timeout, done)).await {
        Some(Ok(())) => {
            let connections = shared.admission.open();
            tracing::info!(after = ?begun.elapsed(), connections, "every call is done");
        }
        Some(Err(_)) | None => {
            let (connections, calls) = (shared.admission.open(), shared.in_flight.calls());
            tracing::warn!(after = ?begun.elapsed(), connections, calls, "dropping what is left");
        }
    }
    shared.ended.cancel();
}

/// Waits until no call has been in flight for [`QUIET`].
async fn quiet(in_flight: &InFlight) {
    let mut busy = Instant::now();
    while busy.elapsed() < QUIET {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if in_flight.calls() > 0 {
            busy = Instant::now();
        }
    }
}
