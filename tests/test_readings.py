"""Intervals from halves."""

import numpy as np
import pytest

from causeway import readings


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Half-sampling, of a mean of 30 independent stretches: its spread over halves is the standard error."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        values = rng.normal(size=30)
        drawn = np.array([values[rng.permutation(30)[:15]].mean() for _ in range(100)])
        found = readings.about(float(values.mean()), drawn, (-np.inf, np.inf))
        held += found.low <= 0 <= found.high
    assert 0.88 < held / 200 < 0.99


def test_what_is_the_same_on_all_halves_is_sure() -> None:
    assert readings.about(2.0, np.full(20, 2.0), (0, 2)) == (2.0, 2.0, 2.0)
    assert np.isnan(readings.about(2.0, np.full(20, np.nan), (0, 2)).low), "and what is on none is not"


def test_an_interval_lies_about_the_number_whatever_the_bias_of_halves() -> None:
    drawn = 25.0 + np.linspace(-1, 1, 201)  # a distance that is larger on few pictures
    found = readings.about(10.0, drawn, (0, np.inf))
    assert (found.low, found.high) == pytest.approx((10 - 0.95, 10 + 0.95))


def test_an_interval_holds_its_number() -> None:
    drawn = np.zeros(200)
    drawn[:3] = 50.0  # a few halves, all on one side: the 2.5th and the 97.5th percentile lie below the mean
    assert readings.about(0.0, drawn, (-np.inf, 100.0)) == (0.0, -0.75, 0.0)
    assert readings.about(0.0, -drawn, (-np.inf, 100.0)) == (0.0, 0.0, 0.75)


def test_an_interval_ends_where_the_number_must() -> None:
    drawn = np.array([0.0, 1.0, 2.0, 3.0] * 10)
    assert readings.about(1.9, drawn, (0, 2)).high == 2 and readings.about(0.1, drawn, (0, 2)).low == 0
