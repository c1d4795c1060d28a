//! From an UpdateUser request to a patch: which fields the mask names, and what they become.
//!
//! | the mask names | and the field is present | and it is absent |
//! |---|---|---|
//! | `email`, `status` | set | refused: there is nothing to set it to |
//! | `name` | set | cleared |
//! | `attributes` | all replaced | all removed |
//! | `attributes.KEY` | the entry is set | the entry is removed |
//! | nothing at all | set, attributes excepted | left alone |
//!
//! A field that a mask does not name is not even looked at.

use std::collections::BTreeMap;
use std::mem;

use super::parse::{Violations, attributes, request_id, revision, status, user_id};
use super::repeat::Repeat;
use crate::domain::{
    AttributesPatch, Email, Error, Name, Patch, Reason, Revision, UserId, UserStatus,
};
use crate::pb::user::v1 as pb;

/// How many unknown paths an answer names, and how many bytes of each as it is shown, between
/// quotes: a status travels in a header.
const UNKNOWN_PATHS_MAX: usize = 3;
const UNKNOWN_PATH_BYTES_MAX: usize = 32;

/// An UpdateUser request, checked.
pub(super) struct Update {
    pub(super) id: UserId,
    pub(super) expected: Option<Revision>,
    pub(super) patch: Patch,
    pub(super) repeat: Option<Repeat>,
}

impl Update {
    pub(super) fn parse(mut request: pb::UpdateUserRequest) -> Result<Self, Error> {
        let mut found = Violations::default();
        let repeat_id =
            found.check("request_id", request_id(&mem::take(&mut request.request_id))).flatten();
        let repeat = repeat_id.map(|id| Repeat::new(id, "UpdateUser", &request));
        let expected = found.check("expected_revision", revision(request.expected_revision));
        let id = user_id(&request.user_id);
        let paths = request.update_mask.take().unwrap_or_default().paths;
        let mask = if paths.is_empty() {
            Mask::of_present(&request)
        } else {
            Mask::parse(paths, &mut found)
        };
        let patch = patch(mask, request, &mut found);
        found.refuse_any()?;
        Ok(Self { id: id?, expected: expected.flatten(), patch, repeat })
    }
}

/// The fields that an update changes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mask {
    email: bool,
    name: bool,
    status: bool,
    attributes: bool,
    /// Single attributes. When all are replaced, each of these is too, and in the same way.
    keys: Vec<String>,
}

impl Mask {
    fn of_present(request: &pb::UpdateUserRequest) -> Self {
        Self {
            email: request.email.is_some(),
            name: request.name.is_some(),
            status: request.status.is_some(),
            ..Self::default()
        }
    }

    fn parse(paths: Vec<String>, found: &mut Violations) -> Self {
        let mut mask = Self::default();
        let mut unknown = 0;
        for path in paths {
            match (path.as_str(), path.strip_prefix("attributes.")) {
                ("email", _) => mask.email = true,
                ("name", _) => mask.name = true,
                ("status", _) => mask.status = true,
                ("attributes", _) => mask.attributes = true,
                (_, Some(key)) if !key.is_empty() => mask.keys.push(key.to_owned()),
                _ if unknown < UNKNOWN_PATHS_MAX => {
                    unknown += 1;
                    found.note("update_mask", Reason::UnknownPath(beginning(&path)));
                }
                _ => {}
            }
        }
        mask
    }
}

/// As much of a path as an answer shows of it.
fn beginning(path: &str) -> String {
    let mut left = UNKNOWN_PATH_BYTES_MAX;
    let fits = |char: &char| {
        let shown: usize = char.escape_debug().map(char::len_utf8).sum();
        let fits = shown <= left;
        left = left.saturating_sub(shown);
        fits
    };
    path.chars().take_while(fits).collect()
}

fn patch(mask: Mask, request: pb::UpdateUserRequest, found: &mut Violations) -> Patch {
    let mut patch = Patch::default();
    if mask.email {
        patch.email = found.check("email", new_email(request.email.as_deref()));
    }
    if mask.name {
        patch.name = found.check("name", Name::parse(request.name.as_deref().unwrap_or_default()));
    }
    if mask.status {
        patch.status = found.check("status", new_status(request.status));
    }
    patch.attributes = found
        .check("attributes", new_attributes(mask.attributes, mask.keys, request.attributes))
        .unwrap_or_default();
    patch
}

fn new_email(text: Option<&str>) -> Result<Email, Reason> {
    Ok(Email::parse(text.ok_or(Reason::Missing)?)?)
}

fn new_status(number: Option<i32>) -> Result<UserStatus, Reason> {
    status(number.unwrap_or_default())?.ok_or(Reason::UnknownValue)
}

