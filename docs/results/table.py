"""A committed table as Markdown: arms down, points of the sweep across.

python docs/results/table.py docs/results/donkey.csv correlation
"""

import csv
import sys
from pathlib import Path


def main() -> None:
    path, metric = Path(sys.argv[1]), sys.argv[2]
    with open(path, encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == metric]
    points = list(dict.fromkeys(row["point"] for row in rows))
    points.sort(key=lambda point: float(point.split("=")[1].replace("all", "inf")) if "=" in point else 0)
    print("| arm | " + " | ".join(points) + " |")
    print("|---" * (len(points) + 1) + "|")
    for arm in dict.fromkeys(row["arm"] for row in rows):
        cells = {row["point"]: cell(row) for row in rows if row["arm"] == arm}
        print(f"| {arm} | " + " | ".join(cells.get(point, "") for point in points) + " |")


def cell(row: dict[str, str]) -> str:
    """Value, interval, and an arrow where the interval of the difference to the baseline leaves out 0."""
    value, low, high = (float(row[key]) for key in ("value", "low", "high"))
    sign = {"better": " ▲", "worse": " ▼"}.get(row["verdict"], "")
    return f"{value:.3f} [{low:.3f}, {high:.3f}]{sign}"


if __name__ == "__main__":
    main()
