"""Draw the tasks of robosuite in their two looks (needs its environment: docs/manipulation.md).

python docs/pictures/arms.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from causeway.simulators.robosuite import Config

TASKS = {"Lift": 14, "Stack": 40, "PickPlaceCan": 30, "NutAssemblySquare": 22, "Door": 30}  # and steps of the expert


def main() -> None:
    figure = plt.figure(figsize=(11, 4.9), dpi=70)
    for row, preset in enumerate(("source", "target")):
        axes = figure.add_subplot(2, 1, row + 1)
        axes.imshow(np.concatenate([seen(task, preset, steps) for task, steps in TASKS.items()], 1))
        axes.set_title(f"robosuite, {preset}: " + ", ".join(TASKS), fontsize=10, loc="left")
        axes.axis("off")
    figure.savefig(Path(__file__).parent / "arms.png", bbox_inches="tight")


def seen(task: str, preset: str, steps: int) -> np.ndarray:
    """What the camera in the room sees when the expert has done ``steps`` of a task."""
    worlds = Config(task=task, preset=preset, cameras=("agentview",), height=224, width=224).build(1)  # type: ignore[arg-type]
    observation, _ = worlds.reset(seed=[3])
    for _ in range(steps):
        observation, *_ = worlds.step(worlds.expert())
    picture = observation["images"][0, 0].transpose(1, 2, 0)
    worlds.close()
    return picture


if __name__ == "__main__":
    main()
