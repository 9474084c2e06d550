"""POP3 under attack: lines, numbers, floods, and maildrops held for ever."""

from __future__ import annotations

import threading

import pytest

from tests.attack.besieged import MB, Besieged

pytestmark = pytest.mark.slow
TEXT = b"From: x@elsewhere.test\r\nSubject: One\r\n\r\n" + b".\r\n..\r\n" * 5_000


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        (b"USER " + b"x" * 20 * MB + b"\r\n", b"-ERR"),
        (b"USER \xff\xfe\r\n", b""),
        (b"USER a\0b\r\n", b""),
        (b"\0\r\n", b"-ERR"),
        (b"\r\n", b"-ERR"),
        (b"PASS x\r\n", b"-ERR"),
        (b"RETR 1\r\n", b"-ERR"),
        (b"STAT\r\n", b"-ERR"),
        (b"AUTH PLAIN =\r\n", b"-ERR"),
        (b"AUTH PLAIN " + b"A" * 1900 + b"\r\n", b"-ERR"),
        (b"AUTH PLAIN !!!\r\n", b"-ERR"),
        (b"AUTH NONSENSE\r\n", b"-ERR"),
        (b"AUTH SCRAM-SHA-256 biwsbj0scj0=\r\n", b""),
        (b"LANG " + b"x-" * 500 + b"\r\n", b"-ERR"),
        (b"USER %s%n{0}\r\n", b"+OK"),
    ],
)
def test_stranger_is_answered(besieged: Besieged, sent: bytes, reply: bytes) -> None:
    with besieged.unharmed(), besieged.enter("pop3") as attacker:
        attacker.send(sent)
        line = attacker.line()
        assert line.startswith((b"+", b"-ERR")), line
        assert line.startswith(reply), line


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        (b"TOP 1 999999999\r\n", b"+OK"),
        (b"TOP 1 99999999999999999999999\r\n", b""),
        (b"TOP 1 -1\r\n", b"-ERR"),
        (b"TOP 1 0\r\n", b"+OK"),
        (b"TOP 0 1\r\n", b"-ERR"),
        (b"RETR 0\r\n", b"-ERR"),
        (b"RETR -1\r\n", b"-ERR"),
        (b"RETR 99999999999999999999999\r\n", b"-ERR"),
        (b"RETR \xd9\xa1\r\n", b"-ERR"),
        (b"RETR 1 1\r\n", b"-ERR"),
        (b"DELE 4294967297\r\n", b"-ERR"),
        (b"UIDL 0\r\n", b"-ERR"),
        (b"LIST 1" + b"0" * 1500 + b"\r\n", b"-ERR"),
        (b"USER bob@example.test\r\n", b"-ERR"),
        (b"STLS\r\n", b"-ERR"),
    ],
)
def test_number_out_of_reach_is_answered(besieged: Besieged, sent: bytes, reply: bytes) -> None:
    with besieged.unharmed():
        besieged.append("alice@example.test", "One")
        with besieged.logged_in("pop3") as attacker:
            attacker.send(sent)
            line = attacker.line()
            assert line.startswith((b"+OK", b"-ERR")), line
            assert line.startswith(reply), line


def test_nonsense_is_answered_and_then_ended(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("pop3") as attacker:
        attacker.send(b"NONSENSE\r\n" * 100_000)
        assert len(attacker.rest().splitlines()) < 20


def test_stls_forgets_what_was_pipelined_behind_it(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("pop3") as attacker:
        attacker.send(b"STLS\r\nUSER alice@example.test\r\nPASS wonderland\r\n")
        assert attacker.line().startswith(b"+OK")
        attacker.start_tls()
        attacker.send(b"STAT\r\n")
        assert attacker.line().startswith(b"-ERR")


def test_pipelined_flood_does_not_starve_others(besieged: Besieged) -> None:
    with besieged.unharmed(memory=48 * MB):
        with besieged.logged_in() as writer:
            for _ in range(10):
                writer.ask(b"a APPEND INBOX {%d+}\r\n%b" % (len(TEXT), TEXT), b"a ")
        with besieged.logged_in("pop3") as attacker:
            flood = b"UIDL\r\nLIST\r\nTOP 2 999999999\r\n" * 1_000 + b"QUIT\r\n"
            sender = threading.Thread(target=attacker.send, args=(flood,))
            sender.start()
            assert attacker.rest().splitlines()[-1].startswith(b"+OK")
            sender.join()


def test_reader_who_never_reads(besieged: Besieged) -> None:
    with besieged.unharmed(memory=32 * MB), besieged.logged_in("pop3") as attacker:
        attacker.sock.settimeout(1)
        try:
            attacker.send(b"RETR 2\r\n" * 100_000)
        except TimeoutError:
            pass


def test_held_maildrop_keeps_nobody_from_imap_and_ends_with_its_connection(besieged: Besieged) -> None:
    with besieged.unharmed():
        holder = besieged.logged_in("pop3")
        with besieged.enter("pop3") as second:
            second.send(b"USER alice@example.test\r\nPASS wonderland\r\n")
            second.line()
            assert second.line().startswith(b"-ERR [IN-USE]")
        with besieged.logged_in() as reader:
            assert reader.ask("a SELECT INBOX", b"a ")[-1].startswith(b"a OK")
        holder.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: reset
        holder.close()
        besieged.logged_in("pop3").close()
