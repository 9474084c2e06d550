"""`duplicate` (RFC 7352): whether a message was seen before, by an id that the script chooses.

Ids are remembered as digests, so that nobody can read what came.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_DUPLICATE_SECONDS, SIEVE_DUPLICATES
from posthouse.sieve.faults import Fault
from posthouse.sieve.questions import Seen
from posthouse.sieve.tables import Asking, Call, Extension, Kind, Spec, Tag

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_ON: Final = frozenset({"duplicate"})
_USUAL: Final = 7 * 86_400
"""RFC 7352 §3.3: seconds after which an id is usually forgotten."""
_FIELD_NAME: Final = re.compile(r"[!-9;-~]+")


class _Asked:
    """What was found out in this run: every test of one id has the same result (RFC 7352 §3)."""

    def __init__(self) -> None:
        self.seen: dict[bytes, bool] = {}


def _duplicate(call: Call, machine: Machine) -> Asking:
    seconds = min(call.number("seconds", _USUAL), SIEVE_DUPLICATE_SECONDS)
    text = _unique_id(call, machine)
    if text is None or not seconds:
        return False
    unique_id = _digest(machine.text(call, "handle") if call.has("handle") else None, text)
    asked = machine.of(_Asked).seen
    if unique_id not in asked:
        if len(asked) >= SIEVE_DUPLICATES:
            raise Fault(call.line, f"one run may look for {SIEVE_DUPLICATES} duplicates at most")
        asked[unique_id] = bool((yield Seen(unique_id)))
    seen = asked[unique_id]
    if not seen or call.has("last"):  # RFC 7352 §3.3: with :last, the time begins anew
        machine.remember = [kept for kept in machine.remember if kept[0] != unique_id]
        machine.remember.append((unique_id, seconds))
    return seen


def _unique_id(call: Call, machine: Machine) -> str | None:
    """RFC 7352 §3.1; None: the message has none."""
    if call.has("uniqueid"):
        return machine.text(call, "uniqueid")
    name = machine.text(call, "header", "message-id")
    found = machine.headers.all(name)[:1] if _FIELD_NAME.fullmatch(name) else []
    return machine.decoded(found[0]) if found else None


def _digest(handle: str | None, text: str) -> bytes:
    """RFC 7352 §3.2: ids of different handles, or of none, have nothing to do with each other."""
    said = b"" if handle is None else handle.encode("utf-8", "surrogatepass")
    told = b"%d %b %b" % (-1 if handle is None else len(said), said, text.encode("utf-8", "surrogatepass"))
    return hashlib.blake2b(told, digest_size=16).digest()


EXTENSION: Final = Extension(
    capabilities=("duplicate",),
    tests=(Spec(name="duplicate", run=_duplicate),),
    tags=(
        Tag(name="handle", on=_ON, kind=Kind.STRING),
        Tag(name="header", on=_ON, kind=Kind.STRING, group="unique id"),
        Tag(name="uniqueid", on=_ON, kind=Kind.STRING, group="unique id"),
        Tag(name="seconds", on=_ON, kind=Kind.NUMBER),
        Tag(name="last", on=_ON),
    ),
)
