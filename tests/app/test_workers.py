"""`workers = 2`: mail is taken by processes beside the one with the store, and nobody sees a difference."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from posthouse.limits import SMTP_MEMORY_MESSAGE
from posthouse.net.certificates import make_pair
from tests.app.conftest import TRUSTING, Served

pytestmark = pytest.mark.slow
TEXT = (
    "From: carol@far.test\r\nTo: alice@north.test\r\nSubject: {}\r\nMessage-ID: <{}@far.test>\r\n\r\n{}\r\n"
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Shared: what ends processes of it comes last."""
    made = Served(tmp_path_factory.mktemp("workers"), extra="workers = 2")
    made.fine("domain", "add", "north.test")
    made.fine("account", "add", "alice@north.test", "--password", "secret")
    made.fine("account", "add", "bert@north.test", "--password", "secret")
    made.start()
    yield made
    made.stop()


def await_that(condition: object, house: Served) -> None:
    """Wait until a callable says yes."""
    assert callable(condition)
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, house.log
        time.sleep(0.02)


def send(house: Served, subject: str, body: str = "hello", to: str = "alice@north.test") -> None:
    """From a stranger."""
    with smtplib.SMTP("127.0.0.1", house.port("smtp"), timeout=20) as client:
        client.sendmail("carol@far.test", [to], TEXT.format(subject, subject, body))


def subjects(house: Served) -> list[str]:
    """In alice's inbox, as they came."""
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as client:
        client.login("alice@north.test", "secret")
        client.select("INBOX", readonly=True)
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [one[1].decode().split(":", 1)[1].strip() for one in data if isinstance(one, tuple)]


def shown_by_a_worker(house: Served) -> bytes:
    """The certificate that port 25 shows."""
    with smtplib.SMTP("127.0.0.1", house.port("smtp"), timeout=20) as client:
        client.starttls(context=TRUSTING)
        found: bytes = client.sock.getpeercert(binary_form=True)  # type: ignore[union-attr,assignment]
    return found


def test_a_renewed_certificate_reaches_the_workers(tmp_path: Path) -> None:
    """The configuration names the same files as before: nothing in it has changed."""
    house = Served(tmp_path / "house", extra="workers = 2")
    names = '[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n'
    house.configure(extra="workers = 2", more=names)
    for time_of in (datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1)):
        pair = make_pair("mx.north.test", time_of)
        (house.folder / "cert.pem").write_bytes(pair.certificate)
        (house.folder / "key.pem").write_bytes(pair.key)
        if house.process is None:
            house.start()
        else:
            house.send_signal(signal.SIGHUP)
    try:
        wanted = ssl.PEM_cert_to_DER_cert(pair.certificate.decode())
        await_that(lambda: {shown_by_a_worker(house) for _ in range(8)} == {wanted}, house)
    finally:
        house.stop()


def test_mail_by_every_door(house: Served) -> None:
    assert len(house.workers()) == 2
    assert sorted(house.addresses) == [
        "imap",
        "imaps",
        "lmtp",
        "pop3",
        "pop3s",
        "smtp",
        "submission",
        "submissions",
    ]
    for number in range(8):  # the system gives each connection to either of them
        send(house, f"one {number}")
    with smtplib.SMTP_SSL("127.0.0.1", house.port("submissions"), context=TRUSTING) as client:
        client.login("alice@north.test", "secret")
        own = TEXT.format("own", "own", "hello").replace("carol@far.test", "alice@north.test", 1)
        client.sendmail("alice@north.test", ["alice@north.test"], own)
    assert sorted(subjects(house)) == [*(f"one {number}" for number in range(8)), "own"]
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
        client.ehlo("far.test")
        client.mail("carol@far.test")
        assert client.rcpt("someone@elsewhere.test")[0] == 550


