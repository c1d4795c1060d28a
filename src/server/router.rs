//! Which service a call is for, by its path: `/package.Service/Method`.
//!
//! What is no gRPC gets HTTP 415, as the protocol says; a method that does not exist UNIMPLEMENTED.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic_health::pb::health_server::HealthServer;
use tower::Service;

use super::Limits;
use super::health::{self, Health};
use super::layer::{self, Refusal};
use super::methods;
use super::reflection::{self, Reflection};
use crate::pb::user::v1::user_service_server::{self, UserServiceServer};
use crate::service::Users;
use crate::service::status;

/// The services of one runtime; clones share them.
#[derive(Clone)]
pub(super) struct Router {
    services: Arc<Services>,
}

struct Services {
    users: UserServiceServer<Users>,
    health: HealthServer<Health>,
    reflection: Reflection,
}

impl Router {
    pub(super) fn new(
        limits: &Limits,
        users: Users,
        health: Health,
        reflection: Reflection,
    ) -> Self {
        // Compressed requests stay refused: the default. A small one may unfold into a large one.
        let users = UserServiceServer::new(users)
            .max_decoding_message_size(limits.request_bytes_max)
            .max_encoding_message_size(limits.response_bytes_max);
        let health = HealthServer::new(health).max_decoding_message_size(limits.request_bytes_max);
        Self { services: Arc::new(Services { users, health, reflection }) }
    }

    fn route(&self, request: Request<Incoming>) -> Either<Routed, Refusal<Incoming, Body>> {
        let Services { users, health, reflection } = &*self.services;
        let path = request.uri().path();
        let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        match service.filter(|_| methods::flow(path).is_some()).map(|(service, _)| service) {
            Some(user_service_server::SERVICE_NAME) => Either::Left(users.clone().call(request)),
            Some(health::SERVICE_NAME) => Either::Left(health.clone().call(request)),
            Some(reflection::V1) => Either::Left(reflection.v1(request)),
            Some(reflection::V1_ALPHA) => Either::Left(reflection.v1alpha(request)),
            _ => {
                let text = "there is no such method; reflection lists those there are";
                let status = status::status(Code::Unimplemented, "METHOD_UNKNOWN", text);
                Either::Right(Refusal::new(status.into_http(), request.into_body()))
            }
        }
    }
}

/// An answer on its way.
pub(super) type Routed = BoxFuture<Response<Body>, Infallible>;

impl Service<Request<Incoming>> for Router {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Routed, Refusal<Incoming, Body>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if is_grpc(&request) {
            self.route(request)
        } else {
            Either::Right(Refusal::new(not_grpc(), request.into_body()))
        }
    }
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| {
        let rest = value.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The answer to a browser. It has a gRPC status too, for a client of gRPC that errs.
fn not_grpc() -> Response<Body> {
    let text = "this is a gRPC server: content-type must be application/grpc";
    let status = layer::invalid("CONTENT_TYPE_UNKNOWN", "content-type", text);
    let mut response = status.into_http();
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_is_grpc() {
        for (content_type, expected) in [
            (Some("application/grpc"), true),
            (Some("application/grpc+proto"), true),
            (Some("application/grpc;charset=utf-8"), true),
            (Some("application/grpc-web"), false),
            (Some("application/json"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut request = Request::new(());
            if let Some(value) = content_type {
                request.headers_mut().insert(header::CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(is_grpc(&request), expected, "{content_type:?}");
        }
    }
}
