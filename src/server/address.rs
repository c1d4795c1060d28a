//! Where the daemon listens, and who calls.
//!
//! An address is an IP address with a port, or a path of a Unix socket after `unix:`. Host names are
//! not resolved: what a name means can change between two starts, and a daemon should listen where
//! it was told to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port; port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

/// Text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither form.
    #[error("expected IP:PORT, such as 127.0.0.1:50051 or [::1]:50051, or unix:/path/of/socket")]
    Unknown,
    /// `unix:` and nothing after it.
    #[error("unix: needs the path of the socket after it")]
    NoPath,
}

impl Address {
    /// True if only processes of this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // `unix:///path` is how gRPC clients spell an absolute path.
        match text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")) {
            Some("") => Err(AddressError::NoPath),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| AddressError::Unknown),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An address to listen on, and whether the daemon can do without it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where.
    pub address: Address,
    /// A default that this machine may lack (IPv6 is often switched off): its absence is a warning.
    pub optional: bool,
}

impl Endpoint {
    /// An address that was asked for.
    pub fn required(address: Address) -> Self {
        Self { address, optional: false }
    }

    /// The loopback addresses on this port: IPv4, and IPv6 where there is one.
    pub fn loopback(port: u16) -> Vec<Self> {
        let v4 = Address::Tcp((std::net::Ipv4Addr::LOCALHOST, port).into());
        let v6 = Address::Tcp((std::net::Ipv6Addr::LOCALHOST, port).into());
        vec![Self { address: v4, optional: false }, Self { address: v6, optional: true }]
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A client on the Unix socket; it has no address.
    Unix,
}

impl Peer {
    /// The address that the bound per peer counts by; none for peers of this machine, where one
    /// address stands for everybody.
    pub(super) fn counted_by(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => {
                Some(address.ip().to_canonical()).filter(|address| !address.is_loopback())
            }
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown, local) in [
            ("127.0.0.1:50051", "127.0.0.1:50051", true),
            ("127.9.9.9:0", "127.9.9.9:0", true),
            ("[::1]:50051", "[::1]:50051", true),
            ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true),
            ("unix:/run/rosterd.sock", "unix:/run/rosterd.sock", true),
            ("unix:///run/rosterd.sock", "unix:/run/rosterd.sock", true),
            ("unix:rosterd.sock", "unix:rosterd.sock", true),
            ("0.0.0.0:50051", "0.0.0.0:50051", false),
            ("[::]:50051", "[::]:50051", false),
            ("192.0.2.7:50051", "192.0.2.7:50051", false),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.is_local()), (shown, local));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, error) in [
            ("", AddressError::Unknown),
            ("localhost:50051", AddressError::Unknown),
            ("127.0.0.1", AddressError::Unknown),
            ("127.0.0.1:65536", AddressError::Unknown),
            ("::1:50051", AddressError::Unknown),
            ("50051", AddressError::Unknown),
            ("unix:", AddressError::NoPath),
            ("unix://", AddressError::NoPath),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn peers_of_this_machine_are_not_counted() {
        let tcp = |text: &str| Peer::Tcp(text.parse().unwrap());
        assert_eq!(Peer::Unix.counted_by(), None);
        assert_eq!(tcp("127.0.0.1:9").counted_by(), None);
        assert_eq!(tcp("[::1]:9").counted_by(), None);
        assert_eq!(tcp("192.0.2.7:9").counted_by(), Some([192, 0, 2, 7].into()));
        assert_eq!(tcp("[::ffff:192.0.2.7]:9").counted_by(), Some([192, 0, 2, 7].into()));
    }
}
