"""Networks for the tests of the playground, and what one does in them."""

from __future__ import annotations

import imaplib
import smtplib
import ssl

from posthouse.playground import Playground

PASSWORD = "posthouse"


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def submit(net: Playground, sender: str, recipient: str, subject: str = "hello") -> None:
    """As the sender's program does, with login, at north."""
    with smtplib.SMTP_SSL("127.0.0.10", net.ports["submissions"], context=trusting()) as client:
        client.login(sender, PASSWORD)
        text = f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nHello.\r\n"
        client.sendmail(sender, [recipient], text)


def inbox(net: Playground, address: str, user: str, folder: str = "INBOX") -> list[str]:
    """Whole messages of somebody's INBOX, or of another folder."""
    client = imaplib.IMAP4_SSL(address, net.ports["imaps"], ssl_context=trusting())
    try:
        client.login(user, PASSWORD)
        count = int(client.select(folder, readonly=True)[1][0] or 0)
        if not count:
            return []
        return [part[1].decode() for part in client.fetch("1:*", "(BODY[])")[1] if isinstance(part, tuple)]
    finally:
        client.logout()
