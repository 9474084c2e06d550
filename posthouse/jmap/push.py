"""What changed for whom: the StateChange objects that every way of push carries (RFC 8620 §7.1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from posthouse.jmap import ids
from posthouse.store.interface import Store
from posthouse.store.model import Role

MAIL_TYPES: Final = ("Email", "Mailbox", "Thread")
DELIVERY: Final = "EmailDelivery"
"""RFC 8621 §1.5: changes with every new email, whatever its mailbox, but not with flags or what is deleted.

It is the number of emails that ever came into a mailbox, so moves count too; those to the trash do not.
"""


def state_change(account_id: int, states: dict[str, str], push_state: str | None = None) -> dict[str, Any]:
    """The StateChange that tells new states of an account; `push_state` is RFC 8887 §4.3.5.2."""
    change: dict[str, Any] = {
        "@type": "StateChange",
        "changed": {ids.encode(ids.ACCOUNT, account_id): states},
    }
    return change if push_state is None else change | {"pushState": push_state}


class Watched:
    """The states of one account's types as a client knows them."""

    def __init__(
        self, store: Store, account_id: int, known: Collection[str], wanted: Collection[str] | None
    ) -> None:
        """`known`: types of items that may be told; `wanted`: those that the client wants, None: all."""
        self._store = store
        self.account_id = account_id
        self._known = known
        self._wanted = wanted
        self._told: dict[str, str] = {}

    async def present(self) -> dict[str, str]:
        """Type → state, now."""
        states = await self._store.states(self.account_id)
        found = dict.fromkeys(MAIL_TYPES, str(states.mail))
        found |= {kind: str(state) for kind, state in states.kinds.items() if kind in self._known}
        boxes = await self._store.mailboxes(self.account_id)
        found[DELIVERY] = str(sum(box.uid_next - 1 for box in boxes if box.role is not Role.TRASH))
        if self._wanted is None:
            return found
        return {kind: state for kind, state in found.items() if kind in self._wanted}

    async def begin(self, last: str | None) -> None:
        """The client knows what `mark` gave once (None: everything as it is now)."""
        self._told = await self.present() if last is None else _parse_mark(last)

    async def news(self) -> dict[str, str]:
        """What the client does not know yet; from now on it does."""
        present = await self.present()
        new = {kind: state for kind, state in present.items() if self._told.get(kind) != state}
        self._told = present
        return new

    @property
    def mark(self) -> str:
        """All that the client knows, as one word."""
        return ".".join(f"{kind}:{state}" for kind, state in sorted(self._told.items()))


def _parse_mark(text: str) -> dict[str, str]:
    pairs = (item.partition(":") for item in text[:4096].split("."))
    return {kind: state for kind, colon, state in pairs if colon}
