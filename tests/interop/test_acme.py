"""A certificate of a real ACME authority (RFC 8555): Pebble in strict mode, which answers as Let's Encrypt does."""

from __future__ import annotations

import imaplib
import poplib
import re
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


def test_it_is_renewed_in_time_with_the_same_key_and_shown_at_once(pebble: Pebble, house: Certified) -> None:
    pebble.start(life=3600)
    house.start()
    house.await_log(INSTALLED)
    house.await_log("app reloaded")
    first = house.leaf()
    house.stop()
    house.configure_clock(ahead=2000)
    house.start()
    assert "acme directory" not in house.log.rpartition(INSTALLED)[2], "not before two thirds of its life"
    house.stop()
    house.configure_clock(ahead=2500)
    house.start()
    house.await_log("due=its time has come")
    house.await_count(INSTALLED, 2)
    house.await_count("app reloaded", 2)
    second = house.leaf()
    assert second.serial_number != first.serial_number
    assert second.public_key() == first.public_key(), "TLSA records stay true"
    assert set(shown(house, pebble.root()).values()) == {second.public_bytes(Encoding.DER)}
    assert pebble.log.count("accounts in memory") == 1, "the account is kept"


def test_a_renewal_that_fails_leaves_the_certificate_and_is_told(pebble: Pebble, house: Certified) -> None:
    pebble.start(life=3600)
    house.start()
    house.await_log(INSTALLED)
    first, trusting = house.leaf(), pebble.root()
    house.stop()
    pebble.stop_authority()
    house.configure_clock(ahead=2500)
    house.start()
    house.await_log("fault=the authority cannot be reached")
    assert set(shown(house, trusting).values()) == {first.public_bytes(Encoding.DER)}
    state = house.state()
    assert state["failures"] == 1
    assert 0.9 * 600 <= state["try_at"] - state["fault_at"] <= 1.1 * 600
    assert "the authority cannot be reached" in house.fine("certificate", "show")
    found = [one for one in house.findings() if one["subject"] == "certificate"]
    assert [one["level"] for one in found] == ["look"]
    assert "the authority cannot be reached" in found[0]["text"]
    house.stop()
    house.start()  # the pause holds over a restart
    house.await_log("listening name=https")
    assert house.run("certificate", "renew").returncode == 1
    assert house.state()["failures"] == 2, "tried by hand alone"
    pebble.start_again()  # it has forgotten the account
    house.fine("certificate", "renew")
    second = house.leaf()
    assert second.serial_number != first.serial_number
    assert set(shown(house, pebble.root()).values()) == {second.public_bytes(Encoding.DER)}
    assert house.state()["failures"] == 0
    assert [one["level"] for one in house.findings() if one["subject"] == "certificate"] == ["fine"]


def test_a_name_that_cannot_be_proved_is_left_out_and_keeps_no_other_waiting(
    pebble: Pebble, tmp_path: Path
) -> None:
    pebble.start()
    pebble.point("lost.north.test", "127.0.0.9")
    house = Certified(tmp_path / "house", pebble, more=', names = ["lost.north.test", "mail.north.test"]')
    try:
        house.start()
        house.await_log(INSTALLED)
        assert names_of(house.leaf()) == {HOST, "mail.north.test"}
        assert set(house.state()["resting"]) == {"lost.north.test"}
        assert "left out: lost.north.test" in house.fine("certificate", "show")
        orders = pebble.log.count("Added order")
        house.stop()
        house.start()
        plan = house.json("certificate", "plan")
        assert isinstance(plan, dict)
        assert [one["name"] for one in plan["left_out"]] == ["lost.north.test"]
        assert plan["due"] == ""
        assert pebble.log.count("Added order") == orders == 2
        pebble.point("lost.north.test", "127.0.0.1")
        house.fine("certificate", "renew")
        assert names_of(house.leaf()) == {HOST, "mail.north.test", "lost.north.test"}
        assert house.state()["resting"] == {}
    finally:
        house.stop()


def test_a_crash_between_order_and_certificate_costs_no_second_order(
    pebble: Pebble, house: Certified
) -> None:
    pebble.start()
    house.start()
    pebble.await_log("Issued certificate")  # we ask for it a second later
    house.kill()
    assert not (house.folder / "data" / "tls" / "acme" / "pair.pem").exists()
    assert house.state()["order"]
    house.start()
    house.await_log(INSTALLED)
    assert pebble.log.count("Added order") == pebble.log.count("Issued certificate") == 1
    assert set(shown(house, pebble.root()).values()) == {house.leaf().public_bytes(Encoding.DER)}


def test_a_crash_while_names_are_proved_goes_on_with_the_same_order(pebble: Pebble, house: Certified) -> None:
    pebble.start(PEBBLE_VA_NOSLEEP="0", PEBBLE_VA_SLEEPTIME="4")
    house.start()
    pebble.await_log("Added order")
    house.await_state("order")
    house.kill()
    house.start()
    house.await_log(INSTALLED)
    lost = set(re.findall(r"order (\S+) set INVALID", pebble.log))  # it looked while nobody was there
    assert pebble.log.count("Added order") == 1 + len(lost)


def test_only_open_challenges_are_answered_without_tls(pebble: Pebble, house: Certified) -> None:
    pebble.start()
    house.start()
    house.await_log(INSTALLED)
    token = pebble.log.rpartition("/.well-known/acme-challenge/")[2].split()[0]
    place = "/.well-known/acme-challenge"
    for path in (
        f"{place}/{token}",
        f"{place}/unknown",
        f"{place}/",
        f"{place}/../../tls/acme/pair.pem",
    ):
        assert house.get(path)[0] == 404, path


def test_an_authority_with_customers_wants_its_binding(pebble: Pebble, tmp_path: Path) -> None:
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    pebble.start(bound={"kid-1": key})
    house = Certified(tmp_path / "house", pebble)
    try:
        house.start()
        house.await_log("fault=externalAccountRequired")
        house.stop()
        house.configure(more=f', eab_kid = "kid-1", eab_hmac = "{key}"')
        house.start()
        house.fine("certificate", "renew")
        assert names_of(house.leaf()) == {HOST}
    finally:
        house.stop()
