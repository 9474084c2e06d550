"""Posthouse against Postfix + Dovecot, on this machine, in one sitting: `make bench`.

Starts the peer of ../shared/bench (once with Maildir, once with mdbox) and `posthouse serve` side by side, runs
the same load generator unchanged against each in turn, test by test, and prints one table. A ratio above 1 means
that Posthouse is better; each row is held against the better of the two peers. Raw lines go to bench-results/.

The peer checks no sender and filters no junk, so neither does Posthouse in that table. A second one shows delivery as
it is by default, with SPF, DKIM, DMARC and the junk filter, against the same peer that checks nothing.

    python bench/compare.py                      everything (about an hour)
    python bench/compare.py --quick              smaller mailboxes, one run (under ten minutes)
    python bench/compare.py --only smtp,append   some tests
    python bench/compare.py --write              also write docs/benchmark.md's table
"""

from __future__ import annotations

import argparse
import imaplib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("POSTHOUSE_BENCH", ROOT.parent / "shared" / "bench"))
RESULTS = ROOT / "bench-results"
WORK = Path(os.environ.get("POSTHOUSE_BENCH_WORK", Path(tempfile.gettempdir()) / "posthouse-bench"))
TESTS = ("seed", "smtp", "login", "append", "select", "fetch", "store", "search", "mixed", "pop3", "idle")
PEER_PORTS = ["--smtp", "127.0.0.1:3025", "--imap", "127.0.0.1:3143", "--pop3", "127.0.0.1:3110"]
OUR_PORTS = ["--smtp", "127.0.0.1:4025", "--imap", "127.0.0.1:4143", "--pop3", "127.0.0.1:4110"]
LOWER_IS_BETTER = {"ms p50", "ms", "s", "KiB/session", "bytes allocated/msg"}
MARK = "<!-- table -->"
CHECKED_MARK = "<!-- checked -->"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
DNS_PORT = "4053"

CONFIG = """\
hostname = "mx.bench.test"
data = "data"
[listen]
smtp = "127.0.0.1:4025"
imap = "127.0.0.1:4143"
imaps = "127.0.0.1:4993"
pop3 = "127.0.0.1:4110"
[auth]
plaintext = "loopback"
default_domain = "bench.test"
[dns]
servers = ["127.0.0.1:4053"]
[limits]
message_size = "50MB"
"""
UNCHECKED = """\
[msgauth]
verify = "off"
[junk]
filter = "off"
"""
CHECKED = {"posthouse-checked": 1, "posthouse-workers": 2}
"""Posthouse with all checks on: name in the results → `workers`."""
CHECKED_RUNS = 2
"""How often delivery with all checks is measured."""
REST_SECONDS = 30.0
"""How long a server's background work is waited for before a test begins."""
TEST_SECONDS = 900.0
"""No test may take longer: it is ended, and the table says what is missing."""


