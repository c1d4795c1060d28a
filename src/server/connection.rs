//! One connection: HTTP/2 by hyper, from the preface to the last call.
//!
//! hyper's own server is used instead of tonic's, for its knobs: tonic's takes the connections of
//! one listener on one runtime, has no graceful end for one of them, and puts axum in between.

use std::io;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::accept::{Arrival, Stream};
use super::layer::Layers;
use super::preface::read_preface;
use super::stall::Executor;

/// What the connections of one runtime share.
pub(super) struct Connections {
    http2: http2::Builder<Executor>,
    limits: Arc<Limits>,
    layers: Layers,
    draining: CancellationToken,
}

impl Connections {
    pub(super) fn new(limits: Arc<Limits>, layers: Layers, draining: CancellationToken) -> Self {
        Self { http2: http2_builder(&limits), limits, layers, draining }
    }

    /// Serves one connection until its client leaves; once the server drains, until its calls are
    /// done. The seat is given back at the end.
    pub(super) async fn serve(&self, arrival: Arrival) {
        let Arrival { stream, peer, seat: _seat } = arrival;
        let opened = async { read_preface(register(stream)?, self.limits.preface_timeout).await };
        let stream = match self.draining.run_until_cancelled(opened).await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => return tracing::debug!(%peer, %error, "a connection never opened"),
            // It has asked for nothing yet.
            None => return,
        };
        let service = TowerToHyperService::new(self.layers.around_connection(peer));
        let connection = self.http2.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = match self.draining.run_until_cancelled(connection.as_mut()).await {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection broke");
        }
    }
}

/// Makes the socket part of this runtime.
fn register(stream: Stream) -> io::Result<Either<TcpStream, UnixStream>> {
    Ok(match stream {
        Stream::Tcp(stream) => Either::Left(TcpStream::from_std(stream)?),
        Stream::Unix(stream) => Either::Right(UnixStream::from_std(stream)?),
    })
}

fn http2_builder(limits: &Limits) -> http2::Builder<Executor> {
    let mut builder = http2::Builder::new(Executor::new(limits.stalled_timeout));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection_max)
        .max_pending_accept_reset_streams(limits.pending_reset_streams_max)
        .max_local_error_reset_streams(limits.error_reset_streams_max)
        .max_header_list_size(limits.header_list_bytes_max)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(limits.send_buffer_bytes)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout)
        // gRPC has no use for it.
        .auto_date_header(false);
    builder
}
