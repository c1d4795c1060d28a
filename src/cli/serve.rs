//! `rosterd serve`: the daemon.

use std::path::PathBuf;

use clap::ValueEnum;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::Targets;

use super::exit::Exit;
use super::{files, logs};
use crate::directory;
use crate::server::{self, Address, Endpoint, Limits, LogCalls, Running, Settings};

/// The port of the default addresses.
const PORT: u16 = 50051;

const MIB: u64 = 1024 * 1024;

/// The flags of `rosterd serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen: IP:PORT or unix:/path, separated by commas or given several times. Port 0
    /// lets the system choose; the log tells the real one. [default: 127.0.0.1:50051 and [::1]:50051]
    #[arg(long, value_name = "ADDR", env = "ROSTERD_LISTEN", value_delimiter = ',')]
    listen: Vec<Address>,
    /// Memory for the cache of the store.
    #[arg(long, value_name = "MiB", env = "ROSTERD_CACHE", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u64).range(8..=1024 * 1024))]
    cache: u64,
    /// What to log: error, warn, info, debug, trace, or directives like info,rosterd::server=debug.
    #[arg(long, value_name = "FILTER", env = "ROSTERD_LOG", default_value = "info")]
    #[arg(value_parser = logs::parse_filter)]
    log_level: Targets,
    /// Which calls to log.
    #[arg(long, value_name = "WHICH", env = "ROSTERD_LOG_CALLS", default_value = "auto")]
    log_calls: Which,
}

/// Which calls get a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Every call if the log is a terminal, failures otherwise.
    Auto,
    /// Every call.
    All,
    /// Our failures, and calls of a second or more.
    Failures,
}

impl Which {
    fn on(self, terminal: bool) -> LogCalls {
        match self {
            Self::Auto if terminal => LogCalls::All,
            Self::All => LogCalls::All,
            Self::Auto | Self::Failures => LogCalls::Failures,
        }
    }
}

/// Runs the daemon until it is told to stop.
pub(super) fn run(data_dir: PathBuf, args: Args) -> Result<(), Exit> {
    // Dropped last, so that the log says everything.
    let _logs = logs::Logs::start(args.log_level.clone())?;
    files::raise_limit();
    let settings = settings(data_dir, args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    runtime.map_err(of_system)?.block_on(serve(settings))
}

fn settings(data_dir: PathBuf, args: Args) -> Result<Settings, Exit> {
    let limits = Limits::default();
    let connections_max = files::connections_max(limits.connections_max);
    let endpoints = match args.listen {
        none if none.is_empty() => Endpoint::loopback(PORT),
        given => given.into_iter().map(Endpoint::required).collect(),
    };
    let recoverer = std::env::current_exe().map_err(of_system)?;
    Ok(Settings {
        data_dir,
        directory: directory::Options::new(recoverer, args.cache * MIB),
        endpoints,
        log_calls: args.log_calls.on(logs::on_terminal()),
        limits: Limits { connections_max, ..limits },
    })
}

/// A first signal drains; a second one makes that short.
async fn serve(settings: Settings) -> Result<(), Exit> {
    // Before anything is started, so that no signal finds it half up.
    let mut signals = Signals::new().map_err(of_system)?;
    let mut running = server::start(settings)?;
    tokio::select! {
        ended = running.ended() => return Ok(ended?),
        signal = signals.next() => {
            tracing::info!(signal, "stopping; a second signal does not wait for calls in flight");
            running.stop();
        }
    }
    Ok(stopped(&mut running, &mut signals).await?)
}

async fn stopped(running: &mut Running, signals: &mut Signals) -> Result<(), server::Error> {
    tokio::select! {
        ended = running.ended() => return ended,
        signal = signals.next() => {
            tracing::warn!(signal, "stopping without waiting for calls in flight");
        }
    }
    running.stop_now();
    running.ended().await
}

/// The signals that ask for a stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn of_system(error: std::io::Error) -> Exit {
    Exit::new(Exit::IO, format_args!("the system refuses what the daemon needs: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_terminal_and_the_others_do_not() {
        for (which, on_terminal, elsewhere) in [
            (Which::Auto, LogCalls::All, LogCalls::Failures),
            (Which::All, LogCalls::All, LogCalls::All),
            (Which::Failures, LogCalls::Failures, LogCalls::Failures),
        ] {
            assert_eq!((which.on(true), which.on(false)), (on_terminal, elsewhere), "{which:?}");
        }
    }
}
