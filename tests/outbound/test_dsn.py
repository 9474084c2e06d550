"""Notices read back with the standard library's parser: what a mail program and a person see of them."""

from __future__ import annotations

import base64
import email
import email.message
import email.policy
from itertools import pairwise

import pytest

from posthouse import limits
from posthouse.outbound.dsn import (
    DsnRecipient,
    DsnRequest,
    Notification,
    compose_dsn,
    wanted,
)
from posthouse.outbound.dsn_words import WORDS, words_for
from posthouse.smtp.grammar import original_recipient
from posthouse.smtp.replies import Reply

HEADER = b"From: <a@us.test>\r\nSubject: The =?utf-8?Q?caf=C3=A9?=\r\nMessage-ID: <1@us.test>\r\n"
ORIGINAL = HEADER + b"\r\nHello\r\n"
UNKNOWN = Reply(550, "5.1.1", "nobody here")
FAILED = DsnRecipient(
    action="failed", address="b@far.test", reply=UNKNOWN, remote_host="mx.far.test", last_at=1_800_000_100
)


def request(*recipients: DsnRecipient, **changes: object) -> DsnRequest:
    fields = {
        "hostname": "mx.us.test",
        "to": "a@us.test",
        "recipients": recipients or (FAILED,),
        "original": ORIGINAL,
        "original_size": len(changes.get("original", ORIGINAL)),  # type: ignore[arg-type]
        "arrived_at": 1_800_000_000,
        "at": 1_800_000_200,
        "unique": "u1",
    }
    return DsnRequest(**(fields | changes))  # type: ignore[arg-type]


