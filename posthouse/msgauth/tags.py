"""Tag lists: `v=1; a=rsa-sha256; …`, the grammar of DKIM, ARC and DMARC (RFC 6376 §3.2)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from posthouse.limits import TAG_LIST, TAGS

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SPACE: Final = re.compile(r"[ \t\r\n]+")
_FOLD: Final = " \t\r\n"


class TagError(ValueError):
    """The list cannot be read; the text says why."""


def parse_tags(text: str) -> dict[str, str]:
    """Tag → value, outer white space removed, in order. Raises TagError for what RFC 6376 §3.2 forbids."""
    if len(text) > TAG_LIST:
        raise TagError("too long")
    items = text.split(";")
    if len(items) > TAGS:
        raise TagError("too many tags")
    tags: dict[str, str] = {}
    last = len(items) - 1
    for number, item in enumerate(items):
        if not item.strip(_FOLD):
            if number == last:
                break
            raise TagError("an empty tag")
        name, equals, value = item.partition("=")
        name = name.strip(_FOLD)
        if not equals or _NAME.fullmatch(name) is None:
            raise TagError(f'"{name[:20]}" is no tag')
        if name in tags:
            # RFC 6376 §3.2: the whole list is invalid.
            raise TagError(f"{name}= stands twice")
        tags[name] = value.strip(_FOLD)
    return tags


def unspaced(value: str) -> str:
    """A value without the folding white space that may stand anywhere in it."""
    return _SPACE.sub("", value)


def decode_base64(value: str) -> bytes:
    """The octets of a base64 value. Raises TagError."""
    try:
        return base64.b64decode(unspaced(value), validate=True)
    except (binascii.Error, ValueError):
        raise TagError("not base64") from None
