"""What the tables of a LeRobot dataset must say: meta/info.json, tasks, episodes, statistics."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causeway.datasets.lerobot import Config
from causeway.errors import DataError
from recordings import write_lerobot

EPISODES = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-000/file-000.parquet"


def faults(root: Path) -> list[str]:
    """What ``causeway check`` would print of a dataset that cannot be built."""
    with pytest.raises(DataError, match="Run: causeway check"):
        Config(str(root)).build()
    return list(Config(str(root)).read().problems())


def told(root: Path, change: dict[str, Any], drop: tuple[str, ...] = ()) -> list[str]:
    """The faults of a dataset whose info.json was changed so."""
    path = root / "meta/info.json"
    info = json.loads(path.read_text()) | change
    path.write_text(json.dumps({key: value for key, value in info.items() if key not in drop}))
    return faults(root)


def rewrite(path: Path, column: str, values: Any) -> None:
    """Put ``values``, of whatever type, into one column of a parquet file; None drops the column."""
    table = pq.read_table(path, partitioning=None)
    place = table.column_names.index(column)
    dropped = table.drop_columns([column])
    pq.write_table(dropped if values is None else dropped.add_column(place, column, pa.array(values)), path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    said = told(write_lerobot(tmp_path / "set"), {}, drop=("fps", "total_frames"))
    assert said == ["meta/info.json has no fps, total_frames"]
    (tmp_path / "set/meta/info.json").write_text("{}")
    wanted = "codebase_version, fps, features, total_episodes, total_frames"
    assert faults(tmp_path / "set") == [f"meta/info.json has no {wanted}"]


@pytest.mark.parametrize("name", ["info", "stats"])
@pytest.mark.parametrize("content", [[], ["fps"], 3, None])
def test_a_file_that_holds_no_object_is_named(tmp_path: Path, name: str, content: Any) -> None:
    root = write_lerobot(tmp_path / "set")
    (root / f"meta/{name}.json").write_text(json.dumps(content))
    assert faults(root) == [f"meta/{name}.json holds {content!r}, not an object"]


@pytest.mark.parametrize(
    ("fps", "said"),
    [
        (0, "0"),
        (-30, "-30"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("10", "'10', not a number"),
        ([10], "[10], not a number"),
        (True, "True, not a number"),
    ],
)
def test_a_rate_is_a_number_above_0(tmp_path: Path, fps: Any, said: str) -> None:
    assert told(write_lerobot(tmp_path / "set"), {"fps": fps}) == [f"meta/info.json: fps is {said}"]


def test_features_are_an_object_of_objects(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    said = "meta/info.json: features is ['action'], not an object of named features"
    assert told(root, {"features": ["action"]}) == [said]
    said = "meta/info.json: feature action is 'float32', not an object with dtype and shape"
    assert told(root, {"features": {"action": "float32"}}) == [said]


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("action", {"dtype": None}, "has no dtype"),
        ("timestamp", {"dtype": None, "shape": None}, "has no dtype, shape"),
        ("observation.images.front", {"shape": None}, "has no shape"),
        ("action", {"shape": "2"}, "is of shape '2', not a list of sizes"),
        ("action", {"shape": [2.0]}, "is of shape [2.0], not a list of sizes"),
        ("action", {"shape": [-2]}, "is of shape [-2], not a list of sizes"),
        ("observation.images.front", {"shape": [24]}, "is of shape [24], not height, width and channels"),
    ],
)
def test_a_feature_has_a_type_and_a_shape(tmp_path: Path, key: str, change: dict[str, Any], said: str) -> None:
    root = write_lerobot(tmp_path / "set")
    features = json.loads((root / "meta/info.json").read_text())["features"]
    changed = {name: value for name, value in (features[key] | change).items() if value is not None}
    assert told(root, {"features": features | {key: changed}}) == [f"meta/info.json: feature {key} {said}"]


@pytest.mark.parametrize("names", [{"height": 0, "width": 1, "channels": 2}, None, 3])
def test_the_axes_of_pictures_may_be_named_in_other_ways(tmp_path: Path, names: Any) -> None:
    path = write_lerobot(tmp_path / "set") / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"]["observation.images.front"]["names"] = names
    path.write_text(json.dumps(info))
    assert list(Config(str(tmp_path / "set")).build().problems()) == []


@pytest.mark.parametrize("path", ["data/{episode_chunk:03d}.parquet", "data/{", "data/{0}", 3])
def test_a_path_is_made_from_known_numbers(tmp_path: Path, path: Any) -> None:
    said = f"meta/info.json: data_path is {path!r}, not a path made from chunk_index, file_index, video_key"
    assert told(write_lerobot(tmp_path / "set"), {"data_path": path}) == [said]


def test_a_dataset_without_pictures_is_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    features = json.loads((root / "meta/info.json").read_text())["features"]
    kept = {key: value for key, value in features.items() if value["dtype"] != "image"}
    assert told(root, {"features": kept}) == ["meta/info.json names no camera"]


def test_tasks_without_their_words(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    rewrite(root / "meta/tasks.parquet", "__index_level_0__", None)
    assert faults(root) == ["meta/tasks.parquet has no column of words beside task_index"]


def test_tasks_without_their_numbers(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    rewrite(root / "meta/tasks.parquet", "task_index", ["drive"])
    assert faults(root) == ["meta/tasks.parquet: column task_index holds string, not numbers"]
    rewrite(root / "meta/tasks.parquet", "task_index", None)
    assert faults(root) == ["meta/tasks.parquet has no column task_index"]


def test_tasks_are_found_by_number(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    pq.write_table(pa.table({"task_index": [7, 0], "task": ["park", "drive"]}), root / "meta/tasks.parquet")
    rewrite(root / DATA, "task_index", [7] * 5 + [0] * 6 + [1] * 7)
    dataset = Config(str(root)).read()
    assert [episode.task for episode in dataset.episodes] == ["park", "drive", ""]
    assert dataset.faults == ("episode t2: task 1 is not in meta/tasks.parquet",)


def test_episodes_that_are_not_listed(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    pq.write_table(pq.read_table(root / EPISODES, partitioning=None).slice(0, 0), root / EPISODES)
    assert told(root, {"total_episodes": 0, "total_frames": 0}) == ["meta/episodes holds no episodes"]
    (root / EPISODES).unlink()
    assert faults(root) == ["meta/episodes holds no episodes"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, f"{EPISODES} has no column length"),
        (["5", "6", "7"], f"{EPISODES}: column length holds string, not numbers"),
        ([5, None, 7], f"{EPISODES}: column length is empty in some rows"),
    ],
)
def test_a_list_of_episodes_whose_numbers_are_none(tmp_path: Path, values: Any, said: str) -> None:
    root = write_lerobot(tmp_path / "set")
    rewrite(root / EPISODES, "length", values)
    assert faults(root) == [said]


def test_a_list_of_episodes_with_a_gap(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    rewrite(root / EPISODES, "episode_index", [0, 1, 3])
    assert "meta/episodes: episode_index does not count 0, 1, 2..." in faults(root)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("action", [["left", "fast"]] * 18, "column action holds string, not numbers"),
        ("timestamp", ["now"] * 18, "column timestamp holds string, not numbers"),
        ("timestamp", [[0.1]] * 18, "column timestamp holds list, not numbers"),
        ("episode_index", [0, None] * 9, "column episode_index is empty in some rows"),
    ],
)
def test_columns_of_data_that_hold_no_numbers(tmp_path: Path, column: str, values: Any, said: str) -> None:
    root = write_lerobot(tmp_path / "set")
    rewrite(root / DATA, column, values)
    assert faults(root) == [f"{DATA}: {said}"]


@pytest.mark.parametrize("held", [[0.5] * 18, [b"png"] * 18])
def test_a_column_of_pictures_that_holds_none(tmp_path: Path, held: list[Any]) -> None:
    root = write_lerobot(tmp_path / "set", count=1)
    rewrite(root / DATA, "observation.images.front", held[:5])
    said = "of camera front is missing: its row holds no picture"
    assert list(Config(str(root)).read().problems()) == [f"episode t0: frame {i} {said}" for i in range(5)]


@pytest.mark.parametrize("mean", ["left", [[0.0]], None, [0.0, "x"], [0.0] * 3])
def test_statistics_that_are_no_numbers(tmp_path: Path, mean: Any) -> None:
    path = write_lerobot(tmp_path / "set") / "meta/stats.json"
    stats = json.loads(path.read_text())
    path.write_text(json.dumps(stats | {"action": stats["action"] | {"mean": mean}}))
    said = list(Config(str(tmp_path / "set")).read().problems())
    assert len(said) == 1 and said[0].startswith(f"meta/stats.json: mean of action is {mean}, but the data's is [")
    path.write_text(json.dumps(stats | {"action": [mean]}))
    assert list(Config(str(tmp_path / "set")).read().problems()) == ["meta/stats.json says nothing of action"]


@pytest.mark.parametrize("values", [None, ["0", "0", "0"]])
def test_a_film_that_no_episode_places(tmp_path: Path, values: Any) -> None:
    root = write_lerobot(tmp_path / "set", pictures="video")
    rewrite(root / EPISODES, "videos/observation.images.front/file_index", values)
    assert faults(root) == ["meta/episodes does not say where the films of front are"]
