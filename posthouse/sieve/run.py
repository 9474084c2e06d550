"""Runs a script over a message: `run`, a generator.

It yields a `Question` whenever something must be asked, is sent the answer, and returns an `Outcome`. Who drives it may
wait as long as it takes between the two. Whatever a script or a message does, it ends soon (the limits SIEVE_… of
`limits.py`) and with an `Outcome`: a fault on the way gives the message back as if there were no script.
"""

from __future__ import annotations

from collections.abc import Generator

from posthouse.sieve.actions import Keep, Outcome
from posthouse.sieve.facts import Facts
from posthouse.sieve.faults import Fault, SieveError
from posthouse.sieve.flow import Return, Stop
from posthouse.sieve.language import LANGUAGE
from posthouse.sieve.machine import Machine
from posthouse.sieve.questions import Question
from posthouse.sieve.tables import Script


def run(script: Script, facts: Facts, *, briefly: bool = False) -> Generator[Question, object, Outcome]:
    """What the script wants done with the message.

    `briefly`: only if that takes a few milliseconds; else `Unfinished`, and who drives it begins anew where it may
    take longer.
    """
    machine = Machine(script, facts, LANGUAGE, briefly=briefly)
    try:
        try:
            yield from machine.block(script.commands)
        except (Stop, Return):
            pass
        return machine.outcome()
    except Fault as fault:
        # RFC 5228 §2.10.6: the owner is told, and the message is kept.
        fault.script = fault.script or machine.frame.name
        return Outcome(actions=(Keep(),), fault=str(fault))
    except SieveError as error:  # of a script that was to be included
        return Outcome(actions=(Keep(),), fault=error.public)
