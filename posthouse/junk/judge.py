"""The verdict: what is known of the message, and what the one who gets it has to do with its sender.

`look` once per message, `rule` once per account. Whatever goes wrong inside an account's own checks is noted in the
verdict and speaks for nobody: no fault of the filter keeps mail from its reader.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from posthouse.errors import PosthouseError
from posthouse.junk.classifier import Model, Score, blend, share_of_own
from posthouse.junk.facts import Sender, facts_about
from posthouse.junk.greylist import Greylist
from posthouse.junk.history import STRANGER, History
from posthouse.junk.models import Models
from posthouse.junk.survey import CLAMAV, Survey, Surveyor
from posthouse.junk.verdict import FAULT, Decision, Evidence, Fact, Forced, Thresholds, Verdict, decide
from posthouse.msgauth.results import Result
from posthouse.store.interface import Op
from posthouse.store.model import Account

log: Final = logging.getLogger(__name__)

GREYLIST: Final = "greylist"
"""The check that asks to come again."""
_BY_WORDS: Final = ((0.995, 5.5), (0.97, 4.0), (0.9, 2.5), (0.75, 1.0))
"""From which score of the statistical filter on how much it weighs; the first is junk by itself."""


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict for one account, and what notes it."""

    verdict: Verdict
    ops: tuple[Op[Any], ...] = ()
    """For the commit that delivers the message, or when it is put off, by themselves."""


class Judge:
    """One per configuration."""

    def __init__(
        self,
        surveyor: Surveyor,
        models: Models,
        history: History,
        thresholds: Thresholds,
        *,
        greylist: Greylist | None = None,
        grey_all: bool = False,
    ) -> None:
        """`grey_all`: greylist every stranger, not only dubious mail."""
        self.surveyor = surveyor
        self._models = models
        self._history = history
        self._thresholds = thresholds
        self._greylist = greylist
        self._grey_all = grey_all

    async def rule(self, survey: Survey, account: Account) -> Ruling:
        """The verdict for one account."""
        checks = list(survey.checks)
        facts: list[Fact] = []
        ops: list[Op[Any]] = []
        sender: Sender | None = None
        try:
            sender = await self._sender(survey, account)
            if sender is not None:
                facts, weights = facts_about(sender, survey.letter.headers, survey.letter.authentication)
                checks += [*weights, *_acquaintance(sender)]
            if survey.tokens is not None and survey.tokens.misleading:
                facts.append(Fact(fact="misleading-link", value=next(iter(survey.tokens.misleading))))
            checks += await self._words(survey, account.account_id)
        except PosthouseError as fault:
            log.warning("junk checks left out id=%s: %s", survey.letter.trace_id, fault)
            checks.append(Evidence(check=FAULT, evidence=f"not all could be asked: {fault.public}"))
        handed_on = survey.letter.handed_on
        virus = Forced(Decision.JUNK if handed_on else Decision.REJECT, CLAMAV) if survey.virus else None
        verdict = decide(tuple(checks), tuple(facts), self._limits(survey), forced=virus)
        if survey.letter.suspected and verdict.decision is Decision.ACCEPT:
            suspicion = Forced(Decision.JUNK, survey.letter.suspected[0].check)
            verdict = decide(verdict.checks, verdict.facts, self._limits(survey), forced=suspicion)
        if self._greylist is not None and not survey.virus and not handed_on:
            verdict, ops = await self._grey(self._greylist, survey, account, sender, verdict)
        if verdict.decision is Decision.ACCEPT and sender is not None:
            ops += await self._history.received(account.account_id, sender.author.address.lower())
        return Ruling(verdict=verdict, ops=tuple(ops))

    def _limits(self, survey: Survey) -> Thresholds:
        if survey.letter.handed_on:
            return Thresholds(junk_at=self._thresholds.junk_at, refuse_at=0)
        if survey.refused and self._thresholds.refuse_at:
            return Thresholds(junk_at=self._thresholds.junk_at, refuse_at=self._thresholds.junk_at)
        return self._thresholds

    async def _sender(self, survey: Survey, account: Account) -> Sender | None:
        author = survey.letter.author
        if author is None:
            return None
        address, account_id = author.address.lower(), account.account_id
        history = await self._history.of(account_id, address)
        contact = await self._history.in_contacts(account_id, address)
        familiar: frozenset[str] = frozenset()
        if history == STRANGER and not contact:
            own = account.address.rpartition("@")[2]
            familiar = await self._history.domains_written_to(account_id) | {own}
        return Sender(
            author=author, history=history, contact=contact, proved=survey.letter.proved, familiar=familiar
        )

    # --- words ----------------------------------------------------------------------------------------

    async def _words(self, survey: Survey, account_id: int) -> list[Evidence]:
        """What the statistical filters say; nothing is read while they have learnt nothing."""
        own, house = await self._models.of(account_id), await self._models.house()
        if (own is None or own.empty) and house.empty:
            return []
        names = (await self.surveyor.read(survey)).names
        checks = []
        alike = own.like(names) if own is not None else None
        if alike is not None:
            words = (
                "it is like a message that was moved to Junk"
                if alike
                else "it is like a message that was kept"
            )
            checks.append(Evidence(check="likeness", weight=5.5 if alike else -3.0, evidence=words))
        lessons = _lessons(own)
        score = blend(
            own.score(names) if own is not None else None,
            house.score(names) if share_of_own(lessons) < 1.0 and not house.empty else None,
            lessons,
        )
        if score is not None:
            checks.append(by_words(score))
        return checks

    # --- greylist -------------------------------------------------------------------------------------

    async def _grey(
        self, greylist: Greylist, survey: Survey, account: Account, sender: Sender | None, verdict: Verdict
    ) -> tuple[Verdict, list[Op[Any]]]:
        letter = survey.letter
        dubious = verdict.score >= self._thresholds.junk_at / 2
        known = sender is not None and sender.proved and (sender.known or sender.history.received > 0)
        if (
            verdict.decision is not Decision.ACCEPT
            or known
            or not letter.peer
            or not (dubious or self._grey_all)
        ):
            return verdict, []
        found = letter.authentication
        name = found.iprev.name if found is not None and found.iprev.result is Result.PASS else ""
        try:
            asked = await greylist.ask(letter.peer, name, letter.reverse_path, account.address)
        except PosthouseError as fault:
            log.warning("greylist left out id=%s: %s", letter.trace_id, fault)
            return verdict, []
        checks = (*verdict.checks, Evidence(check=GREYLIST, evidence=asked.words))
        forced = None if asked.passes else Forced(Decision.DEFER, GREYLIST)
        return decide(checks, verdict.facts, self._thresholds, forced=forced), list(asked.ops)


