"""How fast each bridge redraws, and how large it is: pictures of 256 x 144, one at a time and eight at once.

    python benchmarks/bridges.py [--threads 2] [--weights ../shared/weights] [--run runs/study/student-s0 ...]

Bridges have random weights, which are as fast as others. `small` needs a tiny autoencoder's folder for its real size.
With --run those that runs left, at their own sizes of pictures, are timed and no others.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from causeway import config, finished, run
from causeway.bridges import Bridge

SIZE = (144, 256)
FINE = {"name": "student", "fold": 2, "width": 32, "blocks": 4}
SETTINGS: dict[str, dict[str, object]] = {
    "student, fold 2": FINE,
    "student, fold 2, steady": {"name": "steady", "bridge": FINE},
    "cut": {"width": 32},
    "cyclegan": {"width": 32},
    "style": {"width": 16},
}
NAMES = (
    "identity",
    "colors",
    "fourier",
    "conditions",
    "student",
    "student, fold 2",
    "student, fold 2, steady",
    "style",
    "cut",
    "cyclegan",
    "small",
)


def rate(bridge: Bridge, batch: int, size: tuple[int, int], seconds: float = 2.0) -> float:
    """Pictures a second of a clip, the median of five runs."""
    images = torch.randint(0, 255, (batch, 1, 3, *size), dtype=torch.uint8)
    found = []
    with torch.inference_mode():
        bridge.along(images)
        for _ in range(5):
            begin, count = time.perf_counter(), 0
            while time.perf_counter() - begin < seconds / 5:
                bridge.along(images)
                count += batch
            found.append(count / (time.perf_counter() - begin))
    return statistics.median(found)


def line(name: str, bridge: Bridge, size: tuple[int, int]) -> str:
    """A row of the table."""
    weights = sum(value.numel() for value in bridge.state_dict().values()) / 1e6
    drawn = f"{rate(bridge, 1, size):.1f} | {rate(bridge, 8, size):.1f}"
    return f"| {name} | {weights:.2f} M | {size[1]}x{size[0]} | {drawn} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--run", type=Path, action="append", default=[])
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print(f"Pictures a second, {asked.threads} threads:\n")
    print("| bridge | weights | pictures | 1 at a time | 8 at once |\n|---|---|---|---|---|")
    for folder in asked.run:
        picture = run.open_run(folder).experiment.picture
        print(line(folder.name, finished.bridge_of(folder).eval(), (picture.height, picture.width)), flush=True)
    for name in () if asked.run else NAMES:
        settings = dict(SETTINGS.get(name, {}))
        if name == "small" and asked.weights:
            settings["autoencoder"] = str(asked.weights / "taef2")
        torch.manual_seed(0)
        bridge = config.component("bridge", {"name": name} | settings).build().eval()
        print(line(name, bridge, SIZE), flush=True)


if __name__ == "__main__":
    main()
