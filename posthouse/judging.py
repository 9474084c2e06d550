"""Where inbound and junk meet: a message under examination becomes a letter, a verdict becomes a ruling.

`junk.judge` knows what to think of a message and `junk.sending` of what our accounts send; `inbound.deliver` knows what
to do with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse.config import Junk, MsgAuth
from posthouse.errors import Permanent, Temporary
from posthouse.inbound.authenticate import Authenticate
from posthouse.inbound.checks import Cause, Examination, Refused, examine
from posthouse.inbound.mail import Mail, Via, new_trace_id, our_mail
from posthouse.inbound.received import received_field
from posthouse.inbound.rulings import Leave, LeaveFor, Place, RuleFor, Ruling
from posthouse.junk.judge import Judge
from posthouse.junk.judge import Ruling as Judged
from posthouse.junk.letter import Letter
from posthouse.junk.office import JunkOffice
from posthouse.junk.survey import SUSPECTED, Survey
from posthouse.junk.verdict import Decision, Evidence, Verdict
from posthouse.message.compose import compose, format_mailbox, text_body
from posthouse.message.date import format_date
from posthouse.resolver import Resolver
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Op
from posthouse.store.model import Account

log: Final = logging.getLogger(__name__)

_LATER: Final = Reply(451, "4.7.1", "Please try again in some minutes")
_UNWANTED: Final = Reply(550, "5.7.1", "This message looks like junk and was refused")


class Judging:
    """Rules about strangers' mail for `inbound`. One per configuration."""

    def __init__(self, judge: Judge, settings: Junk, suspicion: Callable[[str], Awaitable[str]]) -> None:
        """`suspicion`: what the peer of this address did in a trap, in words; empty: nothing."""
        self._judge = judge
        self._settings = settings
        self._suspicion = suspicion

    def __call__(self, examination: Examination) -> RuleFor:
        """Who rules about one message."""

        async def rule(accounts: Sequence[Account]) -> dict[int, Ruling]:
            if not accounts:
                # It is handed on, by an alias or as a backup: whether it is wanted is said there.
                await self._scan(letter_of(examination))
                return {}
            try:
                return await judged(accounts)
            except (Refused, Temporary, Permanent):
                raise
            except Exception:  # a fault of ours must not keep mail from its reader
                log.exception("the junk filter failed id=%s: delivered unjudged", examination.mail.trace_id)
                await self._scan(letter_of(examination))
                return {}

        async def judged(accounts: Sequence[Account]) -> dict[int, Ruling]:
            letter = letter_of(examination)
            survey = await self._judge.surveyor.look(letter, await self._suspicion(letter.peer))
            self._refuse_virus(letter, survey.virus)
            return {
                account.account_id: self._ruling(await self._judge.rule(survey, account), survey)
                for account in accounts
            }

        return rule

    async def _scan(self, letter: Letter) -> None:
        """No fault of the filter leads past the virus scanner. Raises Refused, Temporary, Permanent."""
        if not letter.handed_on:
            self._refuse_virus(letter, await self._judge.surveyor.virus_in(letter.content))

    def _refuse_virus(self, letter: Letter, virus: str) -> None:
        if virus and self._settings.filter == "on" and not letter.handed_on:
            raise Refused(Reply(554, "5.7.1", f"This message has a virus: {virus}"))

    def _ruling(self, judged: Judged, survey: Survey) -> Ruling:
        verdict = judged.verdict
        place, reply, keep = Place.INBOX, None, True
        if verdict.decision is Decision.JUNK:
            place = Place.JUNK
        elif verdict.decision is Decision.REJECT:
            place, reply = (Place.REJECTS if self._settings.rejects else Place.JUNK), _UNWANTED
            keep = self._settings.rejects
        elif verdict.decision is Decision.DEFER:
            reply, keep = _LATER, False
        if self._settings.filter == "report":
            place, reply = Place.INBOX, None
        return Ruling(
            place=place,
            reply=reply,
            keep=keep,
            field=verdict.to_field(),
            record=verdict.to_json(),
            note=verdict.in_words(),
            junk_percent=_percent(verdict),
            virus=(5 if survey.virus else 1) if self._judge.surveyor.scans else 0,
            ops=judged.ops,
        )


