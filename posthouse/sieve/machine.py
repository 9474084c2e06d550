"""A script that runs: what it knows, what it has decided, and what it may still spend.

Commands and tests (`Spec.run`) get the machine and work through its methods. Nothing here touches the world: what
must be asked is yielded as a `Question`. All that a script wants is only noted; the `Outcome` says it when the script
has ended, so a fault on the way leaves nothing half done (RFC 5228 §2.10.6).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from types import GeneratorType
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import msgspec

from posthouse.limits import (
    SIEVE_ACTIONS,
    SIEVE_BRIEF_STEPS,
    SIEVE_BRIEF_WORK,
    SIEVE_REDIRECTS,
    SIEVE_STEPS,
    SIEVE_WORK,
)
from posthouse.message.headers import Headers, decode_value
from posthouse.sieve.actions import Action, FileInto, Keep, Outcome, Redirect
from posthouse.sieve.facts import Facts
from posthouse.sieve.faults import Fault
from posthouse.sieve.flow import Return, Unfinished
from posthouse.sieve.questions import Question
from posthouse.sieve.strings import expand
from posthouse.sieve.tables import Call, Match, Script, Step, Value

if TYPE_CHECKING:
    from posthouse.sieve.language import Language

_FIELD: Final = 100
"""What unfolding a field costs, counted in characters looked at."""
T = TypeVar("T")


class Frame:
    """One script at work: an included one has its own (RFC 6609 §3.1)."""

    def __init__(self, script: Script, name: str = "") -> None:
        self.script = script
        self.name = name
        """What it was included as; empty: the one that was begun with."""
        self.taken = False
        """Whether the last `if` or `elsif` was true; for the `elsif` or `else` behind it."""
        self.matched: list[str] = []
        """RFC 5229 §3.2: what the wildcards of the last match stood for."""
        self.variables: dict[str, str] = {}
        self.shared: set[str] = set()
        """RFC 6609 §3.4.1: the names that stand for global variables here."""


class Machine:
    """The state of one run."""

    def __init__(self, script: Script, facts: Facts, language: Language, *, briefly: bool = False) -> None:
        """`briefly`: what takes longer than that ends with `Unfinished`."""
        extensions = language.extensions
        self.language = language
        self.facts = facts
        self.headers = facts.headers
        """Of the message as it is now."""
        self.content = facts.content
        """The message as it is now; the whole of it only if the script `reads_text`."""
        self.changed = False
        self.frames = [Frame(script)]
        """The scripts at work, each included by the one before."""
        self.global_variables: dict[str, str] = {}
        self.actions: list[Action] = []
        self.implicit_keep = True
        self.remember: list[tuple[bytes, int]] = []
        """`Outcome.remember`."""
        self._amends = [(e.capabilities, e.amend) for e in extensions if e.amend is not None]
        self.namespaces = {name: found for e in extensions for name, found in e.namespaces.items()}
        self._envelope_parts = {name: get for e in extensions for name, get in e.envelope_parts.items()}
        self._guards = [e.guard for e in extensions if e.guard is not None]
        self._briefly = briefly
        self._steps = SIEVE_BRIEF_STEPS if briefly else SIEVE_STEPS
        self._work = SIEVE_BRIEF_WORK if briefly else SIEVE_WORK
        self._states: dict[type, object] = {}
        self._texts: dict[bytes, str] = {}
        self.line = 0
        """Of the command or test at hand."""

    @property
    def frame(self) -> Frame:
        """The script at work."""
        return self.frames[-1]

    # --- what commands and tests read -------------------------------------------------------------------------

    def text(self, call: Call, name: str, otherwise: str = "") -> str:
        """A string argument, with the values of its variables; `otherwise`: it was not given."""
        value = call.values.get(name, otherwise)
        return value if isinstance(value, str) else self._expanded(value)

    def texts(self, call: Call, name: str) -> list[str]:
        """The strings of an argument that may be a list; none if it was not given."""
        value = call.values.get(name, ())
        if not isinstance(value, tuple):
            value = (value,) if not isinstance(value, int) else ()
        return [text if isinstance(text, str) else self._expanded(text) for text in value]

    def _expanded(self, value: Value) -> str:
        text = expand(value, self)
        self.charge(len(text))
        return text

    def variable(self, name: str | int) -> str:
        """The value of a variable, a match variable or a name in a namespace; empty: it has none (RFC 5229 §3)."""
        frame = self.frame
        if isinstance(name, int):
            return frame.matched[name] if name < len(frame.matched) else ""
        if "." in name:
            namespace, rest = name.split(".", 1)
            return self.namespaces[namespace].get(self, rest)
        return (self.global_variables if name in frame.shared else frame.variables).get(name, "")

    def fields(self, call: Call, name: str) -> list[bytes]:
        """The unfolded raw values of the fields of a name that the test shall look at, in order.

        Tags of the test (`:index`, `:mime`) have chosen among them.
        """
        found = [] if not name or ":" in name else self.headers.all(name)
        self.charge(_FIELD * len(found))
        for tag in call.tags:
            if tag.select is not None:
                found = tag.select(call, self, name, found)
        return found

    def envelope(self, part: str) -> list[str]:
        """What the transaction says of a part of the envelope, a name in lower case (RFC 5228 §5.4)."""
        get = self._envelope_parts.get(part)
        return [] if get is None else get(self)

    def decoded(self, raw: bytes) -> str:
        """The text of a field's value (RFC 5228 §2.7.2): encoded words decoded, octets that are no text guessed."""
        text = self._texts.get(raw)
        if text is None:
            self.charge(10 * len(raw))
            text = self._texts[raw] = decode_value(raw).strip(" \t\r\n")
        return text

    def of(self, kind: type[T]) -> T:
        """The one object of a class that an extension keeps its state of this run in; made when first asked for."""
        found = self._states.get(kind)
        if not isinstance(found, kind):
            found = self._states[kind] = kind()
        return found

    # --- what they do -----------------------------------------------------------------------------------------

    def match(self, call: Call, values: Sequence[str], keys: Sequence[str] | None = None) -> Step:
        """Whether a value matches a key (the argument `keys`), as the test's match type and comparator say."""
        assert call.matching is not None
        if keys is None:
            keys = self.texts(call, "keys")
        return call.matching.type.find(Match(call.matching, values, keys, call.line), self)

    def matching(self, call: Call, values: Sequence[str]) -> Generator[Question, object, bool]:
        """The same, asked at once."""
        step = self.match(call, values)
        if isinstance(step, GeneratorType):
            step = yield from step
        return bool(step)

    def matched(self, found: list[str]) -> None:
        """Note what match variables stand for: the whole at 0 (RFC 5229 §3.2)."""
        self.frame.matched = found

    def add(self, call: Call, action: Action) -> None:
        """Note an action. It cancels the implicit keep unless its row or a tag (`:copy`) `keeps` (RFC 5228 §2.10.2)."""
        action = self._amended(action)
        for tag in call.tags:
            if tag.amend is not None:
                action = tag.amend(call, self, action)
        if not (call.spec.keeps or any(tag.keeps for tag in call.tags)):
            self.implicit_keep = False
        self.note(action)

    def note(self, action: Action) -> None:
        """Note an action that has nothing to do with the implicit keep, and that no tag changes."""
        for guard in self._guards:
            guard(self, action)
        if _joined(self.actions, action):
            return
        self.actions.append(action)
        if len(self.actions) > SIEVE_ACTIONS:
            raise Fault(action.line, f"one message may lead to {SIEVE_ACTIONS} actions at most")
        if (
            isinstance(action, Redirect)
            and sum(isinstance(a, Redirect) for a in self.actions) > SIEVE_REDIRECTS
        ):
            raise Fault(action.line, f"one message may be redirected to {SIEVE_REDIRECTS} addresses at most")

    def change(self, content: bytes) -> None:
        """From now on the message is this one (RFC 5293, RFC 5703)."""
        self.content = content
        self.headers = Headers.scan(content)
        self.changed = True

    # --- how it runs ------------------------------------------------------------------------------------------

    def block(self, calls: Sequence[Call]) -> Generator[Question, object, None]:
        """Run commands one after the other."""
        for call in calls:
            self._step(call)
            step = call.spec.run(call, self)
            if isinstance(step, GeneratorType):
                yield from step

    def test(self, call: Call) -> Generator[Question, object, bool]:
        """The result of a test."""
        self._step(call)
        step = call.spec.run(call, self)
        if isinstance(step, GeneratorType):
            step = yield from step
        return bool(step)

    def included(self, script: Script, name: str) -> Generator[Question, object, None]:
        """Run another script to its end (RFC 6609 §3.2). Who is stopped in it by a fault stays in its frame."""
        self.frames.append(Frame(script, name))
        try:
            yield from self.block(script.commands)
        except Return:
            pass
        self.frames.pop()

    def _step(self, call: Call) -> None:
        self.line = call.line
        self._steps -= 1
        if self._steps < 0:
            self._spent(f"the script takes more than {SIEVE_STEPS:,} steps")

    def charge(self, amount: int) -> None:
        """Count work, in characters looked at."""
        self._work -= amount
        if self._work < 0:
            self._spent(f"the script compares more than {SIEVE_WORK:,} characters")

    def _spent(self, told: str) -> NoReturn:
        raise Unfinished if self._briefly else Fault(self.line, told)

    def spend(self, match: Match) -> None:
        """Count what comparing costs: each value for each key, and each of them once more."""
        values, keys = sum(map(len, match.values)), sum(map(len, match.keys))
        pairs = len(match.values) * len(match.keys)
        cost = match.how.comparator.cost
        self.charge(values * len(match.keys) + (values + keys) * cost + 50 * pairs)

    def outcome(self) -> Outcome:
        """All that was decided, when the script has ended."""
        if self.implicit_keep:
            self.note(self._amended(Keep()))
        return Outcome(
            actions=tuple(self.actions),
            content=self.content if self.changed else None,
            remember=tuple(self.remember),
        )

    def _amended(self, action: Action) -> Action:
        requires = self.frame.script.requires
        for capabilities, amend in self._amends:
            if not requires.isdisjoint(capabilities):
                action = amend(self, action)
        return action


def _joined(actions: list[Action], action: Action) -> bool:
    """Whether what is wanted is wanted already (RFC 5228 §2.10.3)."""
    for position, other in enumerate(actions):
        if _same(other, action):
            if isinstance(other, Keep | FileInto) and isinstance(action, Keep | FileInto):
                # RFC 5232 §3: the last flags win, also over those of another name for the same place: it goes last.
                del actions[position]
                actions.append(msgspec.structs.replace(other, flags=action.flags))
            return True
    return False


def _same(one: Action, other: Action) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, FileInto) and isinstance(other, FileInto):
        return _place(one) == _place(other)
    if isinstance(one, Keep):
        return True
    if isinstance(one, Redirect) and isinstance(other, Redirect):
        return _path(one.address) == _path(other.address)
    return one == msgspec.structs.replace(other, line=one.line)


def _path(address: str) -> str:
    """RFC 5321 §2.4: a domain is the same in any case of its letters, a local part need not be."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def _place(action: FileInto) -> tuple[str, str, str]:
    name = action.mailbox
    return ("INBOX" if name.upper() == "INBOX" else name, action.special_use, action.mailbox_id)
