"""The SMTP client's side of conversations, as text: C is what it must say, S what the server says.

`MESSAGE` is the place where the driver sends the message, `TLS` where the handshake succeeds, `NO-TLS` where it
fails, `LOST` where the connection breaks, `BEGIN` where the next transaction begins.
"""

from __future__ import annotations

import base64

import pytest

from posthouse import limits
from posthouse.errors import LocalProtocolError
from posthouse.smtp.client_core import ClientCore
from posthouse.smtp.client_states import Credentials, State, TlsUse, Want
from posthouse.smtp.client_values import Envelope, EnvelopeRecipient, ServerOffer
from posthouse.smtp.replies import ReplyReader

MESSAGE = b"Subject: x\r\n\r\n.dot\r\n"


def envelope(*addresses: str, **changes: object) -> Envelope:
    recipients = tuple(EnvelopeRecipient(address) for address in addresses or ("b@d.test",))
    fields = {"reverse_path": "a@us.test", "recipients": recipients, "size": len(MESSAGE)} | changes
    return Envelope(**fields)  # type: ignore[arg-type]


def converse(
    core: ClientCore, text: str, sends: Envelope | None = None, *, probe: bool = False
) -> ClientCore:
    """Play a conversation; fails where the client says something else."""
    said = b""
    for line in text.strip().splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "C:":
            assert said, f"the client says nothing where it should say {rest!r} ({core.state})"
            first, _, said = said.partition(b"\r\n")
            assert first.decode() == rest
        elif word == "S:":
            said += core.receive_line(rest.encode())
        elif word == "TLS":
            assert core.want is Want.HANDSHAKE
            said += core.tls_started()
        elif word == "NO-TLS":
            core.tls_failed("no common version")
        elif word == "LOST":
            core.lost("connection lost")
        elif word == "BEGIN":
            said += core.begin(sends or envelope(), probe=probe)
        elif word == "MESSAGE":
            assert core.want is Want.CONTENT
            said += core.content(MESSAGE[:9]) + core.content(MESSAGE[9:]) + core.end_content()
        elif word == "QUIT":
            said += core.quit()
    assert said == b"", f"the client says more: {said!r}"
    return core


def results(core: ClientCore) -> list[str]:
    assert core.want is Want.DONE
    return [f"{result.verb or 'local'}: {result.reply.code}" for result in core.results]


PLAIN = """
    S: 220 mx.d.test ESMTP
    C: EHLO us.test
    S: 250-mx.d.test
    S: 250 SIZE 1000
"""
RICH = """
    S: 220 mx.d.test ESMTP
    C: EHLO us.test
    S: 250-mx.d.test
    S: 250-PIPELINING
    S: 250-SIZE 10000000
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-DSN
    S: 250-CHUNKING
    S: 250 BINARYMIME
"""


def client(**options: object) -> ClientCore:
    return ClientCore("us.test", **options)  # type: ignore[arg-type]


def test_one_command_at_a_time_without_pipelining() -> None:
    core = converse(
        client(),
        PLAIN
        + """
        BEGIN
        C: MAIL FROM:<a@us.test> SIZE=20
        S: 250 2.1.0 ok
        C: RCPT TO:<b@d.test>
        S: 250 ok
        C: DATA
        S: 354 go on
        MESSAGE
        C: Subject: x
        C:
        C: ..dot
        C: .
        S: 250 2.0.0 queued
        """,
    )
    assert results(core) == ["end of message: 250"]
    assert core.reusable


