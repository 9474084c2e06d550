"""`notify` and what goes with it (RFC 5435), by mail (RFC 5436)."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.limits import SIEVE_MAILTO, SIEVE_MAILTO_RECIPIENTS, SIEVE_NOTICES
from posthouse.sieve.actions import Keep, Notify
from posthouse.sieve.mailto import MailTo, parse_mailto
from tests.sieve.running import actions, holds, outcome, refusal


def test_it_says_all_that_the_script_says() -> None:
    """RFC 5435 §3.7, example 1; §7: the implicit keep stays."""
    script = """require ["enotify", "fileinto", "variables"];
        if header :contains "from" "coyote@desert.example.org" {
            notify :importance "1" :message "This is probably very important" :options ["a=b"]
                :from "roadrunner@acme.example.com" "mailto:alm@example.com";
        }"""
    assert actions(script) == (
        Notify(
            line=3,
            method="mailto:alm@example.com",
            message="This is probably very important",
            importance=1,
            from_address="roadrunner@acme.example.com",
            options=("a=b",),
        ),
        Keep(),
    )


def test_words_from_the_message() -> None:
    """RFC 5435 §3.7, example 2."""
    script = """require ["enotify", "variables", "envelope"];
        if header :matches "from" "*@*.example.org*" {
            if envelope :all :matches "from" "*" { set "env_from" " [really: ${1}]"; }
            if header :matches "Subject" "*" { set "subject" "${1}"; }
            if address :matches :all "from" "*" { set "from_addr" "${1}"; }
            notify :message "${from_addr}${env_from}: ${subject}" "mailto:alm@example.com";
        }"""
    told = actions(script)[0]
    assert isinstance(told, Notify)
    assert (
        told.message
        == "coyote@desert.example.org [really: coyote@desert.example.org]: I have a present for you"
    )
    assert told.importance == 2


def test_text_is_made_safe_for_a_uri() -> None:
    """RFC 5435 §6."""
    script = """require ["enotify", "variables"];
        set :encodeurl "body_param" "Safe body&evil=evilbody";
        notify "mailto:tim@example.com?body=${body_param}";"""
    told = actions(script)[0]
    assert isinstance(told, Notify)
    assert told.method == "mailto:tim@example.com?body=Safe%20body%26evil%3Devilbody"
    assert parse_mailto(told.method) == MailTo(("tim@example.com",), (("body", "Safe body&evil=evilbody"),))


def test_encodeurl_is_behind_other_modifiers() -> None:
    """RFC 5435 §6: precedence 15, between quotewildcard and length."""
    script = """require ["enotify", "variables", "fileinto"];
        set :encodeurl :upper "a" "ä b-._~";  fileinto "${a}";
        set :encodeurl :length "a" "ä"; fileinto "${a}";"""
    assert [getattr(action, "mailbox", "") for action in actions(script)] == ["%C3%A4%20B-._~", "6"]
    assert refusal('require ["enotify"]; set :encodeurl "a" "b";').startswith('line 1: "set" needs require')


@pytest.mark.parametrize(
    ("uri", "valid"),
    [
        ("mailto:a@example.org", True),
        ("MAILTO:a@example.org,b@example.org", True),
        ("mailto:?to=a@example.org", True),
        ("mailto:a@example.org?cc=b@example.org&subject=Hi%20you&body=a%0D%0Ab", True),
        ("mailto:%22a%20b%22@example.org", True),
        ("mailto:a%40example.org", True),
        ("mailto:", False),
        ("mailto:a", False),
        ("mailto:a@example.org#x", False),
        ("mailto:a@example.org?subject", False),
        ("mailto:a@example.org?subject=%4", False),
        ("mailto:a b@example.org", False),
        ("mailto:a@example.org\r\nBcc: b@example.org", False),
        ("mailto:a@example.org%0D%0ABcc:b@example.org", False),
        ("mailto:a@example.org?cc=b@example.org%20c@example.org", False),
        ("http://gw.example.net/notify?test", False),
        ("xmpp:tim@example.com?message;subject=SIEVE;body=You%20got%20mail", False),
        ("tel:+14085551212", False),
        ("", False),
        ("mailto:a@example.org?body=" + "x" * (SIEVE_MAILTO - 26), True),
        ("mailto:a@example.org?body=" + "x" * (SIEVE_MAILTO - 25), False),
        ("mailto:" + ",".join(f"a{n}@example.org" for n in range(SIEVE_MAILTO_RECIPIENTS)), True),
        ("mailto:" + ",".join(f"a{n}@example.org" for n in range(SIEVE_MAILTO_RECIPIENTS + 1)), False),
    ],
)
def test_the_test_and_the_action_agree_on_what_is_valid(uri: str, valid: bool) -> None:
    """RFC 5435 §4; §3.2: an error only where it is reached."""
    written = uri.replace("\\", "\\\\").replace('"', '\\"')
    assert holds(f'valid_notify_method "{written}"', require="enotify") is valid
    found = outcome(f'require "enotify"; notify "{written}";')
    assert (found.fault == "") is valid
    assert holds(f'notify_method_capability "{written}" "Online" "maybe"', require="enotify") is valid


def test_all_of_the_methods_must_be_valid() -> None:
    """RFC 5435 §4, example 4."""
    assert not holds('valid_notify_method ["mailto:a@example.org", "tel:1"]', require="enotify")
    assert holds('valid_notify_method ["mailto:a@example.org", "mailto:b@example.org"]', require="enotify")


def test_a_method_can_be_tried_before_it_is_used() -> None:
    script = """require "enotify";
        if valid_notify_method "tel:+1" { notify "tel:+1"; } else { notify "mailto:a@example.org"; }"""
    assert [type(action) for action in actions(script)] == [Notify, Keep]


def test_capabilities() -> None:
    """RFC 5435 §5: what is not known is no error."""
    test = 'notify_method_capability %s "mailto:a@example.org" "%s" "%s"'
    require = "enotify relational"
    assert not holds(test % ("", "online", "yes"), require=require)
    assert not holds(test % (":contains", "colour", ""), require=require)
    assert holds(test % (':count "eq"', "online", "1"), require=require)
    assert holds(test % (':count "eq"', "colour", "0"), require=require)


def test_so_many_notices_for_one_message() -> None:
    told = "".join(f'notify "mailto:a{n}@example.org";' for n in range(SIEVE_NOTICES))
    assert len(actions(f'require "enotify"; {told}')) == SIEVE_NOTICES + 1
    found = outcome(f'require "enotify"; {told} notify "mailto:b@example.org";')
    assert found.fault == f"line 1: one message may lead to {SIEVE_NOTICES} notices at most"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (':importance "4" "mailto:a@b.example"', ':importance must be followed by "1", "2" or "3"'),
        (':importance 1 "mailto:a@b.example"', ":importance wants a string here, not a number"),
        (':from "nobody" "mailto:a@b.example"', '"nobody" is not an address'),
        (':options "a" "mailto:a@b.example"', '"a" is not an option such as "name=value"'),
        (':options ["a=b", "-a=b"] "mailto:a@b.example"', '"-a=b" is not an option such as "name=value"'),
        ("", '"notify" takes 1 argument (method), not 0'),
    ],
)
def test_wrong_uses(arguments: str, said: str) -> None:
    assert refusal(f'require "enotify"; notify {arguments};') == f"line 1: {said}"


def test_wrong_uses_from_variables_are_faults() -> None:
    for tag in (":importance", ":from", ":options"):
        script = f'require ["enotify", "variables"]; set "a" "x"; notify {tag} "${{a}}" "mailto:a@b.example";'
        assert outcome(script).fault.startswith("line 1: ")


@given(st.text(max_size=50))
def test_any_text_is_a_body(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    found = parse_mailto(f"mailto:a@example.org?body={quote(text, safe='')}")
    assert found == MailTo(("a@example.org",), (("body", text),))
    assert unquote(quote(text, safe="")) == text


@given(st.text(alphabet="mailto:a@b.example?&=%20,", max_size=60))
def test_any_text_is_read_or_is_not(text: str) -> None:
    parse_mailto(f"mailto:{text}")
