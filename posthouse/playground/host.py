"""One post office of a playground: an ordinary configuration file and an ordinary `posthouse serve` process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from posthouse import limits
from posthouse.errors import NotFound, Temporary
from posthouse.operations.control_client import ControlClient
from posthouse.playground.gate import Gate
from posthouse.playground.gate_talk import Target
from posthouse.playground.ports import HeldPorts

PROTOCOLS = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve", "http", "https")
PUBLISHED = {
    "smtp": 2525,
    "submission": 2587,
    "submissions": 2465,
    "imap": 2143,
    "imaps": 2993,
    "pop3": 2110,
    "pop3s": 2995,
    "sieve": 2419,
    "http": 8080,
    "https": 8443,
}
"""The ports that every host of the playground uses, unless they are asked to be free ones."""

OFFERED = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve", "http", "https")
"""What the playground's hosts listen on."""

CONFIGURATION = """\
# A post office of the playground. Everything here is an ordinary configuration file.
hostname = "{name}"
data = "data"

[listen]
{listeners}

[dns]
servers = ["127.0.0.1:{dns_port}"]

[testing]
clock = true
ahead = {ahead}

[outbound]
port = {smtp_port}
source = ["{address}"]
retry = {retry}

[inbound]
trusted = {trusted}
"""


class HostSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is for."""

    name: str
    address: str
    domains: tuple[str, ...] = ()
    """Domains whose mailboxes are here."""
    backup_for: tuple[str, ...] = ()
    """Domains for which it is a backup MX."""
    trusted: tuple[str, ...] = ()
    """Addresses of its own backup hosts."""
    accounts: tuple[tuple[str, str], ...] = ()
    """(address, password)."""
    retry: tuple[str, ...] = ("2s", "5s", "10s", "30s")
    more: str = ""
    """More tables of the configuration file, as TOML; not those that stand in it already."""


BEHIND = "behind"
"""The port on which a host with a gate takes SMTP; others connect to the gate's."""


def held_ports() -> tuple[dict[str, int], HeldPorts]:
    """A port for each protocol and one to be `BEHIND` a gate, and what holds them. Temporary."""
    names = (*PROTOCOLS, BEHIND)
    held = HeldPorts(len(names))
    return dict(zip(names, held.ports, strict=True)), held


