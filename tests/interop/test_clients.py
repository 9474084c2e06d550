"""The mail programs people use: they send with login over 587 and 465, and read by POP3 and IMAP."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import run
from tests.interop.local import ACCOUNTS, LocalHouse
from tests.interop.mirror import Mirror

pytestmark = [pytest.mark.interop, pytest.mark.slow]

ALICE, BOB = "alice@example.test", "bob@example.test"
Find = Callable[[str], str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHouse]:
    made = LocalHouse(tmp_path_factory.mktemp("house"))
    made.configure()
    made.start()
    yield made
    made.stop()


def message(subject: str) -> str:
    return f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: {subject}\r\n\r\nWritten by a real program.\r\n"


# --- sending -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("port", "tls"), [("submission", "--tls"), ("submissions", "--tlsc")])
def test_swaks_sends(house: LocalHouse, program: Find, mechanism: str, port: str, tls: str) -> None:
    subject = f"swaks {mechanism} {port}"
    done = run(
        *(program("swaks"), "--server", "127.0.0.1", "--port", str(house.ports[port]), tls),
        *("--auth", mechanism, "--auth-user", ALICE, "--auth-password", ACCOUNTS[ALICE]),
        *("--from", ALICE, "--to", BOB, "--header", f"Subject: {subject}"),
    )
    assert done.returncode == 0, done.stdout
    assert subject in house.subjects(BOB)


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "login"])
@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_msmtp_sends(house: LocalHouse, program: Find, mechanism: str, port: str) -> None:
    subject = f"msmtp {mechanism} {port}"
    done = run(
        *(program("msmtp"), "--file=/dev/null", "--host=127.0.0.1", f"--port={house.ports[port]}"),
        *("--tls=on", "--tls-certcheck=off", f"--tls-starttls={'on' if port == 'submission' else 'off'}"),
        *(f"--auth={mechanism}", f"--user={ALICE}", f"--passwordeval=echo {ACCOUNTS[ALICE]}"),
        *(f"--from={ALICE}", BOB),
        text=message(subject).replace("\r\n", "\n"),
    )
    assert done.returncode == 0, done.stderr
    assert subject in house.subjects(BOB)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_curl_sends(house: LocalHouse, program: Find, tmp_path: Path, scheme: str) -> None:
    subject = f"curl {scheme}"
    (tmp_path / "m.eml").write_text(message(subject))
    port = house.ports["submission" if scheme == "smtp" else "submissions"]
    done = run(
        *(program("curl"), "-sk", "--ssl-reqd", "--url", f"{scheme}://127.0.0.1:{port}"),
        *("--user", f"{ALICE}:{ACCOUNTS[ALICE]}", "--mail-from", ALICE, "--mail-rcpt", BOB),
        *("-T", str(tmp_path / "m.eml")),
    )
    assert done.returncode == 0, done.stderr
    assert subject in house.subjects(BOB)


def test_s_nail_sends(house: LocalHouse, program: Find) -> None:
    done = run(
        *(program("s-nail"), "-:/", "-Sv15-compat", "-Stls-verify=ignore", "-Ssmtp-use-starttls"),
        f"-Smta=submission://alice%40example.test:{ACCOUNTS[ALICE]}@127.0.0.1:{house.ports['submission']}",
        *(f"-Sfrom={ALICE}", "-s", "s-nail", BOB),
        text="Written by s-nail.\n",
    )
    assert done.returncode == 0, done.stderr
    assert "s-nail" in house.subjects(BOB)


# --- refusals ------------------------------------------------------------------------------------------


def swaks(program: Find, port: int, *words: str) -> str:
    return run(program("swaks"), "--server", "127.0.0.1", "--port", str(port), *words).stdout


def test_a_stranger_cannot_relay(house: LocalHouse, program: Find) -> None:
    said = swaks(program, house.ports["smtp"], "--from", "x@elsewhere.test", "--to", "y@faraway.test")
    assert "550 5.7.1" in said


def test_a_stranger_cannot_be_one_of_us(house: LocalHouse, program: Find) -> None:
    said = swaks(program, house.ports["smtp"], "--from", ALICE, "--to", BOB)
    assert "550 5.7.1" in said


def test_a_stranger_cannot_write_from_one_of_us(house: LocalHouse, program: Find) -> None:
    said = swaks(
        program,
        house.ports["smtp"],
        "--from",
        "x@elsewhere.test",
        "--to",
        BOB,
        "--h-From",
        f"Alice <{ALICE}>",
    )
    assert "550 5.7.1" in said


def test_a_login_cannot_send_as_somebody_else(house: LocalHouse, program: Find) -> None:
    login = ["--tls", "--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", ACCOUNTS[ALICE]]
    said = swaks(program, house.ports["submission"], *login, "--from", BOB, "--to", BOB)
    assert "553 5.7.1" in said or "550 5.7.1" in said
    said = swaks(
        program, house.ports["submission"], *login, "--from", ALICE, "--to", BOB, "--h-From", f"<{BOB}>"
    )
    assert "550 5.7.1" in said or "553 5.7.1" in said


def test_submission_needs_a_login(house: LocalHouse, program: Find) -> None:
    said = swaks(program, house.ports["submission"], "--tls", "--from", ALICE, "--to", BOB)
    assert "530 5.7.0" in said


# --- reading -------------------------------------------------------------------------------------------


def test_curl_reads_by_imaps(house: LocalHouse, program: Find) -> None:
    house.append(ALICE, "for curl by IMAP")
    url = f"imaps://127.0.0.1:{house.ports['imaps']}/INBOX"
    done = run(program("curl"), "-sk", "--user", f"{ALICE}:{ACCOUNTS[ALICE]}", f"{url}?ALL")
    assert done.stdout.startswith("* SEARCH 1")
    done = run(program("curl"), "-sk", "--user", f"{ALICE}:{ACCOUNTS[ALICE]}", f"{url};MAILINDEX=1")
    assert "Subject: " in done.stdout


def test_curl_reads_by_pop3(house: LocalHouse, program: Find) -> None:
    house.append(ALICE, "for curl by POP3")
    for scheme in ("pop3", "pop3s"):
        url = f"{scheme}://127.0.0.1:{house.ports[scheme]}/"
        done = run(program("curl"), "-sk", "--ssl-reqd", "--user", f"{ALICE}:{ACCOUNTS[ALICE]}", url)
        assert done.stdout.startswith("1 "), done.stderr


def fetchmail(program: Find, rc: Path) -> subprocess.CompletedProcess[str]:
    home = str(rc.parent)
    return run(
        "env", f"FETCHMAILHOME={home}", program("fetchmail"), "-a", "-f", str(rc), "--pidfile", f"{home}/pid"
    )


def test_fetchmail_downloads_and_keeps(house: LocalHouse, program: Find, tmp_path: Path) -> None:
    house.append(ALICE, "for fetchmail")
    before = house.subjects(ALICE)
    rc = tmp_path / "rc"
    rc.write_text(
        f"poll 127.0.0.1 protocol POP3 port {house.ports['pop3s']} user {ALICE} password {ACCOUNTS[ALICE]} "
        f'ssl no sslcertck keep mda "cat >> {tmp_path}/out.mbox"\n'
    )
    rc.chmod(0o600)
    done = run(
        "env",
        f"FETCHMAILHOME={tmp_path}",
        program("fetchmail"),
        "-a",
        "-f",
        str(rc),
        "--pidfile",
        f"{tmp_path}/pid",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Subject: for fetchmail" in (tmp_path / "out.mbox").read_text()
    assert house.subjects(ALICE) == before


def test_fetchmail_reads_by_imap_with_starttls(house: LocalHouse, program: Find, tmp_path: Path) -> None:
    house.append(BOB, "for fetchmail by IMAP")
    rc = tmp_path / "rc"
    rc.write_text(
        f"poll 127.0.0.1 protocol IMAP port {house.ports['imap']} user {BOB} password {ACCOUNTS[BOB]} "
        f'sslproto tls1.2+ no sslcertck keep mda "cat >> {tmp_path}/out.mbox"\n'
    )
    rc.chmod(0o600)
    done = run(
        "env",
        f"FETCHMAILHOME={tmp_path}",
        program("fetchmail"),
        "-a",
        "-f",
        str(rc),
        "--pidfile",
        f"{tmp_path}/pid",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Subject: for fetchmail by IMAP" in (tmp_path / "out.mbox").read_text()


def test_getmail_downloads_each_message_once(house: LocalHouse, program: Find, tmp_path: Path) -> None:
    house.append(ALICE, "for getmail")
    (tmp_path / "state").mkdir()
    (tmp_path / "rc").write_text(
        textwrap.dedent(f"""\
        [retriever]
        type = SimplePOP3SSLRetriever
        server = 127.0.0.1
        port = {house.ports["pop3s"]}
        username = {ALICE}
        password = {ACCOUNTS[ALICE]}
        [destination]
        type = MDA_external
        path = /bin/sh
        arguments = ("-c", "cat >> {tmp_path}/out.mbox")
        allow_root_commands = true
        [options]
        delete = false
        read_all = false
        """)
    )
    words = [program("getmail"), f"--getmaildir={tmp_path}/state", "-r", str(tmp_path / "rc")]
    assert run(*words).returncode == 0
    first = (tmp_path / "out.mbox").read_text()
    assert first.count("Subject: for getmail") == 1
    assert run(*words).returncode == 0
    assert (tmp_path / "out.mbox").read_text() == first


def test_mpop_downloads(house: LocalHouse, program: Find, tmp_path: Path) -> None:
    house.append(ALICE, "for mpop")
    for name in ("cur", "new", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    done = run(
        *(program("mpop"), "--host=127.0.0.1", f"--port={house.ports['pop3s']}", "--tls=on"),
        *("--tls-starttls=off", "--tls-certcheck=off", f"--user={ALICE}"),
        *(f"--passwordeval=echo {ACCOUNTS[ALICE]}", "--keep=on", f"--uidls-file={tmp_path}/u"),
        f"--delivery=maildir,{tmp_path}/mail",
    )
    assert done.returncode == 0, done.stderr
    texts = [path.read_text() for path in (tmp_path / "mail" / "new").iterdir()]
    assert any("Subject: for mpop" in text for text in texts)


def test_mbsync_mirrors_and_keeps_in_step(house: LocalHouse, program: Find, tmp_path: Path) -> None:
    house.append(BOB, "for mbsync")
    mirror = Mirror(tmp_path, program("mbsync"), BOB, ACCOUNTS[BOB], patterns="*")
    mirror.run("127.0.0.1", house.ports["imap"])
    assert len(mirror.files()) == len(house.subjects(BOB))
    mirror.flag("Subject: for mbsync", "FS")
    mirror.run("127.0.0.1", house.ports["imap"])
    client = house.imap(BOB)
    client.select("INBOX")
    assert len(client.search(None, "FLAGGED", "SEEN", "SUBJECT", '"for mbsync"')[1][0].split()) == 1
    client.logout()


def test_two_imap_clients_and_a_pop3_client_agree(house: LocalHouse) -> None:
    import poplib

    house.append(BOB, "for everyone")
    first, second = house.imap(BOB), house.imap(BOB)
    first.select("INBOX")
    second.select("INBOX")
    number = first.search(None, "SUBJECT", '"for everyone"')[1][0].split()[-1].decode()
    first.store(number, "+FLAGS", "(\\Flagged)")
    second.noop()
    assert b"\\Flagged" in second.fetch(number, "(FLAGS)")[1][0]
    reader = poplib.POP3("127.0.0.1", house.ports["pop3"])
    reader.user(BOB)
    reader.pass_(ACCOUNTS[BOB])
    count = len(reader.list()[1])
    assert count == len(house.subjects(BOB))
    assert b"Subject: for everyone" in reader.retr(int(number))[1]
    reader.close()  # dies without QUIT: deletes nothing
    assert len(house.subjects(BOB)) == count
    first.store(number, "+FLAGS", "(\\Deleted)")
    first.expunge()
    second.noop()
    assert int(second.select("INBOX")[1][0]) == count - 1
    first.logout()
    second.logout()
