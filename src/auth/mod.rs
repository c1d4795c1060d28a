//! Who is calling, how they prove it, and what they may do. Knows `domain` only.
//!
//! So far: passwords. [`Password`] is one that may be hashed, [`PasswordPool`] is where that is
//! done without holding up the threads that serve calls. No password leaves this folder.

mod hasher;
mod password;
mod pool;

pub use password::Password;
pub use pool::PasswordPool;
