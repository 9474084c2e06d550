"""How scripts are written (RFC 5228 §2.1 to §2.9, §8): tokens, comments, strings, numbers, blocks."""

from __future__ import annotations

import pytest

from posthouse.sieve.actions import Discard, FileInto, Keep, Redirect
from posthouse.sieve.faults import SieveError
from posthouse.sieve.lexer import tokens
from posthouse.sieve.validate import compile_script
from tests.sieve.running import actions, holds, refusal


def strings(script: bytes) -> list[str]:
    return [token.text for token in tokens(script) if token.kind.name == "STRING"]


@pytest.mark.parametrize(
    ("script", "values"),
    [
        (rb'"a\"b\\c\d"', ['a"b\\cd']),
        (b'"two\nlines"', ["two\r\nlines"]),
        (b'"two\r\nlines"', ["two\r\nlines"]),
        (b"text:\n.\n", [""]),
        (b"text: # a comment\r\none\r\n..two\r\n.three\r\n.\r\n", ["one\r\n.two\r\n.three\r\n"]),
        (b"TEXT:\t\na\n.", ["a\r\n"]),
        (
            b'text:\n# no comment\n/* nor this */ "x"\n.\n"next"',
            ['# no comment\r\n/* nor this */ "x"\r\n', "next"],
        ),
        (b'# "not"\n"yes" /* "not" * / "not" */ "too"', ["yes", "too"]),
        ('\ufeff"ä"'.encode(), ["ä"]),
    ],
)
def test_strings(script: bytes, values: list[str]) -> None:
    assert strings(script) == values


@pytest.mark.parametrize(
    ("number", "value"),
    [("0", 0), ("00012", 12), ("1k", 1024), ("2M", 2 << 20), ("1G", 1 << 30), ("2147483647", 2**31 - 1)],
)
def test_numbers(number: str, value: int) -> None:
    assert tokens(number.encode())[0].number == value


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (b"keep;\n\xff", "line 2: the text is not UTF-8"),
        (b"keep;\0", "line 1: a NUL character in the script"),
        (b"keep;\rkeep;", "line 1: a carriage return without a line feed in the script"),
        (b'\n"abc', 'line 2: this string has no closing quote (")'),
        (b"keep; /* abc *", "line 1: this comment has no closing */"),
        (b"text:\nabc\n", "line 1: this text: has no line with a single dot at its end"),
        (b"100kb", 'line 1: "100kb" is not a number; numbers may end with K, M or G'),
        (b"9007199254740992", "line 1: 9007199254740992 is too large a number"),
        (b"99999999G", "line 1: 99999999G is too large a number"),
        (b"1" * 5000, "line 1: 1111111111111111111111111111111111111111 is too large a number"),
        (b"\n\n@", 'line 3: "@" cannot stand here'),
        (b": keep", 'line 1: ":" cannot stand here'),
        (b"-1", 'line 1: "-1" cannot stand here'),
    ],
)
def test_what_is_no_token(script: bytes, said: str) -> None:
    with pytest.raises(SieveError) as caught:
        compile_script(script)
    assert caught.value.public == said


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("keep", 'line 1: a semicolon is missing after "keep"'),
        ('redirect "a@b.example"\n\nkeep;', 'line 1: a semicolon is missing after "redirect"'),
        ("if true { keep }", 'line 1: a semicolon is missing after "keep"'),
        ("if true {\n keep;\n", "line 3: the block that begins in line 1 has no closing brace (})"),
        ("keep; }", "line 1: this closing brace has no opening one"),
        ("if true { ] }", 'line 1: a command is expected here, not "]"'),
        ("if true; ", 'line 1: "if" must be followed by a block in braces, not by a semicolon'),
        ("keep { }", 'line 1: "keep" takes no block; it ends with a semicolon'),
        ("if (true) { }", 'line 1: "if" takes one test'),
        ("if { }", 'line 1: "if" takes one test'),
        ("if not (true) { }", 'line 1: "not" takes one test'),
        ("if anyof true { }", 'line 1: "anyof" takes a list of tests in parentheses'),
        ("if anyof (true { }", 'line 1: a comma or ) is expected in this list of tests, not "{"'),
        ("if anyof () { }", 'line 1: a test is expected here, not ")"'),
        ("if keep { }", 'line 1: "keep" is a command; a test must stand here'),
        ("true;", 'line 1: "true" is a test; a command must stand here'),
        ('if exists ["a" "b"] { }', "line 1: a comma or ] is expected in this list, not a string"),
        ('if exists ["a", 3] { }', 'line 1: a string is expected in this list, not "3"'),
        ('if header "a" :is "b" { }', "line 1: :is must stand before the other arguments"),
        ('if header :is :contains "a" "b" { }', "line 1: :is and :contains cannot both be"),
        ('if header :is :is "a" "b" { }', "line 1: :is and :is cannot both be"),
        ('if address :all :domain "from" "b" { }', "line 1: :all and :domain cannot both be"),
        ("if size :over :under 3 { }", "line 1: :over and :under cannot both be"),
        ("if size :over :over 3 { }", "line 1: :over is there twice"),
        ('if size :over "3" { }', 'line 1: "size" wants a number here, not a string'),
        ("if size 3 { }", 'line 1: "size" needs :over or :under'),
        ('redirect ["a@b.example"];', 'line 1: "redirect" wants a string here, not a list'),
        ("redirect 3;", 'line 1: "redirect" wants a string here, not a number'),
        ('redirect "a@b, c@d";', 'line 1: "a@b, c@d" is not an address that mail can be sent to'),
        (
            'redirect "a: b@c.example;";',
            'line 1: "a: b@c.example;" is not an address that mail can be sent to',
        ),
        (
            'redirect "<@a.example:b@c.example>";',
            'line 1: "<@a.example:b@c.example>" is not an address that mail',
        ),
        ('if header :comparator "i;nothing" "a" "b" { }', 'line 1: unknown comparator "i;nothing"'),
        (
            'if header :comparator "i;octet" :comparator "i;octet" "a" "b" { }',
            "line 1: :comparator is there twice",
        ),
        (
            'if header :comparator :is "a" "b" { }',
            "line 1: :comparator must be followed by a string, not by :is",
        ),
        (
            'if header :comparator "i;ascii-numeric" "a" "b" { }',
            'line 1: comparator "i;ascii-numeric" needs require "comparator-i;ascii-numeric"',
        ),
        (
            'require "comparator-i;ascii-numeric"; if header :contains :comparator "i;ascii-numeric" "a" "b" { }',
            'line 1: comparator "i;ascii-numeric" cannot be used with :contains',
        ),
        ('if address "subject" "b" { }', 'line 1: "subject" is not a field that holds addresses'),
        (
            'require "envelope"; if envelope "subject" "b" { }',
            'line 1: "envelope" knows nothing of "subject"',
        ),
        (
            'require "envelope" "fileinto";',
            'line 1: "require" takes a string or a list of strings, and a semicolon',
        ),
        (
            'require "Envelope";',
            'line 1: "Envelope" is not an extension that is known here; did you mean "envelope"?',
        ),
        ('require "fileinto"; fileinto " ";', "line 1: the name of a mailbox is missing"),
        (
            'require "fileinto"; fileinto "a\tb";',
            "line 1: the name of a mailbox has a character in it that cannot be seen",
        ),
    ],
)
def test_what_cannot_be(script: str, said: str) -> None:
    assert refusal(script).startswith(said)


