"""METHODS: every method there is, in one literal table. Adding a method is adding a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from posthouse.jmap import core
from posthouse.jmap.capabilities import CORE
from posthouse.jmap.method import Method

METHODS: Final[Mapping[str, Method]] = {
    "Core/echo": Method(capability=CORE, arguments=None, run=core.echo),
}
