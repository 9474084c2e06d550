"""Backup and verification, as the house that has the store open does them: `posthouse backup DIR`, `verify`.

A backup is a folder: the store's own copy, below `files` what else is in the data folder (keys, certificates), and last
of all `backup.json`, which says that it is whole and of when. A second run into the same folder copies what is new.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from posthouse.durable import sync, write_private
from posthouse.errors import Conflict, StoreUnavailable
from posthouse.store.interface import Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo
from posthouse.store.keeper import Keeper

MANIFEST: Final = "backup.json"
FILES: Final = "files"
CONFIGURATION: Final = "posthouse.toml"
"""The configuration, which the command copies: it may be where the house itself cannot read."""
FORM: Final = 1
_KIND: Final = "backup"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    form: int
    made_at: int
    hostname: str
    accounts: int
    files: tuple[str, ...]
    """What else was in the data folder, relative to it."""


class BackupRow(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was finished, as the house remembers it."""

    folder: str
    made_at: int
    accounts: int
    octets: int


class Backups:
    """Commands on the store as a whole."""

    def __init__(
        self,
        keeper: Keeper | None,
        store: Store,
        *,
        data: Path,
        hostname: str,
        own: tuple[str, ...],
        now: Callable[[], float],
        expected: bool,
    ) -> None:
        """`keeper`: None where another process has the store open.

        `own`: names in the data folder that are the store's, or not worth keeping (beginnings of names). `expected`:
        whether somebody should make backups by this program; a cluster's database and bucket have tools of their own.
        """
        self._keeper = keeper
        self.expected = expected
        self._store = store
        self._data = data
        self._hostname = hostname
        self._own = own
        self._now = now

    async def backup_make(self, *, folder: str) -> AsyncIterator[Any]:
        """Make or renew the backup in a folder; how far it has come. ValueError, Conflict, StoreUnavailable."""
        place = Path(folder)
        if not place.is_absolute():
            raise ValueError("the folder of a backup is an absolute path")
        made_at = int(self._now())
        keeper = self._files()
        await asyncio.to_thread(self._prepare, place)
        octets = 0
        async for step in keeper.backup(place):
            octets = step.octets
            yield step
        accounts = len(await self._store.accounts())
        await asyncio.to_thread(self._finish, place, made_at, accounts)
        row = BackupRow(folder=str(place), made_at=made_at, accounts=accounts, octets=octets)
        memo = Memo(account_id=HOUSE, kind=_KIND, key=row.folder, data=msgspec.json.encode(row))
        await self._store.apply(PutMemo(memo=memo))

    async def backup_list(self) -> list[BackupRow]:
        """The last finished backup in each folder, the newest first."""
        memos = await self._store.memos(HOUSE, _KIND)
        rows = [msgspec.json.decode(memo.data, type=BackupRow) for memo in memos]
        return sorted(rows, key=lambda row: -row.made_at)

    def _files(self) -> Keeper:
        if self._keeper is None:
            raise Conflict("this process does not have the store open: ask the one that serves")
        return self._keeper

    def _prepare(self, place: Path) -> None:
        data = self._data.resolve()
        if place.resolve().is_relative_to(data):
            raise Conflict(f"{place} is in the data folder: what is lost with that is no backup")
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            others = {path.name for path in place.iterdir()} - {MANIFEST, FILES, "blobs", CONFIGURATION}
            unfinished = (f".{MANIFEST}", f".{CONFIGURATION}")
            others = {name for name in others if not name.startswith(("mail.db", MANIFEST, *unfinished))}
        except OSError as fault:
            raise StoreUnavailable(f"{place}: {fault.strerror or fault}") from fault
        if others:
            raise Conflict(f"{place} is not empty and no backup: {', '.join(sorted(others)[:3])}")

    def _finish(self, place: Path, made_at: int, accounts: int) -> None:
        try:
            names = tuple(sorted(self._other_files()))
            for name in names:
                _copy_over(self._data / name, place / FILES / name)
            manifest = Manifest(
                form=FORM, made_at=made_at, hostname=self._hostname, accounts=accounts, files=names
            )
            write_private(place / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
            # Only now: until here the manifest of the backup before counted, with all that it names.
            for path in (place / FILES).rglob("*"):
                if path.is_file() and str(path.relative_to(place / FILES)) not in names:
                    path.unlink()
        except OSError as fault:
            raise StoreUnavailable(f"{place}: {fault.strerror or fault}") from fault

    def _other_files(self) -> list[str]:
        return [
            str(path.relative_to(self._data))
            for path in self._data.rglob("*")
            if path.is_file() and not path.relative_to(self._data).parts[0].startswith(self._own)
        ]

    async def store_verify(self, *, fix: bool = False) -> AsyncIterator[Any]:
        """Read everything: flaws as they are found, and how far it has come."""
        async for found in self._files().verify(fix=fix):
            yield found


def _copy_over(source: Path, target: Path) -> None:
    """Copy a file; what was there before stays whole until the new one is."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    shutil.copy2(source, part)
    sync(part)
    part.replace(target)
    sync(target.parent)


def read_manifest(place: Path) -> Manifest:
    """What a backup says of itself. StoreUnavailable when it is none, or not whole."""
    try:
        manifest = msgspec.json.decode((place / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as fault:
        raise StoreUnavailable(f"{place}: no backup there, or one that was never finished") from fault
    for name in map(Path, manifest.files):
        if name.is_absolute() or ".." in name.parts:
            raise StoreUnavailable(f"{place}: {name} would lead out of the data folder")
    if manifest.form != FORM:
        raise StoreUnavailable(f"{place}: a backup of form {manifest.form}, this program reads {FORM}")
    return manifest
