//! What makes a write repeatable: the caller's request id and all that the request says.
//!
//! The content is the method's name, a zero byte and the request as protobuf, without its
//! `request_id`. Equal requests have equal bytes, since the generated types keep maps in order, and
//! a field that is not set takes no bytes, so that a request from before an upgrade equals its
//! repetition after it. The content may hold a password, so it is wiped after use, and what the
//! directory keeps of it is a keyed digest.

use prost::Message;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::directory::Directory;
use crate::domain::RequestId;

/// A request id with the content that it stands for.
pub(super) struct Repeat {
    id: Uuid,
    content: Zeroizing<Vec<u8>>,
}

impl Repeat {
    /// Takes down the content of a request whose `request_id` has been taken out.
    pub(super) fn new(id: Uuid, method: &str, request: &impl Message) -> Self {
        let request = Zeroizing::new(request.encode_to_vec());
        // Reserved in full, since a vector that grows leaves copies behind.
        let mut content = Zeroizing::new(Vec::with_capacity(method.len() + 1 + request.len()));
        content.extend_from_slice(method.as_bytes());
        content.push(0);
        content.extend_from_slice(&request);
        Self { id, content }
    }

    /// The form in which the directory knows the request.
    pub(super) fn identify(&self, directory: &Directory) -> RequestId {
        RequestId { id: self.id, mac: directory.request_mac(&self.content) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::user::v1 as pb;

    fn content(method: &str, request: &impl Message) -> Vec<u8> {
        Repeat::new(Uuid::nil(), method, request).content.to_vec()
    }

    fn create(email: &str, attributes: &[(&str, &str)]) -> pb::CreateUserRequest {
        let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pb::CreateUserRequest {
            email: email.to_owned(),
            attributes: attributes.collect(),
            ..Default::default()
        }
    }

    #[test]
    fn equal_requests_have_equal_contents_whatever_the_order_of_their_maps() {
        let entries: Vec<String> = (0..32).map(|i| format!("key-{i}")).collect();
        let forwards: Vec<_> = entries.iter().map(|key| (key.as_str(), "v")).collect();
        let backwards: Vec<_> = forwards.iter().copied().rev().collect();
        assert_eq!(
            content("CreateUser", &create("a@b", &forwards)),
            content("CreateUser", &create("a@b", &backwards)),
        );
    }

    #[test]
    fn requests_that_differ_anywhere_have_different_contents() {
        let base = create("a@b", &[]);
        let contents = [
            content("CreateUser", &base),
            content("UpdateUser", &base),
            content("CreateUser", &create("A@b", &[])),
            content("CreateUser", &pb::CreateUserRequest { name: "a".to_owned(), ..base.clone() }),
            content(
                "CreateUser",
                &pb::CreateUserRequest { password: "a".to_owned(), ..base.clone() },
            ),
            content("CreateUser", &pb::CreateUserRequest { status: 1, ..base.clone() }),
            content("CreateUser", &create("a@b", &[("k", "v")])),
            content("CreateUser", &create("a@b", &[("kv", "")])),
            content("CreateUser", &create("a@b", &[("", "kv")])),
        ];
        for (i, one) in contents.iter().enumerate() {
            assert!(
                !contents[i + 1..].contains(one),
                "content {i} is not the only one of its kind"
            );
        }
    }

    /// Breaks when the encoding changes. Then requests from before an upgrade are refused when
    /// they are repeated after it.
    #[test]
    fn the_content_of_a_request_stays_what_it_is() {
        let request = create("a@b", &[("k", "v")]);
        assert_eq!(
            content("CreateUser", &request),
            b"CreateUser\0\x0a\x03a@b\x2a\x06\x0a\x01k\x12\x01v"
        );
    }
}
