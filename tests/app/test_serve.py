"""The process: readiness, signals, reloading, draining, privileges, roles."""

from __future__ import annotations

import os
import pwd
import signal
import smtplib
import socket
import ssl
import stat
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from posthouse.config import ConfigError
from posthouse.net.certificates import make_pair
from posthouse.privileges import Privileges
from tests.app.conftest import ROOT, TRUSTING, Served

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "house")
    yield made
    made.stop()


def test_ready_pid_and_modes(house: Served) -> None:
    house.start()
    assert house.process is not None
    assert int((house.folder / "pid").read_text()) == house.process.pid
    assert stat.S_IMODE((house.folder / "data").stat().st_mode) == 0o700
    for path in (house.folder / "data").rglob("*"):
        open_to_others = stat.S_IMODE(path.lstat().st_mode) & 0o007
        assert not open_to_others, path
    assert house.stop() == 0
    assert not (house.folder / "pid").exists()
    assert not (house.folder / "ready").exists()
    assert not (house.folder / "data" / "run" / "control").exists()


def test_an_open_session_is_told_goodbye(house: Served) -> None:
    house.start()
    with socket.create_connection(("127.0.0.1", house.port("smtp"))) as sock:
        file = sock.makefile("rb")
        assert file.readline().startswith(b"220")
        assert house.stop() == 0
        assert file.readline().startswith(b"421 4.3.2")
        assert file.read() == b""


def test_a_second_signal_cuts_the_draining_short_and_nothing_else(house: Served) -> None:
    house.configure(extra="drain = 60")
    house.start()
    with socket.create_connection(("127.0.0.1", house.port("smtp"))) as sock:
        file = sock.makefile("rb")
        assert file.readline().startswith(b"220")
        house.send_signal(signal.SIGTERM)
        house.await_log("draining")
        assert house.stop() == 0
        assert file.readline().startswith(b"421 4.3.2")
        assert file.read() == b""
    assert "broken off" not in house.log


def test_hanging_up_takes_new_limits_and_certificate(house: Served) -> None:
    house.start()
    pair = make_pair("mx.north.test", datetime.now(UTC))
    (house.folder / "cert.pem").write_bytes(pair.certificate)
    (house.folder / "key.pem").write_bytes(pair.key)
    house.configure(more='[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n[limits]\nmessage_size = "1MB"\n')
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as before:
        before.ehlo()
        house.send_signal(signal.SIGHUP)
        house.await_log("app reloaded")
        before.ehlo()
        assert before.esmtp_features["size"] == str(50 * 1024 * 1024), "sessions end as they began"
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as after:
        after.ehlo()
        assert after.esmtp_features["size"] == str(1024 * 1024)
        after.starttls(context=TRUSTING)
        shown = after.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]
    assert shown == ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


