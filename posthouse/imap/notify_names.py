"""Which LIST responses tell a client that takes each as it comes how the names of mailboxes changed (RFC 5465 §5.4).

A rename takes along what is below, and no more is said of that. Of several changes that are told together only what
came of them is known, so their order is found anew: each rename is told of what the client then believes. Where that
leads nowhere (two mailboxes have changed places) names are told as gone and come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from posthouse import limits
from posthouse.imap.mailbox_name import SEPARATOR, above


class NameNews:
    """The way from the names as the client knows them to those that are."""

    __slots__ = ("_after", "_at", "_lost", "_now", "_parents", "_wanted", "renames")

    def __init__(
        self, before: Mapping[int, str], after: Mapping[int, str], wanted: Callable[[str], bool]
    ) -> None:
        """Names by number of the mailbox; `wanted`: whether the client is told of a name."""
        self._after = after
        self._wanted = wanted
        self._now = {number: name for number, name in before.items() if number in after}
        """What the client believes after the renames found so far; those that are gone are told first."""
        self._at = {name: number for number, name in self._now.items()}
        self._parents = {level for name in self._at for level in above(name)}
        """Every name that has, or had, one below it."""
        self.renames: list[tuple[str, str]] = []
        """(the new name, the one before), to be told in this order."""
        self._lost: set[int] = set()
        """Mailboxes that were renamed without a word."""
        self._find_renames()

    def is_same(self, number: int) -> bool:
        """Whether the client believes of a mailbox that was there before that it is the one of that name."""
        return self._now.get(number) == self._after[number] and number not in self._lost

    def astray(self) -> list[int]:
        """Mailboxes that the client believes under another name than they have."""
        return [number for number, name in self._now.items() if self._after[number] != name]

    def moved(self) -> set[str]:
        """Other names that went, came, or stand for another mailbox now."""
        found = {name for number, name in self._now.items() if self._after[number] != name}
        found.update(name for number, name in self._after.items() if self._now.get(number) != name)
        return found

    def _find_renames(self) -> None:
        moved = True
        while moved and len(self.renames) < limits.NOTIFY_RENAMES:
            moved = False
            astray = [number for number, name in self._now.items() if self._after[number] != name]
            # What is above comes first, so that what is below moves with it.
            for number in sorted(
                astray, key=lambda each: (self._now[each].count(SEPARATOR), self._now[each])
            ):
                if self._now[number] != self._after[number] and len(self.renames) < limits.NOTIFY_RENAMES:
                    moved |= self._rename(number)

    def _rename(self, number: int) -> bool:
        """Tell that a mailbox has its new name now, where that name is free; whether it could be."""
        old, new = self._now[number], self._after[number]
        if new.startswith(old + SEPARATOR):
            return False  # no single RENAME does that
        told = self._wanted(old) or self._wanted(new)
        moving = {number: new}
        if told and old in self._parents:
            start = old + SEPARATOR
            moving.update(
                (each, new + name[len(old) :]) for each, name in self._now.items() if name.startswith(start)
            )
        if any(self._at.get(target, each) not in moving for each, target in moving.items()):
            return False
        for each in moving:
            del self._at[self._now[each]]
        for each, target in moving.items():
            self._now[each] = target
            self._at[target] = each
            self._parents.update(above(target))
        if told:
            self.renames.append((new, old))
        else:
            self._lost.add(number)
        return True
