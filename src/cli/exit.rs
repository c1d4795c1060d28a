//! How the program ends when it fails: a message that says what happened, why, and what to do, and
//! an exit code from `sysexits.h`.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::directory::{Obstacle, OpenError};
use crate::server::{self, ListenError};

/// A failure of the program.
#[derive(Debug)]
pub struct Exit {
    code: u8,
    message: String,
}

impl Exit {
    /// The arguments are wrong.
    pub const USAGE: u8 = 64;
    /// An address is taken.
    pub const UNAVAILABLE: u8 = 69;
    /// The system refuses.
    pub const IO: u8 = 74;
    /// Another process has the directory.
    pub const LOCKED: u8 = 75;
    /// The configuration or a format is not for this program.
    pub const CONFIG: u8 = 78;

    pub(super) fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// Tells why on standard error; the code is for `main` to return.
    pub(super) fn report(self) -> ExitCode {
        // Nobody is left to tell if this fails.
        let _ = writeln!(io::stderr(), "rosterd: {}", self.message);
        self.code.into()
    }
}

impl From<server::Error> for Exit {
    fn from(error: server::Error) -> Self {
        let code = match &error {
            server::Error::Directory(error) => open_code(error),
            server::Error::Listen(error) => listen_code(error),
            server::Error::System(_) | server::Error::Close(_) => Self::IO,
        };
        Self::new(code, error)
    }
}

fn open_code(error: &OpenError) -> u8 {
    match error.obstacle() {
        Obstacle::Lock => Exit::LOCKED,
        Obstacle::Format => Exit::CONFIG,
        Obstacle::Disk => Exit::IO,
    }
}

fn listen_code(error: &ListenError) -> u8 {
    match error {
        ListenError::Exposed(_) => Exit::CONFIG,
        ListenError::InUse(_) | ListenError::NoSuchAddress(_) => Exit::UNAVAILABLE,
        ListenError::NotASocket(_) | ListenError::Io { .. } => Exit::IO,
    }
}
