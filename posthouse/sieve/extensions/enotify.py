"""`notify` (RFC 5435) by mail (RFC 5436), and what goes with it: two tests and the modifier `:encodeurl`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from posthouse.limits import SIEVE_NOTICES
from posthouse.sieve.actions import Action, Notify
from posthouse.sieve.addresses import outbound_address
from posthouse.sieve.base_tests import KEYS
from posthouse.sieve.extensions.variables import modifier
from posthouse.sieve.faults import Fault
from posthouse.sieve.mailto import parse_mailto
from posthouse.sieve.tables import Argument, Call, Extension, Kind, Spec, Step, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_ON: Final = frozenset({"notify"})
_IMPORTANCE: Final = {"1": 1, "2": 2, "3": 3}
_USUAL: Final = "2"
_OPTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-_]*+=[^\x00\r\n]*+")
"""RFC 5435 §3.5."""


def _notify(call: Call, machine: Machine) -> None:
    method = machine.text(call, "method")
    sender = machine.text(call, "from")
    importance = machine.text(call, "importance", _USUAL)
    options = machine.texts(call, "options")
    # RFC 5435 §3.2: an error when it is reached, so that `valid_notify_method` can go before.
    wrong = "" if parse_mailto(method) is not None else f'"{method[:80]}" is no way to tell somebody'
    wrong = wrong or _wrong_sender(sender) or _wrong_importance(importance) or _wrong_option(options)
    if wrong:
        raise Fault(call.line, wrong)
    action = Notify(
        line=call.line,
        method=method,
        message=machine.text(call, "message"),
        importance=_IMPORTANCE[importance],
        from_address=sender,
        options=tuple(options),
    )
    machine.add(call, action)


def _check_notify(call: Call, checker: Checker) -> None:
    wrong = (
        _wrong_sender(call.constant("from") or "")
        or _wrong_importance(call.constant("importance") or _USUAL)
        or _wrong_option(call.constants("options"))
    )
    if wrong:
        checker.fault(call.line, wrong)


def _wrong_sender(sender: str) -> str:
    """RFC 5436 §2.3."""
    good = not sender or outbound_address(sender) is not None
    return "" if good else f'"{sender[:80]}" is not an address'


def _wrong_importance(importance: str) -> str:
    return "" if importance in _IMPORTANCE else ':importance must be followed by "1", "2" or "3"'


def _wrong_option(options: list[str]) -> str:
    for option in options:
        if _OPTION.fullmatch(option) is None:
            return f'"{option[:60]}" is not an option such as "name=value"'
    return ""


def _valid_notify_method(call: Call, machine: Machine) -> bool:
    return all(parse_mailto(uri) is not None for uri in machine.texts(call, "uris"))


def _notify_method_capability(call: Call, machine: Machine) -> Step:
    """RFC 5435 §5, RFC 5436 §2.2: nobody knows who reads mail now."""
    known = machine.text(call, "capability").lower() == "online"
    valid = parse_mailto(machine.text(call, "uri")) is not None
    return machine.match(call, ["maybe"] if known and valid else [])


def _guard(machine: Machine, action: Action) -> None:
    if isinstance(action, Notify):
        told = sum(isinstance(other, Notify) for other in machine.actions)
        if told >= SIEVE_NOTICES:
            raise Fault(action.line, f"one message may lead to {SIEVE_NOTICES} notices at most")


def _encode_url(text: str) -> str:
    """RFC 5435 §6: all octets of UTF-8 but the unreserved."""
    return quote(text, safe="", errors="replace")


EXTENSION: Final = Extension(
    capabilities=("enotify",),
    commands=(
        Spec(name="notify", run=_notify, arguments=(Argument("method"),), keeps=True, check=_check_notify),
    ),
    tests=(
        Spec(
            name="valid_notify_method",
            run=_valid_notify_method,
            arguments=(Argument("uris", Kind.STRINGS),),
        ),
        Spec(
            name="notify_method_capability",
            run=_notify_method_capability,
            arguments=(Argument("uri"), Argument("capability"), KEYS),
            matches=True,
        ),
    ),
    tags=(
        Tag(name="from", on=_ON, kind=Kind.STRING),
        Tag(name="importance", on=_ON, kind=Kind.STRING),
        Tag(name="options", on=_ON, kind=Kind.STRINGS),
        Tag(name="message", on=_ON, kind=Kind.STRING),
        modifier("encodeurl", 15, _encode_url),
    ),
    guard=_guard,
)
