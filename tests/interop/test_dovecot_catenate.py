"""CATENATE (RFC 4469) makes of the same pieces the same messages as Dovecot's, or is refused as there."""

from __future__ import annotations

import imaplib
import random

import pytest

from tests.interop.dovecot import Dovecot
from tests.interop.local import ACCOUNTS, LocalHouse

pytestmark = [pytest.mark.slow]
ALICE = next(iter(ACCOUNTS))
STEPS = 150
MIXED = (
    b'Subject: parts\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\nbefore\r\n--b\r\n\r\none\r\n'
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nTo: x@example.test\r\n\r\ninside\r\n\r\n--b--\r\n"
)
SECTIONS = (
    *(
        "",
        "/;SECTION=HEADER",
        "/;SECTION=TEXT",
        "/;section=1",
        "/;SECTION=1.MIME",
        "/;SECTION=2.HEADER",
        "/;SECTION=2.1",
    ),
    *(
        "/;SECTION=HEADER.FIELDS%20(Subject)",
        "/;SECTION=2/;PARTIAL=3.9",
        "/;SECTION=1]",
        "/;SECTION=x",
    ),
)
MAILBOXES = ("/INBOX", "/box", "", "/nowhere")
TEXTS = (b"Subject: x\r\n\r\n", b"text\r\n", b"", b")\r\n")


def appended(client: imaplib.IMAP4, pieces: list[bytes]) -> tuple[str, bytes]:
    """OK, NO with BADURL or without, BAD; and the message made."""
    client.untagged_responses.clear()
    command = b"APPEND INBOX CATENATE (%b)" % b" ".join(pieces)
    client.send(b"x " + command + b"\r\n")
    while not (line := client.readline()).startswith(b"x "):
        pass
    kind = line.split()[1].decode()
    if kind != "OK":
        return kind, b""  # of a section that there cannot be Dovecot says NO and nothing more
    client.noop()
    _, data = client.fetch("*", "(BODY.PEEK[])")
    assert isinstance(data[-2], tuple)
    return kind, data[-2][1]


def test_pieces_put_together(dovecot: Dovecot, house: LocalHouse) -> None:
    chance = random.Random(4469)
    both = (dovecot.client(), house.imap(ALICE))
    for client in both:
        assert "CATENATE" in client.capability()[1][0].decode()
        client.create("box")
        client.append("box", "", None, MIXED)  # type: ignore[arg-type]  # any date will do
        client.append("INBOX", "", None, MIXED)  # type: ignore[arg-type]
        client.select("INBOX")
    made = 0
    for _ in range(STEPS):
        # (A message without any octet is refused here, and made there.)
        pieces = [b"TEXT {6+}\r\nX: y\r\n"]
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.5:
                text = chance.choice(TEXTS)
                pieces.append(b"TEXT {%d+}\r\n%b" % (len(text), text))
            else:
                mailbox = chance.choice(MAILBOXES if chance.random() < 0.3 else MAILBOXES[:2])
                uid = 1 if chance.random() < 0.9 else 9999
                section = chance.choice(SECTIONS if chance.random() < 0.3 else SECTIONS[:9])
                url = f"{mailbox}{'/' if mailbox else ''};UID={uid}{section}"
                pieces.append(b'URL "%b"' % url.encode())
        theirs, ours = (appended(client, pieces) for client in both)
        assert ours == theirs, pieces
        made += ours[0] == "OK"
    assert made > STEPS / 4
