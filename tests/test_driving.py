"""Driving worlds whose episodes can be followed by hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from causeway import driving
from causeway.agent import Agent
from causeway.bridges import identity
from causeway.cache import Crop, fit
from causeway.data import Spec
from causeway.driving import drive, resized
from causeway.errors import DataError
from causeway.evaluate import Evaluation
from causeway.metrics import Trace
from causeway.monitors import none
from causeway.policies import cnn
from causeway.simulators import Seen


class Counting:
    """Commands how many commands it gave in all, and the state. Its monitor intervenes in every second one."""

    def __init__(self) -> None:
        self.resets: list[list[bool]] = []
        self.seen: list[np.ndarray] = []
        self.count = 0

    def reset(self, fresh: np.ndarray) -> None:
        self.resets.append(fresh.tolist())
        self.looks = np.ones(len(fresh), bool)

    def act(self, images: np.ndarray, state: np.ndarray, points: object = None) -> np.ndarray:
        self.seen.append(images)
        self.count += 1
        self.intervened = np.full(len(state), self.count % 2 == 0)
        return np.concatenate([np.full_like(state, self.count), state], 1)


class Worlds:
    """Its own Config: seed s ends in its step s + 1; pictures are bright above."""

    ends = ("completed", "timeout")

    def __init__(self, breaks: int = 99, dies: Mapping[int, int] = {}, missing: bool = False):
        self.breaks, self.dies, self.missing = breaks, dies, missing  # breaks: the step of all; dies: step by seed
        self.built: list[int] = []
        self.steps = self.closed = 0

    def build(self, count: int, seed: int) -> "Worlds":
        if self.missing:
            raise ImportError("there is no library")
        self.built.append(count)
        self.num_envs = count
        return self

    def reset(self, seed: list[int], options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        chosen = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        self.seeds = np.where(chosen, seed, getattr(self, "seeds", seed)) if options else np.array(seed)
        self.t = np.where(chosen, 0, self.t) if options else np.zeros(self.num_envs, int)
        return self.seen(), {}

    def seen(self) -> dict[str, Any]:
        if self.steps >= self.breaks:
            self.breaks = 99
            raise RuntimeError("the engine stopped")
        images = np.zeros((self.num_envs, 1, 3, 8, 12), np.uint8)
        images[:, :, :, :4] = 200
        return {"images": images, "state": self.t[:, None].astype(np.float32)}

    def step(self, command: np.ndarray) -> tuple[Any, ...]:
        self.t, self.steps = self.t + 1, self.steps + 1
        dead = [self.dies.get(s) == t for s, t in zip(self.seeds, self.t)]
        info = {
            "end": np.where(self.t == self.seeds + 1, "completed", ""),
            "error": np.where(dead, "its wheel fell off", ""),
            "completion": self.t / (self.seeds + 1),
            "signal_speed": self.t.astype(float),
        }
        return self.seen(), None, None, None, info

    def close(self) -> None:
        self.closed += 1


def driven(simulator: Worlds, agent: Any, crop: Crop | None = None, **settings: int) -> list[Trace]:
    plan = Evaluation(**{"episodes": 4, "first_seed": 1, "worlds": 2} | settings)  # type: ignore[arg-type]
    return drive(agent, simulator, plan, (4, 6), crop)


def test_a_world_begins_the_next_episode_when_its_last_has_ended() -> None:
    worlds, agent = Worlds(), Counting()
    found = driven(worlds, agent)
    assert [(t.name, t.end, t.completion, t.error) for t in found] == [(s, "completed", 1.0, "") for s in "1234"]
    assert worlds.built == [2] and worlds.closed == 1
    # seeds 1 and 2 begin; 1 ends in step 2 and gives its world to 3; 2 ends in step 3 and gives its own to 4
    assert agent.resets == [[True, True], [True, False], [False, True]]
    assert [t.actions[:, 0].tolist() for t in found] == [[1, 2], [1, 2, 3], [3, 4, 5, 6], [4, 5, 6, 7, 8]]
    assert [t.actions[:, 1].tolist() for t in found] == [[*range(n)] for n in (2, 3, 4, 5)]
    assert found[0].signals["speed"].tolist() == [1, 2] and found[0].signals["intervened"].tolist() == [0, 1]
    assert {t.ends for t in found} == {("completed", "timeout")}


def test_what_an_agent_refuses_is_no_fault_of_an_episode() -> None:
    agent, worlds = Counting(), Worlds()
    agent.act = lambda *seen: (_ for _ in ()).throw(DataError("the agent needs another state"))  # type: ignore[method-assign]
    with pytest.raises(DataError, match="another state"):
        driven(worlds, agent)
    assert worlds.closed == 1 and worlds.built == [2]


def test_no_more_worlds_than_episodes() -> None:
    worlds = Worlds()
    assert len(driven(worlds, Counting(), episodes=1, worlds=50)) == 1 and worlds.built == [1]


def test_a_world_that_crashes_loses_its_episode_alone() -> None:
    found = driven(Worlds(dies={2: 1}), Counting())
    assert [t.error for t in found] == ["", "its wheel fell off", "", ""]
    assert [len(t.actions) for t in found] == [2, 1, 4, 5] and not found[1].end
    found = driven(Worlds(dies={2: 3}), Counting())
    assert (found[1].error, found[1].end) == ("its wheel fell off", ""), "even in the step in which it would have ended"


def test_a_simulator_that_crashes_loses_the_episodes_at_hand_and_is_built_anew() -> None:
    worlds = Worlds(breaks=3)
    found = driven(worlds, Counting())
    lost = "RuntimeError: the engine stopped"
    assert [t.error for t in found] == ["", lost, lost, ""] and worlds.built == [2, 1] and worlds.closed == 2
    assert [len(t.actions) for t in found] == [2, 2, 0, 5]


def test_a_simulator_that_cannot_be_built_fails_every_episode_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = Worlds()
    monkeypatch.setattr(worlds, "build", lambda count, seed: 1 / 0)
    found = driven(worlds, Counting())
    assert [t.name for t in found] == ["1", "2", "3", "4"]
    assert {t.error for t in found} == {"ZeroDivisionError: division by zero"}


def test_a_simulator_that_is_no_simulator_fails_every_episode_once() -> None:
    worlds = type("Nothing", (), {"build": lambda self, count, seed: object()})()
    found = driven(worlds, Counting())
    assert [t.name for t in found] == ["1", "2", "3", "4"] and all("num_envs" in t.error for t in found)


def test_a_missing_library_is_no_crash_of_an_episode() -> None:
    with pytest.raises(ImportError, match="there is no library"):
        driven(Worlds(missing=True), Counting())


def test_a_command_that_is_no_number_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Counting()
    monkeypatch.setattr(agent, "act", lambda images, state, points: np.where(state < 1, 0, np.inf).repeat(2, 1))
    agent.intervened = np.zeros(2, bool)
    done, broken = driven(Worlds(), agent, episodes=2, first_seed=0)
    assert (done.end, done.error, len(done.actions)) == ("completed", "", 1)
    assert broken.error == "FloatingPointError: the agent's command is inf" and not broken.end
    assert np.isfinite(broken.actions).all() and len(broken.actions) == 1, "it was never driven"


@pytest.mark.parametrize("images", [np.zeros((4, 6, 3), np.uint8), np.zeros((1, 1, 3, 4, 6)), torch.zeros(1), None])
def test_what_is_no_picture_is_not_resized(images: Any) -> None:
    with pytest.raises(DataError, match=r"Pictures must be uint8 \(n, V, 3, h, w\), not .* frame.transpose\(2, 0, 1\)"):
        driving.resized(images, (2, 3), None)


def test_driven_pictures_are_cropped_and_resized_as_recorded_ones_are() -> None:
    agent = Counting()
    driven(Worlds(), agent, Crop(bottom=0.5))
    assert agent.seen[0].shape == (2, 1, 3, 4, 6) and (agent.seen[0] == 200).all()
    images = np.random.default_rng(0).integers(0, 255, (2, 2, 3, 8, 12)).astype(np.uint8)
    for size, crop in (((4, 6), None), ((8, 12), Crop(top=0.5))):
        found = resized(images, size, crop)
        right = fit(images[1, 0].transpose(1, 2, 0), *size, crop or Crop())
        assert found.shape == (2, 2, 3, *size) and np.array_equal(found[1, 0], right.transpose(2, 0, 1))
    assert resized(images, (8, 12), Crop()) is images


def test_pictures_are_read_only_when_a_plan_has_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two actions of each plan carried out, every second picture is never looked at."""
    policy = cnn.Config(channels=(8,), bottleneck=8).build(Spec(1, 4, 6, 1, 3, 2))
    monkeypatch.setattr(policy, "act", lambda images, state, points: 10 * state[:, :, None] + torch.arange(3)[:, None])
    parts = identity.Config().build(), First(), none.Config().build()
    looked: list[int] = []

    def look(images: np.ndarray, *rest: object) -> np.ndarray:
        looked.append(len(images))
        return np.zeros((2, 1, 3, 4, 6), np.uint8)

    monkeypatch.setattr(driving, "resized", look)
    found = driven(Worlds(), Agent(policy, *parts, execute=2), episodes=2)  # type: ignore[arg-type]
    assert [t.actions[:, 0].tolist() for t in found] == [[0, 1], [0, 1, 20]] and len(looked) == 2


