"""BIND with a few zones that a signed update may change (RFC 2136, 8945)."""

from __future__ import annotations

import base64
import secrets
import socket
import subprocess
import time
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype

from tests.interop.namespace import free_port

CONFIGURATION = """\
options {{
  directory "{folder}";
  pid-file none;
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnssec-validation no;
  minimal-responses no;
}};
controls {{ }};
key "posthouse." {{ algorithm hmac-sha256; secret "{secret}"; }};
{zones}
"""
ZONE = """\
zone "{name}" {{
  type primary;
  file "{name}.zone";
  update-policy {{ grant posthouse. wildcard *.{name} TXT; grant posthouse. name {name} TXT; }};
}};
"""
HEAD = "$TTL 60\n@ SOA ns.{name}. hostmaster.{name}. 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"


class Bind:
    """One server. `secret` is the key's; what is in its zones is asked for with `texts`."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.secret = base64.b64encode(secrets.token_bytes(32)).decode()
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, zones: dict[str, str]) -> None:
        """Serve zones: records in master file form, behind an SOA and an NS of ours."""
        text = "".join(ZONE.format(name=name) for name in zones)
        for name, records in zones.items():
            (self._folder / f"{name}.zone").write_text(HEAD.format(name=name) + records)
        file = self._folder / "named.conf"
        file.write_text(
            CONFIGURATION.format(folder=self._folder, port=self.port, secret=self.secret, zones=text)
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-g", "-n", "1", "-c", str(file)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None and time.monotonic() < deadline, self.log
                time.sleep(0.02)
            else:
                return

    @property
    def log(self) -> str:
        """What it did."""
        return (self._folder / "log").read_text()

    def texts(self, name: str) -> set[str]:
        """The TXT records of a name."""
        answer = dns.query.tcp(dns.message.make_query(name, "TXT"), "127.0.0.1", 10, self.port)
        return {
            b"".join(record.strings).decode()
            for records in answer.answer
            if records.rdtype == dns.rdatatype.TXT
            for record in records
        }

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
