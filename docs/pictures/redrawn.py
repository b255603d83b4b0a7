"""Real frames, what the paper's own diffusion and a bridge of ours made of them, and pictures of the simulator.

python docs/pictures/redrawn.py runs/autodrive_gap docs/pictures/redrawn.png
"""

import sys
from pathlib import Path

import numpy as np
import strips

from causeway import crossing, finished, redraw, run, running

ARMS = {
    "published diffusion": "published-s0",
    "adain_steady": "adain_steady-s0",
    "latents_freer_steady": "latents_freer_steady-s0",
}
PLACES = np.array([20, 75, 130, 190, 250])
BEFORE = 4  # frames that each is redrawn after


def main(study: Path, to: Path) -> None:
    first = run.open_run(study / "adain_steady-s0")
    ours, theirs = crossing.between(first.experiment.gap, "source", *running.domains(first))
    rows = {"real": ours.frames[ours.rows[PLACES]]}
    shown = np.unique(PLACES[:, None] - np.arange(BEFORE))
    for name, folder in ARMS.items():
        redrawn = redraw.through(finished.bridge_of(study / folder), ours.select(shown))
        rows[name] = redrawn[np.searchsorted(shown, PLACES)]
    rows["simulator"] = theirs.frames[theirs.rows[:: len(theirs) // len(PLACES)][: len(PLACES)]]
    strips.save(rows, to)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
