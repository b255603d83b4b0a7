"""Commands from chunks, worked out by hand."""

import numpy as np

from causeway.actions import ActionMap, direct, smooth


def after(made: ActionMap, *firsts: float) -> list[float]:
    """Commands for chunks that begin with ``firsts`` and go on with a 9."""
    return [float(made(np.array([[[first], [9.0]]], np.float32))[0, 0]) for first in firsts]


def test_direct_takes_the_first_action_in_its_range() -> None:
    assert after(direct.Config(low=-2.0, high=0.5).build(), 0.25, 3.0, -3.0) == [0.25, 0.5, -2.0]


def test_smooth_keeps_a_share_of_the_last_command() -> None:
    made = smooth.Config(memory=0.75).build()
    made.reset(np.ones(1, bool))
    assert after(made, 0.5, -0.5, 0.25) == [0.5, 0.25, 0.25]


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
