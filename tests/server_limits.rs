//! The bounds of the server hold on the wire: time, connections, calls, messages; and what is no
//! call of ours is told so.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rosterd::directory::Options;
use rosterd::server::{self, Endpoint, Limits, LogCalls, Running, Settings};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

const GET: &str = "/user.v1.UserService/GetUser";
const BULK: &str = "/user.v1.UserService/BulkCreateUsers";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// A message of no bytes.
const EMPTY: &str = "\0\0\0\0\0";

struct Daemon {
    running: Running,
    _dir: tempfile::TempDir,
}

impl Daemon {
    async fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut running = server::start(Settings {
            data_dir: dir.path().join("data"),
            directory: Options::new(env!("CARGO_BIN_EXE_rosterd").into(), 8 << 20),
            endpoints: vec![Endpoint::required("127.0.0.1:0".parse().unwrap())],
            log_calls: LogCalls::All,
            limits,
        })
        .unwrap();
        running.ready().await.unwrap();
        Self { running, _dir: dir }
    }

    fn address(&self) -> String {
        self.running.addresses()[0].to_string()
    }

    /// A client that has no deadline of its own.
    async fn client(&self) -> SendRequest<Body> {
        let stream = tokio::net::TcpStream::connect(self.address()).await.unwrap();
        let io = TokioIo::new(stream);
        let (client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn health(&self) -> HealthClient<Channel> {
        let endpoint = Channel::from_shared(format!("http://{}", self.address())).unwrap();
        HealthClient::new(endpoint.connect().await.unwrap())
    }

    fn raw(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Stops; it must not take long, whatever clients still hold.
    async fn stop(mut self) {
        let begun = Instant::now();
        self.running.stop();
        self.running.ended().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

fn request(path: &str, body: Body) -> Request<Body> {
    Request::post(format!("http://rosterd{path}"))
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap()
}

/// Sends a request and reads the answer to its end.
async fn call(client: &mut SendRequest<Body>, request: Request<Body>) -> (StatusCode, Status) {
    client.ready().await.unwrap();
    let response = client.send_request(request).await.unwrap();
    let code = response.status();
    (code, end(response).await)
}

/// Calls until the code of the answer is as wanted.
async fn until(client: &mut SendRequest<Body>, wanted: impl Fn(Code) -> bool) {
    let calls = async {
        while !wanted(call(client, request(GET, Body::new(EMPTY.to_owned()))).await.1.code()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), calls).await.unwrap();
}

async fn end(response: Response<Incoming>) -> Status {
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let mut body = response.into_body();
    while let Some(frame) = next_frame(&mut body).await {
        if let Some(status) = frame.unwrap().trailers_ref().and_then(Status::from_header_map) {
            return status;
        }
    }
    panic!("the answer has no status");
}

async fn next_frame(body: &mut Incoming) -> Option<hyper::Result<http_body::Frame<bytes::Bytes>>> {
    let mut body = std::pin::Pin::new(body);
    std::future::poll_fn(|cx| http_body::Body::poll_frame(body.as_mut(), cx)).await
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn what_is_no_call_of_ours_is_told_so() {
    let daemon = Daemon::start(Limits::default()).await;
    let mut client = daemon.client().await;
    let large = format!("\0\0\u{2}\0\0{}", "x".repeat(0x2_0000));
    let cases = [
        ("/user.v1.UserService/Nothing", EMPTY, "1S", Code::Unimplemented, "METHOD_UNKNOWN"),
        ("/no.Such/Method", EMPTY, "1S", Code::Unimplemented, "METHOD_UNKNOWN"),
        ("/", EMPTY, "1S", Code::Unimplemented, "METHOD_UNKNOWN"),
        (GET, EMPTY, "soon", Code::InvalidArgument, "TIMEOUT_MALFORMED"),
        (GET, "\0\0\0\0\u{1}\u{7}", "1S", Code::InvalidArgument, "MESSAGE_MALFORMED"),
        (GET, "", "1S", Code::InvalidArgument, "MESSAGE_MALFORMED"),
        (GET, &large, "1S", Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
    ];
    for (path, body, timeout, code, expected) in cases {
        let mut request = request(path, Body::new(body.to_owned()));
        request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        let (http, status) = call(&mut client, request).await;
        assert_eq!(http, StatusCode::OK);
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{status:?}");
    }
    let mut browser = request(GET, Body::empty());
    browser.headers_mut().insert("content-type", "text/html".parse().unwrap());
    assert_eq!(call(&mut client, browser).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    daemon.stop().await;
}

#[tokio::test]
async fn a_deadline_ends_a_call_before_its_headers_and_in_its_body() {
    let daemon = Daemon::start(Limits::default()).await;
    let mut client = daemon.client().await;
    for (path, timeout) in [(BULK, "50m"), (WATCH, "50m"), (GET, "0n")] {
        let mut request = request(path, never_ending());
        if path == WATCH {
            *request.body_mut() = Body::new(EMPTY.to_owned());
        }
        request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        let (_, status) = call(&mut client, request).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{path}");
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_unary_call_has_no_more_time_than_ours() {
    let unary_timeout = Duration::from_millis(50);
    let daemon = Daemon::start(Limits { unary_timeout, ..Limits::default() }).await;
    let mut client = daemon.client().await;
    let (_, status) = call(&mut client, request(GET, never_ending())).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    daemon.stop().await;
}

#[tokio::test]
async fn a_connection_that_sends_no_preface_is_closed() {
    let preface_timeout = Duration::from_millis(50);
    let daemon = Daemon::start(Limits { preface_timeout, ..Limits::default() }).await;
    for sent in [&b""[..], b"PRI * HTTP", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = daemon.raw();
        stream.write_all(sent).unwrap();
        let closed = stream.read(&mut [0; 64]);
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_connections_that_ask_for_nothing() {
    let daemon = Daemon::start(Limits::default()).await;
    let _silent = daemon.raw();
    let _idle = daemon.client().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_client_that_is_frozen() {
    let daemon = Daemon::start(Limits::default()).await;
    let mut frozen = daemon.raw();
    frozen.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    frozen.write_all(&frame(0x4, 0x0, 0, &[])).unwrap();
    // The server has greeted it, so it is a connection to be ended, and answers no PING.
    frozen.read_exact(&mut [0; 9]).unwrap();
    daemon.stop().await;
}

#[tokio::test]
async fn a_connection_above_the_bound_is_closed_at_once() {
    let daemon = Daemon::start(Limits { connections_max: 1, ..Limits::default() }).await;
    let mut client = daemon.client().await;
    assert_eq!(daemon.raw().read(&mut [0; 1]).unwrap_or(0), 0);
    let (_, status) = call(&mut client, request(GET, Body::new(EMPTY.to_owned()))).await;
    assert_ne!(status.code(), Code::Unavailable, "the one that was there goes on");
    daemon.stop().await;
}

#[tokio::test]
async fn a_call_above_the_bound_is_answered_at_once_and_told_when_to_try_again() {
    let daemon = Daemon::start(Limits { calls_max: 1, ..Limits::default() }).await;
    let mut client = daemon.client().await;
    let mut health = daemon.health().await;
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let get = || request(GET, Body::new(EMPTY.to_owned()));
    let (_, status) = call(&mut client, get()).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.get_details_retry_info().is_some());
    drop(watch);
    until(&mut client, |code| code != Code::ResourceExhausted).await;
    daemon.stop().await;
}

#[tokio::test]
async fn health_follows_the_stop_and_its_watch_ends() {
    let mut daemon = Daemon::start(Limits::default()).await;
    let mut health = daemon.health().await;
    let mut watch = async |service: &str| {
        let request = HealthCheckRequest { service: service.into() };
        health.watch(request).await.unwrap().into_inner()
    };
    let mut unknown = watch("no.Such").await;
    let mut known = watch("user.v1.UserService").await;
    let told = unknown.message().await.unwrap().unwrap().status();
    assert_eq!(told, ServingStatus::ServiceUnknown);
    assert_eq!(known.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    daemon.running.stop();
    assert_eq!(known.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(known.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(unknown.message().await.unwrap_err().code(), Code::Unavailable);
    daemon.running.ended().await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_call() {
    let limits =
        Limits { stalled_timeout: Duration::from_secs(3), calls_max: 1, ..Limits::default() };
    let daemon = Daemon::start(limits).await;
    // A window of nothing: the answer's first byte has to wait.
    let stalled = watch_without_window(daemon.raw());
    let mut client = daemon.client().await;
    until(&mut client, |code| code == Code::ResourceExhausted).await;
    until(&mut client, |code| code != Code::ResourceExhausted).await;
    drop(stalled);
    daemon.stop().await;
}

/// A body that sends nothing and does not end.
fn never_ending() -> Body {
    struct Never;

    impl http_body::Body for Never {
        type Data = bytes::Bytes;
        type Error = Status;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Status>>> {
            std::task::Poll::Pending
        }
    }

    Body::new(Never)
}

/// Watches the health with frames made by hand, whose SETTINGS leave the answer no window.
fn watch_without_window(mut stream: TcpStream) -> TcpStream {
    let mut headers = vec![0x83, 0x86];
    for (name, value) in [(&[0x04][..], WATCH), (&[0x0f, 0x10], "application/grpc")] {
        headers.extend_from_slice(name);
        headers.push(u8::try_from(value.len()).unwrap());
        headers.extend_from_slice(value.as_bytes());
    }
    let frames = [
        frame(0x4, 0x0, 0, &[0, 4, 0, 0, 0, 0]),
        frame(0x1, 0x4, 1, &headers),
        frame(0x0, 0x1, 1, EMPTY.as_bytes()),
    ];
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frames.concat()).unwrap();
    stream
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}
