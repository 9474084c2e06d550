"""dkimpy verifies what we sign, and we verify what it signs, over messages with everything odd that DKIM cares for."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from posthouse.msgauth.dkim_sign import SigningKey, key_record, make_private_key
from posthouse.msgauth.results import Result
from tests.fakes.resolver import FakeResolver
from tests.msgauth.messages import NOW, signed, verified

MESSAGES = 200
DOMAIN = "example.org"


def odd_message(seed: int) -> bytes:
    """Long and folded headers, 8-bit, white space everywhere, lines of white space, odd ends."""
    chance = random.Random(seed)
    word = lambda: chance.choice(["alpha", "beta ", "\tgamma", "  delta", "née", "邮件", "x" * 70, "="])  # noqa: E731
    text = lambda words: "".join(word() for _ in range(chance.randrange(words)))  # noqa: E731
    fields = [
        f"From: {chance.choice(['Ann', '  Ann  B.', '邮差'])} <ann@{DOMAIN}>",
        f"To:{chance.choice(['', ' ', chr(9)])}bob@example.net{chance.choice(['', '  ', chr(9)])}",
        f"SUBJECT:{text(9)}\r\n {text(4)}x\r\n\t{text(3)}y",
        f"Date: Tue, 1 Jul 2003 10:52:37 +0200 ({chance.random()})",
        f"Message-ID: <{seed}@{DOMAIN}>",
        *(f"X-Long-{number}: {text(60)}." for number in range(chance.randrange(3))),
        "Reply-To:\r\n ann@example.org",
    ]
    chance.shuffle(fields)
    lines = [
        chance.choice(["", " ", "\t\t", text(12), text(200), ".", "..", "From here", "-- ", "a \t b  c "])
        for _ in range(chance.randrange(30))
    ]
    end = chance.choice(["\r\n", "\r\n\r\n\r\n", " \r\n", "\t\r\n", " \r\n \r\n"])  # SMTP always ends a line
    return ("\r\n".join(fields) + "\r\n\r\n" + "\r\n".join(lines) + end).encode()


@pytest.fixture(scope="module")
def keys() -> list[SigningKey]:
    return [
        SigningKey(domain=DOMAIN, selector=selector, algorithm=algorithm, key=make_private_key(algorithm))
        for selector, algorithm in (("r1", "rsa-sha256"), ("e1", "ed25519-sha256"))
    ]


def zone(keys: list[SigningKey]) -> dict[str, str]:
    return {f"{key.selector}._domainkey.{DOMAIN}": key_record(key.key) for key in keys}


def messages() -> Iterator[bytes]:
    return map(odd_message, range(MESSAGES))


@pytest.mark.slow
def test_dkimpy_verifies_what_we_sign(keys: list[SigningKey]) -> None:
    records = zone(keys)

    def ask(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    for raw in messages():
        verifier = dkim.DKIM(signed(raw, *keys, now=NOW))
        assert verifier.verify(idx=0, dnsfunc=ask), raw
        assert verifier.verify(idx=1, dnsfunc=ask), raw


@pytest.mark.slow
async def test_we_verify_what_dkimpy_signs(keys: list[SigningKey]) -> None:
    resolver = FakeResolver("\n".join(f'{name}. TXT "{text}"' for name, text in zone(keys).items()))
    forms = [(a, b) for a in (b"relaxed", b"simple") for b in (b"relaxed", b"simple")]
    for number, raw in enumerate(messages()):
        key = keys[number % 2]
        header = dkim.sign(
            raw,
            key.selector.encode(),
            DOMAIN.encode(),
            _private(key),
            canonicalize=forms[number % 4],
            signature_algorithm=key.algorithm.encode(),
        )
        found = await verified(header + raw, resolver)
        assert [one.result for one in found] == [Result.PASS], (found, raw)
        broken = await verified(header + raw + b"!", resolver)
        assert [one.result for one in broken] == [Result.FAIL]


def _private(key: SigningKey) -> bytes:
    if isinstance(key.key, ed25519.Ed25519PrivateKey):
        return base64.b64encode(key.key.private_bytes_raw())
    return key.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
