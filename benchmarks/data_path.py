"""What a training batch costs: from the cache of decoded frames, from JPEG files, and from a film.

python benchmarks/data_path.py --data ../shared/data

Every way gives the same 64 random moments as (64, 1, 3, 64, 96) uint8, one thread, files warm in the page cache. The
second table reads a cache three times as large as the memory the process is allowed (RLIMIT_DATA, which counts its
anonymous memory; pages of a mapped file are the kernel's to drop, so they do not count).
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from causeway import recorder
from causeway.cache import Crop, cached, fit, moments
from causeway.data import Moments
from causeway.datasets import _disk, donkey, lerobot

BATCH, HEIGHT, WIDTH, SECONDS = 64, 64, 96, 4.0
BUDGET = 256 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds donkey_sim")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return measure_memory(arguments.child)
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments.data, Path(folder))
        command = [sys.executable, __file__, "--data", str(arguments.data), "--child", folder]
        subprocess.run(command, check=True)


def compare(data: Path, folder: Path) -> None:
    drive = donkey.Config(str(data / "donkey_sim"), select="lap_001").build()
    started = time.perf_counter()
    frames = cached(drive, HEIGHT, WIDTH, Crop(), folder)
    made_s = time.perf_counter() - started
    started = time.perf_counter()
    film = lerobot.Config(str(recorder.copy(drive, folder / "film", pictures="video"))).build()
    filmed_s = time.perf_counter() - started
    recorded = moments(drive, frames, horizon=8)
    files = [file for files in drive._files for file in files]
    mp4 = Path(film.root) / "videos/observation.images.front/chunk-000/file-000.mp4"
    ways = {
        "causeway cache": lambda rows: recorded.take(rows).images.numpy(),
        "JPEG files, Pillow": lambda rows: from_jpeg(files, rows),
        "h264 film, PyAV (kept open, seeking)": Film(mp4, film.rate_hz).take,
    }
    sizes = [frames.nbytes, sum(file.stat().st_size for file in files), mp4.stat().st_size]
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {len(recorded)} frames of donkey_sim;")
    print(f"the cache was made in {made_s:.1f} s, the film in {filmed_s:.1f} s\n")
    print("| batches of 64 at 64x96 from | ms a batch (median) | frames/s | times the cache's | MB on disk |")
    print("|---|---|---|---|---|")
    base = None
    for (name, take), size in zip(ways.items(), sizes):
        took = median_s(take, len(recorded))
        base = base or took
        print(f"| {name} | {took * 1e3:.2f} | {BATCH / took:,.0f} | {took / base:.0f} | {size / 2**20:.0f} |")


def median_s(take: Callable[[np.ndarray], np.ndarray], count: int) -> float:
    took: list[float] = []
    while len(took) < 5 or (sum(took) < SECONDS and len(took) < 2000):
        rows = np.random.default_rng((0, len(took))).integers(count, size=BATCH)
        started = time.perf_counter()
        assert take(rows).shape == (BATCH, 1, 3, HEIGHT, WIDTH)
        took.append(time.perf_counter() - started)
    return float(np.median(took[1:]))


def from_jpeg(files: list[Path], rows: np.ndarray) -> np.ndarray:
    images = [fit(_disk.picture(files[row]), HEIGHT, WIDTH, Crop()) for row in rows]
    return np.stack(images).transpose(0, 3, 1, 2)[:, None]


class Film:
    """Random pictures of one mp4 that stays open."""

    def __init__(self, path: Path, rate_hz: float) -> None:
        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        self._rate_hz = rate_hz
        self._reformat = VideoReformatter().reformat

    def take(self, rows: np.ndarray) -> np.ndarray:
        images = [fit(self._picture(int(row)), HEIGHT, WIDTH, Crop()) for row in rows]
        return np.stack(images).transpose(0, 3, 1, 2)[:, None]

    def _picture(self, row: int) -> np.ndarray:
        self._container.seek(int(row / self._rate_hz * av.time_base))
        for frame in self._container.decode(self._stream):
            if frame.time * self._rate_hz > row - 0.5:
                return self._reformat(frame, format="rgb24").to_ndarray()
        raise ValueError(f"no picture {row}")


def measure_memory(folder: Path) -> None:
    """Random batches from a cache three times the memory allowed."""
    count = 3 * BUDGET // (3 * HEIGHT * WIDTH)
    path = folder / "large.frames"
    with open(path, "wb") as file:
        for _ in range(count // 1024 + 1):
            file.write(np.random.default_rng(0).bytes(1024 * 3 * HEIGHT * WIDTH))
    frames = np.memmap(path, np.uint8, mode="r", shape=(count, 1, 3, HEIGHT, WIDTH))
    zeros = np.zeros((count, 2), np.float32)
    every = np.arange(count)
    recorded = Moments(frames, zeros[:, :0], zeros, every // 1000, every / 10, every, 8, (), ("steering", "throttle"))
    limit = status("VmData") + BUDGET
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    before, peak, started = status("RssAnon"), 0, time.perf_counter()
    for step in range(1000):
        rows = np.random.default_rng((0, step)).integers(count, size=BATCH)
        assert len(recorded.take(rows)) == BATCH
        peak = max(peak, status("RssAnon") - before)
    took = time.perf_counter() - started
    try:
        np.array(frames)
        whole = "fits (the limit did not hold)"
    except MemoryError:
        whole = "MemoryError"
    print("\n| cache | memory allowed | read at random | peak anonymous memory | frames/s | all of it in memory |")
    print("|---|---|---|---|---|---|")
    sizes = (
        f"{frames.nbytes >> 20} MB | {BUDGET >> 20} MB | {64_000 * 3 * HEIGHT * WIDTH >> 20} MB | {peak / 2**20:.1f} MB"
    )
    print(f"| {sizes} | {64_000 / took:,.0f} | {whole} |")


def status(name: str) -> int:
    """Bytes, from /proc/self/status."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
