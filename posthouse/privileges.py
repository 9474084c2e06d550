"""Giving up root: bind ports as root, do everything else as the user `run_as`.

The data folder belongs to that user. Privileges are first laid down (effective ids) so that every file made is the
user's, taken up once for binding, and then given up for good: real, effective and saved ids, and all groups.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from posthouse.config import Config, ConfigError

PROGRAM: Final = (__file__, os.__file__)
"""This package and Python's own library."""


class Privileges:
    """What this process may be. Does nothing unless started as root with `run_as` set."""

    def __init__(self, run_as: str) -> None:
        self._user: pwd.struct_passwd | None = None
        if run_as and os.geteuid() == 0:
            try:
                self._user = pwd.getpwnam(run_as)
            except KeyError:
                raise ConfigError(f"run_as: no user {run_as!r} on this machine") from None

    def lay_down(self, data: Path) -> None:
        """Make the data folder the user's and act as the user from now on; `root` can still take root up."""
        if self._user is not None:
            self._check_program(self._user)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._user is None:
            return
        if data.stat().st_uid != self._user.pw_uid:
            _give(data, self._user)
        os.initgroups(self._user.pw_name, self._user.pw_gid)
        os.setegid(self._user.pw_gid)
        os.seteuid(self._user.pw_uid)

    def _check_program(self, user: pwd.struct_passwd) -> None:
        """Much of a program is read only when it is needed, and then by the user: say now that it cannot be."""
        os.seteuid(user.pw_uid)
        try:
            unreadable = [place for place in PROGRAM if not os.access(place, os.R_OK, effective_ids=True)]
        finally:
            os.seteuid(0)
        if unreadable:
            raise ConfigError(
                f"run_as: {user.pw_name} cannot read {unreadable[0]}: install the program where that user may read,"
                " not in root's home"
            )

    @contextlib.contextmanager
    def root(self) -> Iterator[None]:
        """Be root within: for binding ports below 1024."""
        if self._user is None:
            yield
            return
        os.seteuid(0)
        try:
            yield
        finally:
            os.seteuid(self._user.pw_uid)

    def give_up(self) -> None:
        """Never be root again."""
        if self._user is None:
            return
        os.seteuid(0)
        os.setresgid(self._user.pw_gid, self._user.pw_gid, self._user.pw_gid)
        os.setresuid(self._user.pw_uid, self._user.pw_uid, self._user.pw_uid)

    def own(self, path: Path) -> None:
        """Give what was made as root to the user."""
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)


def become_owner_of(config: Config) -> None:
    """For commands run as root while no server runs: what they make must be the server's, too. For good."""
    owner = config.run_as
    if not owner and config.data.exists():
        uid = config.data.stat().st_uid
        if uid == 0:
            return
        try:
            owner = pwd.getpwuid(uid).pw_name
        except KeyError:
            return
    privileges = Privileges(owner)
    privileges.lay_down(config.data)
    privileges.give_up()


def _give(folder: Path, user: pwd.struct_passwd) -> None:
    """Make a folder and all in it the user's; symbolic links are not followed."""
    os.chown(folder, user.pw_uid, user.pw_gid)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(place, name), user.pw_uid, user.pw_gid, follow_symlinks=False)
