"""Demonstrations of a simulator's expert: what is kept of them, and how they are pushed about."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causeway import collect
from causeway.datasets import lerobot
from causeway.errors import ConfigError, DataError


class Worlds:
    """Its own Config. Seeds that 3 divides leave the road, the others complete; a picture tells its seed and time."""

    cameras, rate_hz, state_names, action_names, points = ("front",), 10, ("speed",), ("steering",), 0

    def __init__(self, length: int = 3):
        self.length = length
        self.driven: list[np.ndarray] = []
        self.closed = False

    def build(self, count: int, seed: int) -> "Worlds":
        self.num_envs = count
        return self

    def reset(self, seed: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
        self.seeds, self.t = np.array(seed), 0
        return self.seen(), {}

    def seen(self) -> dict[str, Any]:
        images = np.zeros((self.num_envs, 1, 3, 4, 6), np.uint8)
        images[:, 0, 0] = self.seeds[:, None, None]
        images[:, 0, 1] = self.t % 256
        images[:, 0, 2] = np.arange(6)
        return {"images": images, "state": (self.seeds + self.t / 8)[:, None].astype(np.float32)}

    def expert(self) -> np.ndarray:
        return np.full((self.num_envs, 1), 0.9 - self.t / 4, np.float32)

    def step(self, command: np.ndarray) -> tuple[Any, ...]:
        assert self.t <= self.length, "every episode has ended"
        self.driven.append(command.copy())
        self.t += 1
        ends = np.where(self.seeds % 3, "completed", "off_road")
        over = np.where(self.t == self.length + self.seeds % 2, ends, "")  # said once, in the step it happens
        return self.seen(), None, None, None, {"end": over}

    def close(self) -> None:
        self.closed = True


def test_the_experts_command_is_recorded_and_another_one_is_driven(tmp_path: Path) -> None:
    worlds = Worlds()
    assert collect.record(worlds, tmp_path / "new", episodes=2, seed=10, noise=0.5) == (2, 7)
    first, second = lerobot.Config(str(tmp_path / "new")).build().episodes
    assert (first.name, second.name) == ("seed 10", "seed 11") and worlds.num_envs == 2 and worlds.closed
    np.testing.assert_allclose(second.actions, [[0.9], [0.65], [0.4], [0.15]], atol=1e-6)
    np.testing.assert_allclose(first.state, [[10], [10.125], [10.25]])
    np.testing.assert_allclose(second.time_s, [0, 0.1, 0.2, 0.3], atol=1e-6)
    driven = np.stack(worlds.driven)
    assert np.abs(driven).max() <= 1 and np.abs(driven[:, 0, 0] - [0.9, 0.65, 0.4, 0.15]).min() > 0.001


def test_what_is_driven_stays_in_range_however_hard_the_push(tmp_path: Path) -> None:
    worlds = Worlds()
    collect.record(worlds, tmp_path / "new", episodes=2, seed=10, noise=50.0)
    assert np.abs(np.stack(worlds.driven)).max() == 1 and worlds.driven[0].dtype == np.float32


def test_a_picture_stands_beside_the_command_it_led_to(tmp_path: Path) -> None:
    collect.record(Worlds(), tmp_path / "new", episodes=2, seed=10, noise=0.0)
    frames = list(lerobot.Config(str(tmp_path / "new")).build().frames(1))
    assert [frame[0, 0, 0].tolist() for frame in frames] == [[11, t, 0] for t in range(4)]
    assert frames[0][0, 0, :, 2].tolist() == [0, 1, 2, 3, 4, 5] and frames[0].shape == (1, 4, 6, 3)


def test_failed_episodes_are_thrown_away_and_others_tried(tmp_path: Path) -> None:
    worlds = Worlds()
    assert collect.record(worlds, tmp_path / "new", episodes=4, seed=9, noise=0.1) == (4, 4 + 4 + 3 + 3)
    kept = lerobot.Config(str(tmp_path / "new")).build()
    assert [episode.name for episode in kept.episodes] == ["seed 10", "seed 11", "seed 13", "seed 14"]
    seeds = [int(episode.name.removeprefix("seed ")) for episode in kept.episodes]
    assert seeds == sorted(seeds), "though an even seed's episode ends a step sooner: no short one is preferred"
    for number, seed in enumerate(seeds):
        assert kept.episodes[number].state[0, 0] == seed
        assert all(abs(int(frame[0, 0, 0, 0]) - seed) <= 1 for frame in kept.frames(number)), "as exact as a video is"


@pytest.mark.parametrize("length", [3, 10**9])
def test_torch_gets_its_threads_back(length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr("torch.get_num_threads", lambda: 7)
    monkeypatch.setattr("torch.set_num_threads", told.append)

    class Broken(Worlds):
        def expert(self) -> np.ndarray:
            assert told == [1], "worlds are driven by one thread"
            if length > 3:
                raise RuntimeError("the engine stopped")
            return super().expert()

    ends = pytest.raises(RuntimeError, match="the engine stopped") if length > 3 else nullcontext()
    with ends:
        collect.record(Broken(length), tmp_path / "new", episodes=1, seed=10, noise=0.1)
    assert told == [1, 7]


def test_nothing_cannot_be_collected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="episodes must be at least 1, not 0"):
        collect.record(Worlds(), tmp_path / "new", episodes=0, seed=10, noise=0.1)
    assert not (tmp_path / "new").exists()


def test_too_few_completed_episodes_are_said_and_leave_nothing(tmp_path: Path) -> None:
    class Hopeless(Worlds):
        def reset(self, seed: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
            return super().reset([3 * s for s in seed])

    with pytest.raises(DataError, match="Only 0 of 10 demonstrations were completed; 2 were asked for"):
        collect.record(Hopeless(), tmp_path / "new", episodes=2, seed=0, noise=0.1)
    assert not (tmp_path / "new").exists()


def test_pushes_follow_the_seed_and_last() -> None:
    def pushes(seed: int) -> np.ndarray:
        worlds = Worlds(length=300)
        worlds.expert = lambda: np.zeros((worlds.num_envs, 1), np.float32)  # type: ignore[method-assign]
        list(collect._drive(worlds.build(20, 0), seed, noise=0.01))
        return np.stack(worlds.driven)[..., 0]

    one, again, other = pushes(1), pushes(1), pushes(2)
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert np.corrcoef(one[100:-1].ravel(), one[101:].ravel())[0, 1] == pytest.approx(0.9, abs=0.03)
    assert one[100:].std() == pytest.approx(0.01 / np.sqrt(1 - 0.9**2), rel=0.15)


class Crashing(Worlds):
    """Worlds of which those of seeds that 3 divides crash in their first step."""

    every = False

    def step(self, command: np.ndarray) -> tuple[Any, ...]:
        *seen, info = super().step(command)
        crashed = (self.seeds % 3 == 0) | self.every
        error = np.where(crashed, "its wheel fell off", "")
        return *seen, info | {"error": error, "end": np.where(crashed, "", info["end"])}


def test_a_world_that_crashes_is_not_waited_for_and_no_demonstration(tmp_path: Path) -> None:
    worlds = Crashing()
    assert collect.record(worlds, tmp_path / "new", episodes=3, seed=9, noise=0.0)[0] == 3
    names = [episode.name for episode in lerobot.Config(str(tmp_path / "new")).build().episodes]
    assert names == ["seed 10", "seed 11", "seed 13"] and worlds.closed


def test_where_every_world_crashes_the_reason_is_said(tmp_path: Path) -> None:
    worlds = Crashing()
    worlds.every = True
    with pytest.raises(DataError, match="Every world crashed: its wheel fell off"):
        collect.record(worlds, tmp_path / "new", episodes=3, seed=9, noise=0.0)
    assert worlds.closed and not (tmp_path / "new").exists()
