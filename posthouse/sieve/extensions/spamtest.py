"""`spamtest`, `spamtestplus` and `virustest` (RFC 5235): what our own checks said of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.sieve.tables import Argument, Call, Extension, Spec, Step, Tag

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine


def _spamtest(call: Call, machine: Machine) -> Step:
    spam, percent = machine.facts.spam, machine.facts.spam_percent
    if call.has("percent"):
        return _compare(call, machine, max(percent, 0), tested=percent >= 0)
    return _compare(call, machine, spam, tested=spam > 0)


def _virustest(call: Call, machine: Machine) -> Step:
    return _compare(call, machine, machine.facts.virus, tested=machine.facts.virus > 0)


def _compare(call: Call, machine: Machine, score: int, *, tested: bool) -> Step:
    """RFC 5235 §3.1: what was not tested has a score, but counts as nothing."""
    return machine.match(call, [] if call.counts and not tested else [str(score)])


_VALUE: Final = (Argument("keys"),)

EXTENSION: Final = Extension(
    capabilities=("spamtest", "spamtestplus", "virustest"),
    tests=(
        Spec(
            name="spamtest",
            run=_spamtest,
            arguments=_VALUE,
            matches=True,
            capability="spamtest spamtestplus",
        ),
        Spec(name="virustest", run=_virustest, arguments=_VALUE, matches=True, capability="virustest"),
    ),
    tags=(Tag(name="percent", on=frozenset({"spamtest"}), capability="spamtestplus"),),
)
"""RFC 5235 §3.2: `:percent` needs `spamtestplus`; all else either of the two."""
