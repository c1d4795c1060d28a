//! An email address and the canonical form that makes it unique.
//!
//! The shape is RFC 5321's `Mailbox` with RFC 6531's non-ASCII letters. Two addresses are the same
//! user's when their canonical forms are equal: local part case-folded and composed, needless
//! quotes removed, domain as its IDNA A-label (UTS 46, non-transitional). Dots and `+tags` in a
//! local part mean something to many servers, so they are kept.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

const LOCAL_BYTES_MAX: usize = 64;
const WHOLE_BYTES_MAX: usize = 254;

/// The number of the canonical form. It stands in the directory's FORMAT file; a change of the
/// rules here or of the Unicode tables beneath them must raise it, and a test notices both.
pub const CANONICAL_FORM: u32 = 1;

/// An address as it was typed (trimmed, composed) with its canonical form.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    address: String,
    canonical: CanonicalEmail,
}

/// The form under which an address is unique and looked up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalEmail(String);

/// Why a text is no email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Nothing, or only white space.
    #[error("is empty")]
    Empty,
    /// No `@`.
    #[error("has no @")]
    NoAt,
    /// More than 254 octets.
    #[error("is longer than 254 octets")]
    TooLong,
    /// More than 64 octets before the `@`.
    #[error("has more than 64 octets before the @")]
    LocalTooLong,
    /// A part before the `@` that is neither a dot-atom nor a quoted string.
    #[error("is malformed before the @")]
    Local,
    /// A domain that is no host name, internationalized host name or address literal.
    #[error("has a malformed domain after the @")]
    Domain,
    /// Control, white-space or invisible formatting characters.
    #[error("has a control or invisible character")]
    Invisible,
}

impl Email {
    /// Checks an address and finds its canonical form.
    ///
    /// # Errors
    ///
    /// [`EmailError`] names the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        // Bounds the work of normalizing before it is done.
        if text.len() > WHOLE_BYTES_MAX * 3 {
            return Err(EmailError::TooLong);
        }
        let address = nfc(text);
        if address.chars().any(is_invisible) {
            return Err(EmailError::Invisible);
        }
        let (local, domain) = address.rsplit_once('@').ok_or(EmailError::NoAt)?;
        let canonical = format!("{}@{}", canonical_local(local)?, canonical_domain(domain)?);
        if address.len() > WHOLE_BYTES_MAX || canonical.len() > WHOLE_BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        Ok(Self { address, canonical: CanonicalEmail(canonical) })
    }

    /// Takes the parts that an earlier [`Email::parse`] made.
    pub fn from_record(address: String, canonical: String) -> Self {
        Self { address, canonical: CanonicalEmail(canonical) }
    }

    /// The address as typed.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The canonical form.
    pub fn canonical(&self) -> &CanonicalEmail {
        &self.canonical
    }

    /// The address as typed, owned.
    pub fn into_address(self) -> String {
        self.address
    }

    /// How many bytes both forms take.
    pub fn bytes(&self) -> usize {
        self.address.len() + self.canonical.0.len()
    }
}

impl fmt::Debug for Email {
    /// Hides the address: a log must not carry it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

impl CanonicalEmail {
    /// The canonical form of the beginning of an address, for a search by prefix. A beginning can
    /// be cut anywhere, so only case and composition are brought into form; a domain must be
    /// given as its A-label.
    pub fn prefix(text: &str) -> String {
        fold(&nfc(text.trim_start()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CanonicalEmail {
    /// Hides the address: a log must not carry it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CanonicalEmail")
    }
}

fn nfc(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

/// Folds case; composes again, since folding can decompose, and folds what that composed.
fn fold(text: &str) -> String {
    let folded = nfc(&CaseMapper::new().fold_string(text));
    nfc(&CaseMapper::new().fold_string(&folded))
}

/// Controls, spaces other than the plain one, bidi marks and other characters that nobody sees.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}')
}

fn canonical_local(local: &str) -> Result<String, EmailError> {
    if local.len() > LOCAL_BYTES_MAX {
        return Err(EmailError::LocalTooLong);
    }
    let folded = fold(local);
    if is_dot_atom(&folded) {
        return Ok(folded);
    }
    let content = unquote(&folded).ok_or(EmailError::Local)?;
    if is_dot_atom(&content) { Ok(content) } else { Ok(quote(&content)) }
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// The content of a quoted string, without the backslashes that quote single characters.
fn unquote(text: &str) -> Option<String> {
    let quoted = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut content = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => content.push(chars.next()?),
            _ => content.push(c),
        }
    }
    (!content.is_empty()).then_some(content)
}

fn quote(content: &str) -> String {
    format!("\"{}\"", content.replace('\\', "\\\\").replace('"', "\\\""))
}

fn canonical_domain(domain: &str) -> Result<String, EmailError> {
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return canonical_literal(literal).ok_or(EmailError::Domain);
    }
    Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Verify)
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| EmailError::Domain)
}

