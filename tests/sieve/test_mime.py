"""`:mime`, `foreverypart` and `break` (RFC 5703 §3, §4)."""

from __future__ import annotations

import time

import pytest

from posthouse.limits import SIEVE_LOOPS
from posthouse.sieve.actions import FileInto
from posthouse.sieve.questions import Included
from posthouse.sieve.tables import Script
from posthouse.sieve.validate import compile_script
from tests.machine import slowness
from tests.sieve.running import actions, holds, outcome, refusal

LETTER = b"""\
From: ann@example.org
Subject: outer
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=zz

--zz
Content-Type: text/plain; charset=utf-8
X-Part: one

Hello
--zz
Content-Type: multipart/alternative; boundary=yy
X-Part: two

--yy
Content-Type: text/html
X-Part: three

<p>
--yy--
--zz
Content-Type: application/pdf; name=a.pdf
Content-Disposition: attachment; filename*=utf-8''%C3%A9t%C3%A9.pdf; size=12
Content-From: tim@example.com
X-Part: four

xxx
--zz
Content-Type: message/rfc822
X-Part: five

Subject: inner
X-Part: six

inner
--zz--
""".replace(b"\n", b"\r\n")
MIME = "mime relational comparator-i;ascii-numeric index"


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('header :mime :type "content-type" "multipart"', True),
        ('header :mime :subtype "Content-Type" "MIXED"', True),
        ('header :mime :contenttype "content-type" "multipart/mixed"', True),
        ('header :mime :contenttype "content-type" "text/html"', False),
        ('header :mime :anychild :contenttype "content-type" "text/html"', True),
        ('header :mime :anychild :type "content-disposition" "attachment"', True),
        ('header :mime :anychild :contenttype "content-disposition" "attachment"', True),
        ('header :mime :anychild :subtype "content-disposition" ""', True),
        ('header :mime :type "subject" ""', True),
        ('header :mime :param "boundary" "content-type" "zz"', True),
        ('header :mime :anychild :param ["x", "filename"] "content-disposition" "été.pdf"', True),
        ('header :mime :anychild :param "name" ["subject", "content-type"] "a.pdf"', True),
        ('header :mime :anychild "x-part" "six"', True),
        ('header :mime "x-part" "one"', False),
        ('header :mime "subject" "outer"', True),
        ('header "x-part" "one"', False),
        ('header :mime :anychild :index 2 "x-part" "two"', True),
        ('header :mime :anychild :count "eq" "x-part" "6"', True),
        ('header :mime :anychild :type :count "eq" "content-type" "6"', True),
        ('header :mime :anychild :subtype :count "eq" "content-disposition" "0"', True),
        ('header :mime :anychild :param ["filename", "size"] :count "eq" "content-disposition" "2"', True),
        ('address :mime :anychild "content-from" "tim@example.com"', True),
        ('address :mime :anychild :domain "content-from" "example.com"', True),
        ('address :mime "content-from" "tim@example.com"', False),
        ('exists :mime :anychild ["content-from", "subject"]', True),
        ('exists :mime "content-from"', False),
        ('exists "content-from"', False),
    ],
)
def test_fields_of_parts(test: str, true: bool) -> None:
    assert holds(test, LETTER, require=MIME) is true


def filed(script: str, message: bytes = LETTER) -> list[str]:
    require = 'require ["mime", "foreverypart", "fileinto", "variables", "editheader"];'
    return [each.mailbox for each in actions(require + script, message) if isinstance(each, FileInto)]


TELL = 'if header :mime :matches "x-part" "*" { fileinto "${1}"; }'


def test_each_part_is_looked_at_depth_first() -> None:
    assert filed(f"foreverypart {{ {TELL} }}") == ["one", "two", "three", "four", "five", "six"]
    assert filed('foreverypart { if header :mime :matches "subject" "*" { fileinto "${1}"; } }') == [
        "outer",
        "inner",
    ]


def test_other_tests_see_the_message() -> None:
    assert filed('foreverypart { if not header "subject" "outer" { fileinto "x"; } }') == []


def test_a_loop_in_a_loop_is_for_what_is_within_the_part() -> None:
    script = 'if header :mime "x-part" ["one", "two", "five"] { foreverypart { TELL } }'.replace("TELL", TELL)
    assert filed(f"foreverypart {{ {script} }}") == ["three", "six"]


def test_anychild_is_within_the_part() -> None:
    script = 'if header :mime :anychild "x-part" "three" { TELL }'.replace("TELL", TELL)
    assert filed(f"foreverypart {{ {script} }}") == ["two", "three"]


