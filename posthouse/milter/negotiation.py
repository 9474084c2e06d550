"""The first words: what may be done and what need not be said. The server offers, the filter takes a part of it.

What a filter takes without being offered it is refused: it would expect what never comes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.errors import RemoteProtocolError
from posthouse.milter.packets import (
    VERSION,
    VERSION_LEAST,
    Action,
    Ask,
    Packet,
    Steps,
    packet,
    split,
)

_NUMBER: Final = 4
_HEAD: Final = 3 * _NUMBER

_ACTIONS: Final = sum(Action)
_STEPS: Final = sum(Steps)

STAGES: Final = (Ask.CONNECT, Ask.HELO, Ask.MAIL, Ask.RCPT, Ask.DATA, Ask.END_OF_BODY, Ask.END_OF_HEADER)
"""The stages that macros go with, as a filter numbers them when it chooses some."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a connection."""

    actions: Action
    steps: Steps
    macros: dict[Ask, frozenset[str]] = {}
    """The macros that the filter wants at a stage; no entry: what there is."""


def offer() -> bytes:
    """What we say first."""
    return packet(Ask.NEGOTIATE, _numbers(VERSION, _ACTIONS, _STEPS))


def agree(answer: Packet) -> Agreement:
    """What the filter says to it. Raises RemoteProtocolError."""
    data = answer.data
    if answer.code != Ask.NEGOTIATE.value or len(data) < _HEAD:
        raise RemoteProtocolError("it does not negotiate")
    version, actions, steps = (int.from_bytes(data[at : at + _NUMBER], "big") for at in (0, 4, 8))
    if not VERSION_LEAST <= version <= VERSION:
        raise RemoteProtocolError(f"it speaks version {version}")
    if actions & ~_ACTIONS or steps & ~_STEPS:
        raise RemoteProtocolError("it takes what was not offered")
    return Agreement(actions=Action(actions), steps=Steps(steps), macros=_chosen(data[_HEAD:]))


def _chosen(data: bytes) -> dict[Ask, frozenset[str]]:
    """(stage, names parted by spaces, NUL) …"""
    chosen = {}
    while data:
        stage = int.from_bytes(data[:_NUMBER], "big")
        names, end, data = data[_NUMBER:].partition(b"\0")
        if not end or stage >= len(STAGES):
            raise RemoteProtocolError("it chooses macros of no stage")
        words = split(names + b"\0")[0].decode("utf-8", "replace").split()
        chosen[STAGES[stage]] = frozenset(word.strip("{}") for word in words)
    return chosen


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(_NUMBER, "big") for value in values)
