"""How long pairing takes: 1,000 source and 25 target episodes of 200 steps with 7 joints, on two threads.

python benchmarks/pairs.py
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from causeway.datasets import Dataset, Episode
from causeway.pairs import pair

STEPS, JOINTS = 200, 7


class Walks(Dataset):
    """Random walks of a robot's joints."""

    rate_hz, cameras, action_names = 20.0, ("front",), ()
    state_names = tuple(f"joint_{i}" for i in range(JOINTS))

    def __init__(self, count: int, seed: int):
        self.root, rng = f"walks-{seed}", np.random.default_rng(seed)
        states = rng.normal(size=(count, STEPS, JOINTS)).cumsum(1).astype(np.float32)
        time_s = np.arange(STEPS) / self.rate_hz
        self.episodes = tuple(Episode(f"e{i}", time_s, state, None) for i, state in enumerate(states))

    def decoded(self, episode: int, start: int) -> Iterator[NDArray[np.uint8]]:
        raise NotImplementedError

    def fingerprint(self) -> str:
        return self.root


def main() -> None:
    sources = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        for jobs in (1, 2):
            began = time.perf_counter()
            count = pair(Walks(sources, 0), Walks(25, 1), Path(folder) / "pairs.parquet", jobs=jobs)
            took = time.perf_counter() - began
            size = (Path(folder) / "pairs.parquet").stat().st_size / 1e6
            print(f"{count:,} pairs of {STEPS} x {STEPS} steps, {jobs} threads: {took:.1f} s, a file of {size:.0f} MB")


if __name__ == "__main__":
    main()