def _percent(verdict: Verdict) -> int:
    """How surely it is junk: the score as a share of twice what makes junk, never at odds with what was decided."""
    found = round(50 * verdict.score / verdict.junk_at) if verdict.junk_at > 0 else 50
    junk = verdict.decision in (Decision.JUNK, Decision.REJECT)
    return min(100, max(50, found)) if junk else min(49, max(0, found))


def letter_of(examination: Examination) -> Letter:
    """The message as the filter gets it."""
    mail = examination.mail
    peer, helo = mail.peer, mail.helo
    if examination.trusted:
        client = examination.client
        peer, helo = (client.address, client.helo) if client is not None else ("", "")
    return Letter(
        content=mail.content,
        headers=examination.headers,
        authors=examination.authors,
        authentication=examination.authentication,
        suspected=_suspected(examination),
        filtered=tuple(examination.filtered),
        trace_id=mail.trace_id,
        reverse_path=mail.reverse_path,
        recipients=tuple(one.address for one in mail.recipients),
        peer=peer,
        helo=helo,
        handed_on=examination.trusted,
    )


def _suspected(examination: Examination) -> tuple[Evidence, ...]:
    """Each cause once."""
    first = {one.cause: one.words for one in reversed(examination.junk)}
    return tuple(
        Evidence(check=cause, weight=SUSPECTED, evidence=first[cause]) for cause in Cause if cause in first
    )


class Examiner:
    """Asks SPF, DKIM and DMARC about a letter that is only to be explained."""

    def __init__(self, resolver: Resolver, settings: MsgAuth, hostname: str) -> None:
        self._check = Authenticate(
            resolver, msgspec.structs.replace(settings, verify="report"), hostname=hostname
        )

    async def __call__(self, letter: Letter) -> Letter:
        """The letter with what was found."""
        mail = Mail(
            trace_id="",
            reverse_path=letter.reverse_path,
            recipients=(),
            content=letter.content,
            received_at=time.time(),
            helo=letter.helo,
            peer=letter.peer,
            via=Via.MX,
        )
        examination = examine(mail, trusted=False)
        await self._check(examination)
        return msgspec.structs.replace(letter, authentication=examination.authentication)


def outgoing(office: JunkOffice) -> Callable[[Mail], LeaveFor | None]:
    """What asks `junk.sending` about mail that comes by login."""

    def watch(mail: Mail) -> LeaveFor | None:
        login = mail.login
        if login is None:
            return None

        async def leave(everybody: Sequence[str], elsewhere: Sequence[str]) -> Leave:
            found = await office.sending.leave(login.account, mail.peer, everybody, elsewhere)
            return Leave(reply=found.reply, held=found.held, ops=found.ops)

        return leave

    return watch


class Alarm:
    """Tells the owner of an account, and the postmaster, that its outgoing mail is held."""

    def __init__(
        self,
        hostname: str,
        operations: Callable[[Mail, bytes], Awaitable[list[Op[Any]]]],
        now: Callable[[], float],
    ) -> None:
        """`operations`: `Deliverer.operations`."""
        self._hostname = hostname
        self._operations = operations
        self._now = now

    async def __call__(self, account: Account, why: str) -> Sequence[Op[Any]]:
        """What delivers the notice, for the commit that holds the account."""
        now = self._now()
        trace_id = new_trace_id(now)
        postmaster = f"postmaster@{account.address.rpartition('@')[2]}"
        fields = [
            ("From", format_mailbox("Posthouse", "postmaster", self._hostname)),
            ("To", account.address),
            ("Date", format_date(int(now))),
            ("Subject", "Outgoing mail of this account is held"),
            ("Message-ID", f"<{trace_id}@{self._hostname}>"),
            # RFC 3834 §5: so that no automatic reply is made to it.
            ("Auto-Submitted", "auto-generated"),
        ]
        text = _WORDS.format(address=account.address, why=why)
        raw = compose(fields, text_body(text))
        mail = our_mail(raw, *dict.fromkeys((account.address, postmaster)), trace_id=trace_id, at=now)
        return await self._operations(mail, received_field(mail, self._hostname, show_client=False))


_WORDS: Final = """\
The account {address} sends mail in an unusual way:

    {why}

Perhaps somebody else knows its password. What it sends to other hosts from now
on is not lost: it waits in the queue until an administrator has looked at it.

If it was its owner, this lets all of it go, and makes that much usual:

    posthouse account release {address}

If it was not, change the password, revoke its app passwords, and drop what
should not go (posthouse queue list --address {address}).
"""
