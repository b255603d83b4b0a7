"""A committed table as Markdown: arms down, points of the sweep across, or, where there is but one, metrics.

python docs/results/table.py docs/results/donkey.csv correlation
python docs/results/table.py docs/results/manipulation.csv covered uncovered
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, str]
APART = ("difference", "difference_low", "difference_high")


def main() -> None:
    path, *metrics = sys.argv[1:]
    with open(Path(path), encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] in metrics]
    points = list(dict.fromkeys(row["point"] for row in rows))
    if len(points) == 1:
        return beside(rows, metrics)
    points.sort(key=lambda point: float(point.split("=")[1].replace("all", "inf")) if "=" in point else 0)
    print("| arm | " + " | ".join(points) + " |")
    print("|---" * (len(points) + 1) + "|")
    for arm in dict.fromkeys(row["arm"] for row in rows):
        cells = {row["point"]: cell(row) for row in rows if row["arm"] == arm}
        print(f"| {arm} | " + " | ".join(cells.get(point, "") for point in points) + " |")


def beside(rows: Sequence[Row], metrics: Sequence[str]) -> None:
    """The metrics side by side; of the last one the difference to the baseline and each seed too."""
    print("| arm | seeds | " + " | ".join(metrics) + " | difference | by seed |")
    print("|---" * (len(metrics) + 4) + "|")
    for arm in dict.fromkeys(row["arm"] for row in rows):
        own = {row["metric"]: row for row in rows if row["arm"] == arm}
        last, cells = own[metrics[-1]], [cell(own[metric]) for metric in metrics]
        apart = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*(float(last[key]) for key in APART)) if last["difference"] else ""
        seeds = " ".join(f"{float(value):.2f}".lstrip("0") for value in last["by_seed"].split())
        print(f"| {arm} | {last['seeds']} | " + " | ".join(cells) + f" | {apart} | {seeds} |")


def cell(row: Row) -> str:
    """Value, interval, and an arrow where the interval of the difference to the baseline leaves out 0."""
    value, low, high = (float(row[key]) for key in ("value", "low", "high"))
    sign = {"better": " ▲", "worse": " ▼"}.get(row["verdict"], "")
    return f"{value:.3f} [{low:.3f}, {high:.3f}]{sign}"


if __name__ == "__main__":
    main()
