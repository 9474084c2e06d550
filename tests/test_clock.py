"""The clock that a playground moves, and who may move it."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthouse.clock import Clock
from posthouse.config import Config, Testing
from posthouse.house import House
from posthouse.operations.administration import UnknownCommand


def test_it_goes_with_the_system_and_ahead() -> None:
    now = 100.0
    clock = Clock(5.0, lambda: now)
    assert clock() == 105.0
    assert clock.advance(10.0) == 15.0
    now = 101.0
    assert clock() == 116.0


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_it_does_not_go_back(seconds: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        Clock().advance(seconds)


async def test_only_a_configuration_for_testing_lets_it_be_moved(tmp_path: Path) -> None:
    for allowed in (False, True):
        testing = Testing(clock=allowed, ahead=50.0)
        house = await House.open(Config(hostname="mx.test", data=tmp_path / str(allowed), testing=testing))
        try:
            assert house.clock.ahead == (50.0 if allowed else 0.0)
            if allowed:
                assert [
                    ahead async for ahead in house.administration.run("clock.advance", {"seconds": 1})
                ] == [51.0]
            else:
                with pytest.raises(UnknownCommand):
                    house.administration.command("clock.advance")
        finally:
            await house.close()
