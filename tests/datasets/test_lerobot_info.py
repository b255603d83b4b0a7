"""What meta/info.json must say before anything else of a LeRobot dataset is read."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causeway.datasets.lerobot import Config
from causeway.errors import DataError
from recordings import write_lerobot


def told(root: Path, change: dict[str, Any], drop: tuple[str, ...] = ()) -> list[str]:
    """The faults of a dataset whose info.json was changed so."""
    path = root / "meta/info.json"
    info = json.loads(path.read_text()) | change
    path.write_text(json.dumps({key: value for key, value in info.items() if key not in drop}))
    with pytest.raises(DataError, match="Run: causeway check"):
        Config(str(root)).build()
    return list(Config(str(root)).read().faults)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    said = told(write_lerobot(tmp_path / "set"), {}, drop=("fps", "total_frames"))
    assert said == ["meta/info.json has no fps, total_frames"]


@pytest.mark.parametrize("fps", [0, -30, float("nan")])
def test_a_rate_must_be_above_0(tmp_path: Path, fps: float) -> None:
    assert told(write_lerobot(tmp_path / "set"), {"fps": fps}) == [f"meta/info.json: fps is {fps}"]


def test_a_dataset_without_pictures_is_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    features = json.loads((root / "meta/info.json").read_text())["features"]
    kept = {key: value for key, value in features.items() if value["dtype"] != "image"}
    assert told(root, {"features": kept}) == ["meta/info.json names no camera"]


EPISODES = "meta/episodes/chunk-000/file-000.parquet"


def test_episodes_that_are_not_listed(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    (root / EPISODES).unlink()
    assert "meta/episodes holds no episodes" in told(root, {})


def test_a_list_of_episodes_without_a_column_or_with_a_gap(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    table = pq.read_table(root / EPISODES, partitioning=None)
    pq.write_table(table.drop_columns(["length"]), root / EPISODES)
    assert "meta/episodes has no column length" in told(root, {})
    place = table.column_names.index("episode_index")
    gap = table.set_column(place, "episode_index", pa.array([0, 1, 3], table.schema.field(place).type))
    pq.write_table(gap, root / EPISODES)
    assert "meta/episodes: episode_index does not count 0, 1, 2..." in told(root, {})


def test_a_film_that_no_episode_places(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set", pictures="video")
    table = pq.read_table(root / EPISODES, partitioning=None)
    column = "videos/observation.images.front/file_index"
    pq.write_table(table.drop_columns([column]), root / EPISODES)
    assert told(root, {}) == ["meta/episodes does not say where the films of front are"]
