"""What a check found: fine, worth a look, or wrong; with the fix in words."""

from __future__ import annotations

import enum

import msgspec


class Level(enum.Enum):
    """How bad."""

    FINE = "fine"
    LOOK = "look"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `posthouse status` or `posthouse domain check`."""

    level: Level
    subject: str
    text: str
    fix: str = ""


def fine(subject: str, text: str) -> Finding:
    """✓"""
    return Finding(level=Level.FINE, subject=subject, text=text)


def look(subject: str, text: str, fix: str) -> Finding:
    """!"""
    return Finding(level=Level.LOOK, subject=subject, text=text, fix=fix)


def wrong(subject: str, text: str, fix: str) -> Finding:
    """✗"""
    return Finding(level=Level.WRONG, subject=subject, text=text, fix=fix)
