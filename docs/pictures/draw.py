"""Draw the pictures of the README from committed tables and a data folder.

python docs/pictures/draw.py --data ../shared/data
"""

import argparse
import csv
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from causeway import config
from causeway.simulators import lanes

HERE = Path(__file__).parent
ORDER = ["motion", "transport", "cotraining", "finetuned", "target_only", "ridge", "source_only"]
COLOURS = dict(zip(ORDER, ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#999999", "#E69F00", "#333333"]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    figure = plt.figure(figsize=(11, 4.6), dpi=110)
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1], wspace=0.12, hspace=0.22)
    strip(figure.add_subplot(grid[0, 0]), donkey(data / "donkey_sim"), "simulation: labels for free", rows=2)
    strip(figure.add_subplot(grid[1, 0]), donkey(data / "donkey_real", "t3"), "reality: where it has to work", rows=2)
    labels(figure.add_subplot(grid[:, 1]))
    figure.savefig(HERE / "crossing.png", bbox_inches="tight")
    figure = plt.figure(figsize=(11, 2.9), dpi=100)
    for row, preset in enumerate(("source", "target")):
        strip(figure.add_subplot(2, 1, row + 1), looks(preset), f"lanes, {preset}")
    figure.savefig(HERE / "lanes.png", bbox_inches="tight")


def donkey(root: Path, select: str = "") -> list[np.ndarray]:
    """Six pictures, evenly spread over the recordings."""
    dataset = config.component("dataset", {"name": "donkey", "root": str(root), "select": select}).build()
    chosen = np.linspace(0, len(dataset.episodes) - 1, 6).astype(int)
    return [next(dataset.frames(i, len(dataset.episodes[i]) // 2))[0] for i in chosen]


def looks(preset: str) -> list[np.ndarray]:
    """Six pictures of the simulator, the same episodes in either look."""
    worlds = lanes.Config(preset=preset, height=96, width=144, cars=2).build(6, seed=3)
    seen, _ = worlds.reset(seed=[1, 2, 3, 4, 5, 6])
    for _ in range(25):
        seen = worlds.step(worlds.expert())[0]
    return list(seen["images"][:, 0].transpose(0, 2, 3, 1))


def strip(axes: Axes, pictures: list[np.ndarray], title: str, rows: int = 1) -> None:
    """Pictures side by side, in ``rows``."""
    count = len(pictures) // rows
    axes.imshow(np.concatenate([np.concatenate(pictures[i * count : (i + 1) * count], 1) for i in range(rows)]))
    axes.set_title(title, fontsize=10, loc="left")
    axes.axis("off")


def labels(axes: Axes) -> None:
    """Correlation against the number of labels, for the arms a newcomer should see."""
    with open(HERE.parent / "results" / "donkey.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "correlation"]
    points = ["limit=0", "limit=20", "limit=100", "limit=500", "limit=all"]
    for arm in ORDER:
        own = {row["point"]: row for row in rows if row["arm"] == arm}
        x = [points.index(point) for point in points if point in own]
        values, low, high = (np.array([float(own[points[i]][key]) for i in x]) for key in ("value", "low", "high"))
        axes.plot(x, values, "o-", color=COLOURS[arm], label=arm, lw=2.4 if arm == "motion" else 1.3, ms=4)
        if arm in ("motion", "cotraining"):
            axes.fill_between(x, low, high, color=COLOURS[arm], alpha=0.13, lw=0)
    axes.set_xticks(range(5), ["0", "20", "100", "500", "all"])
    axes.set_xlabel("labelled real frames")
    axes.set_title("correlation with the human's steering, unseen recording", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


if __name__ == "__main__":
    main()
