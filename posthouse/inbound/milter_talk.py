"""One message shown to one filter: a connection of its own, command by command, each answer awaited.

Nothing is taken over before the filter's last word: who dies in the middle has changed nothing. What it said against a
recipient before that still stands. Each answer has its time, all of them together too, and "still at work" only renews
the first. Who says anything unasked is not understood: it would pass for the answer to something else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from posthouse.errors import PosthouseError, RemoteProtocolError
from posthouse.inbound.milter_text import MilterText, NewBody
from posthouse.limits import MESSAGE_HEADER, MILTER_CHANGES, MILTER_CONNECT, MILTER_PACKET, MILTER_TURN
from posthouse.milter import shown
from posthouse.milter.answers import Answer, Change, Kind, ReplaceBody, read_answer, read_change
from posthouse.milter.negotiation import Agreement, agree, offer
from posthouse.milter.packets import LENGTH, Ask, Packet, Steps, packet, read_length, read_packet
from posthouse.store.model import Content

_UNIX = "unix:"
_INET = "inet:"


class MilterAway(PosthouseError):
    """The filter cannot be asked, or says what cannot be understood."""


class Opinion(msgspec.Struct, kw_only=True):
    """What a filter makes of a message."""

    answer: Answer = Answer(Kind.CONTINUE)
    """Of the whole."""
    refused: dict[int, Answer] = {}
    """By recipient: why it is not for that one."""
    changes: list[Change] = []
    body: Content | None = None
    """In place of the body; None: that stays."""
    body_is_ascii: bool = True
    leading_space: bool = False
    """How it means values of header fields."""


class MilterTalk:
    """The conversation about one message. `run` once."""

    def __init__(
        self, place: str, timeout: float, envelope: shown.Envelope, text: MilterText, body: NewBody
    ) -> None:
        """`place`: "inet:HOST:PORT" or "unix:PATH"; `timeout`: seconds for one answer."""
        self._place = place
        self._timeout = timeout
        self._envelope = envelope
        self._text = text
        self._body = body
        self._heard = bytearray()
        self._packets = 0
        self.opinion = Opinion()

    async def run(self) -> None:
        """Fill `opinion`. Raises MilterAway; what was refused until then stands there."""
        try:
            async with asyncio.timeout(MILTER_CONNECT):
                self._reader, self._writer = await _connected(self._place)
        except (OSError, TimeoutError) as fault:
            raise MilterAway(f"cannot be reached: {_words(fault)}") from fault
        # Who takes nothing would else be kept, with all that it has not taken.
        end = self._writer.transport.abort
        try:
            await self._converse()
            end = self._writer.close
        except (OSError, TimeoutError, EOFError) as fault:
            raise MilterAway(_words(fault)) from fault
        except RemoteProtocolError as fault:
            raise MilterAway(f"says what cannot be understood: {fault.public}") from fault
        finally:
            end()

    async def _converse(self) -> None:
        await self._send(offer())
        agreed = agree(await self._receive())
        opinion = self.opinion
        opinion.leading_space = bool(agreed.steps & Steps.LEADING_SPACE)
        final = await self._show(agreed)
        if final is not None:
            self._nothing_unasked()
            opinion.answer = final
            self._writer.write(packet(Ask.ABORT) + packet(Ask.QUIT))
            return
        await self._send(shown.end_of_body(self._envelope, agreed).octets)
        opinion.answer = await self._hear_changes(agreed)
        self._writer.write(packet(Ask.QUIT))

    async def _show(self, agreed: Agreement) -> Answer | None:
        """Everything up to the last octet; None: the filter has not decided yet."""
        async with aclosing(self._commands(agreed)) as commands:
            async for said in commands:
                if agreed.steps & said.unwanted:
                    continue
                await self._send(said.octets)
                if agreed.steps & said.silent:
                    continue
                answer = await self._answer()
                if answer.kind is Kind.SKIP:
                    if said.ask is not Ask.BODY:
                        raise RemoteProtocolError("it has heard enough of what is no body")
                    return None  # the body is the last
                if answer.refuses and said.recipient >= 0:
                    self.opinion.refused[said.recipient] = answer
                    if len(self.opinion.refused) == len(self._envelope.recipients):
                        return answer
                elif answer.kind is not Kind.CONTINUE:
                    return answer
        return None

    async def _commands(self, agreed: Agreement) -> AsyncGenerator[shown.Said, None]:
        for said in shown.before_the_text(self._envelope, agreed):
            yield said
        if not agreed.steps & Steps.NO_HEADERS:
            leading_space = bool(agreed.steps & Steps.LEADING_SPACE)
            for name, value in self._text.section.fields(leading_space=leading_space):
                yield shown.field(name, value)
        yield shown.end_of_header(self._envelope, agreed)
        if not agreed.steps & Steps.NO_BODY:
            async with aclosing(self._text.chunks()) as chunks:
                async for octets in chunks:
                    yield shown.chunk(octets)

    async def _answer(self) -> Answer:
        while True:
            answer = read_answer(await self._receive())
            if answer.kind is not Kind.PROGRESS:
                return answer

    async def _hear_changes(self, agreed: Agreement) -> Answer:
        octets, opinion, has_body = 0, self.opinion, False
        while True:
            heard = await self._receive()
            change = read_change(heard, agreed.actions)
            if isinstance(change, ReplaceBody):
                has_body = True
                await self._body.add(change.octets)
            elif change is not None:
                octets += len(heard.data)
                if len(opinion.changes) >= MILTER_CHANGES or octets > MESSAGE_HEADER:
                    raise RemoteProtocolError("more changes than a message can need")
                opinion.changes.append(change)
            else:
                answer = read_answer(heard)
                if answer.kind is Kind.SKIP:
                    raise RemoteProtocolError("it skips what is over")
                if answer.kind is not Kind.PROGRESS:
                    break
        self._nothing_unasked()
        if has_body:
            opinion.body, opinion.body_is_ascii = await self._body.finish(), self._body.is_ascii
        return answer

    def _nothing_unasked(self) -> None:
        if self._heard:
            raise RemoteProtocolError("it speaks unasked")

    async def _turn(self) -> None:
        """What is here already is read, and what there is room for is written, without waiting."""
        self._packets += 1
        if self._packets % MILTER_TURN == 0:
            await asyncio.sleep(0)

    async def _send(self, octets: bytes) -> None:
        self._nothing_unasked()
        await self._turn()
        self._writer.write(octets)
        async with asyncio.timeout(self._timeout):
            await self._writer.drain()

    async def _receive(self) -> Packet:
        await self._turn()
        async with asyncio.timeout(self._timeout):
            length = read_length(await self._octets(LENGTH))
            return read_packet(await self._octets(length))

    async def _octets(self, count: int) -> bytes:
        while len(self._heard) < count:
            more = await self._reader.read(MILTER_PACKET)
            if not more:
                raise EOFError
            self._heard += more
        found = bytes(self._heard[:count])
        del self._heard[:count]
        return found


async def _connected(place: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if place.startswith(_UNIX):
        return await asyncio.open_unix_connection(place.removeprefix(_UNIX))
    host, _, port = place.removeprefix(_INET).rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))


def _words(fault: BaseException) -> str:
    if isinstance(fault, TimeoutError):
        return "does not answer in time"
    if isinstance(fault, EOFError | ConnectionError):
        return "broke off" if not isinstance(fault, ConnectionRefusedError) else "nobody is there"
    return str(fault) or type(fault).__name__