def test_the_envelope_in_one_go_with_pipelining() -> None:
    core = converse(client(), RICH)
    out = core.begin(envelope("b@d.test", "c@d.test"))
    assert out == (b"MAIL FROM:<a@us.test> SIZE=20\r\nRCPT TO:<b@d.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
    converse(core, "S: 250 ok\nS: 250 ok\nS: 550 5.1.1 unknown\nS: 354 go on")
    assert core.want is Want.CONTENT
    core.content(MESSAGE)
    core.end_content()
    converse(core, "S: 250 ok")
    assert results(core) == ["end of message: 250", "RCPT: 550"]


TRANSACTIONS = [
    # (what the server says after the pipelined envelope of two recipients, results)
    pytest.param("S: 550 no\nS: 503 x\nS: 503 x\nS: 503 x", ["MAIL: 550", "MAIL: 550"], id="MAIL refused"),
    pytest.param(
        "S: 250 ok\nS: 550 x\nS: 450 x\nS: 503 no recipients",
        ["RCPT: 550", "RCPT: 450"],
        id="all RCPT refused",
    ),
    pytest.param(
        "S: 250 ok\nS: 550 x\nS: 450 x\nS: 354 go\nC: .\nS: 554 no recipients",
        ["RCPT: 550", "RCPT: 450"],
        id="all RCPT refused, DATA accepted",
    ),
    pytest.param(
        "S: 250 ok\nS: 250 x\nS: 450 x\nS: 451 not now", ["DATA: 451", "RCPT: 450"], id="DATA refused"
    ),
    pytest.param("S: 250 ok\nS: 421 closing", ["RCPT: 421", "RCPT: 421"], id="421 ends everything"),
    pytest.param(
        "S: 250 ok\nS: 550 no\nS: 421 closing", ["RCPT: 550", "RCPT: 421"], id="421 leaves what was said"
    ),
    pytest.param("S: 250 ok\nLOST", ["local: 421", "local: 421"], id="lost in the envelope"),
    pytest.param("S: 250 ok\nS: 550 no\nLOST", ["RCPT: 550", "local: 421"], id="lost after one was refused"),
    pytest.param("S: 250 ok\nS: nonsense", ["local: 421", "local: 421"], id="nonsense"),
    pytest.param("S: 250-a\nS: 251 b", ["local: 421", "local: 421"], id="two codes in one reply"),
    pytest.param("S: 354 what", ["local: 421", "local: 421"], id="a reply that belongs elsewhere"),
    pytest.param(
        "S: 250 ok\nS: 250 x\nS: 250 x\nS: 250 what",
        ["local: 421", "local: 421"],
        id="250 to DATA means nothing",
    ),
]


@pytest.mark.parametrize(("text", "outcome"), TRANSACTIONS)
def test_a_transaction_that_fails(text: str, outcome: list[str]) -> None:
    core = converse(client(), RICH)
    core.begin(envelope("b@d.test", "c@d.test"))
    converse(core, text)
    assert results(core) == outcome


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("S: 554 5.7.1 spam", ["end of message: 554"]),
        ("S: 451 later", ["end of message: 451"]),
        ("S: 421 closing", ["end of message: 421"]),
        ("S: 354 what", ["local: 421"]),
        ("LOST", ["local: 421"]),
    ],
)
def test_after_the_final_dot(text: str, outcome: list[str]) -> None:
    core = converse(client(), RICH)
    core.begin(envelope())
    converse(core, "S: 250 ok\nS: 250 ok\nS: 354 go")
    core.content(MESSAGE)
    core.end_content()
    converse(core, text)
    assert results(core) == outcome
    assert core.results[0].ambiguous is (outcome == ["local: 421"])


def test_a_connection_lost_within_the_message_is_not_ambiguous() -> None:
    core = converse(client(), RICH)
    core.begin(envelope())
    converse(core, "S: 250 ok\nS: 250 ok\nS: 354 go")
    core.content(MESSAGE)
    core.lost("connection lost")
    assert not core.results[0].ambiguous


def test_a_server_that_gives_up_within_the_message_is_heard() -> None:
    core = converse(client(), RICH)
    core.begin(envelope())
    converse(core, "S: 250 ok\nS: 250 ok\nS: 354 go")
    core.content(MESSAGE)
    core.receive_line(b"552 5.3.4 too big")
    assert results(core) == ["end of message: 552"]
    assert not core.reusable


