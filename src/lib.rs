//! rosterd keeps a directory of users and serves it over gRPC.
//!
//! The journal is the truth; the keyspace is the view that answers queries. A write is one change
//! with a revision: the writer decides it, appends it to the journal, syncs, applies it to the
//! keyspace and answers.
//!
//! Imports run one way: `domain` ← `journal`, `keyspace` ← `directory` ← `service` ← `server` ←
//! `cli`; `auth` knows `domain` only. `tests/tidy.rs` holds these walls. Reading order: as below.

pub mod domain;
pub mod journal;
pub mod keyspace;

pub mod auth;
pub mod directory;
pub mod service;

pub mod cli;
pub mod server;

mod fatal;

/// The messages and services of `proto/`, generated.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)]
pub mod pb {
    /// The descriptors of every service, with their comments, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

    pub mod user {
        pub mod v1 {
            tonic::include_proto!("user.v1");
        }
    }
}
