"""Conversations as trees (RFC 5256 §3), case by case. What Dovecot makes of the same is compared in tests/interop."""

from __future__ import annotations

import time

import pytest

from posthouse.message.thread_tree import Letter, Node, by_references, by_subject
from tests.machine import slowness


def letter(
    name: str = "", *references: str, subject: str = "", answer: bool = False, sent: int = 0
) -> Letter:
    return Letter(
        message_id=name.encode(),
        references=tuple(each.encode() for each in references),
        subject=subject,
        is_answer=answer,
        sent_at=sent,
    )


def shown(trees: list[Node]) -> str:
    """As THREAD shows it, numbered from 1; for small trees."""

    def one(node: Node) -> str:
        number = "" if node.is_dummy else str(node.at + 1)
        if len(node.children) == 1:
            return f"{number} {one(node.children[0])}"
        below = "".join(f"({one(child)})" for child in node.children)
        return f"{number} {below}" if number and below else number + below

    return "".join(f"({one(tree)})" for tree in trees)


@pytest.mark.parametrize(
    ("letters", "wanted"),
    [
        ([], ""),
        ([letter(), letter(), letter("a")], "(1)(2)(3)"),
        ([letter("a"), letter("b", "a"), letter("c", "a", "b")], "(1 2 3)"),
        # answers that come before what they answer
        ([letter("c", "a", "b"), letter("b", "a"), letter("a")], "(3 2 1)"),
        # the sample of the standard: 3 and 6, then two ways to go on
        ([letter("a"), letter("b", "a"), letter("c", "b", sent=2), letter("d", "b", sent=1)], "(1 2 (4)(3))"),
        # of what is not here, siblings stay together; one child alone takes its place
        ([letter("a", "gone"), letter("b", "gone")], "((1)(2))"),
        ([letter("a", "gone"), letter("b", "a")], "(1 2)"),
        ([letter("a", "gone", "lost", "away")], "(1)"),
        ([letter("a", "x"), letter("b", "a", "gone"), letter("c", "a", "gone")], "(1 (2)(3))"),
        # nobody is their own ancestor
        ([letter("a", "a")], "(1)"),
        ([letter("a", "b"), letter("b", "a")], "(2 1)"),
        ([letter("a", "b", "c"), letter("b", "c", "a"), letter("c", "a", "b")], "(2 3 1)"),
        # of two with one id, it is the first one's
        ([letter("a"), letter("a", sent=1), letter("b", "a")], "(1 3)(2)"),
        # the last word on its parent is its own
        ([letter("c", "a", "b"), letter("a"), letter("b")], "(2)(3 1)"),
    ],
)
def test_references(letters: list[Letter], wanted: str) -> None:
    assert shown(by_references(letters)) == wanted


@pytest.mark.parametrize(
    ("letters", "wanted"),
    [
        # one subject: an answer goes below the first, two of the same rank stand beside each other
        ([letter("a", subject="x"), letter("b", subject="x", answer=True, sent=1)], "(1 2)"),
        ([letter("a", subject="x", answer=True), letter("b", subject="x", sent=1)], "(2 1)"),
        ([letter("a", subject="x"), letter("b", subject="x", sent=1)], "((1)(2))"),
        ([letter("a", subject="x"), letter("b", subject="x"), letter("c", subject="x")], "((1)(2)(3))"),
        (
            [letter("a", "gone", subject="x"), letter("b", "gone", subject="x"), letter("c", subject="x")],
            "((1)(2)(3))",
        ),
        (
            [
                letter(name, gone, subject="x")
                for name, gone in (("a", "g"), ("b", "g"), ("c", "h"), ("d", "h"))
            ],
            "((1)(2)(3)(4))",
        ),
        # no subject is no tie
        ([letter("a"), letter("b", answer=True)], "(1)(2)"),
        # each set of siblings, and the whole, by the moment of sending
        (
            [letter("a", sent=5), letter("b", sent=2), letter("c", "b", sent=9), letter("d", "b", sent=3)],
            "(2 (4)(3))(1)",
        ),
        ([letter("a", "gone", sent=7), letter("b", "gone", sent=1), letter("c", sent=4)], "((2)(1))(3)"),
    ],
)
def test_subjects_and_order(letters: list[Letter], wanted: str) -> None:
    assert shown(by_references(letters)) == wanted


def test_by_subject_alone() -> None:
    letters = [
        letter(subject=subject, sent=sent)
        for subject, sent in (("b", 9), ("a", 7), ("b", 1), ("b", 5), ("", 3))
    ]
    assert shown(by_subject(letters)) == "(3 (4)(1))(5)(2)"


def test_depth_needs_no_stack() -> None:
    deep = [letter("0"), *(letter(str(n), str(n - 1)) for n in range(1, 50_000))]
    (tree,) = by_references(deep)
    generations = 1
    while tree.children:
        (tree,) = tree.children
        generations += 1
    assert generations == 50_000


def test_the_look_for_circles_is_bounded() -> None:
    """What already has answers and would come below a thousand generations begins a conversation; time is bounded."""
    chain = [letter("0"), *(letter(str(n), str(n - 1)) for n in range(1, 20_000))]
    answers = [letter(f"y{n}", f"x{n}") for n in range(5_000)]
    late = [letter(f"x{n}", "19999") for n in range(5_000)]
    began = time.process_time()
    trees = by_references([*chain, *answers, *late])
    assert time.process_time() - began < 4 * slowness()
    assert len(trees) == 5_001
    near = [
        letter("0"),
        *(letter(str(n), str(n - 1)) for n in range(1, 900)),
        letter("y", "x"),
        letter("x", "899"),
    ]
    assert len(by_references(near)) == 1
