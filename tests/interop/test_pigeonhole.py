"""Our Sieve and Pigeonhole's, over the same scripts and messages: both do the same, or it is said below why not.

`sieve_cases/` has corners by hand, a line each: `tests.txt` tests, `scripts.txt` whole scripts that are run or refused
(`~` is the end of a line), `bare.txt` the same with no `require` but their own, `parts.txt` what looks into the parts
of `parted.txt`. `sieve_scripts.py` makes scripts by chance.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings

from tests.interop.conftest import absent
from tests.interop.pigeonhole import Done, Pigeonhole, ours
from tests.interop.sieve_scripts import messages, probes, programs

pytestmark = [pytest.mark.interop, pytest.mark.slow]

CASES: Final = Path(__file__).parent / "sieve_cases"
LETTER: Final = (CASES / "letter.txt").read_bytes().replace(b"\n", b"\r\n")
REQUIRE: Final = """require ["body", "comparator-i;ascii-numeric", "copy", "date", "duplicate", "editheader",
"encoded-character", "enotify", "envelope", "environment", "fileinto", "imap4flags", "include", "index", "mailbox",
"regex", "reject", "relational", "special-use", "subaddress", "vacation", "vacation-seconds", "variables"];
"""
TOGETHER: Final = 15
"""How many tests one process looks at."""


@pytest.fixture(scope="module")
def pigeonhole() -> Iterator[Pigeonhole]:
    program = shutil.which("sieve-test")
    if program is None:
        absent("sieve-test")
    assert program is not None
    # Not below pytest's own folder, which only root may enter: it works as another user.
    with tempfile.TemporaryDirectory(prefix="posthouse-pigeonhole-") as folder:
        yield Pigeonhole(program, Path(folder))


def cases(name: str) -> list[str]:
    return (CASES / name).read_text().splitlines()


def told(tests: list[str]) -> str:
    """A script that tells which of its tests are true, and what their wildcards stood for."""
    lines = [
        f'if {test} {{ set "r" "${{r}}~{number} <${{1}}|${{2}}>"; }}' for number, test in enumerate(tests)
    ]
    return (REQUIRE + "\n".join(lines) + '\nvacation "${r}";').replace("~", "\n")


@pytest.mark.parametrize("start", range(0, len(cases("tests.txt")), TOGETHER))
def test_tests_are_true_for_both_or_for_neither(pigeonhole: Pigeonhole, start: int) -> None:
    script = told(cases("tests.txt")[start : start + TOGETHER])
    theirs, mine = pigeonhole.does(script, LETTER), ours(script, LETTER)
    assert theirs.same(mine), (script, theirs, mine)
    assert any(line.startswith("vacation") for line in mine.actions)


@pytest.mark.parametrize(("name", "require"), [("scripts.txt", REQUIRE), ("bare.txt", "")])
def test_scripts_do_the_same_or_are_refused_by_both(pigeonhole: Pigeonhole, name: str, require: str) -> None:
    different = []
    for case in cases(name):
        script = require + case.replace("~", "\n")
        theirs, mine = pigeonhole.does(script, LETTER), ours(script, LETTER)
        if not theirs.same(mine):
            different.append((case, theirs, mine))
    assert different == []


PARTED: Final = (CASES / "parted.txt").read_bytes().replace(b"\n", b"\r\n")
PARTS: Final = REQUIRE.replace("[", '["foreverypart", "mime", ', 1)


@pytest.mark.parametrize("start", range(0, len(cases("parts.txt")), TOGETHER))
def test_both_find_the_same_in_the_parts(pigeonhole: Pigeonhole, start: int) -> None:
    different = []
    for case in cases("parts.txt")[start : start + TOGETHER]:
        theirs, mine = pigeonhole.does(PARTS + case, PARTED), ours(PARTS + case, PARTED)
        if not theirs.same(mine):
            different.append((case, theirs, mine))
    assert different == []


def test_a_loop_in_a_loop_is_for_what_is_within(pigeonhole: Pigeonhole) -> None:
    # RFC 5703 §3; theirs takes its own binary for corrupt, and keeps the message.
    script = f'{PARTS} foreverypart {{ set "r" "${{r}}("; foreverypart {{ set "r" "${{r}}."; }} set "r" "${{r}})"; }}'
    script += 'vacation "${r}";'
    assert ours(script, PARTED).actions[-1] == "vacation 604800 - -: (......)()(.)()()(.)()"
    assert pigeonhole.does(script, PARTED).same(FAILED)


def test_an_address_in_any_field_of_a_part(pigeonhole: Pigeonhole) -> None:
    # RFC 5703 §4.2 lets an address be looked for in any field with `:mime`; theirs knows fields of RFC 5228 alone.
    script = f'{PARTS} if address :mime :anychild "content-from" "tim@example.com" {{ fileinto "T"; }}'
    assert ours(script, PARTED).actions == ("file T",)
    assert pigeonhole.does(script, PARTED).refused


OTHERWISE: Final = [
    ('string "A" "a"', "T", "F", "RFC 5228 §2.7.3: without a comparator, case does not matter"),
    ('body :text :contains "world"', "T", "F", "RFC 5173 §5.3: of HTML, the text"),
    ('header :count "eq" :index 1 "x-spam" "1"', "T", "F", "RFC 5260 §6: the field at that place counts"),
    ('address :count "eq" :detail "from" "0"', "T", "F", "RFC 5233 §4: no detail is no value"),
    ('address :count "eq" "cc" "0"', "T", "F", "RFC 5322 §3.4: an empty group has no address in it"),
    ('header :value "gt" "x-low" "[ab"', "F", "T", "RFC 4790 §9.2.1: order is that of capital letters"),
    ('header :matches "subject" "caf? *"', "F", "T", "RFC 5228 §2.7.1: `?` is an octet, and é two"),
    ('valid_notify_method "mailto:"', "F", "T", "RFC 5436 §2.1: nobody is told"),
    ('valid_notify_method "mailto:a@b.example,c@d.example"', "T", "F", "RFC 6068 §2: several recipients"),
    (
        'spamtest :percent :count "eq" "0"',
        "T",
        "F",
        "RFC 5235 §2.3: nothing was looked at, and theirs knows of no header that tells",
    ),
]
"""Test, ours, theirs, and what ours goes by."""
ODD: Final = LETTER.replace(b"X-Spam: 4", b"X-Spam: 4\r\nCc: undisclosed-recipients:;\r\nX-Low: abc")


@pytest.mark.parametrize(("test", "mine", "theirs"), [row[:3] for row in OTHERWISE])
def test_tests_that_pigeonhole_sees_otherwise(
    pigeonhole: Pigeonhole, test: str, mine: str, theirs: str
) -> None:
    comparator = ':comparator "i;ascii-numeric"' if ":count" in test else ""
    word, rest = test.split(" ", 1)
    script = f"{REQUIRE.replace('[', chr(91) + chr(34) + 'spamtestplus' + chr(34) + ', ', 1)}"
    script += f'if {word} {comparator} {rest} {{ vacation "T"; }} else {{ vacation "F"; }}'
    assert ours(script, ODD).actions[-1] == f"vacation 604800 - -: {mine}"
    assert pigeonhole.does(script, ODD).actions[-1] == f"vacation 604800 - -: {theirs}"


KEPT, REFUSED = Done(actions=("file INBOX",)), Done(refused=True)
FAILED = Done(actions=("file INBOX",), fault=True)


def filed(name: str) -> Done:
    return Done(actions=(f"file {name}",))


OWN_WAYS: Final = [
    # RFC 3894 §3: only the copy leaves the implicit keep in force; the second fileinto cancels it.
    ('fileinto :copy "a"; fileinto "a";', filed("a"), Done(actions=("file INBOX", "file a"))),
    # Two names for the inbox, and one message in it (RFC 5228 §2.10.3).
    ('fileinto :copy "INBOX";', KEPT, Done(actions=("file INBOX", "file INBOX"))),
    # RFC 5228 §4.1: there can be no such mailbox.
    ('fileinto "";', REFUSED, filed("")),
    ('fileinto "a~b";', REFUSED, filed("a??b")),
    # RFC 5229 §3: more than there are is an error of syntax, and so is a namespace that nothing has made.
    ('fileinto "${99}x";', REFUSED, filed("x")),
    ('fileinto "a${a.b}c";', REFUSED, filed("ac")),
    # RFC 5229 §4: the value is what its variables were before; theirs empties a variable that is set to itself.
    ('set "a" "x"; set "a" "${a}"; fileinto "y${a}";', filed("yx"), filed("y")),
    # RFC 5228 §2.4.2.3: an address that cannot be.
    ('vacation :addresses "bogus" "x";', REFUSED, Done(actions=("file INBOX", "vacation 604800 - -: x"))),
    ('redirect "a@-b.example";', REFUSED, Done(actions=("redirect a@-b.example",))),
    # RFC 6532 §3.2: one that can.
    ('redirect "ä@b.example";', Done(actions=("redirect ä@b.example",)), REFUSED),
    # RFC 5230 §4.1: no days at all is the least that can be, which is theirs to choose.
    (
        'vacation :days 0 "x";',
        Done(actions=("file INBOX", "vacation 86400 - -: x")),
        Done(actions=("file INBOX", "vacation 0 - -: x")),
    ),
    # RFC 5435 §3.2: an error when it is reached, so that `valid_notify_method` can go before.
    ('notify "http://a.example";', FAILED, REFUSED),
    # RFC 5435 §3: who is told twice is told twice; theirs tells each recipient once.
    (
        'notify :message "x" "mailto:a@b.example"; notify :message "y" "mailto:a@b.example";',
        Done(actions=("file INBOX", "notify 2 - x", "notify 2 - y")),
        Done(actions=("file INBOX", "notify 2 - x")),
    ),
    # RFC 5228 §5.7: white space at the ends does not count.
    ('addheader "X-N" "  v "; if header "x-n" "v" { fileinto "y"; }', filed("y"), KEPT),
    # RFC 5293 §6: an implementation may say which fields are not to be added; ours says Received.
    (
        'addheader "Received" "v"; if header :contains "received" "v" { discard; }',
        KEPT,
        Done(actions=("discard",)),
    ),
    ('addheader "" "v";', REFUSED, KEPT),
    # RFC 5293 §4: what is in several lines is folded; theirs ends with the first.
    ('addheader "X-N" "a~b"; if header "x-n" "a b" { fileinto "y"; }', filed("y"), KEPT),
    # What is to be looked at is still there: theirs loses the body with a field.
    ('deleteheader "x-spam"; if body :raw :contains "a" { fileinto "y"; }', filed("y"), KEPT),
    # RFC 6609 §3.2: an error when it is reached, unless `:optional`; here theirs has no place for scripts.
    ('include "nothing";', FAILED, REFUSED),
    ('include :optional "nothing"; fileinto "x";', filed("x"), REFUSED),
    # RFC 6609 §3.4.1: found when it is reached.
    ('set "a" "b"; global "a";', FAILED, REFUSED),
    # RFC 5260 §4.1: a zone has a sign.
    ('if date :zone "0100" "date" "year" "x" {}', REFUSED, KEPT),
    # RFC 5232 §3: two arguments at most; RFC 5293 §5: one name.
    ('setflag "a" "b" "c";', REFUSED, KEPT),
    ('deleteheader ["a"];', REFUSED, KEPT),
    # IEEE 1003.1 §9.4: what it leaves undefined (back references, two repetitions, `\\w`) is refused.
    ('if string :regex "aa" "(a)\\\\1" { fileinto "y"; }', REFUSED, filed("y")),
    ('if string :regex "aa" "a+?" { fileinto "y"; }', REFUSED, filed("y")),
    ('if string :regex "aa" "\\\\w" { fileinto "y"; }', REFUSED, filed("y")),
    # IEEE 1003.1 §9.1: the first group is as long as it can be, and what took no part stands for nothing.
    ('if string :regex "abcd" "(a|ab)(bc|c)?(d*)" { fileinto "${1}"; }', filed("ab"), filed("a")),
    ('if string :regex "ab" "((a)|b)*" { fileinto "y${2}"; }', filed("y"), filed("ya")),
    # A character is one of Unicode; theirs is an octet.
    ('if string :regex "é" "^.$" { fileinto "y"; }', filed("y"), KEPT),
    # draft-ietf-sieve-regex: theirs has no `:quoteregex`.
    ('set :quoteregex "a" "b.c"; fileinto "${a}";', filed("b\\.c"), REFUSED),
    # A test without what it tests is no test, and a pattern may end in a backslash: theirs dies of both.
    ("if hasflag {}", REFUSED, Done(died=True)),
    ('if string :comparator "i;octet" :matches "a${1}" "*\\\\" { discard; }', KEPT, Done(died=True)),
]


@pytest.mark.parametrize(("case", "mine", "theirs"), OWN_WAYS)
def test_scripts_that_pigeonhole_takes_otherwise(
    pigeonhole: Pigeonhole, case: str, mine: Done, theirs: Done
) -> None:
    script = REQUIRE + case.replace("~", "\n")
    assert ours(script, LETTER).same(mine), ours(script, LETTER)
    assert pigeonhole.does(script, LETTER).same(theirs), pigeonhole.does(script, LETTER)


def agree(pigeonhole: Pigeonhole) -> Callable[[str, bytes], None]:
    def check(script: str, message: bytes) -> None:
        theirs, mine = pigeonhole.does(script, message), ours(script, message)
        assert theirs.same(mine), (theirs, mine)

    return check


def test_any_tests_and_variables_come_to_the_same(pigeonhole: Pigeonhole) -> None:
    settings(max_examples=80, deadline=None, derandomize=True)(
        given(probes(), messages())(agree(pigeonhole))
    )()


def test_any_program_does_the_same(pigeonhole: Pigeonhole) -> None:
    settings(max_examples=80, deadline=None, derandomize=True)(
        given(programs, messages())(agree(pigeonhole))
    )()
