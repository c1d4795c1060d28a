//! The server: connections, the layers around every call, health, reflection, and the life from
//! start to stop.
//!
//! [`start`] is what `rosterd serve` and the tests share. It brings up threads of its own and needs
//! no runtime of its caller; signals, logs and exit codes are the caller's affair. In the order in
//! which a call meets them: `accept` → `admission` → `runtime` → `connection` → `layer` → `router` →
//! the services. `life` and `drain` hold the order in time.

mod accept;
mod address;
mod admission;
mod connection;
mod drain;
mod health;
mod layer;
mod life;
mod limits;
mod listen;
mod methods;
mod preface;
mod reflection;
mod router;
mod runtime;
mod stall;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::PasswordPool;
use crate::directory::{self, Directory, LockedDir, OpenError};
use crate::service::Users;
pub use address::{Address, AddressError, Endpoint};
use admission::Admission;
use health::{Health, Phase};
pub use layer::LogCalls;
use layer::{InFlight, Layers};
use life::Life;
pub use limits::Limits;
pub use listen::ListenError;
use reflection::Reflection;
use router::Router;
use runtime::Threads;

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the directory.
    pub data_dir: PathBuf,
    /// How to open the directory.
    pub directory: directory::Options,
    /// Where to listen.
    pub endpoints: Vec<Endpoint>,
    /// Which calls get a line in the log.
    pub log_calls: LogCalls,
    /// The bounds.
    pub limits: Limits,
}

/// Why a server did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is locked, damaged, or not to be read.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system gives no threads or descriptors.
    #[error("the system refuses what the server needs: {0}")]
    System(#[source] io::Error),
    /// The disk refuses to have the directory closed.
    #[error(
        "the directory could not be closed: {0}. Nothing that was acknowledged is lost, and the \
         next start recovers it; look at the disk before that"
    )]
    Close(#[source] io::Error),
}

/// Locks the directory, binds every address and serves; the directory is opened meanwhile, and until
/// then calls answer UNAVAILABLE: see [`Running::ready`].
///
/// # Errors
///
/// If the directory is locked, an address cannot be bound, or the system lacks threads. What comes
/// to light while the directory is opened, [`Running::ready`] and [`Running::ended`] tell.
pub fn start(settings: Settings) -> Result<Running, Error> {
    let Settings { data_dir, directory: options, endpoints, log_calls, limits } = settings;
    listen::verify_local(&endpoints)?;
    let mut locked = LockedDir::lock(&data_dir)?;
    let listeners = listen::bind(&endpoints)?;
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.address.clone()).collect();
    let announced: Vec<_> = addresses.iter().map(Address::to_string).collect();
    locked.announce(&announced)?;

    let shared = Arc::new(Shared::new(limits, log_calls)?);
    let (phase, addresses_bound) = (shared.phase.subscribe(), addresses.clone());
    let threads = Threads::start(listeners, &shared).map_err(Error::System)?;
    let (stop, hurried) = (CancellationToken::new(), CancellationToken::new());
    let life = Life {
        shared,
        threads,
        locked,
        options,
        data_dir,
        addresses,
        stop: stop.clone(),
        hurried: hurried.clone(),
    };
    let ended = life.begin().map_err(Error::System)?;
    Ok(Running { addresses: addresses_bound, phase, stop, hurried, ended })
}

/// A running server. Dropping it stops the server without waiting for calls or for the end.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<Address>,
    phase: watch::Receiver<Phase>,
    stop: CancellationToken,
    hurried: CancellationToken,
    ended: oneshot::Receiver<Result<(), Error>>,
}

impl Running {
    /// Where it listens, with the real ports.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Waits until the directory is open.
    ///
    /// # Errors
    ///
    /// If it cannot be opened; the server has stopped then.
    pub async fn ready(&mut self) -> Result<(), Error> {
        let started = self.phase.wait_for(|phase| *phase != Phase::Starting).await;
        let serving = started.is_ok_and(|phase| *phase == Phase::Serving);
        if serving { Ok(()) } else { self.ended().await }
    }

    /// Asks for a stop: calls in flight may finish, see [`Limits::drain_timeout`].
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Asks for a stop that does not wait for calls.
    pub fn stop_now(&self) {
        self.hurried.cancel();
        self.stop.cancel();
    }

    /// Waits until the server has ended: its directory is closed, its threads are gone.
    ///
    /// # Errors
    ///
    /// If it ended because the directory could not be opened, or could not be closed.
    pub async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.ended).await.unwrap_or_else(|_| {
            Err(Error::System(io::Error::other("the server panicked; the log says where")))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_now();
    }
}

/// What the threads of one server share.
struct Shared {
    limits: Arc<Limits>,
    log_calls: LogCalls,
    admission: Arc<Admission>,
    in_flight: InFlight,
    phase: watch::Sender<Phase>,
    directory: Arc<OnceLock<Directory>>,
    users: Users,
    reflection: Reflection,
    /// Cancelled when the drain begins.
    draining: CancellationToken,
    /// Cancelled when the drain is over.
    ended: CancellationToken,
}

impl Shared {
    fn new(limits: Limits, log_calls: LogCalls) -> Result<Self, Error> {
        let draining = CancellationToken::new();
        let reflection = Reflection::new(limits.request_bytes_max, draining.clone())
            .map_err(|error| Error::System(io::Error::other(error)))?;
        let directory = Arc::default();
        let passwords = PasswordPool::per_core();
        let users = Users::new(Arc::clone(&directory), passwords, draining.clone());
        Ok(Self {
            admission: Admission::new(&limits),
            in_flight: InFlight::new(limits.calls_max),
            limits: Arc::new(limits),
            log_calls,
            phase: watch::Sender::new(Phase::Starting),
            directory,
            users,
            reflection,
            draining,
            ended: CancellationToken::new(),
        })
    }

    /// The layers of one runtime, with services of its own: their reference counts are touched by
    /// every call, and should not travel between cores. What they bound, they bound together.
    fn layers(&self) -> Layers {
        let health = Health::new(self.phase.subscribe());
        Layers {
            log_calls: self.log_calls,
            in_flight: self.in_flight.share(),
            unary_timeout: self.limits.unary_timeout,
            router: Router::new(&self.limits, self.users.clone(), health, self.reflection.clone()),
        }
    }

    /// Opens the services to callers.
    fn begin_serving(&self, directory: Directory) {
        // Set once, here, in the life of the server.
        let _ = self.directory.set(directory);
        self.phase.send_replace(Phase::Serving);
    }
}
