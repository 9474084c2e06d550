"""The server core as tables: what each command gives in each state, and what it forgets when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse import limits
from posthouse.errors import LocalProtocolError
from posthouse.smtp import events
from posthouse.smtp.extensions import Role
from posthouse.smtp.replies import CommandError, Reply
from posthouse.smtp.server_core import ServerCore
from posthouse.smtp.states import LEGAL, State

OK = Reply(250, "2.0.0", "ok")
NO = Reply(550, "5.0.0", "no")


def core_of(role: Role = Role.MX, *, tls: bool = True, size: int = 1000, recipients: int = 10) -> ServerCore:
    core = ServerCore(
        events.Settings(
            hostname="mx.example.test",
            role=role,
            message_size=size,
            recipients=recipients,
            tls_available=tls,
            login_required=role is Role.SUBMISSION,
        )
    )
    core.greet()
    return core


def say(core: ServerCore, *lines: str) -> Reply | events.Event:
    """Give lines; MAIL and RCPT are accepted. The last outcome."""
    for line in lines:
        outcome = core.receive_line(line.encode())
        if isinstance(outcome, events.MailFrom | events.RcptTo):
            outcome = core.answered(OK)
    return outcome


def code(outcome: object) -> int | str:
    """A reply's code, or an event's name."""
    return outcome.code if isinstance(outcome, Reply) else type(outcome).__name__


TO_STATE = {
    State.GREETED: [],
    State.READY: ["EHLO me"],
    State.MAIL: ["EHLO me", "MAIL FROM:<a@b.example>"],
    State.RCPT: ["EHLO me", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"],
    State.BDAT: ["EHLO me", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "BDAT 0"],
}


def core_in(state: State) -> ServerCore:
    core = core_of()
    if TO_STATE[state]:
        say(core, *TO_STATE[state])
    if state is State.BDAT:
        core.content_ended(False)
    assert core.state is state
    return core


WRONG_STATE = [
    # command,              GREETED, READY, MAIL, RCPT, BDAT
    ("EHLO me", 250, 250, 250, 250, 250),
    ("HELO me", 250, 250, 250, 250, 250),
    ("MAIL FROM:<a@b.example>", 503, 250, 503, 503, 503),
    ("RCPT TO:<a@b.example>", 503, 503, 250, 250, 503),
    ("DATA", 503, 503, 503, "ReceiveData", 503),
    ("BDAT 0 LAST", *["ReceiveChunk"] * 5),
    ("RSET", 250, 250, 250, 250, 250),
    ("NOOP", 250, 250, 250, 250, 250),
    ("VRFY a", 252, 252, 252, 252, 252),
    ("EXPN a", 502, 502, 502, 502, 502),
    ("HELP", 214, 214, 214, 214, 214),
    ("STARTTLS", 503, "StartTls", 503, 503, 503),
    ("AUTH PLAIN", 503, 502, 503, 503, 503),
    ("XCLIENT ADDR=192.0.2.1", 550, 550, 503, 503, 503),
    ("QUIT", 221, 221, 221, 221, 221),
    ("LHLO me", 500, 500, 500, 500, 500),
    ("XYZZY", 500, 500, 500, 500, 500),
]


@pytest.mark.parametrize("row", WRONG_STATE, ids=lambda row: row[0].split()[0])
@pytest.mark.parametrize("column", range(5), ids=lambda n: list(TO_STATE)[n].name)
def test_each_command_in_each_state(row, column):
    core = core_in(list(TO_STATE)[column])
    assert code(say(core, row[0])) == row[1 + column]


def test_the_table_has_every_command():
    assert {row[0].split()[0].encode() for row in WRONG_STATE} - {b"XYZZY"} == set(LEGAL)


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (State.MAIL, "MAIL FROM:<x@y.example>"),
        (State.RCPT, "STARTTLS"),
        (State.BDAT, "RCPT TO:<a@b.example>"),
    ],
)
def test_a_command_out_of_order_changes_nothing(state, line):
    core = core_in(state)
    say(core, line)
    assert core.state is state


@pytest.mark.parametrize("line", ["RSET", "EHLO again", "HELO again"])
def test_the_transaction_is_forgotten(line):
    core = core_in(State.RCPT)
    say(core, line, "MAIL FROM:<x@y.example>")
    assert code(say(core, "DATA")) == 503


def test_a_refused_recipient_does_not_count():
    core = core_in(State.MAIL)
    assert isinstance(core.receive_line(b"RCPT TO:<a@b.example>"), events.RcptTo)
    assert core.answered(NO) is NO
    assert code(say(core, "DATA")) == 503


def test_a_refused_sender_begins_no_transaction():
    core = core_in(State.READY)
    core.receive_line(b"MAIL FROM:<a@b.example>")
    core.answered(NO)
    assert code(say(core, "RCPT TO:<a@b.example>")) == 503


def test_an_unanswered_question_takes_no_line():
    core = core_in(State.READY)
    core.receive_line(b"MAIL FROM:<a@b.example>")
    with pytest.raises(LocalProtocolError):
        core.receive_line(b"RCPT TO:<a@b.example>")


def test_everything_from_before_tls_is_forgotten():
    core = core_of(Role.SUBMISSION)
    core.mechanisms = ("SCRAM-SHA-256",)
    say(core, "EHLO me", "STARTTLS")
    core.tls_started()
    assert (core.state, core.helo, core.logged_in, core.tls) == (State.GREETED, "", False, True)
    assert "STARTTLS" not in say(core, "EHLO me").text
    assert code(say(core, "STARTTLS")) == 503


def test_starttls_is_offered_only_where_it_works():
    assert "STARTTLS" in say(core_of(), "EHLO me").text
    core = core_of(tls=False)
    assert "STARTTLS" not in say(core, "EHLO me").text
    assert code(say(core, "STARTTLS")) == 502


def test_ehlo_lists_what_is_there():
    core = core_of(Role.SUBMISSION, size=12345)
    core.mechanisms = ("PLAIN", "SCRAM-SHA-256")
    assert say(core, "EHLO me").text.split("\n") == [
        "mx.example.test",
        "PIPELINING",
        "SIZE 12345",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
        "BINARYMIME",
        "DSN",
        "DELIVERBY 60",
        "STARTTLS",
        "AUTH PLAIN SCRAM-SHA-256",
        "LIMITS MAILMAX=10000 RCPTMAX=10",
        "HELP",
    ]


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("60;R", "60;R"),
        ("+0000120;rt", "120;RT"),
        ("0;N", "0;N"),
        ("-999999999;NT", "-999999999;NT"),
        ("59;R", 550),
        *(
            (wrong, 501)
            for wrong in ("0;R", "-5;RT", "5", "5;", ";R", "5;T", "5;TR", "1234567890;N", "5;N;N", "x;N")
        ),
    ],
)
def test_a_time_to_deliver_by(by, wanted):
    """RFC 2852 §4; what is wrong leaves the session as it was."""
    core = core_of()
    say(core, "EHLO me")
    outcome = core.receive_line(f"MAIL FROM:<a@b.example> BY={by}".encode())
    if isinstance(wanted, int):
        assert outcome.code == wanted
        assert code(say(core, "MAIL FROM:<a@b.example>")) == 250
    else:
        assert outcome.parameters.by == wanted


def test_a_limit_is_told_in_six_digits():
    """RFC 9422 §4.2."""
    core = core_of(recipients=5_000_000)
    assert "LIMITS MAILMAX=10000 RCPTMAX=999999" in say(core, "EHLO me").text.split("\n")


def test_parameters_need_ehlo():
    assert code(say(core_of(), "HELO me", "MAIL FROM:<a@b.example> SIZE=1")) == 555


@pytest.mark.parametrize(
    ("size", "outcome"), [(1000, 250), (1001, 552), (10**19, 552)], ids=["fits", "one too many", "absurd"]
)
def test_size_is_judged_early(size, outcome):
    assert code(say(core_in(State.READY), f"MAIL FROM:<a@b.example> SIZE={size}")) == outcome


def test_login_comes_first_on_submission():
    core = core_of(Role.SUBMISSION)
    core.mechanisms = ("SCRAM-SHA-256",)
    assert say(core, "EHLO me", "MAIL FROM:<a@b.example>").code == 530
    assert code(say(core, "AUTH PLAIN")) == 538
    assert code(say(core, "AUTH CRAM-MD5")) == 504
    assert isinstance(say(core, "AUTH SCRAM-SHA-256"), events.Login)
    core.login_ended(Reply(235, "2.7.0", "in"))
    assert code(say(core, "AUTH SCRAM-SHA-256")) == 503
    assert code(say(core, "MAIL FROM:<a@b.example> AUTH=<>")) == 250


def test_a_failed_login_leaves_nobody_logged_in():
    core = core_of(Role.SUBMISSION)
    core.mechanisms = ("PLAIN",)
    say(core, "EHLO me", "AUTH PLAIN")
    core.login_ended(Reply(535, "5.7.8", "no"))
    assert code(say(core, "MAIL FROM:<a@b.example>")) == 530


def test_login_lines_are_base64_or_a_star():
    core = core_of(Role.SUBMISSION)
    assert core.login_response(b"YWI=") == b"ab"
    for line in (b"*", b"YWI", b"Y WI="):
        with pytest.raises(CommandError) as raised:
            core.login_response(line)
        assert raised.value.reply.code == 501


@pytest.mark.parametrize(
    ("given", "outcome"),
    [(b"NOOP\r", 500), (b"NO\rOP", 500), (b"MAIL FROM:<a@b.example>\rRCPT TO:<c@d.example>", 500)],
)
def test_a_bare_cr_ends_the_session(given, outcome):
    core = core_in(State.READY)
    assert core.receive_line(given).code == outcome
    assert core.closing


def test_a_bare_lf_ends_the_session():
    core = core_in(State.READY)
    assert core.bare_line_feed().code == 500
    assert core.closing


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT x:25 HTTP/1.0"])
def test_a_web_client_is_sent_away(line):
    core = core_of()
    assert code(say(core, line)) == 421
    assert core.closing


def test_a_peer_that_talks_first_is_sent_away():
    core = ServerCore(core_of().settings)
    assert core.greet(talked_first=True).code == 554
    assert core.closing


# --- text ---------------------------------------------------------------------------------------------


def test_a_message_is_handed_on_with_its_envelope():
    core = core_in(State.RCPT)
    assert say(core, "RCPT TO:<e@f.example> NOTIFY=NEVER", "DATA").reply.code == 354
    assert core.content(10)
    received = core.content_ended(False)
    assert isinstance(received, events.MessageReceived)
    assert received.envelope.reverse_path == "a@b.example"
    assert [(r.address, r.parameters.notify) for r in received.envelope.recipients] == [
        ("c@d.example", ""),
        ("e@f.example", "NEVER"),
    ]
    assert core.delivered((OK,)) == (OK,)
    assert core.state is State.READY


def test_a_bare_line_end_in_text_is_refused():
    core = core_in(State.RCPT)
    say(core, "DATA")
    core.content(10)
    assert [(r.code, r.enhanced) for r in core.content_ended(True)] == [(550, "5.6.0")]
    assert core.state is State.READY


def test_binarymime_may_have_bare_line_ends_and_needs_bdat():
    core = core_of()
    say(core, "EHLO me", "MAIL FROM:<a@b.example> BODY=BINARYMIME", "RCPT TO:<c@d.example>")
    assert code(say(core, "DATA")) == 503
    say(core, "BDAT 3 LAST")
    core.content(3)
    assert isinstance(core.content_ended(True), events.MessageReceived)


def test_a_message_over_the_limit_is_drained_and_refused():
    core = core_in(State.RCPT)
    say(core, "DATA")
    assert core.content(1001)
    assert not core.incoming.keeping
    assert core.content(1)
    assert [r.code for r in core.content_ended(False)] == [552]
    assert core.state is State.READY


def test_draining_has_an_end():
    core = core_in(State.RCPT)
    say(core, "DATA")
    assert not core.content(limits.SMTP_DRAIN + 1)
    assert [r.code for r in core.content_ended(False)] == [552]
    assert core.closing


def chunk(core: ServerCore, size: int, last: bool = False):
    outcome = say(core, f"BDAT {size}{' LAST' if last else ''}")
    assert isinstance(outcome, events.ReceiveChunk)
    assert core.content(size)
    return core.content_ended(False)


def test_chunks_make_one_message():
    core = core_in(State.RCPT)
    assert [r.code for r in chunk(core, 5)] == [250]
    assert core.state is State.BDAT
    assert isinstance(chunk(core, 0, last=True), events.MessageReceived)


def test_chunks_over_the_limit_are_refused_to_the_last():
    core = core_in(State.RCPT)
    assert [r.code for r in chunk(core, 600)] == [250]
    assert [r.code for r in chunk(core, 600)] == [552]
    assert [r.code for r in chunk(core, 1)] == [552]
    assert [r.code for r in chunk(core, 1, last=True)] == [552]
    assert core.state is State.READY


def test_a_chunk_without_a_transaction_is_drained():
    core = core_in(State.READY)
    assert [r.code for r in chunk(core, 5, last=True)] == [503]
    assert core.state is State.READY


def test_a_chunk_of_unknown_size_ends_the_session():
    core = core_in(State.RCPT)
    assert code(say(core, "BDAT many LAST")) == 501
    assert core.closing


def test_an_absurd_chunk_ends_the_session():
    core = core_in(State.RCPT)
    assert code(say(core, f"BDAT {10**18}")) == 552
    assert core.closing


# --- LMTP ---------------------------------------------------------------------------------------------


def lmtp(*lines: str) -> ServerCore:
    core = core_of(Role.LMTP)
    say(core, "LHLO me", "MAIL FROM:<a@b.example>", *lines)
    return core


@pytest.mark.parametrize("line", ["EHLO me", "HELO me", "HELP"])
def test_lmtp_has_no_hello(line):
    assert code(say(core_of(Role.LMTP), line)) == 500


def test_lmtp_answers_a_refused_text_once_for_each_recipient():
    core = lmtp("RCPT TO:<c@d.example>", "RCPT TO:<e@f.example>", "DATA")
    core.content(10)
    assert [r.code for r in core.content_ended(True)] == [550, 550]


def test_lmtp_data_without_recipients_is_503():
    assert code(say(lmtp(), "DATA")) == 503


def test_lmtp_last_chunk_without_recipients_has_no_reply():
    core = lmtp()
    assert chunk(core, 3, last=True) == ()


# --- limits -------------------------------------------------------------------------------------------


def test_recipients_are_limited():
    core = core_in(State.MAIL)
    for n in range(10):
        assert code(say(core, f"RCPT TO:<u{n}@d.example>")) == 250
    refused = say(core, "RCPT TO:<one.more@d.example>")
    assert (refused.code, refused.enhanced) == (452, "4.5.3")
    assert code(say(core, "DATA")) == "ReceiveData"


def test_who_names_far_too_many_recipients_sends_to_the_first_ones(monkeypatch):
    # RFC 5321 §4.5.3.1.10: a client names all it has, and sends to those who were accepted.
    monkeypatch.setattr("posthouse.smtp.server_core.SMTP_SURPLUS", 500)
    core = core_of(recipients=2)
    say(core, "EHLO me")
    for _ in range(3):
        say(core, "MAIL FROM:<a@b.example>")
        replies = [code(say(core, f"RCPT TO:<u{n}@d.example>")) for n in range(502)]
        assert replies == [250] * 2 + [452] * 500
        assert code(say(core, "DATA")) == "ReceiveData"
        core.content_ended(False)
        core.delivered((OK,))
    say(core, "MAIL FROM:<a@b.example>")
    replies = [code(say(core, "RCPT TO:<c@d.example>")) for _ in range(553)]
    assert replies == [250] * 2 + [452] * (500 + limits.SMTP_ERRORS) + [421]
    assert core.closing


def test_errors_are_limited():
    core = core_in(State.READY)
    for _ in range(limits.SMTP_ERRORS):
        assert code(say(core, "XYZZY")) == 500
    assert code(say(core, "NOOP")) == 421
    assert core.closing


def test_long_lines_are_limited():
    core = core_in(State.READY)
    replies = [core.line_too_long().code for _ in range(limits.SMTP_ERRORS + 1)]
    assert replies == [500] * limits.SMTP_ERRORS + [421]


def test_an_accepted_message_clears_the_errors():
    core = core_in(State.READY)
    for _ in range(limits.SMTP_ERRORS - 1):
        say(core, "XYZZY")
    say(core, "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA")
    core.content_ended(False)
    core.delivered((OK,))
    assert code(say(core, "XYZZY", "XYZZY")) == 500


def test_idle_commands_are_limited():
    core = core_in(State.READY)
    outcomes = [code(say(core, "NOOP")) for _ in range(limits.SMTP_IDLE_COMMANDS)]
    assert set(outcomes[:-1]) == {250}
    assert outcomes[-1] == 421


def test_transactions_are_limited():
    core = core_in(State.READY)
    core._transactions = limits.SMTP_TRANSACTIONS
    assert code(say(core, "MAIL FROM:<a@b.example>")) == 421
    assert core.closing


WORDS = st.sampled_from(
    [
        *("EHLO me", "HELO me", "MAIL FROM:<a@b.example>", "MAIL FROM:<>", "RCPT TO:<c@d.example>", "DATA"),
        *("BDAT 5", "BDAT 5 LAST", "RSET", "NOOP", "STARTTLS", "VRFY x", "AUTH PLAIN", "junk", "", "QUIT"),
    ]
)


@given(st.lists(st.tuples(WORDS, st.booleans()), max_size=30))
def test_any_conversation_ends_each_command_with_one_reply(steps):
    core = core_of()
    for line, yes in steps:
        if core.closing:
            break
        outcome = core.receive_line(line.encode())
        if isinstance(outcome, events.MailFrom | events.RcptTo):
            outcome = core.answered(OK if yes else NO)
        elif isinstance(outcome, events.StartTls):
            core.tls_started()
            continue
        elif isinstance(outcome, events.ReceiveData | events.ReceiveChunk):
            core.content(5)
            outcome = core.content_ended(not yes)
            if isinstance(outcome, events.MessageReceived):
                assert outcome.envelope.recipients
                outcome = core.delivered((OK if yes else NO,))
            assert len(outcome) == 1
            continue
        assert isinstance(outcome, Reply)
        enhanced = outcome.enhanced[:1] or "-"
        # RFC 2034 §4: every 2xx, 4xx and 5xx has a code of its own class, but for greetings and HELO.
        assert enhanced == str(outcome.code)[0] or line[1:4] in ("HLO", "ELO")
