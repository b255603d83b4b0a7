"""How fast each bridge redraws, and how large it is: pictures of 256 x 144, one at a time and eight at once.

    python benchmarks/bridges.py [--threads 2] [--weights ../shared/weights]

Bridges have random weights, which are as fast as others. `small` needs a tiny autoencoder's folder for its real size.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

from causeway import config
from causeway.bridges import Bridge

SHAPE = (1, 3, 144, 256)
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


def rate(bridge: Bridge, batch: int, seconds: float = 2.0) -> float:
    """Pictures a second of a clip, the median of five runs."""
    images = torch.randint(0, 255, (batch, *SHAPE), dtype=torch.uint8)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    print(f"Pictures a second, {asked.threads} threads:\n")
    print("| bridge | weights | 1 at a time | 8 at once |\n|---|---|---|---|")
    for name in NAMES:
        settings = dict(SETTINGS.get(name, {}))
        if name == "small" and asked.weights:
            settings["autoencoder"] = str(asked.weights / "taef2")
        torch.manual_seed(0)
        bridge = config.component("bridge", {"name": name} | settings).build().eval()
        size = sum(value.numel() for value in bridge.state_dict().values()) / 1e6
        print(f"| {name} | {size:.2f} M | {rate(bridge, 1):.1f} | {rate(bridge, 8):.1f} |", flush=True)


if __name__ == "__main__":
    main()
