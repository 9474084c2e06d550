"""A certificate of a real ACME authority (RFC 8555): Pebble in strict mode, which answers as Let's Encrypt does."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.interop.pebble import Certified, Pebble

pytestmark = [pytest.mark.interop, pytest.mark.slow]

Find = Callable[[str], str]
HOST = "mx.north.test"
INSTALLED = "acme installed"


@pytest.fixture
def pebble(program: Find, tmp_path: Path) -> Iterator[Pebble]:
    made = Pebble(program("pebble"), program("pebble-challtestsrv"), tmp_path / "pebble")
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def house(pebble: Pebble, tmp_path: Path) -> Iterator[Certified]:
    made = Certified(tmp_path / "house", pebble)
    try:
        yield made
    finally:
        made.stop()


def names_of(leaf: x509.Certificate) -> set[str]:
    return set(
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    )


def shown(house: Certified, trusting: ssl.SSLContext) -> dict[str, bytes]:
    """What every listener shows to somebody who verifies it."""
    found: dict[str, bytes] = {}
    for name in ("submissions", "imaps", "pop3s", "https"):
        with socket.create_connection(("127.0.0.1", house.port(name)), timeout=10) as plain:
            with trusting.wrap_socket(plain, server_hostname=HOST) as sock:
                found[name] = sock.getpeercert(binary_form=True) or b""
    for name in ("smtp", "submission"):
        with smtplib.SMTP("127.0.0.1", house.port(name)) as client:
            client._host = HOST  # type: ignore[attr-defined]  # the name that it asks for and verifies
            client.starttls(context=trusting)
            found[name] = client.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]
    imap = imaplib.IMAP4("127.0.0.1", house.port("imap"))
    imap.host = HOST
    imap.starttls(trusting)
    found["imap"] = imap.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
    imap.shutdown()
    pop = poplib.POP3("127.0.0.1", house.port("pop3"))
    pop.host = HOST
    pop.stls(trusting)
    found["pop3"] = pop.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
    pop.close()
    with socket.create_connection(("127.0.0.1", house.port("sieve")), timeout=10) as plain:
        file = plain.makefile("rb")
        while not file.readline().startswith(b"OK"):
            pass
        plain.sendall(b"STARTTLS\r\n")
        assert file.readline().startswith(b"OK")
        with trusting.wrap_socket(plain, server_hostname=HOST) as sock:
            found["sieve"] = sock.getpeercert(binary_form=True) or b""
    return found


def test_the_first_certificate_is_shown_by_every_listener_without_a_restart(
    pebble: Pebble, house: Certified
) -> None:
    pebble.start(PEBBLE_WFE_NONCEREJECT="50")
    house.fine("domain", "add", "north.test")
    pebble.point("autodiscover.north.test", "192.0.2.7")
    house.start()
    house.await_log(INSTALLED)
    house.await_log("app reloaded")
    leaf = house.leaf()
    assert set(shown(house, pebble.root()).values()) == {leaf.public_bytes(Encoding.DER)}
    assert names_of(leaf) == {HOST, "mta-sts.north.test", "autoconfig.north.test"}
    told = house.fine("certificate", "show")
    assert "left out: autodiscover.north.test (leads to 192.0.2.7, not here)" in told
    for path in (house.folder / "data" / "tls").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
