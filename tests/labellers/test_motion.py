"""Turning, read off pictures that were made to turn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from causeway import config
from causeway.data import Moments
from causeway.errors import ConfigError
from causeway.labellers import motion

RATE_HZ, WIDTH = 20.0, 160


def turning_camera(seed: int = 0, count: int = 200, delay: int = 4) -> tuple[Moments, np.ndarray]:
    """A panorama seen by a camera that turns ``delay`` frames after a smooth steering command, right for positive."""
    rng = np.random.default_rng(seed)
    steer = np.convolve(rng.normal(size=count + 40), np.hanning(21), "same")[20:-20]
    steer = (steer / np.abs(steer).max()).astype(np.float32)
    turn = np.concatenate([np.zeros(delay), steer[:-delay]])
    panorama = np.repeat(np.repeat(rng.integers(0, 255, (10, 400, 3)), 4, 0), 4, 1).astype(np.float32)
    left = 700 + np.cumsum(4 * turn)
    frames = np.zeros((count, 1, 3, 120, WIDTH), np.uint8)
    for i, start in enumerate(left):
        whole = int(np.floor(start))
        share = start - whole
        view = (1 - share) * panorama[:, whole : whole + WIDTH] + share * panorama[:, whole + 1 : whole + WIDTH + 1]
        frames[i, 0, :, :40] = view.transpose(2, 0, 1)
    moments = Moments(
        frames=frames,
        state=np.zeros((count, 0), np.float32),
        actions=steer[:, None],
        episode=np.zeros(count, np.int64),
        time_s=np.arange(count) / RATE_HZ,
        rows=np.arange(count),
        action_names=("steering",),
    )
    return moments, steer


def test_a_shift_is_found_to_a_tenth_of_a_pixel() -> None:
    rng = np.random.default_rng(0)
    wide = np.convolve(rng.normal(size=400), np.hanning(15), "same")
    positions = np.arange(100.0, 260.0)
    strips = torch.tensor(np.stack([np.interp(positions - shift, np.arange(400), wide) for shift in (0, 3.4, 1.0)]))
    found, trust = motion.matched(strips[:, None].repeat(1, 8, 1).float(), reach=10)
    assert found.tolist() == pytest.approx([3.4, -2.4], abs=0.1) and (trust > 0.95).all()


def test_guesses_follow_the_hidden_command() -> None:
    recorded, steer = turning_camera()
    labeller = motion.Config(delay_s=0.2, smooth_s=0.05).build()
    nobody = recorded.select(np.arange(0))
    guess = labeller.label(recorded.hidden(), recorded, nobody)[:, 0]
    inner = slice(8, -8)
    assert np.corrcoef(guess[inner], steer[inner])[0, 1] > 0.97
    late = motion.Config(delay_s=0.6, smooth_s=0.05).build().label(recorded.hidden(), recorded, nobody)[:, 0]
    assert np.corrcoef(late[inner], steer[inner])[0, 1] < 0.8, "the delay matters"
    assert guess.std() == pytest.approx(steer.std(), rel=0.05), "without labels, the source's spread"


def test_labels_set_the_gain() -> None:
    recorded, steer = turning_camera()
    few = replace(recorded, actions=3 * steer[:, None]).select(np.arange(30, 170, 7))
    guess = motion.Config(delay_s=0.2, smooth_s=0.05).build().label(recorded.hidden(), recorded, few)[:, 0]
    inner = slice(8, -8)
    assert np.polyfit(steer[inner], guess[inner], 1)[0] == pytest.approx(3.0, rel=0.1)


def test_a_lone_frame_has_no_guess_and_a_wrong_name_is_said() -> None:
    recorded, _ = turning_camera(count=20)
    alone = replace(recorded, episode=np.array([0] * 19 + [1]))
    guess = motion.Config().build().label(alone.hidden(), recorded, recorded.select(np.arange(0)))
    assert np.isnan(guess[19, 0]) and np.isfinite(guess[:19]).all()
    with pytest.raises(ConfigError, match="no action 'stering' to guess"):
        motion.Config(turned_by="stering").build().refuse_other_actions(recorded.action_names)


def test_on_a_real_drive_it_agrees_with_the_driver(data: Path, tmp_path: Path) -> None:
    from causeway import cache, domain

    settings = {"name": "donkey", "root": str(data / "donkey_real"), "select": "t1/2", "actions": ["steering"]}
    dataset = config.component("dataset", settings).build()
    recorded = domain.read("t1", dataset, cache.Crop(), domain.Picture(120, 160), 1, tmp_path)
    guess = motion.Config().build().label(recorded.hidden(), recorded, recorded.select(np.arange(0)))[:, 0]
    assert recorded.actions is not None
    assert np.corrcoef(guess, recorded.actions[:, 0])[0, 1] > 0.8
