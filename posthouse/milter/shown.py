"""What a filter is told of a message, stage by stage: the words of each command and the macros that go before it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from posthouse.limits import MILTER_CHUNK
from posthouse.milter.negotiation import Agreement
from posthouse.milter.packets import Ask, Steps, packet, text


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who brings a message, from whom and to whom."""

    address: str
    """The peer's IP address."""
    name: str = ""
    """The name that its address leads to and that leads back; empty: none is known."""
    helo: str
    reverse_path: str
    parameters: tuple[str, ...] = ()
    """Of MAIL: "SIZE=1000"."""
    recipients: tuple[str, ...]
    macros: dict[Ask, tuple[tuple[str, str], ...]] = {}
    """(name, value) at each stage."""


class Said(msgspec.Struct, frozen=True):
    """One command of ours."""

    ask: Ask
    octets: bytes
    unwanted: Steps = Steps(0)
    """The filter need not be told where it took this step."""
    silent: Steps = Steps(0)
    """It does not answer where it took this one."""
    recipient: int = -1
    """RCPT: of which recipient."""


def before_the_text(envelope: Envelope, agreed: Agreement) -> Iterator[Said]:
    """All from the connection up to DATA, in order, each with its macros."""
    yield _said(envelope, agreed, Ask.CONNECT, _peer(envelope), Steps.NO_CONNECT, Steps.SILENT_CONNECT)
    helo = text(envelope.helo or "localhost")
    yield _said(envelope, agreed, Ask.HELO, helo, Steps.NO_HELO, Steps.SILENT_HELO)
    sender = text(f"<{envelope.reverse_path}>", *envelope.parameters)
    yield _said(envelope, agreed, Ask.MAIL, sender, Steps.NO_MAIL, Steps.SILENT_MAIL)
    for number, recipient in enumerate(envelope.recipients):
        own = macros(agreed, Ask.RCPT, (("{rcpt_addr}", recipient),))
        octets = own + packet(Ask.RCPT, text(f"<{recipient}>"))
        yield Said(Ask.RCPT, octets, Steps.NO_RCPT, Steps.SILENT_RCPT, number)
    yield _said(envelope, agreed, Ask.DATA, b"", Steps.NO_DATA, Steps.SILENT_DATA)


def field(name: bytes, value: bytes) -> Said:
    """One header field; what is too long for a packet ends early: a filter would break off, and a long field in a
    message would be a way past it."""
    data = (name + b"\0" + value.replace(b"\0", b""))[: MILTER_CHUNK - 1] + b"\0"
    return Said(Ask.HEADER, packet(Ask.HEADER, data), Steps.NO_HEADERS, Steps.SILENT_HEADERS)


def end_of_header(envelope: Envelope, agreed: Agreement) -> Said:
    """The header is over."""
    return _said(envelope, agreed, Ask.END_OF_HEADER, b"", Steps.NO_END_OF_HEADER, Steps.SILENT_END_OF_HEADER)


def chunk(octets: bytes) -> Said:
    """A piece of the body."""
    return Said(Ask.BODY, packet(Ask.BODY, octets), Steps.NO_BODY, Steps.SILENT_BODY)


def end_of_body(envelope: Envelope, agreed: Agreement) -> Said:
    """The message is over: what is answered now may change it."""
    return _said(envelope, agreed, Ask.END_OF_BODY, b"", Steps(0), Steps(0))


def macros(agreed: Agreement, stage: Ask, pairs: tuple[tuple[str, str], ...]) -> bytes:
    """The packet that goes before a stage; empty when there is nothing to tell."""
    wanted = agreed.macros.get(stage)
    words = [
        word
        for name, value in pairs
        if value and (wanted is None or name.strip("{}") in wanted)
        for word in (name, value)
    ]
    return packet(Ask.MACRO, stage.value + text(*words)) if words else b""


def _said(
    envelope: Envelope, agreed: Agreement, ask: Ask, data: bytes, unwanted: Steps, silent: Steps
) -> Said:
    before = macros(agreed, ask, envelope.macros.get(ask, ()))
    return Said(ask, before + packet(ask, data), unwanted, silent)


def _peer(envelope: Envelope) -> bytes:
    """Name, family, port, address; the port of a peer is nobody's business and stays 0."""
    family = b"6" if ":" in envelope.address else b"4"
    name = envelope.name or f"[{envelope.address}]"
    return text(name) + family + bytes(2) + text(envelope.address)
