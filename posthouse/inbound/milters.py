"""An administrator's own filters, asked at the final dot about every message that comes by their doors.

Each is shown the message as the ones before it left it. The text goes to them without what forged our name, and for
people of ours with the Date and Message-ID that we add, since a filter may sign it. A filter that cannot be asked, or
says what cannot be understood, defers the mail, or is left out where the configuration says so; what it has refused by
then is refused all the same. docs/decisions/milter.md says why the final dot, and what becomes of single recipients.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from posthouse.config import Milter
from posthouse.inbound.checks import Examination, Refused
from posthouse.inbound.mail import Mail, Via
from posthouse.inbound.milter_envelope import envelope_of
from posthouse.inbound.milter_passage import Passage, Passed, plain_reply
from posthouse.inbound.milter_talk import MilterAway, MilterTalk, Opinion
from posthouse.inbound.milter_text import NewBody
from posthouse.limits import MILTER_AT_ONCE, MILTERS_TOTAL
from posthouse.milter.answers import Answer, Kind
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Store

log: Final = logging.getLogger(__name__)

_ROLES: Final = {Via.MX: "mx", Via.SUBMISSION: "submission", Via.LOCAL: "submission", Via.LMTP: "lmtp"}
_AWAY: Final = Reply(451, "4.7.1", "A mail filter cannot be asked now, try again later")
_REFUSED: Final[Mapping[Kind, Reply]] = {
    Kind.REJECT: Reply(550, "5.7.1", "A mail filter here refuses this message"),
    Kind.TEMPFAIL: Reply(451, "4.7.1", "A mail filter here asks to try again later"),
}


class _Filter:
    """One of them, with what all messages share."""

    def __init__(self, settings: Milter) -> None:
        self.settings = settings
        self.name = settings.name or settings.socket
        self.room = asyncio.Semaphore(MILTER_AT_ONCE)


class Milters:
    """The filters of one configuration, in its order."""

    def __init__(self, settings: Sequence[Milter], store: Store, hostname: str, message_size: int) -> None:
        self._filters = tuple(_Filter(one) for one in settings)
        self._store = store
        self._hostname = hostname
        self._message_size = message_size

    def see(self, via: Via) -> bool:
        """Whether any is shown mail that comes by this door."""
        return any(_ROLES[via] in one.settings.roles for one in self._filters)

    async def show(self, examination: Examination, mail: Mail, fields: bytes) -> Passed:
        """Show a message to all that want it. Raises Refused, and what the store raises.

        `mail`: the message without what must not go on; `fields`: those that we add for people of ours.
        """
        passage = Passage(examination, mail, fields)
        deadline = asyncio.get_running_loop().time() + MILTERS_TOTAL
        for one in self._filters:
            if _ROLES[mail.via] in one.settings.roles and passage.goes_on:
                await self._ask(one, passage, deadline)
        return await passage.end(self._store)

    async def _ask(self, one: _Filter, passage: Passage, deadline: float) -> None:
        envelope = envelope_of(passage, self._hostname)
        body = NewBody(self._store, self._message_size)
        talk = MilterTalk(one.settings.socket, one.settings.timeout, envelope, passage.text, body)
        away = ""
        try:
            async with asyncio.timeout_at(deadline), one.room:
                await talk.run()
        except MilterAway as fault:
            away = fault.public
        except TimeoutError:
            away = f"the filters together took more than {MILTERS_TOTAL:g} seconds"
        finally:
            if talk.opinion.body is None:
                await body.discard()
        opinion = talk.opinion
        for number, answer in opinion.refused.items():
            passage.refuse(envelope.recipients[number], _reply(answer), one.name)
        if away:
            self._without(one, passage, away)
        elif opinion.answer.refuses and len(opinion.refused) < len(envelope.recipients):
            passage.refuse_all(_reply(opinion.answer), one.name)
        elif opinion.answer.kind is Kind.DISCARD:
            passage.discard(one.name)
        elif not opinion.answer.refuses:
            self._change(one, passage, opinion)

    def _without(self, one: _Filter, passage: Passage, away: str) -> None:
        log.warning("milter=%s id=%s: %s", one.name, passage.mail.trace_id, away)
        if one.settings.when_away == "defer":
            raise Refused(_AWAY, by=f"milter {one.name} {away}")
        passage.note(one.name, f"left out: {away}")

    def _change(self, one: _Filter, passage: Passage, opinion: Opinion) -> None:
        try:
            passage.change(one.name, opinion)
        except ValueError as fault:
            self._without(one, passage, str(fault))


def _reply(answer: Answer) -> Reply:
    """Its own words, or ours. RFC 5321 §3.8: 421 would say that we close the connection."""
    ours = _REFUSED[answer.kind]
    if not answer.code:
        return ours
    code = 451 if answer.code == 421 else answer.code
    return plain_reply(Reply(code, answer.enhanced or ours.enhanced, answer.words or ours.text))
