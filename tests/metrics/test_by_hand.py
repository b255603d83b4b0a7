"""Every metric on traces small enough to score in one's head."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from causeway import config, evaluate
from causeway.errors import ConfigError
from causeway.metrics import Trace


def score(name: str, traces: Sequence[Trace], **settings: int | str) -> float:
    return float(config.component("metric", {"name": name, **settings}).build().measure(traces))


def recorded(guess: list[float], truth: list[float] | None) -> Trace:
    """A trace of two actions, the second of which is what is scored."""
    sides = [
        None if side is None else np.array([[7.0 * i, x] for i, x in enumerate(side)], np.float32)
        for side in (guess, truth)
    ]
    return Trace("x", sides[0], sides[1])  # type: ignore[arg-type]


def driven(end: str, completion: float = 0.0, offset: list[float] | None = None) -> Trace:
    signals = {} if offset is None else {"lane_offset_m": np.array(offset, np.float32)}
    return Trace("x", np.zeros((1, 1), np.float32), end=end, completion=completion, signals=signals)


DRIVEN = [
    driven("completed", 1.0, [0.5]),
    driven("collision", 0.25, [-1.0, -1.0, -1.0]),
    driven("off_road", 0.25, None),
    driven("", 0.0),
]


def test_actions_are_counted_from_0() -> None:
    with pytest.raises(ConfigError, match="index counts actions from 0, and cannot be -1"):
        config.component("metric", {"name": "mae", "index": -1}).build()


def test_where_nothing_can_collide_there_is_no_rate_of_collisions() -> None:
    told = [replace(trace, ends=("completed", "off_road", "collision")) for trace in DRIVEN]
    assert score("collision", told) == score("collision", DRIVEN) == pytest.approx(1 / 3)
    arm = [replace(driven("completed"), ends=("completed", "timeout"))]
    assert math.isnan(score("collision", arm)) and score("collision", [*arm, *told]) == pytest.approx(1 / 3)


def test_an_action_may_be_called_by_its_name() -> None:
    truth, guess = np.array([[0.0, 1.0], [0.0, 2.0]], np.float32), np.array([[0.5, 1.0], [0.5, 5.0]], np.float32)
    named = Trace("x", guess, truth, names=("steering", "throttle"))
    assert score("mae", [named], index="throttle") == score("mae", [named], index=1) == 1.5
    for index, traces, sentence in (
        ("brake", [named], "index = 'brake': what was tested holds no such action, but steering, throttle"),
        (2, [named], "index = 2: what was tested holds no such action, but steering, throttle"),
        ("throttle", [named, Trace("y", guess, truth)], "but 2 without names: test again to have them named"),
        (2, [Trace("y", guess, truth)], "index = 2: what was tested holds no such action, but 2 without names"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            score("mae", traces, index=index)
    assert math.isnan(score("mae", [Trace("z", guess)], index="brake")), "nothing was recorded"


def test_rates_and_shares_are_over_episodes_that_ended() -> None:
    assert score("success", DRIVEN) == pytest.approx(1 / 3)


def test_success_where_demonstrations_cover_the_start_and_where_they_do_not() -> None:
    starts = {True: np.ones(3, np.float32), False: np.zeros(3, np.float32)}
    traces = [
        replace(driven(end), signals={"uncovered": starts[beyond]})
        for end, beyond in (("completed", True), ("lost", True), ("timeout", True), ("completed", False))
    ]
    assert score("success", traces, start="uncovered") == pytest.approx(1 / 3)
    assert score("success", traces, start="covered") == 1 and score("success", traces) == 0.5
    assert math.isnan(score("success", DRIVEN, start="covered")), "nobody said where they began"
    metric = config.component("metric", {"name": "success", "start": "uncovered"}).build()
    found = evaluate.measure([traces * 2], {"ood": metric})["ood"]
    low, high = evaluate.wilson(1 / 3, 6)
    assert found.low <= low and found.high >= high, "the interval is of the episodes that count"
    assert score("collision", DRIVEN) == pytest.approx(1 / 3)
    assert score("completion", DRIVEN) == pytest.approx(0.5)
    assert score("success", [driven("stuck"), driven("timeout")]) == 0 == score("collision", [driven("stuck")])


def test_the_lane_offset_is_over_steps_and_to_both_sides() -> None:
    assert score("lane_offset", DRIVEN) == pytest.approx(3.5 / 4)


def test_rates_get_the_interval_of_rates() -> None:
    kinds = {name: config.component("metric", name).build().kind for name in ("success", "collision", "completion")}
    assert kinds == {"success": "rate", "collision": "rate", "completion": "mean"}


def test_intervals_end_where_a_metric_can_be() -> None:
    names = ("success", "collision", "completion", "correlation", "r2", "mae", "lane_offset")
    bounds = {name: config.component("metric", name).build().bounds for name in names}
    assert bounds["success"] == bounds["collision"] == bounds["completion"] == (0, 1)
    assert bounds["correlation"] == (-1, 1) and bounds["r2"] == (-np.inf, 1)
    assert bounds["mae"] == bounds["lane_offset"] == (0, np.inf)


def test_the_chosen_action_is_scored_over_all_moments_together() -> None:
    traces = [recorded([1, 2], [1, 4]), recorded([3, 3, 3, 9], None), recorded([0], [4])]
    assert score("mae", traces, index=1) == pytest.approx((0 + 2 + 4) / 3)
    assert score("mae", traces) == 0
    assert score("r2", traces, index=1) == pytest.approx(1 - (0 + 4 + 16) / (4 + 1 + 1))
    assert score("correlation", [recorded([1, 2, 3], [-1, -3, -2])], index=1) == pytest.approx(-0.5)


def test_a_constant_explains_nothing() -> None:
    assert math.isnan(score("correlation", [recorded([1, 2, 3], [5, 5, 5])], index=1))
    assert score("correlation", [recorded([5, 5, 5], [1, 2, 3])], index=1) == 0
    assert math.isnan(score("r2", [recorded([1, 2], [5, 5])], index=1))
    assert math.isnan(score("mae", [recorded([1, 2], None)], index=1))
