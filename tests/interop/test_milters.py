"""Mail through a running Posthouse with filters that others wrote: opendkim, opendmarc, clamav-milter and rspamd."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dkim
import pytest

from posthouse.msgauth.dkim_sign import key_record, make_private_key, private_pem
from tests.interop.conftest import PEERS, absent
from tests.interop.filters import EICAR, Clamd, Daemon
from tests.interop.local import ACCOUNTS, LocalHouse
from tests.interop.milters import ClamavMilter, Milter, OpenDkim, OpenDmarc, RspamdMilter

pytestmark = [pytest.mark.interop, pytest.mark.slow]

ALICE, BOB, EVE = "alice@example.test", "bob@example.test", "eve@elsewhere.test"
PATTERN = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""Behind an X: what junk filters have agreed to refuse; behind a Y: what rspamd calls junk."""
CONFIG = """\
[dns]
servers = ["127.0.0.1:9"]
timeout = 0.05
"""
FILTER = """\
[[milter]]
name = "{name}"
socket = "{place}"
roles = ["mx", "submission"]
when_away = "{when_away}"
timeout = {timeout}
"""
Serve = Callable[..., LocalHouse]
_OURS = make_private_key("rsa-sha256")
_THEIRS = make_private_key("rsa-sha256")
RECORDS = {
    "here._domainkey.example.test": key_record(_OURS),
    "there._domainkey.elsewhere.test": key_record(_THEIRS),
}


def here(program: str) -> Path:
    if not (PEERS / program).exists():
        absent(Path(program).name)
    return PEERS


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture
def opendkim(tmp_path: Path) -> Iterator[OpenDkim]:
    filter_ = OpenDkim(here("usr/sbin/opendkim"), tmp_path / "opendkim", private_pem(_OURS), RECORDS)
    with running(filter_):
        yield filter_


