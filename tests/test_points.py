"""Point clouds: from a depth picture to a batch, and what cannot be a cloud."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from gymnasium import spaces

from causeway import cache, collect, config, domain, run, study
from causeway.actions import direct
from causeway.agent import Agent
from causeway.bridges import identity
from causeway.data import Batch, Domain, Moments, Spec
from causeway.datasets import Episode, lerobot
from causeway.errors import ConfigError, DataError
from causeway.evaluate import Evaluation, drive, replay
from causeway.monitors import none
from causeway.points import crop, farthest, unproject
from causeway.recorder import Recorder, Recording, copy
from causeway.simulators import Simulator
from test_collect import Worlds as Collected
from test_evaluate_by_hand import Counting
from test_evaluate_by_hand import Worlds as Driven
from test_history import Echo
from worlds import Worlds

Make = Callable[..., Moments]
K = np.array([[10.0, 0, 4], [0, 20, 3], [0, 0, 1]])  # of a picture 8 wide and 6 high
HEIGHT, WIDTH = 6, 8

# --- from depth to a few points ------------------------------------------------------------------------------------


def test_pixels_become_points_by_hand() -> None:
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    found = unproject(depth, K, np.eye(4))
    assert found.shape == (48, 3) and found.dtype == np.float32
    assert found[0].tolist() == pytest.approx([2 * (0.5 - 4) / 10, 2 * (0.5 - 3) / 20, 2])
    assert found[WIDTH * 5 + 6].tolist() == pytest.approx([2 * (6.5 - 4) / 10, 2 * (5.5 - 3) / 20, 2]), "row by row"
    depth[1, 2] = 5
    assert unproject(depth, K, np.eye(4))[WIDTH + 2].tolist() == pytest.approx([5 * -0.15, 5 * -0.075, 5])


def test_a_camera_that_looks_down_sees_the_table_below_it() -> None:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = [[1, 0, 0], [0, -1, 0], [0, 0, -1]], [0.3, 0.1, 1.5]  # its z is the world's -z
    found = unproject(np.full((HEIGHT, WIDTH), 1.5, np.float32), K, pose)
    assert found[:, 2] == pytest.approx(0, abs=1e-6)
    assert found[0, :2].tolist() == pytest.approx([0.3 + 1.5 * -0.35, 0.1 - 1.5 * -0.125])


def test_points_project_back_onto_their_pixels() -> None:
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn * np.linalg.det(turn), rng.normal(size=3)
    depth = rng.uniform(0.5, 3, (HEIGHT, WIDTH)).astype(np.float32)
    points = np.concatenate([unproject(depth, K, pose), np.ones((48, 1))], 1)
    seen = (np.linalg.inv(pose) @ points.T)[:3]
    pixels = K @ (seen / seen[2])
    rows, columns = np.divmod(np.arange(48), WIDTH)
    assert pixels[0] == pytest.approx(columns + 0.5, abs=1e-4) and pixels[1] == pytest.approx(rows + 0.5, abs=1e-4)
    assert seen[2] == pytest.approx(depth.ravel(), abs=1e-5)


def test_what_was_not_measured_is_left_out_by_every_crop() -> None:
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    depth[0, :4] = 0, -1, np.nan, np.inf
    found = unproject(depth, K, np.eye(4))
    assert np.isnan(found[:4]).all() and np.isfinite(found[4:]).all()
    assert len(crop(found, [-np.inf] * 3, [np.inf] * 3)) == 44


def test_a_crop_includes_its_faces() -> None:
    points = np.array([[0, 0, 0], [1, 2, 3], [1.001, 2, 3], [0, -0.001, 0], [0.5, 1, 3.001], [0.5, 1, 1]], np.float32)
    assert crop(points, [0, 0, 0], [1, 2, 3]).tolist() == points[[0, 1, 5]].tolist()
    assert crop(points, [9, 9, 9], [10, 10, 10]).shape == (0, 3)


def test_the_corners_of_a_square_are_farthest_from_one_another() -> None:
    grid = np.stack([*np.mgrid[0:5, 0:5], np.zeros((5, 5))], 2).reshape(-1, 3).astype(np.float32)
    assert farthest(grid, 4).tolist() == [[0, 0, 0], [4, 4, 0], [0, 4, 0], [4, 0, 0]]
    assert farthest(grid, 5)[4].tolist() == [2, 2, 0]


def test_each_point_is_the_farthest_from_all_before() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 30):
        points = rng.normal(size=(30, 3)).astype(np.float32)
        chosen = [0]
        while len(chosen) < count:
            gaps = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(1)
            chosen.append(int(gaps.argmax()))
        found = farthest(points, count)
        assert np.array_equal(found, points[chosen] if count < 30 else points), "all of them need no order"


def test_few_points_are_repeated_in_turn_and_none_are_zeros() -> None:
    points = np.arange(9, dtype=np.float32).reshape(3, 3)
    assert farthest(points, 7).tolist() == points[[0, 1, 2, 0, 1, 2, 0]].tolist()
    none = farthest(points[:0], 4)
    assert none.tolist() == [[0, 0, 0]] * 4 and none.dtype == np.float32


def test_many_points_are_thinned_every_time_in_the_same_way() -> None:
    points = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    one = farthest(points, 20, thinned=100)
    assert np.array_equal(one, farthest(points, 20, thinned=100)) and len(np.unique(one, axis=0)) == 20
    assert not np.array_equal(one, farthest(points, 20)), "some were not looked at"
    assert {*map(tuple, one)} <= {*map(tuple, points)}
    assert len(np.unique(farthest(points, 300, thinned=100), axis=0)) == 300, "as many as are asked for are kept"


def test_the_script_in_the_docs_makes_a_cloud() -> None:
    page = (Path(__file__).parent.parent / "docs/data.md").read_text()
    script = next(s for s in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if "unproject" in s)
    made: dict[str, Any] = {}
    exec(compile(script, "docs/data.md", "exec"), made)
    assert made["points"].shape == (256, 3) and len(np.unique(made["points"], axis=0)) == 256
    assert np.abs(made["points"]).max(0) == pytest.approx([0.2905, 0.2905, 0.7], abs=1e-3)


# --- on disk -------------------------------------------------------------------------------------------------------


def cloudy(length: int, seed: int = 0, count: int = 5, name: str = "0") -> Episode:
    rng = np.random.default_rng(seed)
    numbers = (rng.normal(size=(length, size)).astype(np.float32) for size in (1, 2))
    points = rng.normal(size=(length, count, 3)).astype(np.float32)
    return Episode(name, np.arange(length) / 10, *numbers, points=points)


def record(folder: Path, count: int = 5, episodes: int = 3, length: int = 6, **changes: Any) -> Path:
    about = Recording(("front",), 10, ("speed",), ("steering", "throttle"), points=count)
    with Recorder(folder, replace(about, **changes)) as recorder:
        for number in range(episodes):
            one = cloudy(length, number, count, f"t{number}") if count else replace(cloudy(length, number), points=None)
            recorder.add(replace(one, name=f"t{number}"), np.zeros((length, 1, 24, 32, 3), np.uint8))
    return folder


def test_clouds_survive_the_disk(tmp_path: Path) -> None:
    root = record(tmp_path / "set")
    dataset = lerobot.Config(str(root)).build()
    assert dataset.points == 5 and list(dataset.problems()) == []
    for number, episode in enumerate(dataset.episodes):
        assert np.array_equal(episode.points, cloudy(6, number).points)  # type: ignore[arg-type]
    again = lerobot.Config(str(copy(dataset, tmp_path / "copy"))).build()
    assert np.array_equal(again.episodes[2].points, cloudy(6, 2).points)  # type: ignore[arg-type]


def test_clouds_are_written_as_lerobot_writes_them(tmp_path: Path) -> None:
    root = record(tmp_path / "set")
    schema = pq.read_schema(root / "data/chunk-000/file-000.parquet")
    assert str(schema.field("observation.points").type) == "list<element: list<element: float>>"
    feature = json.loads((root / "meta/info.json").read_text())["features"]["observation.points"]
    assert feature == {"dtype": "float32", "shape": [5, 3], "names": ["point", "axis"]}
    found = json.loads((root / "meta/stats.json").read_text())["observation.points"]
    points = np.concatenate([cloudy(6, number).points.reshape(-1, 3) for number in range(3)])  # type: ignore[union-attr]
    assert found["count"] == [18] and found["mean"] == pytest.approx(points.mean(0), abs=1e-6)
    assert found["min"] == pytest.approx(points.min(0)) and found["std"] == pytest.approx(points.std(0), abs=1e-6)


def test_clouds_may_be_left_out(tmp_path: Path) -> None:
    dataset = lerobot.Config(str(record(tmp_path / "set")), points=False).build()
    assert dataset.points == 0 and dataset.episodes[0].points is None
    frames = np.zeros((18, 1, 3, 24, 32), np.uint8)
    assert cache.moments(dataset, frames, 1).points is None and cache.moments(dataset, frames, 1).spec.points == 0


def broken(**changes: Any) -> Episode:
    return replace(cloudy(6), **changes)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (broken(points=None), r"points must be a numpy array of numbers of shape \(6, 5, 3\), not None"),
        (cloudy(6, count=4), r"points are of shape \(6, 4, 3\), not \(6, 5, 3\)"),
        (broken(points=np.full((6, 5, 3), np.nan, np.float32)), "points are not finite at frame 0"),
    ],
)
def test_what_is_no_cloud_is_not_recorded(wrong: Episode, said: str, tmp_path: Path) -> None:
    about = Recording(("front",), 10, ("speed",), ("steering", "throttle"), points=5)
    with pytest.raises(DataError, match=said), Recorder(tmp_path / "set", about) as recorder:
        recorder.add(wrong, np.zeros((6, 1, 24, 32, 3), np.uint8))
    with (
        pytest.raises(DataError, match=r"has points, but the recording names none: Recording\(points=5\)"),
        Recorder(tmp_path / "set", replace(about, points=0)) as recorder,
    ):
        recorder.add(cloudy(6), np.zeros((6, 1, 24, 32, 3), np.uint8))


def test_what_is_no_cloud_on_disk_is_a_fault(tmp_path: Path) -> None:
    root = record(tmp_path / "set")
    file = root / "meta/info.json"
    info = json.loads(file.read_text())
    for shape, said in (
        ([5, 6], r"feature observation\.points is of shape \[5, 6\], not points and 3"),
        ([4, 3], r"episode t0: observation\.points holds 90 numbers in 6 frames, not 12 a frame as meta/info\.json"),
    ):
        info["features"]["observation.points"]["shape"] = shape
        file.write_text(json.dumps(info))
        with pytest.raises(DataError, match=said):
            lerobot.Config(str(root)).build()
        assert lerobot.Config(str(root), points=False).build().points == 0
    table = pq.read_table(root / "data/chunk-000/file-000.parquet")
    table = table.drop_columns("observation.points")
    pq.write_table(table, root / "data/chunk-000/file-000.parquet")
    with pytest.raises(DataError, match=r"has no column observation\.points"):
        lerobot.Config(str(root)).build()


def test_points_far_away_are_no_metres(tmp_path: Path) -> None:
    with Recorder(tmp_path / "set", Recording(("front",), 10, ("speed",), ("a", "b"), points=5)) as recorder:
        points = np.full((6, 5, 3), -1e5, np.float32)
        recorder.add(broken(points=points), np.zeros((6, 1, 24, 32, 3), np.uint8))
    dataset = lerobot.Config(str(tmp_path / "set")).build()
    with pytest.raises(DataError, match=r"a point lies 100000 m away\. Crop clouds"):
        cache.moments(dataset, np.zeros((6, 1, 3, 24, 32), np.uint8), 1)


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
    agent.plan = lambda images, state, points: seen.append(points) or plan(images, state)  # type: ignore[method-assign]
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
    deep = replace(target, unlabelled=replace(target.unlabelled, points=clouds))
    with pytest.raises(DataError, match="the two datasets differ in points: 0 and 4"):
        domain.refuse_mismatch(source, deep, 1)
    names = (), ("steering", "throttle")
    domain.refuse_other_world(Worlds(points=4), 1, *names, 4)  # type: ignore[arg-type]
    domain.refuse_other_world(Worlds(), 1, *names, 0)
    with pytest.raises(DataError, match="the simulator differ in points: 4 and 0"):
        domain.refuse_other_world(Worlds(points=0), 1, *names, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "points"), [("cnn", 0), ("pointnet", 4)])
def test_a_part_says_whether_it_needs_points(name: str, points: int, tmp_path: Path, moments: Make) -> None:
    recorded = with_points(moments)
    tree = {"method": {"name": "imitation", "policy": {"name": name}}, "picture": {"height": 32, "width": 48}}
    made = run.build(tree, tmp_path / "one")
    with run.held(made):
        policy = config.component("policy", {"name": name}).build(recorded.spec)
        run.save_part(made.folder, policy, Domain("target", *[recorded] * 5))
    spec, names = run.fits(made.folder)
    assert spec.points == points and run.load_part(made.folder).spec.points == points  # type: ignore[union-attr]
    domain.refuse_other_policy(spec, names, recorded)
    if points:
        with pytest.raises(DataError, match="trained for points 4, the dataset has 0"):
            domain.refuse_other_policy(spec, names, replace(recorded, points=None))
        with pytest.raises(DataError, match="differ in points: 4 and 3"):
            run.test_in_simulator(made, Worlds(points=3))  # type: ignore[arg-type]
    else:
        domain.refuse_other_policy(spec, names, replace(recorded, points=None))


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
        record(tmp_path / name, count, episodes=3, length=40)
    (tmp_path / "s.toml").write_text(STUDY)
    monkeypatch.setattr(run, "work", lambda one: pytest.fail("begun"))
    with pytest.raises(kind, match=said):
        study.carry_out(study.plan(tmp_path / "s.toml", tmp_path / "s", (), tmp_path, tmp_path / "cache"))
