"""An innocent user of the post office, in a process of its own, who measures how long it is kept waiting.

    python -m tests.attack.bystander SMTP_PORT IMAP_PORT POP3_PORT

A line `go` on standard input begins a measurement, `stop` ends it with a line of JSON: how many rounds were made, and
the longest wait for any answer in seconds. A round is: NOOP in an IMAP session, a message sent and answered 250, and a
fresh POP3 connection greeted.
"""

from __future__ import annotations

import json
import queue
import socket
import sys
import threading
import time

ACCOUNT = "bob@example.test"
PASSWORD = "builder"
PAUSE = 0.02
PATIENCE = 30.0
MESSAGE = b"From: friend@elsewhere.test\r\nTo: bob@example.test\r\nSubject: Tea\r\n\r\nAt five?\r\n.\r\n"


class Line:
    """A connection on which one line is said and an answer awaited."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.file = self.sock.makefile("rb")

    def answer(self, wanted: bytes) -> None:
        """Read lines up to one that begins as wanted."""
        while True:
            line = self.file.readline()
            if line.startswith(wanted):
                return
            if not line or line[:1] in b"45":
                raise ConnectionError(f"{wanted!r} expected, got {line!r}")

    def say(self, text: bytes, wanted: bytes) -> None:
        """Say it and await the answer."""
        self.sock.sendall(text)
        self.answer(wanted)


def rounds(smtp: int, imap: int, pop3: int) -> None:
    """Serve the commands on standard input."""
    mailer, reader = Line(smtp), Line(imap)
    mailer.answer(b"220 ")
    mailer.say(b"EHLO friend.elsewhere.test\r\n", b"250 ")
    reader.answer(b"* OK")
    reader.say(f"a LOGIN {ACCOUNT} {PASSWORD}\r\n".encode(), b"a OK")
    reader.say(b"b SELECT INBOX\r\n", b"b OK")

    def greet() -> None:
        fresh = Line(pop3)
        fresh.answer(b"+OK")
        fresh.file.close()
        fresh.sock.close()

    def send() -> None:
        mailer.say(b"MAIL FROM:<friend@elsewhere.test>\r\n", b"250")
        mailer.say(f"RCPT TO:<{ACCOUNT}>\r\n".encode(), b"250")
        mailer.say(b"DATA\r\n", b"354")
        mailer.say(MESSAGE, b"250")

    steps = (lambda: reader.say(b"c NOOP\r\n", b"c OK"), send, greet)
    commands: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: [commands.put(line.strip()) for line in sys.stdin], daemon=True).start()
    while True:
        assert commands.get() == "go"
        count, longest, slowest = 0, 0.0, ""
        while commands.empty() or not count:
            for number, step in enumerate(steps):
                began = time.perf_counter()
                step()
                took = time.perf_counter() - began
                if took > longest:
                    longest, slowest = took, ("NOOP", "sending", "greeting")[number]
            count += 1
            time.sleep(PAUSE)
        assert commands.get() == "stop"
        print(json.dumps({"count": count, "longest": longest, "slowest": slowest}), flush=True)


if __name__ == "__main__":
    rounds(*map(int, sys.argv[1:4]))