class Peer:
    """Postfix + Dovecot with one mailbox format, by the set-up script beside the load generator."""

    def __init__(self, mailbox_format: str, users: int) -> None:
        self.name = mailbox_format
        self.folder = WORK / f"peer-{mailbox_format}"
        self.environment = os.environ | {
            "PEER_DIR": str(self.folder),
            "PEER_FORMAT": mailbox_format,
            "PEER_USERS": str(users),
            "PEER_LOGIN": "fast",
        }
        self.ports = [*PEER_PORTS, "--imaps", "127.0.0.1:3993"]
        self.pidfile = self.folder / "peer.pids"

    def start(self) -> None:
        """Write the configuration and start both servers."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        WORK.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [SHARED / "peer_setup.sh"], env=self.environment, check=True, stdout=subprocess.DEVNULL
        )

    def stop(self) -> None:
        """End exactly what was started."""
        subprocess.run(
            [SHARED / "peer_stop.sh"], env=self.environment, check=False, stdout=subprocess.DEVNULL
        )


class Posthouse:
    """`posthouse serve` as an administrator would run it."""

    def __init__(self, users: int, *, checked: str = "") -> None:
        """`checked`: with the checks of senders and the junk filter, as is the default; one of CHECKED."""
        self.name = checked or "posthouse"
        self.checked = checked
        self.users = users
        self.folder = WORK / "posthouse"
        self.ports = [*OUR_PORTS, "--imaps", "127.0.0.1:4993"]
        self.pidfile = self.folder / "posthouse.pid"
        self.process: subprocess.Popen[bytes] | None = None
        self.dns: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the accounts and serve; what is asked of the DNS goes to a name server of our own."""
        self.dns = subprocess.Popen([sys.executable, ROOT / "bench" / "name_server.py", DNS_PORT])
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        (self.folder / "posthouse.toml").write_text(self.configuration())
        self._command("domain", "add", "bench.test")
        listing = self.folder / "accounts.csv"
        rows = "".join(f"u{i:03d}@bench.test,secret\n" for i in range(self.users))
        listing.write_text("address,password\n" + rows)
        self._command("account", "import", str(listing))
        self.serve()

    def serve(self) -> None:
        """Start the program in a folder that has its configuration."""
        ready = self.folder / "ready"
        self.process = subprocess.Popen(
            [*self._program(), "serve", "--ready-file", str(ready)],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("wb"),
            env=ENVIRONMENT,
        )
        deadline = time.monotonic() + 30
        while not ready.exists():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                raise SystemExit(f"posthouse did not start; see {self.folder / 'log'}")
            time.sleep(0.05)
        self.pidfile.write_text(str(self.process.pid))

    def configuration(self) -> str:
        """The file."""
        return f"workers = {CHECKED[self.checked]}\n{CONFIG}" if self.checked else CONFIG + UNCHECKED

    def stop(self) -> None:
        """End the server."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self.dns is not None:
            self.dns.terminate()
            self.dns.wait(10)

    def _program(self) -> list[str]:
        return [sys.executable, "-m", "posthouse", "-c", str(self.folder / "posthouse.toml")]

    def _command(self, *words: str) -> None:
        subprocess.run(
            [*self._program(), *words],
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )


def warm(server: Peer | Posthouse, users: int) -> None:
    """Log every user in once: both sides then stand as they do on an ordinary day, with passwords remembered."""
    port = int(server.ports[server.ports.index("--imap") + 1].rpartition(":")[2])
    for number in range(users):
        client = imaplib.IMAP4("127.0.0.1", port)
        client.login(f"u{number:03d}", "secret")
        client.logout()


def tree(roots: set[int]) -> set[int]:
    """Processes with their descendants."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
    found, more = set(roots), True
    while more:
        children = {child for child, parent in parents.items() if parent in found} - found
        found |= children
        more = bool(children)
    return found


def cpu_seconds(processes: set[int]) -> float:
    """What they have run so far, in the kernel and outside."""
    ticks = 0
    for process in processes:
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def rest(server: Peer | Posthouse, seconds: float = REST_SECONDS) -> None:
    """Wait until a server has done what the last test left to its background: it is not the next test's cost."""
    roots = {int(word) for word in server.pidfile.read_text().split()}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = cpu_seconds(tree(roots))
        time.sleep(1)
        if cpu_seconds(tree(roots)) - before < 0.03:
            return


def measure(server: Peer | Posthouse, test: str, options: argparse.Namespace) -> None:
    """One test of the load generator against one server; its lines are added to the server's file."""
    rest(server)
    out = RESULTS / f"{server.name}.jsonl"
    command = [sys.executable, SHARED / "loadgen.py", *server.ports]
    command += ["--users", str(options.users), "--server-pidfile", server.pidfile, "--only", test]
    command += [
        "--out",
        out,
        "--label",
        server.name,
        "--runs",
        str(options.runs),
        "--secs",
        str(options.secs),
    ]
    command += ["--mid", str(options.mid), "--big", str(options.big), "--idle", options.idle]
    command += ["--sizes", options.sizes, "--conc", options.conc]
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, check=False, stdout=subprocess.DEVNULL, timeout=TEST_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"{server.name}: {test} took more than {TEST_SECONDS:.0f} s and was ended", file=sys.stderr)
    else:
        if done.returncode:
            print(f"{server.name}: {test} failed with exit code {done.returncode}", file=sys.stderr)