@pytest.fixture
def clamd(tmp_path: Path) -> Iterator[Daemon]:
    with running(Clamd(here("usr/sbin/clamd"), tmp_path / "clamd")) as daemon:
        yield daemon


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve(filter, …)`: a house that asks these filters."""
    made = LocalHouse(tmp_path / "house")

    def start(*filters: Milter, when_away: str = "defer", timeout: float = 20) -> LocalHouse:
        made.configure()
        with (made.folder / "posthouse.toml").open("a") as file:
            file.write(CONFIG)
            for one in filters:
                name = type(one).__name__.lower()
                file.write(FILTER.format(name=name, place=one.place, when_away=when_away, timeout=timeout))
        made.start()
        return made

    try:
        yield start
    finally:
        made.stop()


def letter(subject: str, text: str = "Shall we meet on Monday?", sender: str = EVE, to: str = BOB) -> bytes:
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{subject}@elsewhere.test>\r\n\r\n{text}\r\n"
    ).encode()


def signed(raw: bytes) -> bytes:
    """As elsewhere.test signs it."""
    return bytes(dkim.sign(raw, b"there", b"elsewhere.test", private_pem(_THEIRS).encode())) + raw


def comes(house: LocalHouse, *raws: bytes, between: Callable[[int], None] = lambda _: None) -> list[str]:
    """A stranger brings messages for bob in one session; the replies."""
    replies = []
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], "mail.elsewhere.test") as client:
        client.ehlo()
        for number, raw in enumerate(raws):
            between(number)
            client.mail(EVE)
            client.rcpt(BOB)
            code, words = client.data(raw)
            replies.append(f"{code} {words.decode()}")
    return replies


def submits(house: LocalHouse, raw: bytes) -> None:
    """Alice sends to bob."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], "laptop", context=context) as client:
        client.login(ALICE, ACCOUNTS[ALICE])
        assert client.sendmail(ALICE, [BOB], raw) == {}


def arrived(house: LocalHouse, mailbox: str = "INBOX") -> list[bytes]:
    """Bob's messages, whole."""
    client = house.imap(BOB)
    try:
        count = int(client.select(mailbox, readonly=True)[1][0] or 0)
        found = client.fetch("1:*", "(BODY.PEEK[])")[1] if count else []
        return [part[1] for part in found if isinstance(part, tuple)]
    finally:
        client.logout()


def is_signed(raw: bytes) -> bool:
    """Whether it has opendkim's signature, and that is whole."""
    assert b"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.test" in raw
    return bool(dkim.verify(raw, dnsfunc=lambda name, **_: RECORDS[name.decode().rstrip(".")].encode()))


# --- opendkim ------------------------------------------------------------------------------------------


def test_opendkim_signs_what_our_people_send(opendkim: OpenDkim, serve: Serve) -> None:
    house = serve(opendkim)
    folded = "Tag: one\r\n  two\r\n\tthree\r\nEmpty:\r\nClose:no space\r\nWide:  two spaces  \r\n"
    raw = folded.encode() + letter("monday", ".a dot\r\n\r\nlines  with  spaces \r\n\r\n\r\n", ALICE)
    submits(house, raw)
    submits(house, letter("large", "a line of text\r\n" * 100_000, ALICE))
    messages = arrived(house)
    assert len(messages) == 2 and all(map(is_signed, messages))


def test_opendkim_at_a_unix_socket_signs_what_programs_here_send(opendkim: OpenDkim, serve: Serve) -> None:
    opendkim.stop()
    opendkim.unix = True
    opendkim.start()
    house = serve(opendkim)
    done = house.command("sendmail", "-f", ALICE, BOB, text=letter("cron", sender=ALICE).decode())
    assert done.returncode == 0, done.stderr
    assert is_signed(*arrived(house))


def test_opendkim_verifies_and_a_refusal_reaches_the_client(opendkim: OpenDkim, serve: Serve) -> None:
    house = serve(opendkim)
    fine = signed(letter("fine"))
    large = signed(letter("large", "a line of text\r\n" * 100_000))
    replies = comes(house, fine, fine.replace(b"Monday", b"Sunday"), letter("unsigned"), large)
    assert [reply[:9] for reply in replies] == ["250 2.0.0", "550 5.7.0", "250 2.0.0", "250 2.0.0"], replies
    first, unsigned, last = arrived(house)
    assert b"Authentication-Results: filter.test;\r\n\tdkim=pass" in first
    assert b"dkim=none" in unsigned and b"dkim=pass" in last
    assert first.endswith(fine), "not an octet else was changed"


def test_opendkim_dies_in_mid_session(opendkim: OpenDkim, serve: Serve) -> None:
    house = serve(opendkim)

    def between(number: int) -> None:
        (lambda: None, opendkim.stop, opendkim.start)[number]()

    replies = comes(house, *(letter(word) for word in ("one", "two", "three")), between=between)
    assert [reply[:9] for reply in replies] == ["250 2.0.0", "451 4.7.1", "250 2.0.0"], replies
    assert house.subjects(BOB) == ["one", "three"]
    assert "opendkim" in house.command("message", "log", EVE).stdout


def test_while_opendkim_is_gone_mail_may_go_by(opendkim: OpenDkim, serve: Serve) -> None:
    house = serve(opendkim, when_away="accept")
    opendkim.stop()
    assert comes(house, letter("gone"))[0].startswith("250")
    opendkim.start()
    assert comes(house, letter("back"))[0].startswith("250")
    gone, back = arrived(house)
    assert b"filter.test" not in gone and b"Authentication-Results: filter.test" in back


def test_opendkim_falls_silent_and_dies_with_a_message_in_hand(opendkim: OpenDkim, serve: Serve) -> None:
    house = serve(opendkim, timeout=2)
    opendkim.freeze()
    began = time.monotonic()
    assert comes(house, letter("silence"))[0].startswith("451 4.7.1")
    assert 2 <= time.monotonic() - began < 10
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(comes, house, letter("death"))
        time.sleep(0.5)
        opendkim.stop()
        assert reply.result(10)[0].startswith("451 4.7.1")
    opendkim.start()
    assert comes(house, letter("after"))[0].startswith("250")
    assert house.subjects(BOB) == ["after"]


def test_a_long_field_leads_past_no_filter(opendkim: OpenDkim, serve: Serve) -> None:
    house = serve(opendkim, when_away="accept")
    long = b"X-Long: " + b"\r\n ".join([b"x" * 70] * 1_500) + b"\r\n"
    forged = long + signed(letter("forged")).replace(b"Monday", b"Sunday")
    assert comes(house, forged)[0].startswith("451 4.7.1 A mail filter here asks"), (
        "its word, not its absence"
    )


# --- several, and others -------------------------------------------------------------------------------


@pytest.mark.parametrize("authserv", ["filter.test", "localhost"])
def test_opendmarc_reads_what_opendkim_found(
    opendkim: OpenDkim, serve: Serve, tmp_path: Path, authserv: str
) -> None:
    opendmarc = OpenDmarc(here("usr/sbin/opendmarc"), tmp_path / "opendmarc")
    opendkim.authserv = opendmarc.authserv = authserv
    opendkim.stop()
    opendkim.start()
    with running(opendmarc):
        house = serve(opendkim, opendmarc)
        forged = f"Authentication-Results: {authserv}; dkim=pass header.d=bank.test header.s=x\r\n"
        assert comes(house, forged.encode() + signed(letter("both")))[0].startswith("250")
        (raw,) = arrived(house)
    theirs = raw[raw.index(b"\nReceived:") :].replace(b"\r\n\t", b" ")
    assert f"Authentication-Results: {authserv}; dkim=pass".encode() in theirs
    assert f"Authentication-Results: {authserv}; dmarc=".encode() in theirs
    read = [line for line in (tmp_path / "opendmarc/history").read_text().splitlines() if line[:5] == "dkim "]
    assert read == ["dkim elsewhere.test there 0"], "0 is pass; what a stranger forged is not among it"


def test_clamav_milter_refuses_and_marks(clamd: Daemon, serve: Serve, tmp_path: Path) -> None:
    program = here("usr/sbin/clamav-milter")
    with running(ClamavMilter(program, tmp_path / "filter", clamd.port, "Reject")) as scanner:
        house = serve(scanner)
        large = letter("large", "a line of text\r\n" * 20_000 + EICAR.decode())
        replies = comes(house, letter("clean"), letter("virus", EICAR.decode()), large)
    assert replies[0].startswith("250")
    assert all(reply.startswith("550 5.7.1") and "Posthouse.Test" in reply for reply in replies[1:]), replies
    (raw,) = arrived(house)
    assert b"X-Virus-Status: Clean" in raw


def test_clamav_milter_quarantines(clamd: Daemon, serve: Serve, tmp_path: Path) -> None:
    program = here("usr/sbin/clamav-milter")
    with running(ClamavMilter(program, tmp_path / "filter", clamd.port, "Quarantine")) as scanner:
        house = serve(scanner)
        assert comes(house, letter("virus", EICAR.decode()))[0].startswith("250")
    assert not arrived(house)
    (raw,) = arrived(house, "Junk")
    assert b"X-Virus-Status: Infected" in raw


@pytest.mark.parametrize(("does", "reply"), [("Blackhole", "250 2.0.0"), ("Defer", "451 4.7.1")])
def test_clamav_milter_swallows_or_defers(
    clamd: Daemon, serve: Serve, tmp_path: Path, does: str, reply: str
) -> None:
    program = here("usr/sbin/clamav-milter")
    with running(ClamavMilter(program, tmp_path / "filter", clamd.port, does)) as scanner:
        house = serve(scanner)
        assert comes(house, letter("virus", EICAR.decode()))[0].startswith(reply)
    assert not arrived(house) and not arrived(house, "Junk")
    if does == "Blackhole":
        assert "by milter clamavmilter" in house.command("message", "log", EVE).stdout


def test_rspamd_marks_and_refuses(serve: Serve, tmp_path: Path) -> None:
    with running(RspamdMilter(here("usr/bin/rspamd"), tmp_path / "rspamd")) as rspamd:
        house = serve(rspamd)
        forged = b"X-Spam: No\r\n" + letter("offer", "Y" + PATTERN)
        long = b"X-Long: " + b"\r\n ".join([b"x" * 70] * 3_000) + b"\r\n"
        assert comes(house, long + letter("long"))[0].startswith("250")
        replies = comes(house, letter("hello"), forged, letter("refused", "X" + PATTERN))
    assert [reply[:9] for reply in replies] == ["250 2.0.0", "250 2.0.0", "554 5.7.1"], replies
    _, clean, marked = arrived(house)
    assert b"X-Spam" not in clean
    assert b"X-Spam: Yes\r\n" in marked and b"X-Spam: No" not in marked
