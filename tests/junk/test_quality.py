"""How well the filter tells wanted mail from junk that it has not seen, and what a message costs."""

from __future__ import annotations

import time
from random import Random

import pytest

from posthouse.junk.classifier import Model
from posthouse.junk.judge import by_words
from posthouse.junk.letter import Letter
from posthouse.junk.tokens import read_tokens
from tests.junk.corpus import made


def names_of(raw: bytes) -> tuple[str, ...]:
    letter = Letter.of(raw)
    return read_tokens(raw, letter.headers, letter.authors).names


@pytest.mark.slow
def test_a_corpus_held_apart_from_training() -> None:
    """At most one in a thousand wanted messages is called junk while 95 % of junk is caught (docs/trust.md)."""
    learning, judging = Random(1), Random(2)
    model = Model()
    for _ in range(400):
        model.learn(names_of(made(learning, junk=True)), junk=True)
        model.learn(names_of(made(learning, junk=False)), junk=False)
    good = [by_words(model.score(names_of(made(judging, junk=False)))).weight for _ in range(3000)]
    junk = [by_words(model.score(names_of(made(judging, junk=True)))).weight for _ in range(1500)]
    wrong = sum(weight >= 5.0 for weight in good)
    caught = sum(weight >= 5.0 for weight in junk)
    print(f"recall {caught / len(junk):.4f}, precision {caught / max(caught + wrong, 1):.4f}, wrong {wrong}")
    assert caught / len(junk) >= 0.95
    assert wrong / len(good) < 0.001


def test_a_message_of_4_kb_costs_about_a_millisecond() -> None:
    random = Random(3)
    text = " ".join(
        made(random, junk=bool(number % 2)).decode().split()[-1] + str(number) for number in range(400)
    )
    raw = b"From: a@b.test\r\nSubject: hello there\r\nContent-Type: text/plain\r\n\r\n" + text.encode()[:4000]
    model = Model()
    for number in range(20):
        model.learn(names_of(made(random, junk=bool(number % 2))), junk=bool(number % 2))
    best = 1.0
    for _ in range(20):
        start = time.process_time()
        names = names_of(raw)
        model.score(names)
        model.like(names)
        best = min(best, time.process_time() - start)
    assert best < 0.005  # 0.7 ms where it was measured; the bound leaves room for a busy machine


def test_a_model_is_bounded_and_forgets() -> None:
    model = Model()
    for number in range(6000):
        model.learn([f"word{number}-{i}" for i in range(30)], junk=bool(number % 2))
    assert len(model._tokens) <= 40_000
    assert model.junk + model.good <= 4_000
    assert len(model._likenesses) == 128
    packed = model.pack()
    again = Model.unpack(packed)
    assert (again.junk, again.good, again._tokens) == (model.junk, model.good, model._tokens)
    assert Model.unpack(b"damaged").empty
    assert Model.unpack(packed[:100]).empty


def test_what_is_taken_back_is_as_if_it_never_was() -> None:
    model = Model()
    model.learn(["a", "b"], junk=True)
    model.learn(["c"], junk=False)
    model.unlearn(["a", "b"], junk=True)
    assert (model.junk, model.good, model._tokens) == (0, 1, {"c": 1})
    model.unlearn(["never", "learnt"], junk=True)
    assert model.junk == 0


HARMLESS = b"The garden is lovely today and the children play outside.\r\n" * 2000
OFFER = b"<html><body><p>Exclusive casino jackpot</p></body></html>\r\n"


@pytest.mark.parametrize("place", ["before", "beside"])
def test_harmless_text_takes_no_room_from_what_the_reader_sees(place: str) -> None:
    filler = HARMLESS if place == "beside" else b""
    hidden = b"<!-- " + HARMLESS + b"-->" if place == "before" else b""
    raw = (
        b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n\r\n' + filler
        + b"\r\n--b\r\nContent-Type: text/html\r\n\r\n" + hidden[:40_000] + b"-->" * bool(hidden) + OFFER
        + b"--b--\r\n"
    )  # fmt: skip
    assert {"exclusive", "casino", "casino jackpot"} <= set(names_of(raw))


def test_a_letter_like_one_moved_to_junk_is_known_again_among_many_others() -> None:
    random = Random(5)
    model = Model()
    offer = names_of(made(random, junk=True))
    model.learn(offer, junk=True)
    for number in range(100):
        model.learn(names_of(made(random, junk=bool(number % 2))), junk=bool(number % 2))
    assert model.like(offer[: len(offer) - len(offer) // 10])
    assert model.like(("never", "seen", "before")) is None
    assert model.like(()) is None


def test_a_token_of_good_mail_alone_and_one_of_junk_alone_weigh_the_same() -> None:
    model = Model()
    for _ in range(10):
        model.learn(["casino"], junk=True)
        model.learn(["meeting"], junk=False)
    junk, good = model.score(("casino",)), model.score(("meeting",))
    assert junk.junk == pytest.approx(1 - good.junk)
    assert junk.telling[0][1] == pytest.approx(0.985, abs=0.01)
    assert model.score(("casino", "meeting")).junk == pytest.approx(0.5)
