"""The tests of the base language (RFC 5228 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.message.mailboxes import Mailbox
from posthouse.sieve.addresses import ADDRESS_FIELDS, ALL, mailboxes_in, part_of_path, parts_of
from posthouse.sieve.tables import Argument, Asking, Call, Kind, Spec, Step, Tag, Tests

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_ADDRESSES: Final = 30
"""What reading an octet of a list of addresses costs, counted in characters looked at."""
_PARTS: Final = 200
"""What taking one of them apart costs."""
KEYS: Final = Argument("keys", Kind.STRINGS)
"""The last argument of most tests that compare: what is looked for."""


def _true(call: Call, machine: Machine) -> bool:
    return True


def _false(call: Call, machine: Machine) -> bool:
    return False


def _not(call: Call, machine: Machine) -> Asking:
    return not (yield from machine.test(call.tests[0]))


def _allof(call: Call, machine: Machine) -> Asking:
    for test in call.tests:  # no more of them than it takes (RFC 5229 §3.2)
        if not (yield from machine.test(test)):
            return False
    return True


def _anyof(call: Call, machine: Machine) -> Asking:
    for test in call.tests:
        if (yield from machine.test(test)):
            return True
    return False


def _exists(call: Call, machine: Machine) -> bool:
    return all(machine.fields(call, name) for name in machine.texts(call, "headers"))


def _header(call: Call, machine: Machine) -> Step:
    """RFC 5228 §5.7: without white space at either end."""
    names = machine.texts(call, "headers")
    return machine.match(call, [machine.decoded(raw) for name in names for raw in machine.fields(call, name)])


class _Mailboxes:
    """Those of fields, read once in a run."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[Mailbox]] = {}

    def of(self, machine: Machine, raw: bytes) -> list[Mailbox]:
        """Those of a field's value."""
        found = self._known.get(raw)
        if found is None:
            machine.charge(_ADDRESSES * len(raw))
            found = self._known[raw] = mailboxes_in(raw)
        return found


def _address(call: Call, machine: Machine) -> Step:
    part = call.address_part or ALL
    found: list[str] = []
    for name in machine.texts(call, "headers"):
        if name.lower() in ADDRESS_FIELDS or call.has("mime"):  # RFC 5703 §4.2: any field
            for raw in machine.fields(call, name):
                mailboxes = machine.of(_Mailboxes).of(machine, raw)
                machine.charge(_PARTS * len(mailboxes))
                found += parts_of(mailboxes, part)
    return machine.match(call, found)


def _check_address(call: Call, checker: Checker) -> None:
    for name in call.constants("headers"):
        if name.lower() not in ADDRESS_FIELDS and not call.has("mime"):
            checker.fault(
                call.line, f'"{name}" is not a field that holds addresses; test "header" can look at it'
            )


def _size(call: Call, machine: Machine) -> bool:
    """RFC 5228 §5.9: a message of just that size is neither over nor under it."""
    size, limit = machine.facts.size, call.number("limit")
    return size > limit if call.has("over") else size < limit


def _check_size(call: Call, checker: Checker) -> None:
    if not call.tags:
        checker.fault(call.line, '"size" needs :over or :under')


def _envelope(call: Call, machine: Machine) -> Step:
    part = call.address_part or ALL
    found: list[str] = []
    for name in machine.texts(call, "parts"):
        for value in machine.envelope(name.lower()):
            text = part_of_path(value, part)
            if text is not None and not (call.counts and not value):  # RFC 5231 §4.2: `<>` counts for nothing
                found.append(text)
    return machine.match(call, found)


def _check_envelope(call: Call, checker: Checker) -> None:
    known = checker.envelope_parts
    for name in call.constants("parts"):
        if name.lower() not in known:
            checker.fault(
                call.line, f'"envelope" knows nothing of "{name[:40]}"; it knows {", ".join(sorted(known))}'
            )


HEADERS: Final = Argument("headers", Kind.STRINGS)
_SIZE: Final = frozenset({"size"})

BASE_TESTS: Final = (
    Spec(name="true", run=_true),
    Spec(name="false", run=_false),
    Spec(name="not", run=_not, tests=Tests.ONE),
    Spec(name="allof", run=_allof, tests=Tests.SOME),
    Spec(name="anyof", run=_anyof, tests=Tests.SOME),
    Spec(name="exists", run=_exists, arguments=(HEADERS,)),
    Spec(name="header", run=_header, arguments=(HEADERS, KEYS), matches=True),
    Spec(
        name="address",
        run=_address,
        arguments=(HEADERS, KEYS),
        matches=True,
        address_part=True,
        check=_check_address,
    ),
    Spec(name="size", run=_size, arguments=(Argument("limit", Kind.NUMBER),), check=_check_size),
)
ENVELOPE: Final = Spec(
    name="envelope",
    run=_envelope,
    arguments=(Argument("parts", Kind.STRINGS), KEYS),
    matches=True,
    address_part=True,
    check=_check_envelope,
)
BASE_TAGS: Final = (
    Tag(name="over", on=_SIZE, group="relation"),
    Tag(name="under", on=_SIZE, group="relation"),
)
