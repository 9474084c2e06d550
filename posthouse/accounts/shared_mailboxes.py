"""What accounts let others see of their mailboxes, as every protocol asks for it (RFC 9670, RFC 4314).

A grant counts as the store has it now, and only while its owner may log in. Whoever is shown some mailboxes of an
account sees them as if there were no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from posthouse.store import grants
from posthouse.store.account_model import Item
from posthouse.store.interface import Store
from posthouse.store.model import SEPARATOR, Account, Mailbox


async def granted(store: Store, owner: int, account_id: int) -> Item | None:
    """What an account lets another do, as the store has it now; None: nothing."""
    items = await store.items(owner, grants.KIND, [account_id])
    if not items or grants.decode(items[0].data).is_empty:
        return None
    account = await store.account_by_id(owner)
    return None if account is None or account.disabled else items[0]


async def received(
    store: Store, account_id: int, wanted: Callable[[Account], bool] | None = None
) -> list[tuple[Account, Item]]:
    """Who (of those wanted) shares something with an account, and the grant. Cheap where nobody ever did."""
    if not (await store.states(account_id)).kinds.get(grants.RECEIVED):
        return []
    found: list[tuple[Account, Item]] = []
    for item in await store.items(account_id, grants.RECEIVED):
        owner = await store.account_by_id(item.item_id)
        if owner is None or (wanted is not None and not wanted(owner)):
            continue
        grant = await granted(store, item.item_id, account_id)
        if grant is not None:
            found.append((owner, grant))
    return found


def visible_names(boxes: Sequence[Mailbox]) -> dict[int, str]:
    """Paths of some mailboxes as if there were no others; two that would be called the same get numbers."""
    by_name = {box.name: box for box in boxes}
    paths: dict[int, str] = {}
    taken: set[str] = set()
    for box in sorted(boxes, key=lambda each: (each.name.count(SEPARATOR), each.mailbox_id)):
        above, _, leaf = box.name.rpartition(SEPARATOR)
        while above and above not in by_name:
            above = above.rpartition(SEPARATOR)[0]
        head = f"{paths[by_name[above].mailbox_id]}{SEPARATOR}" if above else ""
        name, nth = f"{head}{leaf}", 1
        while name.casefold() in taken:
            nth += 1
            name = f"{head}{leaf} ({nth})"
        taken.add(name.casefold())
        paths[box.mailbox_id] = name
    return paths