def test_a_refused_transaction_is_reset_before_the_next() -> None:
    core = converse(client(), RICH)
    core.begin(envelope())
    converse(core, "S: 250 ok\nS: 550 no\nS: 503 no")
    assert core.begin(envelope()).startswith(b"RSET\r\nMAIL FROM")
    converse(core, "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go")
    core.content(MESSAGE)
    core.end_content()
    converse(core, "S: 250 ok")
    assert core.begin(envelope()).startswith(b"MAIL FROM"), "none is needed after a message"
    assert core.transactions == 3


def test_a_refused_mail_needs_no_reset() -> None:
    core = converse(client(), RICH)
    core.begin(envelope())
    converse(core, "S: 450 x\nS: 503 x\nS: 503 x")
    assert core.begin(envelope()).startswith(b"MAIL FROM")


def test_a_probe_ends_before_data() -> None:
    core = converse(client(), RICH)
    out = core.begin(envelope("b@d.test", "c@d.test", reverse_path="", size=0), probe=True)
    assert out == b"MAIL FROM:<> SIZE=0\r\nRCPT TO:<b@d.test>\r\nRCPT TO:<c@d.test>\r\n"
    converse(core, "S: 250 ok\nS: 250 ok\nS: 550 no\nQUIT\nC: QUIT\nS: 221 bye")
    assert core.want is Want.CLOSED
    assert core.problem is None


# --- the beginning of a session -------------------------------------------------------------------


def test_helo_where_ehlo_is_unknown() -> None:
    core = converse(
        client(),
        "S: 220 x\nC: EHLO us.test\nS: 502 what?\nC: HELO us.test\nS: 250 hello\nBEGIN\nC: MAIL FROM:<a@us.test>",
    )
    assert core.offer.extensions == {}


@pytest.mark.parametrize(
    "text",
    [
        "S: 554 no SMTP service here",
        "S: 421 too busy",
        "S: 220 x\nC: EHLO us.test\nS: 450 not now",
        "S: 220 x\nC: EHLO us.test\nS: 550 no\nC: HELO us.test\nS: 550 no",
    ],
)
def test_a_server_that_will_not_serve(text: str) -> None:
    core = converse(client(), text)
    assert core.want is Want.CLOSED
    assert core.problem is not None
    assert not core.problem_is_ours
    assert not core.reusable


@pytest.mark.parametrize("text", ["S: HTTP/1.1 400 Bad Request", "LOST", "S: 220-a\nS: 250 b"])
def test_something_that_is_no_mail_server(text: str) -> None:
    core = converse(client(), text)
    assert core.want is Want.CLOSED
    assert core.problem_is_ours


def test_an_endless_greeting_ends() -> None:
    core = client()
    for _ in range(limits.SMTP_REPLY_LINES + 1):
        core.receive_line(b"220-more")
    assert core.want is Want.CLOSED


STARTTLS = "S: 220 x\nC: EHLO us.test\nS: 250-mx\nS: 250-PIPELINING\nS: 250 STARTTLS\nC: STARTTLS\n"


def test_what_was_offered_before_tls_is_forgotten() -> None:
    core = converse(client(), STARTTLS + "S: 220 go\nTLS\nC: EHLO us.test\nS: 250-mx\nS: 250 SIZE 5")
    assert core.want is Want.READY
    assert dict(core.offer.extensions) == {"SIZE": "5"}


@pytest.mark.parametrize(("use", "want"), [(TlsUse.IF_OFFERED, Want.READY), (TlsUse.REQUIRED, Want.CLOSED)])
def test_a_refused_starttls(use: TlsUse, want: Want) -> None:
    assert converse(client(tls=use), STARTTLS + "S: 454 not now").want is want


