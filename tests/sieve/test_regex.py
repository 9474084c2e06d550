"""`:regex` and `:quoteregex`: what POSIX defines, no more, and soon done whatever expression and text are."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.limits import SIEVE_REGEX_STATES
from posthouse.sieve.actions import FileInto
from posthouse.sieve.ere import Matcher, Program
from posthouse.sieve.ere_groups import groups
from posthouse.sieve.ere_size import states_of
from posthouse.sieve.ere_syntax import EreError, quoted, read_expression
from tests.machine import slowness
from tests.sieve.running import actions, holds, outcome, refusal


def found(expression: str, text: str, *, fold: bool = False) -> list[str] | None:
    matcher = Matcher(Program(read_expression(expression), fold=fold), lambda amount: None)
    return groups(matcher, text, 32)


@pytest.mark.parametrize(
    ("expression", "text", "match"),
    [
        ("b", "abc", ["b"]),
        ("", "abc", [""]),
        ("^$", "", [""]),
        ("^abc$", "abc", ["abc"]),
        ("^b", "abc", None),
        ("b$", "abc", None),
        ("a^b", "a^b", None),
        ("(^a|b)c", "abc", ["bc", "b"]),
        ("a.c", "xa\ncx", ["a\nc"]),
        ("x*", "aaa", [""]),
        ("a{2}", "aaa", ["aa"]),
        ("a{2,}", "aaaa", ["aaaa"]),
        ("^a{2,3}$", "aaaa", None),
        ("^a{0}$", "", [""]),
        ("a\\{2}", "a{2}", ["a{2}"]),
        ("[]x]+", "a]x]", ["]x]"]),
        ("[^]x]+", "a]x]", ["a"]),
        ("[a-]+", "b-a-", ["-a-"]),
        ("[+--]+", "a+,-", ["+,-"]),
        ("[[.-.]a]+", "b-a", ["-a"]),
        ("[[=a=]]", "ba", ["a"]),
        ("[\\.]+", "a\\.", ["\\."]),
        ("[[:digit:][:space:]]+", "a1 2b", ["1 2"]),
        ("[^[:alnum:]]+", "日本-é!", ["-"]),
        ("[[:upper:]]+", "aÄB", ["ÄB"]),
        ("日.語", "日本語", ["日本語"]),
        # the leftmost, then the longest, then the longest from left to right
        ("abcd|c", "abcd", ["abcd"]),
        ("a|ab|abc", "xabcd", ["abc"]),
        ("(a|ab)(c|bcd)(d*)", "abcd", ["abcd", "ab", "c", "d"]),
        ("(a|ab)(bc|c)?(d*)", "abcd", ["abcd", "ab", "c", "d"]),
        ("(a*)(ab)*(b*)", "abc", ["ab", "a", "", "b"]),
        ("(a*)(a|aa)", "aaaa", ["aaaa", "aaa", "a"]),
        ("((a)|b)*", "ab", ["ab", "b", ""]),
        ("(a|ab){2}", "aab", ["aab", "ab"]),
        ("(()|[ab])(b)", "abb", ["ab", "a", "", "b"]),
        ("(a|)b", "b", ["b", ""]),
        ("(x(y)?)+", "xyx", ["xyx", "x", ""]),
        ("([^@]+)@([^@.]+\\.)*([a-z]+)", "me@a.b.org", ["me@a.b.org", "me", "b.", "org"]),
    ],
)
def test_what_matches_and_what_groups_stand_for(expression: str, text: str, match: list[str] | None) -> None:
    assert found(expression, text) == match


@pytest.mark.parametrize(
    ("expression", "text", "matches"),
    [
        ("SUBJECT", "subject", True),
        ("[A-C]+", "abc", True),
        ("^[^a]$", "A", False),
        ("[[:lower:]]", "A", True),
        ("Ä", "ä", False),  # RFC 4790 §9.2.1: letters of ASCII
    ],
)
def test_letters_in_any_case(expression: str, text: str, matches: bool) -> None:
    assert (found(expression, text, fold=True) is not None) == matches


def test_other_letters_otherwise() -> None:
    assert found("SUBJECT", "subject") is None
    assert found("[^a]", "A") == ["A"]
    assert found("[[:lower:]]", "A") is None


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("a**", "cannot repeat what is repeated"),
        ("a+?", "cannot repeat what is repeated"),
        ("*a", "nothing before it"),
        ("a|*b", "nothing before it"),
        ("({1})", "nothing before it"),
        ("^*", 'behind "^"'),
        ("(a", '")" is missing'),
        ("a)", '"(" is missing'),
        ("[a", '"]" is missing'),
        ("[]", '"]" is missing'),
        ("[b-a]", "is no range"),
        ("[[:word:]]", "not a class"),
        ("[[.hyphen.]]", "one character"),
        ("[[:alpha]", 'must be followed by ":]"'),
        ("a{x", "must be followed by numbers"),
        ("a{,2}", "must be followed by numbers"),
        ("a{2,1}", "lower than the first"),
        ("a{256}", "more than 255 times"),
        ("(a)\\1", "means nothing"),
        ("\\w", "means nothing"),
        ("\\<a", "means nothing"),
        ("a\\", "backslash stands at the end"),
        ("(" * 33 + ")" * 33, "nested more than 32 deep"),
        ("a" * 1001, "1,000 characters"),
        ("(((a{9}){9}){9}){9}", "too large"),
        ("(" * 20 + "a" + "){255}" * 20, "too large"),
    ],
)
def test_what_posix_does_not_define_is_refused(expression: str, said: str) -> None:
    with pytest.raises(EreError, match=re.escape(said)):
        Program(read_expression(expression), fold=False)
    script = (
        f'require ["regex"]; if header :regex "subject" "{expression.replace(chr(92), chr(92) * 2)}" {{}}'
    )
    assert said in refusal(script)


def test_the_largest_that_can_be() -> None:
    assert len(Program(read_expression("(" * 32 + ")" * 32), fold=False).onward) == 1
    assert found(f"a{{{SIEVE_REGEX_STATES // 4 - 1}}}$", "a" * 300) is not None
    assert found("a{255}", "a" * 254) is None


def test_in_scripts() -> None:
    script = """
        require ["regex", "variables", "fileinto"];
        if header :regex "subject" "^i have (a|the) ([^ ]+)" { fileinto "${1}/${2}/${0}"; }
    """
    [filed] = actions(script)
    assert isinstance(filed, FileInto)
    assert filed.mailbox == "a/present/I have a present"
    assert holds('header :regex ["to", "from"] ["x", "Wile +Coyote"]', require="regex")
    assert holds('address :regex :domain "from" "^desert\\\\.[^.]*\\\\.org$"', require="regex")
    assert not holds('header :regex :comparator "i;octet" "subject" "^i have"', require="regex")
    assert "cannot be used with :regex" in refusal(
        'require ["regex", "comparator-i;unicode-casemap"];'
        'if header :comparator "i;unicode-casemap" :regex "subject" "a" {}'
    )
    assert 'needs require "regex"' in refusal('if header :regex "subject" "a" {}')
    assert 'needs require "regex"' in refusal('require "variables"; set :quoteregex "a" "b";')


def test_an_expression_that_is_none_is_a_fault_when_it_is_made_while_running() -> None:
    script = 'require ["regex", "variables"]; set "a" "(b"; if header :regex "subject" "${a}" { discard; }'
    told = outcome(script).fault
    assert told == ('line 1: "(b" is not a regular expression that can be used: ")" is missing')


def test_quoting() -> None:
    script = """
        require ["regex", "variables"];
        set :quoteregex "q" "${x}";
        if string :regex "${x}" "^${q}$" { discard; }
    """
    text = "a.b*[x]{1}^$|(c)\\\\+?-/&"
    quote = f'set "x" "{text}"; set'
    assert type(actions(script.replace("set", quote, 1))[0]).__name__ == "Discard"
    assert quoted("[a]{2}") == "\\[a]\\{2}"


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40))
def test_what_is_quoted_matches_itself_alone(text: str) -> None:
    assert found(f"^{quoted(text)}$", text) == [text]
    assert found(f"^{quoted(text)}$", text + "x") is None


ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "^", "$", "()"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}", ""])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(EXPRESSIONS)
def test_how_large_it_is_is_known_before(expression: str) -> None:
    read = read_expression(expression)
    assert states_of(read.root) == len(Program(read, fold=False).onward)


def test_a_script_full_of_large_expressions_is_soon_checked() -> None:
    keys = ", ".join(['"(((a{9}){9}){9})"'] * 3_000)
    begun = time.process_time()
    assert refusal(f'require "regex"; if header :regex "subject" [{keys}] {{}}') == ""
    assert time.process_time() - begun < slowness()  # a tenth of that; making the automata takes five seconds


@settings(deadline=None, max_examples=400)
@given(EXPRESSIONS, st.text("abc", max_size=7))
def test_python_finds_it_at_the_same_place(expression: str, text: str) -> None:
    """Python's is the leftmost too, but need not be the longest."""
    mine = found(expression, text)
    theirs = re.search(expression.replace("$", r"\Z"), text, re.DOTALL)
    assert (mine is None) == (theirs is None)
    if mine is not None and theirs is not None:
        assert text.startswith(mine[0], theirs.start())
        assert len(mine[0]) >= len(theirs[0])
        # Each group's text is one that its expression can stand for.
        assert len(mine) == 1 + (theirs.re.groups)


