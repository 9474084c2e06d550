"""`:regex` and `:quoteregex` (draft-ietf-sieve-regex): extended regular expressions, as POSIX defines them.

A character is one of Unicode, whatever the comparator; `i;ascii-casemap` makes letters of ASCII match in any case.
The text is one line: `.` matches all characters, `^` and `$` its two ends. How it is matched tells `sieve/ere.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.limits import SIEVE_MATCH_VARIABLES
from posthouse.sieve.ere import Matcher, Program, refuse_large
from posthouse.sieve.ere_groups import groups
from posthouse.sieve.ere_syntax import EreError, quoted, read_expression
from posthouse.sieve.extensions.variables import modifier
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Extension, Match, MatchType

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_READING: Final = 300
"""What reading a character of an expression costs, counted in characters looked at."""


class _Matchers:
    """The expressions of this run that were made ready."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, bool], Matcher] = {}


def _regex(match: Match, machine: Machine) -> bool:
    fold = match.how.comparator.name == "i;ascii-casemap"
    wanted = "variables" in machine.frame.script.requires
    machine.spend(match)
    for key in match.keys:
        matcher = _matcher(key, fold, match.line, machine)
        for value in match.values:
            if not wanted:
                if matcher.found(value):
                    return True
                continue
            found = groups(matcher, value, SIEVE_MATCH_VARIABLES)
            if found is not None:
                machine.matched(found)
                return True
    return False


def _matcher(key: str, fold: bool, line: int, machine: Machine) -> Matcher:
    known = machine.of(_Matchers).known
    matcher = known.get((key, fold))
    if matcher is None:
        machine.charge(_READING * len(key))
        try:
            matcher = Matcher(Program(read_expression(key), fold=fold), machine.charge)
        except EreError as error:
            raise Fault(line, _told(key, error)) from None
        machine.charge(_READING * len(matcher.program.onward))
        known[key, fold] = matcher
    return matcher


def _check(key: str) -> str:
    try:
        refuse_large(read_expression(key))
    except EreError as error:
        return _told(key, error)
    return ""


def _told(key: str, error: EreError) -> str:
    return f'"{key[:60]}" is not a regular expression that can be used: {error}'


EXTENSION: Final = Extension(
    capabilities=("regex",),
    match_types=(
        MatchType(
            name="regex",
            find=_regex,
            check_key=_check,
            comparators=frozenset({"i;octet", "i;ascii-casemap"}),
        ),
    ),
    tags=(modifier("quoteregex", 20, quoted),),
)
