"""SMTP under attack: what breaks the grammar, the order, the size, the pace, or the trust between servers."""

from __future__ import annotations

import smtplib
import time

import pytest

from tests.attack.besieged import MB, Attacker, Besieged

pytestmark = pytest.mark.slow
MAIL = b"MAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\n"


def begun(besieged: Besieged, *, data: bool = False) -> Attacker:
    """A session in the middle of a transaction."""
    attacker = besieged.enter("smtp")
    attacker.smtp("EHLO x.elsewhere.test")
    attacker.smtp("MAIL FROM:<x@elsewhere.test>")
    assert attacker.smtp("RCPT TO:<alice@example.test>").startswith(b"250")
    if data:
        assert attacker.smtp("DATA").startswith(b"354")
    return attacker


# --- lines ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        (b"EHLO " + b"x" * 3000 + b"\r\n", b"500 5.5.2"),
        (b"NOOP " + b"y" * 20 * MB + b"\r\n", b"500 5.5.2"),
        (b"NOOP\n", b"500 5.5.2"),
        (b"NOOP\rQUIT\r\n", b"500 5.5.2"),
        (b"MAIL FROM:<a\0b@elsewhere.test>\r\n", b"501 5.5.2"),
        (b"MAIL FROM:<\xff\xfe@elsewhere.test>\r\n", b"501 5.5.2"),
        (b"\0\0\0\0\r\n", b"500 5.5.2"),
        (b"\xff\xfb\x01\r\n", b"500 5.5.2"),
        (b"\r\n", b"500 5.5.2"),
        (b"GET / HTTP/1.1\r\n", b"421 4.7.0"),
        (b"MAIL FROM:<" + b"@a," * 600 + b"@b:x@elsewhere.test>\r\n", b"250 2.1.0"),
        (b"MAIL FROM:<" + b'"' + b"\\" * 1500 + b">\r\n", b"501 5.1.7"),
        (b"MAIL FROM:<x@elsewhere.test>" + b" A=B" * 400 + b"\r\n", b"501 5.5.4"),
        (b"MAIL FROM:<x@elsewhere.test> SIZE=99999999999999999999\r\n", b"552 5.3.4"),
        (b"BDAT 99999999999999999999 LAST\r\n", b"5"),
        (b"BDAT -1 LAST\r\n", b"501 5.5.4"),
        (b"AUTH PLAIN\r\n", b"502 5.5.1"),
        (b"VRFY " + b"%n%s" * 100 + b"\r\n", b"252 2.5.2"),
    ],
)
def test_line_that_breaks_the_grammar_is_answered(besieged: Besieged, sent: bytes, reply: bytes) -> None:
    with besieged.unharmed(), besieged.enter("smtp") as attacker:
        attacker.smtp("EHLO x.elsewhere.test")
        attacker.send(sent)
        assert attacker.line().startswith(reply)


def test_line_without_end_is_dropped_as_it_comes(besieged: Besieged) -> None:
    with besieged.unharmed(memory=16 * MB), besieged.enter("smtp") as attacker:
        for _ in range(100):
            attacker.send(b"x" * MB)
        assert attacker.line().startswith(b"500")


