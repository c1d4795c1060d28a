//! Binding the addresses to listen on.
//!
//! Sockets are made by hand in three steps, because two of them need something between `bind` and
//! `listen`: a Unix socket gets its mode before anybody can connect. A socket file that nobody
//! listens behind is a leftover and is replaced; one that answers, or a file that is no socket, is
//! left alone.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::address::{Address, Endpoint};

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: i32 = 1024;

/// The owner and its group may connect to a Unix socket.
const SOCKET_MODE: u32 = 0o660;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Other machines could reach it, and nothing would check who they are.
    #[error(
        "{0} can be reached from other machines, which needs tokens and TLS; they come in a later \
         version. Listen on 127.0.0.1, [::1] or a unix: socket, and put a proxy in front if others \
         must reach it"
    )]
    Exposed(Address),
    /// Another program listens there.
    #[error("{0} is in use by another program. Stop that one, or choose another --listen")]
    InUse(Address),
    /// This machine has no such address.
    #[error("this machine has no address {0}. Choose another --listen")]
    NoSuchAddress(Address),
    /// There is a file of another kind where the Unix socket should be.
    #[error("{0} is a file and no socket. Move it away, or choose another --listen")]
    NotASocket(Address),
    /// The system refuses for another reason.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// Where.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
}

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Listener {
    /// The address as bound: with the real port.
    pub(super) address: Address,
    /// The file of a Unix socket. It goes before the socket does, so that nobody else can have
    /// replaced it meanwhile.
    pub(super) file: Option<SocketFile>,
    pub(super) socket: Socket,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Refuses an address that is not of this machine.
pub(super) fn verify_local(endpoints: &[Endpoint]) -> Result<(), ListenError> {
    match endpoints.iter().find(|endpoint| !endpoint.address.is_local()) {
        Some(endpoint) => Err(ListenError::Exposed(endpoint.address.clone())),
        None => Ok(()),
    }
}

/// Binds every address; an optional one that this machine lacks is left out with a warning.
pub(super) fn bind(endpoints: &[Endpoint]) -> Result<Vec<Listener>, ListenError> {
    let mut listeners = Vec::with_capacity(endpoints.len());
    for Endpoint { address, optional } in endpoints {
        match Listener::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(ListenError::NoSuchAddress(address)) if *optional => {
                tracing::warn!(%address, "this machine has no such address, going on without it");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(listeners)
}

impl Listener {
    fn bind(address: &Address) -> Result<Self, ListenError> {
        match address {
            Address::Tcp(tcp) => bind_tcp(*tcp),
            Address::Unix(path) => bind_unix(path),
        }
        .map_err(|source| classify(address.clone(), source))
    }
}

fn classify(address: Address, source: io::Error) -> ListenError {
    match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ADDRINUSE) => ListenError::InUse(address),
        Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT) => ListenError::NoSuchAddress(address),
        Some(Errno::NOTSOCK) => ListenError::NotASocket(address),
        _ => ListenError::Io { address, source },
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = stream_socket(family)?;
    // Without it a restart fails for as long as connections of the last run linger in TIME_WAIT.
    rustix::net::sockopt::set_socket_reuseaddr(&fd, true)?;
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    let socket = TcpListener::from(fd);
    let address = Address::Tcp(socket.local_addr()?);
    Ok(Listener { address, file: None, socket: Socket::Tcp(socket) })
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    remove_stale(path)?;
    let fd = stream_socket(AddressFamily::UNIX)?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile::of(path)?;
    rustix::fs::chmod(path, rustix::fs::Mode::from_bits_truncate(SOCKET_MODE))?;
    rustix::net::listen(&fd, BACKLOG)?;
    let address = Address::Unix(path.to_owned());
    Ok(Listener { address, file: Some(file), socket: Socket::Unix(fd.into()) })
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}

/// Removes a socket that nobody listens behind.
fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !metadata.file_type().is_socket() {
        return Err(Errno::NOTSOCK.into());
    }
    // Not blocking: a program that is stopped with a full backlog would hold the start for ever.
    let probe = stream_socket(AddressFamily::UNIX)?;
    match rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN) => Err(Errno::ADDRINUSE.into()),
        Err(Errno::CONNREFUSED) => {
            tracing::info!(path = %path.display(), "replacing a socket that nobody listens behind");
            std::fs::remove_file(path)
        }
        Err(error) => Err(error.into()),
    }
}

/// The file of a Unix socket; dropping this removes it, if it is still the one that was made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), device_and_inode: device_and_inode(path)? })
    }
}

fn device_and_inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = device_and_inode(&self.path).is_ok_and(|now| now == self.device_and_inode);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn bind_at(path: &Path) -> Result<Listener, ListenError> {
        Listener::bind(&Address::Unix(path.to_owned()))
    }

    #[test]
    fn a_socket_is_for_its_owner_and_group_and_its_file_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = bind_at(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, SOCKET_MODE);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_leftover_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _live = bind_at(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_live_socket_and_a_file_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _live = bind_at(&path).unwrap();
        assert!(matches!(bind_at(&path), Err(ListenError::InUse(_))));
        let file = dir.path().join("f");
        std::fs::write(&file, "precious").unwrap();
        assert!(matches!(bind_at(&file), Err(ListenError::NotASocket(_))));
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    }

    #[test]
    fn a_port_is_bound_once_and_its_real_number_is_told() {
        let first = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(first.address.to_string(), "127.0.0.1:0");
        assert!(matches!(Listener::bind(&first.address), Err(ListenError::InUse(_))));
    }

    #[test]
    fn an_address_of_other_machines_is_refused() {
        let open = Endpoint::required("0.0.0.0:50051".parse().unwrap());
        assert!(matches!(verify_local(&[open]), Err(ListenError::Exposed(_))));
        assert!(verify_local(&Endpoint::loopback(0)).is_ok());
    }
}
