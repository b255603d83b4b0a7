"""Decode once: the frames of a dataset, cropped and resized, in one file that training reads at random."""

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .data import Moments
from .datasets import Dataset, sizes
from .disk import exclusive, reserve, room_in
from .errors import ConfigError, DataError
from .progress import counted, say_once

VERSION = 3  # of how pictures are fitted; raising it makes every cache anew
PART = 256  # frames one thread decodes in one go
THREADS = 4
ALIKE = 0.05  # share by which shapes of pictures may differ and count as one
FARTHEST_M = 1000.0  # a point of a cloud can be away from the robot: half precision is a quarter of a metre off there


@dataclass(frozen=True)
class Crop:
    """What is cut off a picture before it is resized, as shares of its height and width."""

    top: float = 0.0  # e.g. 0.4 cuts off the sky
    bottom: float = 0.0  # e.g. the bonnet
    left: float = 0.0
    right: float = 0.0

    def __post_init__(self) -> None:
        for one, other in (("top", "bottom"), ("left", "right")):
            a, b = getattr(self, one), getattr(self, other)
            if a < 0 or b < 0 or a + b >= 1:
                raise ConfigError(
                    f"crop: {one} and {other} are shares of the picture and must leave some, not {a}, {b}."
                )

    def box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Left, upper, right and lower edge in pixels; fractions of a pixel are kept."""
        return self.left * width, self.top * height, (1 - self.right) * width, (1 - self.bottom) * height


class _Part(NamedTuple):
    episode: int
    start: int  # within the episode
    stop: int
    row: int  # of the file


def fit(image: NDArray[np.uint8], height: int, width: int, crop: Crop) -> NDArray[np.uint8]:
    """``image`` (H, W, 3) cropped and resized to (height, width, 3): by area when it shrinks, bilinearly else."""
    box = crop.box(*image.shape[:2])
    if image.shape[:2] == (height, width) and crop == Crop():
        return image
    shrinks = box[2] - box[0] >= width and box[3] - box[1] >= height
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    left, upper = math.floor(box[0]), math.floor(box[1])  # what is cut off must not shine in where the picture grows
    kept = Image.fromarray(image[upper : math.ceil(box[3]), left : math.ceil(box[2])])
    inner = (box[0] - left, box[1] - upper, box[2] - left, box[3] - upper)
    return np.asarray(kept.resize((width, height), method, box=inner))


def remaining(dataset: Dataset, crop: Crop) -> tuple[float, float]:
    """The height and width in pixels of what ``crop`` leaves of the dataset's first picture."""
    left, upper, right, lower = crop.box(*next(dataset.frames(0)).shape[1:3])
    return lower - upper, right - left


