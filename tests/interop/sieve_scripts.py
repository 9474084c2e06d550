"""Scripts and messages that are made by chance: what `test_pigeonhole.py` compares two engines with.

Most are a row of probes: each test of a script leaves in a variable whether it was true, and what its wildcards stood
for; in the end the whole is told as the words of a vacation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

CAPABILITIES: Final = (
    "body",
    "comparator-i;ascii-numeric",
    "copy",
    "date",
    "editheader",
    "encoded-character",
    "envelope",
    "fileinto",
    "imap4flags",
    "index",
    "mailbox",
    "reject",
    "relational",
    "subaddress",
    "vacation",
    "variables",
)
REQUIRE: Final = f"require [{', '.join(f'{chr(34)}{name}{chr(34)}' for name in CAPABILITIES)}];\n"


def quoted(text: str) -> str:
    """A string of a script."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def listed(texts: Sequence[str]) -> str:
    """A string or a list of them."""
    return quoted(texts[0]) if len(texts) == 1 else f"[{', '.join(map(quoted, texts))}]"


# --- messages ---------------------------------------------------------------------------------------------------------

WORDS = [
    "",
    "a",
    "b",
    "ab",
    "A",
    "aba",
    "meeting",
    "Re: [list] News",
    "10",
    "9",
    "007",
    "x*y",
    "a?b",
    "\\",
    "ä",
    "Ä",
]
TEXTS = [
    *(word for word in WORDS if word.isascii() and word not in ("", "\\")),
    "  padded  ",
    "folded\r\n line",
    "two\r\n\tfolds\r\n  here",
    "=?utf-8?q?caf=C3=A9?=",
    "=?utf-8?b?w6Q=?= =?iso-8859-1?q?=E4?= end",
    "=?us-ascii?q?a_b?=",
    "=?nowhere?q?x?=",
    "a   b",
]
ADDRESSES = [
    "ann@example.org",
    "Ann <ann@example.org>",
    '"Ann, B." <Ann.B@Example.ORG>',
    "ann+lists@example.org",
    "ann+a+b@example.org, bob@example.net",
    "(comment) bob@example.net (more)",
    "Friends: ann@example.org, bob@example.net;, eve@example.com",
    '"odd one"@example.org',
    "=?utf-8?q?Andr=C3=A9?= <andre@example.org>",
    "<a@example.org>",
    "ann@example.org,\r\n bob@example.net",
    "ann+@example.org",
]
TEXT_FIELDS = ["Subject", "X-A", "X-B", "Comments"]
ADDRESS_FIELDS = ["From", "To", "Cc", "Reply-To", "Sender"]
DATES = [
    "Tue, 1 Apr 1997 09:06:31 -0800",
    "Sat, 29 Feb 2020 23:59:59 +0000",
    "31 Dec 1999 23:30:00 -0130",
    "Mon, 1 Jan 2024 00:15:00 +0545",
]
DATE_PARTS = ["year", "month", "day", "date", "julian", "hour", "minute", "second"]
DATE_PARTS += ["time", "iso8601", "std11", "zone", "weekday"]
BODIES = [
    "Hello there\r\n",
    "a\r\nb\r\nab meeting\r\n",
    "one line without an end",
]

