"""Filters that others wrote, as Debian has them, on loopback ports of their own: opendkim, opendmarc, clamav-milter,
and rspamd's proxy worker. No name server can be asked: keys stand in files.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.interop.filters import RSPAMD, Daemon, RspamdDaemon

OPENDKIM = """\
Mode sv
Socket {socket}
Domain example.test
Selector here
KeyFile {folder}/key.pem
RequireSafeKeys no
TestPublicKeys {folder}/keys
InternalHosts 192.0.2.1
AuthservID {authserv}
AlwaysAddARHeader yes
On-BadSignature reject
Canonicalization simple/simple
Background no
Syslog no
UMask 000
"""
OPENDMARC = """\
Socket inet:{port}@127.0.0.1
AuthservID {authserv}
TrustedAuthservIDs {authserv}
IgnoreHosts {folder}/nobody
HistoryFile {folder}/history
RecordAllMessages true
Background false
Syslog false
"""
CLAMAV = """\
MilterSocket inet:{port}@127.0.0.1
ClamdSocket tcp:127.0.0.1:{clamd}
OnInfected {infected}
AddHeader Replace
RejectMsg %v is not welcome
Foreground yes
LogFile {folder}/log
TemporaryDirectory {folder}
"""
PROXY = """\
bind_socket = "127.0.0.1:{port}"; milter = yes; count = 1; timeout = 20s;
upstream "local" {{ default = yes; self_scan = yes; }}
"""


class Milter(Daemon):
    """A filter; it can stand still, and is always ended as a fault would: libmilter takes 5 seconds to stop."""

    authserv = "filter.test"
    """The name in which it writes Authentication-Results."""

    @property
    def place(self) -> str:
        """Where it listens, as Posthouse's configuration writes it."""
        return f"inet:127.0.0.1:{self.port}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def freeze(self) -> None:
        """It says no word more; its port still takes connections."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


class OpenDkim(Milter):
    """Signs what people of example.test send, verifies what comes. `key`: of "here._domainkey.example.test" (PEM);
    `records`: TXT records by name."""

    def __init__(self, peers: Path, folder: Path, key: str, records: dict[str, str]) -> None:
        super().__init__(peers, folder)
        self._key = key
        self._records = records
        self.unix = False
        """It listens at a Unix socket."""

    @property
    def place(self) -> str:
        return f"unix:{self.folder}/socket" if self.unix else super().place

    def answers(self) -> bool:
        return (self.folder / "socket").exists() if self.unix else super().answers()

    def prepare(self) -> list[str]:
        (self.folder / "key.pem").write_text(self._key)
        (self.folder / "keys").write_text("".join(f"{name} {text}\n" for name, text in self._records.items()))
        config = self.folder / "opendkim.conf"
        socket = f"local:{self.folder}/socket" if self.unix else f"inet:{self.port}@127.0.0.1"
        config.write_text(OPENDKIM.format(socket=socket, folder=self.folder, authserv=self.authserv))
        return [str(self.peers / "usr/sbin/opendkim"), "-f", "-x", str(config)]


class OpenDmarc(Milter):
    """Says what DMARC makes of what opendkim found."""

    def prepare(self) -> list[str]:
        (self.folder / "nobody").write_text("192.0.2.1\n")
        config = self.folder / "opendmarc.conf"
        config.write_text(OPENDMARC.format(port=self.port, folder=self.folder, authserv=self.authserv))
        return [str(self.peers / "usr/sbin/opendmarc"), "-f", "-c", str(config)]


class ClamavMilter(Milter):
    """Asks a clamd, and does with what is infected as its configuration says."""

    def __init__(self, peers: Path, folder: Path, clamd: int, infected: str) -> None:
        """`clamd`: its port; `infected`: "Reject", "Quarantine", "Blackhole" or "Defer"."""
        super().__init__(peers, folder)
        self._clamd = clamd
        self._infected = infected

    def prepare(self) -> list[str]:
        config = self.folder / "clamav-milter.conf"
        config.write_text(
            CLAMAV.format(port=self.port, folder=self.folder, clamd=self._clamd, infected=self._infected)
        )
        return [str(self.peers / "usr/sbin/clamav-milter"), "-c", str(config)]


class RspamdMilter(RspamdDaemon, Milter):
    """rspamd as a filter: its proxy worker scans by itself."""

    def stop(self) -> None:
        Daemon.stop(self)  # killed, it would leave its workers behind

    def files(self) -> dict[str, str]:
        return RSPAMD | {"worker-normal": "enabled = false;\n", "worker-proxy": PROXY}
