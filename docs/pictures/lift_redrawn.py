"""Simulated pictures of a robot arm, what bridges make of them, and pictures of the look that they are to have.

python docs/pictures/lift_redrawn.py runs/manipulation_redraw docs/pictures/lift_redrawn.png
"""

import sys
from pathlib import Path

import numpy as np
import strips

from causeway import finished, redraw, run, running

ARMS = {"colors": "to_colors-s0", "fourier": "to_fourier-s0", "adain": "to_adain-s0"}
COUNT, SCALE = 7, 2


def main(study: Path, to: Path) -> None:
    sides = running.domains(run.open_run(study / "to_colors-s0"))
    few = [side.unlabelled.select(np.linspace(0, len(side.unlabelled) - 1, COUNT).astype(int)) for side in sides]
    ours, theirs = (each.frames[each.rows] for each in few)
    redrawn = {name: redraw.through(finished.bridge_of(study / folder), few[0]) for name, folder in ARMS.items()}
    rows = {"simulation": ours, **redrawn, "other look": theirs}
    strips.save(rows, to, SCALE)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
