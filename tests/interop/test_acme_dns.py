"""Names proved in the DNS (dns-01): Pebble looks, BIND takes our updates, or a program changes the records."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.config_tls import AcmeDns
from posthouse.operations.acme.dns_challenges import DnsChallenges, RecordRefused, dns_challenges
from posthouse.operations.acme.dns_command import DnsCommand
from posthouse.operations.acme.dns_updates import DnsUpdates
from posthouse.operations.acme.faults import AcmeFault
from tests.interop.bind import Bind
from tests.interop.namespace import free_port
from tests.interop.pebble import Certified, Pebble
from tests.interop.test_acme import HOST, INSTALLED, names_of

pytestmark = [pytest.mark.interop, pytest.mark.slow]

Find = Callable[[str], str]
OWNER = f"_acme-challenge.{HOST}"
NORTH = "mx A 127.0.0.1\nmta-sts A 127.0.0.1\n_acme-challenge.mta-sts CNAME proofs\n"


@pytest.fixture
def bind(program: Find, tmp_path: Path) -> Iterator[Bind]:
    made = Bind(program("named"), tmp_path / "bind")
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def pebble(program: Find, tmp_path: Path) -> Iterator[Pebble]:
    made = Pebble(program("pebble"), program("pebble-challtestsrv"), tmp_path / "pebble")
    try:
        yield made
    finally:
        made.stop()


def updates(bind: Bind, **changes: str) -> DnsUpdates:
    given = {"server": f"127.0.0.1:{bind.port}", "key": "posthouse.", "secret": bind.secret} | changes
    return DnsUpdates(AcmeDns(**given))  # type: ignore[arg-type]  # all of them are texts


def test_a_certificate_without_port_80_by_updates_to_bind(bind: Bind, pebble: Pebble, tmp_path: Path) -> None:
    bind.start({"north.test": NORTH})
    pebble.start(dns_port=bind.port)
    more = f', dns = {{server = "127.0.0.1:{bind.port}", key = "posthouse.", secret = "{bind.secret}", wait = "1s"}}'
    house = Certified(tmp_path / "house", pebble, more=more)
    house.file.write_text(house.file.read_text().replace(f'http = "127.0.0.1:{pebble.http}"\n', ""))
    try:
        house.fine("domain", "add", "north.test")
        house.start()
        house.await_log(INSTALLED)
        assert names_of(house.leaf()) == {HOST, "mta-sts.north.test"}
        house.until(lambda: not bind.texts(OWNER))  # what was put there is taken away again
        assert not bind.texts("proofs.north.test")
        assert bind.log.count("adding an RR at '_acme-challenge.mx.north.test' TXT") == 1
        assert bind.log.count("adding an RR at 'proofs.north.test' TXT") == 1
    finally:
        house.stop()


def test_a_certificate_without_port_80_by_a_program(pebble: Pebble, tmp_path: Path) -> None:
    pebble.start()
    program = tmp_path / "records.py"
    program.write_text(f"""
import json, sys, urllib.request
what, name, text = sys.argv[1:]
body = {{"host": name + "."}} | ({{"value": text}} if what == "add" else {{}})
url = "http://127.0.0.1:{pebble.dns_management}/" + ("set-txt" if what == "add" else "clear-txt")
urllib.request.urlopen(url, json.dumps(body).encode()).read()
with open({str(tmp_path / "said")!r}, "a") as said:
    print(what, name, file=said)