def test_break() -> None:
    assert filed(f'foreverypart {{ {TELL} if header :mime "x-part" "two" {{ break; }} }}') == ["one", "two"]
    inner = f'foreverypart :name "b" {{ {TELL} break :name "a"; }}'
    assert filed(f'foreverypart :name "a" {{ {inner} }} fileinto "end";') == ["one", "end"]
    assert filed('foreverypart { foreverypart { break; } fileinto "x"; break; } fileinto "y";') == ["x", "y"]


def test_what_is_changed_meanwhile_leaves_the_loop_as_it_is() -> None:
    assert filed(f'foreverypart {{ addheader "X-New" "a long value"; {TELL} }}')[-1] == "six"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('require "foreverypart"; break;', 'must stand in a "foreverypart"'),
        ('require "foreverypart"; foreverypart { break :name "x"; }', 'whose name is "x"'),
        ('require "foreverypart"; foreverypart;', "followed by a block"),
        ('require "foreverypart";' + "foreverypart { " * 5 + "} " * 5, "nested 4 deep"),
        ("foreverypart { }", 'needs require "foreverypart"'),
        ('require "mime"; if exists :anychild "x" {}', ":anychild needs :mime"),
        ('require "mime"; if header :type "x" "y" {}', ":type needs :mime"),
        ('require "mime"; if header :mime :type :subtype "x" "y" {}', "cannot both be"),
        ('require "mime"; if exists :mime :type "x" {}', "knows no :type"),
        ('if header :mime "x" "y" {}', 'needs require "mime"'),
        ('if address "content-from" "y" {}', "not a field that holds addresses"),
    ],
)
def test_what_is_refused(script: str, said: str) -> None:
    assert said in refusal(script)


def nested(depth: int) -> bytes:
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(depth)
    )
    return head + b"Content-Type: text/plain\r\n\r\nx"


MANY = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\nX-A: 1\r\n\r\nx\r\n" * 10_000
    + b"--b--\r\n"
)
LOOPS = "foreverypart { " * 4 + 'if header :mime :anychild "x-a" "2" { stop; }' + " }" * 4


@pytest.mark.parametrize("message", [MANY, nested(2_000), b"", b"Content-Type: multipart/mixed; boundary=b"])
def test_what_is_hostile_ends_soon(message: bytes) -> None:
    begun = time.perf_counter()
    ended = outcome(f'require ["mime", "foreverypart"]; {LOOPS}', message)
    again = outcome(
        'require ["mime", "foreverypart"]; foreverypart { if exists :mime :anychild "q" {} }', message
    )
    assert time.perf_counter() - begun < 2.0 * slowness()
    for fault in (ended.fault, again.fault):
        assert fault == "" or "compares more than" in fault or "takes more than" in fault


def test_loops_in_one_another_are_counted_over_included_scripts() -> None:
    """RFC 5703 §3: scripts that loop, each in the loop of the one before."""

    def script(question: object) -> Script:
        assert isinstance(question, Included)
        after = int(question.name) + 1
        loop = f'require ["foreverypart", "include"]; foreverypart {{ include "{after}"; }}'
        return compile_script(loop.encode() if after <= SIEVE_LOOPS + 1 else b"")

    nested = b"Content-Type: message/rfc822\r\n\r\n" * (SIEVE_LOOPS + 3) + b"\r\nend"
    ended = outcome('require "include"; include "0";', nested, script)
    assert ended.fault == f'line 1 of "{SIEVE_LOOPS}": "foreverypart" can be nested {SIEVE_LOOPS} deep'


def test_a_tree_full_of_parameters_takes_no_longer_than_another() -> None:
    """Of 900 parts, each with 200 pieces of parameters, every loop looks into all: what that costs is counted."""
    pieces = b"; ".join(b"p%d*%d=x" % (name, number) for number in range(40) for name in range(5))
    part = b"--z\r\nContent-Type: text/plain; " + pieces + b"\r\n\r\n\r\n"
    letter = b"Content-Type: multipart/mixed; boundary=z\r\n\r\n" + part * 900
    script = (
        'require ["foreverypart", "body"]; foreverypart { if body :content "" :matches "*a*b*c" { stop; } }'
    )
    begun = time.process_time()
    ended = outcome(script, letter)
    assert "compares more than" in ended.fault
    assert time.process_time() - begun < slowness()  # a sixth of that; two seconds when it is not counted
