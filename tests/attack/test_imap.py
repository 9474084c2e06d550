"""IMAP under attack: literals, nesting, sets, patterns and searches made to be costly."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from posthouse import limits
from tests.attack.besieged import MB, Attacker, Besieged
from tests.machine import slowness

pytestmark = pytest.mark.slow
TEXT = b"From: x@elsewhere.test\r\nSubject: One\r\n\r\nBody\r\n"


# --- before login -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        (b"a LOGIN {4294967296}\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN {99999999999999999999}\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN {999999999999999999999}\r\n", b"a BAD"),
        (b"a LOGIN {-1}\r\n", b"a BAD"),
        (b"a LOGIN {9000}\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN {9000+}\r\n" + b"x" * 9000 + b" y\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN {4294967296+}\r\n" + b"x" * MB, b"* BYE [TOOBIG]"),
        (b"a LOGIN {5+}\r\nx\0y\r\n y\r\n", b"a BAD"),
        (b"a LOGIN \xff\xfe \xff\r\n", b"a NO"),
        (b"a LOGIN " + b"x" * 20 * MB + b"\r\n", b"* BAD [TOOBIG]"),
        (b"a LOGIN alice@example.test {5000+}\r\n" + b"p" * 5000 + b"\r\n", b"a NO"),
        (b"\0\0\0\r\n", b"* BAD"),
        (b"a\r\n", b"a BAD"),
        (b"\r\n", b"* BAD"),
        (b"* OK hello\r\n", b"* BAD"),
        (b"a SELECT INBOX\r\n", b"a BAD"),
        (b"a APPEND INBOX {100000000}\r\n", b"a BAD"),
        (b"a APPEND INBOX {100000000+}\r\n", b"* BYE"),
        (b"a UID LOGIN x y\r\n", b"a BAD"),
        (b"a AUTHENTICATE PLAIN =\r\n", b"a "),
        (b"a AUTHENTICATE PLAIN " + b"A" * 60_000 + b"\r\n", b"* BAD [TOOBIG]"),
        (b"a AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdA==\r\n", b"a "),
        (b"a AUTHENTICATE NONSENSE\r\n", b"a "),
        (b"a AUTHENTICATE SCRAM-SHA-256 biwsbj1hLHI9\r\n", b"a "),
        (b"a ID (" + b'"x" "y" ' * 100 + b")\r\n", b"a BAD"),
        (b"a STARTTLS extra\r\n", b"a BAD"),
        (b"a" * 5000 + b" NOOP\r\n", b""),
    ],
)
def test_stranger_is_answered(besieged: Besieged, sent: bytes, reply: bytes) -> None:
    with besieged.unharmed(), besieged.enter("imap") as attacker:
        attacker.send(sent)
        line = attacker.line()
        assert line.startswith(reply), line


def test_many_small_literals_of_strangers_cost_little(besieged: Besieged) -> None:
    """240 KB of command from each of 500: kept are only what a stranger's command and one read may have."""
    kept = 500 * (limits.IMAP_COMMAND_STRANGER + limits.READ_HIGH_WATER)
    with besieged.unharmed(memory=kept + 24 * MB), contextlib.ExitStack() as open_ones:
        attackers = [open_ones.enter_context(besieged.enter("imap")) for _ in range(500)]
        for attacker in attackers:
            attacker.send(
                b"a LOGIN "
                + b"{8000+}\r\n"
                + (b"x" * 8000 + b" {8000+}\r\n") * 29
                + b"x" * 8000
                + b" end\r\n"
            )
        time.sleep(0.3)
        for attacker in attackers:
            assert attacker.line().startswith((b"a BAD [TOOBIG]", b"* BYE [TOOBIG]"))


