"""Conversations as trees: who answers whom (RFC 5256 §3, THREAD=REFERENCES and THREAD=ORDEREDSUBJECT). Pure.

Nothing here recurs: a conversation may be as deep as a mailbox is large. Time is that of sorting, but for the look
whether a link would make a circle, which goes up THREAD_DEPTH generations at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Final

import msgspec

from posthouse.limits import THREAD_DEPTH

_DUMMY: Final = -1


class Letter(msgspec.Struct, frozen=True):
    """What is known of a message."""

    message_id: bytes
    """Empty: it has none."""
    references: tuple[bytes, ...]
    """Its ancestry, the nearest last: References, else the first of In-Reply-To."""
    subject: str
    """Base subject (`threading.base_subject`)."""
    is_answer: bool
    """The subject was marked as that of a reply or forward."""
    sent_at: int
    """POSIX seconds."""


class Node:
    """A message, or a dummy in place of one that is not here, with those that answer it."""

    __slots__ = ("answers", "at", "children", "parent")

    def __init__(self, at: int = _DUMMY) -> None:
        self.at = at
        """Place among the letters; negative: a dummy."""
        self.parent: Node | None = None
        self.answers = 0
        """How many have it as their parent, while links are made; then they are its children."""
        self.children: list[Node] = []

    @property
    def is_dummy(self) -> bool:
        """Whether no message is here."""
        return self.at == _DUMMY


def by_subject(letters: Sequence[Letter]) -> list[Node]:
    """ORDEREDSUBJECT: one conversation for each base subject, all answering the first."""
    order = sorted(range(len(letters)), key=lambda at: (letters[at].subject, letters[at].sent_at, at))
    found = []
    for _, some in groupby(order, key=lambda at: letters[at].subject):
        first, *others = map(Node, some)
        first.children = others
        found.append(first)
    return sorted(found, key=lambda node: (letters[node.at].sent_at, node.at))


def by_references(letters: Sequence[Letter]) -> list[Node]:
    """REFERENCES: by ancestry, then conversations of one base subject together. In the order to be told."""
    top = [node for node in _linked(letters) if node.parent is None]
    top = _pruned(top)
    _sort_below(top, letters)
    top.sort(key=lambda node: _moment(node, letters))
    top = _gathered(top, letters)
    _sort_below(top, letters)
    top.sort(key=lambda node: _moment(node, letters))
    return top


# --- steps 1 and 2: links ------------------------------------------------------------------------------------


def _linked(letters: Sequence[Letter]) -> Iterable[Node]:
    """All nodes, messages and dummies, with their links."""
    by_id: dict[bytes, Node] = {}
    nodes = []
    for at, letter in enumerate(letters):
        nodes.append(Node(at))
        if letter.message_id:
            by_id.setdefault(letter.message_id, nodes[at])  # of several with one id, it is the first one's
    dummies = []
    for node, letter in zip(nodes, letters, strict=True):
        last: Node | None = None
        for name in letter.references:
            one = by_id.get(name)
            if one is None:
                one = by_id[name] = Node()
                dummies.append(one)
            if last is not None and one.parent is None:
                _link(last, one)
            last = one
        if node.parent is not None:
            node.parent.answers -= 1
            node.parent = None
        if last is not None:
            _link(last, node)
    for node in chain(nodes, dummies):
        if node.parent is not None:
            node.parent.children.append(node)
    return [*nodes, *dummies]


def _link(parent: Node, child: Node) -> None:
    """Step 1: unless that would make a circle. What nobody answers is nobody's ancestor."""
    if parent is child:
        return
    if child.answers:
        above: Node | None = parent
        for _ in range(THREAD_DEPTH):
            if above is None:
                break
            if above is child:
                return
            above = above.parent
        else:
            return
    child.parent = parent
    parent.answers += 1


# --- step 3: dummies ------------------------------------------------------------------------------------------


def _pruned(top: list[Node]) -> list[Node]:
    """Dummies go, and their children take their place; at the top only where there is one child."""
    for node in reversed([*_walk(top)]):
        kept: list[Node] = []
        for child in node.children:
            kept += child.children if child.is_dummy else [child]
        node.children = kept
    found = []
    for node in top:
        if not node.is_dummy or len(node.children) > 1:
            found.append(node)
        else:
            found += node.children
    return found


def _walk(top: Iterable[Node]) -> Iterator[Node]:
    """All nodes, each before its children."""
    waiting = [*top]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


# --- steps 4 and 6: order -------------------------------------------------------------------------------------


def _sort_below(top: list[Node], letters: Sequence[Letter]) -> None:
    """Each set of siblings by the moment of sending, those of the same one as in the mailbox."""
    for node in _walk(top):
        if len(node.children) > 1:
            node.children.sort(key=lambda child: _moment(child, letters))


def _moment(node: Node, letters: Sequence[Letter]) -> tuple[int, int]:
    """Of a dummy, that of its first child: sorted already, or the earliest."""
    if not node.is_dummy:
        return letters[node.at].sent_at, node.at
    return min((letters[child.at].sent_at, child.at) for child in node.children)


# --- step 5: the same subject ---------------------------------------------------------------------------------


def _gathered(top: list[Node], letters: Sequence[Letter]) -> list[Node]:
    """Conversations of one base subject, none of which knows of the others by its references."""

    def subject_of(node: Node) -> str:
        return letters[(node.children[0] if node.is_dummy else node).at].subject

    def is_answer(node: Node) -> bool:
        return not node.is_dummy and letters[node.at].is_answer

    subjects = [subject_of(node) for node in top]
    table: dict[str, Node] = {}
    for node, subject in zip(top, subjects, strict=True):
        known = table.get(subject)
        if known is None or (
            not known.is_dummy and (node.is_dummy or (is_answer(known) and not is_answer(node)))
        ):
            table[subject] = node
    found: dict[int, Node] = {id(node): node for node in top}
    below: set[int] = set()
    for node, subject in zip(top, subjects, strict=True):
        known = table[subject]
        if not subject or known is node or id(node) in below:
            continue
        del found[id(node)]
        if known.is_dummy and node.is_dummy:
            known.children += node.children
        elif known.is_dummy or (is_answer(node) and not is_answer(known)):
            known.children.append(node)
        else:
            both = table[subject] = Node()
            both.children = [known, node]
            found[id(known)] = both  # in its place
            below.add(id(known))
    return [*found.values()]
