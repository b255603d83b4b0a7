"""Recordings on disk. One file per format.

A dataset's Config has ``root: str`` and ``build() -> Dataset``. Building reads labels and structure and refuses what is
wrong; pictures are decoded later, one at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Episode:
    """One uninterrupted recording of N moments."""

    name: str
    time_s: NDArray[np.float64]  # (N,) since its start, ascending
    state: NDArray[np.float32]  # (N, S)
    actions: NDArray[np.float32] | None  # (N, A); None when nobody demonstrated
    task: str = "drive"

    def __len__(self) -> int:
        return len(self.time_s)


class Dataset(ABC):
    """Episodes with the same cameras, rate, state and actions."""

    root: str
    cameras: tuple[str, ...]  # V names
    rate_hz: float
    state_names: tuple[str, ...]  # S names
    action_names: tuple[str, ...]  # A names
    episodes: tuple[Episode, ...]

    @abstractmethod
    def frames(self, episode: int, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """The pictures of an episode in order, from moment ``start`` on: each (V, H, W, 3) RGB."""

    @abstractmethod
    def problems(self) -> Iterator[str]:
        """Everything that is wrong on disk, a sentence each, naming the episode or file; reads every picture."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A word that changes when the recordings on disk change: names, sizes and times of the files, not pixels."""
