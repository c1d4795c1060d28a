"""A data set of new users, each line with what must become of it; the same for the same pins.

As a command, `generate.py FILE` writes it as JSON Lines:

    request   the fields of a CreateUserRequest
    expect    CREATED, EMAIL_TAKEN or FIELD_INVALID
    origin    of EMAIL_TAKEN: the number of the line whose user has that email in another spelling
    field     of FIELD_INVALID: the field that is to blame
"""

import json
import sys
from random import Random

from mistakes import MISTAKES
from people import People
from spellings import other_spelling

SEED = 20_240_229
CREATED, TAKEN, INVALID = "CREATED", "EMAIL_TAKEN", "FIELD_INVALID"
COUNTS = {CREATED: 100_000, TAKEN: 15_000, INVALID: 5_000}
# Hashing a password takes a while, so one user in so many has one.
USERS_A_PASSWORD = 4_000


def lines():
    """Yields the data set's lines in order; an email is taken only by a line before."""
    random = Random(SEED)
    people = People(random)
    origins = []
    for number, expect in enumerate(_plan(random)):
        if expect == CREATED:
            request = people.person()
            if len(origins) % USERS_A_PASSWORD == 0:
                request["password"] = f"{random.getrandbits(64):x} is a passphrase"
            origins.append((number, request["email"]))
            yield {"request": request, "expect": expect}
        elif expect == TAKEN:
            origin, email = random.choice(origins)
            request = {**people.person(), "email": other_spelling(email, random)}
            yield {"request": request, "expect": expect, "origin": origin}
        else:
            field, spoil = random.choice(list(MISTAKES.values()))
            request = spoil(people.person(), random)
            yield {"request": request, "expect": expect, "field": field}


def _plan(random):
    """What becomes of each line, in random order but for the first, which is created."""
    plan = [expect for expect, count in COUNTS.items() for _ in range(count)]
    first = plan.pop(0)
    random.shuffle(plan)
    return [first, *plan]


def write(path):
    with open(path, "w", encoding="utf-8") as file:
        for line in lines():
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write(sys.argv[1])
