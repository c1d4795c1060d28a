//! The command line: one file a sub-command, and what they share.
//!
//! `rosterd` alone is `rosterd serve`, so that the daemon needs no argument at all. A sub-command
//! ends in an [`Exit`] when it fails, which says what to print and the exit code; nothing below
//! `main` ends the process.

mod exit;
mod files;
mod logs;
mod serve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};

use crate::directory;
pub use exit::Exit;

const EXAMPLES: &str = "\
Examples:
  rosterd                                       serve ./data on loopback, port 50051
  rosterd serve --listen 127.0.0.1:0            on a port that the system chooses
  rosterd serve --listen unix:/run/rosterd.sock --data-dir /var/lib/rosterd
  grpcurl -plaintext localhost:50051 list       what a running rosterd can be asked

Exit codes:
  0 done   64 usage   69 unavailable   74 I/O   75 locked   78 configuration or format";

/// A user directory in one daemon: durable, embedded, served over gRPC.
#[derive(Debug, Parser)]
#[command(name = "rosterd", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    /// The folder that holds the directory; made if need be.
    #[arg(long, value_name = "DIR", env = "ROSTERD_DATA_DIR", default_value = "./data")]
    #[arg(global = true)]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon; the default.
    Serve(Box<serve::Args>),
    /// The child that the daemon starts for a directory that was not closed.
    #[command(name = directory::RECOVER_COMMAND, hide = true)]
    RecoverKeyspace { arguments: Vec<String> },
}

/// Runs the program with these arguments, the first of which is its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match parse(arguments).map(dispatch) {
        Ok(Ok(code)) => code,
        Ok(Err(exit)) => exit.report(),
        Err(error) => {
            // Clap brings help and version as errors, too. Nobody is left to tell if this fails.
            let _ = error.print();
            if error.use_stderr() { Exit::USAGE.into() } else { ExitCode::SUCCESS }
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Exit> {
    let done = |()| ExitCode::SUCCESS;
    match cli.command {
        None => serve::run(cli.data_dir, cli.serve).map(done),
        Some(Command::Serve(args)) => serve::run(cli.data_dir, *args).map(done),
        Some(Command::RecoverKeyspace { arguments }) => Ok(directory::recover_keyspace(&arguments)),
    }
}

/// The flags of serve stand before a sub-command only if there is none.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    if let Some(name) = matches.subcommand_name() {
        let stray = command
            .get_arguments()
            .filter(|argument| !argument.is_global_set())
            .map(|argument| argument.get_id().clone())
            .find(|id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine));
        if let Some(id) = stray {
            let flag = id.as_str().replace('_', "-");
            let text = format!("--{flag} belongs after the sub-command: rosterd {name} --{flag} …");
            return Err(command.error(clap::error::ErrorKind::ArgumentConflict, text));
        }
    }
    Cli::from_arg_matches(&matches)
}
