"""A study of two arms, the first of which begins from the second, and how it is planned."""

from pathlib import Path

from causeway.study import Study, plan

EXPERIMENT = """
method = { name = "imitation" }
source = { dataset = { name = "lerobot", root = "{data}/a" } }
target = { dataset = { name = "lerobot", root = "{data}/b" } }
[arms.tuned]
start = "plain"
[arms.plain]
method.target_weight = 0.0
"""


def planned(file: Path, *changes: str) -> Study:
    return plan(file, file.parent / "s", changes, file.parent, file.parent / "cache")
