"""The base language: RFC 5228's own examples, tests and actions, as tables."""

from __future__ import annotations

import pytest

from posthouse.sieve.actions import Discard, FileInto, Keep, Redirect
from tests.sieve.running import MESSAGE, actions, holds, outcome, refusal

MESSAGE_B = (
    b"From: youcouldberich!@reply-by-postal-mail.invalid\r\n"
    b"Sender: b1ff@de.res.example.com\r\n"
    b"To: rube@landru.example.com\r\n"
    b"Date:  Mon, 31 Mar 1997 18:26:10 -0800\r\n"
    b"Subject: $$$ YOU, TOO, CAN BE A MILLIONAIRE! $$$\r\n"
    b"\r\n"
    b"YOU MAY HAVE ALREADY WON TEN MILLION DOLLARS.\r\n"
)


def test_each_message_goes_where_the_chain_of_ifs_sends_it() -> None:
    """RFC 5228 §3.1."""
    script = """
        if header :contains ["From"] ["coyote"] { redirect "acm@example.com"; }
        elsif header :contains "Subject" "$$$" { redirect "postmaster@example.com"; }
        else { redirect "field@example.com"; }
    """
    sent = [actions(script, message) for message in (MESSAGE, MESSAGE_B, b"Subject: x\r\n\r\n")]
    assert [[a.address for a in found if isinstance(a, Redirect)] for found in sent] == [
        ["acm@example.com"],
        ["postmaster@example.com"],
        ["field@example.com"],
    ]


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ("true", True),
        ("false", False),
        ("not false", True),
        ("allof (true, false)", False),
        ("anyof (false, true)", True),
        ('exists "from"', True),
        ('exists ["From", "X-Nothing"]', False),
        ('exists "From:"', False),
        ('header "subject" "i have a present for YOU"', True),
        ('header :contains "subject" ""', True),
        ('header :is "subject" ""', False),
        ('header :contains "x-nothing" ""', False),
        ('header :comparator "i;octet" :contains "subject" "PRESENT"', False),
        ('header :matches "subject" "*PRESENT*"', True),
        ('header :matches "subject" "? have * you"', True),
        ('header :matches "subject" "? have * me"', False),
        ('address "from" "coyote@desert.example.org"', True),
        ('address :localpart "from" "coyote"', True),
        ('address :domain :contains ["to", "cc"] "acme"', True),
        ('address :is "from" "Wile Coyote"', False),
        ("size :over 10", True),
        ("size :over 1M", False),
        ("size :under 1K", True),
        (f"size :over {len(MESSAGE)}", False),
        (f"size :under {len(MESSAGE)}", False),
    ],
)
def test_tests(test: str, true: bool) -> None:
    assert holds(test) is true


def test_the_implicit_keep_is_taken_unless_an_action_cancels_it() -> None:
    assert actions("") == (Keep(),)
    assert actions("if size :over 500K { discard; }") == (Keep(),)
    assert actions("discard;") == (Discard(line=1),)
    assert actions("keep;") == (Keep(line=1),)
    assert actions('require ["fileinto", "copy"]; fileinto :copy "a";') == (
        FileInto(line=1, mailbox="a"),
        Keep(),
    )


def test_what_is_wanted_twice_is_done_once() -> None:
    """RFC 5228 §2.10.3."""
    script = 'require "fileinto"; fileinto "a"; keep; keep; fileinto "a"; fileinto "Inbox"; fileinto "INBOX";'
    assert [getattr(action, "mailbox", "keep") for action in actions(script)] == ["keep", "a", "Inbox"]


def test_a_redirect_to_the_same_domain_in_other_letters_is_the_same() -> None:
    """RFC 5228 §2.10.3: one copy; a local part may mean somebody else in another case (RFC 5321 §2.4)."""
    found = actions('redirect "a@b.example"; redirect "a@B.Example"; redirect "A@b.example";')
    assert [action.address for action in found if isinstance(action, Redirect)] == [
        "a@b.example",
        "A@b.example",
    ]


def test_of_a_place_that_is_filed_into_again_the_last_comes_last() -> None:
    """RFC 5232 §3: the last flags win, whichever of its two names the inbox was given in between."""
    script = (
        'require ["fileinto", "imap4flags"]; keep :flags "a"; fileinto :flags "b" "INBOX"; keep :flags "c";'
    )
    found = actions(script)
    assert [sorted(a.flags) for a in found if isinstance(a, Keep | FileInto)] == [["b"], ["c"]]


def test_stop_ends_it() -> None:
    assert actions("stop; discard;") == (Keep(),)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            'filintoo "x";',
            'line 1: unknown command "filintoo"; did you mean "fileinto"?',
        ),
        ('fileinto "x";', 'line 1: "fileinto" needs require "fileinto"'),
        (
            'require "fileintoo";',
            'line 1: "fileintoo" is not an extension that is known here; did you mean "fileinto"?',
        ),
        ("keep; require [];", 'line 1: a string is expected in this list, not "]"'),
        ('keep; require "copy";', 'line 1: "require" must stand before all other commands'),
        ("elsif true { }", 'line 1: "elsif" has no "if" before it'),
        ("if true { } keep; else { }", 'line 1: "else" has no "if" before it'),
        ("keep\ndiscard;", 'line 1: "keep" takes no test; is a semicolon missing after "keep"?; '),
        (
            '\nif header :contians "a" "b" { }',
            'line 2: "header" knows no :contians; did you mean ":contains"?',
        ),
    ],
)
def test_faults_are_told_with_their_line(script: str, said: str) -> None:
    assert refusal(script).startswith(said)


def test_a_fault_while_running_keeps_the_message() -> None:
    found = outcome('require "variables"; discard; set "a" "nobody"; redirect "${a}";')
    assert found.actions == (Keep(),)
    assert found.fault == 'line 1: "nobody" is not an address that mail can be sent to'
