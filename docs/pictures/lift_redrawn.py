"""Simulated pictures of a robot arm, what bridges make of them, and pictures of the look that they are to have.

python docs/pictures/lift_redrawn.py runs/manipulation_redraw docs/pictures/lift_redrawn.png
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from causeway import finished, redraw, run, running

ARMS = {"colors": "to_colors-s0", "fourier": "to_fourier-s0", "adain": "to_adain-s0"}
COUNT, SCALE, MARGIN = 7, 2, 90


def main(study: Path, to: Path) -> None:
    sides = running.domains(run.open_run(study / "to_colors-s0"))
    few = [side.unlabelled.select(np.linspace(0, len(side.unlabelled) - 1, COUNT).astype(int)) for side in sides]
    ours, theirs = (each.frames[each.rows] for each in few)
    redrawn = {name: redraw.through(finished.bridge_of(study / folder), few[0]) for name, folder in ARMS.items()}
    rows = {"simulation": ours, **redrawn, "other look": theirs}
    height, width = (SCALE * side for side in ours.shape[3:])
    page = Image.new("RGB", (MARGIN + width * COUNT, (height + 4) * len(rows)), "white")
    for number, (name, frames) in enumerate(rows.items()):
        top = number * (height + 4)
        ImageDraw.Draw(page).text((6, top + height // 2 - 6), name, fill="black")
        strip = Image.fromarray(np.concatenate(frames[:, 0].transpose(0, 2, 3, 1), 1))
        page.paste(strip.resize((width * COUNT, height), Image.Resampling.NEAREST), (MARGIN, top))
    page.quantize(200).save(to, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
