//! `grpc.health.v1`: whether the daemon serves, and the phase of its life that this follows.
//!
//! All services of the daemon live and die together, so there is one phase for all of them, and
//! tonic-health's table of services with a status each is not used; its generated messages are. It
//! also answers NOT_FOUND to a watch of an unknown service, where the protocol wants a stream that
//! says SERVICE_UNKNOWN. A watch ends after it has told of the drain, so that it does not hold it
//! up.

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use super::reflection;
use crate::domain;
use crate::pb::user::v1::user_service_server;
use crate::service::status;

pub(super) use tonic_health::pb::health_server::SERVICE_NAME;

/// The services that have a health, and the daemon as a whole.
const SERVICES: [&str; 5] =
    ["", user_service_server::SERVICE_NAME, SERVICE_NAME, reflection::V1, reflection::V1_ALPHA];

/// Where the daemon is in its life. It only moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It listens, and opens its directory.
    Starting,
    /// It serves.
    Serving,
    /// It finishes what it has begun.
    Draining,
}

impl Phase {
    fn status(self) -> ServingStatus {
        match self {
            Self::Serving => ServingStatus::Serving,
            Self::Starting | Self::Draining => ServingStatus::NotServing,
        }
    }
}

/// The health service.
#[derive(Clone, Debug)]
pub(super) struct Health {
    phase: watch::Receiver<Phase>,
}

impl Health {
    pub(super) fn new(phase: watch::Receiver<Phase>) -> Self {
        Self { phase }
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !SERVICES.contains(&request.get_ref().service.as_str()) {
            return Err(status::status(Code::NotFound, "SERVICE_UNKNOWN", "no such service"));
        }
        Ok(Response::new(answer(self.phase.borrow().status())))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.get_ref().service.as_str());
        let watch = Watch { phase: self.phase.clone(), known, told: None, drained: false };
        Ok(Response::new(stream::unfold(watch, Watch::next).boxed()))
    }
}

/// One watch of one service.
struct Watch {
    phase: watch::Receiver<Phase>,
    known: bool,
    told: Option<ServingStatus>,
    drained: bool,
}

impl Watch {
    /// The next status that differs from the one told; after the drain, the end.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        loop {
            if self.drained {
                return None;
            }
            let phase = *self.phase.borrow_and_update();
            let status = if self.known { phase.status() } else { ServingStatus::ServiceUnknown };
            if self.told != Some(status) {
                self.told = Some(status);
                return Some((Ok(answer(status)), self));
            }
            if phase == Phase::Draining || self.phase.changed().await.is_err() {
                self.drained = true;
                return Some((Err(domain::Error::Unavailable("stopping").into()), self));
            }
        }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::health_server::Health as _;

    use super::*;

    /// What a watch tells while the daemon goes through its phases, and the code it ends with.
    async fn check(service: &str, expected: &[ServingStatus]) {
        let phase = watch::Sender::new(Phase::Starting);
        let request = Request::new(HealthCheckRequest { service: service.into() });
        let health = Health::new(phase.subscribe());
        let mut watch = health.watch(request).await.unwrap().into_inner();
        let mut told = vec![watch.next().await.unwrap().unwrap().status()];
        for next in [Phase::Serving, Phase::Draining] {
            phase.send_replace(next);
            if told.len() < expected.len() {
                told.push(watch.next().await.unwrap().unwrap().status());
            }
        }
        assert_eq!(told, expected, "{service:?}");
        assert_eq!(watch.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
        assert!(watch.next().await.is_none());
    }

    #[tokio::test]
    async fn a_watch_follows_the_life_of_the_daemon_and_ends_with_the_drain() {
        use ServingStatus::{NotServing, ServiceUnknown, Serving};
        check("", &[NotServing, Serving, NotServing]).await;
        check("user.v1.UserService", &[NotServing, Serving, NotServing]).await;
        check("no.Such", &[ServiceUnknown]).await;
    }

    #[tokio::test]
    async fn a_check_of_an_unknown_service_is_not_found() {
        let health = Health::new(watch::Sender::new(Phase::Serving).subscribe());
        let check = |service: &str| {
            let request = Request::new(HealthCheckRequest { service: service.into() });
            let health = &health;
            async move { health.check(request).await }
        };
        assert_eq!(check("").await.unwrap().get_ref().status(), ServingStatus::Serving);
        assert_eq!(check("no.Such").await.unwrap_err().code(), Code::NotFound);
    }
}
