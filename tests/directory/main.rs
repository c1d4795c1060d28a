//! The directory without a network: what it promises across reopenings, crashes and damage.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod model;
mod races;
mod recovery;
mod requests;
mod support;
