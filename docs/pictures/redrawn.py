"""Real frames, what the paper's own diffusion and a bridge of ours made of them, and pictures of the simulator.

python docs/pictures/redrawn.py runs/autodrive_gap docs/pictures/redrawn.png
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from causeway import crossing, finished, redraw, run, running

ARMS = {"published diffusion": "published-s0", "adain_steady": "adain_steady-s0", "latents_steady": "latents_steady-s0"}
PLACES = np.array([20, 75, 130, 190, 250])
BEFORE = 4  # frames that each is redrawn after
MARGIN = 130  # pixels for names


def main(study: Path, to: Path) -> None:
    first = run.open_run(study / "adain_steady-s0")
    ours, theirs = crossing.between(first.experiment.gap, "source", *running.domains(first))
    rows = {"real": ours.frames[ours.rows[PLACES]]}
    shown = np.unique(PLACES[:, None] - np.arange(BEFORE))
    for name, folder in ARMS.items():
        redrawn = redraw.through(finished.bridge_of(study / folder), ours.select(shown))
        rows[name] = redrawn[np.searchsorted(shown, PLACES)]
    rows["simulator"] = theirs.frames[theirs.rows[:: len(theirs) // len(PLACES)][: len(PLACES)]]
    height, width = ours.frames.shape[3:]
    page = Image.new("RGB", (MARGIN + width * len(PLACES), (height + 4) * len(rows)), "white")
    for number, (name, frames) in enumerate(rows.items()):
        top = number * (height + 4)
        ImageDraw.Draw(page).text((6, top + height // 2 - 6), name, fill="black")
        page.paste(Image.fromarray(np.concatenate(frames[:, 0].transpose(0, 2, 3, 1), 1)), (MARGIN, top))
    page.quantize(200).save(to, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
