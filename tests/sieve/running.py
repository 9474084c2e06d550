"""Runs a script in a test: `outcome`, `actions`, `refusal`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from posthouse.message.headers import Headers
from posthouse.sieve.actions import Action, Outcome
from posthouse.sieve.facts import Facts
from posthouse.sieve.faults import SieveError
from posthouse.sieve.questions import Question
from posthouse.sieve.run import run
from posthouse.sieve.validate import compile_script

MESSAGE = (
    b"From: Wile Coyote <coyote@desert.example.org>\r\n"
    b"To: roadrunner@acme.example.com\r\n"
    b"Subject: I have a present for you\r\n"
    b"Date: Tue, 1 Apr 1997 09:06:31 -0800\r\n"
    b"\r\n"
    b"Look, I'm sorry about the whole anvil thing.\r\n"
)

Answer = Callable[[Question], object]


def nobody_asks(question: Question) -> object:
    """The answer of tests in which nothing is asked."""
    raise AssertionError(f"asked {question}")


def outcome(script: str, message: bytes = MESSAGE, answer: Answer = nobody_asks, **facts: Any) -> Outcome:
    """What a script wants. `facts`: fields of `Facts` other than the message."""
    known: dict[str, Any] = {
        "headers": Headers.scan(message),
        "content": message,
        "size": len(message),
        "sender": "coyote@desert.example.org",
        "recipient": "roadrunner+news@acme.example.com",
        "address": "roadrunner@acme.example.com",
        **facts,
    }
    running = run(compile_script(script.encode()), Facts(**known))
    try:
        question = next(running)
        while True:
            question = running.send(answer(question))
    except StopIteration as end:
        assert isinstance(end.value, Outcome)
        return end.value


def actions(
    script: str, message: bytes = MESSAGE, answer: Answer = nobody_asks, **facts: Any
) -> tuple[Action, ...]:
    """The actions of a script that runs without a fault."""
    found = outcome(script, message, answer, **facts)
    assert found.fault == ""
    return found.actions


def holds(
    test: str, message: bytes = MESSAGE, answer: Answer = nobody_asks, *, require: str = "", **facts: Any
) -> bool:
    """Whether a test is true. `require`: extensions, parted by spaces."""
    names = ", ".join(f'"{name}"' for name in require.split())
    script = f"require [{names}];" if names else ""
    found = actions(f"{script} if {test} {{ discard; }}", message, answer, **facts)
    return type(found[0]).__name__ == "Discard"


def refusal(script: str) -> str:
    """What is said of a script that cannot be compiled; empty: it can."""
    try:
        compile_script(script.encode())
    except SieveError as error:
        return error.public
    return ""
