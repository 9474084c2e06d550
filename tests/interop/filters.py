"""Debian's clamd and rspamd on loopback ports of their own, not as root, with signatures and rules of the test's.

Neither asks anything of the internet: clamd has one signature, and rspamd's name server is nowhere.
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from pathlib import Path

from tests.interop.namespace import free_port, reachable

OWNER = "nobody"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
"""What every virus scanner's makers have agreed to find, and nobody is hurt by."""
STREAM_MOST = 1 << 20

CLAMD = """\
TCPSocket {port}
TCPAddr 127.0.0.1
Foreground yes
DatabaseDirectory {folder}/signatures
TemporaryDirectory {folder}
LogFile {folder}/log
StreamMaxLength {most}
"""
RSPAMD = {
    "options": """\
disable_hyperscan = true;
enable_test_patterns = true;
dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.05s; retransmits = 1; }}
tempdir = "{folder}";
url_tld = "{folder}/tld";
""",
    "logging": 'type = "file"; filename = "{folder}/log"; level = "notice";\n',
    "worker-normal": 'bind_socket = "127.0.0.1:{port}"; count = 1;\n',
    "worker-controller": "enabled = false;\n",
    "worker-proxy": "enabled = false;\n",
}


class Daemon:
    """One of them; `start`, `stop`."""

    def __init__(self, peers: Path, folder: Path) -> None:
        self.peers = peers
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve; returns when it answers."""
        reachable(self.folder)
        words = self.prepare()
        as_root = os.geteuid() == 0
        if as_root:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, *_ids(OWNER))
        libraries = [self.peers / "usr/lib" / name for name in ("x86_64-linux-gnu", "rspamd", ".")]
        self._process = subprocess.Popen(
            words,
            env=os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, libraries))},
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "errors").open("wb"),
            cwd=self.folder,
            user=OWNER if as_root else None,
            group=_ids(OWNER)[1] if as_root else None,
            extra_groups=() if as_root else None,
        )
        deadline = time.monotonic() + 30
        while not self.answers():
            said = [
                path.read_text() for path in (self.folder / "errors", self.folder / "log") if path.exists()
            ]
            assert time.monotonic() < deadline and self._process.poll() is None, said
            time.sleep(0.05)

    def prepare(self) -> list[str]:
        """Write what it needs; the command that starts it."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None


class Clamd(Daemon):
    """ClamAV's daemon."""

    def prepare(self) -> list[str]:
        signatures = self.folder / "signatures"
        signatures.mkdir(exist_ok=True)
        (signatures / "test.ndb").write_text(f"Posthouse.Test:0:*:{EICAR.hex()}\n")
        config = self.folder / "clamd.conf"
        config.write_text(CLAMD.format(port=self.port, folder=self.folder, most=STREAM_MOST))
        return [str(self.peers / "usr/sbin/clamd"), "-c", str(config)]


class RspamdDaemon(Daemon):
    """rspamd with its own rules, as Debian gives them."""

    def files(self) -> dict[str, str]:
        """What it is configured with, by the names of its files."""
        return RSPAMD

    def prepare(self) -> list[str]:
        own = self.folder / "own" / "override.d"
        own.mkdir(parents=True, exist_ok=True)
        for name, text in self.files().items():
            (own / f"{name}.inc").write_text(text.format(folder=self.folder, port=self.port))
        (self.folder / "tld").write_text("com\nnet\norg\ntest\n")
        shared, rules = self.peers / "usr/share/rspamd", self.peers / "etc/rspamd"
        places = {
            "CONFDIR": rules, "LOCAL_CONFDIR": self.folder / "own", "SHAREDIR": shared, "DATADIR": shared,
            "RULESDIR": shared / "rules", "LUALIBDIR": shared / "lualib", "PLUGINSDIR": shared / "plugins",
            "DBDIR": self.folder, "RUNDIR": self.folder, "LOGDIR": self.folder,
        }  # fmt: skip
        words = [str(self.peers / "usr/bin/rspamd"), "-f", "-c", str(rules / "rspamd.conf"), "-i"]
        return words + [f"--var={name}={place}" for name, place in places.items()]


def _ids(user: str) -> tuple[int, int]:
    found = pwd.getpwnam(user)
    return found.pw_uid, found.pw_gid
