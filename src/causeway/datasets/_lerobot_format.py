"""The LeRobot dataset format v3.0: names, paths and statistics, for the one who reads and the one who writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = "v3.0"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
NUMBERED = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES = f"meta/episodes/{NUMBERED}.parquet"
DATA = f"data/{NUMBERED}.parquet"
VIDEOS = f"videos/{{video_key}}/{NUMBERED}.mp4"
CAMERA, STATE, POINTS, ACTION = "observation.images.", "observation.state", "observation.points", "action"
PICTURE_AXES = ("height", "width", "channels")
FILES_PER_CHUNK = 1000
TASK_COLUMN = "__index_level_0__"  # how pandas names the unnamed index in which LeRobot keeps the sentences
NAME_COLUMN = "name"  # ours, beside LeRobot's: where an episode comes from

COUNTERS = {  # every dataset holds these; one number each
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

Statistics = dict[str, NDArray[Any]]  # "min", "max", "mean", "std", "count", "q01"...
Feature = dict[str, Any]  # dtype, shape, names


def names_of(feature: Feature, key: str) -> tuple[str, ...]:
    """The names of a vector's numbers; LeRobot datasets hold a list, a table of lists, or nothing."""
    names = feature.get("names")
    if isinstance(names, dict):
        lists = [value for value in names.values() if isinstance(value, list)]
        names = lists[0] if len(lists) == 1 else list(names)
    width = int(np.prod(feature["shape"]))
    if not isinstance(names, list) or len(names) != width:
        return tuple(f"{key}_{i}" for i in range(width))
    return tuple(str(name) for name in names)


def size_of(feature: Feature) -> tuple[int, int]:
    """Height and width of a camera's pictures."""
    shape, names = list(feature["shape"]), feature.get("names")
    first = names[0] if isinstance(names, list) and names else PICTURE_AXES[0]
    height, width = shape[1:] if str(first).startswith("channel") else shape[:2]
    return int(height), int(width)


def earlier_version(root: Path) -> str:
    """Which early layout of arrow and mp4 files lies at ``root``, "" when none does."""
    if not (root / "meta_data").is_dir() or not any(root.glob("train/*.arrow")):
        return ""
    try:
        version = json.loads((root / "meta_data/info.json").read_text(encoding="utf-8"))["codebase_version"]
    except (OSError, ValueError, KeyError, TypeError):  # TypeError: it holds no object
        return "v1 or before (arrow and mp4 files)"
    return f"{version} (arrow and mp4 files)"


def statistics(values: NDArray[Any]) -> Statistics:
    """Over the N moments of ``values`` (N,), (N, D) or (N, P, D): min, max, mean, std and quantiles, (D,) each."""
    count = len(values)
    values = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    numbers = values.astype(np.float64)
    spread = {name: np.quantile(numbers, share, axis=0) for name, share in QUANTILES.items()}
    ends = {"min": values.min(axis=0), "max": values.max(axis=0)}
    return {
        **ends,
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([count]),
        **spread,
    }


def merged(one: Statistics, other: Statistics) -> Statistics:
    """The statistics of two sets together; quantiles are averaged by count, as LeRobot does."""
    counts = np.array([one["count"][0], other["count"][0]], np.float64)
    share, rest = counts / counts.sum()
    mean = share * one["mean"] + rest * other["mean"]
    variance = share * (one["std"] ** 2 + (one["mean"] - mean) ** 2)
    variance += rest * (other["std"] ** 2 + (other["mean"] - mean) ** 2)
    return {
        "min": np.minimum(one["min"], other["min"]),
        "max": np.maximum(one["max"], other["max"]),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": one["count"] + other["count"],
        **{name: share * one[name] + rest * other[name] for name in QUANTILES},
    }


class Colours:
    """Statistics of one camera over an episode, from the histogram of a sample of its pictures."""

    def __init__(self, length: int) -> None:
        count = max(min(100, length), min(int(length**0.75), 10_000))  # as many as LeRobot takes
        self._chosen = set(np.linspace(0, length - 1, count).round().astype(int).tolist())
        self._histogram = np.zeros((3, 256), np.int64)

    def add(self, number: int, image: NDArray[np.uint8]) -> None:
        """Picture ``number`` of the episode, (H, W, 3); large ones are thinned."""
        if number in self._chosen:
            step = max(1, max(image.shape[:2]) // 150) if max(image.shape[:2]) >= 300 else 1
            for channel, counts in enumerate(self._histogram):
                counts += np.bincount(image[::step, ::step, channel].ravel(), minlength=256)

    def statistics(self) -> Statistics:
        """(3, 1, 1) each, in 0..1."""
        level = np.arange(256)
        share = self._histogram / self._histogram.sum(axis=1, keepdims=True)
        mean = share @ level
        below = share.cumsum(axis=1)
        numbers = {
            "min": np.array([row.nonzero()[0][0] for row in share]),
            "max": np.array([row.nonzero()[0][-1] for row in share]),
            "mean": mean,
            "std": np.sqrt((share * (level - mean[:, None]) ** 2).sum(axis=1)),
            **{name: np.array([np.searchsorted(row, at - 1e-9) for row in below]) for name, at in QUANTILES.items()},
        }
        scaled: Statistics = {name: value.reshape(3, 1, 1) / 255 for name, value in numbers.items()}
        return {**scaled, "count": np.array([len(self._chosen)])}