@pytest.mark.parametrize(
    ("use", "want"),
    [(TlsUse.NEVER, Want.READY), (TlsUse.IF_OFFERED, Want.READY), (TlsUse.REQUIRED, Want.CLOSED)],
)
def test_no_starttls_offered(use: TlsUse, want: Want) -> None:
    assert converse(client(tls=use), PLAIN).want is want


def test_tls_is_left_alone_when_told_so() -> None:
    assert converse(client(tls=TlsUse.NEVER), STARTTLS.removesuffix("C: STARTTLS\n")).want is Want.READY


def test_a_failed_handshake_ends_the_connection() -> None:
    core = converse(client(), STARTTLS + "S: 220 go\nNO-TLS")
    assert core.want is Want.CLOSED
    assert core.problem is not None
    assert "no common version" in core.problem.text


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


LOGIN = Credentials("me", "p\u00e4ss")


@pytest.mark.parametrize(
    ("mechanisms", "talk", "want"),
    [
        ("PLAIN LOGIN", f"C: AUTH PLAIN {b64(chr(0) + 'me' + chr(0) + 'päss')}\nS: 235 ok", Want.READY),
        (
            "LOGIN XOAUTH2",
            f"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {b64('me')}\nS: 334 UGFzc3dvcmQ6\nC: {b64('päss')}\nS: 235 ok",
            Want.READY,
        ),
        ("PLAIN", f"C: AUTH PLAIN {b64(chr(0) + 'me' + chr(0) + 'päss')}\nS: 535 wrong", Want.CLOSED),
        ("PLAIN", f"C: AUTH PLAIN {b64(chr(0) + 'me' + chr(0) + 'päss')}\nS: 334 more?", Want.CLOSED),
        ("CRAM-MD5", "", Want.CLOSED),
    ],
)
def test_login(mechanisms: str, talk: str, want: Want) -> None:
    begin = f"S: 220 x\nC: EHLO us.test\nS: 250-mx\nS: 250 AUTH {mechanisms}\n"
    assert converse(client(encrypted=True, login=LOGIN), begin + talk).want is want


def test_no_password_in_clear() -> None:
    begin = "S: 220 x\nC: EHLO us.test\nS: 250-mx\nS: 250 AUTH PLAIN\n"
    assert converse(client(login=LOGIN), begin).want is Want.CLOSED
    core = client(login=LOGIN, password_in_clear=True)
    core.receive_line(b"220 x")
    core.receive_line(b"250-mx")
    assert core.receive_line(b"250 AUTH PLAIN").startswith(b"AUTH PLAIN ")
    assert "p\u00e4ss" not in repr(LOGIN)


def test_login_comes_after_tls() -> None:
    talk = (
        STARTTLS + "S: 220 go\nTLS\nC: EHLO us.test\nS: 250-mx\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 535 no"
    )
    assert converse(client(login=LOGIN), talk).want is Want.CLOSED


# --- extensions -----------------------------------------------------------------------------------


def offer(*lines: str) -> ServerOffer:
    reader = ReplyReader()
    for line in lines:
        assert reader.receive_line(f"250-{line}".encode()) is None
    reply = reader.receive_line(b"250 HELP")
    assert reply is not None
    return ServerOffer.parse(reply)


def test_what_is_offered() -> None:
    found = offer(
        "mx", "size 1000", "AUTH PLAIN", "AUTH=LOGIN", "LIMITS MAILMAX=7 RCPTMAX=50 X=y", "", "DSN "
    )
    assert found.size == 1000
    assert found.mechanisms == {"PLAIN", "LOGIN"}
    assert found.limit("RCPTMAX", 100) == 50
    assert found.limit("X", 3) == 3
    assert "DSN" in found
    assert offer("mx", "SIZE", "LIMITS RCPTMAX=0 MAILMAX=-1").size == 0
    for value in ("0", "-1", "05", "1000000", "x", ""):  # RFC 9422 §4: one to six digits, the first no zero
        assert offer("mx", f"LIMITS RCPTMAX={value} MAILMAX=5").limit("RCPTMAX", 9) == 9
    assert offer("mx", "limits rcptmax=999999").limit("RCPTMAX", 9) == 999_999