/// RFC 5321 section 4.1.3.
fn canonical_literal(literal: &str) -> Option<String> {
    match literal.get(..5).filter(|tag| tag.eq_ignore_ascii_case("ipv6:")) {
        Some(tag) => {
            literal[tag.len()..].parse::<Ipv6Addr>().ok().map(|address| format!("[ipv6:{address}]"))
        }
        None => literal.parse::<Ipv4Addr>().ok().map(|address| format!("[{address}]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, EmailError> {
        Email::parse(text).map(|email| email.canonical().as_str().to_owned())
    }

    #[test]
    fn spellings_of_one_address_meet_in_one_form() {
        for (text, expected) in [
            ("ada@example.org", "ada@example.org"),
            (" Ada@Example.ORG ", "ada@example.org"),
            ("\"ada\"@example.org", "ada@example.org"),
            ("\"a\\d\\a\"@example.org", "ada@example.org"),
            ("\"ada lovelace\"@example.org", "\"ada lovelace\"@example.org"),
            ("a@localhost", "a@localhost"),
            ("zoe\u{308}@bücher.example", "zo\u{eb}@xn--bcher-kva.example"),
            ("ZOË@xn--bcher-kva.example", "zo\u{eb}@xn--bcher-kva.example"),
            ("STRASSE@example.org", "strasse@example.org"),
            ("straße@example.org", "strasse@example.org"),
            ("用户@例子。广告", "用户@xn--fsqu00a.xn--4rr70v"),
            ("a.b+c@example.org", "a.b+c@example.org"),
            ("\"a@b\"@example.org", "\"a@b\"@example.org"),
            ("a@[127.0.0.1]", "a@[127.0.0.1]"),
            ("a@[IPv6:0:0:0:0:0:0:0:1]", "a@[ipv6:::1]"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_rule_it_breaks() {
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long_domain = format!("a@{}", ["b".repeat(60).as_str(); 5].join("."));
        for (text, error) in [
            ("", EmailError::Empty),
            ("  ", EmailError::Empty),
            ("ada", EmailError::NoAt),
            ("@example.org", EmailError::Local),
            ("ada@", EmailError::Domain),
            ("a..b@example.org", EmailError::Local),
            (".a@example.org", EmailError::Local),
            ("a b@example.org", EmailError::Local),
            ("\"a@example.org", EmailError::Local),
            ("a@b c", EmailError::Domain),
            ("a@ex_ample.org", EmailError::Domain),
            ("a@example..org", EmailError::Domain),
            ("a@[300.0.0.1]", EmailError::Domain),
            ("a\nb@example.org", EmailError::Invisible),
            ("a\u{202e}b@example.org", EmailError::Invisible),
            ("a\u{200b}b@example.org", EmailError::Invisible),
            (&long_local, EmailError::LocalTooLong),
            (&long_domain, EmailError::Domain),
            (&"a".repeat(1000), EmailError::TooLong),
        ] {
            assert_eq!(canonical(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_canonical_form_is_a_fixed_point() {
        for text in ["ǰ\u{301}@example.org", "ΐ@example.org", "ŉ@x", "\"A b\"@ÜX.example", "ẛ̣@x"]
        {
            let once = canonical(text).unwrap();
            assert_eq!(canonical(&once).as_deref(), Ok(once.as_str()), "{text:?}");
        }
    }

    /// Breaks when the Unicode tables beneath change what any character folds to. Then raise
    /// [`CANONICAL_FORM`], teach `open` to rebuild the index, and note the new digest.
    #[test]
    fn the_unicode_tables_are_those_of_this_canonical_form() {
        let mut digest = blake3::Hasher::new();
        for c in '\u{a0}'..='\u{1ffff}' {
            digest.update(fold(&nfc(&c.to_string())).as_bytes());
            if let Ok(domain) = canonical_domain(&format!("a{c}a")) {
                digest.update(domain.as_bytes());
            }
        }
        assert_eq!(&digest.finalize().to_hex()[..16], "77989a1331efe56a");
    }
}
