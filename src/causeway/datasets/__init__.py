"""Recordings on disk. One file per format.

A dataset's Config has ``root: str`` and two ways in, over one and the same reading: ``read() -> Dataset`` keeps what is
wrong in ``faults`` and goes on, ``build() -> Dataset`` is ``read().sound()``, which refuses it. Both read labels and
structure; pictures are decoded later, one at a time. The module's ``recognises(root: Path) -> bool`` says from the
names of the files whether a folder is of its format.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ._nearly import nearly as nearly

OFF_BEAT = 0.2  # share by which the middle step between two moments may differ from what the rate says


@dataclass(frozen=True)
class Episode:
    """One uninterrupted recording of N moments."""

    name: str
    time_s: NDArray[np.float64]  # (N,) since its start, ascending
    state: NDArray[np.float32]  # (N, S)
    actions: NDArray[np.float32] | None  # (N, A); None when nobody demonstrated
    task: str = "drive"
    points: NDArray[np.float32] | None = None  # (N, P, 3) metres in the robot's frame; None without depth cameras

    def __len__(self) -> int:
        return len(self.time_s)


class Fault(Exception):
    """One thing wrong with a recording, without the root and the full stop. Users meet it as a DataError."""

    def __init__(self, sentence: str, onward: bool = False):
        super().__init__(sentence)
        self.onward = onward  # whether the rest of the episode cannot be read either


def existing(root: str) -> Path:
    """The folder ``root``. Raises DataError when there is none, before anything is said of what it should hold."""
    path = Path(root)
    if not path.exists():
        raise DataError(f"There is no folder {root}.")
    if not path.is_dir():
        raise DataError(f"{root} is a file, not a folder.")
    return path


class Dataset(ABC):
    """Episodes with the same cameras, rate, state and actions."""

    root: str
    cameras: tuple[str, ...]  # V names
    rate_hz: float
    state_names: tuple[str, ...]  # S names
    action_names: tuple[str, ...]  # A names
    episodes: tuple[Episode, ...]
    points: int = 0  # P, points of the cloud that each moment of every episode holds; 0 for none
    sizes: Counter[str]  # how many pictures of each width x height ``problems`` met
    faults: tuple[str, ...] = ()  # what reading labels and structure found wrong, without the root and the full stop

    def sound(self) -> Self:
        """This dataset, if reading it found nothing wrong. Raises DataError with the first fault and their number."""
        if faults := (*self.faults, *self._off_beat()):
            raise self._refusal(faults[0], others=len(faults) - 1)
        return self

    def frames(self, episode: int, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """The pictures of an episode in order, from moment ``start`` on: each (V, H, W, 3) RGB. Raises DataError."""
        try:
            yield from self._whole(episode, start)
        except Fault as fault:
            raise self._refusal(str(fault)) from fault

    @abstractmethod
    def decoded(self, episode: int, start: int) -> Iterator[NDArray[np.uint8]]:
        """What ``frames`` yields. Raises ``Fault``, in the words of ``faults`` where one of them is the reason."""

    def holds(self) -> set[str]:
        """What no other part of its folder may hold, for this to be a test of what learns from that: its episodes."""
        return {episode.name for episode in self.episodes}

    def encoded(self, episode: int) -> Iterator[tuple[bytes, ...]] | None:
        """The same pictures as the V JPEG or PNG files they are stored in; None when they are not files."""
        return None

    def problems(self) -> Iterator[str]:
        """Everything that is wrong on disk, a sentence each, naming the episode or file; reads every picture."""
        self.sizes = Counter()
        yield from self.faults
        yield from self._off_beat()
        yield from twins(self.episodes)
        said = set(self.faults)
        for number, episode in enumerate(self.episodes):
            start = 0
            while start < len(episode):
                try:
                    for images in self._whole(number, start):
                        self.sizes += sizes(images)
                        start += 1
                except Fault as fault:
                    if str(fault) not in said:
                        yield str(fault)
                    said.add(str(fault))
                    start = len(episode) if fault.onward else start + 1

    @abstractmethod
    def fingerprint(self) -> str:
        """A word that changes when the recordings on disk change: names, sizes and times of the files, not pixels."""

    def _whole(self, number: int, start: int) -> Iterator[NDArray[np.uint8]]:
        """What is ``decoded``, if it is a picture of every camera for each moment."""
        episode, count = self.episodes[number], start
        for images in self.decoded(number, start):
            if len(images) != len(self.cameras):
                said = f"{len(images)} pictures at frame {count}, but {len(self.cameras)} cameras"
                raise Fault(f"episode {episode.name}: {said}", onward=True)
            yield images
            count += 1
        if count < len(episode):
            raise Fault(f"episode {episode.name}: {len(episode)} moments but pictures of only {count}", onward=True)

    def _off_beat(self) -> Iterator[str]:
        if fault := off_beat([episode.time_s for episode in self.episodes], self.rate_hz):
            yield fault

    def _refusal(self, fault: str, others: int = 0) -> DataError:
        more = f" And {others} more." if others else ""
        return DataError(f"{self.root} {fault}.{more} Run: causeway check {self.root}")


def sizes(images: Iterable[NDArray[np.uint8]]) -> Counter[str]:
    """How many of the ``images``, each (H, W, 3), have which width x height."""
    return Counter(f"{image.shape[1]}x{image.shape[0]}" for image in images)


def twins(episodes: Sequence[Episode]) -> Iterator[str]:
    """Names that stand for several episodes: what is chosen, kept back or paired by name is then any of them."""
    for name, count in Counter(episode.name for episode in episodes).items():
        if count > 1:
            yield f"has {count} episodes called '{name}': give each a name of its own"


def off_beat(times_s: Sequence[NDArray[np.float64]], rate_hz: float, share: float = OFF_BEAT) -> str:
    """What is wrong where the middle step of the times of episodes, (N,) each, is not that of ``rate_hz``, give or take
    a ``share``; "" where nothing is. Clocks may stutter, and recordings have scraps: the middle of all is what counts.
    """
    steps = [np.diff(time_s) for time_s in times_s if len(time_s) > 1]
    step = float(np.median(np.concatenate(steps))) if steps else np.nan
    if not step > 0 or abs(step * rate_hz - 1) <= share:
        return ""
    return (
        f"has a rate of {rate_hz:g} Hz, but its time goes on at {1 / step:.4g} Hz: are times in seconds, and is the "
        "rate right?"
    )