def _acquaintance(sender: Sender) -> list[Evidence]:
    """What the account has to do with the author; good words count only for proved authors."""
    history, address = sender.history, sender.author.address
    checks = []
    # Forged mail was not its author's, and speaks only against more of the kind.
    called = history.junk if sender.proved else history.junk + history.forged
    if called > 0 and not history.written:
        words = f"mail from {address} was moved to Junk"
        checks.append(Evidence(check="moved-to-junk", weight=5.5, evidence=words))
    if not sender.proved:
        return checks
    if sender.contact:
        checks.append(Evidence(check="contact", weight=-6.0, evidence=f"{address} is in the contacts"))
    elif history.written:
        checks.append(Evidence(check="written-to", weight=-6.0, evidence=f"you have written to {address}"))
    elif history.received >= 2 and not history.junk:
        words = f"wanted mail came from {address} before"
        checks.append(Evidence(check="seen-before", weight=-1.5, evidence=words))
    return checks


def by_words(score: Score) -> Evidence:
    """The statistical filter's opinion as one piece of evidence."""
    weight = next((weight for least, weight in _BY_WORDS if score.junk >= least), 0.0)
    weight = weight or -next((weight for least, weight in _BY_WORDS if 1 - score.junk >= least), 0.0) / 2
    words = ", ".join(f"{name} {measure:.2f}" for name, measure in score.telling[:8])
    return Evidence(check="words", weight=weight, evidence=f"{score.junk:.3f} by {words}"[:300])


def _lessons(model: Model | None) -> int:
    return min(model.junk, model.good) if model is not None else 0
