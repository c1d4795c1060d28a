//! The table of methods that this server has, read from the descriptors of its services.
//!
//! Nothing else lists methods, so that a new one cannot be forgotten: it is unary, and held to the
//! time of unary calls, unless its descriptor says that it streams.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::pb;

/// The descriptors of every service, for reflection and for this table, and of the error details,
/// so that a client that asks for them by reflection can show them.
pub(super) const DESCRIPTORS: [&[u8]; 5] = [
    pb::DESCRIPTORS,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// How the messages of a method flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// One request, one answer.
    Unary,
    /// A stream, in either direction or both.
    Streaming,
}

/// The flow of the method with this path (`/package.Service/Method`), if there is one.
pub(super) fn flow(path: &str) -> Option<Flow> {
    TABLE.get(path).copied()
}

static TABLE: LazyLock<HashMap<String, Flow>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    for encoded in DESCRIPTORS {
        #[expect(clippy::expect_used, reason = "they are constants of this program, and tested")]
        let set = FileDescriptorSet::decode(encoded).expect("our own descriptors decode");
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let streams = method.client_streaming() || method.server_streaming();
                    let flow = if streams { Flow::Streaming } else { Flow::Unary };
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    table.insert(path, flow);
                }
            }
        }
    }
    table
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_known_and_whether_it_streams() {
        for (path, expected) in [
            ("/user.v1.UserService/GetUser", Some(Flow::Unary)),
            ("/user.v1.UserService/ListUsers", Some(Flow::Streaming)),
            ("/user.v1.UserService/BulkCreateUsers", Some(Flow::Streaming)),
            ("/user.v1.UserService/UserUpdates", Some(Flow::Streaming)),
            ("/grpc.health.v1.Health/Check", Some(Flow::Unary)),
            ("/grpc.health.v1.Health/Watch", Some(Flow::Streaming)),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Some(Flow::Streaming)),
            (
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                Some(Flow::Streaming),
            ),
            ("/user.v1.UserService/Get", None),
            ("user.v1.UserService/GetUser", None),
            ("/", None),
        ] {
            assert_eq!(flow(path), expected, "{path}");
        }
    }
}