def rich_with(*drop: str) -> ClientCore:
    lines = [line for line in RICH.strip().splitlines() if not any(word in line for word in drop)]
    lines[-1] = lines[-1].replace("250-", "250 ")
    return converse(client(), "\n".join(lines))


REFUSALS = [
    pytest.param({"size": 10_000_001}, "", "552 5.3.4", id="too large"),
    pytest.param({"body": "8BITMIME"}, "8BITMIME", "554 5.6.3", id="8-bit to a 7-bit server"),
    pytest.param({"body": "BINARYMIME"}, "BINARYMIME", "554 5.6.3", id="binary"),
    pytest.param({"body": "BINARYMIME"}, "CHUNKING", "554 5.6.3", id="binary needs chunks too"),
    pytest.param({"smtputf8": True}, "SMTPUTF8", "554 5.6.9", id="an internationalized header"),
    pytest.param(
        {"smtputf8": True, "reverse_path": "ä@us.test"},
        "SMTPUTF8",
        "553 5.6.7",
        id="an internationalized address",
    ),
]


@pytest.mark.parametrize(("changes", "without", "codes"), REFUSALS)
def test_what_a_server_cannot_take_is_not_sent(changes: dict[str, object], without: str, codes: str) -> None:
    core = rich_with(without) if without else rich_with("nothing")
    assert core.begin(envelope("b@d.test", "c@d.test", **changes)) == b""
    assert core.want is Want.DONE
    assert {f"{r.reply.code} {r.reply.enhanced} {r.local}" for r in core.results} == {f"{codes} True"}
    assert core.reusable
    if without:
        assert rich_with("nothing").begin(envelope(**changes)) != b""


def test_parameters_go_where_they_are_known() -> None:
    recipients = (EnvelopeRecipient("b@d.test", "SUCCESS,DELAY", "rfc822;b+2Bx@d.test"),)
    sends = envelope(recipients=recipients, ret="HDRS", envid="QQ1", body="8BITMIME", smtputf8=True)
    assert rich_with("nothing").begin(sends).splitlines()[:2] == [
        b"MAIL FROM:<a@us.test> SIZE=20 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ1",
        b"RCPT TO:<b@d.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bx@d.test",
    ]
    assert rich_with("DSN").begin(sends).splitlines()[:2] == [
        b"MAIL FROM:<a@us.test> SIZE=20 BODY=8BITMIME SMTPUTF8",
        b"RCPT TO:<b@d.test>",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"envid": "x\r\nRSET"},
        {"ret": "FULL\n"},
        {"reverse_path": "a@us.test>\r\nRSET\r\nMAIL FROM:<c@us.test"},
        {"recipients": (EnvelopeRecipient("b@d.test>\r\nDATA"),)},
        {"recipients": (EnvelopeRecipient("b@d.test", "NEVER\r\nDATA"),)},
        {"recipients": (EnvelopeRecipient("b@d.test", "", "rfc822;b\r\nDATA"),)},
    ],
)
def test_nothing_in_an_envelope_begins_a_command(changes: dict[str, object]) -> None:
    core = converse(client(), RICH)
    with pytest.raises(LocalProtocolError):
        core.begin(envelope(**changes))


def test_a_utf8_orcpt_is_escaped_for_a_server_without_smtputf8() -> None:
    recipients = (EnvelopeRecipient("b@d.test", "", "utf-8;\u00fc@d.test"),)
    assert "ORCPT=utf-8;\u00fc@d.test\r\n".encode() in rich_with("nothing").begin(
        envelope(recipients=recipients)
    )
    assert rb"ORCPT=utf-8;\x{FC}@d.test" in rich_with("SMTPUTF8").begin(envelope(recipients=recipients))


