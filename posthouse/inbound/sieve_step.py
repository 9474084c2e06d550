"""A step of a running script: who drives one may take each in a thread."""

from __future__ import annotations

from collections.abc import Generator

from posthouse.sieve.actions import Outcome
from posthouse.sieve.faults import SieveError
from posthouse.sieve.questions import Question


class Step:
    """One step of a run: to its next question, or to its end."""

    def __init__(
        self, running: Generator[Question, object, Outcome], answer: object, fault: SieveError | None
    ) -> None:
        self._running = running
        self._answer = answer
        self._fault = fault

    def __call__(self) -> Question | Outcome:
        try:
            if self._fault is not None:
                return self._running.throw(self._fault)
            return self._running.send(self._answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
