//! The first bytes of a connection: who sends nothing, or no HTTP/2, does not stay.
//!
//! The preface that opens every HTTP/2 connection is read here, within a time, before anything else
//! is set up for the connection; it is then read once more by the HTTP/2 server. A client sends it
//! at once, without waiting for us, so this costs no round trip.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// RFC 9113, section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose preface has arrived; reading from it begins with the preface.
#[derive(Debug)]
pub(super) struct Opened<S> {
    stream: S,
    replayed: usize,
}

/// Waits for the preface.
///
/// # Errors
///
/// `TimedOut` if it is not complete in time, `InvalidData` at the first byte that is another,
/// `UnexpectedEof` if the client has gone.
pub(super) async fn read_preface<S>(mut stream: S, timeout: Duration) -> io::Result<Opened<S>>
where
    S: AsyncRead + Unpin,
{
    tokio::time::timeout(timeout, expect_preface(&mut stream)).await??;
    Ok(Opened { stream, replayed: 0 })
}

async fn expect_preface<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut buffer = [0; PREFACE.len()];
    let mut filled = 0;
    while filled < PREFACE.len() {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        if !PREFACE.starts_with(&buffer[..filled]) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP/2"));
        }
    }
    Ok(())
}

impl<S: AsyncRead + Unpin> AsyncRead for Opened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &PREFACE[self.replayed..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let replayed = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..replayed]);
        self.replayed += replayed;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opened<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    /// What becomes of a connection whose client sends these pieces and then waits.
    async fn check(pieces: &[&[u8]], expected: Result<&[u8], io::ErrorKind>) {
        let (mut client, server) = tokio::io::duplex(1024);
        for piece in pieces {
            client.write_all(piece).await.unwrap();
        }
        match (read_preface(server, SHORT).await, expected) {
            (Ok(mut opened), Ok(expected)) => {
                let mut read = vec![0; expected.len()];
                opened.read_exact(&mut read).await.unwrap();
                assert_eq!(read, expected);
            }
            (Err(error), Err(expected)) => assert_eq!(error.kind(), expected),
            (opened, expected) => panic!("{opened:?} instead of {expected:?}"),
        }
    }

    #[tokio::test]
    async fn only_the_preface_opens_a_connection() {
        let mut more = PREFACE.to_vec();
        more.extend_from_slice(b"frames");
        check(&[&more], Ok(&more)).await;
        check(&[&PREFACE[..9], &PREFACE[9..]], Ok(PREFACE)).await;
        check(&[], Err(io::ErrorKind::TimedOut)).await;
        check(&[&PREFACE[..23]], Err(io::ErrorKind::TimedOut)).await;
        check(&[b"GET / HTTP/1.1\r\n"], Err(io::ErrorKind::InvalidData)).await;
        check(&[b"\x16\x03\x01"], Err(io::ErrorKind::InvalidData)).await;
    }
}