def test_several_faults_are_told_at_once_in_the_order_of_lines() -> None:
    said = refusal('foo "x";\nif bar {\n  baz;\n}\nkeep "x";')
    assert [part.split(":")[0] for part in said.split("; ")] == ["line 1", "line 2", "line 3", "line 5"]


def test_words_have_no_case_and_comments_stand_anywhere() -> None:
    script = 'REQUIRE /* a */ ["FileInto" # b\n];'
    assert refusal(script).startswith(
        'line 1: "FileInto" is not an extension'
    )  # RFC 5228 §6.1: capabilities do
    script = (
        'Require ["fileinto" # b\n]; IF /* c */ Header :CONTAINS "SUBJECT" # d\n "PRESENT" {FILEINTO "X";}'
    )
    assert actions(script) == (FileInto(line=3, mailbox="X"),)


def test_lines_may_end_with_crlf_or_lf() -> None:
    for end in ("\n", "\r\n"):
        assert actions(end.join(["if true", "{", "discard;", "}"])) == (Discard(line=3),)


def test_a_chain_within_a_chain_does_not_disturb_it() -> None:
    script = """
        if true { if false { discard; } }
        elsif true { discard; }
        else { discard; }
        if false { discard; } elsif false { discard; } elsif true { if false { } keep; } else { discard; }
    """
    assert actions(script) == (Keep(line=5),)


ENCODED = [
    ("$${hex:40}", "$@"),
    ("${hex: 40 }", "@"),
    ("${HEX: 40}", "@"),
    ("${hex:40", "${hex:40"),
    ("${hex:400}", "${hex:400}"),
    ("${hex:4${hex:30}}", "${hex:40}"),
    ("${unicode:40}", "@"),
    ("${ unicode:40}", "${ unicode:40}"),
    ("${UNICODE:40}", "@"),
    ("${UnICoDE:0000040}", "@"),
    ("${Unicode:40}", "@"),
    ("${Unicode:Cool}", "${Unicode:Cool}"),
    ("${hex:c3 a4}", "ä"),
    ("${hex:c3}${hex:a4}", "ä"),
    ("${unicode:e4 1F600}", "ä😀"),
    ("${hex:4 40\n40}", "\x04@@"),
    ("${hex:}", "${hex:}"),
]


@pytest.mark.parametrize(("text", "value"), ENCODED)
def test_encoded_characters(text: str, value: str) -> None:
    """RFC 5228 §2.4.2.4."""
    message = f"Subject: {value}\r\n\r\n".encode()
    test = f'header "subject" "{text}"'
    assert holds(test, message, require="encoded-character")
    assert holds(test, message) is (text == value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${unicode:200000}", '"200000" is not the number of a Unicode character'),
        ("${Unicode:DF01}", '"DF01" is not the number of a Unicode character'),
        ("${unicode:fffffffffffffffffffff}", '"ffffffffffff" is not the number of a Unicode character'),
        ("${hex:ff}", '"${hex:ff}" is not text in UTF-8'),
    ],
)
def test_encoded_characters_that_cannot_be(text: str, said: str) -> None:
    assert refusal(f'require "encoded-character"; if exists "{text}" {{ }}') == f"line 1: {said}"


def test_an_address_may_have_a_name() -> None:
    assert actions('redirect "Ann <ann@example.com>";') == (Redirect(line=1, address="ann@example.com"),)