class Cell:
    """All runs of one test with one set of parameters on one server."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.cpu: list[float] = []
        self.p99: list[float] = []


NAMING = ("size", "conns", "reuse", "mailbox", "fresh_session", "sessions")


def read(name: str) -> dict[tuple[str, str, str], Cell]:
    """A server's results by (test, parameters, unit)."""
    path = RESULTS / f"{name}.jsonl"
    rows: dict[tuple[str, str, str], Cell] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        entry = json.loads(line)
        if entry["test"].endswith("_FAILED"):
            print(f"{name}: {entry['test']}: {entry.get('err')}", file=sys.stderr)
        if entry.get("value") is None:
            continue
        parameters = " ".join(f"{key}={entry[key]}" for key in NAMING if key in entry)
        cell = rows.setdefault((entry["test"], parameters, entry["unit"]), Cell())
        cell.values.append(entry["value"])
        if entry.get("srv_ms_per_op") is not None:
            cell.cpu.append(entry["srv_ms_per_op"])
        if entry.get("p99_ms") is not None:
            cell.p99.append(entry["p99_ms"])
    return rows


def median(values: list[float]) -> float | None:
    """The median, or None of nothing."""
    return statistics.median(values) if values else None


def number(value: float | None) -> str:
    """Three significant digits."""
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def ratio(ours: float | None, theirs: float | None, lower_is_better: bool) -> str:
    """How many times better we are."""
    if not ours or not theirs:
        return ""
    times = theirs / ours if lower_is_better else ours / theirs
    return f"**{times:.2g}x**" if times < 100 else f"**{times:.0f}x**"


