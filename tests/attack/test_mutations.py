"""The lines of all conversation scripts, mutated and thrown at a real server: nothing may become a fault.

    ATTACK_SECONDS=600 python -m pytest tests/attack/test_mutations.py

runs it for longer.
"""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path

import pytest

from tests.attack.besieged import MB, Besieged

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("ATTACK_SECONDS", "5"))
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
SAID = re.compile(r"C\d*!?: ?(.*)")
TOKENS = (
    *(
        b"\0",
        b"\xff",
        b"\r",
        b"\n",
        b" ",
        b"\\",
        b'"',
        b"(",
        b")",
        b"<",
        b">",
        b"[",
        b"]",
        b"@",
        b"&",
        b"$",
        b"+",
    ),
    *(b"{5}", b"{5+}", b"~{3+}", b"*", b"%", b"1:*", b"-1", b"4294967296", b"\xe2\x80\xa8"),
)


def said(protocol: str) -> list[bytes]:
    """All that clients say in the scripts of a protocol."""
    texts = (path.read_text() for path in sorted((SCRIPTS / protocol).rglob("*.txt")))
    return [found[1].encode() for text in texts for line in text.splitlines() if (found := SAID.match(line))]


def mutated(chance: random.Random, line: bytes) -> bytes:
    """A line with some octets added, changed, taken away or repeated."""
    octets = bytearray(line)
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        at, other, way = chance.randrange(len(octets) + 1), chance.randrange(len(octets) + 1), chance.random()
        if way < 0.4:
            octets[at:at] = chance.choice(TOKENS)
        elif way < 0.6:
            del octets[at : at + chance.randrange(1, 6)]
        elif way < 0.8:
            octets[at : at + 1] = bytes([chance.randrange(256)])
        else:
            octets[at:at] = octets[min(at, other) : max(at, other)]
    return bytes(octets)


@pytest.mark.timeout(SECONDS + 60)
def test_mutated_conversations_cause_no_fault(besieged: Besieged) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    lines = {protocol: said(protocol) for protocol in ("smtp", "imap", "pop3")}
    end = time.monotonic() + SECONDS
    with besieged.unharmed(memory=96 * MB):
        while time.monotonic() < end:
            protocol = chance.choice(tuple(lines))
            attacker = besieged.enter(protocol)
            if protocol == "smtp":
                attacker.send(b"EHLO x.elsewhere.test\r\n")
            elif protocol == "imap":
                attacker.send(b"l LOGIN alice@example.test wonderland\r\ns SELECT INBOX\r\n")
            else:
                attacker.send(b"USER alice@example.test\r\nPASS wonderland\r\n")
            for _ in range(chance.randrange(5, 40)):
                attacker.send(mutated(chance, chance.choice(lines[protocol])) + b"\r\n")
            attacker.sock.settimeout(0.05)
            try:
                while attacker.sock.recv(65536):
                    pass
            except OSError:
                pass
            attacker.close()
