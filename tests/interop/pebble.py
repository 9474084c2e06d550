"""Pebble, the ACME authority of Let's Encrypt's authors for tests, with its DNS; and a house that asks it."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from posthouse.net.certificates import make_pair
from tests.app.conftest import Served
from tests.interop.namespace import free_port

HOUSE = """\
hostname = "mx.north.test"
{extra}
[listen]
smtp = "127.0.0.1:0"
submission = "127.0.0.1:0"
submissions = "127.0.0.1:0"
imap = "127.0.0.1:0"
imaps = "127.0.0.1:0"
pop3 = "127.0.0.1:0"
pop3s = "127.0.0.1:0"
sieve = "127.0.0.1:0"
http = "127.0.0.1:{http}"
https = "127.0.0.1:{https}"
[dns]
servers = ["127.0.0.1:{dns}"]
[tls]
acme = {{directory = "{directory}", contact = "postmaster@north.test", ca = "{ca}"{more}}}
[testing]
clock = true
ahead = {ahead}
"""


class Pebble:
    """One authority on ports of its own. It looks for http-01 at `http`, for tls-alpn-01 at `https`."""

    def __init__(self, program: str, dns_program: str, folder: Path) -> None:
        self._program = program
        self._dns_program = dns_program
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.port, self._management, self.dns_management = free_port(), free_port(), free_port()
        self.http, self.https, self.dns = free_port(), free_port(), free_port()
        self.directory = f"https://127.0.0.1:{self.port}/dir"
        self.ca = folder / "ca.pem"
        folder.mkdir(parents=True, exist_ok=True)
        pair = make_pair("127.0.0.1", datetime.now(UTC), authority=True)
        self.ca.write_bytes(pair.authority)
        (folder / "cert.pem").write_bytes(pair.certificate)
        (folder / "key.pem").write_bytes(pair.key)

    def start(
        self, *, life: int = 0, bound: dict[str, str] | None = None, dns_port: int = 0, **environment: str
    ) -> None:
        """Serve; `life`: seconds that certificates are good, `bound`: keys of external accounts.

        `dns_port`: of the name server that it asks in place of its own.
        """
        settings: dict[str, Any] = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(self._folder / "cert.pem"),
            "privateKey": str(self._folder / "key.pem"),
            "httpPort": self.http,
            "tlsPort": self.https,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(bound),
        }
        if bound:
            settings["externalAccountMACKeys"] = bound
        if life:
            settings["certificateValidityPeriod"] = life
        (self._folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        if dns_port:
            self.dns = dns_port
            self.start_again(**environment)
            return
        dns = [self._dns_program, "-dns01", f"127.0.0.1:{self.dns}", "-defaultIPv6", ""]
        dns += ["-management", f"127.0.0.1:{self.dns_management}", "-http01", "", "-https01", ""]
        self._start([*dns, "-tlsalpn01", ""], {})
        self.start_again(**environment)
        self._await(self.dns_management)

    def start_again(self, **environment: str) -> None:
        """Serve after `stop`: it has forgotten everything, and has another root."""
        words = [self._program, "-strict", "-config", str(self._folder / "pebble.json")]
        words += ["-dnsserver", f"127.0.0.1:{self.dns}"]
        usual = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20", "PEBBLE_AUTHZREUSE": "0"}
        self._authority = self._start(words, usual | environment)
        self._await(self.port)

    def _start(self, words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            words,
            stdout=(self._folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
        )
        self._processes.append(process)
        return process

    def _await(self, port: int) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(self.log)

    @property
    def log(self) -> str:
        """What it did."""
        return (self._folder / "log").read_text()

    def await_log(self, text: str) -> None:
        """Wait until it says something."""
        deadline = time.monotonic() + 60
        while text not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def point(self, name: str, *addresses: str) -> None:
        """Let a name lead to these addresses; without any it has none."""
        self._tell("clear-a", {"host": f"{name}."})
        self._tell("add-a", {"host": f"{name}.", "addresses": list(addresses)})

    def _tell(self, what: str, body: dict[str, Any]) -> None:
        url = f"http://127.0.0.1:{self.dns_management}/{what}"
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=10) as answer:
            assert answer.status == 200

    def root(self) -> ssl.SSLContext:
        """For programs that trust what it issues."""
        trusting = ssl.create_default_context(cafile=str(self.ca))
        url = f"https://127.0.0.1:{self._management}/roots/0"
        with urllib.request.urlopen(url, context=trusting, timeout=10) as answer:
            return ssl.create_default_context(cadata=answer.read().decode())

    def stop_authority(self) -> None:
        """It is away; its DNS stays."""
        self._authority.terminate()
        self._authority.wait(10)
        self._processes.remove(self._authority)

    def stop(self) -> None:
        """End it all."""
        for process in self._processes:
            process.terminate()
            process.wait(10)
        self._processes.clear()


class Certified(Served):
    """A house that gets its certificate from a Pebble."""

    def __init__(self, folder: Path, pebble: Pebble, more: str = "", extra: str = "") -> None:
        self.pebble = pebble
        self._more = more
        self._ahead = 0
        super().__init__(folder, extra)

    def configure(self, extra: str = "", more: str = "") -> None:
        """Write the configuration; `more` goes into `tls.acme`."""
        pebble = self.pebble
        text = HOUSE.format(
            extra=extra,
            http=pebble.http,
            https=pebble.https,
            dns=pebble.dns,
            directory=pebble.directory,
            ca=pebble.ca,
            more=more or self._more,
            ahead=self._ahead,
        )
        self.file.write_text(text)

    def configure_clock(self, ahead: int) -> None:
        """From the next start on its clock is so many seconds ahead."""
        self._ahead = ahead
        self.configure()

    def kill(self) -> None:
        """It ends at once, as in a power failure."""
        assert self.process is not None
        self.process.kill()
        self.stop()

    def await_count(self, text: str, count: int) -> None:
        """Wait until something was logged so often."""
        self.until(lambda: self.log.count(text) >= count)

    def await_state(self, key: str) -> None:
        """Wait until something is kept of the authority."""
        self.until(lambda: self.state().get(key))

    def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def await_log(self, text: str) -> None:
        """Wait until a line is logged."""
        self.until(lambda: text in self.log)

    def findings(self) -> list[dict[str, str]]:
        """What `status` finds."""
        return json.loads(self.run("status", "--json").stdout)

    def state(self) -> dict[str, Any]:
        """What it keeps of the authority."""
        found = list((self.folder / "data" / "tls" / "acme").glob("*/state.json"))
        return json.loads(found[0].read_bytes()) if found else {}

    def leaf(self) -> x509.Certificate:
        """The certificate in place."""
        return x509.load_pem_x509_certificate(
            (self.folder / "data" / "tls" / "acme" / "pair.pem").read_bytes()
        )

    def get(self, path: str) -> tuple[int, bytes]:
        """A page of the listener without TLS."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port('http')}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()
