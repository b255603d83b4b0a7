"""Each reads what the other has written: causeway and the lerobot package."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causeway.datasets.lerobot import Config
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
