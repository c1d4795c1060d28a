//! The gRPC services: authorize, parse, act, reply. They translate and decide nothing.

pub mod status;
