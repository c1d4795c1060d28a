//! The life of a running server, on a thread of its own: open the directory, serve until a stop is
//! asked for, drain, close.
//!
//! The server listens while the directory is being opened, which takes seconds on a large one: a
//! client meets UNAVAILABLE and a health of NOT_SERVING rather than a refused connection.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::drain::drain;
use super::runtime::Threads;
use super::{Address, Error, Shared};
use crate::directory::{self, Directory, LockedDir, OpenError};

/// A server that listens, with all that its life needs.
pub(super) struct Life {
    pub(super) shared: Arc<Shared>,
    pub(super) threads: Threads,
    pub(super) locked: LockedDir,
    pub(super) options: directory::Options,
    pub(super) data_dir: PathBuf,
    pub(super) addresses: Vec<Address>,
    /// Cancelled when a stop is asked for.
    pub(super) stop: CancellationToken,
    /// Cancelled when the stop should not wait for calls.
    pub(super) hurried: CancellationToken,
}

impl Life {
    /// Lives on a thread of its own. What is received is how it ended, once all is closed.
    pub(super) fn begin(self) -> io::Result<oneshot::Receiver<Result<(), Error>>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (tell, ended) = oneshot::channel();
        std::thread::Builder::new().name("rosterd-life".into()).spawn(move || {
            // Nobody may be left to hear it.
            let _ = tell.send(self.live(&runtime));
        })?;
        Ok(ended)
    }

    fn live(self, runtime: &tokio::runtime::Runtime) -> Result<(), Error> {
        let Self { shared, threads, locked, options, data_dir, addresses, stop, hurried } = self;
        let mut opening = open(locked, options);
        let opened = runtime.block_on(async {
            let opened = stop.run_until_cancelled(&mut opening).await;
            match &opened {
                Some(Ok(Ok(directory))) => {
                    shared.begin_serving(directory.clone());
                    log_ready(&addresses, &data_dir);
                    stop.cancelled().await;
                }
                Some(_) => tracing::error!("the directory cannot be opened"),
                None => tracing::info!("stopping while the directory is being opened"),
            }
            drain(&shared, &hurried).await;
            opened
        });
        threads.join();
        // The last handle but one: a directory that nobody else holds is closed whole.
        drop(shared);
        // Without a stop before it, this is the one that was asked for while opening.
        let opened = match opened {
            Some(opened) => opened,
            None => match opening.try_recv() {
                Ok(opened) => Ok(opened),
                Err(_) => return Ok(()),
            },
        };
        let directory = opened.map_err(|_| panicked())?.map_err(Error::Directory)?;
        directory.close().map_err(Error::Close)?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Opens the directory on a thread of its own, so that a stop need not wait for it.
fn open(
    locked: LockedDir,
    options: directory::Options,
) -> oneshot::Receiver<Result<Directory, OpenError>> {
    let (tell, opened) = oneshot::channel();
    // If there is no thread, `tell` is dropped and the receiver hears of it.
    let spawned = std::thread::Builder::new().name("rosterd-open".into()).spawn(move || {
        if let Err(Ok(directory)) = tell.send(locked.open(&options)) {
            // The server has stopped meanwhile, and nobody waits for this.
            if let Err(error) = directory.close() {
                tracing::error!(%error, "the directory could not be closed");
            }
        }
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "there is no thread to open the directory on");
    }
    opened
}

fn panicked() -> Error {
    Error::System(io::Error::other("opening the directory panicked; the log says where"))
}

fn log_ready(addresses: &[Address], data_dir: &std::path::Path) {
    let addresses: Vec<_> = addresses.iter().map(Address::to_string).collect();
    let (addresses, version) = (addresses.join(", "), env!("CARGO_PKG_VERSION"));
    tracing::info!(%addresses, data_dir = %data_dir.display(), version, "rosterd is ready");
}