HOSTILE = [
    ("(a*)*b", "a" * 60_000),
    ("(a|a)*c", "a" * 60_000),
    ("(a|aa)+$", "a" * 60_000 + "!"),
    ("(x+x+)+y", "x" * 60_000),
    ("(.*)(.*)(.*)(.*)(.*)q", "a" * 60_000),
    ("(a|a*b)*", "a" * 60_000),
    ("((a{0,15}){0,15})b", "a" * 60_000),
    ("(a?){100}a{100}", "a" * 60_000),
    ("[[:alpha:]]*q", "".join(map(chr, range(0x4E00, 0x9FFF)))),
    ("|".join(["a.*b.*c"] * 70), "abcd" * 15_000),
]


@pytest.mark.parametrize(("expression", "text"), HOSTILE)
@pytest.mark.parametrize("require", ['"regex"', '"regex", "variables"'])
def test_what_is_hostile_ends_soon(expression: str, text: str, require: str) -> None:
    """There is no text and no expression that takes more than the work of a run."""
    message = f"Subject: {text}\r\n\r\n".encode()
    begun = time.perf_counter()
    ended = outcome(f'require [{require}]; if header :regex "subject" "{expression}" {{ discard; }}', message)
    assert (
        time.perf_counter() - begun < 2.0 * slowness()
    )  # some 100 ms here at most; a busy machine gets time
    assert ended.fault == "" or "compares more than 20,000,000 characters" in ended.fault


def test_many_expressions_are_counted() -> None:
    keys = ", ".join(f'"(a|b{number}*)+c"' for number in range(2_000))
    message = b"Subject: " + b"ab" * 5_000 + b"\r\n\r\n"
    begun = time.perf_counter()
    ended = outcome(f'require "regex"; if header :regex "subject" [{keys}] {{ discard; }}', message)
    assert "compares more than" in ended.fault
    assert time.perf_counter() - begun < 3.0 * slowness()
