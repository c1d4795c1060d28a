//! A daemon in this process, on a port of its own, through the same `server::start` as `main`.

use std::path::PathBuf;

use rosterd::directory::{self, check};
use rosterd::pb::user::v1::user_service_client::UserServiceClient;
use rosterd::server::{self, Endpoint, Limits, LogCalls, Running, Settings};
use tonic::transport::Channel;

/// A running daemon on an empty directory.
pub(crate) struct Daemon {
    running: Running,
    channel: Channel,
    dir: tempfile::TempDir,
}

impl Daemon {
    /// Starts a daemon and waits until it serves.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let recoverer = PathBuf::from(env!("CARGO_BIN_EXE_rosterd"));
        let mut running = server::start(Settings {
            data_dir: dir.path().to_owned(),
            directory: directory::Options::new(recoverer, 8 << 20),
            endpoints: vec![Endpoint::required("127.0.0.1:0".parse().unwrap())],
            log_calls: LogCalls::Failures,
            limits: Limits::default(),
        })
        .unwrap();
        running.ready().await.unwrap();
        let uri = format!("http://{}", running.addresses()[0]);
        let channel = Channel::from_shared(uri).unwrap().connect().await.unwrap();
        Self { running, channel, dir }
    }

    /// A client of the user service, on the daemon's one connection.
    pub(crate) fn client(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel.clone())
    }

    /// Stops the daemon and proves every invariant of the directory that it leaves.
    pub(crate) async fn stop(mut self) {
        drop(self.channel);
        self.running.stop();
        self.running.ended().await.unwrap();
        if let Err(error) = check(self.dir.path()) {
            panic!("{error}");
        }
    }
}
