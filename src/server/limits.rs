//! Every bound of the server, in one place.
//!
//! The product of these numbers bounds the memory that clients can make the server hold: a call in
//! flight holds at most one message being read, [`Limits::send_buffer_bytes`] being written, and
//! what its handler needs; a connection holds at most [`Limits::connection_window_bytes`] of request
//! data that no handler has read yet. Bounds on fields, pages and streams belong to the services.

use std::time::Duration;

/// The bounds of the server. The defaults are for production; tests shorten the times.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time, of all peers.
    pub connections_max: usize,
    /// Connections at a time of one peer address. Loopback and Unix sockets are exempt: there one
    /// address stands for everybody.
    pub connections_per_peer_max: usize,
    /// Connections on their way to one runtime.
    pub handover_max: usize,
    /// How long a new connection may take to send the preface of HTTP/2.
    pub preface_timeout: Duration,
    /// Calls in flight at a time, of all connections.
    pub calls_max: usize,
    /// Calls in flight at a time of one connection; told to the client in SETTINGS.
    pub streams_per_connection_max: u32,
    /// Streams that a client has reset before we saw them, before the connection is closed: rapid
    /// reset, CVE-2023-44487.
    pub pending_reset_streams_max: usize,
    /// Streams that we reset for errors of the client, before the connection is closed.
    pub error_reset_streams_max: usize,
    /// Bytes of the headers of a request.
    pub header_list_bytes_max: u32,
    /// Bytes of request data of one call that may be on their way: 16 MB/s at 1 ms of round trip.
    /// Small, because of [`Limits::connection_window_bytes`].
    pub stream_window_bytes: u32,
    /// As [`Limits::stream_window_bytes`] for all calls of one connection. h2 closes a connection
    /// on which unread frames of less than 256 bytes fall short of that by half of this in sum: an
    /// honest upload of the smallest items, 30 bytes each, that waits for us with a full window
    /// falls short by 7.5 windows. So four of them fit.
    pub connection_window_bytes: u32,
    /// Bytes of response data that one call may queue for a slow client.
    pub send_buffer_bytes: usize,
    /// Bytes of one request message. The largest useful one is a batch of 500 ids, 20 KiB.
    pub request_bytes_max: usize,
    /// Bytes of one response message: what every client accepts.
    pub response_bytes_max: usize,
    /// How long a unary call may take, whatever its caller allows. Streams have idle limits instead.
    pub unary_timeout: Duration,
    /// How long a call may wait for its client to read what was sent.
    pub stalled_timeout: Duration,
    /// How often a quiet connection is asked whether it lives.
    pub keepalive_interval: Duration,
    /// How long its answer may take.
    pub keepalive_timeout: Duration,
    /// How long a stop waits for the calls in flight.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_peer_max: 1_000,
            handover_max: 128,
            preface_timeout: Duration::from_secs(10),
            calls_max: 4_096,
            streams_per_connection_max: 256,
            pending_reset_streams_max: 20,
            error_reset_streams_max: 256,
            header_list_bytes_max: 8 * 1024,
            stream_window_bytes: 16 * 1024,
            connection_window_bytes: 1024 * 1024,
            send_buffer_bytes: 64 * 1024,
            request_bytes_max: 64 * 1024,
            response_bytes_max: 4 * 1024 * 1024,
            unary_timeout: Duration::from_secs(30),
            stalled_timeout: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(25),
        }
    }
}
