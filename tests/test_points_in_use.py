"""Point clouds on their way: in batches, to agents and films, and who is refused for want of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from causeway import (
    agreement,
    clouds,
    collect,
    config,
    film,
    finished,
    parts,
    run,
    running,
    study,
)
from causeway.actions import direct
from causeway.agent import Agent
from causeway.bridges import identity
from causeway.data import Batch, Domain, Moments, Spec
from causeway.datasets import lerobot
from causeway.driving import drive
from causeway.errors import ConfigError, DataError
from causeway.evaluate import Evaluation, replay
from causeway.monitors import none
from causeway.simulators import Simulator
from test_collect import Worlds as Collected
from test_driving import Worlds as Driven
from test_evaluate_by_hand import Counting
from test_history import Echo
from test_points_on_disk import record
from worlds import Worlds

Make = Callable[..., Moments]

# --- in a batch and in an agent ------------------------------------------------------------------------------------


def with_points(moments: Make, count: int = 4, **changes: Any) -> Moments:
    recorded = moments(40, state=0)
    points = np.random.default_rng(1).normal(size=(40, count, 3)).astype(np.float16)
    return replace(recorded, points=points, **changes)


def test_a_moment_shows_the_clouds_of_its_frames(moments: Make) -> None:
    recorded = with_points(moments, history=2)
    assert recorded.spec == Spec(2, 32, 48, 0, 1, 2, 2, 8) and recorded.spec.frame.points == 4
    batch = recorded.take(np.array([19, 20, 21]))
    assert batch.points is not None and batch.points.dtype == torch.float32
    assert recorded.points is not None
    for shown, (before, now) in zip(batch.points.numpy(), [(18, 19), (20, 20), (20, 21)]):
        assert np.array_equal(shown, np.concatenate([recorded.points[before], recorded.points[now]]))
    part = batch[1:].to("cpu")
    assert isinstance(part, Batch) and torch.equal(part.points, batch.points[1:])  # type: ignore[arg-type]


def test_an_agent_sees_the_clouds_that_a_recording_shows(moments: Make) -> None:
    recorded = with_points(moments, history=2)
    policy = Echo(recorded.spec)
    agent = Agent(policy, identity.Config().build(), direct.Config().build(), none.Config().build())  # type: ignore[arg-type]
    agent.command = lambda chunk: chunk[:, 0]  # type: ignore[method-assign]
    agent.reset(np.ones(1, bool))
    assert recorded.points is not None
    for row in (20, 21, 22):
        told = agent.act(recorded.frames[[row]], recorded.state[[row]], recorded.points[[row]].astype(np.float32))
        batch = recorded.take(np.array([row]))
        assert np.array_equal(told, policy.act(batch.images, batch.state, batch.points)[:, 0])
        assert np.array_equal(agent.plan(batch.images, batch.state, batch.points)[:, 0], told)


def test_clouds_are_passed_on_when_driving_and_along_recordings(moments: Make) -> None:
    class Deep(Driven):
        def seen(self) -> dict[str, Any]:
            return super().seen() | {"points": np.full((len(self.seeds), 5, 3), self.t, np.float32)}

    agent = Counting()
    assert not drive(agent, Deep(), Evaluation(episodes=1, first_seed=1), (8, 12))[0].error  # type: ignore[arg-type]
    assert agent.points is not None and agent.points.shape == (1, 5, 3) and agent.points.max() == 1
    recorded, seen = replace(with_points(moments), state=np.zeros((40, 1), np.float32)), []
    plan = agent.plan
    agent.plan = lambda images, state, points, **told: seen.append(points) or plan(images, state)  # type: ignore[method-assign]
    replay(agent, recorded, Evaluation())  # type: ignore[arg-type]
    assert torch.equal(torch.cat(seen), recorded.take().points)  # type: ignore[arg-type]


def test_the_experts_clouds_are_recorded(tmp_path: Path) -> None:
    class Deep(Collected):
        points = 2

        def seen(self) -> dict[str, Any]:
            shown = super().seen()
            return shown | {"points": np.repeat(shown["state"][:, None], 6, 1).reshape(-1, 2, 3)}

    collect.record(Deep(), tmp_path / "new", episodes=2, seed=10, noise=0.0)
    for episode in lerobot.Config(str(tmp_path / "new")).build().episodes:
        assert episode.points is not None and episode.points.shape == (len(episode), 2, 3)
        assert np.array_equal(episode.points[:, 1, 2], episode.state[:, 0])


# --- who needs them ------------------------------------------------------------------------------------------------


def test_a_simulator_tells_its_points_by_its_space() -> None:
    made = type("Deep", (Simulator,), {"expert": None, "render": None})()
    box = spaces.Box(-1, 1, (7, 3), np.float32)
    for space, count in (({"state": box}, 0), ({"state": box, "points": box}, 7)):
        made.single_observation_space = spaces.Dict(space)
        assert made.points == count


def test_both_domains_and_the_simulator_have_the_same_points(
    domains: Callable[..., tuple[Domain, Domain]], moments: Make
) -> None:
    source, target = domains()
    clouds = np.zeros((60, 4, 3), np.float16)
    clouded = replace(target, unlabelled=replace(target.unlabelled, points=clouds))
    with pytest.raises(DataError, match="the two datasets differ in points: 0 and 4"):
        agreement.refuse_mismatch(source, clouded, 1)
    names, deep = agreement.Names((), ("steering", "throttle")), target.spec._replace(points=4)
    agreement.refuse_other_world(Worlds(points=4), deep, names)
    agreement.refuse_other_world(Worlds(), target.spec, names)
    with pytest.raises(DataError, match="the simulator differ in points: 4 and 0"):
        agreement.refuse_other_world(Worlds(points=0), deep, names)


@pytest.mark.parametrize(("name", "points"), [("cnn", 0), ("pointnet", 4)])
def test_a_part_says_whether_it_needs_points(name: str, points: int, tmp_path: Path, moments: Make) -> None:
    recorded = with_points(moments)
    tree = {"method": {"name": "imitation", "policy": {"name": name}}, "picture": {"height": 32, "width": 48}}
    made = run.build(tree, tmp_path / "one")
    with run.held(made):
        policy = config.component("policy", {"name": name}).build(recorded.spec)
        parts.save(made.folder, policy, Domain("target", *[recorded] * 5))
    spec, names = parts.fits(made.folder)
    assert spec.points == points and finished.load_part(made.folder).spec.points == points  # type: ignore[union-attr]
    agreement.refuse_other_policy(spec, names, recorded)
    if points:
        with pytest.raises(DataError, match="trained for points 4, the dataset has 0"):
            agreement.refuse_other_policy(spec, names, replace(recorded, points=None))
        with pytest.raises(DataError, match="differ in points: 4 and 3"):
            finished.test_in_simulator(made, Worlds(points=3))  # type: ignore[arg-type]
    else:
        agreement.refuse_other_policy(spec, names, replace(recorded, points=None))


STUDY = """
source = { dataset = { name = "lerobot", root = "{data}/set" }, block_s = 1.0 }
target = { dataset = { name = "lerobot", root = "{data}/other" }, block_s = 1.0 }
picture = { height = 24, width = 32 }
method = { name = "imitation" }
[arms.pictures]
[arms.points]
method.policy.name = "pointnet"
"""


@pytest.mark.parametrize(
    ("clouds", "kind", "said"),
    [
        ((0, 0), ConfigError, "arm 'points': policy 'pointnet' .* holds no point clouds: collect them with depth = t"),
        ((5, 0), DataError, "arm 'pictures': .*differ in points: 5 and 0"),
    ],
)
def test_missing_clouds_are_said_before_anything_starts(
    clouds: tuple[int, int], kind: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, count in zip(("set", "other"), clouds):
        record(tmp_path / name, count, length=40)
    (tmp_path / "s.toml").write_text(STUDY)
    monkeypatch.setattr(running, "work", lambda one: pytest.fail("begun"))
    with pytest.raises(kind, match=said):
        study.carry_out(study.plan(tmp_path / "s.toml", tmp_path / "s", (), tmp_path, tmp_path / "cache"))


# --- from the disk to the page -------------------------------------------------------------------------------------

RUN = {
    "method": {"name": "imitation", "policy": {"name": "pointnet", "widths": [8]}, "batch": 8},
    "picture": {"height": 24, "width": 32},
    "history": 2,
    "source": {"dataset": {"name": "lerobot", "root": "{data}/set"}, "block_s": 1.0},
    "target": {"dataset": {"name": "lerobot", "root": "{data}/other"}, "block_s": 1.0, "limit": 5},
    "train": {"steps": 3, "log_every": 1, "checks": 1, "accelerator": "cpu", "threads": 1},
}


class Filmed(Driven):
    """Worlds that people can look at."""

    rate_hz, action_names = 10, ("steering", "throttle")

    def seen(self) -> dict[str, Any]:
        return super().seen() | {"points": np.zeros((len(self.seeds), 5, 3), np.float32)}

    def render(self) -> np.ndarray:
        return np.zeros((1, 48, 64, 3), np.uint8)


def test_a_run_learns_from_clouds_on_disk_and_drives_by_them(tmp_path: Path) -> None:
    for name in ("set", "other"):
        record(tmp_path / name, length=60)
    made = run.build(RUN, tmp_path / "runs" / "one", tmp_path)
    running.work(made)
    assert made.tested and not any(trace.error for trace in made.traces)
    agent, (source, target) = finished.deploy(made), running.domains(made)
    assert agent.policy.spec.points == 10 and agent.policy.spec.history == 2
    assert np.isfinite(clouds.clouds(agent, source, target).source).all()
    assert film.driven(agent, Filmed(), 3, (24, 32), None, "#ff9000").words == "episode 3, ended: completed"
