"""`body` (RFC 5173): looks for text in the body of a message, as it stands, in parts of some type, or in all its text.

Of all that could be looked at, the first SIEVE_BODY octets are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_BODY
from posthouse.message.html import html_text
from posthouse.message.mime import Part, below
from posthouse.sieve.base_tests import KEYS
from posthouse.sieve.parts import root_part, text_within
from posthouse.sieve.tables import Asking, Call, Extension, Kind, Spec, Tag

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_ON: Final = frozenset({"body"})
_GROUP: Final = "transform"
_PART: Final = 3_000
"""What looking into a part costs, counted in characters looked at."""


def _body(call: Call, machine: Machine) -> Asking:
    values = list(_values(call, machine)) if _has_body(machine) else []
    before = machine.frame.matched
    found = yield from machine.matching(call, values)
    machine.frame.matched = before  # RFC 5173 §6: match variables are not set
    return found


def _has_body(machine: Machine) -> bool:
    """RFC 5173 §4: whether an empty line closes the header; without one, no `body` is true."""
    head = machine.content[: machine.headers.end]
    return head in {b"\n", b"\r\n"} or head.endswith((b"\n\n", b"\n\r\n"))


def _values(call: Call, machine: Machine) -> Iterator[str]:
    if call.has("raw"):
        start = machine.headers.end
        yield machine.content[start : start + SIEVE_BODY].decode("utf-8", "replace")
        return
    left = SIEVE_BODY
    types = [text.lower() for text in machine.texts(call, "content")]
    for part in below(root_part(machine)):
        if left <= 0:
            return
        machine.charge(_PART)
        if not call.has("content"):
            if part.type == "text":
                yield _visible(machine, part, left)
                left -= part.size
        elif any(_is_of(part, wanted) for wanted in types):
            for text in _content(machine, part, left):
                yield text
                left -= len(text)


def _visible(machine: Machine, part: Part, limit: int) -> str:
    text = text_within(machine, part, limit)
    return html_text(text) if part.subtype == "html" else text


def _is_of(part: Part, wanted: str) -> bool:
    """RFC 5173 §5.2: `text/plain`, `text`, or nothing, which is all."""
    if not wanted:
        return True
    type_, slash, subtype = wanted.partition("/")
    return part.type == type_ and (not slash or (bool(subtype) and part.subtype == subtype))


def _content(machine: Machine, part: Part, limit: int) -> list[str]:
    """RFC 5173 §5.2: what counts as the content of a part."""
    raw = machine.content
    if part.message is not None:
        return [_text(raw, part.message.header_start, part.message.body_start, limit)]
    if not part.children:
        return [text_within(machine, part, limit)]
    # Of a multipart, what stands before its first delimiter and behind its last.
    first, last = part.children[0].header_start, part.children[-1].body_end
    opening = raw.rfind(b"\n", part.body_start, max(first - 1, part.body_start)) + 1 or part.body_start
    closing = raw.find(b"\n--", last, part.body_end)
    behind = raw.find(b"\n", closing + 1, part.body_end) if closing >= 0 else -1
    epilogue = behind + 1 if behind >= 0 else part.body_end
    return [_text(raw, part.body_start, opening, limit), _text(raw, epilogue, part.body_end, limit)]


def _text(raw: bytes, start: int, end: int, limit: int) -> str:
    return raw[start : min(end, start + limit)].decode("utf-8", "replace")


EXTENSION: Final = Extension(
    capabilities=("body",),
    tests=(Spec(name="body", run=_body, arguments=(KEYS,), matches=True, reads_text=True),),
    tags=(
        Tag(name="raw", on=_ON, group=_GROUP),
        Tag(name="content", on=_ON, kind=Kind.STRINGS, group=_GROUP),
        Tag(name="text", on=_ON, group=_GROUP),
    ),
)
