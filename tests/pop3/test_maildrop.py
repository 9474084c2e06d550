"""A maildrop as one session sees it."""

from __future__ import annotations

from array import array

import pytest

from posthouse.pop3.core import Refusal
from posthouse.pop3.languages import Say
from posthouse.pop3.maildrop import Maildrop


def drop() -> Maildrop:
    return Maildrop(77, array("I", [3, 5, 9]), array("I", [100, 200, 300]), array("Q", [31, 51, 91]))


def test_whole_answers():
    assert drop().stat() == b"+OK 3 600\r\n"
    assert drop().list_all() == b"1 100\r\n2 200\r\n3 300\r\n.\r\n"
    assert drop().uidl_all() == b"1 77.3\r\n2 77.5\r\n3 77.9\r\n.\r\n"


def test_deleted_messages_leave_the_answers_and_nobody_is_renumbered():
    maildrop = drop()
    maildrop.delete(2)
    assert maildrop.stat() == b"+OK 2 400\r\n"
    assert maildrop.list_all() == b"1 100\r\n3 300\r\n.\r\n"
    assert maildrop.uidl_all() == b"1 77.3\r\n3 77.9\r\n.\r\n"
    assert maildrop.list_one(3) == b"+OK 3 300\r\n"
    assert maildrop.deleted_uids() == [5]


def test_reset_brings_them_back():
    maildrop = drop()
    maildrop.delete(1)
    maildrop.delete(3)
    maildrop.reset()
    assert maildrop.stat() == b"+OK 3 600\r\n"
    assert maildrop.deleted_uids() == []


def test_deleted_uids_ascend_whatever_the_order():
    maildrop = drop()
    for number in (3, 1):
        maildrop.delete(number)
    assert maildrop.deleted_uids() == [3, 9]


@pytest.mark.parametrize(("number", "say"), [(0, Say.NO_SUCH_MESSAGE), (4, Say.NO_SUCH_MESSAGE)])
def test_numbers_outside(number: int, say: Say):
    for ask in (Maildrop.list_one, Maildrop.uidl_one, Maildrop.delete, Maildrop.position):
        with pytest.raises(Refusal) as refused:
            ask(drop(), number)
        assert refused.value.say is say
        assert not refused.value.bad


def test_a_message_is_deleted_once():
    maildrop = drop()
    maildrop.delete(2)
    with pytest.raises(Refusal) as refused:
        maildrop.delete(2)
    assert refused.value.say is Say.MESSAGE_MARKED
    assert maildrop.stat() == b"+OK 2 400\r\n"


def test_an_empty_maildrop():
    maildrop = Maildrop(1, (), (), ())
    assert maildrop.stat() == b"+OK 0 0\r\n"
    assert maildrop.list_all() == maildrop.uidl_all() == b".\r\n"
