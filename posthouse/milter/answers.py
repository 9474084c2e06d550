"""What a filter says: go on, the end of it, or a change to the message (only once the whole of it was shown).

Whatever is not understood is an error, never taken for "go on": a filter that wanted to refuse must not be read as one
that accepts. A reply of a filter's own is of class 4 or 5, or no reply.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Final

import msgspec

from posthouse.errors import RemoteProtocolError
from posthouse.limits import SMTP_REPLY_LINES
from posthouse.milter.packets import Action, Packet, split


class Kind(enum.Enum):
    """What becomes of a message, or of a recipient."""

    CONTINUE = b"c"
    ACCEPT = b"a"
    """This filter need see no more of it."""
    DISCARD = b"d"
    """Taken, and thrown away."""
    REJECT = b"r"
    TEMPFAIL = b"t"
    SKIP = b"s"
    """It has heard enough of the body."""
    PROGRESS = b"p"
    """It is still at work."""


class Answer(msgspec.Struct, frozen=True):
    """One answer. A refusal may bring its own codes and words."""

    kind: Kind
    code: int = 0
    enhanced: str = ""
    words: str = ""

    @property
    def refuses(self) -> bool:
        """Whether it is a refusal."""
        return self.kind in (Kind.REJECT, Kind.TEMPFAIL)


class AddHeader(msgspec.Struct, frozen=True):
    """A field behind the others."""

    name: bytes
    value: bytes


class InsertHeader(msgspec.Struct, frozen=True):
    """A field before the `index`-th, counted from 1; 0 is on top too."""

    index: int
    name: bytes
    value: bytes


class ChangeHeader(msgspec.Struct, frozen=True):
    """The `index`-th field of that name gets another value; an empty one removes it."""

    index: int
    name: bytes
    value: bytes


class ReplaceBody(msgspec.Struct, frozen=True):
    """A piece of the new body: all pieces together are it."""

    octets: bytes


class AddRecipient(msgspec.Struct, frozen=True):
    """One more recipient."""

    address: str


class DeleteRecipient(msgspec.Struct, frozen=True):
    """One recipient less."""

    address: str


class ChangeSender(msgspec.Struct, frozen=True):
    """Another reverse-path."""

    address: str


class Quarantine(msgspec.Struct, frozen=True):
    """It is to be kept apart."""

    reason: str


Change = (
    AddHeader
    | InsertHeader
    | ChangeHeader
    | ReplaceBody
    | AddRecipient
    | DeleteRecipient
    | ChangeSender
    | Quarantine
)

_INDEX: Final = 4
_NAME: Final = re.compile(rb"[!-9;-~]{1,255}")
_REPLY_CODE: Final = b"y"
_ENDS_HERE: Final = {b"4": Kind.TEMPFAIL, b"f": Kind.TEMPFAIL}
"""It goes away, or wants no more of this peer: no judgement on the message, which comes again."""
_REPLY: Final = re.compile(r"([45]\d\d)(?:([ -])(?:(\d\.\d{1,3}\.\d{1,3})(?: |$))?(.*))?", re.ASCII)


def read_answer(packet: Packet) -> Answer:
    """An answer to any stage. Raises RemoteProtocolError for what is none."""
    if packet.code == _REPLY_CODE:
        return _own_reply(_words(packet.data)[0])
    try:
        return Answer(_ENDS_HERE.get(packet.code) or Kind(packet.code))
    except ValueError:
        raise RemoteProtocolError(f"the answer {packet.code!r}") from None


def read_change(packet: Packet, allowed: Action) -> Change | None:
    """A change to the message; None: the packet is none. Raises RemoteProtocolError for what was not agreed."""
    found = _CHANGES.get(packet.code)
    if found is None:
        return None
    action, read = found
    if not action & allowed:
        raise RemoteProtocolError("a change that was not agreed on")
    return read(packet.data)


def _own_reply(words: str) -> Answer:
    """ "550 5.7.1 no" or several lines; the percent sign stands twice (the manual page of smfi_setreply)."""
    lines = [_REPLY.fullmatch(line) for line in words.replace("%%", "%").splitlines()[:SMTP_REPLY_LINES]]
    first = lines[0] if lines else None
    if first is None or None in lines:
        raise RemoteProtocolError("a reply that is none")
    code = int(first[1])
    enhanced = first[3] or ""
    if enhanced[:1] not in ("", str(code // 100)):
        enhanced = ""
    said = "\n".join((line[4] or "").strip() for line in lines if line is not None)
    return Answer(Kind.TEMPFAIL if code < 500 else Kind.REJECT, code, enhanced, said)


def _words(data: bytes) -> list[str]:
    return [word.decode("utf-8", "replace") for word in split(data)]


def _field(data: bytes) -> tuple[bytes, bytes]:
    words = split(data)
    if len(words) != 2 or not _NAME.fullmatch(words[0]):
        raise RemoteProtocolError("a header field that is none")
    return words[0], words[1]


def _index(data: bytes) -> tuple[int, bytes]:
    return int.from_bytes(data[:_INDEX], "big"), data[_INDEX:]


def _add_header(data: bytes) -> Change:
    return AddHeader(*_field(data))


def _insert_header(data: bytes) -> Change:
    index, rest = _index(data)
    return InsertHeader(index, *_field(rest))


def _change_header(data: bytes) -> Change:
    index, rest = _index(data)
    return ChangeHeader(index, *_field(rest))


def _add_recipient(data: bytes) -> Change:
    # Parameters behind the address are of DSN: nobody is told of a recipient whom the sender did not name.
    return AddRecipient(_path(data))


def _delete_recipient(data: bytes) -> Change:
    return DeleteRecipient(_path(data))


def _change_sender(data: bytes) -> Change:
    return ChangeSender(_path(data))


def _quarantine(data: bytes) -> Change:
    return Quarantine(_words(data)[0])


def _path(data: bytes) -> str:
    try:
        return split(data)[0].decode().strip().removeprefix("<").removesuffix(">")
    except UnicodeDecodeError:
        raise RemoteProtocolError("an address that is no text") from None


_CHANGES: Final[dict[bytes, tuple[Action, Callable[[bytes], Change]]]] = {
    b"h": (Action.ADD_HEADER, _add_header),
    # Sendmail's filters insert with either right.
    b"i": (Action.ADD_HEADER | Action.CHANGE_HEADER, _insert_header),
    b"m": (Action.CHANGE_HEADER, _change_header),
    b"b": (Action.CHANGE_BODY, ReplaceBody),
    b"+": (Action.ADD_RECIPIENT, _add_recipient),
    b"2": (Action.ADD_RECIPIENT_WITH_PARAMETERS, _add_recipient),
    b"-": (Action.DELETE_RECIPIENT, _delete_recipient),
    b"e": (Action.CHANGE_SENDER, _change_sender),
    b"q": (Action.QUARANTINE, _quarantine),
}
