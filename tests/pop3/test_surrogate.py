"""ASCII headers in place of UTF-8 ones (RFC 6856 §2.1)."""

from __future__ import annotations

import email
import email.header
import email.policy

import pytest

from posthouse.pop3.surrogate import surrogate

BODY = "\r\nGrüße, неизменно\r\n".encode()


def message(*fields: str) -> bytes:
    return "".join(f"{field}\r\n" for field in fields).encode() + BODY


def test_ascii_headers_stay_whatever_the_body():
    raw = message("From: a@b.test", "Subject: plain")
    assert surrogate(raw) is raw


def test_headers_that_are_not_utf8_stay():
    raw = b"Subject: caf\xe9\r\n\r\nbody\r\n"
    assert surrogate(raw) is raw


def test_only_the_fields_with_utf8_change():
    raw = message("X-Odd:   spaces   stay ", "Subject: Grüße", "To: a@b.test")
    changed = surrogate(raw)
    assert changed.startswith(b"X-Odd:   spaces   stay \r\nSubject: =?")
    assert changed.endswith(b"\r\nTo: a@b.test\r\n" + BODY)
    assert changed[: -len(BODY)].isascii()
    (text, charset), *_ = email.header.decode_header(email.message_from_bytes(changed)["Subject"])
    assert text.decode(charset) == "Grüße"


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("Jörg <joerg@example.test>", "Jörg", "joerg@example.test"),
        ("Jörg <joerg@bücher.test>", "Jörg", "joerg@xn--bcher-kva.test"),
        ("Jörg <jörg@example.test>", "Jörg jörg@example.test", "invalid@internationalized-address.invalid"),
    ],
)
def test_addresses(value: str, name: str, address: str):
    changed = surrogate(message(f"From: {value}", "Subject: x"))
    assert changed[: -len(BODY)].isascii()
    parsed = email.message_from_bytes(changed, policy=email.policy.default)
    (mailbox,) = parsed["From"].addresses
    assert (mailbox.display_name, mailbox.addr_spec) == (name, address)


def test_groups_keep_their_members():
    changed = surrogate(message("To: Freunde ü: Jörg <j@example.test>, b@example.test;"))
    parsed = email.message_from_bytes(changed, policy=email.policy.default)
    assert [mailbox.addr_spec for mailbox in parsed["To"].addresses] == ["j@example.test", "b@example.test"]
    assert parsed["To"].groups[0].display_name == "Freunde ü"


def test_parameters_become_extended_values():
    changed = surrogate(message('Content-Disposition: attachment; filename="Grüße \\"x\\".txt"; size=3'))
    assert changed[: -len(BODY)].isascii()
    parsed = email.message_from_bytes(changed, policy=email.policy.default)
    assert parsed.get_filename() == 'Grüße "x".txt'
    assert parsed["Content-Disposition"].params["size"] == "3"


def test_a_header_without_a_body():
    changed = surrogate("Subject: Grüße".encode())
    assert changed.isascii()
    assert changed.startswith(b"Subject: =?utf-8?")
