//! `user.v1.UserService` through a real daemon on a real directory: one module for each concern.
//!
//! Every test stops its daemon at the end, which checks all invariants of the directory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod bulk;
mod create;
mod delete;
mod get;
mod list;
mod request_id;
mod session;
mod update;
mod wire;
