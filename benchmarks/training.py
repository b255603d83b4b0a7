"""Does a training step wait for its data? Step time on the cache beside step time on one batch held in memory.

    python benchmarks/training.py --data ../shared/data

Both kinds of step run interleaved in one process on one thread; the ratio of their medians is the result.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from causeway import config, domain
from causeway.cache import Crop
from causeway.data import Domain


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        print("| pictures | ms a step, from the cache | ms a step, one batch in memory | ratio |")
        print("|---|---|---|---|")
        for height, width in ((48, 72), (64, 96)):
            real, held = compare(args.data, Path(folder), height, width, args.steps)
            print(f"| {height}x{width} | {real:.1f} | {held:.1f} | {real / held:.3f} |")


def compare(data: Path, folder: Path, height: int, width: int, steps: int) -> tuple[float, float]:
    """Median milliseconds of a step with batches from the cache, and with one batch in memory."""
    settings = {"name": "donkey", "root": str(data / "donkey_sim"), "actions": ["steering"]}
    dataset = config.component("dataset", settings).build()
    recorded = domain.read("source", dataset, Crop(), domain.Picture(height, width), 1, folder)
    nobody = recorded.select(slice(0, 0))  # type: ignore[arg-type]
    side = Domain("source", recorded, recorded.hidden(), nobody, nobody, nobody, cache=folder)
    torch.manual_seed(0)
    method = config.component("method", {"name": "imitation", "target_weight": 0.5}).build(side, side, seed=0)
    method.prepare()
    optimizer = torch.optim.AdamW(method.parameters(), 1e-4)
    batches = method.batches(0)
    kept = next(batches)
    times: dict[str, list[float]] = {"cache": [], "memory": []}
    for step in range(2 * steps + 4):
        name = ("cache", "memory")[step % 2]
        began = time.perf_counter()
        batch = next(batches) if name == "cache" else kept
        loss = sum(method.cost(batch, 0.5).terms.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= 4:
            times[name].append(1000 * (time.perf_counter() - began))
    return statistics.median(times["cache"]), statistics.median(times["memory"])


if __name__ == "__main__":
    main()
