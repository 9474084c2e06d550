"""docs/cluster.md as a site: every node and the balancer a host of its own, by the files of contrib/cluster.

Database and object store are on this machine, and so are the programs of people. Two nodes take mail, two are for
reading; clients come through the balancer, or to a node itself.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from posthouse.net.certificates import make_pair
from tests.cluster.balancer import Balancer
from tests.cluster.database import Database
from tests.cluster.network import Network
from tests.cluster.object_store import ObjectStore
from tests.cluster.processes import NodeProcess, start

CONTRIB: Final = Path(__file__).resolve().parents[2] / "contrib" / "cluster"
NAME: Final = "mail.example.test"
"""What people type, and the certificate has."""
ANN: Final = ("ann@example.test", "secret-of-ann")
HOSTS: Final = {"mx1": 11, "mx2": 12, "in1": 21, "in2": 22}
ROLES: Final = {"mx": "mx,submission,queue", "in": "imap,pop3,sieve,web,jobs"}


class Site:
    """`open` and `close` it; `address` tells where a host is, `balancer` where people go; `haproxy` is the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = Network()
        self.balancer = self.network.address(2)
        here = self.network.address(1)
        self.database = Database(host=here)
        self.objects = ObjectStore(here)
        self.certificate = folder / "certificate.pem"
        self.nodes: dict[str, NodeProcess] = {}

    def address(self, name: str) -> str:
        return self.network.address(HOSTS[name])

    def open(self) -> None:
        """Everything serves, and ann has an account."""
        pair = make_pair(NAME, datetime.now(UTC))
        self.certificate.write_bytes(pair.certificate)
        (self.folder / "key.pem").write_bytes(pair.key)
        bucket = threading.Thread(target=self.objects.start)
        bucket.start()
        self.database.initialise()
        self.database.start()
        url = self.database.make("house")
        bucket.join()
        for name, number in HOSTS.items():
            host = self.network.host(number)
            node = self.nodes[name] = NodeProcess(self.folder / name, url, ROLES[name[:2]], inside=host)
            node.file.write_text(self._configuration(name, url))
        start(*self.nodes.values())
        self.nodes["mx1"].command("domain", "add", "example.test")
        self.nodes["mx1"].command("account", "add", ANN[0], "--password", ANN[1])
        where, file = (self.balancer, 993), self.folder / "haproxy.cfg"
        self.haproxy = Balancer(file, self._balancing(), where, self.network.host(2))
        self.haproxy.__enter__()

    def _configuration(self, name: str, url: str) -> str:
        """contrib's node.toml, with this site's names and addresses."""
        text = (CONTRIB / "node.toml").read_text()
        for there, here in (
            ('{env = "HOSTNAME"}', f'"{name}.example.test"'),
            ("/var/lib/posthouse", str(self.folder / name / "data")),
            ("172.16.0.0/12", f"{self.balancer}/32"),
            ("postgresql://posthouse:secret@db/posthouse", url),
            ("s3://mail:secret@mail?endpoint=http://s3:8333", self.objects.url),
        ):
            assert there in text
            text = text.replace(there, here)
        return f'{text}\n[tls]\ncertificate = "{self.certificate}"\nkey = "{self.folder}/key.pem"\n'

    def _balancing(self) -> str:
        """contrib's haproxy.cfg, with addresses where it has names."""
        text = (CONTRIB / "haproxy.cfg").read_text()
        for words in (
            "resolvers names\n    parse-resolv-conf\n",
            " resolvers names init-addr last,libc,none",
        ):
            assert words in text
            text = text.replace(words, "")
        return re.sub(r" (mx\d|in\d):", lambda hit: f" {self.address(hit[1])}:", text)

    def close(self) -> None:
        if hasattr(self, "haproxy"):
            self.haproxy.__exit__(None, None, None)
        for node in self.nodes.values():
            node.kill()
        self.objects.stop()
        self.database.stop()
        self.network.remove()

    # --- what people do --------------------------------------------------------------------------------------

    def tls(self) -> ssl.SSLContext:
        """For programs that know the certificate; they go to addresses, which are not in it."""
        made = ssl.create_default_context(cafile=str(self.certificate))
        made.check_hostname = False
        return made

    def send(self, subject: str, host: str = "") -> None:
        """A stranger's mail for ann, to a host's address or through the balancer."""
        with smtplib.SMTP(host or self.balancer, 25, timeout=20) as smtp:
            text = f"From: a@far.test\r\nSubject: {subject}\r\n\r\nhello\r\n"
            smtp.sendmail("a@far.test", [ANN[0]], text.encode())