def test_commands_in_the_wrong_state_are_refused_and_then_the_session(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("smtp") as attacker:
        attacker.send(b"RCPT TO:<alice@example.test>\r\nDATA\r\nBDAT 0 LAST\r\n" * 40)
        answers = attacker.rest().splitlines()
        assert all(line.startswith((b"503", b"421")) for line in answers)
        assert answers[-1].startswith(b"421 4.7.0")


# --- smuggling --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "false_end",
    [b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r", b"\n\n.\r\n", b"\r\n\0.\r\n"],
)
def test_false_end_smuggles_no_second_message(besieged: Besieged, false_end: bytes) -> None:
    inner = MAIL + b"DATA\r\nSubject: smuggled\r\n\r\nyes\r\n.\r\n"
    with besieged.unharmed(), begun(besieged, data=True) as attacker:
        attacker.send(b"Subject: outer\r\n\r\nouter" + false_end + inner)
        reply = attacker.reply()
        assert reply.startswith((b"550", b"554", b"250"))
        if not reply.startswith(b"250"):
            assert b"5.6" in reply or b"5.5.2" in reply
        # Whatever of it was taken was one text: no reply to an inner MAIL may follow.
        assert attacker.smtp("NOOP") == b"250 2.0.0 Here\r\n"
    assert "smuggled" not in besieged.subjects("alice@example.test")


def test_starttls_forgets_what_was_pipelined_behind_it(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("smtp") as attacker:
        attacker.smtp("EHLO x.elsewhere.test")
        attacker.send(b"STARTTLS\r\n" + MAIL + b"RSET\r\n")
        assert attacker.reply().startswith(b"220")
        attacker.start_tls()
        assert attacker.smtp("NOOP").startswith(b"250")  # RFC 3207 §4.2: not an answer to MAIL
        assert attacker.smtp("RCPT TO:<alice@example.test>").startswith(b"503")


def test_starttls_in_a_transaction_forgets_it(besieged: Besieged) -> None:
    with besieged.unharmed(), begun(besieged) as attacker:
        attacker.smtp("RSET")
        assert attacker.smtp("STARTTLS").startswith(b"220")
        attacker.start_tls()
        assert attacker.smtp("DATA").startswith(b"503")


def test_data_and_bdat_do_not_mix(besieged: Besieged) -> None:
    with besieged.unharmed(), begun(besieged) as attacker:
        attacker.send(
            b"BDAT 5\r\nhelloDATA\r\nRCPT TO:<bob@example.test>\r\nMAIL FROM:<y@elsewhere.test>\r\n"
        )
        assert attacker.reply().startswith(b"250")
        assert attacker.reply().startswith(b"503")
        assert attacker.reply().startswith(b"503")
        assert attacker.reply().startswith(b"503")


def test_chunk_that_holds_commands_is_text(besieged: Besieged) -> None:
    text = b"Subject: chunked\r\n\r\n.\r\nQUIT\r\n" + MAIL
    with besieged.unharmed(), begun(besieged) as attacker:
        attacker.send(b"BDAT %d LAST\r\n%bNOOP\r\n" % (len(text), text))
        assert attacker.reply().startswith(b"250")
        assert attacker.reply() == b"250 2.0.0 Here\r\n"


@pytest.mark.parametrize("size", [b"1000000000", b"18446744073709551615", b"99999999999999999999"])
def test_endless_chunk_ends(besieged: Besieged, size: bytes) -> None:
    with besieged.unharmed(memory=32 * MB), begun(besieged) as attacker:
        attacker.send(b"BDAT " + size + b" LAST\r\n")
        for _ in range(80):
            attacker.send(b"x" * MB)
        attacker.sock.settimeout(5)
        assert attacker.line().startswith(b"552 5.3.4")


# --- sizes ------------------------------------------------------------------------------------------------


def test_message_over_the_limit_is_refused_and_the_session_lives(besieged: Besieged) -> None:
    with besieged.unharmed(memory=48 * MB), begun(besieged, data=True) as attacker:
        line = b"x" * 998 + b"\r\n"
        for _ in range(55):
            attacker.send(line * 1049)
        attacker.send(b".\r\n")
        assert attacker.reply().startswith(b"552 5.3.4")
        assert attacker.smtp("NOOP").startswith(b"250")


def test_endless_message_is_cut_off(besieged: Besieged) -> None:
    with besieged.unharmed(memory=48 * MB), begun(besieged, data=True) as attacker:
        for _ in range(200):
            attacker.send(b"x" * MB)
        assert attacker.line().startswith(b"552 5.3.4")


def test_a_million_header_fields(besieged: Besieged) -> None:
    with besieged.unharmed(memory=64 * MB), begun(besieged, data=True) as attacker:
        attacker.send(b"X: y\r\n" * 1_000_000 + b"\r\nbody\r\n.\r\n")
        assert attacker.reply().startswith(b"552 5.3.4")
        assert attacker.smtp("NOOP").startswith(b"250")


def test_deep_mime_is_taken_and_readable(besieged: Besieged) -> None:
    text = b"Subject: deep\r\n"
    text += b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(1000)
    )
    with besieged.unharmed(memory=32 * MB):
        with begun(besieged, data=True) as attacker:
            attacker.send(text + b"\r\nbottom\r\n.\r\n")
            assert attacker.reply().startswith(b"250")
        with besieged.logged_in() as reader:
            reader.ask("a SELECT INBOX", b"a ")
            found = reader.ask('b SEARCH SUBJECT "deep"', b"b ")
            number = found[0].split()[-1].decode()
            assert reader.ask(f"c FETCH {number} (ENVELOPE BODYSTRUCTURE)", b"c ")[-1].startswith(b"c OK")
            assert reader.ask('d SEARCH TEXT "bottom"', b"d ")[-1].startswith(b"d OK")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            b"Subject: rfc822\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 1000, id="message in message"
        ),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 100_000,
            id="100,000 parts",
        ),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x \r\n--xx\r\n" * 200_000,
            id="false parts",
        ),
        pytest.param(b"To: " + b"a@b.test,\r\n " * 20_000 + b"\r\n\r\n", id="20,000 addresses"),
        pytest.param(b"To: " + b"(" * 100_000 + b"\r\n\r\n", id="deep comments"),
        pytest.param(b"To: " + b"g:" * 100_000 + b"\r\n\r\n", id="groups in groups"),
        pytest.param(b"To: " + b"<" * 100_000 + b"\r\n\r\n", id="angles"),
        pytest.param(b'To: "' + b"\\" * 100_001 + b"\r\n\r\n", id="backslashes"),
        pytest.param(b"Subject: " + b"=?utf-8?q?a?= " * 15_000 + b"\r\n\r\n", id="encoded words"),
        pytest.param(b"Subject: " + b"=?" * 100_000 + b"\r\n\r\n", id="half encoded words"),
        pytest.param(b"Subject:" + b"\r\n " * 80_000 + b"\r\n\r\n", id="folds"),
        pytest.param(b"References: " + b"<a@b> " * 40_000 + b"\r\n\r\n", id="references"),
        pytest.param(b"Content-Type: text/plain" + b"; a*0*=x''y" * 15_000 + b"\r\n\r\n", id="parameters"),
        pytest.param(b"Content-Type: text/plain; charset=" + b"x" * 90_000 + b"\r\n\r\nx", id="charset"),
        pytest.param(b"Content-Type: text/html\r\n\r\n" + b"<" * 2_000_000, id="angles in html"),
        pytest.param(b"Content-Type: text/html\r\n\r\n" + b"<!--" * 500_000, id="comments in html"),
        pytest.param(b"Content-Type: text/html\r\n\r\n" + b"&" * 2_000_000, id="entities in html"),
        pytest.param(b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+AGE-" * 400_000, id="utf-7"),
        pytest.param(b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 2_000_000, id="base64 of equals"),
        pytest.param(
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * 700_000, id="soft line breaks"
        ),
        pytest.param(b"Date: " + b"9" * 100_000 + b"\r\n\r\n", id="date"),
        pytest.param(
            b"Content-Type: text/plain\r\n\r\n" + " ".join(map(str, range(300_000))).encode(), id="words"
        ),
    ],
)
def test_costly_message_costs_nobody_else(besieged: Besieged, text: bytes) -> None:
    """Taken or refused; if taken, every way of reading it ends."""
    with besieged.unharmed(memory=64 * MB):
        with begun(besieged, data=True) as attacker:
            attacker.send(text + b"\r\n.\r\n")
            reply = attacker.reply()
            assert reply.startswith((b"250", b"552 5.3.4"))
        with besieged.logged_in() as reader:
            reader.ask("a SELECT INBOX", b"a ")
            assert reader.ask("b FETCH * (ENVELOPE BODYSTRUCTURE PREVIEW)", b"b ")[-1][:4] in (
                b"b OK",
                b"b BA",
            )
            assert reader.ask("b FETCH * (ENVELOPE BODYSTRUCTURE)", b"b ")[-1].startswith(b"b OK")
            assert reader.ask('c SEARCH TEXT "nowhere"', b"c ")[-1].startswith(b"c OK")
            assert reader.ask("d FETCH * (BODY.PEEK[1.1.1.1] BINARY.SIZE[1])", b"d ")[-1][:4] in (
                b"d OK",
                b"d NO",
            )


