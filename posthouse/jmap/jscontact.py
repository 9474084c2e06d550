"""Reading a Card of RFC 9553 whose parts may have any shape: what is not as it should be is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

Object = dict[str, Any]

VENDOR: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*:[A-Za-z0-9_:.-]{1,200}")
"""The name of a vendor's own property (RFC 9553 §1.8.1)."""
UNTOLD: Final = ("speakToAs", "localizations")
"""Properties of a Card for which we know no vCard property."""


def objects(value: object) -> list[Object]:
    """The objects of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def entries(card: Object, where: str) -> list[Object]:
    """The objects that a card lists by id (RFC 9553 §1.4.1)."""
    listed = card.get(where)
    return [each for each in listed.values() if isinstance(each, dict)] if isinstance(listed, dict) else []


def marks(value: object) -> list[str]:
    """The members of a set (RFC 9553 §1.4.1: keys whose value is true)."""
    return [name for name, held in value.items() if held is True] if isinstance(value, dict) else []


def name_parts(card: Object, kind: str = "") -> Iterator[str]:
    """The values of the name's components, of one kind or all."""
    name = card.get("name")
    for part in objects(name.get("components")) if isinstance(name, dict) else ():
        if not kind or part.get("kind") == kind:
            yield str(part.get("value", ""))


def full_name(card: Object) -> str:
    """The name as one says it: `full`, else its components in order (RFC 9553 §2.2.1)."""
    name = card.get("name")
    if isinstance(name, dict) and isinstance(name.get("full"), str) and name["full"]:
        return str(name["full"])
    return " ".join(name_parts(card))
