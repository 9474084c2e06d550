"""Between the house and another form of mail: every mailbox, batch by batch, going on where an earlier run ended."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import msgspec

from posthouse import limits
from posthouse.operations.transfer.model import (
    NUMBER_MAX,
    FolderInfo,
    Message,
    NameTaken,
    Source,
    Target,
    TransferFault,
    mark,
)


class House(Protocol):
    """The way to the running server, or to the store itself: commands with their results."""

    def each(self, command: str, body: bytes = b"", **arguments: Any) -> Iterator[Any]:
        """Each result of a command."""
        ...

    def one(self, command: str, body: bytes = b"", **arguments: Any) -> Any:
        """The one result of a command."""
        ...


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of an import or export."""

    address: str
    folders: frozenset[str] = frozenset()
    """Only these; empty: all."""
    into: str = ""
    """Import: below this mailbox; empty: each under its own name."""
    over_quota: bool = False
    again: str = ""
    """Import: something new each time to take again what earlier runs took; empty: only what is new."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How far it has come: after each batch, and at the end of each mailbox."""

    folder: str
    done: int
    """Messages that this run has carried."""
    total: int
    """0: not known."""
    before: int = 0
    """Messages that earlier runs have carried."""
    refused: tuple[str, ...] = ()
    """Messages that cannot be carried, each with why."""


def carry_in(source: Source, house: House, plan: Plan) -> Iterator[Step]:
    """Import. TransferFault, and what the house's commands raise; what was carried by then stays."""
    folders = source.folders()
    check_folders(plan.folders, {folder.name for folder in folders})
    for folder in folders:
        if not plan.folders or folder.name in plan.folders:
            yield from _import_folder(source, folder, house, plan)


def check_folders(wanted: frozenset[str], there: set[str]) -> None:
    """Raise TransferFault when a mailbox is wanted that is not there."""
    if missing := sorted(wanted - there):
        raise TransferFault(f"no mailbox {', '.join(missing)} there, but: {', '.join(sorted(there))}")


class _Before:
    """What earlier runs took of a source, by the marks that the house keeps; and how much that was."""

    def __init__(self, source: Source, house: House, plan: Plan) -> None:
        self._source = source
        self._house = house
        self._plan = plan
        self.count = 0

    def __call__(self, folder: FolderInfo, keys: list[str]) -> set[str]:
        """The known ones among these keys."""
        marks = {mark(_from(self._source, self._plan), folder.place, key): key for key in keys}
        found = self._house.one("transfer.known", address=self._plan.address, marks=tuple(marks))
        self.count += len(found)
        return {marks[each] for each in found}


def _import_folder(source: Source, folder: FolderInfo, house: House, plan: Plan) -> Iterator[Step]:
    known = _Before(source, house, plan)
    done = 0
    batch: list[Message] = []
    refused: tuple[str, ...] = ()
    octets = 0
    for message in source.messages(folder, known):
        if len(message.raw) > limits.CONTROL_BODY:
            refused += (f"{folder.name} {message.key}: {len(message.raw)} octets are too many",)
            continue
        full = len(batch) >= limits.TRANSFER_BATCH or octets + len(message.raw) > limits.TRANSFER_OCTETS
        if batch and full:
            done += _put(source, folder, house, plan, batch)
            yield Step(folder=folder.name, done=done, total=folder.messages, before=known.count)
            batch, octets = [], 0
        batch.append(message)
        octets += len(message.raw)
    if batch:
        done += _put(source, folder, house, plan, batch)
    refused += tuple(source.unread)
    source.unread.clear()
    yield Step(folder=folder.name, done=done, total=folder.messages, before=known.count, refused=refused)


