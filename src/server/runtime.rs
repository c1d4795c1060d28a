//! The runtimes: one single-threaded one a core, each with the connections that were dealt to it.
//!
//! A call never moves between cores, which halves its cost against one runtime of many threads. The
//! price is that nothing may block these threads: hashing, long scans and the disk live elsewhere.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::Shared;
use super::accept::{self, Arrival, Dealer};
use super::connection::Connections;
use super::listen::Listener;

/// Threads for work that blocks, of each runtime.
const BLOCKING_THREADS_MAX: usize = 8;

/// How long such work may go on after the calls are over.
const BLOCKING_TIMEOUT: Duration = Duration::from_secs(1);

/// The threads of the server.
#[derive(Debug)]
pub(super) struct Threads {
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts one runtime a core; the first one accepts.
    ///
    /// # Errors
    ///
    /// If the system gives no thread, or no descriptors for a runtime.
    pub(super) fn start(listeners: Vec<Listener>, shared: &Arc<Shared>) -> io::Result<Self> {
        let count = std::thread::available_parallelism()?.get();
        let (senders, arrivals): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::channel(shared.limits.handover_max)).unzip();
        let runtimes = (0..count).map(|_| build()).collect::<io::Result<Vec<_>>>()?;
        let dealer = Dealer::new(senders);
        for listener in listeners {
            runtimes[0].spawn(accept_until_drain(listener, dealer.clone(), Arc::clone(shared)));
        }
        let mut handles = Vec::with_capacity(count);
        for (index, (runtime, arrivals)) in runtimes.into_iter().zip(arrivals).enumerate() {
            let shared = Arc::clone(shared);
            let thread = std::thread::Builder::new().name(format!("rosterd-rt-{index}"));
            handles.push(thread.spawn(move || run(runtime, arrivals, &shared))?);
        }
        Ok(Self { handles })
    }

    /// Waits for the threads to end; `ended` must have been cancelled.
    pub(super) fn join(self) {
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!("a runtime panicked");
            }
        }
    }
}

fn build() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("rosterd-blocking")
        .build()
}

async fn accept_until_drain(listener: Listener, dealer: Dealer, shared: Arc<Shared>) {
    let address = listener.address.clone();
    let accepting = accept::accept(listener, dealer, Arc::clone(&shared.admission));
    if let Some(Err(error)) = shared.draining.run_until_cancelled(accepting).await {
        tracing::error!(%address, %error, "cannot accept connections any more");
    }
}

/// The life of one runtime.
fn run(runtime: Runtime, arrivals: mpsc::Receiver<Arrival>, shared: &Shared) {
    runtime.block_on(shared.ended.run_until_cancelled(serve(arrivals, shared)));
    // What is left of calls and connections is dropped here.
    runtime.shutdown_timeout(BLOCKING_TIMEOUT);
}

async fn serve(mut arrivals: mpsc::Receiver<Arrival>, shared: &Shared) {
    let connections = Arc::new(Connections::new(
        Arc::clone(&shared.limits),
        shared.layers(),
        shared.draining.clone(),
    ));
    while let Some(arrival) = arrivals.recv().await {
        let connections = Arc::clone(&connections);
        tokio::spawn(async move { connections.serve(arrival).await });
    }
    // The acceptors have gone; the connections have not.
    std::future::pending().await
}