class Host:
    """A post office that can be started, stopped, killed and cut off, and made to misbehave.

    With a `BEHIND` port it has a gate before its SMTP port.
    """

    def __init__(self, spec: HostSpec, folder: Path, ports: dict[str, int], dns_port: int) -> None:
        self.spec = spec
        self.folder = folder
        self.ports = ports
        self.on_line: Callable[[Host, str], None] | None = None
        """Hears each line of the host's log."""
        self._dns_port = dns_port
        self.ahead = 0.0
        """Seconds that its clock is ahead of the system's."""
        self._cut_off = False
        self._owed = 0.0
        """Seconds that its clock has missed while it was cut off."""
        self._paying: asyncio.Task[Any] | None = None
        self._gate: Gate | None = None
        if BEHIND in ports:
            tls = folder / "data" / "tls"
            target = Target(
                name=spec.name,
                address=spec.address,
                port=ports[BEHIND],
                certificate=tls / "certificate.pem",
                key=tls / "key.pem",
            )
            self._gate = Gate(target, ports["smtp"])
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The host's name."""
        return self.spec.name

    @property
    def address(self) -> str:
        """The host's loopback address."""
        return self.spec.address

    @property
    def gate(self) -> Gate:
        """What stands before its SMTP port. NotFound: networks on published ports have no gates."""
        if self._gate is None:
            raise NotFound(f"{self.name} has no gate: make the network with published=False")
        return self._gate

    @property
    def configuration(self) -> Path:
        """Its configuration file."""
        return self.folder / "posthouse.toml"

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.returncode is None

    def write_configuration(self) -> None:
        """Write the file; harmless when it is there already."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = self.ports | ({"smtp": self.ports[BEHIND]} if BEHIND in self.ports else {})
        listeners = "\n".join(f'{name} = "{self.address}:{own[name]}"' for name in OFFERED)
        self.configuration.write_text(
            CONFIGURATION.format(
                name=self.name,
                listeners=listeners,
                dns_port=self._dns_port,
                smtp_port=self.ports["smtp"],
                address=self.address,
                retry=_toml_list(self.spec.retry),
                trusted=_toml_list(self.spec.trusted),
                ahead=self.ahead,
            )
            + self.spec.more
        )

    def command_line(self, *words: str) -> list[str]:
        """`posthouse -c … WORDS` for this host."""
        return [sys.executable, "-m", "posthouse", "-c", str(self.configuration), *words]

    async def command(self, *words: str) -> str:
        """Run a command and return what it printed. Temporary when it fails."""
        process = await asyncio.create_subprocess_exec(
            *self.command_line(*words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(limits.PLAYGROUND_COMMAND):
            out, err = await process.communicate()
        if process.returncode not in (0, 1):
            raise Temporary(f"{self.name}: posthouse {' '.join(words)}: {err.decode().strip()}")
        return out.decode()

    async def ask(self, command: str, **arguments: Any) -> Any:
        """The last result of a command (`operations.administration`) of the running host. Temporary, ControlFailed."""
        return await asyncio.to_thread(self._ask, command, arguments)

    def _ask(self, command: str, arguments: dict[str, Any]) -> Any:
        body = arguments.pop("body", b"")
        client = ControlClient.connect(self.folder / "data")
        if client is None:
            raise Temporary(f"{self.name} does not run")
        try:
            return list(client.run(command, arguments, body))[-1]
        finally:
            client.close()

    async def advance(self, seconds: float) -> None:
        """Move its clock on: what becomes due by that is tried now.

        Holds for later starts as well; one that is cut off learns of it when it is back.
        """
        self.ahead += seconds
        if self._cut_off:
            self._owed += seconds
        elif self.running:
            await self.ask("clock.advance", seconds=seconds)

    async def start(self) -> None:
        """Serve, and wait until every listener accepts. Temporary when it does not come up in time."""
        self.write_configuration()
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *self.command_line("serve", "--until-eof", "--ready-file", str(ready)),
            stdin=asyncio.subprocess.PIPE,  # it ends with us, even when we are killed
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            start_new_session=True,  # an interrupt at the terminal is the playground's to handle
            env=os.environ | {"POSTHOUSE_LOG": "info"},
        )
        self._reader = asyncio.create_task(self._read_log(self._process))
        async with asyncio.timeout(limits.PLAYGROUND_START):
            while not ready.exists():
                if self._process.returncode is not None:
                    raise Temporary(f"{self.name} did not start: {self._last_words()}")
                await asyncio.sleep(0.02)
        if self._gate is not None:
            await self._gate.start()

    def _last_words(self) -> str:
        """Why it ended, as its log says."""
        with contextlib.suppress(OSError):
            lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
            if lines:
                return lines[-1]
        return f"exit code {self._process.returncode if self._process else None}"

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        with (self.folder / "log").open("a") as log:
            while line := await process.stderr.readline():
                text = line.decode(errors="replace").rstrip("\n")
                log.write(text + "\n")
                log.flush()
                if self.on_line is not None:
                    self.on_line(self, text)

    async def stop(self) -> None:
        """End it as an administrator would: it finishes what it has begun."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(signal.SIGKILL)

    def cut_off(self) -> None:
        """Partition it: peers connect and hear nothing, as behind a network that drops packets."""
        if self._process is not None:
            self._cut_off = True
            self._process.send_signal(signal.SIGSTOP)

    def reconnect(self) -> None:
        """End the partition."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._cut_off = False
            owed, self._owed = self._owed, 0.0
            if owed:
                self._paying = asyncio.get_running_loop().create_task(self.ask("clock.advance", seconds=owed))

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        self._cut_off, self._owed = False, 0.0
        if process is None:
            return
        if self._gate is not None:
            await self._gate.stop()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(how)
            try:
                async with asyncio.timeout(limits.PLAYGROUND_STOP):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._reader is not None:
            await self._reader


def _toml_list(words: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"
