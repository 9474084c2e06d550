"""Annotations of mailboxes and of the server: tests of them, and whether they are there (RFC 5490 §3.3 to §4.2).

They are asked for as their owner sees them, private ones and shared ones alike.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from posthouse.sieve.base_tests import KEYS
from posthouse.sieve.questions import Metadata, Question
from posthouse.sieve.tables import Argument, Asking, Call, Extension, Kind, Spec

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_MAILBOX: Final = "mboxmetadata"
_SERVER: Final = "servermetadata"


def _asked(mailbox: str | None, name: str) -> Generator[Question, object, list[str]]:
    """The value, or none; `mailbox` None: of the server. A mailbox without a name has no annotations."""
    if mailbox == "":
        return []
    value = yield Metadata(mailbox or "", name)
    return [value] if isinstance(value, str) else []


def _compared(call: Call, machine: Machine) -> Asking:
    """RFC 5490 §3.3, §4.1: false where there is no such annotation."""
    mailbox = machine.text(call, "mailbox") if call.has("mailbox") else None
    values = yield from _asked(mailbox, machine.text(call, "annotation"))
    return (yield from machine.matching(call, values))


def _there(call: Call, machine: Machine) -> Asking:
    """RFC 5490 §3.4, §4.2: true if all of them have values."""
    mailbox = machine.text(call, "mailbox") if call.has("mailbox") else None
    for name in machine.texts(call, "annotations"):
        if not (yield from _asked(mailbox, name)):
            return False
    return True


_NAME: Final = Argument("annotation")
_NAMES: Final = Argument("annotations", Kind.STRINGS)
_OF: Final = Argument("mailbox")

EXTENSION: Final = Extension(
    capabilities=(_MAILBOX, _SERVER),
    tests=(
        Spec(name="metadata", run=_compared, arguments=(_OF, _NAME, KEYS), matches=True),
        Spec(name="metadataexists", run=_there, arguments=(_OF, _NAMES)),
        Spec(name="servermetadata", run=_compared, arguments=(_NAME, KEYS), matches=True, capability=_SERVER),
        Spec(name="servermetadataexists", run=_there, arguments=(_NAMES,), capability=_SERVER),
    ),
)