def _put(source: Source, folder: FolderInfo, house: House, plan: Plan, batch: list[Message]) -> int:
    name = folder.name
    if plan.into:
        name = plan.into if folder.name == "INBOX" else f"{plan.into}/{folder.name}"
    messages = [
        {
            "octets": len(message.raw),
            "received_at": min(max(message.received_at, 0), NUMBER_MAX),
            "flags": message.flags,
            "mark": mark(_from(source, plan), folder.place, message.key),
            "uid": message.uid if message.uid <= NUMBER_MAX else 0,
        }
        for message in batch
    ]
    return int(
        house.one(
            "transfer.put",
            b"".join(message.raw for message in batch),
            address=plan.address,
            folder=name,
            messages=messages,
            uid_validity=batch[0].uid_validity,
            role="" if plan.into else folder.role,
            over_quota=plan.over_quota,
        )
    )


def _from(source: Source, plan: Plan) -> str:
    """Where marks of an import say that a message is from: the same mail may be wanted in two places, or again."""
    return "\0".join(part for part in (source.name, plan.into, plan.again) if part)


def carry_out(target: Target, house: House, plan: Plan) -> Iterator[Step]:
    """Export. TransferFault, and what the house's commands raise; what was carried by then stays."""
    rows = house.one("transfer.folders", address=plan.address)
    check_folders(plan.folders, {row["name"] for row in rows})
    for row in rows:
        if plan.folders and row["name"] not in plan.folders:
            continue
        folder = FolderInfo(
            name=row["name"],
            place=row["name"],
            role="" if row["role"] == "inbox" else row["role"],
            messages=row["messages"],
            uid_validity=row["uid_validity"],
            uid_next=row["uid_next"],
        )
        try:
            yield from _export_folder(target, folder, house, plan)
        except NameTaken as fault:
            yield Step(folder=folder.name, done=0, total=folder.messages, refused=(fault.public,))


def _export_folder(target: Target, folder: FolderInfo, house: House, plan: Plan) -> Iterator[Step]:
    after = target.open(folder)
    done = 0
    refused: tuple[str, ...] = ()
    while items := list(_got(house, plan.address, folder, after)):
        after = items[-1].uid
        refused += tuple(
            f"{folder.name} uid {one.uid}: {one.reason}" for one in items if isinstance(one, _Unreadable)
        )
        batch = [one for one in items if isinstance(one, Message)]
        for message in batch if target.remembers else _unmarked(target, folder, house, plan, batch):
            target.put(folder, message)
            done += 1
            if not target.remembers:
                name = mark(target.name, folder.name, message.key)
                house.one("transfer.note", address=plan.address, marks=(name,))
        target.done(folder)
        yield Step(folder=folder.name, done=done, total=folder.messages, refused=refused)
    target.done(folder)
    yield Step(folder=folder.name, done=done, total=folder.messages, refused=refused)


def _unmarked(
    target: Target, folder: FolderInfo, house: House, plan: Plan, batch: list[Message]
) -> list[Message]:
    """What the target was not given in an earlier run, by the store's own memory."""
    names = [mark(target.name, folder.name, message.key) for message in batch]
    known = set(house.one("transfer.known", address=plan.address, marks=tuple(names)))
    return [message for name, message in zip(names, batch, strict=True) if name not in known]


class _Unreadable(NamedTuple):
    """A message that the house has and cannot give."""

    uid: int
    reason: str


def _got(house: House, address: str, folder: FolderInfo, after: int) -> Iterator[Message | _Unreadable]:
    """A batch of messages as the house gives them."""
    head: dict[str, Any] | None = None
    pieces: list[bytes] = []
    for item in house.each("transfer.get", address=address, folder=folder.name, after=after):
        if "base64" in item:
            pieces.append(base64.b64decode(item["base64"]))
            continue
        if head is not None:
            yield _whole(folder, head, pieces)
        head, pieces = (None, []) if "reason" in item else (item, [])
        if head is None:
            yield _Unreadable(item["uid"], item["reason"])
    if head is not None:
        yield _whole(folder, head, pieces)


def _whole(folder: FolderInfo, head: dict[str, Any], pieces: list[bytes]) -> Message:
    return Message(
        raw=b"".join(pieces),
        received_at=head["received_at"],
        flags=tuple(head["flags"]),
        key=json.dumps([folder.uid_validity, head["uid"]]),
        uid=head["uid"],
        uid_validity=folder.uid_validity,
    )
