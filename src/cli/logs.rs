//! The log, on standard error: for people, with colours on a terminal only.
//!
//! Lines go through a bounded queue to a thread that writes them. When standard error is slower
//! than the log, lines are dropped and counted, and no call waits: a pipe that nobody reads must not
//! stop the daemon. The queue is written out when [`Logs`] is dropped.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;

use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Exit;

/// Lines that may wait: a few MiB at worst.
const QUEUE_MAX: usize = 8_192;

/// The running log.
#[derive(Debug)]
pub(super) struct Logs {
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

impl Logs {
    /// Starts the log of this process; once.
    pub(super) fn start(filter: Targets) -> Result<Self, Exit> {
        let (queue, writer) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(QUEUE_MAX)
            .thread_name("rosterd-log")
            .finish(io::stderr());
        let dropped = queue.error_counter();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(colours())
            .with_target(false)
            .with_writer(queue);
        tracing_subscriber::registry()
            .with(lines)
            .with(filter)
            .try_init()
            .map_err(|error| Exit::new(Exit::IO, format_args!("cannot start the log: {error}")))?;
        std::panic::set_hook(Box::new(log_panic));
        Ok(Self { dropped, _writer: writer })
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let lines = self.dropped.dropped_lines();
        if lines > 0 {
            tracing::warn!(lines, "standard error was too slow, so lines are missing above");
        }
    }
}

/// A filter such as `info`, or `info,rosterd::server=debug`.
pub(super) fn parse_filter(text: &str) -> Result<Targets, String> {
    let expected = "expected error, warn, info, debug, trace or off, and after it, if need be, \
                    modules with levels of their own: info,rosterd::server=debug";
    // Without this a level that is misspelt would be the name of a module, and silence all others.
    let misspelt = |part: &str| {
        !part.contains('=') && (part.is_empty() || part.parse::<LevelFilter>().is_err())
    };
    if text.split(',').any(misspelt) {
        return Err(expected.to_owned());
    }
    text.parse().map(discreet).map_err(|_| expected.to_owned())
}

/// Crates whose debugging lines print what passes through them: records, keys, headers, bodies. `h2`
/// and `hyper` stand for all whose names begin so.
const TALKATIVE: [&str; 4] = ["sled", "h2", "hyper", "tonic"];

/// The filter without lines that would show the fields of users, whatever was asked for.
fn discreet(filter: Targets) -> Targets {
    let inner = |target: &str| TALKATIVE.iter().any(|name| target.starts_with(name));
    let mut clamped = filter.clone();
    for (target, level) in filter.iter().filter(|(target, _)| inner(target)) {
        clamped = clamped.with_target(target, level.min(LevelFilter::INFO));
    }
    for name in TALKATIVE {
        if filter.would_enable(name, &Level::DEBUG) {
            clamped = clamped.with_target(name, LevelFilter::INFO);
        }
    }
    clamped
}

/// True if a person reads the log as it comes.
pub(super) fn on_terminal() -> bool {
    io::stderr().is_terminal()
}

/// <https://no-color.org>
fn colours() -> bool {
    on_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Logs a panic by its place. Its message may hold what a user sent, so it is for debugging only.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    tracing::error!(location, thread, "a panic: this is a bug of rosterd");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!("{backtrace}");
    }
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::debug!(text, "the panic says");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_shows_what_passes_through_the_crates_below() {
        for text in ["trace", "debug", "sled=trace", "info,hyper::proto=trace,h2=debug"] {
            let filter = parse_filter(text).unwrap();
            for target in ["sled", "h2", "hyper", "tonic"] {
                assert!(!filter.would_enable(target, &Level::DEBUG), "{text:?} {target}");
            }
        }
        let filter = parse_filter("trace,sled=warn").unwrap();
        assert!(filter.would_enable("rosterd::server", &Level::TRACE));
        assert!(filter.would_enable("h2", &Level::INFO));
        assert!(!filter.would_enable("sled", &Level::INFO));
    }

    #[test]
    fn a_filter_is_a_level_and_levels_of_modules() {
        for text in ["info", "INFO", "off", "warn,rosterd::server=debug", "sled=warn,info"] {
            assert!(parse_filter(text).is_ok(), "{text:?}");
        }
        for text in ["", "verbose", "info,rosterd", "info,", "rosterd=verbose"] {
            assert!(parse_filter(text).is_err(), "{text:?}");
        }
    }
}