def read(notice: Notification) -> tuple[email.message.EmailMessage, list[email.message.EmailMessage]]:
    """The message and its three parts."""
    message = email.message_from_bytes(notice.raw, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    assert not message.defects
    parts = list(message.iter_parts())
    assert len(parts) == 3
    return message, parts  # type: ignore[return-value]


def blocks(part: email.message.EmailMessage) -> list[dict[str, str]]:
    """The groups of fields of a delivery-status part."""
    groups = part.get_payload()
    return [dict(group.items()) for group in groups]  # type: ignore[union-attr]


def test_a_failure() -> None:
    notice = compose_dsn(request())
    message, (text, status, returned) = read(notice)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["To"].addresses[0].addr_spec == "a@us.test"
    assert message["Subject"] == "Could not be delivered: The caf\u00e9"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<1@us.test>"
    assert message["Message-ID"] == "<u1@mx.us.test>"
    words = text.get_content()
    assert "<b@far.test>" in words
    assert "There is no such mailbox" in words
    assert "typing mistakes" in words
    assert "mx.far.test said: 550 5.1.1 nobody here" in words
    assert "The caf\u00e9" in " ".join(words.split())
    assert status.get_content_type() == "message/delivery-status"
    about_message, about_b = blocks(status)
    assert about_message == {
        "Reporting-MTA": "dns; mx.us.test",
        "Arrival-Date": "Fri, 15 Jan 2027 08:00:00 +0000",
    }
    assert about_b == {
        "Final-Recipient": "rfc822; b@far.test",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.far.test",
        "Diagnostic-Code": "smtp; 550 5.1.1 nobody here",
        "Last-Attempt-Date": "Fri, 15 Jan 2027 08:01:40 +0000",
    }
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_content()["Message-ID"] == "<1@us.test>"
    assert (notice.body, notice.smtputf8) == ("7BIT", False)
    assert max(map(len, notice.raw.split(b"\r\n"))) < 998
    assert b"\n" not in notice.raw.replace(b"\r\n", b"")


def test_every_recipient_has_its_own_block() -> None:
    delayed = DsnRecipient(
        action="delayed", address="c@far.test", reply=Reply(451, "", "later"), retry_until=1_800_432_000
    )
    relayed = DsnRecipient(action="relayed", address="d@far.test", reply=Reply(250, "2.1.5", "ok"))
    message, (text, status, _) = read(compose_dsn(request(relayed, delayed, FAILED)))
    assert message["Subject"].startswith("Could not be delivered")
    found = blocks(status)[1:]
    assert [(block["Action"], block["Status"]) for block in found] == [
        ("relayed", "2.1.5"),
        ("delayed", "4.0.0"),
        ("failed", "5.1.1"),
    ]
    assert found[1]["Will-Retry-Until"] == "Wed, 20 Jan 2027 08:00:00 +0000"
    assert all("Will-Retry-Until" not in block for block in (found[0], found[2]))
    assert "Remote-MTA" not in found[0]
    places = [text.get_content().index(f"<{name}@far.test>") for name in "bcd"]
    assert all(first < then for first, then in pairwise(places)), "failures first"


def test_envelope_id_and_original_recipient_are_decoded() -> None:
    recipient = DsnRecipient(
        action="failed", address="b@far.test", reply=UNKNOWN, orcpt="rfc822;o+2Bx@far.test"
    )
    _, (_, status, _) = read(compose_dsn(request(recipient, envid="QQ+3D1")))
    about_message, about_b = blocks(status)
    assert about_message["Original-Envelope-Id"] == "QQ=1"
    assert about_b["Original-Recipient"] == "rfc822; o+x@far.test"


@pytest.mark.parametrize(
    ("orcpt", "shown"),
    [
        ("", ""),
        ("nonsense", ""),
        ("rfc822;a+2B+3D@x", "rfc822; a+=@x"),
        ("rfc822;broken+", "rfc822; broken+"),
        (r"utf-8;\x{FC}\x{5C}@x", "utf-8; \u00fc\\@x"),
        ("utf-8;\u00fc@x", "utf-8; \u00fc@x"),
        (r"utf-8;\x{0A}X-Evil: 1", r"utf-8; \x{0A}X-Evil: 1"),
        (r"utf-8;\x{110000}\x{D800}", r"utf-8; \x{110000}\x{D800}"),
    ],
)
def test_original_recipient(orcpt: str, shown: str) -> None:
    assert original_recipient(orcpt) == shown


def test_a_reply_cannot_add_fields() -> None:
    evil = Reply(550, "", "no\r\nAction: delivered\n\nFinal-Recipient: rfc822; x@x")
    recipient = DsnRecipient(
        action="failed", address="b@far.test", reply=evil, remote_host="mx\u00fc\r\nX: y"
    )
    _, (_, status, _) = read(compose_dsn(request(recipient)))
    assert len(blocks(status)) == 2
    assert blocks(status)[1]["Action"] == "failed"
    assert "X" not in blocks(status)[1]


WHOLE = [
    # (RET, original, type returned)
    ("", ORIGINAL, "message/rfc822"),
    ("HDRS", ORIGINAL, "text/rfc822-headers"),
    ("FULL", ORIGINAL, "message/rfc822"),
    ("", HEADER + b"\r\n" + b"x\r\n" * (limits.DSN_WHOLE // 3), "text/rfc822-headers"),
    ("FULL", HEADER + b"\r\n" + b"x\r\n" * (limits.DSN_WHOLE // 3), "message/rfc822"),
    ("FULL", HEADER + b"\r\n" + b"x\r\n" * (limits.DSN_WHOLE_ASKED // 3), "text/rfc822-headers"),
    ("", HEADER + b"\r\n\xe4\r\n", "text/rfc822-headers"),
    ("FULL", HEADER + b"\r\n\xe4\r\n", "message/rfc822"),
    ("FULL", HEADER + b"\r\na\0b\r\n", "text/rfc822-headers"),
    ("FULL", HEADER + b"\r\n" + b"x" * 1001 + b"\r\n", "text/rfc822-headers"),
    ("FULL", "Subject: \u00e4\r\n\r\nx\r\n".encode(), "message/global"),
    ("HDRS", "Subject: \u00e4\r\n\r\nx\r\n".encode(), "message/global-headers"),
]


@pytest.mark.parametrize(("ret", "original", "returned"), WHOLE)
def test_what_is_returned(ret: str, original: bytes, returned: str) -> None:
    notice = compose_dsn(request(ret=ret, original=original))
    _, parts = read(notice)
    assert parts[2].get_content_type() == returned
    eight = returned == "message/rfc822" and not original.isascii()
    assert notice.body == ("8BITMIME" if eight else "7BIT")
    assert notice.raw.isascii() is not eight


def test_a_message_that_is_not_wholly_here_is_returned_as_header() -> None:
    _, parts = read(compose_dsn(request(original_size=len(ORIGINAL) + 1, ret="FULL")))
    assert parts[2].get_content_type() == "text/rfc822-headers"


def test_without_a_failure_only_the_header_is_returned() -> None:
    relayed = DsnRecipient(action="relayed", address="d@far.test", reply=Reply(250, "2.1.5", "ok"))
    _, parts = read(compose_dsn(request(relayed, ret="FULL")))
    assert parts[2].get_content_type() == "text/rfc822-headers"


def test_a_long_header_is_cut_at_a_line() -> None:
    long = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))
    _, parts = read(compose_dsn(request(original=long + b"\r\n", ret="HDRS")))
    text = parts[2].get_content()
    assert len(text) <= limits.DSN_HEADER
    assert text.splitlines()[-1].endswith(": y")


@pytest.mark.parametrize(("to", "encoding"), [("a@us.test", "base64"), ("\u00e4@us.test", "8bit")])
def test_addresses_outside_ascii(to: str, encoding: str) -> None:
    recipient = DsnRecipient(
        action="failed", address="\u00fc@far.test", reply=UNKNOWN, orcpt=r"utf-8;\x{FC}@far.test"
    )
    notice = compose_dsn(request(recipient, to=to, original="Subject: \u00e4\r\n\r\n".encode()))
    assert notice.smtputf8 is (encoding == "8bit")
    assert notice.raw.isascii() is (encoding == "base64")
    message, (text, status, returned) = read(notice)
    shown = message["To"].addresses[0].addr_spec
    assert shown.encode("utf-8", "surrogateescape").decode() == to
    assert "\u00fc@far.test" in text.get_content()
    assert status.get_content_type() == "message/global-delivery-status"
    assert status["Content-Transfer-Encoding"] == encoding
    assert returned["Content-Transfer-Encoding"] == encoding
    raw = notice.raw.split(b"--=_posthouse_u1")[2].split(b"\r\n\r\n", 1)[1]
    fields = base64.b64decode(raw) if encoding == "base64" else raw
    assert "Final-Recipient: utf-8; \u00fc@far.test\r\n".encode() in fields
    assert "Original-Recipient: utf-8; \u00fc@far.test\r\n".encode() in fields


def test_an_internationalized_domain_alone_needs_no_smtputf8() -> None:
    """RFC 6531 §3.2: its A-label does as well, and hosts without SMTPUTF8 take it."""
    notice = compose_dsn(request(to="a@b\u00fccher.test"))
    assert (notice.to, notice.smtputf8) == ("a@b\u00fccher.test", False)
    assert b"\r\nTo: <a@xn--bcher-kva.test>\r\n" in notice.raw
    assert notice.raw.isascii()


WANTED = [
    # (reverse-path, NOTIFY, actions that are told)
    ("", "", set()),
    ("", "SUCCESS,FAILURE,DELAY", set()),
    ("a@us.test", "", {"failed", "delayed"}),
    ("a@us.test", "NEVER", set()),
    ("a@us.test", "FAILURE", {"failed"}),
    ("a@us.test", "DELAY", {"delayed"}),
    ("a@us.test", "SUCCESS", {"delivered", "relayed", "expanded"}),
    ("a@us.test", "success,failure", {"delivered", "relayed", "expanded", "failed"}),
]


@pytest.mark.parametrize(("reverse_path", "notify", "told"), WANTED)
def test_who_is_told_of_what(reverse_path: str, notify: str, told: set[str]) -> None:
    actions = ("failed", "delayed", "delivered", "relayed", "expanded")
    assert {action for action in actions if wanted(reverse_path, notify, action)} == told


@pytest.mark.parametrize("status", [*WORDS, "5.1.99", "5.7.26", "4.2.1", "2.1.5"])
def test_every_status_has_words(status: str) -> None:
    assert words_for(status) is not None
    assert words_for("5.7.26") is WORDS["5.7"]
    assert words_for("5.9.9") is WORDS["5"]


def test_our_own_reasons_have_no_remote_host() -> None:
    recipient = DsnRecipient(
        action="failed", address="b@far.test", reply=Reply(451, "4.4.1", "no connection"), status="4.4.7"
    )
    _, (text, status, _) = read(compose_dsn(request(recipient)))
    assert "Reason: 451 4.4.1 no connection" in text.get_content()
    assert "we gave up" in text.get_content()
    assert blocks(status)[1]["Status"] == "4.4.7"
    assert "Remote-MTA" not in blocks(status)[1]
