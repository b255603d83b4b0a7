import io
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from causeway.datasets import donkey, lerobot
from causeway.errors import DataError
from causeway.recorder import Recorder, Recording, copy
from recordings import episode, picture, views, write_csv, write_lerobot, write_tub2

RECORDING = Recording(("front",), 10, ("speed",), ("steering", "throttle"))


def test_the_layout_is_lerobots(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert files == [
        "data/chunk-000/file-000.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
    ]
    info = json.loads((root / "meta/info.json").read_text())
    assert {key: info[key] for key in ("codebase_version", "fps", "total_episodes", "total_frames", "total_tasks")} == {
        "codebase_version": "v3.0",
        "fps": 10,
        "total_episodes": 3,
        "total_frames": 18,
        "total_tasks": 1,
    }
    assert info["features"]["observation.images.front"] == {
        "dtype": "image",
        "shape": [24, 32, 3],
        "names": ["height", "width", "channels"],
    }
    schema = {field.name: str(field.type) for field in pq.read_schema(root / files[0])}
    assert schema == {
        "observation.images.front": "struct<bytes: binary, path: string>",
        "observation.state": "float",  # a single number is no list
        "action": "fixed_size_list<element: float>[2]",
        "timestamp": "float",
        "frame_index": "int64",
        "episode_index": "int64",
        "index": "int64",
        "task_index": "int64",
    }
    rows = pq.read_table(root / files[1], partitioning=None).to_pylist()
    assert [(r["dataset_from_index"], r["dataset_to_index"], r["length"]) for r in rows] == [
        (0, 5, 5),
        (5, 11, 6),
        (11, 18, 7),
    ]
    assert rows[1]["tasks"] == ["drive"] and rows[1]["meta/episodes/file_index"] == 0


def test_statistics_of_pictures_are_those_of_their_pixels(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set", count=1)
    found = json.loads((root / "meta/stats.json").read_text())["observation.images.front"]
    pixels = np.array(views(5))[:, 0].reshape(-1, 3) / 255
    for name, value in {
        "mean": pixels.mean(0),
        "std": pixels.std(0),
        "min": pixels.min(0),
        "max": pixels.max(0),
    }.items():
        np.testing.assert_allclose(np.ravel(found[name]), value, atol=1e-9)
    np.testing.assert_allclose(np.ravel(found["q10"]), np.quantile(pixels, 0.1, axis=0), atol=0.02)
    assert np.shape(found["mean"]) == (3, 1, 1) and found["count"] == [5]


def test_jpeg_files_are_kept_byte_by_byte_and_pixels_losslessly(tmp_path: Path) -> None:
    tub = write_tub2(tmp_path / "tub", 25, session_after=15)
    source = donkey.Config(str(tub)).build()
    dataset = lerobot.Config(str(copy(source, tmp_path / "set"))).build()
    assert [e.name for e in dataset.episodes] == ["tub/22-11-12_0/0000", "tub/22-11-12_1/0000"]
    assert (dataset.rate_hz, dataset.state_names) == (20, ())
    for number, wrote in enumerate(source.episodes):
        assert list(dataset.encoded(number) or ()) == list(source.encoded(number))
        np.testing.assert_array_equal(list(dataset.frames(number)), list(source.frames(number)))
        np.testing.assert_array_equal(dataset.episodes[number].actions, wrote.actions)
        np.testing.assert_allclose(dataset.episodes[number].time_s, wrote.time_s, atol=1e-6)
    assert next(dataset.encoded(0) or iter(()))[0][:2] == b"\xff\xd8"
    again = lerobot.Config(str(copy(dataset, tmp_path / "again"))).build()
    np.testing.assert_array_equal(list(again.frames(1)), list(source.frames(1)))


def test_grey_and_transparent_files_become_plain(tmp_path: Path) -> None:
    root = write_csv(tmp_path / "drive", [f"{i}.png,lap,{i},{i * 100},0,0.5" for i in range(3)])
    Image.fromarray(picture(1)).convert("L").save(root / "images/0.png", "JPEG")
    Image.fromarray(picture(1)).convert("RGBA").save(root / "images/1.png")
    source = donkey.Config(str(root)).build()
    dataset = lerobot.Config(str(copy(source, tmp_path / "set"))).build()
    assert [Image.open(io.BytesIO(files[0])).mode for files in dataset.encoded(0) or ()] == ["RGB"] * 3
    np.testing.assert_array_equal(list(dataset.frames(0)), list(source.frames(0)))


def test_import_as_films(tmp_path: Path) -> None:
    source = donkey.Config(str(write_tub2(tmp_path / "tub", 25, session_after=15))).build()
    dataset = lerobot.Config(str(copy(source, tmp_path / "set", pictures="video"))).build()
    assert list(dataset.problems()) == []
    for number, wrote in enumerate(source.episodes):
        np.testing.assert_allclose(dataset.episodes[number].time_s, np.arange(len(wrote)) / 20, atol=1e-6)
        error = np.abs(np.array(list(dataset.frames(number)), float) - np.array(list(source.frames(number))))
        assert error.mean() < 5
    images = lerobot.Config(str(copy(dataset, tmp_path / "images"))).build()  # and back: decoded, as PNG
    np.testing.assert_array_equal(list(images.frames(0)), list(dataset.frames(0)))


def test_long_episodes_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causeway.datasets._lerobot_files.ROW_GROUP_ROWS", 8)
    with Recorder(tmp_path / "set", RECORDING) as recorder:
        for number in range(2):
            recorder.add(episode(30, number, str(number)), iter(views(30, seed=number)))
    assert pq.ParquetFile(tmp_path / "set/data/chunk-000/file-000.parquet").metadata.num_row_groups == 8
    dataset = lerobot.Config(str(tmp_path / "set")).build()
    for start in (0, 7, 8, 29):
        np.testing.assert_array_equal(list(dataset.frames(1, start)), views(30, seed=1)[start:])


def test_an_episode_that_broke_off_cannot_be_passed_over(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="broke off"), Recorder(tmp_path / "set", RECORDING) as recorder:
        recorder.add(episode(5), views(5))
        with pytest.raises(DataError):
            recorder.add(episode(5, name="1"), views(4))
    assert list(tmp_path.iterdir()) == []


def test_films_need_even_sizes(tmp_path: Path) -> None:
    recording = replace(RECORDING, pictures="video")
    with (
        pytest.raises(DataError, match="33x24: films need even sizes"),
        Recorder(tmp_path / "set", recording) as recorder,
    ):
        recorder.add(episode(5), [picture(i, 24, 33)[None] for i in range(5)])


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    with pytest.raises(DataError, match="already exists"), Recorder(root, RECORDING):
        pass
    assert lerobot.Config(str(root)).build()


def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no episode was recorded"), Recorder(tmp_path / "set", RECORDING):
        pass
    assert list(tmp_path.iterdir()) == []


def test_two_recorders_do_not_share_a_folder(tmp_path: Path) -> None:
    with Recorder(tmp_path / "set", RECORDING) as recorder:
        with (
            pytest.raises(DataError, match="is being written by another process"),
            Recorder(tmp_path / "set", RECORDING),
        ):
            pass
        recorder.add(episode(5), views(5))
    assert len(lerobot.Config(str(tmp_path / "set")).build().episodes) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from recordings import episode, views
from causeway.recorder import Recorder, Recording
with Recorder(Path(sys.argv[1]), Recording(("front",), 10, ("speed",), ("steering", "throttle"))) as recorder:
    for number in range(3):
        recorder.add(episode(600, number, str(number)), views(600))
        os.kill(os.getpid(), signal.SIGKILL) if number == 1 else None
"""


def test_a_killed_recorder_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    root = tmp_path / "set"
    done = subprocess.run([sys.executable, "-c", KILLED, str(root)], env=environment, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not root.exists() and (tmp_path / "set.unfinished").exists()
    assert not lerobot.recognises(tmp_path / "set.unfinished")
    (tmp_path / "set.unfinished/videos").mkdir()
    (tmp_path / "set.unfinished/left").touch()
    with Recorder(root, RECORDING) as recorder:
        recorder.add(episode(5), views(5))
    assert list(tmp_path.iterdir()) == [root]
    assert sorted(path.name for path in root.iterdir()) == ["data", "meta"]
    assert [len(e) for e in lerobot.Config(str(root)).build().episodes] == [5]


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from recordings import episode, write_lerobot
from causeway.cache import Crop, cached
from causeway.datasets import lerobot
from causeway.errors import DataError
from causeway.recorder import Recorder, Recording
root = Path(sys.argv[1])
dataset = lerobot.Config(str(write_lerobot(root / "set"))).build()
noise = list(np.random.default_rng(0).integers(0, 256, (40, 1, 96, 128, 3), dtype=np.uint8))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for pictures in ("image", "video"):
    try:
        recording = Recording(("front",), 10, ("speed",), ("steering", "throttle"), pictures)
        with Recorder(root / pictures, recording) as recorder:
            recorder.add(episode(40), noise)
    except DataError as error:
        print(error)
try:
    cached(dataset, 480, 640, Crop(), root / "cache")
except DataError as error:
    print(error)
"""


def test_a_full_disk_is_said_and_cleared(tmp_path: Path) -> None:
    """The system refuses files beyond 100 kB here, with the same kind of error as when it has no room."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    said = subprocess.run(command, env=environment, timeout=60, capture_output=True, text=True)
    assert said.stdout.splitlines() == [
        f"No room left to write {tmp_path / name}. What was written of it is removed."
        for name in ("image", "video", "cache")
    ], said.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "set"]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_broken_picture_stops_an_import(tmp_path: Path) -> None:
    root = write_csv(tmp_path / "drive", [f"{i}.jpg,lap,{i},{i * 100},0,0.5" for i in range(6)])
    buffer = io.BytesIO()
    Image.fromarray(picture(1)).save(buffer, "JPEG")
    (root / "images/3.jpg").write_bytes(buffer.getvalue()[:-40])
    source = donkey.Config(str(root)).build()
    said = (
        rf"{root} episode lap/0000: images/3.jpg cannot be read \(image file is truncated.*Run: causeway check {root}"
    )
    for pictures in ("image", "video"):
        with pytest.raises(DataError, match=said) as caught:
            copy(source, tmp_path / "set", pictures)
        assert type(caught.value) is DataError
    Image.fromarray(picture(1, 12, 16)).save(root / "images/3.jpg")
    with pytest.raises(DataError, match=f"{root} episode lap/0000: images/3.jpg is 16x12, the first picture is 32x24"):
        copy(source, tmp_path / "set")
    (root / "images/3.jpg").unlink()
    with pytest.raises(DataError, match=f"{root} images/3.jpg is missing"):
        copy(source, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_the_script_in_the_docs_writes_what_reads_back_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parent.parent / "docs/data.md").read_text()
    scripts = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    script = next(script for script in scripts if "Recorder(" in script)
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "docs/data.md", "exec"), {"__name__": "__main__"})
    dataset = lerobot.Config("data/mine").build()
    assert list(dataset.problems()) == []
    assert [(e.name, len(e)) for e in dataset.episodes] == [("lap_0", 40), ("lap_1", 40), ("lap_2", 40)]
    assert (dataset.cameras, dataset.rate_hz, dataset.state_names) == (("front",), 20, ("speed",))
    assert next(dataset.frames(0)).shape == (1, 96, 128, 3)
