"""Point clouds in recordings: what is written and read, and what cannot be a cloud."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from causeway import cache
from causeway.datasets import Episode, lerobot
from causeway.errors import DataError
from causeway.recorder import Recorder, Recording, copy


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
