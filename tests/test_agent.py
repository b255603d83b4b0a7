"""Who acts in which order once deployed, and from which settings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from causeway import (
    config,
    domain,
    driving,
    evaluate,
    finished,
    parts,
    progress,
    run,
)
from causeway.agent import Agent
from causeway.bridges import Bridge
from causeway.cache import Crop
from causeway.data import Domain, Moments, Spec
from causeway.datasets import Episode
from causeway.errors import ConfigError, DataError
from causeway.monitors import limits, none
from worlds import OTHERS, Worlds


class Sum(nn.Module):
    """A policy whose chunk is the picture's mean plus the state, then zeros."""

    action_mean = torch.zeros(1)
    spec = Spec(1, 4, 6, 1, 2, 1)
    spatial = False

    def act(self, images: Tensor, state: Tensor, points: Tensor | None = None) -> Tensor:
        first = images.float().flatten(1).mean(1, keepdim=True) + state
        return torch.stack([first, torch.zeros_like(first)], 1)


class Brighter(Bridge):
    """By one level."""

    def forward(self, images: Tensor) -> Tensor:
        return images + 1


class Counting(Bridge):
    """Makes each picture as light as how many it has seen of a clip."""

    remembers = True  # type: ignore[assignment]

    def forward(self, images: Tensor) -> Tensor:
        return torch.zeros_like(images)

    def along(self, images: Tensor) -> Tensor:
        first = self.past or 0
        self.past = first + len(images)
        return torch.ones_like(images) * torch.arange(first + 1, self.past + 1).view(-1, 1, 1, 1, 1)

    def clip(self, seed: int) -> None:
        self.past = None


class Remembering:
    """An action map and a monitor at once: ``change`` of what comes in."""

    def __init__(self, change: Any):
        self.change, self.resets = change, []  # type: ignore[var-annotated]

    def reset(self, fresh: np.ndarray) -> None:
        self.resets.append(fresh.tolist())

    def __call__(self, given: np.ndarray) -> np.ndarray:
        return self.change(given)  # type: ignore[no-any-return]


def made() -> Agent:
    doubled, raised = Remembering(lambda chunk: 2 * chunk[:, 0]), Remembering(lambda command: command + 10)
    return Agent(Sum(), Brighter(), doubled, raised)  # type: ignore[arg-type]


def test_bridge_policy_action_map_and_monitor_follow_one_another() -> None:
    command = made().act(np.full((2, 1, 3, 4, 6), 3, np.uint8), np.array([[0.5], [1.5]], np.float32))
    assert command.tolist() == [[2 * (3 + 1 + 0.5) + 10], [2 * (3 + 1 + 1.5) + 10]]


def test_a_bridge_remembers_what_each_vehicle_saw() -> None:
    agent = made()
    agent.bridge = counting = Counting()
    pictures, state = np.zeros((2, 1, 3, 4, 6), np.uint8), np.zeros((2, 1), np.float32)
    said = [((agent.act(pictures, state)[:, 0] - 10) / 2).tolist() for _ in range(2)]
    agent.reset(np.array([False, True]))
    said += [((agent.act(pictures, state)[:, 0] - 10) / 2).tolist()]
    assert said == [[1, 1], [2, 2], [3, 1]], "and forgets it where that begins anew"
    one = made()
    one.bridge, one.memory.history = Counting(), 2
    assert not one.remembers, "the frames of a history do not follow one another"
    agent.reset(np.ones(2, bool))
    seen = torch.zeros(3, 1, 3, 4, 6)
    assert agent.plan(seen, torch.zeros(3, 1))[:, 0, 0].tolist() == [0, 0, 0], "nor pictures of which nobody says so"
    counting.clip(0)
    assert agent.plan(seen, torch.zeros(3, 1), following=True)[:, 0, 0].tolist() == [1, 2, 3]


