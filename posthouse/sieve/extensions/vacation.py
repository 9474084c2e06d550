"""`vacation` (RFC 5230): answer that one is away. To whom, and how the answer looks, delivery decides."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_VACATION_DAYS, VACATION_DAYS
from posthouse.sieve.actions import Action, Vacation
from posthouse.sieve.addresses import is_mailbox_list, outbound_address
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Argument, Call, Extension, Kind, Spec, Tag, Template

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

EITHER: Final = "vacation vacation-seconds"
"""RFC 6131 §2: who requires `vacation-seconds` need not require `vacation`."""
_ON: Final = frozenset({"vacation"})
_DAY: Final = 86_400
_SAID: Final = ("subject", "from", "mime", "reason")


def _vacation(call: Call, machine: Machine) -> None:
    sender = machine.text(call, "from")
    if sender and not is_mailbox_list(sender):
        raise Fault(call.line, f'"{sender[:80]}" cannot stand in From')
    action = Vacation(
        line=call.line,
        reason=machine.text(call, "reason"),
        seconds=_seconds(call),
        subject=machine.text(call, "subject"),
        from_address=sender,
        addresses=tuple(machine.texts(call, "addresses")),
        mime=call.has("mime"),
        handle=machine.text(call, "handle") or _handle(call),
    )
    machine.add(call, action)


def _seconds(call: Call) -> int:
    """RFC 5230 §4.1, RFC 6131 §2: what is out of bounds counts as the bound."""
    longest = SIEVE_VACATION_DAYS * _DAY
    if call.has("seconds"):
        return min(call.number("seconds"), longest)
    return min(max(call.number("days", VACATION_DAYS), 1) * _DAY, longest)


def _handle(call: Call) -> str:
    """RFC 5230 §4.2: what has variables in it is told apart by how it is written, not by what it says today."""
    said = tuple(call.values.get(name) for name in _SAID)
    if not any(isinstance(value, Template) for value in said):
        return ""
    written = repr(said).encode("utf-8", "surrogatepass")
    return f"as written: {hashlib.blake2b(written, digest_size=16).hexdigest()}"


def _check_vacation(call: Call, checker: Checker) -> None:
    sender = call.constant("from")
    if sender is not None and not is_mailbox_list(sender):
        checker.fault(call.line, f'"{sender[:80]}" cannot stand in From')
    for address in call.constants("addresses"):  # RFC 5228 §2.4.2.3
        if outbound_address(address) is None:
            checker.fault(call.line, f'"{address[:80]}" is not an address')
    reason = call.constant("reason")
    if call.has("mime") and reason is not None:
        header = reason.partition("\r\n\r\n")[0]
        if not header.isascii():  # RFC 5230 §5
            checker.fault(call.line, "the header of a MIME entity must be in ASCII")


def _guard(machine: Machine, action: Action) -> None:
    """RFC 5230 §4.7: once in a script. (`reject` refuses to go with it.)"""
    if isinstance(action, Vacation) and any(isinstance(other, Vacation) for other in machine.actions):
        raise Fault(action.line, "a message can be answered by one vacation only")


def _tag(name: str, kind: Kind | None, group: str = "") -> Tag:
    return Tag(name=name, on=_ON, kind=kind, capability=EITHER, group=group)


EXTENSION: Final = Extension(
    capabilities=("vacation",),
    commands=(
        Spec(
            name="vacation",
            run=_vacation,
            arguments=(Argument("reason"),),
            capability=EITHER,
            keeps=True,
            check=_check_vacation,
        ),
    ),
    tags=(
        _tag("days", Kind.NUMBER, group="period"),
        _tag("subject", Kind.STRING),
        _tag("from", Kind.STRING),
        _tag("addresses", Kind.STRINGS),
        _tag("mime", None),
        _tag("handle", Kind.STRING),
    ),
    guard=_guard,
)
