//! The gRPC services: authorize, parse, act, reply. They translate and decide nothing.
//!
//! A handler knows neither disk nor socket. It finds out who calls, turns the message into domain
//! types that keep every limit (or answers with all the limits that are broken), has the directory
//! act, and turns the result into a message. What takes long is bounded: passwords are hashed in
//! `auth`'s pool, pages are read on threads for blocking work, and streams pull one thing at a
//! time, so that a caller that is gone or slow stops the work for it.

mod bulk;
mod convert;
mod create;
mod incoming;
mod list;
mod pages;
mod parse;
mod patch;
mod repeat;
mod session;
pub mod status;
mod tally;
mod users;

pub use users::Users;
