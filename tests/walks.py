"""Recordings of two sides that walk about, to be paired."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from causeway.datasets import Dataset, Episode

Rows = Sequence[Sequence[float]]


class Recorded(Dataset):
    """Episodes in memory: their state row by row, and the state backwards as actions."""

    cameras, rate_hz = ("front",), 10.0

    def __init__(self, *states: Rows, names: tuple[str, ...] = ("x", "y"), actions: bool = True, root: str = "here"):
        self.root, self.state_names = root, names
        self.action_names = tuple(f"next_{name}" for name in names) if actions else ()
        arrays = [np.array(rows, np.float32).reshape(len(rows), len(names)) for rows in states]
        self.episodes = tuple(
            Episode(f"e{i}", np.arange(len(a)) / 10, a, a[::-1] if actions else None) for i, a in enumerate(arrays)
        )

    def decoded(self, episode: int, start: int) -> Iterator[NDArray[np.uint8]]:
        raise NotImplementedError

    def fingerprint(self) -> str:
        return self.root


def walk(seed: int, length: int) -> Rows:
    rows: Rows = np.random.default_rng(seed).normal(size=(length, 2)).cumsum(0).tolist()
    return rows


SOURCE = Recorded(walk(0, 9), walk(1, 4), walk(2, 6), root="sim")
TARGET = Recorded(walk(3, 7), walk(4, 5), root="real")
