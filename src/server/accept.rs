//! The acceptors: one task an address, all on the first runtime, dealing connections round-robin.
//!
//! A connection is handed over as a plain socket through a bounded channel, and becomes part of the
//! runtime that serves it, for good. When the system has no room for another one (file descriptors,
//! memory), accepting pauses: the error would otherwise come back at once, for ever.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use super::address::Peer;
use super::admission::{Admission, Refusal, Seat};
use super::listen::{Listener, Socket};

/// The pause after an error that another attempt would meet again.
const PAUSE: Duration = Duration::from_millis(100);

/// How often refused connections are worth a line in the log.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// A connection on its way to its runtime.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    pub(super) seat: Seat,
}

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(std::net::TcpStream),
    Unix(UnixStream),
}

/// Deals arrivals to the runtimes in turn.
#[derive(Clone, Debug)]
pub(super) struct Dealer {
    runtimes: Arc<[mpsc::Sender<Arrival>]>,
    turn: Arc<AtomicUsize>,
}

impl Dealer {
    pub(super) fn new(runtimes: Vec<mpsc::Sender<Arrival>>) -> Self {
        Self { runtimes: runtimes.into(), turn: Arc::default() }
    }

    /// Hands the arrival to the next runtime, or to one after it if that has too many waiting.
    /// Closes it when all have.
    fn deal(&self, mut arrival: Arrival) -> Result<(), Refusal> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        for offset in 0..self.runtimes.len() {
            match self.runtimes[turn.wrapping_add(offset) % self.runtimes.len()].try_send(arrival) {
                Ok(()) => return Ok(()),
                Err(refused) => arrival = refused.into_inner(),
            }
        }
        Err(Refusal::Full)
    }
}

/// Accepts connections of one listener for ever; dropping this future closes the listener.
pub(super) async fn accept(
    listener: Listener,
    dealer: Dealer,
    admission: Arc<Admission>,
) -> io::Result<()> {
    let mut refused = Occasional::default();
    let mut failed = Occasional::default();
    let Listener { address, file, socket } = listener;
    let socket = Acceptor::new(socket)?;
    // Declared after the socket, so that it is dropped before it.
    let _file = file;
    loop {
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) if of_one_connection(&error) => continue,
            Err(error) => {
                if let Some(times) = failed.occur(Instant::now()) {
                    tracing::error!(%address, %error, times, "cannot accept connections");
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let seated = admission.admit(&peer);
        let dealt = seated.and_then(|seat| dealer.deal(Arrival { stream, peer, seat }));
        if let Err(refusal) = dealt {
            tracing::debug!(%address, %peer, ?refusal, "refused a connection");
            if let Some(times) = refused.occur(Instant::now()) {
                let open = admission.open();
                tracing::warn!(%address, ?refusal, times, open, "refusing connections");
            }
        }
    }
}

/// A listening socket as part of a runtime.
enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(socket) => Self::Tcp(TcpListener::from_std(socket)?),
            Socket::Unix(socket) => Self::Unix(UnixListener::from_std(socket)?),
        })
    }

    /// The next connection, released from this runtime again.
    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                // Answers are small and awaited: never hold one back to fill a packet.
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream.into_std()?), Peer::Tcp(address)))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Stream::Unix(stream.into_std()?), Peer::Unix))
            }
        }
    }
}

/// True if the error tells of the connection that was to be accepted, and nothing of the next one.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            // `set_nodelay` on a connection that its client has closed already.
            | io::ErrorKind::InvalidInput
    )
}

/// Something worth a line of the log, but not a line each time.
#[derive(Debug, Default)]
struct Occasional {
    reported: Option<Instant>,
    since: u64,
}

impl Occasional {
    /// Counts one more time; the number of times since the last line, if a line is due.
    fn occur(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self.reported.is_some_and(|reported| now.duration_since(reported) < REPORT_INTERVAL) {
            return None;
        }
        self.reported = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_one_line_each_interval() {
        let start = Instant::now();
        let mut refused = Occasional::default();
        assert_eq!(refused.occur(start), Some(1));
        assert_eq!(refused.occur(start + REPORT_INTERVAL / 3), None);
        assert_eq!(refused.occur(start + REPORT_INTERVAL / 2), None);
        assert_eq!(refused.occur(start + REPORT_INTERVAL), Some(3));
    }

    #[test]
    fn arrivals_go_round_and_a_full_runtime_is_passed_over() {
        let (senders, mut runtimes): (Vec<_>, Vec<_>) =
            (0..2).map(|_| mpsc::channel::<Arrival>(2)).unzip();
        let dealer = Dealer::new(senders);
        let admission = Admission::new(&Default::default());
        let deal = || {
            let (stream, _) = UnixStream::pair().unwrap();
            let seat = admission.admit(&Peer::Unix).unwrap();
            dealer.deal(Arrival { stream: Stream::Unix(stream), peer: Peer::Unix, seat })
        };
        assert_eq!([deal(), deal(), deal()], [Ok(()); 3]);
        assert_eq!([runtimes[0].len(), runtimes[1].len()], [2, 1]);
        runtimes[0].try_recv().unwrap();
        runtimes[0].try_recv().unwrap();
        assert_eq!([deal(), deal(), deal()], [Ok(()); 3]);
        assert_eq!(deal(), Err(Refusal::Full));
        assert_eq!(admission.open(), 4, "what was refused holds no seat");
    }
}