fn new_attributes(
    replace: bool,
    keys: Vec<String>,
    mut entries: BTreeMap<String, String>,
) -> Result<AttributesPatch, Reason> {
    if replace {
        return Ok(AttributesPatch::Replace(attributes(entries)?));
    }
    if keys.is_empty() {
        return Ok(AttributesPatch::Keep);
    }
    let each: BTreeMap<_, _> = keys
        .into_iter()
        .map(|key| {
            let value = entries.remove(&key);
            (key, value)
        })
        .collect();
    // What is set keeps the limits whatever the user has already; the writer checks the sum.
    attributes(each.iter().filter_map(|(k, v)| Some((k.clone(), v.clone()?))).collect())?;
    Ok(AttributesPatch::Each(each))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// An update of all fields, with this mask.
    fn full(paths: &[&str]) -> pb::UpdateUserRequest {
        pb::UpdateUserRequest {
            user_id: Uuid::nil().to_string(),
            email: Some("ada@example.org".to_owned()),
            name: Some("Ada".to_owned()),
            status: Some(pb::UserStatus::Inactive.into()),
            attributes: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            update_mask: Some(mask(paths)),
            ..Default::default()
        }
    }

    /// An update of no field, with this mask.
    fn bare(paths: &[&str]) -> pb::UpdateUserRequest {
        pb::UpdateUserRequest {
            user_id: Uuid::nil().to_string(),
            update_mask: Some(mask(paths)),
            ..Default::default()
        }
    }

    fn mask(paths: &[&str]) -> prost_types::FieldMask {
        prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
    }

    /// What the patch does, in words; or the violations.
    fn told(request: pb::UpdateUserRequest) -> String {
        let patch = match Update::parse(request) {
            Ok(update) => update.patch,
            Err(error) => return error.to_string(),
        };
        let mut told = Vec::new();
        told.extend(patch.email.map(|email| format!("email={}", email.address())));
        told.extend(patch.name.map(|name| format!("name={}", name.as_str())));
        told.extend(patch.status.map(|status| format!("status={status:?}")));
        match patch.attributes {
            AttributesPatch::Keep => {}
            AttributesPatch::Replace(all) => {
                told.push(format!("attributes={:?}", all.iter().collect::<Vec<_>>()));
            }
            AttributesPatch::Each(each) => told.push(format!("each={each:?}")),
        }
        told.join(" ")
    }

    #[test]
    fn a_mask_says_which_fields_change() {
        let team = "attributes=[(\"team\", \"blue\")]";
        for (paths, full_does, bare_does) in [
            (vec![], "email=ada@example.org name=Ada status=Inactive", ""),
            (vec!["email"], "email=ada@example.org", "email is required"),
            (vec!["name"], "name=Ada", "name="),
            (vec!["status"], "status=Inactive", "status is not a known value"),
            (vec!["name", "name"], "name=Ada", "name="),
            (vec!["attributes"], team, "attributes=[]"),
            (vec!["attributes.team"], "each={\"team\": Some(\"blue\")}", "each={\"team\": None}"),
            (vec!["attributes", "attributes.team"], team, "attributes=[]"),
            (vec!["attributes.a.b"], "each={\"a.b\": None}", "each={\"a.b\": None}"),
        ] {
            assert_eq!(told(full(&paths)), full_does, "{paths:?}");
            assert_eq!(told(bare(&paths)), bare_does, "{paths:?}");
        }
    }

    #[test]
    fn a_path_that_names_no_field_is_refused() {
        for path in ["", "id", "revision", "Email", "*", "attributes.", "email.x", "attribute"] {
            let refused = format!("update_mask names {path:?}, which cannot be changed");
            assert_eq!(told(full(&["name", path])), refused);
        }
        let many = vec!["x"; 1000];
        let Err(Error::Invalid(found)) = Update::parse(full(&many)) else { panic!("refused") };
        assert_eq!(found.len(), UNKNOWN_PATHS_MAX);
    }

    #[test]
    fn an_unknown_path_is_cut_by_what_is_shown_of_it() {
        for (path, shown) in [
            ("x".repeat(33), "x".repeat(32)),
            ("🦀".repeat(64), "🦀".repeat(8)),
            (format!("{}é", "x".repeat(31)), "x".repeat(31)),
            ("\u{1}".repeat(64), "\u{1}".repeat(6)),
        ] {
            assert_eq!(beginning(&path), shown);
        }
    }

    #[test]
    fn an_answer_to_many_unknown_paths_fits_in_a_header() {
        for path in ["🦀".repeat(64), "\u{1}".repeat(64), "\"".repeat(64), "{".repeat(64)] {
            let mut request = pb::UpdateUserRequest {
                email: None,
                name: Some("n".repeat(257)),
                status: None,
                attributes: BTreeMap::from([(String::new(), String::new())]),
                expected_revision: -1,
                request_id: "7".to_owned(),
                ..full(&["email", "name", "status", "attributes"])
            };
            request.update_mask.as_mut().unwrap().paths.extend(vec![path; 64]);
            let Err(error) = Update::parse(request) else { panic!("refused") };
            let headers = tonic::Status::from(error).into_http::<()>().into_parts().0.headers;
            let bytes: usize = headers.iter().map(|(k, v)| k.as_str().len() + v.len() + 32).sum();
            assert!(bytes < 4096, "{bytes}");
        }
    }

    #[test]
    fn only_fields_that_change_are_checked() {
        let request = |paths: &[&str]| pb::UpdateUserRequest {
            email: Some("nobody".to_owned()),
            name: Some("n".repeat(257)),
            status: Some(0),
            attributes: BTreeMap::from([(String::new(), String::new())]),
            expected_revision: -1,
            request_id: "7".to_owned(),
            ..full(paths)
        };
        let always = "request_id is not a UUID; expected_revision is negative";
        let fields = [
            ("email", "email has no @"),
            ("name", "name is longer than 256 characters"),
            ("status", "status is not a known value"),
            ("attributes", "attributes has an empty key"),
        ];
        for (path, reason) in fields {
            assert_eq!(told(request(&[path])), format!("{always}; {reason}"));
        }
        assert_eq!(told(request(&["attributes.k"])), always);
        assert_eq!(told(request(&[])).matches("; ").count(), 4);
    }

    #[test]
    fn attributes_that_are_set_one_by_one_keep_the_limits() {
        let mut request = full(&["attributes.team"]);
        request.attributes.insert("team".to_owned(), "v".repeat(1025));
        assert_eq!(told(request), "attributes has a value longer than 1,024 bytes");
    }
}
