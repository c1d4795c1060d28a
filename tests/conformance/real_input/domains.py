"""The two forms of an internationalized domain, by the idna package and not by our daemon."""

from functools import cache

import idna


@cache
def to_ascii(domain):
    """The form with A-labels (xn--…), in lower case."""
    return idna.encode(domain, uts46=True).decode()


@cache
def to_unicode(domain):
    """The form with letters of any script."""
    return idna.decode(to_ascii(domain))


def is_domain(domain):
    try:
        to_ascii(domain)
    except idna.IDNAError:
        return False
    return True