def rsa_pair(hostname: str) -> tuple[bytes, bytes]:
    """A self-signed certificate with an RSA key, as some authorities' clients still ask for; and the key. PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hostname)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    encoding = serialization.Encoding.PEM
    return certificate.public_bytes(encoding), key.private_bytes(encoding, *form)


def shown_from_the_first_octet(port: int) -> bytes | None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        TRUSTING.wrap_socket(plain, server_hostname="mx.north.test") as sock,
    ):
        return sock.getpeercert(binary_form=True)


def test_a_certificate_with_another_kind_of_key_takes_the_place_of_the_first(house: Served) -> None:
    """What we make is ECDSA: a client that can do both must not go on being shown it when an RSA one has come."""
    house.start()
    before = shown_from_the_first_octet(house.port("imaps"))
    certificate, key = rsa_pair("mx.north.test")
    (house.folder / "cert.pem").write_bytes(certificate)
    (house.folder / "key.pem").write_bytes(key)
    house.configure(more='[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n')
    house.send_signal(signal.SIGHUP)
    house.await_log("app reloaded")
    given = ssl.PEM_cert_to_DER_cert(certificate.decode())
    assert before != given
    assert shown_from_the_first_octet(house.port("imaps")) == given
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
        client.starttls(context=TRUSTING)
        assert client.sock.getpeercert(binary_form=True) == given  # type: ignore[union-attr]


def test_hanging_up_while_it_starts_is_heard_when_it_has_started(house: Served) -> None:
    """A certificate is renewed at boot: neither ends the server, nor is it the old one that is shown for months."""

    def hang_up() -> None:
        while not (house.folder / "data").exists() or house.process is None:
            time.sleep(0.001)
        house.send_signal(signal.SIGHUP)

    caller = threading.Thread(target=hang_up)
    caller.start()
    house.start()
    caller.join()
    house.await_log("app reloaded")
    assert "Traceback" not in house.log
    assert house.stop() == 0


def test_a_broken_file_changes_nothing(house: Served) -> None:
    house.start()
    house.file.write_text("hostname = ")
    house.send_signal(signal.SIGHUP)
    house.await_log("reload failed")
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
        assert client.noop()[0] == 250


def test_a_file_that_cannot_be_used_changes_nothing(house: Served) -> None:
    """Its values are of the right form; that they are none is found when they are put to use."""
    house.fine("domain", "add", "north.test")
    house.fine("account", "add", "alice@north.test", "--password", "secret")
    house.start()
    house.configure(more='[limits]\nconnections = 1\n[outbound]\nrelay = "smtp://host:587?tls=maybe"\n')
    house.file.write_text(house.file.read_text().replace('domain = "north.test"', 'domain = "other.test"'))
    house.send_signal(signal.SIGHUP)
    house.await_log("reload failed")
    with smtplib.SMTP("127.0.0.1", house.port("submission")) as first:
        assert first.noop()[0] == 250
        with smtplib.SMTP("127.0.0.1", house.port("submission")) as second:
            assert second.login("alice", "secret")[0] == 235


def test_what_needs_a_restart_is_named(house: Served) -> None:
    house.start()
    house.file.write_text(house.file.read_text().replace('"mx.north.test"', '"mx.other.test"'))
    house.send_signal(signal.SIGHUP)
    house.await_log("keys=hostname need a restart")
    house.await_log("app reloaded")
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
        assert b"mx.north.test" in client.ehlo()[1]


def test_only_the_roles_asked_for(house: Served) -> None:
    house.start("--roles", "mx,imap")
    assert sorted(house.addresses) == ["imap", "imaps", "smtp"]
    assert house.run("serve", "--roles", "mx,butler").returncode == 2


def test_a_second_server_is_refused(house: Served) -> None:
    house.start()
    second = house.run("serve", "--pid-file", str(house.folder / "pid"))
    assert second.returncode == 1
    assert house.process is not None
    assert int((house.folder / "pid").read_text()) == house.process.pid, "the pid file is the first one's"
    assert b"in use by process" in second.stderr
    with smtplib.SMTP("127.0.0.1", house.port("smtp")) as client:
        assert client.noop()[0] == 250


def test_a_taken_port_is_said_so(house: Served) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        house.file.write_text(house.file.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}", 1))
        done = house.run("serve")
    assert done.returncode == 1
    assert f"{port}".encode() in done.stderr


def interpreter_for_everybody() -> tuple[str, str]:
    """A Python of our version that other users can run, and where our packages are."""
    packages = sysconfig.get_path("purelib")
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        real = Path(path).resolve()
        needed = (real, *real.parents, *Path(packages).parents)
        if real.exists() and all(place.stat().st_mode & 0o001 for place in needed):
            return path, packages
    pytest.skip("no Python here that other users than root can run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_is_given_up(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    house = Served(folder, 'run_as = "nobody"')
    user = pwd.getpwnam("nobody")
    house.python, packages = interpreter_for_everybody()
    house.environment["PYTHONPATH"] = f"{ROOT}:{packages}"
    for place in folder.parents:
        if place.stat().st_uid == os.getuid() and place != Path(place.anchor):
            place.chmod(place.stat().st_mode | 0o011)
    folder.chmod(0o777)
    house.fine("domain", "add", "north.test")  # as root, before: what it makes is nobody's, too
    house.start()
    try:
        assert house.process is not None
        status = Path(f"/proc/{house.process.pid}/status").read_text()
        ids = {line.split()[0]: set(line.split()[1:]) for line in status.splitlines() if "id:" in line}
        assert ids["Uid:"] == {str(user.pw_uid)}
        assert ids["Gid:"] == {str(user.pw_gid)}
        house.fine("account", "add", "alice@north.test", "--password", "x")
        owners = {path.lstat().st_uid for path in (folder / "data").rglob("*")}
        assert owners == {user.pw_uid}
    finally:
        house.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_program_that_its_user_cannot_read_is_not_started(tmp_path: Path) -> None:
    program = tmp_path / "home" / "program.py"
    program.parent.mkdir(mode=0o700)
    program.touch()
    privileges = Privileges("nobody")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("posthouse.privileges.PROGRAM", (str(program),))
        with pytest.raises(ConfigError, match=r"nobody cannot read .*/home/program\.py"):
            privileges.lay_down(tmp_path / "data")
    assert os.geteuid() == 0
    assert not (tmp_path / "data").exists(), "nothing is given away before"
