"""The steps from pictures to guesses, each by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from causeway.data import Moments
from causeway.labellers import motion
from causeway.labellers.motion import Config

SHARP = {"delay_s": 0.0, "smooth_s": 1e-3}


def recorded(count: int = 12, actions: np.ndarray | None = None) -> Moments:
    made = np.zeros((count, 2), np.float32) if actions is None else actions
    return Moments(
        frames=np.zeros((count, 1, 3, 12, 16), np.uint8),
        state=np.zeros((count, 0), np.float32),
        actions=made,
        episode=np.zeros(count, np.int64),
        time_s=np.arange(count) / 4,
        rows=np.arange(count),
        action_names=("throttle", "steering"),
    )


def turned(monkeypatch: pytest.MonkeyPatch, shift: Any, trust: Any = None, **settings: float) -> list[float]:
    """The turning that is read off these shifts between the frames of a recording at 4 Hz."""
    trusted = np.ones(len(shift)) if trust is None else np.array(trust)
    monkeypatch.setattr(motion, "slides", lambda frames, config: (np.array(shift, float), trusted))
    return motion.turning(recorded(len(shift) + 1), Config(**SHARP | settings)).tolist()  # type: ignore[arg-type]


def test_a_rate_is_in_widths_a_second_and_later_by_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert turned(monkeypatch, [0.05] * 5) == pytest.approx([0.2] * 6)
    steps = [0.25 * i for i in range(8)]  # from frame i to frame i + 1, which is midway at (i + 1/2) / 4 s
    found = turned(monkeypatch, steps, delay_s=0.125)
    assert found[1:6] == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0], abs=1e-3)
    smooth = turned(monkeypatch, [0.25 * i for i in range(16)], delay_s=0.125, smooth_s=0.25)
    assert smooth[6:9] == pytest.approx([6.0, 7.0, 8.0], abs=0.01)
    assert turned(monkeypatch, steps, delay_s=0.375)[:5] == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0], abs=1e-3)


def test_wild_and_doubtful_matches_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert turned(monkeypatch, [0.05, 0.05, 9.0, 0.05, 0.05]) == pytest.approx([0.2] * 6)
    doubts = turned(monkeypatch, [0.05, 9.0, 9.0, 9.0, 0.05, 0.05], [1, 0.4, 0.49, 0, 0.5, 0.9])
    assert doubts == pytest.approx([0.2] * 7)
    assert np.isnan(turned(monkeypatch, [0.05] * 3, [0.1] * 3)).all(), "nothing to go by"
    assert motion.median(np.array([5.0, 0.0, 9.0, 1.0])).tolist() == [5.0, 5.0, 1.0, 1.0]


def test_smoothing_is_a_gaussian_window() -> None:
    at, values = np.array([1.0]), np.array([0.0, 1.0, 0.0])
    weight = np.exp(-0.5 * (0.5 / 0.5) ** 2)
    found = motion.smoothed(at, np.array([0.5, 1.0, 1.5]), values, 0.5)
    assert found[0] == pytest.approx(1 / (1 + 2 * weight))
    far = motion.smoothed(np.array([-9.0, 99.0]), np.array([0.5, 1.0, 1.5]), np.array([2.0, 3.0, 4.0]), 0.01)
    assert far.tolist() == [2.0, 4.0]


def labels(count: int, factor: float) -> Moments:
    """``count`` moments, not the first ones, whose steering is ``factor`` times their turning."""
    turn = np.linspace(-1, 1, 30)
    made = recorded(30, np.stack([np.full(30, 9.0), factor * turn], 1).astype(np.float32))
    return made.select(np.arange(5, 5 + count))


def test_a_gain_is_fitted_to_ten_labels_and_no_fewer() -> None:
    turn = np.linspace(-1, 1, 30).astype(np.float32)
    spread = 0.5 / turn.std()
    assert motion.gain(turn, labels(10, 3.0), 1, 0.5) == pytest.approx(3.0)
    assert motion.gain(turn, labels(9, 3.0), 1, 0.5) == pytest.approx(spread)
    assert motion.gain(turn, labels(20, -3.0), 1, 0.5) == pytest.approx(spread), "a car does not steer backwards"
    assert motion.gain(turn, labels(20, 3.0).hidden(), 1, 0.5) == pytest.approx(spread)
    gaps = turn.copy()
    gaps[5:7] = np.nan
    assert motion.gain(gaps, labels(12, 3.0), 1, 0.5) == pytest.approx(3.0)


def test_other_actions_are_guessed_as_the_sources_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = np.linspace(-1, 1, 12).astype(np.float32)
    monkeypatch.setattr(motion, "turning", lambda moments, config: turn)
    shown = np.stack([np.full(12, 0.75), np.arange(12.0)], 1).astype(np.float32)
    shown[6:] = 99
    teacher = recorded(12, shown).select(np.arange(6))
    nobody = recorded().select(np.arange(0))
    guess = Config(sign=-1.0).build().label(recorded().hidden(), teacher, nobody)
    assert guess[:, 0].tolist() == [0.75] * 12
    assert guess[:, 1] == pytest.approx(-turn * shown[:6, 1].std() / turn.std(), rel=1e-4)


def test_far_away_is_the_upper_strip_without_its_slopes() -> None:
    frames = torch.arange(70.0).expand(1, 3, 20, 70).clone().to(torch.uint8)
    frames[:, :, 5:] = torch.randint(0, 255, (1, 3, 15, 70), dtype=torch.uint8)
    strip = motion.contrast(frames, 0.25)
    assert strip.shape == (1, 5, 70) and strip[..., 10:-10].abs().max() < 1e-3


def moving(steps: list[tuple[int, int]]) -> np.ndarray:
    """Pictures of one texture, each this many rows down and columns right of the last."""
    texture = np.random.default_rng(0).integers(0, 255, (60, 240)).astype(np.uint8)
    places = np.cumsum([(20, 80), *((-down, -right) for down, right in steps)], 0)
    views = np.stack([texture[y : y + 36, x : x + 80] for y, x in places])
    return np.repeat(views[:, None], 3, 1)


def test_slides_are_shares_of_the_width_whatever_rises_and_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [(0, 8), (2, -4), (-2, 4), (1, 0), (0, 2)]
    shift, trust = motion.slides(moving(steps), Config())
    assert shift * 80 == pytest.approx([8, -4, 4, 0, 2], abs=0.3) and (trust > 0.9).all()
    monkeypatch.setattr(motion, "CHUNK", 2)
    assert motion.slides(moving(steps), Config())[0] == pytest.approx(shift)
    near, _ = motion.slides(moving(steps), Config(reach=0.05))
    assert np.abs(near).max() * 80 <= 4.5, "no farther than the reach"


def test_turning_needs_two_frames_of_one_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        motion, "slides", lambda frames, config: (np.full(len(frames) - 1, 0.05), np.ones(len(frames) - 1))
    )
    two = replace(recorded(5), episode=np.array([0, 0, 1, 2, 2]), time_s=np.array([0, 0.25, 0, 0, 0.25]))
    found = motion.turning(two, Config(**SHARP))  # type: ignore[arg-type]
    assert np.isnan(found[2]) and found[[0, 1, 3, 4]] == pytest.approx(0.2)
