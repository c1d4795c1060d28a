//! What a client's stream can do next: bring something, end, or fall silent; or we stop waiting.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, Either};
use futures_util::stream::{Stream, StreamExt};
use tokio::time;
use tonic::{Code, Status};

use super::status::{codec_code_and_reason, status_with};

/// How long a client's stream may be silent.
pub(super) const STREAM_IDLE: Duration = Duration::from_secs(5 * 60);

/// What came of waiting for a client's stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming<T> {
    /// The client sent something.
    Item(T),
    /// The client has sent all.
    End,
    /// The client was silent for too long.
    Idle,
    /// `stop` was done first.
    Stopped,
}

/// Waits for what a client's stream does, at most `idle`, and no longer than until `stop` is done.
pub(super) async fn next<T>(
    stream: &mut (impl Stream<Item = T> + Unpin),
    stop: impl Future<Output = ()>,
    idle: Duration,
) -> Incoming<T> {
    let item = pin!(time::timeout(idle, stream.next()));
    match future::select(pin!(stop), item).await {
        Either::Left(((), _)) => Incoming::Stopped,
        Either::Right((Err(_), _)) => Incoming::Idle,
        Either::Right((Ok(None), _)) => Incoming::End,
        Either::Right((Ok(Some(item)), _)) => Incoming::Item(item),
    }
}

/// The answer to a client that was silent for too long.
pub(super) fn idle(metadata: &[(&str, String)], remark: &str) -> Status {
    let minutes = STREAM_IDLE.as_secs() / 60;
    let message = format!("nothing was sent for {minutes} minutes{remark}");
    status_with(Code::DeadlineExceeded, "STREAM_IDLE", message, metadata)
}

/// The answer to a stream that brought something that is no message.
pub(super) fn broken(status: &Status, metadata: &[(&str, String)], remark: &str) -> Status {
    let (code, reason) = codec_code_and_reason(status.code());
    status_with(code, reason, format!("{}{remark}", status.message()), metadata)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::stream;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn waiting_ends_with_the_first_thing_that_happens() {
        let mut stream = stream::iter([7]);
        assert_eq!(next(&mut stream, pending(), LONG).await, Incoming::Item(7));
        assert_eq!(next(&mut stream, pending(), LONG).await, Incoming::End);
        let mut silent = stream::pending::<i32>();
        assert_eq!(next(&mut silent, pending(), Duration::ZERO).await, Incoming::Idle);
        assert_eq!(next(&mut silent, ready(()), LONG).await, Incoming::Stopped);
    }
}