class Dear(Worlds):
    """Worlds that show nothing unless somebody looks, and then their step alone."""

    def seen(self) -> Any:
        def look(worlds: np.ndarray) -> tuple[np.ndarray, None]:
            self.looked.append(worlds.tolist())
            shown = np.where(worlds, self.t, 99)
            return np.broadcast_to(shown[:, None, None, None, None], (self.num_envs, 1, 3, 4, 6)).astype(np.uint8), None

        self.looked: list[list[bool]] = getattr(self, "looked", [])
        return Seen(self.t[:, None].astype(np.float32), look)


def test_only_worlds_whose_plans_have_run_out_make_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 0 takes a step and is followed by 2, seed 1 two and is followed by 3; two actions of each plan are used."""
    policy = cnn.Config(channels=(8,), bottleneck=8).build(Spec(1, 4, 6, 1, 3, 2))
    shown: list[int] = []

    def act(images: torch.Tensor, state: torch.Tensor, points: object) -> torch.Tensor:
        shown.extend(images[:, 0, 0, 0, 0].tolist())
        return torch.zeros(len(images), 3, 2)

    monkeypatch.setattr(policy, "act", act)
    worlds, parts = Dear(), (identity.Config().build(), First(), none.Config().build())
    agent = Agent(policy, *parts, execute=2)  # type: ignore[arg-type]
    drive(agent, worlds, Evaluation(episodes=4, first_seed=0, worlds=2), (4, 6))
    both, first, second = [True, True], [True, False], [False, True]
    assert worlds.looked[:5] == [both, first, second, first, second]
    assert shown[:6] == [0, 0, 0, 0, 2, 2], "what a world shows when it plans"


def test_what_is_made_on_demand_is_made_for_those_who_look() -> None:
    asked: list[list[bool]] = []

    def look(worlds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(worlds.tolist())
        return np.zeros((2, 1, 3, 8, 12), np.uint8), np.full((2, 5, 3), len(asked), np.float32)

    seen = Seen(np.ones((2, 1), np.float32), look)
    images, state, points = driving.observed(seen, (4, 6), None, np.array([False, True]))
    assert images is not None and images.shape == (2, 1, 3, 4, 6) and state.tolist() == [[1], [1]]
    assert points is not None and (points == 1).all()
    assert driving.observed(seen, (4, 6), None, np.zeros(2, bool))[::2] == (None, None) and asked == [[False, True]]
    assert seen["images"].shape == (2, 1, 3, 8, 12) and (seen["points"] == 2).all() and asked[1:] == [[True, True]]
    with pytest.raises(KeyError):
        seen["sound"]


class First:
    """The first action of what is left of a plan."""

    def reset(self, fresh: np.ndarray) -> None:
        pass

    def __call__(self, chunk: np.ndarray) -> np.ndarray:
        return np.repeat(chunk[:, 0], 2, 1)[:, :2]
