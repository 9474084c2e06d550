"""Posthouse with all its checks on against Postfix + Dovecot with the filters that Debian has for it: arriving mail.

    python bench/filters.py [--write]     (needs root; under five minutes; --write: into docs/benchmark.md)

Three peers, each of ../shared/bench/peer_setup.sh with Dovecot's mdbox: alone, with opendkim (milter) and SPF's policy
daemon, and with rspamd (milter, Debian's rules). All stand in a network of their own, so that no filter can reach the
internet: its only name server is the benchmark's. The load generator is unchanged; its signatures have no key in the
DNS. Raw lines go to bench-results/filters/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench")]

import compare  # noqa: E402
import places  # noqa: E402
import servers  # noqa: E402
import tables  # noqa: E402

PEERS: Final = ROOT / ".peers"
LIBRARIES: Final = ":".join(str(PEERS / "usr/lib" / name) for name in ("x86_64-linux-gnu", "rspamd", "."))
MARK: Final = "<!-- filters -->"
USERS: Final = 40

OPENDKIM: Final = """\
Mode v
Socket local:{folder}/socket
UMask 000
Syslog no
Background no
On-BadSignature accept
On-KeyNotFound accept
Nameservers 127.0.0.1
"""
POLICY: Final = """\
debugLevel = 0
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
skip_addresses = 192.0.2.255/32
"""
RSPAMD: Final = {
    "options": 'dns { nameserver = ["127.0.0.1"]; }\nlocal_addrs = [];\ntempdir = "{folder}";\n',
    "logging": 'type = "file"; filename = "{folder}/log"; level = "warning";\n',
    "worker-normal": "enabled = false;\n",
    "worker-controller": "enabled = false;\n",
    "worker-proxy": """\
bind_socket = "{folder}/socket mode=0666";
milter = yes; count = 2; timeout = 30s;
upstream "local" { default = yes; self_scan = yes; }
""",
    **dict.fromkeys(("spf", "dkim", "dmarc"), "check_local = true; check_authed = true;\n"),
}


class Filtered(servers.Peer):
    """Postfix + Dovecot with a filter in front."""

    def __init__(self, name: str, prepare: Callable[[Filtered], str]) -> None:
        """`prepare` writes what the filter needs, starts it, and gives what main.cf and master.cf gain."""
        super().__init__("mdbox", USERS)
        self.name = name
        self.folder = places.WORK / name
        self.environment["PEER_DIR"] = str(self.folder)
        self.pidfile = self.folder / "all.pids"
        self.filters: list[subprocess.Popen[bytes]] = []
        self._prepare = prepare

    def start(self) -> None:
        """Write the configuration, start the filter, then both servers."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._setup("config")
        main, _, master = self._prepare(self).partition("\n\n")
        for name, more in (("main.cf", main), ("master.cf", master)):
            with (self.folder / "postfix" / name).open("a") as file:
                file.write(more + "\n")
        self._setup("start")
        processes = (self.folder / "peer.pids").read_text().split() + [str(one.pid) for one in self.filters]
        self.pidfile.write_text("\n".join(processes))

    def stop(self) -> None:
        """End exactly what was started."""
        super().stop()
        for one in self.filters:
            one.terminate()
            one.wait(20)
        self.filters = []

    def _setup(self, what: str) -> None:
        words = [str(places.SHARED / "peer_setup.sh"), what]
        subprocess.run(words, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def place(self, name: str) -> Path:
        """A folder for the filter, that Postfix's users can reach."""
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def run(self, words: list[str], socket: Path) -> None:
        """Start a filter; returns when its socket is there."""
        environment = os.environ | {"LD_LIBRARY_PATH": LIBRARIES}
        with (socket.parent / "errors").open("wb") as errors:
            process = subprocess.Popen(
                words, env=environment, cwd=socket.parent, stdout=errors, stderr=errors
            )
        self.filters.append(process)
        deadline = time.monotonic() + 90
        while not socket.exists():
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"{words[0]} did not start; see {socket.parent}")
            time.sleep(0.1)


def alone(_: Filtered) -> str:
    """No filter."""
    return "\n\n"


def opendkim_and_spf(peer: Filtered) -> str:
    """opendkim verifies signatures, the policy daemon SPF: what Debian's packages do for an administrator."""
    folder = peer.place("opendkim")
    config = folder / "opendkim.conf"
    config.write_text(OPENDKIM.format(folder=folder))
    peer.run([str(PEERS / "usr/sbin/opendkim"), "-f", "-x", str(config)], folder / "socket")
    policy = folder / "policy.conf"
    policy.write_text(POLICY)
    modules = PEERS / "usr/lib/python3/dist-packages"
    command = f"/usr/bin/env PYTHONPATH={modules} /usr/bin/python3 {PEERS}/usr/bin/policyd-spf {policy}"
    return (
        milter(folder / "socket")
        + "smtpd_recipient_restrictions = check_policy_service unix:private/policyd-spf\n\n"
        + f"policyd-spf unix - n n - 0 spawn user=nobody argv={command}"
    )


def rspamd(peer: Filtered) -> str:
    """rspamd as a milter, with the rules that come with it."""
    folder = peer.place("rspamd")
    own = folder / "own" / "override.d"
    own.mkdir(parents=True)
    for name, text in RSPAMD.items():
        (
            own / f"{name}.{'inc' if 'worker' in name or name in ('options', 'logging') else 'conf'}"
        ).write_text(text.replace("{folder}", str(folder)))
    shared, rules = PEERS / "usr/share/rspamd", PEERS / "etc/rspamd"
    places = {"CONFDIR": rules, "LOCAL_CONFDIR": folder / "own", "SHAREDIR": shared, "DATADIR": shared}
    places |= {"RULESDIR": shared / "rules", "LUALIBDIR": shared / "lualib", "PLUGINSDIR": shared / "plugins"}
    places |= dict.fromkeys(("DBDIR", "RUNDIR", "LOGDIR"), folder)
    words = [str(PEERS / "usr/bin/rspamd"), "-f", "-i", "-c", str(rules / "rspamd.conf")]
    peer.run(words + [f"--var={name}={place}" for name, place in places.items()], folder / "socket")
    return milter(folder / "socket") + "\n"


