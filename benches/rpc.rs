//! The real program under load from real connections: calls a second, processor time of the daemon a
//! call, and its memory, in one run.
//!
//! `cargo bench --bench rpc [-- SECONDS [NAME/WIDTH]]`; a call that does no work (health) stands beside the
//! others as the limit. `ROSTERD_BENCH_ADDR` and `ROSTERD_BENCH_PID` name a daemon that runs already,
//! for instance under strace. Figures of one machine and run compare only with each other.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rosterd::pb::user::v1::user_service_client::UserServiceClient;
use rosterd::pb::user::v1::{CreateUserRequest, GetUserRequest, ListUsersRequest};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const CONNECTIONS: usize = 4;

struct Daemon {
    child: Option<Child>,
    pid: u32,
    address: String,
    _dir: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        if let (Ok(address), Ok(pid)) =
            (std::env::var("ROSTERD_BENCH_ADDR"), std::env::var("ROSTERD_BENCH_PID"))
        {
            return Self { child: None, pid: pid.parse().unwrap(), address, _dir: dir };
        }
        let child = Command::new(env!("CARGO_BIN_EXE_rosterd"))
            .args(["--data-dir", dir.path().to_str().unwrap(), "--listen", "127.0.0.1:0"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = await_address(dir.path());
        Self { pid: child.id(), child: Some(child), address, _dir: dir }
    }

    async fn connect(&self) -> Vec<Channel> {
        let mut channels = Vec::new();
        while channels.len() < CONNECTIONS {
            let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
            match endpoint.connect().await {
                Ok(channel) => channels.push(channel),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        channels
    }

    /// Processor time in microseconds, user and system.
    fn cpu_micros(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        ticks * 10_000
    }

    fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn await_address(dir: &Path) -> String {
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let lock = std::fs::read_to_string(dir.join("LOCK")).unwrap_or_default();
        if let Some(address) = lock.lines().find_map(|line| line.strip_prefix("listen ")) {
            return address.to_owned();
        }
    }
}

/// Has `width` callers call for a while, and prints what came of it.
async fn measure<C, F>(daemon: &Daemon, name: &str, width: usize, span: Duration, call: C)
where
    C: Fn(usize) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = u64> + Send,
{
    if arguments().nth(1).is_some_and(|only| only != format!("{name}/{width}")) {
        return;
    }
    let done = Arc::new(AtomicU64::new(0));
    let (cpu, began) = (daemon.cpu_micros(), Instant::now());
    let callers = (0..width).map(|caller| {
        let (call, done) = (call.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            while began.elapsed() < span {
                done.fetch_add(call(caller).await, Ordering::Relaxed);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let (done, elapsed) = (done.load(Ordering::Relaxed), began.elapsed().as_secs_f64());
    #[allow(clippy::cast_precision_loss)]
    let (rate, cost) =
        (done as f64 / elapsed, (daemon.cpu_micros() - cpu) as f64 / done.max(1) as f64);
    let memory = daemon.resident_mib();
    println!("{name:24} {width:>4} in flight {rate:>10.0}/s {cost:>8.1} µs {memory:>6} MiB");
}

fn new_user(number: u64) -> CreateUserRequest {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    CreateUserRequest {
        email: format!("{scattered:016x}@example.org"),
        name: "Ada Lovelace".to_owned(),
        ..Default::default()
    }
}

async fn run(daemon: &Daemon, span: Duration) {
    let channels = daemon.connect().await;
    let users: Vec<_> = channels.iter().cloned().map(UserServiceClient::new).collect();
    // Until the directory is open, calls answer UNAVAILABLE.
    let nobody = || GetUserRequest::default();
    while users[0].clone().get_user(nobody()).await.is_err_and(|s| s.code() != Code::NotFound) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{:24} {:>14} {:>12} {:>11} {:>10}", "", "", "calls", "daemon cpu", "memory");

    let health: Vec<_> = channels.iter().cloned().map(HealthClient::new).collect();
    measure(daemon, "Check (no work)", 64, span, move |caller| {
        let mut client = health[caller % CONNECTIONS].clone();
        async move {
            client.check(HealthCheckRequest::default()).await.unwrap();
            1
        }
    })
    .await;

    // Other users than an earlier run against the same daemon.
    let first = uuid::Uuid::new_v4().as_u64_pair().0 >> 16;
    let number = Arc::new(AtomicU64::new(first));
    for width in [1, 64] {
        let (clients, number) = (users.clone(), Arc::clone(&number));
        measure(daemon, "CreateUser", width, span, move |caller| {
            let mut client = clients[caller % CONNECTIONS].clone();
            let user = new_user(number.fetch_add(1, Ordering::Relaxed));
            async move {
                client.create_user(user).await.unwrap();
                1
            }
        })
        .await;
    }

    let bulk = users.clone();
    measure(daemon, "BulkCreateUsers", 1, span, move |_| {
        let mut client = bulk[0].clone();
        let first = number.fetch_add(20_000, Ordering::Relaxed);
        async move {
            let items = tokio_stream::iter((first..first + 20_000).map(new_user));
            let answer = client.bulk_create_users(items).await.unwrap().into_inner();
            assert_eq!(answer.failed_count, 0);
            20_000
        }
    })
    .await;
    reads(daemon, users, span).await;
}

async fn reads(daemon: &Daemon, users: Vec<UserServiceClient<Channel>>, span: Duration) {
    let listed = users[0].clone().list_users(ListUsersRequest::default()).await.unwrap();
    let ids: Vec<String> =
        listed.into_inner().take(10_000).map(|user| user.unwrap().id).collect().await;
    let (gets, ids) = (users.clone(), Arc::new(ids));
    let next = Arc::new(AtomicU64::new(0));
    measure(daemon, "GetUser", 64, span, move |caller| {
        let mut client = gets[caller % CONNECTIONS].clone();
        #[allow(clippy::cast_possible_truncation)]
        let at = next.fetch_add(4_801, Ordering::Relaxed) as usize % ids.len();
        let user_id = ids[at].clone();
        async move {
            client.get_user(GetUserRequest { user_id }).await.unwrap();
            1
        }
    })
    .await;

    for (width, page_size) in [(1, 100), (10, 1000)] {
        let lists = users.clone();
        measure(daemon, "ListUsers", width, span, move |caller| {
            let mut client = lists[caller % CONNECTIONS].clone();
            async move {
                let request = ListUsersRequest { page_size, ..Default::default() };
                let users = client.list_users(request).await.unwrap().into_inner();
                users.fold(0, async |count, user| count + u64::from(user.is_ok())).await
            }
        })
        .await;
    }
}

/// Our arguments; Cargo adds flags of its own.
fn arguments() -> impl Iterator<Item = String> {
    std::env::args().skip(1).filter(|argument| !argument.starts_with("--"))
}

fn main() {
    let seconds = arguments().next().map_or(4, |seconds| seconds.parse().unwrap());
    let daemon = Daemon::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&daemon, Duration::from_secs(seconds)));
}
