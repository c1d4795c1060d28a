"""Mistakes that make a good new user an invalid one, each with the field that is to blame."""

BIDI_MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = "\x00\x01\x07\t\n\r\x1b\x7f\x85\x9f"


def _email(change):
    return "email", lambda request, random: {**request, "email": change(request["email"], random)}


def _inside(text, more):
    """A text with something put behind its first character, where no trimming removes it."""
    text = text.strip()
    return text[0] + more + text[1:]


def _attributes(attributes):
    return "attributes", lambda request, random: {**request, "attributes": attributes}


def _name(change):
    return "name", lambda request, random: {**request, "name": change(request["name"], random)}


MISTAKES = {
    "empty email": _email(lambda email, random: ""),
    "blank email": _email(lambda email, random: " \t "),
    "no at sign": _email(lambda email, random: email.replace("@", ".")),
    "two at signs": _email(lambda email, random: _inside(email, "@")),
    "no local part": _email(lambda email, random: "@" + email.strip().rsplit("@", 1)[1]),
    "no domain": _email(lambda email, random: email.strip().rsplit("@", 1)[0] + "@"),
    "space within": _email(lambda email, random: _inside(email, " ")),
    "empty label": _email(lambda email, random: email.strip().replace("@", "@.", 1)),
    "local part too long": _email(lambda email, random: _inside(email, "x" * 64)),
    "local part too long in octets": _email(lambda email, random: _inside(email, "ü" * 32)),
    "email too long": _email(
        lambda email, random: email.strip() + ("." + "long" * 15) * 4 + ".example"
    ),
    "label too long": _email(lambda email, random: email.strip() + "." + "x" * 64),
    "control in email": _email(lambda email, random: _inside(email, random.choice(CONTROLS))),
    "bidi mark in email": _email(lambda email, random: _inside(email, random.choice(BIDI_MARKS))),
    "name too long": _name(lambda name, random: name * 257),
    "control in name": _name(lambda name, random: _inside(name, random.choice(CONTROLS))),
    "too many attributes": _attributes({f"key{number}": "value" for number in range(33)}),
    "attribute key too long": _attributes({"k" * 65: "value"}),
    "attribute value too long": _attributes({"biography": "v" * 1025}),
    "record too large": _attributes({f"page{number}": "text " * 200 for number in range(7)}),
    "password too short": (
        "password", lambda request, random: {**request, "password": "1234567"},
    ),
}
