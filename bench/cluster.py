"""A node over PostgreSQL and S3, all on this machine, against the embedded store and Postfix + Dovecot.

    python bench/cluster.py                 prints the tables; with --write they go into docs/benchmark.md

The CPU of the node counts together with that of the database and the object store. One after the other in one sitting,
by the load generator of ../shared/bench. Then what one node does is seen from another, a mailbox of 100,000 messages
is listed, and the database grows to 10,000 accounts and a million messages (`cluster_growth.py`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cluster_growth
import compare
import places
import servers
import tables

from tests.cluster.database import Database
from tests.cluster.object_store import ObjectStore

MARK = "<!-- cluster -->"
# Ports of its own, so that it may run beside `compare.py`.
servers.CONFIG = servers.CONFIG.replace("127.0.0.1:4", "127.0.0.1:5")
servers.OUR_PORTS = [word.replace("127.0.0.1:4", "127.0.0.1:5") for word in servers.OUR_PORTS]
servers.DNS_PORT = "5053"
TESTS = ("seed", "smtp", "append", "select", "fetch", "store", "search")
SIZES = ((10, 1_000), (1_000, 100_000), (10_000, 1_000_000))
"""Accounts and messages of the database as it grows."""
servers.REST_SECONDS = 15.0


class Cluster(servers.Posthouse):
    """One node with its database and object store."""

    def __init__(self, users: int) -> None:
        super().__init__(users)
        self.name = "cluster"
        self.folder = places.WORK / "cluster"
        self.pidfile = self.folder / "posthouse.pid"
        self.database = Database(sync=True)
        self.database.settings = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
        self.objects = ObjectStore()

    def configuration(self) -> str:
        """The same, over the database."""
        store = f'[store]\nurl = "{self.database.url("house")}"\nblobs = "{self.objects.url}"\n'
        return servers.CONFIG + servers.UNCHECKED + store

    def start(self) -> None:
        """The database and the object store first."""
        self.database.initialise()
        self.database.start()
        self.database.make("house")
        self.objects.start()
        super().start()
        pids = [self.process, self.database._process, self.objects._process]
        self.pidfile.write_text("\n".join(str(each.pid) for each in pids if each is not None))

    def processes(self) -> Collection[int]:
        """The node's, the database's, the object store's."""
        return servers.tree({int(word) for word in self.pidfile.read_text().split()})

    def stop(self) -> None:
        """All of it."""
        super().stop()
        self.objects.stop()
        self.database.stop()


class Second(servers.Posthouse):
    """Another node of a cluster, on ports of its own."""

    def __init__(self, first: Cluster) -> None:
        super().__init__(0)
        self._first = first
        self.folder = places.WORK / "second"
        self.pidfile = self.folder / "posthouse.pid"

    def start(self) -> None:
        """Beside the first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = self._first.configuration().replace("127.0.0.1:5", "127.0.0.1:8")
        text = text.replace("127.0.0.1:8053", "127.0.0.1:5053")
        (self.folder / "posthouse.toml").write_text(text)
        self.serve()


def table(peer: str) -> str:
    """The comparison as Markdown."""
    rows = {name: tables.read(name) for name in ("posthouse", "cluster", peer)}
    lines = [
        f"| test | parameters | unit | {peer} | embedded | cluster | to {peer} | to embedded "
        f"| CPU ms/op: {peer} | embedded | cluster |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, cell in rows["cluster"].items():
        test, parameters, unit = key
        lower = unit in tables.LOWER_IS_BETTER
        cells = {name: rows[name].get(key) for name in rows}
        values = {name: tables.median(c.values) if c else None for name, c in cells.items()}
        cpu = {name: tables.median(c.cpu) if c else None for name, c in cells.items()}
        ours = tables.median(cell.values)
        words = [test, parameters, unit, *(tables.number(values[n]) for n in (peer, "posthouse", "cluster"))]
        words += [tables.ratio(ours, values[n], lower) for n in (peer, "posthouse")]
        words += [tables.number(cpu[n]) for n in (peer, "posthouse", "cluster")]
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, then print (and write) the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--only", default=",".join(TESTS))
    parser.add_argument("--peer", default="mdbox", help="Dovecot's format; empty: no peer")
    parser.add_argument("--big", type=int, default=2000)
    parser.add_argument("--no-growth", action="store_true", help="only the comparison")
    parser.add_argument("--secs", type=float, default=1.5)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    options = compare.options_from([])
    for name in ("users", "big", "secs", "runs"):
        setattr(options, name, getattr(given, name))
    options.sizes, options.conc, options.mid = "4096,51200", "10,50", 5000
    places.RESULTS.mkdir(exist_ok=True)
    lineup: list[servers.Peer | servers.Posthouse] = [servers.Posthouse(given.users), Cluster(given.users)]
    if given.peer:
        lineup.insert(0, servers.Peer(given.peer, given.users))
    began = time.monotonic()
    facts = ""
    for server in lineup:  # each alone: two of them have the same ports
        if isinstance(server, servers.Posthouse):
            server.ports = [*servers.OUR_PORTS, "--imaps", "127.0.0.1:5993"]
        (places.RESULTS / f"{server.name}.jsonl").unlink(missing_ok=True)
        server.start()
        try:
            servers.warm(server, given.users)
            for test in given.only.split(",") if given.only else ():
                compare.measure(server, test, options)
                print(f"{time.monotonic() - began:4.0f} s: {server.name} {test}", file=sys.stderr)
            if isinstance(server, Cluster) and not given.no_growth:
                facts = beside(server)
        finally:
            server.stop()
    text = f"{table(given.peer or 'mdbox')}\n{facts}"
    print(text)
    print(f"{time.monotonic() - began:.0f} seconds", file=sys.stderr)
    if given.write:
        page = places.ROOT / "docs" / "benchmark.md"
        before, _, after = page.read_text().partition(MARK)
        page.write_text(f"{before}{MARK}\n{text}\n{MARK}{after.partition(MARK)[2]}")


def beside(server: Cluster) -> str:
    """From node to node, a large listing, and growth; as Markdown."""
    assert server.process is not None
    second = Second(server)
    second.start()
    try:
        middle, worst = cluster_growth.across(5025, 8143)
    finally:
        second.stop()
    first, again = cluster_growth.streamed(server, server.process.pid, 5143)
    servers.rest(server)
    rows = cluster_growth.table(server, 5143, 5025, SIZES)
    return (
        f"\nFrom `250` of one node to `EXISTS` in IDLE on another: median {middle:.1f} ms, p99 {worst:.1f} ms"
        f" ({cluster_growth.SAMPLES} messages).\n\nFETCH of three header fields of 100,000 messages:"
        f" {first.seconds:.1f} and {again.seconds:.1f} s for two mailboxes one after the other; the node's memory"
        f" grew by {first.grown:.0f} MiB, which fills its caches, then by {again.grown:.0f} MiB.\n\n{rows}"
    )


if __name__ == "__main__":
    main()
