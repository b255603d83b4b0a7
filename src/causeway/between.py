"""Two sets of recordings, how far they lie apart, and how much nearer a bridge or another program brings them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import config, domain, redraw, run
from .cache import Crop
from .data import Moments
from .errors import ConfigError, DataError
from .gap import Comparison, Report, chosen
from .gap import compare as measured

SIZE = domain.Picture(height=144, width=256)  # of pictures that no run says the size of


class Compared(NamedTuple):
    """What was measured, on which pictures."""

    report: Report
    ours: Moments
    theirs: Moments
    redrawn: NDArray[np.uint8] | None  # (N, V, 3, H, W), the moments of ``ours``


@dataclass(frozen=True)
class Asked:
    """What is compared with what, and how."""

    a: domain.Config = field(default_factory=domain.Config)  # what may be redrawn
    b: domain.Config = field(default_factory=domain.Config)  # what it is to look like
    gap: Comparison = field(default_factory=Comparison)
    picture: domain.Picture = SIZE  # of both; a bridge's run says the size itself


def compare(asked: Asked, cache: Path, through: Path | None = None) -> Compared:
    """The gap from a to b, and where ``through`` is the folder of a bridge's run, or of pictures that somebody else
    redrew those of a to, one by one, what is left of it. Raises ConfigError and DataError.
    """
    one = run.open_run(through) if through and (through / "config.toml").exists() else None
    bridge = None if one is None else run.bridge_of(one.folder)
    if one is not None and asked.picture != SIZE and asked.picture != one.experiment.picture:
        size = one.experiment.picture
        raise ConfigError(f"picture: {through} redraws pictures of {size.width}x{size.height}. Leave the size to it.")
    picture = asked.picture if one is None else one.experiment.picture
    tools = config.instruments(asked.gap)
    sides = [_read(name, side, picture, cache) for name, side in (("a", asked.a), ("b", asked.b))]
    ours, theirs = (chosen(side, asked.gap.pictures) for side in sides)
    redrawn = None
    if bridge is not None:
        redrawn = redraw.through(bridge, ours)
    elif through:
        redrawn = _by_another(through, sides[0], picture, cache)[ours.rows]
    return Compared(measured(asked.gap, tools, ours, theirs, redrawn), ours, theirs, redrawn)


def _read(name: str, side: domain.Config, picture: domain.Picture, cache: Path) -> Moments:
    read = domain.read(name, side.dataset.build(), side.crop, picture, 1, cache)
    return domain.first(read, side.episodes, name)


def _by_another(folder: Path, ours: Moments, picture: domain.Picture, cache: Path) -> NDArray[np.uint8]:
    dataset: Any = config.component("dataset", {"name": "images", "root": str(folder)}).build()
    frames = domain.read("through", dataset, Crop(), picture, 1, cache).frames
    if frames.shape != ours.frames.shape:
        raise DataError(
            f"{folder} holds {len(frames)} pictures, but a holds {len(ours.frames)}: each stands for one of those, "
            "in their order."
        )
    return frames
