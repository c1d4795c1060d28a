"""Other spellings of an email address that name the same user."""

import unicodedata

from domains import to_ascii, to_unicode

LOCAL_OCTETS_MAX = 64
EMAIL_OCTETS_MAX = 254


def canonical(email):
    """What makes an address the same: trimmed, composed, case-folded, the domain an A-label."""
    local, domain = unicodedata.normalize("NFC", email.strip()).rsplit("@", 1)
    return local.casefold(), to_ascii(domain)


def other_spelling(email, random):
    """The same address, not letter by letter, in one to three of the ways below."""
    while True:
        spelling = email
        for way in random.sample(WAYS, random.randint(1, 3)):
            spelling = way(spelling)
        if spelling != email and _fits(spelling) and canonical(spelling) == canonical(email):
            return spelling


def _fits(email):
    local, domain = email.strip().rsplit("@", 1)
    whole = f"{local}@{to_ascii(domain)}"
    octets = max(len(whole.encode()), len(email.encode()))
    return len(local.encode()) <= LOCAL_OCTETS_MAX and octets <= EMAIL_OCTETS_MAX


def _parts(change_local, change_domain):
    def change(email):
        local, domain = email.strip().rsplit("@", 1)
        return f"{change_local(local)}@{change_domain(domain)}"

    return change


def _same(text):
    return text


WAYS = [
    _parts(str.upper, _same),
    _parts(str.title, _same),
    _parts(str.swapcase, _same),
    _parts(_same, str.upper),
    _parts(_same, to_ascii),
    _parts(_same, to_unicode),
    lambda email: f"  {email}",
    lambda email: f"{email}\t",
    lambda email: unicodedata.normalize("NFD", email),
    lambda email: unicodedata.normalize("NFC", email),
]
