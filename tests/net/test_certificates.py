"""Certificates that we make ourselves."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from posthouse.durable import write_private
from posthouse.net.certificates import ensure_pair, make_pair
from posthouse.net.tls import server_context

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def test_a_self_signed_pair_names_the_host_and_loopback():
    leaf = x509.load_pem_x509_certificate(make_pair("mx.test", NOW).certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"mx.test", "localhost"}
    assert set(names.get_values_for_type(x509.IPAddress)) == {ip_address("127.0.0.1"), ip_address("::1")}
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert leaf.issuer == leaf.subject
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_authority_signs_the_leaf_and_stands_behind_it():
    pair = make_pair("mx.test", NOW, authority=True)
    leaf, root = x509.load_pem_x509_certificates(pair.certificate)
    leaf.verify_directly_issued_by(root)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert x509.load_pem_x509_certificate(pair.authority) == root


def test_a_host_may_be_an_address():
    leaf = x509.load_pem_x509_certificate(make_pair("192.0.2.1", NOW).certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ip_address("192.0.2.1") in names.get_values_for_type(x509.IPAddress)


def test_a_pair_is_made_once_and_kept(tmp_path: Path):
    places = tmp_path / "cert.pem", tmp_path / "key.pem"
    assert ensure_pair(*places, "mx.test", NOW)
    server_context(*places)
    assert [stat.S_IMODE(path.stat().st_mode) for path in places] == [0o600, 0o600]
    before = places[0].read_bytes()
    assert not ensure_pair(*places, "mx.test", NOW + timedelta(days=100))
    assert places[0].read_bytes() == before


@pytest.mark.parametrize(
    ("hostname", "later"), [("mx.test", timedelta(days=780)), ("other.test", timedelta(0))]
)
def test_a_pair_about_to_end_or_for_another_host_is_made_anew(
    tmp_path: Path, hostname: str, later: timedelta
):
    places = tmp_path / "cert.pem", tmp_path / "key.pem"
    ensure_pair(*places, "mx.test", NOW)
    assert ensure_pair(*places, hostname, NOW + later)


def test_a_pair_has_the_name_that_hosts_share(tmp_path: Path):
    places = tmp_path / "cert.pem", tmp_path / "key.pem"
    ensure_pair(*places, "in1.test", NOW)
    assert ensure_pair(*places, "in1.test", NOW, also=("mail.test",)), "the name is new"
    leaf = x509.load_pem_x509_certificate(places[0].read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"in1.test", "mail.test", "localhost"}
    assert not ensure_pair(*places, "in1.test", NOW, also=("mail.test",))


@pytest.mark.parametrize("lost", ["cert.pem", "key.pem"])
def test_half_a_pair_is_made_anew(tmp_path: Path, lost: str):
    places = tmp_path / "cert.pem", tmp_path / "key.pem"
    ensure_pair(*places, "mx.test", NOW)
    (tmp_path / lost).unlink()
    assert ensure_pair(*places, "mx.test", NOW)
    server_context(*places)


def test_private_files_keep_their_name_over_a_power_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[str] = []

    def noted(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append(f"{kind}, {'named' if (tmp_path / 'key.pem').exists() else 'not named yet'}")

    monkeypatch.setattr(os, "fsync", noted)
    write_private(tmp_path / "key.pem", b"one")
    assert synced == ["file, not named yet", "folder, named"]


def test_private_files_replace_whole_and_leave_nothing_behind(tmp_path: Path):
    path = tmp_path / "deep" / "key.pem"
    write_private(path, b"one")
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["key.pem"]
