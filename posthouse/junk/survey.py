"""What can be said of a message whoever gets it: its origin, block lists, traps, rspamd, the virus scanner, its form.

Asked once per message, all outside questions at once. A check that fails is noted and passed over; only the virus
scanner must have answered (`Temporary` is raised else, or `Permanent` where it never will).
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Final

import msgspec

from posthouse.errors import Permanent, Temporary
from posthouse.junk.block_lists import BlockLists, ListKind
from posthouse.junk.clamav import ClamAv
from posthouse.junk.letter import Letter
from posthouse.junk.rspamd import Rspamd
from posthouse.junk.tokens import Tokens, read_tokens
from posthouse.junk.verdict import Evidence
from posthouse.limits import TOKEN_SOURCE, TOKENS_INLINE
from posthouse.msgauth.results import Disposition, Result
from posthouse.smtp.grammar import HELO_ODD
from posthouse.store.model import Content

POLICY: Final = "policy"
"""The check that says that a domain asks to suspect it."""
CLAMAV: Final = "clamav"
"""The check that found a virus or none."""
SUSPECTED: Final = 5.0
"""What the suspicion of somebody else weighs."""
_LISTED: Final = {ListKind.ADDRESS: 4.0, ListKind.DOMAIN: 3.5, ListKind.HASH: 4.0}
_RUNNABLE: Final = frozenset(
    {
        "exe",
        "scr",
        "pif",
        "com",
        "bat",
        "cmd",
        "js",
        "jse",
        "vbs",
        "vbe",
        "wsf",
        "hta",
        "lnk",
        "jar",
        "ps1",
        "msi",
    }
    | {"iso", "img"}
)
"""Endings of files that run when they are opened."""


class Survey(msgspec.Struct, kw_only=True):
    """The findings."""

    letter: Letter
    checks: list[Evidence] = msgspec.field(default_factory=list)
    tokens: Tokens | None = None
    """None: not read yet."""
    virus: str = ""
    refused: bool = False
    """rspamd says that nobody wants this."""


class Surveyor:
    """Asks. One per configuration."""

    def __init__(
        self,
        lists: BlockLists,
        rspamd: Rspamd | None = None,
        clamav: ClamAv | None = None,
    ) -> None:
        self._lists = lists
        self._rspamd = rspamd
        self._clamav = clamav

    @property
    def scans(self) -> bool:
        """Whether a virus scanner looks at mail."""
        return self._clamav is not None

    async def look(self, letter: Letter, trapped: str = "") -> Survey:
        """Everything about a message. `trapped`: what its peer did in a trap, in words. Raises Temporary, Permanent."""
        survey = Survey(letter=letter)
        checks = survey.checks
        checks += _origin(letter)
        checks += _form(letter)
        if trapped:
            checks.append(Evidence(check="trap", weight=6.0, evidence=trapped))
        if self._lists.asks(ListKind.DOMAIN) or _has_form(letter):
            await self.read(survey)
        if survey.tokens is not None:
            checks += _content(survey.tokens)
        asked = []
        if self._lists:
            asked.append(self._ask_lists(survey))
        if self._rspamd is not None:
            asked.append(self._ask_rspamd(survey, self._rspamd))
        if self._clamav is not None:
            asked.append(self._ask_clamav(survey, self._clamav))
        if asked:
            await asyncio.gather(*asked)
        return survey

    async def read(self, survey: Survey) -> Tokens:
        """The tokens, read at first need; a large message in a thread."""
        if survey.tokens is None:
            letter = survey.letter
            raw = letter.content.beginning()
            if len(raw) <= TOKENS_INLINE:
                survey.tokens = read_tokens(raw, letter.headers, letter.authors, letter.proved)
            else:
                survey.tokens = await asyncio.to_thread(
                    read_tokens, raw[:TOKEN_SOURCE], letter.headers, letter.authors, letter.proved
                )
        return survey.tokens

    async def _ask_lists(self, survey: Survey) -> None:
        letter, tokens = survey.letter, survey.tokens
        domains = [one.domain for one in letter.authors[:3]]
        domains += [letter.reverse_path.rpartition("@")[2], letter.helo]
        domains += islice(tokens.links, 15) if tokens is not None else ()
        addresses = [one.address.lower() for one in letter.authors[:3]]
        addresses += [letter.reverse_path.lower()] if letter.reverse_path else []
        addresses += tokens.addresses[:10] if tokens is not None else ()
        found, silent = await self._lists.look(
            letter.peer, list(dict.fromkeys(filter(None, domains))), list(dict.fromkeys(addresses))
        )
        for one in found:
            words = f"{one.what} is in {one.zone} ({one.code})"
            survey.checks.append(Evidence(check="block-list", weight=_LISTED[one.kind], evidence=words))
        survey.checks += [Evidence(check="block-list", evidence=words) for words in silent]

    async def _ask_rspamd(self, survey: Survey, rspamd: Rspamd) -> None:
        letter = survey.letter
        envelope = {
            "IP": letter.peer,
            "Helo": letter.helo,
            "From": letter.reverse_path,
            "Queue-Id": letter.trace_id,
        }
        try:
            opinion = await rspamd.ask(letter.content, envelope, letter.recipients)
        except Temporary as fault:
            survey.checks.append(Evidence(check="rspamd", evidence=fault.public))
            return
        # Its "add header" is our Junk: its score is brought to our scale, where 5 is junk.
        weight = _RSPAMD.get(opinion.action, min(max(opinion.score / 3, -2.0), 2.0))
        survey.refused = opinion.action == "reject"
        words = f"{opinion.action} {opinion.score:g} of {opinion.required:g}: {', '.join(opinion.symbols)}"
        survey.checks.append(Evidence(check="rspamd", weight=round(weight, 1), evidence=words))

    async def virus_in(self, content: Content) -> str:
        """What the scanner alone says; empty: nothing found, or there is none. Raises Temporary, Permanent."""
        return (await self._clamav.scan(content)).virus if self._clamav is not None else ""

    async def _ask_clamav(self, survey: Survey, clamav: ClamAv) -> None:
        try:
            scanned = await clamav.scan(survey.letter.content)
        except Permanent as fault:
            if not survey.letter.handed_on:
                raise
            survey.checks.append(Evidence(check=CLAMAV, weight=50.0, evidence=fault.public))
            return
        survey.virus = scanned.virus
        words = f"found {scanned.virus}" if scanned.virus else "found nothing"
        survey.checks.append(Evidence(check=CLAMAV, weight=50.0 if scanned.virus else 0.0, evidence=words))


_RSPAMD: Final = {
    "reject": 10.0,
    "rewrite subject": 5.0,
    "add header": 5.0,
    "soft reject": 3.0,
    "greylist": 2.5,
}


def _origin(letter: Letter) -> list[Evidence]:
    """What SPF, DKIM, DMARC and the peer's name say."""
    found = letter.authentication
    checks = list(letter.suspected)
    checks += [Evidence(check="milter", evidence=words) for words in letter.filtered]
    if HELO_ODD in letter.helo:
        # Printers and laptops do so with their own server; a host that sends to others has a name (RFC 5321 §4.1.1.1).
        words = f"the peer calls itself {letter.helo}, which names no host"
        checks.append(Evidence(check="no-name", weight=0.5, evidence=words))
    if found is None:
        return checks
    # RFC 9989 §5.4: p=none must change nothing, or who only wants reports would be worse off than without a record.
    dmarc = next((one for one in found.dmarc if one.disposition is not Disposition.NONE), None)
    if dmarc is not None and not any(one.check == POLICY for one in letter.suspected):
        checks.append(Evidence(check="dmarc", weight=1.5, evidence=f"{dmarc.domain} was not proved"))
    if found.spf.result is Result.FAIL:
        words = f"{found.spf.domain} does not send from there"
        checks.append(Evidence(check="spf", weight=1.0, evidence=words))
    elif not found.authentic and not any(one.passed for one in found.dkim):
        checks.append(Evidence(check="unproved", weight=0.5, evidence="nobody vouches for the author"))
    if found.iprev.result in (Result.FAIL, Result.PERMERROR):
        checks.append(
            Evidence(check="no-name", weight=0.5, evidence="the peer's address has no name that leads back")
        )
    return checks


