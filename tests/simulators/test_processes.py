"""Objects in processes of their own, which may crash and die."""

import os
import time
from functools import partial

import pytest

from causeway.errors import ConfigError, MissingExtra
from causeway.simulators import _processes
from causeway.simulators._processes import Crash, Remote


class Counter:
    """Counts from ``first``, and can go wrong in every way."""

    def __init__(self, first: int):
        if first < 0:
            raise ConfigError("it cannot count from there")
        self.count = first

    def up(self, step: int) -> int:
        self.count += step
        return self.count

    def crash(self) -> None:
        raise ValueError("lost count")

    def die(self) -> None:
        os._exit(7)

    def hang(self) -> None:
        time.sleep(600)

    def miss(self) -> None:
        raise MissingExtra("simulator 'counter'", "fingers", "hand")


def test_what_crashes_or_dies_is_made_anew_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Remote(partial(Counter, 10)), Remote(partial(Counter, 20))
    for remote in (one, other):
        remote.ask("up", 1)
    assert (one.answer(), other.answer()) == (11, 21)
    one.ask("crash")
    other.ask("up", 1)
    with pytest.raises(Crash, match="ValueError: lost count"):
        one.answer()
    assert other.answer() == 22
    one.ask("up", 1)
    assert one.answer() == 11, "made anew after a crash"
    one.ask("die")
    with pytest.raises(Crash, match="its process ended with code 7"):
        one.answer()
    one.ask("up", 2)
    assert one.answer() == 12, "made anew after its process has died"
    monkeypatch.setattr(_processes, "LONGEST_S", 0.2)
    other.ask("hang")
    with pytest.raises(Crash, match="its process ended with code -9"):
        other.answer()
    monkeypatch.undo()
    other.ask("miss")
    with pytest.raises(ImportError, match="needs fingers"):
        other.answer()
    processes = [remote.process for remote in (one, other)]
    for remote in (one, other):
        remote.close()
    assert all(process.exitcode == 0 for process in processes), "closing ends them"


def test_what_no_other_would_do_better_is_raised_as_it_is() -> None:
    remote = Remote(partial(Counter, -1))
    remote.ask("up", 1)
    with pytest.raises(ConfigError, match="it cannot count from there"):
        remote.answer()
    remote.close()
