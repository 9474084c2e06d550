"""A whole house from a backup: `posthouse restore DIR`, while no server runs. Blocking, for the command line.

What was there is moved aside, never overwritten. Restoring an account or a message is an import (`transfer.archive`).
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import msgspec

from posthouse.errors import Conflict, Damaged, StoreUnavailable
from posthouse.operations.backup import FILES, Manifest, read_manifest
from posthouse.store.sqlite.archive import Archive
from posthouse.store.sqlite.backup import copy_back
from posthouse.store.sqlite.lock import StoreLock


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where the house is to be."""

    data: Path
    database: Path
    blobs: Path


def restore_all(backup: Path, places: Places, *, same: bool, replace: bool, now: float) -> Manifest:
    """Put everything back. StoreUnavailable, StoreInUse while a server runs, Conflict when something is there.

    `same`: nothing has happened since the backup, so UIDs go on and queued mail may leave. `replace`: move what
    is there aside.
    """
    manifest = read_manifest(backup)
    data = places.data
    try:
        owner = next(place for place in (data, *data.parents) if place.exists()).stat()
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = StoreLock(places.database.with_name(places.database.name + ".lock"))
        try:
            _make_room(data, lock_file=places.database.name + ".lock", replace=replace, now=now)
            restore_files(backup, manifest, data)
            copy_back(backup, places.database, places.blobs, same=same, now=int(now))
            _give(data, owner)
        finally:
            lock.release()
    except OSError as fault:
        raise StoreUnavailable(f"{data}: {fault.strerror or fault}") from fault
    return manifest


def restore_files(backup: Path, manifest: Manifest, data: Path) -> None:
    """Keys, certificates: what else was in the data folder, where nothing of that name is."""
    for name in manifest.files:
        target = data / name
        if not target.exists():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(backup / FILES / name, target)


def _make_room(data: Path, *, lock_file: str, replace: bool, now: float) -> None:
    there = [path for path in data.iterdir() if path.name not in (lock_file, "run")]
    if not there:
        return
    if not replace:
        raise Conflict(f"{data} is not empty; --replace moves what is there aside")
    aside = data.with_name(f"{data.name}.before-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}")
    aside.mkdir(mode=0o700)
    for path in there:
        path.rename(aside / path.name)


def _give(data: Path, owner: os.stat_result) -> None:
    """What root restores must be the house's, whose folder it is, or stands in."""
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    os.chown(data, owner.st_uid, owner.st_gid)
    for place, folders, files in os.walk(data):
        for name in (*folders, *files):
            os.chown(os.path.join(place, name), owner.st_uid, owner.st_gid, follow_symlinks=False)


def damaged_in(backup: Path) -> list[str]:
    """Messages of a backup whose bytes are not what was stored; read whole. StoreUnavailable."""
    read_manifest(backup)
    archive = Archive(backup)
    found = []
    try:
        for blob_id in archive.blobs():
            try:
                archive.blob(blob_id)
            except Damaged as fault:
                found.append(f"bytes {blob_id}: {fault}")
    finally:
        archive.close()
    return found
