"""The letters of IMAP's rights (RFC 4314 §2.1), and which of JMAP's rights each stands for (RFC 8621 §2).

Whoever may read a mailbox may see it, and who may remove messages may mark and expunge them: `l` and `r` are tied, and
so are `t` and `e` (RFC 4314 §3.7). A letter is there when all rights behind it are. `a` is the owner's alone, and so is
`p`, which IMAP does not enforce. The obsolete `c` is `k` and `x`, `d` is `t` and `e` (§2.1.1).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

Rights = frozenset[str]
"""Letters, without the obsolete ones."""

_BEHIND: Final[dict[str, tuple[str, ...]]] = {
    "l": ("mayReadItems",),
    "r": ("mayReadItems",),
    "s": ("maySetSeen",),
    "w": ("maySetKeywords",),
    "i": ("mayAddItems",),
    "p": ("maySubmit",),
    "k": ("mayCreateChild",),
    "x": ("mayRename", "mayDelete"),
    "t": ("mayRemoveItems",),
    "e": ("mayRemoveItems",),
}
_OBSOLETE: Final = {"c": "kx", "d": "te"}
_ORDER: Final = (*_BEHIND, "a")
TIED: Final = ("lr", "s", "w", "i", "te", "k", "x")
"""What can be given, in groups of which all or none is (RFC 4314 §3.7)."""
ALL: Final[Rights] = frozenset(_ORDER)
NONE: Final[Rights] = frozenset()
SEEN: Final = "s"
DELETED: Final = "t"
OTHER_FLAGS: Final = "w"
FLAGS: Final[Rights] = frozenset({SEEN, DELETED, OTHER_FLAGS})
WRITES: Final[Rights] = FLAGS | {"i", "e"}
"""RFC 4314 §5.2: without any of these a mailbox is open for reading only."""


def letters_of(names: Collection[str]) -> Rights:
    """The letters of JMAP's rights."""
    return frozenset(letter for letter, behind in _BEHIND.items() if all(name in names for name in behind))


def names_of(letters: Collection[str]) -> frozenset[str]:
    """JMAP's rights behind letters."""
    return frozenset(name for letter in letters for name in _BEHIND.get(letter, ()))


def shown(rights: Rights) -> bytes:
    """Rights as responses have them, with the obsolete letters where any of their members is there (§2.1.1)."""
    virtual = [letter for letter, members in _OBSOLETE.items() if rights & set(members)]
    return "".join([*(letter for letter in _ORDER if letter in rights), *virtual]).encode("ascii")


def read(text: str) -> Rights | None:
    """Letters as a client writes them, the obsolete ones as what they mean; None: one of them is no right (§3.1)."""
    found = frozenset("".join(_OBSOLETE.get(letter, letter) for letter in text))
    return found if found <= ALL else None


def with_tied(letters: Rights) -> Rights:
    """Letters with all that cannot be parted from them."""
    return letters | {letter for group in TIED if letters & set(group) for letter in group}


def right_for(flag: str) -> str:
    """The letter that is needed to set or clear a flag (RFC 4314 §4)."""
    if flag == "\\Seen":
        return SEEN
    return DELETED if flag == "\\Deleted" else OTHER_FLAGS


def settable(rights: Rights, flags: Collection[str]) -> frozenset[str]:
    """Those of some flags that may be set and cleared."""
    return frozenset(flag for flag in flags if right_for(flag) in rights)
