"""Where inbound and junk meet: a message under examination becomes a letter, a verdict becomes a ruling.

`junk.judge` knows what to think of a message, `inbound.deliver` what to do with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from posthouse.config import Junk
from posthouse.inbound.checks import Examination, Refused
from posthouse.inbound.rulings import Place, RuleFor, Ruling
from posthouse.junk.judge import Judge
from posthouse.junk.letter import Letter
from posthouse.junk.judge import Ruling as Judged
from posthouse.junk.verdict import Decision
from posthouse.smtp.replies import Reply
from posthouse.store.model import Account

Trapped = Callable[[str], Awaitable[str]]
"""What the peer of this address did in a trap, in words; empty: nothing."""

_LATER: Final = Reply(451, "4.7.1", "Please try again in some minutes")
_UNWANTED: Final = Reply(550, "5.7.1", "This message looks like junk and was refused")


class Judging:
    """Rules about strangers' mail for `inbound`. One per configuration."""

    def __init__(self, judge: Judge, settings: Junk, trapped: Trapped) -> None:
        self._judge = judge
        self._settings = settings
        self._trapped = trapped

    def __call__(self, examination: Examination) -> RuleFor:
        """Who rules about one message."""

        async def rule(accounts: Sequence[Account]) -> dict[int, Ruling]:
            letter = letter_of(examination)
            survey = await self._judge.surveyor.look(letter, await self._trapped(letter.peer))
            if survey.virus:
                raise Refused(Reply(554, "5.7.1", f"This message has a virus: {survey.virus}"))
            found = {}
            for account in accounts:
                judged = await self._judge.rule(survey, account)
                found[account.account_id] = self._ruling(judged)
            return found

        return rule

    def _ruling(self, judged: Judged) -> Ruling:
        verdict, only_told = judged.verdict, self._settings.filter == "report"
        place, reply, keep = Place.INBOX, None, True
        if verdict.decision is Decision.JUNK:
            place = Place.JUNK
        elif verdict.decision is Decision.REJECT:
            place, reply = (Place.REJECTS if self._settings.rejects else Place.JUNK), _UNWANTED
            keep = bool(self._settings.rejects)
        elif verdict.decision is Decision.DEFER:
            reply, keep = _LATER, False
        if only_told:
            place, reply = Place.INBOX, None
        return Ruling(
            place=place,
            reply=reply,
            keep=keep,
            field=verdict.to_field(),
            record=verdict.to_json(),
            note=verdict.in_words(),
            ops=judged.ops,
        )


def letter_of(examination: Examination) -> Letter:
    """The message as the filter gets it."""
    mail = examination.mail
    return Letter(
        content=mail.content,
        headers=examination.headers,
        authors=examination.authors,
        authentication=examination.authentication,
        suspected=tuple(examination.junk),
        trace_id=mail.trace_id,
        reverse_path=mail.reverse_path,
        recipients=tuple(one.address for one in mail.recipients),
        peer=mail.peer,
        helo=mail.helo,
    )
