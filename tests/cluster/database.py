"""A PostgreSQL server of the tests' own: Debian's program on a free port, in a folder, as an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from posthouse.playground.ports import HeldPorts

NETWORK = "10.213.0.0/16"
"""Where the hosts of `tests.cluster.network` are: a server trusts them."""
MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3
"""Octets that must be free there."""
_held: list[HeldPorts] = []
NEWEST_FIRST = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, or None when it is not installed."""
    for folder in NEWEST_FIRST:
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, and that nobody takes until this process ends.

    Servers are killed and started again on the same port here; meanwhile it must stay free.
    """
    _held.append(held := HeldPorts(count))
    return held.ports


def unprivileged() -> dict[str, Any]:
    """How a process is started that must not be root's: as `postgres`, else `nobody`, when we are root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("no unprivileged user")


def scratch(name: str) -> Path:
    """A folder for a server's files: in memory where there is room, for a new database is hundreds of files."""
    room = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return Path(tempfile.mkdtemp(prefix=f"posthouse-{name}-", dir=MEMORY if room else None))


class Database:
    """One server. `start`, `kill` (at once, as by a power cut), `stop`."""

    def __init__(self, *, sync: bool = False, host: str = "127.0.0.1") -> None:
        """`sync`: it lies on a disk, and a commit waits for that, as in a house. `host`: where it listens."""
        found = programs()
        assert found is not None, "PostgreSQL is not installed: scripts/install-peers.sh"
        self.programs = found
        self.folder = Path(tempfile.mkdtemp(prefix="posthouse-pg-")) if sync else scratch("pg")
        self.data = self.folder / "data"
        self.host = host
        (self.port,) = free_ports(1)
        self.sync = sync
        self.settings: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def initialise(self) -> None:
        """Make an empty cluster of databases."""
        who = unprivileged()
        if who:
            os.chown(self.folder, who["user"], who["group"])
        self._run_unprivileged(
            "initdb",
            "-D",
            str(self.data),
            "-A",
            "trust",
            "-U",
            "posthouse",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        )
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"\nhost all all {NETWORK} trust\n")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "on" if self.sync else "off",
            "shared_buffers": "64MB",
            "max_connections": "200",
            "log_min_messages": "fatal",
            "wal_level": "replica",
            **self.settings,
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.data), *options],
                stdout=log,
                stderr=log,
                **unprivileged(),
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        ask = [
            str(self.programs / "pg_isready"),
            "-q",
            "-h",
            self.host,
            "-p",
            str(self.port),
            "-t",
            "3",
        ]
        while subprocess.run(ask, check=False).returncode != 0:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def follow(self, primary: Database) -> None:
        """Become a streaming standby of another server, and start."""
        who = unprivileged()
        if who:
            os.chown(self.folder, who["user"], who["group"])
        self._run_unprivileged("pg_basebackup", "-D", str(self.data), "-R", "-X", "stream", "-c", "fast",
                               "-h", primary.host, "-p", str(primary.port), "-U", "posthouse")  # fmt: skip
        self.start()

    def promote(self) -> None:
        """The primary is gone: take writes. It waits for no standby of its own."""
        self._run_unprivileged("pg_ctl", "promote", "-D", str(self.data), "-w")
        self.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.sql("SELECT pg_reload_conf()")

    def make(self, name: str = "", template: str = "template0") -> str:
        """A new database; its URL."""
        self._databases += 1
        name = name or f"house{self._databases}_{os.getpid()}"
        # A file for a file is the quickest way to a small database that nobody else waits for.
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://posthouse@{self.host}:{self.port}/{name}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement by psql; what it prints."""
        return self._run("psql", "-qAtX", "-h", self.host, "-p", str(self.port), "-U", "posthouse", "-d", database,
                         "-c", statement)  # fmt: skip

    def kill(self) -> None:
        """End it as a power cut would: the postmaster and all of its processes at once."""
        if self._process is not None:
            children = subprocess.run(
                ["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=False
            ).stdout.split()
            for pid in (str(self._process.pid), *children):
                subprocess.run(["kill", "-9", pid], check=False, capture_output=True)
            self._process.wait(10)
            self._process = None
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it, and remove the folder."""
        if self._process is not None:
            self._process.send_signal(2)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run_unprivileged(self, program: str, *arguments: str) -> str:
        return self._run(program, *arguments, **unprivileged())

    def _run(self, program: str, *arguments: str, **who: Any) -> str:
        """By default as we are: to become another user costs a copy of this process's tables of memory."""
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **who,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
        return done.stdout.strip()
