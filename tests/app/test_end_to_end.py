"""Mail comes in by SMTP and LMTP and is read by POP3 and IMAP: `posthouse serve`, the standard library's clients."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import time

import pytest

from tests.app.conftest import TRUSTING, Served

pytestmark = pytest.mark.slow


def message(subject: str, sender: str = "carol@far.test") -> str:
    return f"From: {sender}\r\nTo: alice@north.test\r\nSubject: {subject}\r\n\r\nText of {subject}.\r\n"


def by_imap(served: Served, subject: str, user: str = "alice@north.test") -> list[bytes]:
    """The messages with a subject, whole, as IMAP over TLS gives them."""
    with imaplib.IMAP4_SSL("127.0.0.1", served.port("imaps"), ssl_context=TRUSTING) as client:
        client.login(user, "secret")
        client.select("INBOX")
        numbers = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
        found = [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0] for number in numbers]
    return [part[1] for part in found if isinstance(part, tuple)]


def by_pop(served: Served, subject: str, user: str = "alice@north.test") -> int:
    """How many messages with a subject POP3 over TLS gives."""
    client = poplib.POP3_SSL("127.0.0.1", served.port("pop3s"), context=TRUSTING)
    client.user(user)
    client.pass_("secret")
    heads = [b"\n".join(client.top(n, 0)[1]) for n in range(1, client.stat()[0] + 1)]
    client.quit()
    return sum(f"Subject: {subject}".encode() in head.split(b"\n") for head in heads)


def test_a_stranger_delivers_and_both_protocols_read(served: Served) -> None:
    with smtplib.SMTP("127.0.0.1", served.port("smtp")) as client:
        assert client.sendmail("carol@far.test", ["alice@north.test"], message("from afar")) == {}
    (raw,) = by_imap(served, "from afar")
    # RFC 5321 §4.4, RFC 9228 §3, RFC 8601 §4.1: in this order; what else we add stands behind the trace.
    ours = [b"Return-Path", b"Delivered-To", b"Authentication-Results", b"Received", b"X-Posthouse-Verdict"]
    names = [
        line.partition(b":")[0]
        for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n")
        if line[:1] not in {b" ", b"\t"}
    ]
    assert names[: len(ours)] == ours
    assert raw.startswith(b"Return-Path: <carol@far.test>\r\nDelivered-To: alice@north.test\r\n")
    assert raw.endswith(b"\r\n\r\nText of from afar.\r\n")
    assert by_pop(served, "from afar") == 1


@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_one_of_us_sends_to_another(served: Served, door: str) -> None:
    port = served.port(door)
    if door == "submissions":
        client = smtplib.SMTP_SSL("127.0.0.1", port, context=TRUSTING)
    else:
        client = smtplib.SMTP("127.0.0.1", port)
        client.starttls(context=TRUSTING)
    with client:
        client.login("alice", "secret")
        client.sendmail("alice@north.test", ["bob@north.test"], message(door, "alice@north.test"))
    (raw,) = by_imap(served, door, "bob@north.test")
    assert b"\r\nMessage-ID: <" in raw
    assert by_pop(served, door, "bob@north.test") == 1


def test_lmtp_answers_for_each_recipient(served: Served) -> None:
    path = served.addresses["lmtp"][0].removeprefix("unix:")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        file = sock.makefile("rwb")
        file.readline()
        file.write(b"LHLO here\r\n")
        file.flush()
        while file.readline()[3:4] == b"-":
            pass
        file.write(
            b"MAIL FROM:<carol@far.test>\r\nRCPT TO:<alice@north.test>\r\nRCPT TO:<bob@north.test>\r\nDATA\r\n"
        )
        file.flush()
        replies = [file.readline()[:3] for _ in range(4)]
        file.write(message("by lmtp").encode() + b".\r\n")
        file.flush()
        replies += [file.readline()[:3] for _ in range(2)]
        assert replies == [b"250", b"250", b"250", b"354", b"250", b"250"]
    assert len(by_imap(served, "by lmtp")) == 1


def test_relaying_and_forgery_are_refused(served: Served) -> None:
    with smtplib.SMTP("127.0.0.1", served.port("smtp")) as client:
        client.ehlo()
        client.mail("mallory@far.test")
        assert client.rcpt("carol@far.test")[0] == 550
        client.rset()
        code, _ = client.mail("alice@north.test")
        assert (
            code if code != 250 else client.rcpt("bob@north.test")[0]
        ) == 451  # no name server answers: our own SPF record cannot speak for it
    with smtplib.SMTP_SSL("127.0.0.1", served.port("submissions"), context=TRUSTING) as client:
        client.login("alice@north.test", "secret")
        assert client.mail("bob@north.test")[0] in (550, 553)


def test_wrong_passwords_are_refused_alike_everywhere(served: Served) -> None:
    with smtplib.SMTP_SSL("127.0.0.1", served.port("submissions"), context=TRUSTING) as smtp:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            smtp.login("alice@north.test", "wrong")
        assert refused.value.smtp_code == 535
    with imaplib.IMAP4_SSL("127.0.0.1", served.port("imaps"), ssl_context=TRUSTING) as imap:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.login("alice@north.test", "wrong")
    pop = poplib.POP3_SSL("127.0.0.1", served.port("pop3s"), context=TRUSTING)
    pop.user("alice@north.test")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        pop.pass_("wrong")
    pop.quit()
    assert "wrong" not in served.log.replace("wrong name or password", "")


def test_sendmail_hands_in_for_a_local_program(served: Served) -> None:
    text = "To: alice@north.test\nBcc: bob@north.test\nSubject: from cron\n\n.\nnot the end\n"
    served.fine("sendmail", "-t", "-oi", "-F", "The Cron", "-f", "root@north.test", text=text)
    (raw,) = by_imap(served, "from cron")
    assert b'From: "The Cron" <root@north.test>\r\n' in raw
    assert b"Bcc" not in raw
    assert raw.endswith(b"\r\n\r\n.\r\nnot the end\r\n")
    assert len(by_imap(served, "from cron", "bob@north.test")) == 1


def test_sendmail_reads_to_the_dot_and_tells_of_unknown_people(served: Served) -> None:
    done = served.run("sendmail", "nobody@north.test", text="Subject: x\n\nhello\n.\nmore\n")
    assert done.returncode == 69
    assert b"5.1.1" in done.stderr
    assert served.run("sendmail", text="Subject: x\n\n").returncode == 64


def test_mail_for_elsewhere_waits_in_the_queue_and_can_be_dropped(served: Served) -> None:
    with smtplib.SMTP_SSL("127.0.0.1", served.port("submissions"), context=TRUSTING) as client:
        client.login("alice@north.test", "secret")
        outward, by = message("outward", "alice@north.test"), ["BY=7200;R"]
        client.sendmail("alice@north.test", ["dora@far.test"], outward, by)
    (queued,) = served.json("queue", "list", "--address", "dora@far.test")  # type: ignore[misc]
    assert queued["sender"] == "alice@north.test"
    number = str(queued["id"])
    assert (queued["by_mode"], round(queued["deliver_by"] - queued["created_at"])) == ("R", 7200)
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(queued["deliver_by"]))
    for shown in (served.fine("queue", "list"), served.fine("queue", "show", number)):
        assert f"{until} (returned)" in shown
    served.fine("queue", "hold", number)
    assert served.json("queue", "show", number)["recipients"][0]["state"] == "held"  # type: ignore[index]
    served.fine("queue", "release", number)
    served.fine("queue", "drop", number)
    assert served.json("queue", "list") == []
    (story,) = served.json("message", "log", queued["trace_id"])  # type: ignore[misc]
    assert [event["kind"] for event in story["events"]][:3] == ["received", "signed", "queued"]


def test_commands_take_effect_at_once(served: Served) -> None:
    served.fine("alias", "add", "team@north.test", "alice@north.test", "bob@north.test")
    with smtplib.SMTP("127.0.0.1", served.port("smtp")) as client:
        client.sendmail("carol@far.test", ["team@north.test"], message("to the team"))
    assert len(by_imap(served, "to the team")) == 1
    assert len(by_imap(served, "to the team", "bob@north.test")) == 1
    served.fine("account", "disable", "bob@north.test")
    with imaplib.IMAP4_SSL("127.0.0.1", served.port("imaps"), ssl_context=TRUSTING) as client:
        with pytest.raises(imaplib.IMAP4.error):
            client.login("bob@north.test", "secret")
    served.fine("account", "enable", "bob@north.test")
    assert by_pop(served, "to the team", "bob@north.test") == 1