def test_nonsense_is_answered_and_then_ended(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("imap") as attacker:
        attacker.send(b"a NONSENSE\r\n" * 100_000)
        assert attacker.rest().splitlines()[-1].startswith(b"* BYE")


def test_starttls_forgets_what_was_pipelined_behind_it(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("imap") as attacker:
        attacker.send(b"a STARTTLS\r\nb LOGIN alice@example.test wonderland\r\n")
        assert attacker.line().startswith(b"a OK")
        attacker.start_tls()
        assert attacker.ask("c SELECT INBOX", b"c ")[-1].startswith(b"c BAD")


# --- after login ------------------------------------------------------------------------------------------

NESTED = 10_000


@pytest.mark.parametrize(
    ("sent", "replies"),
    [
        pytest.param(b"SEARCH " + b"(" * NESTED + b"ALL" + b")" * NESTED, (b"BAD",), id="parentheses"),
        pytest.param(b"SEARCH " + b"NOT " * NESTED + b"ALL", (b"BAD",), id="NOTs"),
        pytest.param(b"SEARCH " + b"OR SEEN " * (NESTED // 2) + b"ALL", (b"BAD",), id="ORs"),
        pytest.param(b"SEARCH " + b"OR " * 9_000 + b"ALL " * 9_000, (b"BAD",), id="ORs first"),
        pytest.param(b"SEARCH " + b"TEXT x " * 9_000, (b"BAD",), id="texts"),
        pytest.param(b"SEARCH " + b"ALL " * 15_000 + b"ALL", (b"BAD",), id="keys"),
        pytest.param(b"SEARCH CHARSET " + b"x" * 60_000 + b" ALL", (b"NO", b"BAD"), id="charset"),
        pytest.param(b"SEARCH CHARSET ROT13 TEXT x", (b"NO",), id="codec"),
        pytest.param(b"SEARCH CHARSET IDNA TEXT x", (b"NO", b"OK"), id="codec idna"),
        pytest.param(b"SEARCH CHARSET UTF-7 TEXT +AGE-", (b"NO", b"OK"), id="codec utf-7"),
        pytest.param(b"SEARCH CHARSET zlib TEXT x", (b"NO",), id="codec zlib"),
        pytest.param(b"SEARCH CHARSET undefined TEXT x", (b"NO",), id="codec undefined"),
        pytest.param(
            b"SEARCH CHARSET UTF-8 TEXT {4+}\r\n\xff\xfe\xfd\xfc", (b"NO", b"BAD"), id="broken UTF-8"
        ),
        pytest.param(b"SEARCH 1:*" + b",1:*" * 15_000, (b"OK",), id="sets"),
        pytest.param(
            b"UID SEARCH UID " + b",".join(b"%d" % n for n in range(1, 20_000, 2))[:60_000] + b"1",
            (b"OK",),
            id="gaps",
        ),
        pytest.param(b"SEARCH MODSEQ 99999999999999999999", (b"BAD",), id="modseq"),
        pytest.param(b"SEARCH LARGER 99999999999999999999", (b"BAD",), id="larger"),
        pytest.param(b"SEARCH OLDER 99999999999", (b"BAD", b"OK"), id="older"),
        pytest.param(b"SEARCH SENTBEFORE 31-Feb-2026", (b"BAD",), id="date"),
        pytest.param(b"SEARCH SENTSINCE 1-Jan-0000", (b"BAD",), id="year 0"),
        pytest.param(b"SEARCH BEFORE 31-Dec-9999", (b"OK",), id="year 9999"),
        pytest.param(b"SEARCH BEFORE 1-Jan-0001", (b"OK",), id="year 1"),
        pytest.param(b"SEARCH HEADER " + b"x" * 60_000 + b" y", (b"OK", b"BAD", b"NO"), id="header"),
        pytest.param(b"SEARCH TEXT " + b"%_*" * 10_000, (b"BAD", b"OK"), id="wildcards"),
        pytest.param(b'SEARCH TEXT "' + b"\\\\" * 20_000 + b'"', (b"OK", b"NO", b"BAD"), id="backslashes"),
        pytest.param(b'SEARCH TEXT "\xe2\x80"', (b"OK", b"NO", b"BAD"), id="half a character"),
        pytest.param(b'SEARCH TEXT "\xed\xa0\x80"', (b"OK", b"NO", b"BAD"), id="surrogate"),
        pytest.param(b'SEARCH TEXT ""', (b"OK", b"NO", b"BAD"), id="nothing"),
        pytest.param(b'SEARCH TEXT "\\""', (b"OK",), id="a quote"),
        pytest.param(b"SEARCH TEXT NEAR", (b"OK",), id="index grammar"),
        pytest.param(b'SEARCH TEXT "x OR y*) NOT ("', (b"OK",), id="index grammar 2"),
        pytest.param(
            b"FETCH 1:* (" + b"BODY.PEEK[1] " * 4_900 + b"FLAGS)", (b"OK", b"BAD", b"NO"), id="sections"
        ),
        pytest.param(
            b"FETCH 1:* (" + b"BODY.PEEK[] " * 5_000 + b"FLAGS)", (b"OK", b"BAD", b"NO"), id="whole messages"
        ),
        pytest.param(b"FETCH 1:*" + b",1:*" * 15_000 + b" FLAGS", (b"OK",), id="fetch set"),
        pytest.param(
            b"FETCH 1 BODY.PEEK[" + b"1." * 20_000 + b"1]", (b"OK", b"BAD", b"NO"), id="section path"
        ),
        pytest.param(b"FETCH 1 BODY.PEEK[4294967296]", (b"OK", b"BAD"), id="part number"),
        pytest.param(b"FETCH 1 BODY.PEEK[]<0.99999999999999999999>", (b"BAD",), id="partial"),
        pytest.param(b"FETCH 1 BODY.PEEK[]<99999999999999999999.1>", (b"BAD",), id="partial start"),
        pytest.param(b"FETCH 1 BODY.PEEK[]<4294967295.4294967295>", (b"OK",), id="far partial"),
        pytest.param(
            b"FETCH 1 BODY.PEEK[HEADER.FIELDS (" + b"X " * 20_000 + b"X)]", (b"OK", b"BAD"), id="fields"
        ),
        pytest.param(b"FETCH 4294967295 FLAGS", (b"BAD",), id="number"),
        pytest.param(b"FETCH 4294967296 FLAGS", (b"BAD",), id="number of 33 bits"),
        pytest.param(b"FETCH 0 FLAGS", (b"BAD",), id="number 0"),
        pytest.param(b"FETCH 1 (FLAGS", (b"BAD",), id="no end"),
        pytest.param(b"FETCH 1 FLAGS (CHANGEDSINCE 99999999999999999999)", (b"BAD",), id="changedsince"),
        pytest.param(
            b"STORE 1:* +FLAGS (" + b" ".join(b"k%d" % n for n in range(5_000)) + b")",
            (b"NO", b"BAD"),
            id="keywords",
        ),
        pytest.param(b"STORE 1 +FLAGS (" + b"k" * 50_000 + b")", (b"NO", b"BAD"), id="long keyword"),
        pytest.param(b"STORE 1 +FLAGS (\xff)", (b"BAD",), id="keyword of bad octets"),
        pytest.param(b'LIST "" "' + b"*%" * 5_000 + b'"', (b"OK",), id="pattern"),
        pytest.param(b'LIST "" (' + b"* " * 10_000 + b"*)", (b"OK", b"BAD"), id="patterns"),
        pytest.param(b'LIST "' + b"x" * 50_000 + b'" *', (b"OK", b"NO", b"BAD"), id="reference"),
        pytest.param(b'LIST "" "' + b"&AAAA-" * 5_000 + b'"', (b"OK", b"BAD"), id="NUL in UTF-7"),
        pytest.param(b'CREATE "' + b"a/" * 400 + b'b"', (b"NO", b"BAD"), id="levels"),
        pytest.param(b"CREATE " + b"x" * 50_000, (b"NO", b"BAD"), id="long name"),
        pytest.param(b'CREATE "../../etc"', (b"OK", b"NO"), id="path"),
        pytest.param(b'CREATE "\xff\xfe"', (b"NO", b"BAD"), id="name of bad octets"),
        pytest.param(b'CREATE "&2AA-"', (b"OK", b"NO", b"BAD"), id="surrogate in UTF-7"),
        pytest.param(b'CREATE "&"', (b"OK", b"NO", b"BAD"), id="half UTF-7"),
        pytest.param(b'CREATE ""', (b"NO", b"BAD"), id="no name"),
        pytest.param(b'CREATE "a//b"', (b"NO", b"BAD", b"OK"), id="empty level"),
        pytest.param(b'CREATE "\x01\x1b[2J"', (b"NO", b"BAD"), id="controls"),
        pytest.param(b"RENAME INBOX INBOX", (b"NO", b"BAD"), id="rename onto itself"),
        pytest.param(b"RENAME Archive Archive/x", (b"NO", b"BAD"), id="rename into itself"),
        pytest.param(b"DELETE INBOX", (b"NO", b"BAD"), id="delete INBOX"),
        pytest.param(b"STATUS INBOX (" + b"MESSAGES " * 5_000 + b"UNSEEN)", (b"OK", b"BAD"), id="status"),
        pytest.param(b"SELECT INBOX (QRESYNC (1 99999999999999999999))", (b"BAD",), id="qresync"),
        pytest.param(
            b"SELECT INBOX (QRESYNC (1 1 1:4294967295 (" + b"1," * 10_000 + b"1 " + b"1," * 10_000 + b"1)))",
            (b"BAD", b"OK"),
            id="qresync data",
        ),
        pytest.param(b"ENABLE " + b"X " * 20_000 + b"X", (b"OK", b"BAD"), id="enable"),
        pytest.param(b"COPY 1:* {5+}\r\nINBOX", (b"OK",), id="copy to itself"),
        pytest.param(b"MOVE 1 INBOX", (b"OK", b"NO"), id="move to itself"),
        pytest.param(b"APPEND INBOX {4294967296}", (b"NO",), id="huge append"),
        pytest.param(b"APPEND INBOX {99999999999999999999}", (b"NO", b"BAD"), id="huger append"),
        pytest.param(b"APPEND INBOX {0}", (b"NO",), id="empty append"),
        pytest.param(b"APPEND INBOX {4+}\r\na\0b\r", (b"NO",), id="NUL in append"),
        pytest.param(
            b'APPEND INBOX " 1-Jan-0001 00:00:00 +0000" {4+}\r\nabc\n', (b"OK", b"BAD"), id="old append"
        ),
        pytest.param(b'APPEND INBOX "31-Feb-2026 00:00:00 +0000" {4+}\r\nabc\n', (b"BAD",), id="no such day"),
        pytest.param(b"APPEND Nowhere {1000000+}\r\n" + b"x" * 1_000_000, (b"NO",), id="append nowhere"),
        pytest.param(b"APPEND INBOX" + b" {1+}\r\nx" * 2_000, (b"NO",), id="2,000 messages"),
        pytest.param(b"SELECT {100000+}\r\n" + b"x" * 100_000, (b"BAD",), id="long literal"),
        pytest.param(b"SELECT " + b" {0+}\r\n" * 100_000, (b"BAD",), id="100,000 literals"),
        pytest.param(b"UID FETCH 1:* (UID) (VANISHED)", (b"BAD",), id="vanished without qresync"),
        pytest.param(b"IDLE now", (b"BAD",), id="idle with words"),
    ],
)
def test_command_that_asks_too_much_is_answered(
    besieged: Besieged, sent: bytes, replies: tuple[bytes, ...]
) -> None:
    with besieged.unharmed(memory=32 * MB), besieged.logged_in() as attacker:
        attacker.ask(b"a APPEND INBOX {%d+}\r\n%b" % (len(TEXT), TEXT), b"a ")
        attacker.ask("a SELECT INBOX", b"a ")
        attacker.sock.settimeout(10)
        attacker.send(b"b " + sent + b"\r\n")
        lines = attacker.until(b"b ")
        if lines[-1]:
            assert lines[-1].startswith(tuple(b"b " + word for word in replies)), lines[-1][:200]
            attacker.until_settled()
        else:
            assert lines[-2].startswith((b"* BYE", b"* BAD")), lines[-2][:200]


def test_line_over_the_limit_is_refused_and_the_session_lives(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.logged_in() as attacker:
        attacker.send(b"a SEARCH " + b"ALL " * 2 * MB + b"\r\n")
        assert attacker.line().startswith(b"* BAD [TOOBIG]")
        attacker.until_settled()


def test_hostile_patterns_on_hostile_names(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.logged_in(user="bob@example.test") as attacker:
        for level in range(20):
            attacker.ask(b"a CREATE " + b"/".join([b"aaaaaaaaaaaaaaaaaaaaaaaa"] * 30) + b"%d" % level, b"a ")
        for pattern in (
            b"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
            b"%a%/%a%/*%a%*%a%*b",
            b"%" * 32,
            b"*%" * 16 + b"b",
        ):
            began = time.perf_counter()
            assert attacker.ask(b'b LIST "" "' + pattern + b'"', b"b ")[-1].startswith(b"b OK")
            assert time.perf_counter() - began < slowness()


def test_mailboxes_end_at_the_limit_not_at_the_machine(besieged: Besieged) -> None:
    with besieged.unharmed(memory=48 * MB), besieged.logged_in(user="bob@example.test") as attacker:
        attacker.send(b"".join(b"c%d CREATE m%d\r\n" % (n, n) for n in range(1_000)) + b"end NOOP\r\n")
        assert attacker.until(b"end ")[-1].startswith(b"end OK")


def test_flood_of_large_appends(besieged: Besieged) -> None:
    """Twenty connections upload 20 MB each at once: staged on disk, not in memory."""
    with besieged.unharmed(memory=128 * MB, prompt=3.0), contextlib.ExitStack() as open_ones:
        attackers = [open_ones.enter_context(besieged.logged_in()) for _ in range(20)]
        size = 20 * MB
        chunk = (b"x" * 1022 + b"\r\n") * 1024
        answers: list[bytes] = []

        def upload(attacker: Attacker) -> None:
            attacker.send(b"a APPEND Archive {%d+}\r\n" % size)
            for _ in range(20):
                attacker.send(chunk)
            attacker.send(b"\r\n")
            answers.append(attacker.until(b"a ")[-1])

        threads = [threading.Thread(target=upload, args=(attacker,)) for attacker in attackers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(answer.startswith(b"a OK") for answer in answers), answers
        attackers[0].ask("b SELECT Archive", b"b ")
        attackers[0].ask("b STORE 1:* +FLAGS.SILENT (\\Deleted)", b"b ")
        attackers[0].ask("b EXPUNGE", b"b ")


def test_reader_who_never_reads(besieged: Besieged) -> None:
    """FETCH of much by clients that take nothing: our output stops at the high-water mark."""
    text = TEXT + b"y" * MB
    with besieged.unharmed(memory=48 * MB), contextlib.ExitStack() as open_ones:
        first = open_ones.enter_context(besieged.logged_in())
        for _ in range(10):
            first.ask(b"a APPEND Junk {%d+}\r\n%b" % (len(text), text), b"a ")
        for _ in range(20):
            attacker = open_ones.enter_context(besieged.logged_in())
            attacker.send(b"a SELECT Junk\r\n" + b"b FETCH 1:* BODY.PEEK[]\r\n" * 200)
        time.sleep(1)


def test_pipelined_flood_does_not_starve_others(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.logged_in() as attacker:
        attacker.ask("a SELECT INBOX", b"a ")
        flood = threading.Thread(
            target=attacker.send, args=(b"b FETCH 1:* (FLAGS UID ENVELOPE)\r\n" * 5_000 + b"e NOOP\r\n",)
        )
        flood.start()
        assert attacker.until(b"e ")[-1].startswith(b"e OK")
        flood.join()


def test_idle_that_ends_with_anything(besieged: Besieged) -> None:
    for word in (b"NONSENSE\r\n", b"x" * 100_000 + b"\r\n", b"\0\r\n", b"DONE\r\nDONE\r\nDONE\r\n"):
        with besieged.unharmed(), besieged.logged_in() as attacker:
            attacker.ask("a SELECT INBOX", b"a ")
            attacker.send(b"b IDLE\r\n")
            assert attacker.line().startswith(b"+ ")
            attacker.send(word)
            assert attacker.until(b"b ")[-1].startswith((b"b OK", b"b BAD", b""))


def test_many_watchers_of_a_changing_mailbox(besieged: Besieged) -> None:
    with besieged.unharmed(memory=32 * MB), contextlib.ExitStack() as open_ones:
        for _ in range(200):
            watcher = open_ones.enter_context(besieged.logged_in())
            watcher.send(b"a SELECT INBOX\r\nb IDLE\r\n")
        changer = open_ones.enter_context(besieged.logged_in())
        changer.ask("a SELECT INBOX", b"a ")
        for _ in range(20):
            changer.ask("b STORE 1:* +FLAGS (\\Flagged)", b"b ")
            changer.ask("b STORE 1:* -FLAGS (\\Flagged)", b"b ")


def test_sudden_ends_leave_nothing(besieged: Besieged) -> None:
    with besieged.unharmed():
        for number in range(100):
            attacker = besieged.logged_in()
            attacker.send(
                (b"a SELECT INBOX\r\nb IDLE\r\n", b"a APPEND INBOX {1000000+}\r\nxx", b"a SELECT {10}\r\n")[
                    number % 3
                ]
            )
            attacker.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: reset
            attacker.close()