@pytest.mark.parametrize("changes", [{"body": "BINARYMIME"}, {"size": limits.OUTBOUND_BDAT}])
def test_a_large_or_binary_message_goes_as_one_chunk(changes: dict[str, object]) -> None:
    sends = envelope(**changes)
    core = converse(client(), RICH)
    assert b"DATA" not in core.begin(sends)
    converse(core, "S: 250 ok\nS: 250 ok")
    half = sends.size // 2
    first = core.content(b"." * half)
    assert first == b"BDAT %d LAST\r\n" % sends.size + b"." * half
    assert core.content(b"\n" * (sends.size - half)) == b"\n" * (sends.size - half)
    assert core.end_content() == b""
    converse(core, "S: 250 ok")
    assert results(core) == ["end of message: 250"]


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_chunk_that_is_out_whole_may_have_been_taken(pieces: int) -> None:
    """RFC 3030 §2: nothing stands behind its last octet, so it is there before we say that it is."""
    sends = envelope(size=limits.OUTBOUND_BDAT)
    core = converse(client(), RICH)
    core.begin(sends)
    converse(core, "S: 250 ok\nS: 250 ok")
    for _ in range(pieces):
        assert core.want is Want.CONTENT
        core.content(b"." * (sends.size // pieces))
    core.lost("connection lost")
    assert [result.ambiguous for result in core.results] == [True]


def test_no_octets_begin_no_chunk() -> None:
    sends = envelope(size=limits.OUTBOUND_BDAT)
    core = converse(client(), RICH)
    core.begin(sends)
    converse(core, "S: 250 ok\nS: 250 ok")
    assert core.content(b"") == b""
    assert core.content(b"x") == b"BDAT %d LAST\r\nx" % sends.size


def test_a_chunk_of_the_wrong_size_is_never_ended() -> None:
    core = converse(client(), RICH)
    core.begin(envelope(body="BINARYMIME"))
    converse(core, "S: 250 ok\nS: 250 ok")
    core.content(b"short")
    with pytest.raises(LocalProtocolError):
        core.end_content()


def test_no_chunk_when_no_recipient_was_accepted() -> None:
    core = converse(client(), RICH)
    core.begin(envelope(body="BINARYMIME"))
    converse(core, "S: 250 ok\nS: 550 no")
    assert results(core) == ["RCPT: 550"]


def test_limits_of_the_server_are_kept() -> None:
    core = converse(
        client(),
        "S: 220 x\nC: EHLO us.test\nS: 250-mx\nS: 250 LIMITS MAILMAX=1 RCPTMAX=2\n"
        "BEGIN\nC: MAIL FROM:<a@us.test>\nS: 450 no",
    )
    assert core.recipients_most == 2
    assert not core.reusable
    with pytest.raises(LocalProtocolError):
        core.begin(envelope("a@d.test", "b@d.test", "c@d.test"))


def test_each_step_has_its_own_time_limit() -> None:
    core = client()
    seen = [core.timeout]
    converse(core, RICH)
    core.begin(envelope())
    seen.append(core.timeout)
    converse(core, "S: 250 ok\nS: 250 ok")
    seen.append(core.timeout)
    converse(core, "S: 354 go")
    seen.append(core.timeout)
    core.content(MESSAGE)
    core.end_content()
    seen.append(core.timeout)
    # RFC 5321 §4.5.3.2.1 to §4.5.3.2.6
    assert seen == [300, 300, 120, 180, 600]
    assert core.state is State.FINAL


def test_so_much_is_kept_of_what_a_server_says() -> None:
    """It stands beside each recipient in the queue, and in a DSN."""
    talk = "BEGIN\nC: MAIL FROM:<a@us.test> SIZE=20\n"
    said = "".join(f"S: 550-{'x' * 400}\n" for _ in range(50)) + "S: 550 end\n"
    core = converse(client(), PLAIN + talk + said)
    (result,) = core.results
    assert (result.reply.code, len(result.reply.text)) == (550, 1000)