def cached(
    dataset: Dataset, height: int, width: int, crop: Crop, folder: Path, rows: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """All frames of ``dataset`` in order, (M, V, 3, height, width), as a map of a file that may exceed memory.

    The file ``folder/KEY.frames`` is made once for each (fingerprint, size, crop); beside it ``KEY.json`` says what it
    is. It counts only when both are there and whole: a killed build is begun again. While one process makes it, others
    wait. Of some ascending ``rows`` alone, unless all are there already, a file is made in which the others are black
    and take no room. Raises DataError for a picture that cannot be read, or when the disk is full, ConfigError for a
    ``folder`` in the recordings.
    """
    refuse_within(dataset.root, folder)
    shape = (sum(len(episode) for episode in dataset.episodes), len(dataset.cameras), 3, height, width)
    if not shape[0]:
        raise DataError(f"{dataset.root} holds no moments.")
    said = {"fingerprint": dataset.fingerprint(), "shape": list(shape), "crop": str(crop), "version": VERSION}
    frames, label = _files(folder, said)
    if rows is not None and len(rows) == shape[0]:
        rows = None
    if rows is not None and not _whole(frames, label, shape):
        said["rows"] = hashlib.sha256(rows.tobytes()).hexdigest()
        frames, label = _files(folder, said)
    if not _whole(frames, label, shape):
        with room_in(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with exclusive(frames.with_suffix(".lock"), wait=True):
                if not _whole(frames, label, shape):
                    said["sizes"] = _make(dataset, shape, crop, frames, rows)
                    temporary = label.with_suffix(".json.partial")
                    temporary.write_text(json.dumps({**said, "root": dataset.root}, indent=2), encoding="utf-8")
                    os.replace(temporary, label)
    _tell_shapes(dataset.root, json.loads(label.read_text(encoding="utf-8"))["sizes"], height, width)
    return np.memmap(frames, np.uint8, mode="r", shape=shape)


def refuse_within(root: str, folder: Path) -> None:
    """What is written among recordings would be taken for some of them. Raises ConfigError."""
    ours, theirs = Path(root).resolve(), folder.resolve()
    if ours == theirs or ours in theirs.parents:
        raise ConfigError(f"The cache {folder} lies in the recordings {root}: name another by --cache.")


def _tell_shapes(root: str, found: Mapping[str, int], height: int, width: int) -> None:
    """Where pictures of several shapes were brought to one: some were stretched."""
    shapes = [int(wide) / int(high) for wide, high in (size.split("x") for size in found)]
    if max(shapes) > (1 + ALIKE) * min(shapes):
        listed = ", ".join(f"{count} of {size}" for size, count in Counter(found).most_common(3))
        more = f" and {len(found) - 3} other sizes" if len(found) > 3 else ""
        say_once(f"{root} holds pictures of several shapes ({listed}{more}): some are stretched to {width}x{height}.")


def moments(dataset: Dataset, frames: NDArray[np.uint8], horizon: int, history: int = 1) -> Moments:
    """Every moment of ``dataset`` over its cached ``frames``."""
    episodes = dataset.episodes
    lengths = [len(episode) for episode in episodes]
    actions = [episode.actions for episode in episodes if episode.actions is not None]
    return Moments(
        frames=frames,
        state=np.concatenate([episode.state for episode in episodes]),
        actions=np.concatenate(actions) if len(actions) == len(episodes) else None,
        episode=np.repeat(np.arange(len(episodes)), lengths),
        time_s=np.concatenate([episode.time_s for episode in episodes]),
        rows=np.arange(sum(lengths)),
        horizon=horizon,
        state_names=dataset.state_names,
        action_names=dataset.action_names,
        episode_names=tuple(episode.name for episode in episodes),
        history=history,
        points=_clouds(dataset),
        cameras=dataset.cameras,
    )


def _clouds(dataset: Dataset) -> NDArray[np.float16] | None:
    """The point cloud of every moment, (M, P, 3), in memory: 123 MB for 80,000 clouds of 256 points."""
    if not dataset.points:
        return None
    clouds = [episode.points for episode in dataset.episodes if episode.points is not None]
    far = max(float(np.abs(cloud).max()) for cloud in clouds)
    if far > FARTHEST_M:
        raise DataError(f"{dataset.root}: a point lies {far:g} m away. Crop clouds to what can be reached, in metres.")
    return np.concatenate(clouds, dtype=np.float16)


def _files(folder: Path, said: dict[str, Any]) -> tuple[Path, Path]:
    """Where the frames that are ``said`` lie, and where that is said."""
    key = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
    return folder / f"{key}.frames", folder / f"{key}.json"


def _whole(frames: Path, label: Path, shape: tuple[int, ...]) -> bool:
    return label.is_file() and frames.is_file() and frames.stat().st_size == int(np.prod(shape))


def _make(
    dataset: Dataset, shape: tuple[int, ...], crop: Crop, frames: Path, rows: NDArray[np.int64] | None
) -> Counter[str]:
    """Write the ``frames``; how many pictures had which size, as width x height."""
    found: Counter[str] = Counter()
    partial = frames.with_suffix(".frames.partial")
    file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        if rows is None:
            reserve(file, int(np.prod(shape)))
        else:
            os.truncate(file, int(np.prod(shape)))
        wanted = np.arange(shape[0]) if rows is None else rows
        with counted(f"decoding {dataset.root}", len(wanted), "frames") as advance, ThreadPoolExecutor(THREADS) as pool:
            jobs = [pool.submit(_decode, dataset, part, shape, crop, file) for part in _parts(dataset, wanted)]
            try:
                for job in as_completed(jobs):
                    found += job.result()
                    advance(job.result().total() // shape[1])
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        os.replace(partial, frames)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)
    return found


def _parts(dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[_Part]:
    """The unbroken stretches of ``rows``, none of two episodes or longer than PART."""
    before = 0
    for number, episode in enumerate(dataset.episodes):
        own = rows[slice(*np.searchsorted(rows, (before, before + len(episode))))]
        for run in np.split(own, np.flatnonzero(np.diff(own) > 1) + 1):
            for part in (run[start : start + PART] for start in range(0, len(run), PART)):
                start = int(part[0]) - before
                yield _Part(number, start, start + len(part), int(part[0]))
        before += len(episode)


def _decode(dataset: Dataset, part: _Part, shape: tuple[int, ...], crop: Crop, file: int) -> Counter[str]:
    """Write the frames of a ``part``; how many pictures had which size."""
    height, width = shape[-2:]
    count = part.stop - part.start
    found: Counter[str] = Counter()
    for row, views in enumerate(islice(dataset.frames(part.episode, part.start), count), part.row):
        moment = np.stack([fit(image, height, width, crop).transpose(2, 0, 1) for image in views])
        os.pwrite(file, moment.tobytes(), row * moment.nbytes)
        found += sizes(views)
    return found