""")
    more = f', dns = {{command = ["{sys.executable}", "{program}"], wait = "0s"}}'
    house = Certified(tmp_path / "house", pebble, more=more)
    house.file.write_text(house.file.read_text().replace(f'http = "127.0.0.1:{pebble.http}"\n', ""))
    try:
        house.start()
        house.await_log(INSTALLED)
        assert names_of(house.leaf()) == {HOST}
        house.until(lambda: (tmp_path / "said").read_text().count("\n") == 2)
        assert (tmp_path / "said").read_text() == f"add {OWNER}\nremove {OWNER}\n"
    finally:
        house.stop()


def test_records_beside_ours_stay(bind: Bind) -> None:
    other_zone = "_acme-challenge.autoconfig CNAME proofs.road.test.\n"
    bind.start({"north.test": f'_acme-challenge.mx TXT "of another host"\n{other_zone}', "road.test": ""})
    changed = updates(bind)
    changed.add(OWNER, "ours")
    changed.add(OWNER, "ours")  # as after a crash
    assert bind.texts(OWNER) == {"of another host", "ours"}
    changed.remove(OWNER, "ours")
    assert bind.texts(OWNER) == {"of another host"}
    changed.remove(OWNER, "ours")
    changed.add("_acme-challenge.autoconfig.north.test", "theirs")
    assert bind.texts("proofs.road.test") == {"theirs"}


def test_what_the_server_refuses_is_told(bind: Bind) -> None:
    aliases = "".join(f"a{n} CNAME a{n + 1}\n" for n in range(limits.ACME_DNS_ALIASES + 1))
    bind.start({"north.test": f"{aliases}round CNAME round\n"})
    with pytest.raises(RecordRefused, match=r"does not answer for \S+mx\.south\.test\.: REFUSED"):
        updates(bind).add("_acme-challenge.mx.south.test", "ours")
    with pytest.raises(RecordRefused, match=r"does not change \S+mx\.north\.test\.: REFUSED"):
        updates(bind, key="", secret="").add(OWNER, "ours")
    for owner in ("a0.north.test", "round.north.test"):
        with pytest.raises(RecordRefused, match="more than 8 aliases"):
            updates(bind).add(owner, "ours")
    for wrong in ({"secret": "AAAA"}, {"key": "somebody."}):
        with pytest.raises(AcmeFault, match="does not know the key"):
            updates(bind, **wrong).add(OWNER, "ours")
    with pytest.raises(AcmeFault, match="cannot be asked"):
        updates(bind, server=f"127.0.0.1:{free_port()}").add(OWNER, "ours")


def test_a_name_that_cannot_be_proved_is_named_and_what_stays_is_no_fault(bind: Bind) -> None:
    bind.start({"north.test": ""})
    offered = dns_challenges(
        AcmeDns(server=f"127.0.0.1:{bind.port}", key="posthouse.", secret=bind.secret, wait=0)
    )
    with pytest.raises(AcmeFault) as raised:
        offered.offer("mx.south.test", "token", "answer")
    assert list(raised.value.names) == ["mx.south.test"]
    assert raised.value.gone
    offered.withdraw("token")
    offered.offer(HOST, "token", "answer")
    assert bind.texts(OWNER) == {"answer"}
    bind.stop()
    offered.withdraw("token")


def test_a_program_that_fails_hangs_or_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def program(text: str) -> DnsCommand:
        file = tmp_path / "program.sh"
        file.write_text(text)
        return DnsCommand(("/bin/sh", str(file)))

    with pytest.raises(RecordRefused, match="/bin/sh ended with 3: no such zone"):
        program("echo first; echo no such zone >&2; exit 3").add(OWNER, "ours")
    with pytest.raises(RecordRefused, match=r"ended with 1: x{500}$"):
        program("head -c 1000000 /dev/zero | tr '\\0' x; exit 1").add(OWNER, "ours")
    with pytest.raises(AcmeFault, match="cannot be run: No such file"):
        DnsCommand((str(tmp_path / "nothing"),)).add(OWNER, "ours")
    monkeypatch.setattr(limits, "ACME_DNS_COMMAND", 0.2)
    begun = time.monotonic()
    with pytest.raises(AcmeFault, match="did not end in time"):
        program("sleep 20").add(OWNER, "ours")
    assert time.monotonic() - begun < 10
    offered = DnsChallenges(program("exit 1"), 0)
    with pytest.raises(AcmeFault, match=f"{HOST}: .* ended with 1: it does not say why"):
        offered.offer(HOST, "token", "answer")
