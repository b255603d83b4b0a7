"""What holds of every format, and what is said of folders that are of none."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causeway import catalog
from causeway.cache import Crop, cached
from causeway.datasets import Dataset, nearly
from causeway.errors import DataError
from causeway.pairs import pair
from recordings import episode, write_lerobot, write_tub1, write_tub2

LOOKED = "Looked for meta/info.json (LeRobot), manifest.json, record_*.json or labels.csv (Donkey), and pictures."


@pytest.mark.parametrize("name", catalog.names("dataset"))
def test_a_folder_that_is_not_there_is_said_to_be_missing(name: str, tmp_path: Path) -> None:
    config = catalog.find("dataset", name).Config
    (tmp_path / "file").touch()
    for root, said in (("nope/lane_s", "There is no folder {}."), (tmp_path / "file", "{} is a file, not a folder.")):
        for way in ("read", "build"):
            with pytest.raises(DataError) as caught:
                getattr(config(root=str(root)), way)()
            assert str(caught.value) == said.format(root)


@pytest.mark.parametrize("name", catalog.names("dataset"))
def test_users_meet_no_error_but_data_error(name: str, tmp_path: Path) -> None:
    """The command line begins its sentence with the name of the class."""
    with pytest.raises(DataError) as caught:
        catalog.find("dataset", name).Config(root=str(tmp_path)).build()
    assert type(caught.value) is DataError


class Short(Dataset):
    """Two episodes of 10 frames; the decoder of the second gives up after some, or forgets a camera."""

    root, cameras, rate_hz, state_names, action_names = "drives", ("front", "rear"), 10.0, ("speed",), ("a", "b")
    episodes = (episode(10, name="first"), episode(10, name="second"))

    def __init__(self, frames: int, views: int = 2):
        self.given, self.views = frames, views

    def decoded(self, episode: int, start: int) -> Iterator[Any]:
        for number in range(start, self.given if episode else 10):
            yield np.full((self.views if episode and number == 4 else 2, 8, 12, 3), 200, np.uint8)

    def fingerprint(self) -> str:
        return str(self.given)


@pytest.mark.parametrize("part", [256, 4])
@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (Short(6), "episode second: 10 moments but pictures of only 6"),
        (Short(0), "episode second: 10 moments but pictures of only 0"),
        (Short(10, views=1), "episode second: 1 pictures at frame 4, but 2 cameras"),
    ],
)
def test_a_decoder_that_gives_too_little_is_refused(
    dataset: Dataset, said: str, part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("causeway.cache.PART", part)
    with pytest.raises(DataError) as caught:
        list(dataset.frames(1))
    assert str(caught.value) == f"drives {said}. Run: causeway check drives"
    with pytest.raises(DataError, match="drives episode second: "):
        cached(dataset, 8, 12, Crop(), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"], "black frames are no frames"
    assert list(dataset.problems()) == [said]
    assert (cached(Short(10), 8, 12, Crop(), tmp_path) == 200).all() and not list(Short(10).problems())


def test_episodes_keep_time() -> None:
    hurried = Short(10)
    hurried.rate_hz = 20.0
    said = "has a rate of 20 Hz, but its time goes on at 10 Hz: are times in seconds, and is the rate right?"
    assert list(hurried.problems()) == [said]
    with pytest.raises(DataError, match=f"^drives {re.escape(said)}. Run: causeway check drives$"):
        hurried.sound()
    assert Short(10).sound()


def test_twins_are_told_by_a_check_and_cannot_be_paired(tmp_path: Path) -> None:
    twins = Short(10)
    twins.episodes = (episode(10, name="lap"), episode(10, 1, name="lap"))
    said = "has 2 episodes called 'lap': give each a name of its own"
    assert list(twins.problems()) == [said] and twins.sound() is twins
    with pytest.raises(DataError, match=f"drives {said}: pairs go by name"):
        pair(Short(10), twins, tmp_path / "p.parquet")


def unrecognised(path: Path) -> str:
    """What is said of a folder, once no format has taken it for its own."""
    assert not any(catalog.find("dataset", name).recognises(path) for name in catalog.names("dataset"))
    return nearly(path)


def test_an_empty_folder_a_file_and_a_folder_of_anything(tmp_path: Path) -> None:
    assert unrecognised(tmp_path) == "It is empty."
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "data").mkdir()
    assert unrecognised(tmp_path) == LOOKED
    assert unrecognised(tmp_path / "notes.txt") == "It is a file; a dataset is a folder."


def test_a_lerobot_folder_without_its_description(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set")
    (root / "meta/info.json").unlink()
    assert unrecognised(root) == "It has meta/ and data/ but no meta/info.json, which a LeRobot dataset must have."
    shutil.rmtree(root / "meta")
    assert unrecognised(root) == "It has data/ but no meta/info.json, which a LeRobot dataset must have."
    (root / "videos").mkdir()
    assert unrecognised(root) == "It has data/ and videos/ but no meta/info.json, which a LeRobot dataset must have."


def test_half_a_tub(tmp_path: Path) -> None:
    root = write_tub2(tmp_path / "tub", 3)
    (root / "manifest.json").rename(tmp_path / "manifest.json")
    assert unrecognised(root) == "It has catalog_0.catalog but no manifest.json, which a Donkey tub must have."
    (tmp_path / "manifest.json").rename(root / "manifest.json")
    (root / "catalog_0.catalog").unlink()
    assert unrecognised(root) == "It has manifest.json but none of the catalogs that it names."
    (root / "manifest.json").unlink()
    said = "It has images/ but no labels.csv, manifest.json or record_*.json that says what was done at each."
    assert unrecognised(root) == said


def test_a_table_of_something_else(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("picture,class\n1.png,cat\n")
    lacking = "file, angle, throttle, timestamp_ms or milliseconds"
    assert unrecognised(tmp_path) == f"Its labels.csv has no column {lacking}. It has: picture, class."
    labels.write_text("")
    assert unrecognised(tmp_path) == "Its labels.csv is empty."


def test_a_folder_of_datasets(tmp_path: Path) -> None:
    write_lerobot(tmp_path / "sets/b", count=1)
    assert unrecognised(tmp_path / "sets") == "It holds the dataset b: name that one."
    (tmp_path / "sets/other").mkdir()
    (tmp_path / "sets/other/notes.txt").touch()
    write_lerobot(tmp_path / "sets/a", count=1)
    assert unrecognised(tmp_path / "sets") == "It holds the datasets a, b: name one of them."
    assert unrecognised(tmp_path) == "It holds the datasets sets/a, sets/b: name one of them."
    for folder in ("meta_data", "train"):
        (tmp_path / "early" / folder).mkdir(parents=True)
    (tmp_path / "early/train/data-00000-of-00001.arrow").touch()
    assert unrecognised(tmp_path) == "It holds the dataset early: name that one."
    shutil.rmtree(tmp_path / "early")
    for number in range(8):
        shutil.copytree(tmp_path / "sets/a", tmp_path / f"sets/c{number}")
    said = "It holds the datasets a, b, c0, c1, c2, c3, c4, c5 and 2 more: name one of them."
    assert unrecognised(tmp_path / "sets") == said


@pytest.mark.parametrize("write", [write_tub1, write_tub2])
def test_a_folder_of_folders_of_tubs(tmp_path: Path, write: object) -> None:
    assert callable(write)
    write(tmp_path / "mycar/data/tub", 3)
    assert unrecognised(tmp_path / "mycar") == "It holds the dataset data: name that one."
