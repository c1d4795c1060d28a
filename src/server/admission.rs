//! How many connections there may be, in all and of one peer.
//!
//! A connection is admitted when it is accepted and holds its seat until it is closed; there is no
//! queue, since a client that waits unheard is worse off than one that is refused. The count is a
//! watch channel, so that a stop can wait until it is zero.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::Limits;
use super::address::Peer;

/// The count of connections and its bounds.
#[derive(Debug)]
pub(super) struct Admission {
    open: watch::Sender<usize>,
    max: usize,
    /// Peers with at least one connection, so it is bounded as they are. A std mutex: it is held
    /// for one look-up, and never over an await.
    peers: Mutex<HashMap<IpAddr, usize>>,
    per_peer_max: usize,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are as many as there may be.
    Full,
    /// Its peer has as many as it may have.
    PeerFull,
}

/// The right to be connected; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    admission: Arc<Admission>,
    counted_by: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            open: watch::Sender::new(0),
            max: limits.connections_max,
            peers: Mutex::default(),
            per_peer_max: limits.connections_per_peer_max,
        })
    }

    /// A seat for a connection of this peer.
    pub(super) fn admit(self: &Arc<Self>, peer: &Peer) -> Result<Seat, Refusal> {
        let below_max = |open: &mut usize| {
            let below = *open < self.max;
            *open += usize::from(below);
            below
        };
        if !self.open.send_if_modified(below_max) {
            return Err(Refusal::Full);
        }
        let mut seat = Seat { admission: Arc::clone(self), counted_by: None };
        if let Some(address) = peer.counted_by() {
            self.count(address)?;
            seat.counted_by = Some(address);
        }
        Ok(seat)
    }

    /// The connections that are open now.
    pub(super) fn open(&self) -> usize {
        *self.open.borrow()
    }

    /// Waits until no connection is open.
    pub(super) async fn empty(&self) {
        // It cannot fail: `self` holds the sender.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    fn count(&self, address: IpAddr) -> Result<(), Refusal> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = peers.entry(address).or_default();
        if *count >= self.per_peer_max {
            return Err(Refusal::PeerFull);
        }
        *count += 1;
        Ok(())
    }

    fn uncount(&self, address: IpAddr) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = peers.entry(address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(address) = self.counted_by {
            self.admission.uncount(address);
        }
        self.admission.open.send_modify(|open| *open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections_max: usize, connections_per_peer_max: usize) -> Arc<Admission> {
        Admission::new(&Limits { connections_max, connections_per_peer_max, ..Limits::default() })
    }

    fn peer(text: &str) -> Peer {
        Peer::Tcp(text.parse().unwrap())
    }

    #[test]
    fn a_seat_is_free_again_when_it_is_dropped() {
        let admission = admission(2, 9);
        let first = admission.admit(&Peer::Unix).unwrap();
        let _second = admission.admit(&Peer::Unix).unwrap();
        assert_eq!(admission.admit(&Peer::Unix).err(), Some(Refusal::Full));
        drop(first);
        assert!(admission.admit(&Peer::Unix).is_ok());
        assert_eq!(admission.open(), 1);
    }

    #[test]
    fn one_peer_cannot_take_every_seat_but_loopback_can() {
        let admission = admission(9, 1);
        let first = admission.admit(&peer("192.0.2.7:1")).unwrap();
        assert_eq!(admission.admit(&peer("192.0.2.7:2")).err(), Some(Refusal::PeerFull));
        let _other = admission.admit(&peer("192.0.2.8:1")).unwrap();
        let _local = [1, 2, 3].map(|_| admission.admit(&peer("127.0.0.1:1")).unwrap());
        drop(first);
        assert_eq!(admission.open(), 4, "a refused peer holds no seat");
        assert!(admission.admit(&peer("192.0.2.7:3")).is_ok());
        assert_eq!(admission.peers.lock().unwrap().len(), 1, "peers without a seat are forgotten");
    }
}
