import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from causeway.datasets.lerobot import Config, recognises
from causeway.errors import ConfigError, DataError
from causeway.recorder import Recorder, Recording
from recordings import episode, picture, views, write_lerobot

DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
FILM = "videos/observation.images.front/chunk-000/file-000.mp4"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return write_lerobot(tmp_path / "set")


def faults(root: Path) -> list[str]:
    """What ``causeway check`` would print; that building refuses it is part of every test of a bad input."""
    dataset = Config(str(root)).read()
    if dataset.faults:
        with pytest.raises(DataError, match=r"Run: causeway check"):
            Config(str(root)).build()
    return list(dataset.problems())


def change(path: Path, column: str, edit: Callable[[list[Any]], Any]) -> None:
    """Rewrite one column of a parquet file."""
    table = pq.read_table(path, partitioning=None)
    place = table.column_names.index(column)
    kind = table.schema.field(column).type
    pq.write_table(table.set_column(place, column, pa.array(edit(table[column].to_pylist()), kind)), path)


def change_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def replaced(row: int, value: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [*values[:row], value, *values[row + 1 :]]


def test_what_is_written_is_read_bit_by_bit(recorded: Path) -> None:
    dataset = Config(str(recorded)).build()
    assert recognises(recorded)
    assert (dataset.cameras, dataset.rate_hz) == (("front",), 10)
    assert (dataset.state_names, dataset.action_names) == (("speed",), ("steering", "throttle"))
    assert [(e.name, len(e), e.task) for e in dataset.episodes] == [(f"t{i}", 5 + i, "drive") for i in range(3)]
    for number, read in enumerate(dataset.episodes):
        wrote = episode(5 + number, number)
        np.testing.assert_array_equal(read.state, wrote.state)
        np.testing.assert_array_equal(read.actions, wrote.actions)
        np.testing.assert_allclose(read.time_s, wrote.time_s, atol=1e-6)
        np.testing.assert_array_equal(list(dataset.frames(number)), views(5 + number, seed=number))
        np.testing.assert_array_equal(list(dataset.frames(number, 3)), views(5 + number, seed=number)[3:])
    assert list(dataset.problems()) == []


def test_films_come_back_nearly(tmp_path: Path) -> None:
    dataset = Config(str(write_lerobot(tmp_path / "set", pictures="video", cameras=("front", "rear")))).build()
    for number in range(3):
        wrote = np.array(views(5 + number, cameras=2, seed=number), float)
        for start in (0, 1, 4):
            frames = np.array(list(dataset.frames(number, start)), float)
            assert frames.shape == wrote[start:].shape
            assert np.abs(frames - wrote[start:]).mean() < 4  # of 255; neighbouring pictures differ by 23
    assert list(dataset.problems()) == []


@pytest.mark.parametrize("pictures", ["image", "video"])
def test_many_files_and_cameras(tmp_path: Path, pictures: Any) -> None:
    recording = Recording(("front", "rear"), 10, (), ("a", "b"), pictures, data_file_mb=0, video_file_mb=0)
    with Recorder(tmp_path / "set", recording) as recorder:
        for number in range(4):
            recorder.add(episode(6, number, f"t{number}", states=0, task=f"go {number % 2}"), views(6, 2, number))
    dataset = Config(str(tmp_path / "set")).build()
    assert len(list((tmp_path / "set/data/chunk-000").iterdir())) == 4
    assert [e.task for e in dataset.episodes] == ["go 0", "go 1", "go 0", "go 1"]
    for number in range(4):
        error = np.abs(np.array(list(dataset.frames(number)), float) - np.array(views(6, 2, number)))
        assert error.mean() < (0.001 if pictures == "image" else 4)
    one = Config(str(tmp_path / "set"), cameras=("rear",), select="t2").build()
    assert [e.name for e in one.episodes] == ["t2"]
    np.testing.assert_array_equal(next(one.frames(0))[0], next(dataset.frames(2))[1])
    with pytest.raises(ConfigError, match="Did you mean 'front'"):
        Config(str(tmp_path / "set"), cameras=("frnt",)).build()


def test_pictures_beside_the_parquet_and_one_row_group(recorded: Path) -> None:
    """As other writers do: bytes left out, a path in their place; all episodes in one row group."""
    table = pq.read_table(recorded / DATA, partitioning=None)
    files = []
    for row, item in enumerate(table["observation.images.front"].to_pylist()):
        (recorded / f"{row}.png").write_bytes(item["bytes"])
        files.append({"bytes": None, "path": f"{row}.png"})
    kind = table.schema.field("observation.images.front").type
    pq.write_table(table.set_column(0, "observation.images.front", pa.array(files, kind)), recorded / DATA)
    dataset = Config(str(recorded)).build()
    np.testing.assert_array_equal(list(dataset.frames(1, 2)), views(6, seed=1)[2:])


@pytest.mark.parametrize(
    ("names", "read"),
    [({"motors": ["x", "y"]}, ("x", "y")), (None, ("action_0", "action_1")), ({"x": 0, "y": 1}, ("x", "y"))],
)
def test_other_ways_to_name_actions(recorded: Path, names: Any, read: tuple[str, ...]) -> None:
    info = json.loads((recorded / "meta/info.json").read_text())
    info["features"]["action"]["names"] = names
    (recorded / "meta/info.json").write_text(json.dumps(info))
    assert Config(str(recorded)).build().action_names == read


def test_an_earlier_version_is_named(recorded: Path, tmp_path: Path) -> None:
    change_json(recorded / "meta/info.json", codebase_version="v2.1")
    assert "is a LeRobot dataset of v2.1; only v3.0 is read. Convert it with: python -m lerobot" in faults(recorded)[0]
    old = tmp_path / "old"
    for folder in ("meta_data", "train"):
        (old / folder).mkdir(parents=True)
    (old / "train/data-00000-of-00001.arrow").write_bytes(b"")
    (old / "meta_data/info.json").write_text('{"codebase_version": "v1.6"}')
    assert recognises(old)
    assert "is a LeRobot dataset of v1.6 (arrow and mp4 files); only v3.0 is read" in faults(old)[0]
    (old / "meta_data/info.json").write_text("[]")
    assert "is a LeRobot dataset of v1 or before (arrow and mp4 files); only v3.0 is read" in faults(old)[0]


def test_a_dataset_that_was_never_finished_or_is_none(recorded: Path) -> None:
    (recorded / "meta/info.json").unlink()
    assert not recognises(recorded)
    assert "has no meta/info.json" in faults(recorded)[0]


def test_rows_and_lengths_that_disagree(recorded: Path) -> None:
    change(recorded / EPISODES, "length", replaced(1, 9))
    assert faults(recorded) == [
        "meta/info.json says total_frames is 18, but meta/episodes lists 21",
        "episode t1: 9 frames in meta/episodes but 6 rows in data/chunk-000/file-000.parquet",
    ]


@pytest.mark.parametrize(
    ("column", "row", "value", "said"),
    [
        ("action", 7, [float("nan"), 0.0], "episode t1: steering in action is nan at frame 2"),
        ("observation.state", 0, float("inf"), "episode t0: speed in observation.state is inf at frame 0"),
        ("timestamp", 8, 0.05, "episode t1: time does not go on at frame 3"),
        ("timestamp", 8, float("nan"), "episode t1: time does not go on at frame 3"),
        ("frame_index", 2, 7, "episode t0: frame_index does not count 0, 1, 2..."),
        ("index", 12, 3, "episode t2: index does not count up from 11, where meta/episodes puts it"),
        ("task_index", 5, 4, "episode t1: task 4 is not in meta/tasks.parquet"),
        ("episode_index", 2, 2, f"{DATA}: the rows of an episode do not stand together"),
        (
            "episode_index",
            17,
            5,
            f"{DATA} holds episodes [5], put elsewhere by meta/episodes",
        ),
    ],
)
def test_a_bad_number_is_named(recorded: Path, column: str, row: int, value: Any, said: str) -> None:
    change(recorded / DATA, column, replaced(row, value))
    assert said in faults(recorded)


def test_missing_and_broken_files_are_all_named(recorded: Path) -> None:
    (recorded / DATA).write_bytes((recorded / DATA).read_bytes()[:500])
    (recorded / "meta/tasks.parquet").unlink()
    (recorded / "meta/stats.json").write_text("{")
    change_json(recorded / "meta/info.json", total_episodes=4)
    said = faults(recorded)
    assert len(said) == 4
    assert said[0].startswith("meta/stats.json is not valid JSON")
    assert said[1] == "meta/tasks.parquet is missing"
    assert said[2] == "meta/info.json says total_episodes is 4, but meta/episodes lists 3"
    assert said[3].startswith(f"{DATA} cannot be read, so 3 episodes cannot be read")


def test_a_missing_column_and_a_wrong_width(recorded: Path) -> None:
    info = json.loads((recorded / "meta/info.json").read_text())
    info["features"]["action"] |= {"shape": [3], "names": ["a", "b", "c"]}
    (recorded / "meta/info.json").write_text(json.dumps(info))
    assert "episode t0: action holds 10 numbers in 5 frames, not 3 a frame as meta/info.json says" in faults(recorded)
    table = pq.read_table(recorded / DATA, partitioning=None)
    pq.write_table(table.drop_columns(["action"]), recorded / DATA)
    assert faults(recorded) == [f"{DATA} has no column action"]


def test_unreadable_pictures_are_listed_one_by_one(recorded: Path) -> None:
    def spoil(files: list[Any]) -> list[Any]:
        small = io.BytesIO()
        Image.fromarray(picture(1, 12, 16)).save(small, "PNG")
        files[6] = {"bytes": files[6]["bytes"][:60], "path": "x"}
        files[9] = {"bytes": small.getvalue(), "path": "x"}
        return files

    change(recorded / DATA, "observation.images.front", spoil)
    assert faults(recorded) == [
        "episode t1: frame 1 of camera front cannot be read (the picture file is broken)",
        "episode t1: frame 4 of camera front is 16x12, not 32x24 as meta/info.json says",
    ]
    with pytest.raises(DataError, match=f"{recorded} episode t1: frame 1 .*Run: causeway check {recorded}"):
        list(Config(str(recorded)).build().frames(1))


def test_a_film_that_is_missing_or_ends_early(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set", pictures="video")
    change(root / EPISODES, "videos/observation.images.front/from_timestamp", replaced(2, 1.3))
    assert faults(root) == [
        "episode t2: frame 5 of camera front and the 1 after it are not in file-000.mp4, which ends early"
    ]
    change(root / EPISODES, "videos/observation.images.front/from_timestamp", replaced(0, -0.3))
    assert faults(root)[0] == "episode t0: frame 0 of camera front is not in file-000.mp4, at -0.300 s"
    (root / FILM).write_bytes((root / FILM).read_bytes()[:400])
    assert all("cannot be read from file-000.mp4" in said for said in faults(root)) and len(faults(root)) == 3
    (root / FILM).unlink()
    assert faults(root) == [f"{FILM} is missing"]
    (root / FILM).parent.rmdir()
    assert faults(root) == ["has no folder videos/observation.images.front/chunk-000"]
    column = "videos/observation.images.front/file_index"
    change(root / EPISODES, column, lambda values: [None] * len(values))
    assert faults(root) == ["meta/episodes does not say where the films of front are"]


def test_rows_whose_pictures_are_nowhere(recorded: Path) -> None:
    def empty(files: list[Any]) -> list[Any]:
        return [{"bytes": None, "path": "gone.png"}, {"bytes": None, "path": None}, None, *files[3:]]

    change(recorded / DATA, "observation.images.front", empty)
    assert faults(recorded) == [
        "episode t0: frame 0 of camera front cannot be read from gone.png (No such file or directory)",
        "episode t0: frame 1 of camera front is missing: its row holds no picture",
        "episode t0: frame 2 of camera front is missing: its row holds no picture",
    ]


def test_cameras_of_different_sizes_must_be_chosen_from(tmp_path: Path) -> None:
    with Recorder(tmp_path / "set", Recording(("front", "rear"), 10, (), ("a", "b"))) as recorder:
        small = [picture(i, 12, 16) for i in range(4)]
        recorder.add(episode(4, states=0), ([picture(i), image] for i, image in enumerate(small)))
    said = "its cameras differ in size: choose some with the setting 'cameras'"
    assert faults(tmp_path / "set") == [said, f"episode 0: {said}"]
    chosen = Config(str(tmp_path / "set"), cameras=("rear",)).build()
    np.testing.assert_array_equal([frame[0] for frame in chosen.frames(0)], small)


def test_statistics_that_are_off(recorded: Path) -> None:
    stats = json.loads((recorded / "meta/stats.json").read_text())
    values = np.concatenate([episode(5 + i, i).actions for i in range(3)])
    np.testing.assert_allclose(stats["action"]["mean"], values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(stats["action"]["std"], values.std(0), rtol=1e-5)
    stats["action"]["std"][1] *= 1.1
    del stats["observation.state"]
    (recorded / "meta/stats.json").write_text(json.dumps(stats))
    said = faults(recorded)
    assert said[0] == "meta/stats.json says nothing of observation.state"
    assert said[1].startswith("meta/stats.json: std of action is") and len(said) == 2


def test_the_fingerprint_follows_files_and_settings(recorded: Path) -> None:
    first = Config(str(recorded)).build().fingerprint()
    assert first == Config(str(recorded)).build().fingerprint()
    assert first != Config(str(recorded), select="t1").build().fingerprint()
    change(recorded / DATA, "action", replaced(0, [0.5, 0.25]))
    assert first != Config(str(recorded)).build().fingerprint()


def test_the_early_samples_are_refused_by_version(data: Path) -> None:
    for sample in sorted(path for path in (data / "lerobot_samples").iterdir() if path.is_dir()):
        assert recognises(sample)
        with pytest.raises(DataError, match=r"LeRobot dataset of v1.*only v3\.0 is read"):
            Config(str(sample)).build()