def _form(letter: Letter) -> list[Evidence]:
    """RFC 5322 §3.6: every message has a date and an author; nearly every one has an id."""
    missing = [name for name in ("from", "date", "message-id") if name not in letter.headers]
    if not missing:
        return []
    weight = 0.5 * len(missing)
    return [Evidence(check="form", weight=weight, evidence=f"without {', '.join(missing)}")]


def _content(tokens: Tokens) -> list[Evidence]:
    checks = []
    if tokens.misleading:
        words = f"a link shows one host and leads to another: {next(iter(tokens.misleading))}"
        checks.append(Evidence(check="misleading-link", weight=1.5, evidence=words))
    runnable = next((ending for ending in tokens.files if ending in _RUNNABLE), "")
    if runnable:
        words = f"a program is attached (.{runnable})"
        checks.append(Evidence(check="program", weight=2.5, evidence=words))
    if tokens.hidden:
        checks.append(Evidence(check="hidden-text", weight=0.3, evidence="some of its text is hidden"))
    return checks


def _has_form(letter: Letter) -> bool:
    """Whether its form is worth a look: other than plain text alone, which no name makes a file."""
    kind = letter.headers.first("content-type")
    if kind is None or kind[:10].lower().startswith(b"text/plain"):
        return "content-disposition" in letter.headers or (kind is not None and b"name" in kind.lower())
    return True
