"""Each reads what the other has written: causeway and the lerobot package."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causeway.datasets.lerobot import Config
from causeway.recorder import Recorder, Recording
from recordings import episode, picture, views, write_lerobot


@pytest.mark.optional
@pytest.mark.parametrize("pictures", ["image", "video"])
def test_the_real_lerobot_reads_ours(tmp_path: Path, pictures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    theirs = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="lerobot is not installed")
    root = write_lerobot(tmp_path / "set", pictures=pictures, cameras=("front", "rear"))
    dataset = theirs.LeRobotDataset("causeway/test", root=root, video_backend="pyav")
    assert (len(dataset), dataset.num_episodes, dataset.fps) == (18, 3, 10)
    for row, (number, frame) in {0: (0, 0), 4: (0, 4), 5: (1, 0), 17: (2, 6)}.items():
        item = dataset[row]
        wrote = episode(5 + number, number)
        assert item["task"] == "drive" and int(item["episode_index"]) == number
        np.testing.assert_array_equal(item["action"], wrote.actions[frame])
        np.testing.assert_array_equal(item["observation.state"], wrote.state[frame, 0])
        seen = item["observation.images.rear"].numpy().transpose(1, 2, 0) * 255
        assert np.abs(seen - views(5 + number, 2, number)[frame][1]).mean() < (0.01 if pictures == "image" else 4)


@pytest.mark.optional
@pytest.mark.parametrize("pictures", ["image", "video"])
def test_ours_reads_the_real_lerobot(tmp_path: Path, pictures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    theirs = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="lerobot is not installed")
    camera = {"dtype": pictures, "shape": (64, 96, 3), "names": ["height", "width", "channels"]}
    features = {"observation.images.front": camera}
    features["action"] = {"dtype": "float32", "shape": (2,), "names": ["steering", "throttle"]}
    root = tmp_path / "set"
    written = theirs.LeRobotDataset.create("causeway/test", 10, features, root=root, use_videos=pictures == "video")
    for number in range(3):
        for frame in range(6):
            action = np.array([number, frame], np.float32)
            image = picture(number + 10 * frame, 64, 96)
            written.add_frame({"observation.images.front": image, "action": action, "task": f"go {number}"})
        written.save_episode()
    written.finalize()
    dataset = Config(str(root)).build()
    assert [(e.name, len(e), e.task) for e in dataset.episodes] == [(str(i), 6, f"go {i}") for i in range(3)]
    for number, read in enumerate(dataset.episodes):
        np.testing.assert_array_equal(read.actions, [[number, frame] for frame in range(6)])
        for frame, images in enumerate(dataset.frames(number)):
            error = np.abs(images[0].astype(float) - picture(number + 10 * frame, 64, 96)).mean()
            assert error < (0.01 if pictures == "image" else 8)
    assert list(dataset.problems()) == []


@pytest.mark.optional
def test_either_reads_the_clouds_of_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    theirs = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="lerobot is not installed")
    points = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    about = Recording(("front",), 10, ("speed",), ("steering", "throttle"), points=4)
    with Recorder(tmp_path / "ours", about) as recorder:
        recorder.add(replace(episode(5), points=points), views(5))
    dataset = theirs.LeRobotDataset("causeway/test", root=tmp_path / "ours")
    np.testing.assert_array_equal([dataset[row]["observation.points"] for row in range(5)], points)
    features = {"observation.points": {"dtype": "float32", "shape": (4, 3), "names": ["point", "axis"]}}
    features["observation.images.front"] = {"dtype": "image", "shape": (24, 32, 3), "names": ["height", "width", "c"]}
    root = tmp_path / "theirs"
    written = theirs.LeRobotDataset.create("causeway/test", 10, features, root=root, use_videos=False)
    for cloud, image in zip(points, views(5)):
        written.add_frame({"observation.points": cloud, "observation.images.front": image[0], "task": "go"})
    written.save_episode()
    written.finalize()
    read = Config(str(root)).build()
    np.testing.assert_array_equal(read.episodes[0].points, points)
    assert list(read.problems()) == []
