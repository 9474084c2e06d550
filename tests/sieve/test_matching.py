"""What matches what: header text, addresses, envelopes, wildcards, comparators, relations."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.message.headers import Headers
from posthouse.sieve.facts import Facts
from posthouse.sieve.language import LANGUAGE
from posthouse.sieve.machine import Machine
from posthouse.sieve.matching import glob
from posthouse.sieve.tables import Script
from tests.sieve.running import actions, holds

LETTER = (
    b"From: =?utf-8?q?J=C3=B6rg?= <Joerg@Example.COM>\r\n"
    b'To: Friends: a@one.example, "x y"@two.example;, Bob (home) <bob+news@three.example>, broken\r\n'
    b"Cc: undisclosed-recipients:;\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"X-Folded: one\r\n two\r\n\tthree  \r\n"
    b"X-Latin: caf\xe9\r\n"
    b"X-Null: a=?utf-8?q?=00?=b\r\n"
    b"X-Empty:\r\n"
    b"X-Many: 1\r\nX-Many: 22\r\n"
    b"X-Spaced : yes\r\n"
    b"\r\n"
)


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('header "subject" "Grüße"', True),
        ('header :contains "subject" "GRÜ"', False),  # i;ascii-casemap knows no case of ü
        ('header :contains "subject" "GRü"', True),
        ('header "from" "Jörg <joerg@example.com>"', True),
        ('header "x-folded" "one two\tthree"', True),
        ('header "x-latin" "café"', True),
        ('header :contains "x-null" "b"', True),
        ('header "x-empty" ""', True),
        ('header :contains "x-empty" ""', True),
        ('not header :matches "x-empty" "?*"', True),
        ('header "x-spaced" "yes"', True),
        ('header "" ""', False),
        ('header ["x", "x-many"] ["0", "22"]', True),
        ('address "from" "joerg@example.com"', True),
        ('address :comparator "i;octet" :domain "from" "example.com"', False),
        ('address :comparator "i;octet" :localpart "from" "Joerg"', True),
        ('address :contains "to" "Friends"', False),
        ('address :contains "to" "home"', False),
        ('address "to" "a@one.example"', True),
        ('address "to" "\\"x y\\"@two.example"', True),
        ('address :localpart "to" "x y"', True),
        ('address :contains "to" "broken"', True),
        ('address :localpart "to" "broken"', False),
        ('address :domain "to" ""', False),
        ('address :contains "cc" ""', False),
        ('address :domain ["cc", "to"] "three.example"', True),
        ('exists "x-spaced"', True),
    ],
)
def test_headers_and_addresses(test: str, true: bool) -> None:
    assert holds(test, LETTER) is true


@pytest.mark.parametrize(
    ("test", "facts", "true"),
    [
        ('envelope "from" "coyote@desert.example.org"', {}, True),
        ('envelope :domain "FROM" "desert.example.org"', {}, True),
        ('envelope "to" "roadrunner+news@acme.example.com"', {}, True),
        ('envelope "from" ""', {"sender": ""}, True),
        ('envelope :domain "from" ""', {"sender": ""}, True),
        ('envelope :localpart "from" ""', {"sender": ""}, True),
        ('envelope :localpart "from" "x y"', {"sender": '"x y"@a.example'}, True),
        ('envelope "from" "\\"x y\\"@a.example"', {"sender": '"x y"@a.example'}, True),
        ('envelope :localpart "to" "postmaster"', {"recipient": "postmaster"}, False),
        ('envelope "to" "postmaster"', {"recipient": "postmaster"}, True),
        ('envelope :user "to" "roadrunner"', {}, True),
        ('envelope :detail "to" "news"', {}, True),
        ('envelope :detail "to" ""', {"recipient": "a@b.example"}, False),
        ('envelope :detail "to" ""', {"recipient": "a+@b.example"}, True),
        ('envelope :detail "to" "b+c"', {"recipient": "a+b+c@b.example"}, True),
        ('envelope :user "to" "a"', {"recipient": "a@b.example"}, True),
        ('envelope :count "eq" "from" "0"', {"sender": ""}, True),
        ('envelope :count "eq" ["from", "to"] "2"', {}, True),
    ],
)
def test_envelopes(test: str, facts: dict[str, str], true: bool) -> None:
    assert holds(test, LETTER, require="envelope subaddress relational", **facts) is true


@pytest.mark.parametrize(
    ("pattern", "value", "found"),
    [
        ("", "", []),
        ("", "a", None),
        ("*", "", [""]),
        ("**", "ab", ["", "ab"]),
        ("a*", "abc", ["bc"]),
        ("*c", "abc", ["ab"]),
        ("a?c", "abc", ["b"]),
        ("?", "", None),
        ("??", "a", None),
        ("*?", "abc", ["ab", "c"]),
        ("?*", "abc", ["a", "bc"]),
        ("*?*", "abc", ["", "a", "bc"]),
        ("*a?b*", "xaabab", ["x", "a", "ab"]),
        ("*ab*ab", "abab", ["", ""]),
        ("*ab*ab", "aba", None),
        ("*.*.*", "a.b.c", ["a", "b", "c"]),
        (r"\*", "*", []),
        (r"\*", "a", None),
        (r"a\?b", "a?b", []),
        (r"\\*", "\\x", ["x"]),
        (r"\a", "a", []),
        ("a\\", "a\\", []),
        ("*<*@*", "L <a.b@c>", ["L ", "a.b", "c>"]),
        ("[*] *", "[acme-users] [fwd] version 1.0", ["acme-users", "[fwd] version 1.0"]),
    ],
)
def test_wildcards_take_as_little_as_possible(pattern: str, value: str, found: list[str] | None) -> None:
    spans = glob(pattern).match(value, machine())
    assert (None if spans is None else [value[start:end] for start, end in spans]) == found


def machine() -> Machine:
    script = Script(commands=(), requires=frozenset(), reads_text=False)
    return Machine(script, Facts(headers=Headers.scan(b""), content=b"", size=0), LANGUAGE)


@given(st.text(alphabet="ab?*\\", max_size=8), st.text(alphabet="ab?*\\", max_size=12))
def test_wildcards_are_what_a_regular_expression_says(pattern: str, value: str) -> None:
    source, position = "", 0
    while position < len(pattern):
        letter = pattern[position]
        if letter == "\\" and position + 1 < len(pattern):
            position += 1
            source += re.escape(pattern[position])
        else:
            source += {"*": "(.*?)", "?": "(.)"}.get(letter, re.escape(letter))
        position += 1
    match = re.fullmatch(source, value, re.DOTALL)
    spans = glob(pattern).match(value, machine())
    assert (None if match is None else list(match.groups())) == (
        None if spans is None else [value[start:end] for start, end in spans]
    )


def test_a_question_mark_is_an_octet_unless_the_comparator_knows_characters() -> None:
    """RFC 5228 §2.7.1."""
    message = "Subject: äa\r\n\r\n".encode()
    assert not holds('header :matches "subject" "?a"', message)
    assert holds('header :matches "subject" "??a"', message)
    unicode = 'header :matches :comparator "i;unicode-casemap" "subject" "?A"'
    assert holds(unicode, "Subject: øa\r\n\r\n".encode(), require="comparator-i;unicode-casemap")


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('header :comparator "i;ascii-numeric" "x-number" "010"', True),
        ('header :comparator "i;ascii-numeric" "x-word" "none either"', True),
        ('header :comparator "i;ascii-numeric" "x-word" "3"', False),
        ('header :value "gt" :comparator "i;ascii-numeric" "x-number" "9"', True),
        ('header :value "gt" "x-number" "9"', False),
        ('header :value "ge" :comparator "i;ascii-numeric" "x-number" ["900", "10"]', True),
        ('header :value "lt" :comparator "i;ascii-numeric" "x-number" "10"', False),
        ('header :value "le" :comparator "i;ascii-numeric" "x-number" "10"', True),
        ('header :value "ne" :comparator "i;ascii-numeric" "x-number" "10"', False),
        ('header :value "gt" :comparator "i;ascii-numeric" "x-word" "4294967295"', True),
        ('header :value "eq" :comparator "i;ascii-numeric" "x-huge" "x"', False),
        ('header :value "lt" "x-word" "_"', True),  # RFC 4790 §9.2: compared as capitals
        ('header :comparator "i;unicode-casemap" "x-word" "HÄ"', False),
        ('header :comparator "i;unicode-casemap" "x-umlaut" "HÄ"', True),
        ('header :contains :comparator "i;unicode-casemap" "x-umlaut" "Ä"', True),
        ('address :count "ge" :comparator "i;ascii-numeric" ["to", "cc"] ["3"]', True),
        ('address :count "ge" :comparator "i;ascii-numeric" "to" "3"', False),
        ('header :count "ge" :comparator "i;ascii-numeric" ["received"] ["3"]', False),
        ('header :count "ge" :comparator "i;ascii-numeric" ["received", "subject"] ["3"]', True),
        ('header :count "ge" ["to", "cc"] ["3"]', False),
        ('header :count "lt" "received" "10"', True),
        ('header :count "eq" "nothing" "0"', True),
        ('string :count "eq" ["", "a", "b"] "2"', True),
        ('string :comparator "i;octet" "a " "a"', False),
        ('string :contains ["x", "abc"] ["z", "B"]', True),
        ('environment "name" "posthouse"', True),
        ('environment :contains "vnd.example.nothing" ""', False),
        ('environment :count "eq" "vnd.example.nothing" "0"', True),
        ('environment "remote-ip" "192.0.2.1"', True),
        ('environment "phase" "during"', True),
    ],
)
def test_relations_comparators_and_environment(test: str, true: bool) -> None:
    """RFC 5231 §6, RFC 4790 §9, RFC 5229 §5, RFC 5183."""
    message = (
        "Received: a\r\nReceived: b\r\nSubject: example\r\n"
        "To: foo@example.com, baz@example.com\r\nCc: qux@example.com\r\n"
        f"X-Number: 10 apples\r\nX-Word: none\r\nX-Umlaut: hä\r\nX-Huge: {'9' * 5000}\r\n\r\n"
    ).encode()
    require = "relational comparator-i;ascii-numeric comparator-i;unicode-casemap variables environment"
    assert holds(test, message, require=require, environment={"remote-ip": "192.0.2.1"}) is true


def test_the_whole_and_its_parts_are_there_after_a_match() -> None:
    script = """require ["fileinto", "variables"];
        if address :matches ["To", "Cc"] ["coyote@**.com", "wile@**.com"] { fileinto "${0}|${1}|${2}"; }
    """
    [action] = actions(script, b"To: coyote@ACME.Example.COM\r\n\r\n")
    assert getattr(action, "mailbox", "") == "coyote@ACME.Example.COM||ACME.Example"