def test_a_large_message_is_staged_where_the_store_is(house: Served) -> None:
    line = "x" * 70 + "\r\n"
    body = line * (3 * SMTP_MEMORY_MESSAGE // len(line))
    send(house, "large", body)
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as client:
        client.login("alice@north.test", "secret")
        client.select("INBOX")
        _, data = client.fetch("*", "(BODY.PEEK[TEXT])")
    assert isinstance(data[0], tuple)
    assert data[0][1] == body.encode() + b"\r\n"
    assert "everything is as it should be" in house.fine("verify")


def test_what_is_changed_about_people_holds_at_once(house: Served) -> None:
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
        client.ehlo("far.test")
        client.mail("carol@far.test")
        assert client.rcpt("bob@north.test")[0] == 550
        house.fine("account", "add", "bob@north.test", "--password", "secret")
        assert client.rcpt("bob@north.test")[0] == 250
        house.fine("account", "remove", "bob@north.test", "--yes")
        assert client.rcpt("bob@north.test")[0] == 550


def test_what_is_moved_to_junk_is_known_to_every_worker_at_once(house: Served) -> None:
    """One process has the mailboxes, others judge what comes: they must not go by what they knew before."""
    offer = "Dear friend, our cheap replica watches are of the finest quality, order today with free shipping"
    for number in range(6):  # by both workers, which now remember that nothing was learnt
        send(house, f"An offer {number}", offer, "bert@north.test")
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as client:
        client.login("bert@north.test", "secret")
        client.select("INBOX")
        client._simple_command("MOVE", "1:*", "Junk")

        def judged() -> bool:
            send(house, "An offer", offer, "bert@north.test")
            return b"MESSAGES 10)" in client.status("Junk", "(MESSAGES)")[1][0]

        await_that(judged, house)


def test_what_a_worker_sends_on_comes_back_by_every_other(house: Served) -> None:
    house.fine("alias", "add", "away@north.test", "pal@[127.0.0.9]")
    made = set()
    for sender in ("jo@far.test", f"{'x' * 60}@far.test") * 2:
        with smtplib.SMTP("127.0.0.1", house.port("smtp"), timeout=20) as client:
            client.sendmail(sender, ["away@north.test"], TEXT.format("on", "on", "its way"))
        log = house.json("message", "log", sender)
        made |= {line["detail"].split()[-1] for line in log[0]["events"] if line["kind"] == "rewritten"}
    assert len(made) == 2
    for address in (*made, *made, *made):
        with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
            client.ehlo("far.test")
            client.mail("")
            assert client.rcpt(address)[0] == 250
            assert client.rcpt(address.replace("=", "=a", 1))[0] == 550


def test_new_limits_reach_the_workers(house: Served) -> None:
    house.configure(extra="workers = 2", more='[limits]\nmessage_size = "1MB"\n')
    before = house.log.count("app reloaded")
    house.send_signal(signal.SIGHUP)
    await_that(lambda: house.log.count("app reloaded") == before + 3, house)
    for _ in range(4):
        with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
            client.ehlo()
            assert client.esmtp_features["size"] == str(1024 * 1024)


def test_a_worker_that_is_killed_is_followed_by_another(house: Served) -> None:
    before = house.workers()
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
        client.ehlo("far.test")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            client.mail("carol@far.test")
    send(house, "after")  # waits in the socket's queue until somebody takes it
    await_that(lambda: len(house.workers()) == 2, house)
    assert not set(house.workers()) & set(before)
    assert subjects(house)[-1] == "after"


def test_workers_end_with_the_process_that_has_the_store(house: Served) -> None:
    workers = house.workers()
    assert house.process is not None
    house.process.kill()
    house.process.wait()
    await_that(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), house)
    house.start()
    send(house, "again")
    assert subjects(house)[-1] == "again"
    assert house.stop() == 0, house.log


def test_a_worker_that_cannot_start_is_said_so(tmp_path: Path) -> None:
    made = Served(tmp_path / "house", extra="workers = 2")
    (made.folder / "sitecustomize.py").write_text(
        "import os, sys\nif 'posthouse.worker' in sys.orig_argv:\n    os._exit(3)\n"
    )
    made.environment["PYTHONPATH"] = f"{made.folder}:{made.environment['PYTHONPATH']}"
    done = made.run("serve")
    assert done.returncode == 1
    assert b"A worker process did not start" in done.stderr
