"""A post office under attack: a real process, and what every attack must leave unharmed.

`besieged.unharmed()` surrounds an attack and proves three things: an innocent user (`bystander`) was served promptly
meanwhile, the process's memory stayed within a bound, and the log tells of no fault.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.interop.local import ACCOUNTS, LocalHouse
from tests.interop.namespace import ROOT
from tests.machine import slowness

MB = 1024 * 1024
PROMPT = 2.0
"""Seconds that nobody waits longer for an answer; on an idle machine it is some milliseconds, on a build host whose two
cores server, attackers, bystander and another test share, a send of four answers was seen to take one."""
SIGNS_OF_FAULT = ("fault", "Traceback", "broken off", "never retrieved", "was destroyed")


class Besieged(LocalHouse):
    """The post office, its bystander, and its vital signs."""

    extra_config = ""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._bystander: subprocess.Popen[str] | None = None

    def open(self) -> None:
        """Configure and serve, with the bystander at the ready."""
        self.configure()
        # What one attack has deleted is gone, and not looked through, before the next is measured.
        with (self.folder / "posthouse.toml").open("a") as file:
            file.write(f"[store]\ndeleted = 0\n{self.extra_config}")
        self.start()
        ports = [str(self.ports[name]) for name in ("smtp", "imap", "pop3")]
        self._bystander = subprocess.Popen(
            [sys.executable, "-m", "tests.attack.bystander", *ports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self._ask("go")
        self._measured()

    def close(self) -> None:
        """Stop both."""
        if self._bystander is not None:
            self._bystander.kill()
            self._bystander.wait()
            assert self._bystander.stdin is not None
            assert self._bystander.stdout is not None
            self._bystander.stdin.close()
            self._bystander.stdout.close()
        self.stop()

    @contextlib.contextmanager
    def unharmed(self, *, memory: int = 32 * MB, prompt: float = PROMPT) -> Iterator[None]:
        """Within: an attack. `memory`: octets that the process may grow by at its worst moment."""
        log = self.log()
        before = self.resident()
        slow = slowness()
        self._proc("clear_refs").write_text("5")  # proc(5): the peak is counted anew
        self._ask("go")
        try:
            yield
        finally:
            measured = self._measured()
        prompt *= max(slow, slowness())
        assert self.process is not None
        assert self.process.poll() is None, "the server died"
        grown = self._status("VmHWM") - before
        told = self.log()[len(log) :]
        faults = [line for line in told.splitlines() if any(sign in line for sign in SIGNS_OF_FAULT)]
        assert not faults, "\n".join(faults[:20])
        assert measured["longest"] <= prompt, (
            f"others waited {measured['longest']:.2f} s for {measured['slowest']}"
        )
        assert grown <= memory, f"memory grew by {grown / MB:.1f} MB"

    def _ask(self, word: str) -> None:
        assert self._bystander is not None
        assert self._bystander.stdin is not None
        self._bystander.stdin.write(word + "\n")
        self._bystander.stdin.flush()

    def _measured(self) -> dict[str, float]:
        self._ask("stop")
        assert self._bystander is not None
        assert self._bystander.stdout is not None
        line = self._bystander.stdout.readline()
        assert line, "the bystander was not served"
        found: dict[str, float] = json.loads(line)
        return found

    # --- vital signs ---------------------------------------------------------------------------------

    def _proc(self, name: str) -> Path:
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/{name}")

    def _status(self, key: str) -> int:
        for line in self._proc("status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
        raise KeyError(key)

    def resident(self) -> int:
        """Octets of memory that the server has now."""
        return self._status("VmRSS")

    def proportional(self) -> int:
        """The same, with what it shares counted by its part (PSS)."""
        for line in self._proc("smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise KeyError("Pss")

    def sockets(self) -> int:
        """How many descriptors it has that are sockets."""
        count = 0
        for entry in self._proc("fd").iterdir():
            with contextlib.suppress(OSError):
                count += os.readlink(entry).startswith("socket:")
        return count

    def log(self) -> str:
        """All that it logged."""
        return (self.folder / "log").read_text(errors="replace")

    # --- attackers -----------------------------------------------------------------------------------

    def enter(self, name: str, *, greeted: bool = True) -> Attacker:
        """A connection to a listener, its greeting read."""
        attacker = Attacker(socket.create_connection(("127.0.0.1", self.ports[name]), 20))
        if greeted:
            attacker.line()
        return attacker

    def logged_in(self, name: str = "imap", user: str = "alice@example.test") -> Attacker:
        """A connection that logged in."""
        attacker = self.enter(name)
        word = ACCOUNTS[user]
        if name == "imap":
            assert attacker.ask(f"login LOGIN {user} {word}", b"login ")[-1].startswith(b"login OK")
        elif name == "pop3":
            attacker.send(f"USER {user}\r\n".encode())
            attacker.line()
            attacker.send(f"PASS {word}\r\n".encode())
            assert attacker.line().startswith(b"+OK")
        else:
            raise AssertionError(name)
        return attacker


class Attacker:
    """One connection that may say anything."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Say octets; that the peer has closed meanwhile is no surprise."""
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line with its end; empty when closed."""
        try:
            return self.file.readline()
        except ConnectionError:
            return b""

    def reply(self) -> bytes:
        """An SMTP reply, all lines."""
        text = b""
        while True:
            line = self.line()
            text += line
            if line[3:4] != b"-":
                return text

    def smtp(self, command: str | bytes) -> bytes:
        """One SMTP command and its reply."""
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.reply()

    def ask(self, command: str | bytes, tag: bytes) -> list[bytes]:
        """One IMAP command and its lines up to the one with the tag (or the end)."""
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.until(tag)

    def until(self, tag: bytes) -> list[bytes]:
        """Lines up to one that begins with the tag, or the end of the connection."""
        lines = []
        while True:
            lines.append(line := self.line())
            if not line or line.startswith(tag):
                return lines

    def until_settled(self) -> None:
        """The IMAP session still answers, in order, after whatever came before."""
        assert self.ask("settled NOOP", b"settled ")[-1].startswith(b"settled OK")

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        try:
            return self.file.read()
        except ConnectionError:
            return b""

    def start_tls(self) -> None:
        """The client's side of a handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.file.close()
        self.sock = context.wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")

    def close(self) -> None:
        """Leave."""
        self.file.close()
        self.sock.close()