fields = st.one_of(
    st.tuples(st.sampled_from(TEXT_FIELDS), st.sampled_from(TEXTS)),
    st.tuples(st.sampled_from(ADDRESS_FIELDS), st.sampled_from(ADDRESSES)),
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A message of a few fields, in any order."""
    rows = draw(st.lists(fields, min_size=1, max_size=8))
    rows.append(("Date", draw(st.sampled_from(DATES))))
    text = "".join(f"{name}: {value}\r\n" for name, value in draw(st.permutations(rows)))
    return f"{text}\r\n{draw(st.sampled_from(BODIES))}".encode()


# --- tests of scripts -------------------------------------------------------------------------------------------------

KEYS = [
    *WORDS,
    "folded line",
    "café",
    "ann",
    "ann@example.org",
    "EXAMPLE.org",
    "example.net",
    "lists",
    "a b",
    "1997",
]
PATTERNS = [
    *(key for key in KEYS if key != "\\"),  # Pigeonhole dies of a pattern that ends with a backslash
    "*",
    "?",
    "*a*",
    "a*",
    "*b",
    "?b?",
    "* *",
    "*[*] *",
    "*\\**",
    "*\\?*",
    "**a",
    "?*",
    "*?",
    "*@*",
    "*@example.*",
    "*.???",
]
OCTET, CASEMAP, NUMERIC = "i;octet", "i;ascii-casemap", "i;ascii-numeric"


@st.composite
def matchings(draw: st.DrawFn) -> tuple[str, str]:
    """Match type and comparator, and the keys."""
    kind = draw(st.sampled_from(["", ":is", ":contains", ":matches", ":value", ":count"]))
    pool = PATTERNS if kind == ":matches" else KEYS
    if kind == ":value":
        pool = [key for key in KEYS if key != "\\"]  # it folds to lower case, RFC 4790 §9.2.1 to upper
    keys = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))
    comparators = [OCTET, CASEMAP]
    if kind in (":value", ":count"):
        relation = draw(st.sampled_from(["gt", "ge", "lt", "le", "eq", "ne"]))
        kind = f"{kind} {quoted(relation)}"
        comparators.append(NUMERIC)
    if kind.startswith(":count"):
        keys = draw(st.lists(st.sampled_from(["0", "1", "2", "3"]), min_size=1, max_size=2))
        comparators = [NUMERIC]
    comparator = draw(st.sampled_from(["", *comparators]))
    if kind.startswith(":count"):
        comparator = NUMERIC
    words = [kind, f":comparator {quoted(comparator)}" if comparator else ""]
    return " ".join(word for word in draw(st.permutations(words)) if word), listed(keys)


def _parts(how: str) -> list[str]:
    """Not `:detail` with `:count`: Pigeonhole counts what is not there."""
    return ["", ":all", ":localpart", ":domain", ":user", *([] if ":count" in how else [":detail"])]


@st.composite
def header_tests(draw: st.DrawFn) -> str:
    """`header`, of any fields."""
    how, keys = draw(matchings())
    names = draw(st.lists(st.sampled_from([*TEXT_FIELDS, "x-a", "To", "No-Such"]), min_size=1, max_size=2))
    return f"header {_index(draw, how)} {how} {listed(names)} {keys}"


def _index(draw: st.DrawFn, how: str) -> str:
    """Not with `:count`: Pigeonhole then counts nothing at all."""
    if ":count" in how:
        return ""
    return draw(st.sampled_from(["", "", "", ":index 1", ":index 2", ":index 1 :last", ":last :index 2"]))


@st.composite
def address_tests(draw: st.DrawFn) -> str:
    """`address`."""
    how, keys = draw(matchings())
    part = draw(st.sampled_from(_parts(how)))
    names = draw(st.lists(st.sampled_from(ADDRESS_FIELDS), min_size=1, max_size=2))
    return f"address {_index(draw, how)} {part} {how} {listed(names)} {keys}"


@st.composite
def envelope_tests(draw: st.DrawFn) -> str:
    """`envelope`."""
    how, keys = draw(matchings())
    part = draw(st.sampled_from(_parts(how)))
    return f"envelope {part} {how} {quoted(draw(st.sampled_from(['from', 'to', 'FROM'])))} {keys}"


@st.composite
def date_tests(draw: st.DrawFn) -> str:
    """`date` of the Date field."""
    part = draw(st.sampled_from(DATE_PARTS))
    zone = draw(st.sampled_from(["", ":originalzone", ':zone "+0100"', ':zone "-0330"']))
    how, keys = draw(matchings())
    return f'date {zone} {how} "date" {quoted(part)} {keys}'


@st.composite
def string_tests(draw: st.DrawFn) -> str:
    """`string`, with a comparator: without one Pigeonhole compares octets."""
    how, keys = draw(matchings().filter(lambda found: ":comparator" in found[0]))
    values = draw(
        st.lists(st.sampled_from([*WORDS, "${1}", "${0}", "${v}", "a${2}b"]), min_size=1, max_size=2)
    )
    return f"string {how} {listed(values)} {keys}"


exists_tests = st.lists(st.sampled_from([*TEXT_FIELDS, *ADDRESS_FIELDS, "date"]), min_size=1, max_size=2).map(
    lambda names: f"exists {listed(names)}"
)
size_tests = st.tuples(st.sampled_from(["over", "under"]), st.sampled_from([0, 50, 100, 200, "1K"])).map(
    lambda row: f"size :{row[0]} {row[1]}"
)


@st.composite
def body_tests(draw: st.DrawFn) -> str:
    """`body` of a message in one part."""
    how, keys = draw(matchings())
    return f"body {draw(st.sampled_from([':raw', ':text']))} {how} {keys}"


def _together(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        inner.map(lambda test: f"not {test}"),
        lists.map(lambda tests: f"allof({', '.join(tests)})"),
        lists.map(lambda tests: f"anyof({', '.join(tests)})"),
    )


_of_fields = [header_tests(), address_tests(), envelope_tests(), date_tests(), string_tests(), exists_tests]
field_tests = st.recursive(st.one_of(_of_fields), _together, max_leaves=4)
plain_tests = st.one_of(*_of_fields, size_tests, body_tests())
tests = st.recursive(plain_tests, _together, max_leaves=4)

# --- variables --------------------------------------------------------------------------------------------------------

MODIFIERS = [":lower", ":upper", ":lowerfirst", ":upperfirst", ":quotewildcard", ":length"]
VALUES = [
    *WORDS,
    "${v}",
    "${w}",
    "${V}x",
    "${1}",
    "${2}${3}",
    "${nothing}",
    "${",
    "${v",
    "$v",
    "a*b?c\\d",
    "ärgER",
]


@st.composite
def settings_of(draw: st.DrawFn) -> str:
    """`set`, with modifiers of different ranks."""
    chosen = draw(st.lists(st.sampled_from(MODIFIERS), max_size=3, unique=True))
    ranks = {":lower": 4, ":upper": 4, ":lowerfirst": 3, ":upperfirst": 3, ":quotewildcard": 2, ":length": 1}
    kept = list({ranks[name]: name for name in chosen}.values())
    name, value = draw(st.sampled_from(["v", "w", "V"])), draw(st.sampled_from(VALUES))
    return f"set {' '.join(kept)} {quoted(name)} {quoted(value)};"


edits = st.one_of(
    st.tuples(
        st.sampled_from(["", ":last "]), st.sampled_from(["X-A", "X-B", "x-new"]), st.sampled_from(WORDS[1:])
    ).map(lambda row: f"addheader {row[0]}{quoted(row[1])} {quoted(row[2])};"),
    st.tuples(
        st.sampled_from(["", ":index 1 ", ":index 2 ", ":index 1 :last "]),
        st.sampled_from(["X-A", "X-B", "Comments"]),
        st.sampled_from(["", ' "a"', ' ["a", "b"]']),
        st.sampled_from(["", ":contains ", ":matches "]),
    ).map(lambda row: f"deleteheader {row[0]}{row[3] if row[2] else ''}{quoted(row[1])}{row[2]};"),
)


@st.composite
def probes(draw: st.DrawFn) -> str:
    """A script that tells what its tests and its variables are; no body is looked at behind edits of the header,
    which Pigeonhole loses then."""
    steps = draw(st.sampled_from([st.one_of(tests, tests, settings_of()), st.one_of(field_tests, edits)]))
    lines = []
    for step in draw(st.lists(steps, min_size=1, max_size=12)):
        if step.startswith(("set ", "addheader", "deleteheader")):
            lines.append(step)
        else:
            lines.append(
                f'if {step} {{ set "r" "${{r}}T<${{1}}|${{2}}|${{3}}>"; }} else {{ set "r" "${{r}}F"; }}'
            )
    return REQUIRE + "\n".join(lines) + '\nvacation "${r} <${v}> <${w}>";\n'


# --- actions ----------------------------------------------------------------------------------------------------------

FLAGS = [
    "\\Seen",
    "\\FLAGGED",
    "\\Deleted",
    "one",
    "Two",
    "$three",
    "one Two",
    "",
    "\\Seen  one",
    "\\Bogus",
    "\\Recent",
]
flag_lists = st.lists(st.sampled_from(FLAGS), min_size=1, max_size=2).map(listed)
flagging = st.tuples(st.sampled_from(["setflag", "addflag", "removeflag"]), flag_lists).map(
    lambda row: f"{row[0]} {row[1]};"
)
with_flags = st.one_of(st.just(""), st.just(""), flag_lists.map(lambda flags: f":flags {flags} "))
actions = st.one_of(
    flagging,
    with_flags.map(lambda flags: f"keep {flags};"),
    st.tuples(st.sampled_from(["", ":copy "]), with_flags, st.sampled_from(["A", "B", "A/c", "INBOX"])).map(
        lambda row: f"fileinto {row[0]}{row[1]}{quoted(row[2])};"
    ),
    st.tuples(st.sampled_from(["", ":copy "]), st.sampled_from(["a@example.org", "b@example.org"])).map(
        lambda row: f"redirect {row[0]}{quoted(row[1])};"
    ),
    st.sampled_from(["discard;", "discard;", 'reject "no";', "stop;"]),
)


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    block = st.lists(inner, max_size=3).map(" ".join)
    conditions = st.one_of(st.sampled_from(["true", "false"]), plain_tests)
    return st.one_of(
        st.tuples(conditions, block).map(lambda row: f"if {row[0]} {{ {row[1]} }}"),
        st.tuples(conditions, block, block).map(
            lambda row: f"if {row[0]} {{ {row[1]} }} else {{ {row[2]} }}"
        ),
        st.tuples(conditions, block, conditions, block, block).map(
            lambda row: f"if {row[0]} {{ {row[1]} }} elsif {row[2]} {{ {row[3]} }} else {{ {row[4]} }}"
        ),
    )


programs = st.lists(st.recursive(actions, _blocks, max_leaves=8), min_size=1, max_size=6).map(
    lambda lines: REQUIRE + "\n".join(lines)
)
