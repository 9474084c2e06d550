"""SORT and THREAD (RFC 5256) answer as Dovecot does, over mailboxes of letters that refer to each other at random."""

from __future__ import annotations

import imaplib
import random
from collections.abc import Iterator

import pytest

from tests.interop.dovecot import Dovecot
from tests.interop.local import ACCOUNTS, LocalHouse

pytestmark = [pytest.mark.slow]
ALICE = next(iter(ACCOUNTS))
MAILBOXES = 15
SUBJECTS = (
    *(
        "alpha",
        "beta",
        "gamma",
        "[list] alpha",
        "Re: alpha",
        "Fwd: beta",
        "RE: [list] gamma",
        "",
        "[Fwd: alpha]",
    ),
    *("beta (fwd)", "delta", "=?utf-8?q?=C3=84pfel?=", "Re: =?utf-8?q?=C3=A4pfel?="),
)
PEOPLE = (
    "ann@a.test",
    '"Zoe" <bob@b.test>',
    "Bert <ANN@c.test>",
    "=?utf-8?q?=C3=89mile?= <emile@d.test>",
    "team: x@e.test, y@e.test;",
)
CRITERIA = (
    "ARRIVAL",
    "CC",
    "DATE",
    "FROM",
    "SIZE",
    "SUBJECT",
    "TO",
    "REVERSE DATE",
    "SUBJECT REVERSE SIZE",
    "REVERSE FROM TO",
)


def letters(chance: random.Random) -> Iterator[bytes]:
    """Up to forty, that answer each other, themselves, and others that are not there."""
    names = [f"<m{number}@x>" for number in range(40)] + [f"<gone{number}@x>" for number in range(8)]
    for number in range(chance.randint(5, 40)):
        day, hour, minute = chance.randint(1, 28), chance.randint(0, 23), chance.randint(0, 59)
        fields = [
            f"Date: {day} Jan 2024 {hour:02}:{minute:02}:00 +0000",
            f"Subject: {chance.choice(SUBJECTS)}",
        ]
        fields += [
            f"{field}: {chance.choice(PEOPLE)}" for field in ("From", "To", "Cc") if chance.random() < 0.9
        ]
        if chance.random() < 0.95:
            fields.append(f"Message-ID: {names[number] if chance.random() < 0.95 else chance.choice(names)}")
        kind = chance.random()
        if kind < 0.45:
            fields.append(f"References: {' '.join(chance.choices(names, k=chance.randint(1, 5)))}")
        elif kind < 0.7:
            fields.append(f"In-Reply-To: {chance.choice(names)}")
        yield ("\r\n".join(fields) + "\r\n\r\n" + "x" * chance.randint(1, 500) + "\r\n").encode()


def test_sort_and_thread(dovecot: Dovecot, house: LocalHouse) -> None:
    chance = random.Random(5256)
    theirs, ours = dovecot.client(), house.imap(ALICE)
    both: tuple[imaplib.IMAP4, ...] = (theirs, ours)
    for number in range(MAILBOXES):
        raws = list(letters(chance))
        days = [f'"{chance.randint(1, 28):02}-Feb-2024 12:00:00 +0000"' for _ in raws]
        for client in both:
            client.create(f"box{number}")
            for raw, day in zip(raws, days, strict=True):
                assert client.append(f"box{number}", "", day, raw)[0] == "OK"
            assert client.select(f"box{number}")[0] == "OK"
        for algorithm in ("REFERENCES", "ORDEREDSUBJECT"):
            found = [client.thread(algorithm, "UTF-8", "ALL") for client in both]
            assert found[0][0] == "OK"
            assert found[1] == found[0], (number, algorithm)
        for criteria in CRITERIA:
            found = [client.sort(f"({criteria})", "UTF-8", "ALL") for client in both]
            assert found[0][0] == "OK"
            assert found[1] == found[0], (number, criteria)
    for client in both:
        client.logout()
