"""What is sorted by takes time in proportion to its length, whatever stands in it (i;unicode-casemap, RFC 5051)."""

from __future__ import annotations

import time

from posthouse.message.sort_keys import unicode_casemap
from tests.machine import slowness


def test_case_and_composition_are_no_difference() -> None:
    assert unicode_casemap("Café") == unicode_casemap("CAFE\u0301")
    assert unicode_casemap("e\u0301\u0316") == unicode_casemap("e\u0316\u0301"), "marks in their order"


def test_endless_combining_marks_do_not_take_for_ever() -> None:
    began = time.perf_counter()
    unicode_casemap("e" + "\u0301\u0316" * 30_000)
    assert time.perf_counter() - began < slowness()
