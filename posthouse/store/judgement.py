"""What the junk filter keeps in the store: verdicts beside emails, lessons that wait to be learnt, and memos.

A lesson is written by the store itself, in the commit of the command that teaches it (`lesson_of_move`,
`lesson_of_flags`), so that no way of moving mail is forgotten and nothing is lost by a crash.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from posthouse.store.model import Frozen, Role
from posthouse.store.operations import Op

REJECTS: Final = "Rejects"
"""The name of the mailbox in which refused junk can be looked at for some days."""
HOUSE: Final = 0
"""The account number of what belongs to no account."""


class LessonKind(enum.StrEnum):
    """What an action says about an email."""

    JUNK = "junk"
    """Moved into Junk, or given $Junk."""
    GOOD = "good"
    """Moved out of Junk or Rejects, or given $NotJunk."""
    ANSWERED = "answered"
    """Answered: it is good, and its author is somebody one writes to."""
    SENT = "sent"
    """Put into Sent: its recipients are people one writes to."""


class Lesson(Frozen, frozen=True, kw_only=True):
    """An email to learn from."""

    account_id: int
    email_id: int
    kind: LessonKind
    learnt: str
    """As what it was learnt before: "", "junk" or "good"."""


class Memo(Frozen, frozen=True, kw_only=True):
    """Something small that is remembered, by account, kind and key."""

    account_id: int
    kind: str
    key: str
    data: bytes
    until: float | None = None
    """POSIX seconds; not given back any more then."""


class PutMemo(Op[None], frozen=True, kw_only=True):
    """Remember something, instead of what was remembered under its key. Left out while the disk is full."""

    memo: Memo


class RemoveMemo(Op[None], frozen=True, kw_only=True):
    """Forget something; harmless when it is not there."""

    account_id: int
    kind: str
    key: str


class PruneMemos(Op[int], frozen=True, kw_only=True):
    """Forget memos whose end has come; the result counts them."""

    now: float


class EndLesson(Op[None], frozen=True, kw_only=True):
    """A lesson is done, unless another has come for its email meanwhile (`kind` differs then).

    `learnt` is what the email counts as from now on: "junk", "good", or "" for nothing.
    """

    account_id: int
    email_id: int
    kind: LessonKind | None
    """None: there was no lesson, the filter learnt it by itself."""
    learnt: str


class Judgements(Protocol):
    """What every store gives of this; a part of `Store`."""

    async def verdict(self, account_id: int, email_ids: Sequence[int]) -> list[bytes | None]:
        """What the junk filter made of each email (JSON, docs/trust.md); None: it was not judged, or is gone."""
        ...

    async def learnt(self, account_id: int, email_ids: Sequence[int]) -> list[str]:
        """As what the filter has learnt each email: "junk", "good", or "" for nothing."""
        ...

    async def lessons(self, limit: int) -> list[Lesson]:
        """Some of the lessons that wait, of all accounts."""
        ...

    def watch_lessons(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after a commit that brought lessons; the result ends it."""
        ...

    async def memos(
        self, account_id: int, kind: str, keys: Sequence[str] | None = None, limit: int = 1000
    ) -> list[Memo]:
        """Memos of a kind (those of these keys that are there) that have not ended, by key."""
        ...

    async def memos_of(self, kind: str, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Memo]:
        """Memos of a kind that have not ended, of several accounts: by (account, key), those that are there."""
        ...


_JUNK_KEYWORDS: Final = frozenset({"$junk", "junk"})
_GOOD_KEYWORDS: Final = frozenset({"$notjunk", "notjunk", "nonjunk"})
_TELLING: Final = {
    LessonKind.JUNK: _JUNK_KEYWORDS,
    LessonKind.GOOD: _GOOD_KEYWORDS,
    LessonKind.ANSWERED: frozenset({"\\answered"}),
}


def lesson_of_move(
    source: Role | None, source_name: str, target: Role | None, target_name: str
) -> LessonKind | None:
    """What moving or copying from one mailbox to another says."""
    from_junk = source is Role.JUNK or source_name == REJECTS
    to_junk = target is Role.JUNK or target_name == REJECTS
    if to_junk:
        return None if from_junk else LessonKind.JUNK
    if target is Role.SENT:
        return LessonKind.SENT
    return LessonKind.GOOD if from_junk and target is not Role.TRASH else None


def lesson_of_flags(flags: Collection[str]) -> tuple[LessonKind, frozenset[str]] | None:
    """What setting these flags says, and which of them say it (the keywords: IANA's registry, and Thunderbird's)."""
    for kind, telling in _TELLING.items():
        said = frozenset(flag for flag in flags if flag.lower() in telling)
        if said:
            return kind, said
    return None
