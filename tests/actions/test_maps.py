"""Commands from chunks, worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest

from causeway.actions import ActionMap, direct, smooth
from causeway.errors import ConfigError


def after(made: ActionMap, *firsts: float) -> list[float]:
    """Commands for chunks that begin with ``firsts`` and go on with a 9."""
    return [float(made(np.array([[[first], [9.0]]], np.float32))[0, 0]) for first in firsts]


def test_direct_takes_the_first_action_in_its_range() -> None:
    assert after(direct.Config(low=-2.0, high=0.5).build(), 0.25, 3.0, -3.0) == [0.25, 0.5, -2.0]


@pytest.mark.parametrize("made", [direct.Config().build(), smooth.Config(memory=0).build()])
def test_no_range_is_none(made: ActionMap) -> None:
    assert after(made, 35.0, -90.0) == [35.0, -90.0], "degrees, say"


@pytest.mark.parametrize("module", [direct, smooth])
def test_a_range_goes_up(module: Any) -> None:
    with pytest.raises(ConfigError, match="low must be below high"):
        module.Config(low=1.0, high=1.0)


@pytest.mark.parametrize("made", [direct.Config, lambda **range_: smooth.Config(memory=0, **range_)])
def test_each_action_may_have_a_range_of_its_own(made: Any) -> None:
    chunk = np.array([[[5.0, -5.0], [9.0, 9.0]]], np.float32)
    between = made(low=(-1.0, -2.0), high=(3.0, 4.0)).build()
    assert between(chunk).tolist() == [[3.0, -2.0]] and between(chunk).dtype == np.float32
    assert made(low=(-1.0, -2.0)).build()(chunk).tolist() == [[5.0, -2.0]]
    between.refuse_other_actions(["x", "gripper"])
    made(low=0.0).build().refuse_other_actions(["x"])
    with pytest.raises(ConfigError, match=r"\[action\] low lists 2 numbers, and there are 3 actions: x, y, gripper"):
        between.refuse_other_actions(["x", "y", "gripper"])
    with pytest.raises(ConfigError, match="low lists 2 numbers and high 3"):
        made(low=(-1.0, -2.0), high=(3.0, 4.0, 5.0))
    with pytest.raises(ConfigError, match=r"low of action 1, counted from 0, must be below high"):
        made(low=(0.0, 3.0), high=2.0)
    with pytest.raises(ConfigError, match="not an empty list"):
        made(low=())


def test_smooth_keeps_a_share_of_the_last_command() -> None:
    made = smooth.Config(memory=0.75).build()
    made.reset(np.ones(1, bool))
    assert after(made, 0.5, -0.5, 0.25) == [0.5, 0.25, 0.25]


@pytest.mark.parametrize("broken", [math.inf, -math.inf, math.nan])
def test_smooth_does_not_stay_broken(broken: float) -> None:
    with np.errstate(invalid="ignore"):
        first, second, *later = after(smooth.Config(memory=0.5).build(), 1.0, broken, 1.0, 3.0)
    assert first == 1 and not math.isfinite(second) and later == [1.0, 2.0]


def test_smooth_stays_in_range() -> None:
    assert after(smooth.Config(low=-0.5, high=2.0).build(), 3.0) == [2.0]
    assert after(smooth.Config(low=-0.5, high=2.0).build(), -3.0) == [-0.5]


def test_fresh_worlds_alone_forget() -> None:
    made = smooth.Config(memory=0.5).build()
    made(np.ones((2, 1, 1), np.float32))
    made.reset(np.array([True, False]))
    assert made(np.full((2, 1, 1), -1, np.float32)).tolist() == [[-1.0], [0.0]]
    made.reset(np.ones(3, bool))
    assert made(np.zeros((3, 1, 1), np.float32)).tolist() == [[0.0]] * 3
