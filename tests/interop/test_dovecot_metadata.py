"""METADATA (RFC 5464) is answered as Dovecot does, through a random history of values set, read and removed."""

from __future__ import annotations

import imaplib
import random
import re

import pytest

from tests.interop.dovecot import Dovecot
from tests.interop.local import ACCOUNTS, LocalHouse

pytestmark = [pytest.mark.slow]
ALICE = next(iter(ACCOUNTS))
STEPS = 300
MAILBOXES = ("INBOX", "box", '"two words"')
ENTRIES = (
    *("/private/comment", "/shared/comment", "/private/vendor/kolab/color", "/private/filters/values"),
    *("/private/filters/values/small", "/private/filters/values/boss", "/private/filters/values/deep/er"),
)
ASKED = (*ENTRIES, "/private", "/private/filters", "/private/nothing", "/private/vendor", "/shared")
VALUES = ('"x"', '""', '"FROM \\"boss@example.com\\""', '"' + "y" * 90 + '"', "NIL")
BROKEN = (
    *("private/x", "/other/x", "/private//x", "/private/x/", "/private/x*", '"/private/x%"', "/"),
    *('"/private/\x01"', '""'),
)
STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"|~?\{\d+\}')


def asked(client: imaplib.IMAP4, text: str) -> tuple[str, frozenset[tuple[bytes, bytes]], bytes]:
    """OK, NO or BAD; entries with their values; the METADATA code."""
    try:
        kind, data = client._simple_command(*text.split(" ", 1))
    except imaplib.IMAP4.error as refused:
        return "BAD" if "BAD" in str(refused) else str(refused), frozenset(), b""
    shown = b""
    for part in client.untagged_responses.pop("METADATA", []):
        if isinstance(part, tuple):  # what stands before a literal, and the literal
            head = part[0][: part[0].rindex(b"{")].removesuffix(b"~")
            shown += head + b'"' + part[1].replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        else:
            shown += part
    pairs = re.findall(rb'(/[^ ()]+) (NIL|"(?:[^"\\]|\\.)*")', shown)
    code = re.search(rb"\[(METADATA [A-Z]+ \d+)\]", data[0] or b"")
    return kind, frozenset((name.lower(), value) for name, value in pairs), code[1] if code else b""


def test_values_set_read_and_removed(dovecot: Dovecot, house: LocalHouse) -> None:
    chance = random.Random(5464)
    both = (dovecot.client(), house.imap(ALICE))
    for client in both:
        assert "METADATA" in client.capability()[1][0].decode()
        for name in MAILBOXES[1:]:
            client.create(name)
        imaplib.Commands.update(dict.fromkeys(("GETMETADATA", "SETMETADATA"), ("AUTH", "SELECTED")))
    compared = 0
    for _ in range(STEPS):
        mailbox = chance.choice((*MAILBOXES, "nowhere")) if chance.random() < 0.9 else '""'
        kind = chance.random()
        if kind < 0.45:
            # The server's filters have to be such, and Dovecot does not know them.
            some = ENTRIES[:3] if mailbox == '""' else ENTRIES
            names = chance.sample(some, chance.randint(1, 3))
            pairs = " ".join(
                f"{name} {chance.choice(VALUES)}" for name in names if mailbox != '""' or "shared" not in name
            )
            text = f"SETMETADATA {mailbox} ({pairs})" if pairs else f"GETMETADATA {mailbox} /private/comment"
        elif kind < 0.5:
            text = f'SETMETADATA {MAILBOXES[0]} ({chance.choice(BROKEN)} "x")'
        else:
            options = [f"MAXSIZE {chance.choice((0, 1, 50, 1000))}"] if chance.random() < 0.3 else []
            options += [f"DEPTH {chance.choice(('0', '1', 'infinity'))}"] if chance.random() < 0.6 else []
            chance.shuffle(options)
            # Dovecot does not find its /shared/admin by DEPTH.
            some = (*ASKED[:-1], "/shared/admin") if mailbox == '""' else ASKED
            names = chance.sample(some, chance.randint(1, 3))
            text = f"GETMETADATA {'(' + ' '.join(options) + ') ' if options else ''}{mailbox} ({' '.join(names)})"
        theirs, ours = (asked(client, text) for client in both)
        assert ours == theirs, text
        compared += len(ours[1])
    assert compared > 100