def milter(socket: Path) -> str:
    """main.cf's lines for a milter."""
    return f"smtpd_milters = unix:{socket}\nmilter_default_action = accept\nmilter_protocol = 6\n"


KINDS: Final = {
    "postfix": ("Postfix + Dovecot", alone),
    "opendkim-spf": ("with opendkim and SPF policy", opendkim_and_spf),
    "rspamd": ("with rspamd", rspamd),
}
OURS: Final = "posthouse-checked"
INSIDE: Final = "POSTHOUSE_BENCH_INSIDE"
"""In the environment: we are in the closed network already."""


def table() -> str:
    """The comparison as Markdown."""
    rows = {name: tables.read(name) for name in (*KINDS, OURS)}
    heads = [*(words for words, _ in KINDS.values()), "Posthouse, all checks"]
    lines = ["| delivered a second | " + " | ".join(heads) + " | ratios | CPU ms a message | CPU ratios |"]
    lines.append("|---" * (len(heads) + 4) + "|")
    for key, ours in rows[OURS].items():
        if key[0] != "smtp_delivered":
            continue
        cells = [rows[name].get(key) for name in KINDS]
        rates = [tables.median(cell.values) if cell else None for cell in cells]
        costs = [tables.median(cell.cpu) if cell else None for cell in cells]
        mine, cost = tables.median(ours.values), tables.median(ours.cpu)
        line = [in_words(key[1]), *map(tables.number, (*rates, mine))]
        line.append(", ".join(tables.ratio(mine, rate, False) or "-" for rate in rates))
        line.append(" / ".join(tables.number(one) or "-" for one in (*costs, cost)))
        line.append(", ".join(tables.ratio(cost, one, True) or "-" for one in costs))
        lines.append("| " + " | ".join(line) + " |")
    return (
        "\n".join(lines)
        + f"\n\nOther work took {others():.1f} of the two cores (median) while this was measured."
    )


def in_words(parameters: str) -> str:
    """A row's first cell."""
    values = dict(word.split("=") for word in parameters.split())
    size = f"{int(values['size']) // 1024} KB, {values['conns']} connections"
    return size if values["reuse"] == "True" else f"{size}, one message each"


def others() -> float:
    """Cores that work of others took, the median of all runs."""
    lines = [line for path in places.RESULTS.glob("*.jsonl") for line in path.read_text().splitlines()]
    return tables.median([json.loads(line).get("other_cores") or 0.0 for line in lines]) or 0.0


def measure(options: argparse.Namespace) -> None:
    """Each server in turn."""
    words = ["--users", str(USERS), "--runs", "1", "--secs", str(options.secs), "--sizes", "4096,51200"]
    run = compare.options_from([*words, "--conc", "10,50"])
    for name in options.only.split(","):
        server = servers.Posthouse(USERS, checked=OURS) if name == OURS else Filtered(name, KINDS[name][1])
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
        try:
            server.start()
            servers.warm(server, USERS)
            compare.measure(server, "smtp", run)
        finally:
            server.stop()


def inside(arguments: list[str]) -> None:
    """Go on in a network without any way out, where the name server of the benchmark is the only one."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    places.WORK.mkdir(parents=True, exist_ok=True)
    nameservers = places.WORK / "resolv.conf"
    nameservers.write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", nameservers, "/etc/resolv.conf"], check=True)
    dns = subprocess.Popen([sys.executable, ROOT / "bench" / "name_server.py", "53"])
    try:
        run(arguments)
    finally:
        dns.terminate()
        dns.wait(10)
        shutil.rmtree(places.WORK, ignore_errors=True)


def run(arguments: list[str]) -> None:
    """Measure, then print (and write) the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join((*KINDS, OURS)), help="some of the servers, beside --keep")
    parser.add_argument("--keep", action="store_true", help="add to the results of earlier runs")
    parser.add_argument("--secs", type=float, default=2.0)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmark.md")
    options = parser.parse_args(arguments)
    places.RESULTS.mkdir(parents=True, exist_ok=True)
    if not options.keep:
        for path in places.RESULTS.glob("*.jsonl"):
            path.unlink()
    measure(options)
    text = table()
    print(text)
    if options.write:
        page = ROOT / "docs" / "benchmark.md"
        before, _, after = page.read_text().partition(MARK)
        _, _, after = after.partition(MARK)
        page.write_text(f"{before}{MARK}\n{text}\n{MARK}{after}")


def main() -> None:
    """Get the filters, then begin anew in a network of our own."""
    places.RESULTS = places.RESULTS / "filters"
    places.WORK = places.WORK.with_name("posthouse-filters")
    if INSIDE in os.environ:
        inside(sys.argv[1:])
        return
    if not (places.SHARED / "loadgen.py").exists():
        raise SystemExit(f"the load generator is not at {places.SHARED}; set POSTHOUSE_BENCH to its folder")
    if os.geteuid() != 0:
        raise SystemExit("this needs root: the peer has users of its own, and the network is closed")
    subprocess.run([ROOT / "scripts" / "install-peers.sh", "--filters"], check=True)
    words = ["unshare", "--net", "--mount", sys.executable, __file__, *sys.argv[1:]]
    os.execvpe("unshare", words, os.environ | {INSIDE: "1"})


if __name__ == "__main__":
    main()
