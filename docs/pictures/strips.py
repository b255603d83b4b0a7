"""Rows of pictures beside their names, for the pictures of the documents."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

MARGIN, GAP = 130, 4  # pixels, for names and between rows


def save(rows: Mapping[str, NDArray[np.uint8]], to: Path, scale: int = 1) -> None:
    """Each row is of the first camera of (N, V, 3, H, W), drawn ``scale`` times as large."""
    count, _, _, height, width = next(iter(rows.values())).shape
    size = scale * width * count, scale * height
    page = Image.new("RGB", (MARGIN + size[0], (size[1] + GAP) * len(rows)), "white")
    for number, (name, frames) in enumerate(rows.items()):
        top = number * (size[1] + GAP)
        ImageDraw.Draw(page).text((6, top + size[1] // 2 - 6), name, fill="black")
        strip = Image.fromarray(np.concatenate(frames[:, 0].transpose(0, 2, 3, 1), 1))
        page.paste(strip.resize(size, Image.Resampling.NEAREST), (MARGIN, top))
    page.quantize(200).save(to, optimize=True)
