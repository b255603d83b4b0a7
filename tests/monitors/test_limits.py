"""Safe commands worked out by hand."""

import numpy as np
import pytest

from causeway.errors import ConfigError
from causeway.monitors.limits import Config, Limits

NAN, INF = np.nan, np.inf


def fresh(count: int = 1, **settings: float | tuple[float, ...]) -> Limits:
    made = Config(**settings).build()
    made.reset(np.ones(count, bool))
    return made


def after(monitor: Limits, *commands: list[float]) -> list[list[float]]:
    return [monitor(np.array([command], np.float32))[0].tolist() for command in commands]


def test_range_and_rate_are_kept() -> None:
    made = fresh(low=-0.5, high=1.0, change=0.5)
    assert after(made, [2.0], [0.75], [-1.0], [-1.0], [-1.0]) == [[1.0], [0.75], [0.25], [-0.25], [-0.5]]


def test_each_action_may_have_limits_of_its_own() -> None:
    made = fresh(low=(-0.5, -90.0), high=(1.0, 90.0), change=(0.5, 30.0))
    assert after(made, [2.0, 100.0], [-1.0, -100.0]) == [[1.0, 90.0], [0.5, 60.0]]
    made.refuse_other_actions(["x", "turn"])
    with pytest.raises(ConfigError, match=r"\[monitor\] low lists 2 numbers, and there are 1 actions: x"):
        made.refuse_other_actions(["x"])
    with pytest.raises(ConfigError, match=r"\[monitor\] change lists 2 numbers"):
        fresh(change=(0.5, 0.1)).refuse_other_actions(["x"])
    with pytest.raises(ConfigError, match="change must be above 0"):
        fresh(change=(0.5, 0.0))
    with pytest.raises(ConfigError, match="change must be above 0"):
        fresh(change=())


def test_what_is_not_finite_becomes_the_last_safe_command_or_nothing() -> None:
    assert after(fresh(), [0.75], [NAN], [INF], [-INF]) == [[0.75]] * 4
    assert after(fresh(), [NAN], [0.25]) == [[0.0], [0.25]]
    assert after(fresh(low=0.25), [NAN]) == [[0.25]]


def test_the_first_command_may_be_anything_in_range() -> None:
    assert after(fresh(change=0.125), [1.0], [0.0]) == [[1.0], [0.875]]


def test_fresh_worlds_alone_forget() -> None:
    made = fresh(2)
    made(np.array([[1.0], [1.0]], np.float32))
    made.reset(np.array([True, False]))
    assert made(np.array([[-1.0], [-1.0]], np.float32)).tolist() == [[-1.0], [0.5]]
    made.reset(np.ones(3, bool))
    assert made(np.full((3, 1), -1, np.float32)).tolist() == [[-1.0]] * 3


def test_what_becomes_of_a_command_afterwards_is_not_remembered() -> None:
    made = fresh()
    made(np.array([[0.5]], np.float32))[:] = 100
    assert after(made, [0.0]) == [[0.0]]


@pytest.mark.parametrize("settings", [{"low": 1.0}, {"low": 0.5, "high": 0.25}, {"change": 0.0}])
def test_limits_that_leave_no_command_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"low must be below high|change must be above 0"):
        Config(**settings)