# --- pace ----------------------------------------------------------------------------------------------


def test_pipelined_flood_does_not_starve_others(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("smtp") as attacker:
        attacker.send(b"EHLO x.elsewhere.test\r\n" + b"NOOP\r\n" * 100_000)
        assert attacker.rest().splitlines()[-1].startswith(b"421 4.7.0")


def test_flood_of_transactions_whose_replies_nobody_reads(besieged: Besieged) -> None:
    """The peer sends for ever and never reads: our output must not grow with it."""
    with besieged.unharmed():
        attackers = [besieged.enter("smtp") for _ in range(10)]
        for attacker in attackers:
            attacker.send(b"EHLO x.elsewhere.test\r\n")
            attacker.sock.setblocking(False)
        end = time.monotonic() + 1.5
        flood = (b"MAIL FROM:<x@elsewhere.test>\r\nRSET\r\n") * 1000
        while time.monotonic() < end:
            for attacker in attackers:
                try:
                    attacker.sock.send(flood)
                except (BlockingIOError, ConnectionError):
                    pass
        for attacker in attackers:
            attacker.sock.setblocking(True)
            attacker.close()


def test_half_closed_and_reset_sessions_leave_nothing(besieged: Besieged) -> None:
    with besieged.unharmed():
        for number in range(200):
            attacker = begun(besieged, data=number % 2 == 0)
            attacker.send(b"half a messa")
            if number % 3 == 0:
                attacker.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: reset
            attacker.close()


def test_half_closed_session_is_answered_to_its_end(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("smtp") as attacker:
        attacker.send(b"EHLO x.elsewhere.test\r\nNOOP\r\nRCPT")
        attacker.sock.shutdown(1)
        lines = attacker.rest().splitlines()
        assert lines[-1] == b"250 2.0.0 Here"


def test_talking_before_the_greeting_is_no_mail_server(besieged: Besieged) -> None:
    with besieged.unharmed():
        attacker = besieged.enter("smtp", greeted=False)
        attacker.send(b"EHLO x\r\n" * 20)
        assert attacker.reply().startswith((b"554", b"220"))
        attacker.close()


# --- who may send what -----------------------------------------------------------------------------------

RELAYS = [
    "x@elsewhere.test",
    "x%elsewhere.test@[127.0.0.1]",
    "x@[127.0.0.1]",
    "x@[IPv6:::1]",
    "@example.test:x@elsewhere.test",
    "@example.test,@localhost:x@elsewhere.test",
    "x@elsewhere.test.example.test",
    "x@localhost",
    "x@LOCALHOST",
    '"alice@example.test"@elsewhere.test',
    '"x@elsewhere.test"@example.test',
    '"alice@example.test,x@elsewhere.test"@example.test',
    "x%elsewhere.test@example.test",
    "elsewhere.test!x@example.test",
    "|/bin/sh@example.test",
    '"|/bin/sh"@example.test',
    '"alice "@example.test',
    "alice@example.test@elsewhere.test",
    "x@elsewhere.test.",
    "alice@example.test..",
    "alice@example..test",
    "alice@.example.test",
    "alice@example.test\u3002elsewhere.test",
    "../../etc/passwd@example.test",
    '"..\\/"@example.test',
]


@pytest.mark.parametrize("address", RELAYS)
def test_no_address_trick_relays(besieged: Besieged, address: str) -> None:
    with besieged.unharmed(), besieged.enter("smtp") as attacker:
        attacker.smtp("EHLO x.elsewhere.test")
        assert attacker.smtp("MAIL FROM:<x@elsewhere.test> SMTPUTF8").startswith(b"250")
        assert attacker.smtp(f"RCPT TO:<{address}>").startswith((b"550", b"501", b"553"))
        assert attacker.smtp("DATA").startswith(b"503")


OURS = [
    "alice@example.test",
    "alice@example.test.",
    "ALICE@EXAMPLE.TEST",
    "nobody@example.test",
    '"alice"@example.test',
    '"al\\ice"@example.test',
    "alice+tag@example.test",
    "@elsewhere.test:alice@example.test",
    "alice@ｅｘａｍｐｌｅ.test",
    "alice@example\u3002test",
    "alice@example\uff0etest",
    "alice@EXAMPLE\uff61TEST",
    "alice@exam\u00adple.test",
    "alice@example.te\u017ft",
]
"""Spellings of an address of ours; the domains are all the same one after the mapping of UTS 46."""


@pytest.mark.parametrize("address", OURS)
def test_stranger_cannot_be_one_of_us_in_the_envelope(besieged: Besieged, address: str) -> None:
    with besieged.unharmed(), besieged.enter("smtp") as attacker:
        attacker.smtp("EHLO x.elsewhere.test")
        assert attacker.smtp(f"MAIL FROM:<{address}> SMTPUTF8").startswith((b"550 5.7.1", b"501"))


FORGED = [
    *(f"From: {address}" for address in OURS if not address.startswith("@")),
    "From: Boss <alice@example.test>",
    "From: alice@example.test (Boss)",
    "From: x@elsewhere.test, alice@example.test",
    "From: alice@example.test, x@elsewhere.test",
    "From: us: alice@example.test;",
    "from:alice@example.test",
    "FROM :alice@example.test",
    "From\t: alice@example.test",
    "From:\r\n alice@example.test",
    "From:\r\n\talice@\r\n example.test",
    "From: alice @ example . test",
    "From: alice(x)@(y)example(z).test",
    "From: <alice@example.test.>",
    "From: alice@example.test.",
    "From: <@elsewhere.test:alice@example.test>",
    "From: x@elsewhere.test <alice@example.test>",
    "From: <x@elsewhere.test> <alice@example.test>",
    "From: <alice@example.test> <x@elsewhere.test>",
    "From: alice@example.test <x@elsewhere.test",
    'From: "x@elsewhere.test\\" <alice@example.test>',
    "From: alice@[127.0.0.1], alice@example.test",
    "From: ;alice@example.test",
    "From: ,,,alice@example.test",
    "From: <<alice@example.test>>",
    "From: alice@example.test\0",
    "From: alice@\0example.test",
    "From: x@elsewhere.test\r\nFrom: alice@example.test",
    "From: x@elsewhere.test\r\nfrom : alice@example.test",
    "no colon here\r\nFrom: alice@example.test",
    " folded start\r\nFrom: alice@example.test",
    "X: " + "y" * 100_000 + "\r\nFrom: alice@example.test",
    "X: y\r\n" * 9_000 + "From: alice@example.test",
    "From: " + "a@elsewhere.test, " * 6_000 + "alice@example.test",
    "From: " + "(" * 200 + ")" * 200 + "alice@example.test",
    "From: " + "x" * 270_000 + " <alice@example.test>",
]


@pytest.mark.parametrize("field", FORGED, ids=lambda field: ascii(field[:60]))
def test_stranger_cannot_be_one_of_us_in_the_header(besieged: Besieged, field: str) -> None:
    with besieged.unharmed(memory=32 * MB), begun(besieged, data=True) as attacker:
        attacker.send(field.encode() + b"\r\nSubject: forged\r\n\r\nGive me money\r\n.\r\n")
        assert attacker.reply().startswith((b"550 5.7.1", b"550 5.6.0", b"552 5.3.4"))


@pytest.mark.parametrize(
    "sender",
    [
        "bob@example.test",
        "nobody@example.test",
        "x@elsewhere.test",
        '"bob"@example.test',
        "bob+x@example.test",
    ],
)
def test_login_sends_only_as_itself(besieged: Besieged, sender: str) -> None:
    with besieged.unharmed(), smtplib.SMTP("127.0.0.1", besieged.ports["submission"]) as client:
        client.login("alice@example.test", "wonderland")
        assert client.mail(sender)[0] == 553
        client.mail("alice@example.test")
        client.rcpt("bob@example.test")
        code, text = client.data(f"From: {sender}\r\nTo: bob@example.test\r\n\r\nHi\r\n")
        assert (code, text[:5]) in {(550, b"5.7.1"), (553, b"5.7.1")}


def test_login_cannot_hide_another_author_in_a_broken_from(besieged: Besieged) -> None:
    with besieged.unharmed(), smtplib.SMTP("127.0.0.1", besieged.ports["submission"]) as client:
        client.login("alice@example.test", "wonderland")
        for value in ("<alice@example.test> <bob@example.test>", "bob@example.test <alice@example.test>"):
            client.mail("alice@example.test")
            client.rcpt("bob@example.test")
            code, text = client.data(f"From: {value}\r\nTo: bob@example.test\r\n\r\nHi\r\n")
            assert code == 550, text


def test_submission_without_login_takes_nothing(besieged: Besieged) -> None:
    with besieged.unharmed(), besieged.enter("submission") as attacker:
        attacker.smtp("EHLO x.elsewhere.test")
        attacker.send(MAIL + b"DATA\r\nBDAT 4 LAST\r\nabcdQUIT\r\n")
        assert attacker.reply().startswith(b"530 5.7.0")
        assert attacker.reply().startswith((b"503", b"530"))
        assert attacker.reply().startswith((b"503", b"530"))
        assert attacker.reply().startswith((b"503", b"530"))
        assert attacker.reply().startswith(b"221")


# --- loops and the log -------------------------------------------------------------------------------------


def test_mail_that_goes_in_circles_ends(besieged: Besieged) -> None:
    with besieged.unharmed(), begun(besieged, data=True) as attacker:
        attacker.send(b"Received: from a by b; Mon, 2 Nov 2026 10:00:00 +0000\r\n" * 101 + b"\r\nx\r\n.\r\n")
        assert attacker.reply().startswith(b"554 5.4.6")


def test_nobody_writes_lines_into_the_log(besieged: Besieged) -> None:
    forged = "2026-11-02T10:00:00.000Z info smtp login peer=6.6.6.6 account=alice@example.test"
    with besieged.unharmed(), besieged.enter("smtp") as attacker:
        attacker.smtp(f"EHLO x\u2028{forged}")
        attacker.smtp(f"EHLO x.test\x0b{forged}")
        attacker.smtp(f"MAIL FROM:<a\x85{forged}@elsewhere.test> SMTPUTF8")
        attacker.smtp(f'MAIL FROM:<"a\x1b[2J{forged}"@elsewhere.test>')
    with besieged.enter("imap") as attacker:
        attacker.send(b"a LOGIN {%d+}\r\nx\r\n%b xy\r\n" % (len(forged) + 3, forged.encode()))
        attacker.line()
    assert not [line for line in besieged.log().splitlines() if line.startswith(forged[:40])]
    assert "\x1b" not in besieged.log()
