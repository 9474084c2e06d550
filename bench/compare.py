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
import shutil
import subprocess
import sys
import time

import places
from servers import CHECKED, Peer, Posthouse, rest, warm
from tables import checked_table, table, write_into_page

TESTS = ("seed", "smtp", "login", "append", "select", "fetch", "store", "search", "mixed", "pop3", "idle")
MARK = "<!-- table -->"
CHECKED_MARK = "<!-- checked -->"
CHECKED_RUNS = 2
"""How often delivery with all checks is measured."""
TEST_SECONDS = 900.0
"""No test may take longer: it is ended, and the table says what is missing."""


def measure(server: Peer | Posthouse, test: str, options: argparse.Namespace) -> None:
    """One test of the load generator against one server; its lines are added to the server's file."""
    rest(server)
    out = places.RESULTS / f"{server.name}.jsonl"
    command = [sys.executable, places.SHARED / "loadgen.py", *server.ports]
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
    parser.add_argument(
        "--keep-work", action="store_true", help=f"leave the servers' folders at {places.WORK}"
    )
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
        if not (places.SHARED / "loadgen.py").exists():
            raise SystemExit(
                f"the load generator is not at {places.SHARED}; set POSTHOUSE_BENCH to its folder"
            )
        places.RESULTS.mkdir(exist_ok=True)
        if not options.keep:
            for path in places.RESULTS.glob("*.jsonl"):
                path.unlink()
        try:
            run_all(options)
        finally:
            if not options.keep_work:
                shutil.rmtree(places.WORK, ignore_errors=True)
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