def test_what_an_agent_is_shown_must_have_the_shape_that_it_learned_from() -> None:
    pictures, state = np.zeros((2, 1, 3, 4, 6), np.uint8), np.zeros((2, 1), np.float32)
    for shown, sentence in (
        ((pictures[:, :, :, :3], state), r"needs pictures \(2, 1, 3, 4, 6\) of uint8, not \(2, 1, 3, 3, 6\) of uint8"),
        ((pictures[:1], state), r"pictures \(2, 1, 3, 4, 6\) of uint8, not \(1, 1"),
        ((pictures / np.float32(255), state), r"of uint8, not .* of float32"),
        ((pictures, state[:, [0, 0]]), r"needs state \(2, 1\) of float32, not \(2, 2\)"),
        ((pictures, state.astype(float)), r"state .* of float32, not .* of float64"),
        ((None, state), r"looks now, and needs pictures \(2, 1, 3, 4, 6\)"),
        ((pictures, None), r"needs state \(n, 1\) as a numpy array of float32, not NoneType"),
        ((pictures, state[:, 0]), r"needs state \(n, 1\) .* not float32 of shape \(2,\)"),
        ((torch.zeros(2, 1, 3, 4, 6), state), r"needs pictures .* as a numpy array, not Tensor"),
    ):
        with pytest.raises(DataError, match=sentence):
            made().act(*shown)
    deep = made()
    deep.policy.spatial, deep.frame = True, Spec(1, 4, 6, 1, 2, 1, points=5)
    with pytest.raises(DataError, match=r"needs points \(2, 5, 3\)\."):
        deep.act(pictures, state)
    for shown in (pictures[:, :, :, :3], pictures[:1], None):
        deep.act(shown, state, np.zeros((2, 5, 3), np.float32))
    told = made()
    told.reset(np.ones(2, bool))
    told.act(pictures, state)
    with pytest.raises(DataError, match="needs state"):
        told.act(pictures, state[0])
    for fresh in (True, np.ones(2), np.ones((2, 1), bool)):
        with pytest.raises(DataError, match=r"resets by \(n,\) of bool, one for each vehicle"):
            told.reset(fresh)  # type: ignore[arg-type]
    assert len(told.age) == 2 and told.plans is not None, "what is refused changes nothing"


@pytest.mark.filterwarnings("ignore:invalid value")
def test_where_the_monitor_changed_a_command_is_known() -> None:
    meant = np.array([[0.5, 0.5], [2.0, -2.0], [np.nan, 0.5], [0.5, np.nan]], np.float32)
    agent = Agent(Sum(), Brighter(), Remembering(lambda chunk: chunk[:, 0]), limits.Config().build())  # type: ignore[arg-type]
    agent.command(meant[:, None])
    assert agent.intervened.tolist() == [False, True, True, True]
    agent.monitor = none.Config().build()
    agent.command(meant[:, None])
    assert agent.intervened.tolist() == [False] * 4, "a monitor that lets everything pass never intervenes"


def test_nothing_in_an_agent_is_training() -> None:
    agent = made()
    assert not agent.policy.training and not agent.bridge.training


def test_a_fresh_episode_is_told_to_all_that_remember() -> None:
    agent = made()
    agent.reset(np.array([True, False]))
    assert agent.action.resets == agent.monitor.resets == [[True, False]]  # type: ignore[attr-defined]


TREE = {
    "method": {"name": "imitation"},
    "picture": {"height": 32, "width": 48},
    "source": {"crop": {"top": 0.5}},
    "target": {"crop": {"bottom": 0.25}},
    "bridge": {"name": "noise", "level": 3.0},
    "action": {"name": "smooth", "memory": 0.25},
    "monitor": {"name": "limits", "change": 0.125},
}
SPEC = Spec(1, 32, 48, 0, 1, 2)
WIDE = {name: {"name": name_, "low": [-1.0] * 3} for name, name_ in (("action", "direct"), ("monitor", "limits"))}


@pytest.fixture
def trained(tmp_path: Path, moments: Any) -> run.Run:
    """A run whose part is an untrained policy, for recordings without state."""
    made = run.build(TREE, tmp_path / "one")
    with run.held(made):
        recorded = moments(1, state=0)
        parts.save(made.folder, config.component("policy", "cnn").build(SPEC), Domain("target", *[recorded] * 5))
    return made


def test_a_run_deploys_the_parts_that_its_settings_name(trained: run.Run) -> None:
    agent = finished.deploy(trained)
    e = trained.experiment
    assert (agent.bridge.config, agent.action.config, agent.monitor.config) == (e.bridge, e.action, e.monitor)  # type: ignore[attr-defined]
    assert agent.names == ((), ("steering", "throttle"), ())
    for section in ("action", "monitor"):
        other = replace(trained, experiment=config.structure(run.Experiment, TREE | {section: WIDE[section]}, ""))
        with pytest.raises(ConfigError, match=rf"\[{section}\] low lists 3 numbers, and there are 2 actions"):
            finished.deploy(other)


def test_what_is_no_policy_cannot_drive(trained: run.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished, "load_part", lambda folder: nn.Linear(1, 1))
    with pytest.raises(ConfigError, match="holds a Linear, which cannot drive"):
        finished.deploy(trained)


