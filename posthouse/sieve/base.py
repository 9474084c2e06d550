"""The commands of the base language (RFC 5228 §3, §4), and what else needs no `require`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.sieve.actions import Discard, Keep, Redirect
from posthouse.sieve.addresses import ADDRESS_PARTS, outbound_address
from posthouse.sieve.base_tests import BASE_TAGS, BASE_TESTS
from posthouse.sieve.comparators import ASCII_CASEMAP, OCTET
from posthouse.sieve.faults import Fault
from posthouse.sieve.flow import Stop
from posthouse.sieve.matching import CONTAINS, IS, MATCHES
from posthouse.sieve.tables import Argument, Asking, Call, Extension, Kind, Spec, Tests

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_AFTER_IF: Final = frozenset({"if", "elsif"})


def _if(call: Call, machine: Machine) -> Asking:
    frame = machine.frame
    taken = yield from machine.test(call.tests[0])
    if taken:
        yield from machine.block(call.block)
    frame.taken = taken  # after the block, which has its own
    return None


def _elsif(call: Call, machine: Machine) -> Asking:
    if not machine.frame.taken:
        yield from _if(call, machine)
    return None


def _else(call: Call, machine: Machine) -> Asking:
    if not machine.frame.taken:
        yield from machine.block(call.block)
    return None


def _require(call: Call, machine: Machine) -> None:
    """Done when the script was compiled."""


def _stop(call: Call, machine: Machine) -> None:
    raise Stop


def _keep(call: Call, machine: Machine) -> None:
    machine.add(call, Keep(line=call.line))


def _discard(call: Call, machine: Machine) -> None:
    machine.add(call, Discard(line=call.line))


def _redirect(call: Call, machine: Machine) -> None:
    text = machine.text(call, "address")
    address = outbound_address(text)
    if address is None:
        raise Fault(call.line, f'"{text[:80]}" is not an address that mail can be sent to')
    machine.add(call, Redirect(line=call.line, address=address))


def _check_redirect(call: Call, checker: Checker) -> None:
    text = call.constant("address")
    if text is not None and outbound_address(text) is None:
        checker.fault(call.line, f'"{text[:80]}" is not an address that mail can be sent to')


BASE: Final = Extension(
    capabilities=(),
    commands=(
        Spec(name="if", run=_if, tests=Tests.ONE, block=True),
        Spec(name="elsif", run=_elsif, tests=Tests.ONE, block=True, after=_AFTER_IF),
        Spec(name="else", run=_else, block=True, after=_AFTER_IF),
        Spec(name="require", run=_require, arguments=(Argument("capabilities", Kind.STRINGS),)),
        Spec(name="stop", run=_stop),
        Spec(name="keep", run=_keep),
        Spec(name="discard", run=_discard),
        Spec(name="redirect", run=_redirect, arguments=(Argument("address"),), check=_check_redirect),
    ),
    tests=BASE_TESTS,
    tags=BASE_TAGS,
    match_types=(IS, CONTAINS, MATCHES),
    comparators=(ASCII_CASEMAP, OCTET),
    address_parts=ADDRESS_PARTS,
)
"""Its rows have no capability: nobody has to require them."""