def table() -> str:
    """The comparison as Markdown."""
    ours, peers = read("posthouse"), {name: read(name) for name in ("maildir", "mdbox")}
    lines = [
        "| test | parameters | unit | Maildir | mdbox | Posthouse | ratio | p99 ms: better peer | p99 ms: ours "
        "| CPU ms/op: better peer | CPU ms/op: ours | CPU ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, cell in ours.items():
        test, parameters, unit = key
        lower = unit in LOWER_IS_BETTER
        found = {name: rows[key] for name, rows in peers.items() if key in rows}
        values = {name: median(c.values) for name, c in found.items()}
        best = (min if lower else max)((v for v in values.values() if v is not None), default=None)
        cpu = min((median(c.cpu) for c in found.values() if c.cpu), default=None)  # type: ignore[type-var]
        p99 = min((median(c.p99) for c in found.values() if c.p99), default=None)  # type: ignore[type-var]
        cells = [test, parameters, unit, number(values.get("maildir")), number(values.get("mdbox"))]
        cells += [number(median(cell.values)), ratio(median(cell.values), best, lower)]
        cells += [number(p99), number(median(cell.p99)), number(cpu), number(median(cell.cpu))]
        cells += [ratio(median(cell.cpu), cpu, True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def checked_table() -> str:
    """Delivery with every check on, as Markdown."""
    one, more = (read(name) for name in CHECKED)
    peers = [read(name) for name in ("maildir", "mdbox")]
    lines = [
        "| delivered | better peer, msg/s | Posthouse, msg/s | ratio | two workers, msg/s | ratio "
        "| CPU ms/op: better peer | CPU ms/op: ours | CPU ratio |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, cell in one.items():
        test, parameters, _ = key
        if test != "smtp_delivered":
            continue
        found = [rows[key] for rows in peers if key in rows]
        best = max((median(c.values) or 0 for c in found), default=None)
        cpu = min((median(c.cpu) for c in found if c.cpu), default=None)  # type: ignore[type-var]
        cells = [parameters, number(best)]
        for values in (cell.values, more[key].values if key in more else []):
            cells += [number(median(values)), ratio(median(values), best, False)]
        cells += [number(cpu), number(median(cell.cpu)), ratio(median(cell.cpu), cpu, True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_into_page(mark: str, text: str) -> None:
    """Put a table between its two marks in docs/benchmark.md."""
    page = ROOT / "docs" / "benchmark.md"
    before, _, after = page.read_text().partition(mark)
    _, _, after = after.partition(mark)
    page.write_text(f"{before}{mark}\n{text}\n{mark}{after}")


def options_from(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(TESTS))
    parser.add_argument("--formats", default="maildir,mdbox", help="peers to measure; empty: Posthouse alone")
    parser.add_argument(
        "--peer-only", action="store_true", help="leave Posthouse out (its rows come from --keep)"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--secs", type=float, default=2.5)
    parser.add_argument("--mid", type=int, default=10000)
    parser.add_argument("--big", type=int, default=100000)
    parser.add_argument("--idle", default="500,2000")
    parser.add_argument("--sizes", default="4096,51200,1048576")
    parser.add_argument("--conc", default="1,10,50")
    parser.add_argument("--keep-work", action="store_true", help=f"leave the servers' folders at {WORK}")
    parser.add_argument("--keep", action="store_true", help="add to the results of earlier runs")
    parser.add_argument("--table", action="store_true", help="only print the table of earlier results")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmark.md")
    options = parser.parse_args(arguments)
    if options.quick:
        options.runs, options.big, options.idle, options.secs = 1, 10000, "500", 1.5
    return options


def main() -> None:
    """Measure, then print (and write) the table."""
    options = options_from(sys.argv[1:])
    if not options.table:
        if not (SHARED / "loadgen.py").exists():
            raise SystemExit(f"the load generator is not at {SHARED}; set POSTHOUSE_BENCH to its folder")
        RESULTS.mkdir(exist_ok=True)
        if not options.keep:
            for path in RESULTS.glob("*.jsonl"):
                path.unlink()
        try:
            run_all(options)
        finally:
            if not options.keep_work:
                shutil.rmtree(WORK, ignore_errors=True)
    for mark, text in ((MARK, table()), (CHECKED_MARK, checked_table())):
        print(text, end="\n\n")
        if options.write:
            write_into_page(mark, text)


def begin_anew(server: Peer | Posthouse, users: int) -> None:
    """A server without a past: memory of an idle session means nothing where earlier tests have left theirs."""
    server.stop()
    server.start()
    warm(server, users)


def run_all(options: argparse.Namespace) -> None:
    """Every test, the peer and Posthouse in turn."""
    chosen = options.only.split(",")
    for mailbox_format in options.formats.split(",") if options.formats else [""]:
        servers: list[Peer | Posthouse] = [] if options.peer_only else [Posthouse(options.users)]
        if mailbox_format:
            servers.insert(0, Peer(mailbox_format, options.users))
        started: list[Peer | Posthouse] = []
        try:
            for server in servers:
                try:
                    server.start()
                except subprocess.SubprocessError as fault:
                    print(f"{server.name} did not start and is left out: {fault}", file=sys.stderr)
                    server.stop()
                    continue
                started.append(server)
                warm(server, options.users)
            for test in chosen:
                for server in started:
                    if test == "idle":
                        begin_anew(server, options.users)
                    print(f"{time.strftime('%H:%M:%S')} {test} on {server.name}", file=sys.stderr, flush=True)
                    measure(server, test, options)
        finally:
            for server in started:
                server.stop()
    if "smtp" in chosen and not options.peer_only:
        run_checked(options)


def run_checked(options: argparse.Namespace) -> None:
    """Delivery with every check on, by one process and by more."""
    # What the checks cost does not grow beyond some ten kilobytes.
    again = argparse.Namespace(**vars(options) | {"runs": CHECKED_RUNS, "sizes": "4096,51200"})
    for name in CHECKED:
        server = Posthouse(options.users, checked=name)
        server.start()
        try:
            warm(server, options.users)
            print(f"{time.strftime('%H:%M:%S')} smtp on {server.name}", file=sys.stderr, flush=True)
            measure(server, "smtp", again)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