def test_a_target_with_a_simulator_is_tested_there_with_the_targets_crop(
    trained: run.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(driving, "drive", lambda *arguments: told.extend(arguments[1:]) or [])
    world = Worlds()
    target = Domain("target", *[None] * 5, simulator=world)  # type: ignore[arg-type]
    assert finished.test(trained, target) == []
    assert told == [world, trained.experiment.evaluate, (32, 48), Crop(bottom=0.25)]


@pytest.mark.parametrize(("names", "sentence"), OTHERS)
def test_a_world_that_shows_or_asks_for_something_else_is_refused(
    names: dict[str, tuple[str, ...]], sentence: str, trained: run.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "drive", lambda *_: pytest.fail("driven"))
    with pytest.raises(DataError, match=sentence):
        finished.test_in_simulator(trained, Worlds(**names))


def test_a_target_without_one_is_tested_on_what_was_held_out(trained: run.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "replay", lambda agent, moments, settings: moments)
    target = Domain("target", *["labelled", "unlabelled", "guessed", "tune", "test"])  # type: ignore[arg-type]
    assert finished.test(trained, target) == "test"  # type: ignore[comparison-overlap]


class Anything:
    """A dataset's Config that nothing reads from."""

    root = "elsewhere"

    def __init__(self, *episodes: str):
        self.episodes = [Episode(name, *[np.zeros((2, 1), np.float32)] * 3) for name in episodes]

    def holds(self) -> set[str]:
        return {episode.name for episode in self.episodes}

    def build(self) -> "Anything":
        return self


def recorded_as(monkeypatch: pytest.MonkeyPatch, recorded: Moments) -> list[Crop]:
    """All that is read is ``recorded``; the crops with which it was asked for."""
    crops: list[Crop] = []
    monkeypatch.setattr(domain, "read", lambda name, dataset, crop, *_, **__: crops.append(crop) or recorded)
    return crops


def test_other_recordings_are_cropped_as_the_targets(
    trained: run.Run, monkeypatch: pytest.MonkeyPatch, moments: Any
) -> None:
    crops = recorded_as(monkeypatch, moments(20, state=0))
    assert sum(len(trace.actions) for trace in finished.test_on_recordings(trained, Anything())) == 20
    assert crops == [Crop(bottom=0.25)]


def test_scores_on_what_was_learned_from_are_said_to_be_no_test(
    trained: run.Run, monkeypatch: pytest.MonkeyPatch, moments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SAID", set())
    recorded_as(monkeypatch, moments(20, state=0))
    finished.test_on_recordings(trained, Anything())
    assert capsys.readouterr().err == ""
    target = replace(trained.experiment.target, dataset=Anything("one", "two"))
    learned = replace(trained, experiment=replace(trained.experiment, target=target))
    finished.test_on_recordings(learned, Anything("three"))
    assert capsys.readouterr().err == "", "another recording of the same folder"
    finished.test_on_recordings(learned, Anything("two", "three"))
    assert "elsewhere is what this run learned from, all or in part" in capsys.readouterr().err


def test_a_policy_of_chunks_is_scored_at_its_own_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: Any
) -> None:
    made = run.build(TREE | {"horizon": 2}, tmp_path / "one")
    slow = replace(moments(20, state=0), horizon=2)
    with run.held(made):
        policy = config.component("policy", "cnn").build(SPEC._replace(horizon=2))
        parts.save(made.folder, policy, Domain("target", *[slow] * 5))
    recorded_as(monkeypatch, replace(slow, time_s=slow.time_s / 2))
    with pytest.raises(DataError, match=r"A chunk of 2 actions lasts .* in the policy .* in the dataset"):
        finished.test_on_recordings(made, Anything())
    hurried = Worlds()
    hurried.rate_hz = 77.0
    with pytest.raises(
        DataError, match=r"A chunk of 2 actions lasts .* in the recordings .* in the simulator \(77 Hz\)"
    ):
        finished.test_in_simulator(made, hurried)


@pytest.mark.parametrize(
    ("state", "changes", "sentence"),
    [
        (1, {}, "trained for state none, the dataset has state_0"),
        (0, {"action_names": ("throttle", "steering")}, "for actions steering, throttle, the dataset has throttle, st"),
        (0, {"frames": np.zeros((20, 2, 3, 32, 48), np.uint8)}, "trained for cameras 1, the dataset has 2"),
    ],
)
def test_other_recordings_must_fit(
    state: int, changes: dict[str, Any], sentence: str, trained: run.Run, monkeypatch: pytest.MonkeyPatch, moments: Any
) -> None:
    recorded_as(monkeypatch, replace(moments(20, state=state), **changes))
    with pytest.raises(DataError, match=sentence):
        finished.test_on_recordings(trained, Anything())
