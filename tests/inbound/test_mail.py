"""Trace ids and what senders want to hear."""

from __future__ import annotations

from posthouse.inbound.mail import new_fault_id, new_trace_id


def test_trace_ids_sort_by_time():
    times = [0.0, 1.0, 1_793_613_600.0, 1_793_613_600.001, 4_000_000_000.0]
    ids = [new_trace_id(now) for now in times]
    assert sorted(ids) == ids
    assert {len(one) for one in ids} == {19}


def test_ids_of_one_moment_differ():
    assert len({new_trace_id(1.0) for _ in range(1000)}) == 1000
    assert len({new_fault_id() for _ in range(100)}) == 100
